"""The plan of a mapping, and how many of its batches may run at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from engine.core.event_patterns.filter_criteria import FilterCriteria
from engine.core.late_dataclass import dataclass
from engine.core.scaling.pollers import AnyPolicy, Load, Reason

DECIDE_EVERY_S: Final = 0.1
_SMOOTHING: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingPlan:
    """How a mapping works.

    Attributes:
        function, qualifier: What it runs.
        batch_size: Messages of one batch at the most.
        window_s: How long they are gathered, from the first one on.
        busy_s: Reads how long a batch may be with the function, seconds: its timeout, and its wait for
            concurrency where the function has it wait.
        reporting: The function names the messages that failed.
        keep_group_order: With each that failed go the later ones of its group.
        criteria: Which messages pass.
        policy: How many batches may run at a time.
        max_concurrency: The same, whatever the policy says; None for no bound.
    """

    function: str
    qualifier: str | None
    batch_size: int
    window_s: float
    busy_s: Callable[[], float]
    reporting: bool
    keep_group_order: bool
    criteria: FilterCriteria
    policy: AnyPolicy
    max_concurrency: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingStatistics:
    """Numbers of one mapping. `oldest_age_s` is how long ago the queue's oldest message was sent."""

    running: int
    wanted: int
    reason: Reason
    backlog: int
    oldest_age_s: float


class ConcurrencyController:
    """Counts the batches that run, and asks the policy how many may.

    Attributes:
        running: Batches that have a slot.
        allowed: How many may have one.
        wanted, reason: What the policy wants, and why.
        decided_s: When the policy was asked last.
    """

    __slots__ = (
        "_ended",
        "_failed",
        "_max_concurrency",
        "_memory",
        "_peak",
        "_policy",
        "_service_s",
        "allowed",
        "decided_s",
        "reason",
        "running",
        "wanted",
    )

    def __init__(self, policy: AnyPolicy, max_concurrency: int | None, now_s: float) -> None:
        self._policy = policy
        self._max_concurrency = max_concurrency
        self._memory: Any = policy.begin(now_s)
        self.running = 0
        self._peak = self._ended = self._failed = 0
        self._service_s = 0.0
        self.decide(now_s)

    def decide(self, now_s: float, backlog: int = 0, oldest_age_s: float = 0.0) -> None:
        """Ask the policy; `backlog` is in batches."""
        load = Load(
            in_hand=self._peak,
            backlog=backlog,
            oldest_age_s=oldest_age_s,
            ready=self._peak,
            service_s=self._service_s,
            ended=self._ended,
            failed=self._failed,
        )
        (self.wanted, self.reason), self._memory = self._policy.decide(load, self._memory, now_s)
        self.decided_s = now_s
        self._peak, self._ended, self._failed = self.running, 0, 0
        self.allowed = (
            self.wanted if self._max_concurrency is None else min(self.wanted, self._max_concurrency)
        )

    def began(self) -> None:
        """Count a batch that takes a slot."""
        self.running += 1
        self._peak = max(self._peak, self.running)

    def done(self) -> None:
        """Count a batch that gives its slot back."""
        self.running -= 1

    def ran(self, took_s: float) -> None:
        """Count a batch that the function ran for, whether it failed or not."""
        self._ended += 1
        self._service_s += (took_s - self._service_s) * _SMOOTHING

    def failed(self) -> None:
        """Count a batch that failed; `ran` was called before."""
        self._failed += 1

    def throttled(self) -> None:
        """Count a batch that was throttled."""
        self._ended += 1
        self._failed += 1
