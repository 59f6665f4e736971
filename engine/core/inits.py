"""Whose turn it is to initialise: what all fleets of an engine share, as rules without I/O.

Lambda gives every environment cores of its own to initialise on; one machine has a few for all of them.
Begun all at once, a hundred imports share those, none is done in time, and each runs into the limit of
its init. So as many inits run as there are cores, and the rest wait: functions take turns, and within a
function the event that has waited longest comes first.

What counts is the cores an init wants, in thousandths. It begins with its `weight`: a whole core, or less
if the inits of its function are known to be shorter than `WHOLE_S` of CPU time (so that cheap ones are
begun many at a time, and none waits for a round trip). While others wait, what runs is looked at every
`LOOK_S`: one that slept or waited for the network in that time wants no core, and another may begin in its
stead; when it computes again, it counts again. One that cannot be measured counts for `BLIND_S`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from typing import Final, NamedTuple

LOOK_S: Final = 0.05
"""How often running inits are looked at while others wait, seconds."""

WHOLE_S: Final = 0.1
"""CPU seconds of an init from which on it counts as one that takes a core to itself."""

BLIND_S: Final = 0.25
"""How long an init that cannot be measured counts, seconds."""

_CORE: Final = 1000
_LIGHTEST: Final = _CORE // 32
_NOTHING: Final = _CORE // 50
"""What wants less than this wants nothing."""

_OVERRUN: Final = 2
"""How many times what it was expected to take an init must have taken to count as seen, not as expected."""

_SLACK: Final = _CORE * 3 // 10
"""How far what is wanted may exceed what there is."""

_QUIET_LOOKS: Final = 32
"""Of the inits that want nothing, how many are looked at again each time."""


class Use(NamedTuple):
    """Seconds that an init has had of a CPU so far, and seconds that it was ready to run and had none.

    `ready`: it runs, or would, at this moment; the wait that goes on is not in `queued_s` yet.
    """

    cpu_s: float
    queued_s: float
    ready: bool = False


class _Init:
    """One that runs. `weight`: the thousandths of a core it wants, as `expected` or as last seen."""

    __slots__ = ("expected", "looked_s", "since_s", "wanted_s", "weight")

    def __init__(self, now_s: float, weight: int) -> None:
        self.since_s = self.looked_s = now_s
        self.wanted_s = 0.0
        self.weight = self.expected = weight


Key = tuple[Hashable, int]
"""A fleet and the number of an environment."""


class InitTurns:
    """The turns of one engine. `cores`: how many inits that compute may run at a time, 1 or more."""

    def __init__(self, cores: int) -> None:
        self._room = cores * _CORE
        self._load = 0
        self._computing: dict[Key, _Init] = {}
        self._quiet: dict[Key, _Init] = {}  # those that want nothing, the one looked at longest ago first
        self._line: deque[Hashable] = deque()  # each fleet once
        self._held: dict[Hashable, bool] = {}  # fleets that may begin none, and whether they would
        self._costs: dict[Hashable, float] = {}  # CPU seconds of a fleet's inits, of the one that ended last
        self._asleep: Counter[Hashable] = Counter()  # a fleet's in `_quiet`

    @property
    def cores(self) -> int:
        """How many inits that compute may run at a time."""
        return self._room // _CORE

    @property
    def contended(self) -> bool:
        """Whether a fleet waits for its turn."""
        return bool(self._line)

    @property
    def running(self) -> int:
        """Inits that run, whether they want a core or not."""
        return len(self._computing) + len(self._quiet)

    # ---------------------------------------------------------------- what fleets ask

    def take(self, fleet: Hashable, env_id: int, now_s: float) -> bool:
        """Begin an init at once, if nobody waits and there is room."""
        if self._line or fleet in self._held or not self._has_room(fleet):
            return False
        self.begin(fleet, env_id, now_s)
        return True

    def join(self, fleet: Hashable) -> None:
        """Wait for a turn. A fleet sees to it that it does so once at a time."""
        if fleet in self._held:
            self._held[fleet] = True
        else:
            self._line.append(fleet)

    def next(self) -> Hashable | None:
        """The fleet whose turn it is, if there is room: it leaves the line, and its driver tells it so."""
        if not self._line or not self._has_room(self._line[0]):
            return None
        return self._line.popleft()

    def begin(self, fleet: Hashable, env_id: int, now_s: float) -> None:
        """An init of that fleet begins."""
        weight = self._weight(fleet)
        self._load += weight
        self._computing[fleet, env_id] = _Init(now_s, weight)

    def end(self, fleet: Hashable, env_id: int, cpu_s: float | None = None) -> None:
        """It ended, whatever came of it; told again, it changes nothing. `cpu_s`: what it took, if known."""
        one = self._taken_out(fleet, env_id)
        if one is not None:
            self._load -= one.weight
            if cpu_s is not None:
                self._costs[fleet] = cpu_s

    # ---------------------------------------------------------------- what is seen of them

    def due(self) -> list[Key]:
        """Those to look at now: all that count, and some of those that do not."""
        quiet = [key for key, _ in zip(self._quiet, range(_QUIET_LOOKS), strict=False)]
        return [*self._computing, *quiet]

    def looked(self, fleet: Hashable, env_id: int, use: Use | None, now_s: float) -> None:
        """What an init has used so far; None = nobody can tell."""
        one = self._taken_out(fleet, env_id)
        if one is None:
            return  # over meanwhile
        took_s = now_s - one.looked_s
        if took_s >= LOOK_S / 2:  # else it began just now, and nothing can be seen yet
            weight = self._seen(fleet, one, use, now_s)
            self._load += weight - one.weight
            one.weight = weight
            one.looked_s = now_s
        (self._computing if one.weight else self._quiet)[fleet, env_id] = one
        self._asleep[fleet] += not one.weight

    def hold(self, fleet: Hashable) -> None:
        """That fleet may begin none for now: its executor says so."""
        if fleet not in self._held:
            self._held[fleet] = fleet in self._line
            if self._held[fleet]:
                self._line.remove(fleet)

    def resume(self, fleet: Hashable) -> None:
        """It may again, and goes to the end of the line if it would."""
        if self._held.pop(fleet, False):
            self._line.append(fleet)

    def forget(self, fleet: Hashable) -> None:
        """Its code is another now: what its inits took says nothing any more."""
        self._costs.pop(fleet, None)

    def leave(self, fleet: Hashable) -> None:
        """The fleet is gone, and all of its inits have ended."""
        self._held.pop(fleet, None)
        self._costs.pop(fleet, None)
        self._asleep.pop(fleet, None)
        if fleet in self._line:
            self._line.remove(fleet)

    # ---------------------------------------------------------------- inside

    def _taken_out(self, fleet: Hashable, env_id: int) -> _Init | None:
        key = fleet, env_id
        one = self._computing.pop(key, None)
        if one is None and (one := self._quiet.pop(key, None)) is not None:
            self._asleep[fleet] -= 1
        return one

    def _seen(self, fleet: Hashable, one: _Init, use: Use | None, now_s: float) -> int:
        """The weight of an init, now that it was looked at."""
        if use is None:
            return one.expected if now_s - one.since_s < BLIND_S else 0
        wanted_s = use.cpu_s + use.queued_s
        if wanted_s < one.wanted_s:  # it is counted anew, since its process came to be
            one.wanted_s = wanted_s
            return one.weight
        weight = min(_CORE, int(_CORE * (wanted_s - one.wanted_s) / (now_s - one.looked_s)))
        if use.ready:  # it may have waited for a CPU all the time
            weight = max(weight, one.weight, one.expected)
        one.wanted_s = wanted_s
        if use.cpu_s < _OVERRUN * self._costs.get(fleet, 0.0):
            weight = min(weight, one.expected)  # cheap as foreseen, though it may have to wait for a CPU
        return 0 if weight < _NOTHING else weight

    def _weight(self, fleet: Hashable) -> int:
        """Of one more. Until one has ended, as many may begin at a look as are seen to want nothing."""
        cost_s = self._costs.get(fleet)
        share = 1 / max(1, self._asleep[fleet]) if cost_s is None else cost_s / WHOLE_S
        return min(_CORE, max(_LIGHTEST, int(_CORE * share)))

    def _has_room(self, fleet: Hashable) -> bool:
        return self._load + self._weight(fleet) <= self._room + _SLACK
