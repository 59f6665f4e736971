"""How long an idle environment lives: a fixed time, or what the histogram of idle times suggests.

Source: "Serverless in the Wild" (USENIX ATC 2020) for the hybrid histogram; its forecast for functions
whose idle times are longer than the histogram is left out: those get the fixed time.
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import NamedTuple, Protocol

from engine.core.fleet import Command, Fleet
from engine.core.late_dataclass import dataclass
from engine.core.throttling import Pool
from engine.model.simulation.schedule import Schedule


class KeepAliveWindow(NamedTuple):
    """What to do with a function that fell idle, in seconds from then.

    Attributes:
        prewarm_s: Its environments go now, and one is started after so long; 0 = they stay.
        keep_s: How long they stay, or the new one does after it was to be there.
    """

    prewarm_s: float
    keep_s: float


class KeepAlive(Protocol):
    """A policy for idle environments of one function; one object for each run."""

    @property
    def longest_s(self) -> float:
        """The longest that an environment may be idle, seconds."""

    def idled(self, idle_s: float, /) -> None:
        """The function was called after it had been idle for so long."""

    def window(self) -> KeepAliveWindow:
        """Return when to pre-warm and how long to keep, for the idle period that begins now."""


@dataclass(frozen=True, slots=True)
class FixedKeepAlive:
    """Every idle environment lives for the same time, as Lambda seems to do."""

    keep_s: float = 600.0

    @property
    def longest_s(self) -> float:
        """The fixed keep-alive, seconds."""
        return self.keep_s

    def idled(self, _idle_s: float, /) -> None:
        """Ignore the idle time."""

    def window(self) -> KeepAliveWindow:
        """Return the same window each time."""
        return KeepAliveWindow(0.0, self.keep_s)


@dataclass(slots=True, kw_only=True)
class HybridHistogram:
    """Idle times counted in bins: an environment is there from the head of their distribution to its tail.

    Attributes:
        bin_s, bins: Width and number of bins; idle times beyond them are out of bounds.
        head, tail: Shares of the idle times that the window leaves out before, and covers in all.
        margin: The window is widened by this share at both ends.
        representative: Coefficient of variation of the bin counts from which the histogram is used.
        max_out_of_bounds: Share of idle times out of bounds above which it is not.
        fixed_s: Keep-alive until then, and if it is not.
    """

    bin_s: float = 60.0
    bins: int = 240
    head: float = 0.05
    tail: float = 0.99
    margin: float = 0.1
    representative: float = 2.0
    max_out_of_bounds: float = 0.5
    fixed_s: float = 600.0
    counts: list[int] = field(default_factory=list)
    seen: int = 0
    beyond: int = 0

    def __post_init__(self) -> None:
        """Start with an empty histogram."""
        self.counts = [0] * self.bins

    @property
    def longest_s(self) -> float:
        """The range of the histogram and its margin, seconds."""
        return max(self.fixed_s, self.bins * self.bin_s * (1 + self.margin))

    def idled(self, idle_s: float, /) -> None:
        """Count one idle time."""
        self.seen += 1
        number = int(idle_s / self.bin_s)
        if number < self.bins:
            self.counts[number] += 1
        else:
            self.beyond += 1

    def window(self) -> KeepAliveWindow:
        """From the head to the tail of what was seen, if that is representative."""
        if not self._useful():
            return KeepAliveWindow(0.0, self.fixed_s)
        within = self.seen - self.beyond
        first, last = self._bin(self.head * within), self._bin(self.tail * within)
        prewarm_s = first * self.bin_s * (1 - self.margin)  # the head is rounded down, the tail up
        until_s = (last + 1) * self.bin_s * (1 + self.margin)
        return KeepAliveWindow(prewarm_s, until_s - prewarm_s)

    def _useful(self) -> bool:
        within = self.seen - self.beyond
        if within < 2 or self.beyond > self.max_out_of_bounds * self.seen:
            return False
        mean = within / self.bins
        variance = sum((one - mean) ** 2 for one in self.counts) / self.bins
        return math.sqrt(variance) / mean >= self.representative

    def _bin(self, rank: float) -> int:
        below = 0
        for number, one in enumerate(self.counts):
            below += one
            if below >= rank and below:
                return number
        return self.bins - 1


class _Owner(Protocol):
    fleet: Fleet[int]

    def execute(self, commands: list[Command[int]], now_s: float) -> None: ...
    def died(self, env_id: int, now_s: float) -> None: ...


class KeepAliveController:
    """Applies a policy to the fleet of one function, through nothing but facts the fleet knows.

    An environment whose time has come is reported gone, as one that died idle would be; one that is to
    be there is asked for as provisioned, and let become an ordinary one at once.
    """

    def __init__(self, policy: KeepAlive, owner: _Owner, pool: Pool, at: Schedule) -> None:
        self._policy, self._owner, self._pool, self._at = policy, owner, pool, at
        self._idle: dict[int, int] = {}  # environment to the number of its rest
        self._idle_periods = 0
        self._calls = 0
        self._idle_since_s: float | None = None
        self._warming = False

    def arrived(self, now_s: float) -> None:
        """Note that an event arrived: the function is no longer idle."""
        self._calls += 1
        self._warming = False
        if self._idle_since_s is not None:
            self._policy.idled(now_s - self._idle_since_s)
            self._idle_since_s = None

    def became_busy(self, env_id: int) -> None:
        """Note that an environment is busy or gone."""
        self._idle.pop(env_id, None)

    def became_idle(self, now_s: float, env_id: int) -> None:
        """Note that an environment has capacity; unless it is used at once, its idle period begins."""
        self._idle_periods += 1
        self._idle[env_id] = self._idle_periods
        self._at(now_s, self._evaluate, env_id, self._idle_periods)

    def _evaluate(self, now_s: float, env_id: int, idle_period: int) -> None:
        """Decide how long the environment stays, after everything else due at that time."""
        if self._idle.get(env_id) != idle_period:
            return
        window = self._policy.window()
        levels = self._owner.fleet.statistics()
        if levels.in_flight or levels.starting:  # the function is not idle, only this environment is
            self._at(now_s + window.prewarm_s + window.keep_s, self._expire, env_id, idle_period)
            return
        if self._idle_since_s is None:
            self._idle_since_s = now_s
        if self._warming or not window.prewarm_s:
            self._warming = False
            self._at(now_s + window.keep_s, self._expire, env_id, idle_period)
            return
        for one in list(self._idle):
            self._owner.died(one, now_s)
        self._at(now_s + window.prewarm_s, self._prewarm, self._calls)

    def _prewarm(self, now_s: float, called: int, _b: int) -> None:
        """Start an environment ahead of the next event, unless one came meanwhile."""
        fleet = self._owner.fleet
        if called != self._calls or fleet.environments:
            return
        self._warming = True
        self._owner.execute([*fleet.adjust(self._pool, 1, now_s), *fleet.adjust(self._pool, 0, now_s)], now_s)

    def _expire(self, now_s: float, env_id: int, idle_period: int) -> None:
        if self._idle.get(env_id) == idle_period:
            self._owner.died(env_id, now_s)
