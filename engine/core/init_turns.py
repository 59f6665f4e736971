"""Which environment may initialise next: rules without I/O that all fleets of an engine share.

Lambda gives every environment cores of its own to initialise on; one machine has a few for all of them.
Begun all at once, a hundred imports share those, none is done in time, and each runs into the limit of
its init. So as many inits run as there are cores, and the rest wait: functions take turns, and within a
function the event that has waited longest comes first.

What counts is the cores an init wants, in thousandths. It begins with its `weight`: a whole core, or less
if the inits of its function are known to take less than `WHOLE_S` of CPU time (so that cheap ones are
begun many at a time, and none waits for a round trip). While others wait, every running init is observed
each `OBSERVE_EVERY_S`: one that slept or waited for the network meanwhile wants no core, and another may
begin in its stead; when it computes again, it counts again. One that cannot be measured counts for `BLIND_S`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from typing import Final, NamedTuple

OBSERVE_EVERY_S: Final = 0.05
"""Seconds between observations of running inits, while others wait."""

WHOLE_S: Final = 0.1
"""CPU seconds of an init from which on it counts as one that takes a core to itself."""

BLIND_S: Final = 0.25
"""How long an init that cannot be measured counts, seconds."""

_CORE: Final = 1000
_LIGHTEST: Final = _CORE // 32
_NOTHING: Final = _CORE // 50
"""An init that wants less wants nothing."""

_OVERRUN: Final = 2
"""An init counts as observed, not as expected, from this many times its expected CPU time on."""

_SLACK: Final = _CORE * 3 // 10
"""How far what is wanted may exceed what there is."""

_QUIET_OBSERVED: Final = 32
"""How many of the inits that want nothing are observed again each time."""


class Use(NamedTuple):
    """Seconds that an init has had of a CPU so far, and seconds that it was ready to run and had none.

    `ready`: it runs, or would, at this moment; the wait that goes on is not in `queued_s` yet.
    """

    cpu_s: float
    queued_s: float
    ready: bool = False


class _Init:
    """A running init. `weight`: the thousandths of a core it wants, as `expected` or as last observed."""

    __slots__ = ("expected", "observed_s", "since_s", "wanted_s", "weight")

    def __init__(self, now_s: float, weight: int) -> None:
        self.since_s = self.observed_s = now_s
        self.wanted_s = 0.0
        self.weight = self.expected = weight


Key = tuple[Hashable, int]
"""A fleet and the number of an environment."""


class InitTurns:
    """The turns of one engine. `cores`: how many computing inits may run at a time, 1 or more."""

    def __init__(self, cores: int) -> None:
        self._room = cores * _CORE
        self._load = 0
        self._computing: dict[Key, _Init] = {}
        self._quiet: dict[Key, _Init] = {}  # those that want nothing, the one observed longest ago first
        self._queue: deque[Hashable] = deque()  # each fleet once
        self._held: dict[Hashable, bool] = {}  # fleets that may begin none, and whether they would
        self._costs: dict[Hashable, float] = {}  # CPU seconds of a fleet's inits, of the one that ended last
        self._quiet_counts: Counter[Hashable] = Counter()  # a fleet's in `_quiet`

    @property
    def cores(self) -> int:
        """How many computing inits may run at a time."""
        return self._room // _CORE

    def set_cores(self, cores: int) -> None:
        """Let so many computing inits run at a time from now on, 1 or more: nodes have come or gone."""
        self._room = cores * _CORE

    @property
    def contended(self) -> bool:
        """Whether a fleet waits for its turn."""
        return bool(self._queue)

    @property
    def running(self) -> int:
        """Inits that run, whether they want a core or not."""
        return len(self._computing) + len(self._quiet)

    # ---------------------------------------------------------------- called by fleets

    def try_begin(self, fleet: Hashable, env_id: int, now_s: float) -> bool:
        """Begin an init at once and return True, if nobody waits and there is room."""
        if self._queue or fleet in self._held or not self._has_room(fleet):
            return False
        self.begin(fleet, env_id, now_s)
        return True

    def enqueue(self, fleet: Hashable) -> None:
        """Append `fleet` to the queue for a turn. It must not be in the queue already."""
        if fleet in self._held:
            self._held[fleet] = True
        else:
            self._queue.append(fleet)

    def next(self) -> Hashable | None:
        """Take the first fleet from the queue, if there is room; its driver then calls `Fleet.begin`."""
        if not self._queue or not self._has_room(self._queue[0]):
            return None
        return self._queue.popleft()

    def begin(self, fleet: Hashable, env_id: int, now_s: float) -> None:
        """Count an init of `fleet` that begins now."""
        weight = self._weight(fleet)
        self._load += weight
        self._computing[fleet, env_id] = _Init(now_s, weight)

    def end(self, fleet: Hashable, env_id: int, cpu_s: float | None = None) -> None:
        """Count it no more; the second call for an init does nothing. `cpu_s`: what it took, if known."""
        init = self._pop(fleet, env_id)
        if init is not None:
            self._load -= init.weight
            if cpu_s is not None:
                self._costs[fleet] = cpu_s

    # ---------------------------------------------------------------- called by the scheduler

    def to_observe(self) -> list[Key]:
        """The inits to observe now: all that count, and some of those that do not."""
        quiet = [key for key, _ in zip(self._quiet, range(_QUIET_OBSERVED), strict=False)]
        return [*self._computing, *quiet]

    def observe(self, fleet: Hashable, env_id: int, use: Use | None, now_s: float) -> None:
        """Update the weight of an init from what it has used so far; None = unknown."""
        init = self._pop(fleet, env_id)
        if init is None:
            return  # over meanwhile
        took_s = now_s - init.observed_s
        if took_s >= OBSERVE_EVERY_S / 2:  # else it began just now, and nothing can be seen yet
            weight = self._observed_weight(fleet, init, use, now_s)
            self._load += weight - init.weight
            init.weight = weight
            init.observed_s = now_s
        (self._computing if init.weight else self._quiet)[fleet, env_id] = init
        self._quiet_counts[fleet] += not init.weight

    def hold(self, fleet: Hashable) -> None:
        """Let `fleet` begin no inits until `resume`: its executor asks for that."""
        if fleet not in self._held:
            self._held[fleet] = fleet in self._queue
            if self._held[fleet]:
                self._queue.remove(fleet)

    def resume(self, fleet: Hashable) -> None:
        """Let it begin inits again; if it wants to, it goes to the end of the queue."""
        if self._held.pop(fleet, False):
            self._queue.append(fleet)

    def forget_cost(self, fleet: Hashable) -> None:
        """Forget what the inits of `fleet` took: its code has changed."""
        self._costs.pop(fleet, None)

    def remove(self, fleet: Hashable) -> None:
        """Forget `fleet`, all of whose inits have ended."""
        self._held.pop(fleet, None)
        self._costs.pop(fleet, None)
        self._quiet_counts.pop(fleet, None)
        if fleet in self._queue:
            self._queue.remove(fleet)

    # ---------------------------------------------------------------- inside

    def _pop(self, fleet: Hashable, env_id: int) -> _Init | None:
        key = fleet, env_id
        init = self._computing.pop(key, None)
        if init is None and (init := self._quiet.pop(key, None)) is not None:
            self._quiet_counts[fleet] -= 1
        return init

    def _observed_weight(self, fleet: Hashable, init: _Init, use: Use | None, now_s: float) -> int:
        """The weight of an init that used `use` so far."""
        if use is None:
            return init.expected if now_s - init.since_s < BLIND_S else 0
        wanted_s = use.cpu_s + use.queued_s
        if wanted_s < init.wanted_s:  # it is counted anew, since its process came to be
            init.wanted_s = wanted_s
            return init.weight
        weight = min(_CORE, int(_CORE * (wanted_s - init.wanted_s) / (now_s - init.observed_s)))
        if use.ready:  # it may have waited for a CPU all the time
            weight = max(weight, init.weight, init.expected)
        init.wanted_s = wanted_s
        if use.cpu_s < _OVERRUN * self._costs.get(fleet, 0.0):
            weight = min(weight, init.expected)  # cheap as foreseen, though it may have to wait for a CPU
        return 0 if weight < _NOTHING else weight

    def _weight(self, fleet: Hashable) -> int:
        """The weight of one more init. Until one has ended, as many may begin as are seen to want nothing."""
        cost_s = self._costs.get(fleet)
        share = 1 / max(1, self._quiet_counts[fleet]) if cost_s is None else cost_s / WHOLE_S
        return min(_CORE, max(_LIGHTEST, int(_CORE * share)))

    def _has_room(self, fleet: Hashable) -> bool:
        return self._load + self._weight(fleet) <= self._room + _SLACK
