"""What a scaling policy is given and answers, and AWS's own policies for the pollers of a queue.

A policy is a pure function of the load it is shown, what it remembered, and the time: it reads no clock
and counts no ticks, so it may be asked at any rhythm. Policies that scale environments are in `environments`.

Source: Lambda Developer Guide, "Configuring scaling behavior for SQS event source mappings"; AWS News
Blog, "AWS Lambda enhances event processing with provisioned mode for SQS event-source mapping".
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from engine.core.late_dataclass import dataclass

FIRST_CONCURRENCY: Final = 5
"""Concurrent batches of a mapping when messages come."""

IDLE_CONCURRENCY: Final = 2
"""What an idle mapping goes down to, unless it has a MaximumConcurrency."""

GROWTH_PER_S: Final = 300 / 60
"""Concurrent invocations a mapping may add: 300 a minute."""

MAX_CONCURRENCY: Final = 1_250
"""Concurrent invocations of one mapping, at most."""

POLLER_CONCURRENCY: Final = 10
"""Concurrent invocations of one poller in provisioned mode."""

PROVISIONED_GROWTH_PER_S: Final = 1_000 / 60
MAX_PROVISIONED_CONCURRENCY: Final = 20_000
MIN_POLLERS: Final = 2
MAX_MINIMUM_POLLERS: Final = 200
MAX_POLLERS: Final = 10_000
"""Bounds of provisioned mode. Source: Lambda API reference, "CreateEventSourceMapping"."""


class Reason(StrEnum):
    """Why the number is what it is: a metric label, a log field, a test oracle."""

    DEMAND = "demand"  # work now in hand sets it
    RAMP = "ramp"  # more is wanted than may be added by now
    FAILING = "failing"  # invocations fail: less at a time
    BURST = "burst"  # a short window is far above the long one
    URGENT = "urgent"  # else the oldest would miss its deadline
    QUIET = "quiet"  # a recent peak still holds it up
    FLOOR = "floor"
    CEILING = "ceiling"


class Load(NamedTuple):
    """What is observed. A unit is what the policy counts: an environment, or a concurrent batch.

    Attributes:
        in_hand: Units of work that run now or, better, their peak since the last decision.
        backlog: Units of work that wait: events, or batches (messages / batch size, rounded up).
        oldest_age_s: How long the oldest of them has waited.
        ready: Units that could work or do.
        starting: Units that initialise.
        arrivals_per_s: Units of work that come.
        service_s: Mean time a unit takes for one.
        startup_s: Mean time until a new unit can work.
        ended: Invocations that ended since the last decision.
        failed: How many of these failed or were throttled.
    """

    in_hand: int = 0
    backlog: int = 0
    oldest_age_s: float = 0.0
    ready: int = 0
    starting: int = 0
    arrivals_per_s: float = 0.0
    service_s: float = 0.0
    startup_s: float = 0.0
    ended: int = 0
    failed: int = 0

    @property
    def work(self) -> int:
        """Units of work that run or wait: more units than that have nothing to do."""
        return self.in_hand + self.backlog


class Decision(NamedTuple):
    """How many units are wanted, and why."""

    wanted: int
    reason: Reason


M = TypeVar("M")


class PollerPolicy(Protocol[M]):
    """Says how many units are wanted. A frozen value: its fields are its parameters."""

    def begin(self, now_s: float, /) -> M:
        """What is remembered before the first decision."""

    def decide(self, load: Load, memory: M, now_s: float, /) -> tuple[Decision, M]:
        """How many units `load` wants at `now_s` (never before the last decision), and what to remember."""


AnyPolicy = PollerPolicy[Any]


class Ramp(NamedTuple):
    """How far a mapping has come.

    Attributes:
        level: Concurrency it may use; a fraction, because growth is continuous.
        at_s: When that was so.
        busy_s: When there was work for the last time.
        failing: Share of invocations that failed, when some ended for the last time.
    """

    level: float
    at_s: float
    busy_s: float
    failing: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsPollers:
    """How Lambda scales the pollers of an SQS mapping: 5, then 300 a minute, up to 1,250 concurrent batches.

    While everything it may use is used, the level is `min(1250, 5 + 5 t)` after `t` seconds. Without
    enough work it stays; an idle minute later it shrinks as fast as it grew, to 5 and further to 2. What
    AWS does when invocations fail is not published: here growth is multiplied by `1 - 2 * failed / ended`,
    so that half of them failing holds the level, and all of them failing lowers it as fast as it rose.

    Attributes:
        maximum_concurrency: 2 to 1,000, or None.
        quiet_s: Seconds without work before it shrinks.
    """

    maximum_concurrency: int | None = None
    quiet_s: float = 60.0

    @property
    def max_concurrent(self) -> int:
        """Concurrent batches at the most."""
        return self.maximum_concurrency or MAX_CONCURRENCY

    def begin(self, now_s: float, /) -> Ramp:
        """At five, or less if that is the maximum."""
        return Ramp(min(FIRST_CONCURRENCY, self.max_concurrent), now_s, now_s)

    def decide(self, load: Load, memory: Ramp, now_s: float, /) -> tuple[Decision, Ramp]:
        """The concurrency, in batches, that the mapping may have."""
        first = min(FIRST_CONCURRENCY, self.max_concurrent)
        idle = min(
            IDLE_CONCURRENCY if self.maximum_concurrency is None else FIRST_CONCURRENCY, self.max_concurrent
        )
        ramp = _ramped(load, memory, now_s, GROWTH_PER_S, (idle, first, self.max_concurrent), self.quiet_s)
        return _bounded(load, ramp, idle, self.max_concurrent), ramp


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedPollers:
    """A mapping in provisioned mode: pollers of 10 concurrent invocations each, 1,000 more a minute.

    Attributes:
        minimum_pollers: 2 to 200; always there.
        maximum_pollers: 2 to 10,000.
        quiet_s: Seconds without work before it shrinks.
    """

    minimum_pollers: int = 2
    maximum_pollers: int = 200
    quiet_s: float = 60.0

    @property
    def max_concurrent(self) -> int:
        """Concurrent invocations at the most."""
        return min(self.maximum_pollers * POLLER_CONCURRENCY, MAX_PROVISIONED_CONCURRENCY)

    def begin(self, now_s: float, /) -> Ramp:
        """With the pollers that are always there."""
        return Ramp(min(self.minimum_pollers * POLLER_CONCURRENCY, self.max_concurrent), now_s, now_s)

    def decide(self, load: Load, memory: Ramp, now_s: float, /) -> tuple[Decision, Ramp]:
        """The concurrency that the mapping may have."""
        first = min(self.minimum_pollers * POLLER_CONCURRENCY, self.max_concurrent)
        bounds = (first, first, self.max_concurrent)
        ramp = _ramped(load, memory, now_s, PROVISIONED_GROWTH_PER_S, bounds, self.quiet_s)
        return _bounded(load, ramp, first, self.max_concurrent), ramp


def _ramped(
    load: Load,
    memory: Ramp,
    now_s: float,
    growth_per_s: float,
    bounds: tuple[int, int, int],
    quiet_s: float,
) -> Ramp:
    """The level after the time that went by. `bounds`: when idle, when messages come, at most."""
    idle, first, most = bounds
    elapsed_s = max(0.0, now_s - memory.at_s)
    level = memory.level
    if load.work:
        level = max(level, first)
        full = load.work >= math.floor(level)  # else it does not even use what it may
        failing = load.failed / load.ended if load.ended else memory.failing
        change = growth_per_s * elapsed_s * (1 - 2 * failing)
        if change < 0:
            level += change
        elif full:
            level = max(level, min(level + change, load.work))
        return Ramp(min(max(level, first), most), now_s, now_s, failing)
    # Only the part of the time that lies behind the quiet minute counts.
    idle_s = now_s - max(memory.at_s, memory.busy_s + quiet_s)
    if idle_s > 0:
        level = max(level - growth_per_s * idle_s, idle)
    return Ramp(min(level, most), now_s, memory.busy_s, memory.failing)


def _bounded(load: Load, ramp: Ramp, idle: int, most: int) -> Decision:
    """The whole units of a level, and what bounds them."""
    wanted = math.floor(ramp.level + 1e-9)  # 5 + 0.1 + 0.1 + ... must come to a whole number
    if load.work and 2 * ramp.failing > 1:
        return Decision(wanted, Reason.FAILING)
    if wanted >= most:
        return Decision(wanted, Reason.CEILING)
    if not load.work:
        return Decision(wanted, Reason.FLOOR if wanted <= idle else Reason.QUIET)
    return Decision(wanted, Reason.RAMP if load.work >= wanted else Reason.DEMAND)
