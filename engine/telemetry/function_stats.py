"""All counters of one function, and its levels at the moment of a scrape."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from engine.core.billing import exactly
from engine.core.cluster_nodes import NodeEnvironments
from engine.core.event import TRIGGERS
from engine.core.function import Function
from engine.core.lambda_price_table import DURABLE_PRICES
from engine.core.ledger import Ledger
from engine.core.outcome import Status
from engine.core.rate import Rate
from engine.core.retry import AsyncCounts
from engine.telemetry.fine_classes import LOWEST_WAIT
from engine.telemetry.histogram import (
    ASYNC_AGE_BOUNDS_S,
    DURABLE_BOUNDS_S,
    FIRST_BYTE_BOUNDS_S,
    FROM_ZERO_BOUNDS_S,
    HANDLER_BOUNDS_S,
    INIT_BOUNDS_S,
    QUEUE_WAIT_BOUNDS_S,
    RATIO_BOUNDS,
    FineHistogram,
    Histogram,
    TracedHistogram,
)
from engine.telemetry.label_values import (
    DURABLE_COMPONENTS,
    FORESEEN_SCALING,
    HOLDS,
    INIT_FAILURES,
    OTHER,
    OUTCOMES,
    START_KINDS,
    THROTTLE_REASONS,
)
from engine.telemetry.mapping_readings import MappingReading, StreamReading
from engine.telemetry.recent_invocations import KEPT

_GB: Final = 1_000_000_000
_MONTH_S: Final = 2_592_000
"""30 days: as AWS's pricing example counts, 104 GB kept for 14 days are 48.53 GB-months."""
_NO_NODES: Final[Mapping[str, NodeEnvironments]] = MappingProxyType({})
_DIGITS: Final = 15
"""Decimal digits of a price that is divided."""


class Levels(NamedTuple):
    """A function's levels at one moment: read from the fleet at each scrape, never kept here.

    Attributes:
        starting: Environments that initialise.
        idle: Environments that could take an event now.
        busy: Environments in which a handler runs.
        in_flight: Concurrency in use, as the limits count it.
        queued: Events that wait for an environment or for a limit.
        oldest_wait_s: How long the one of them that came first has waited, seconds.
        ready: Invocations that the environments which are up can run at a time.
        desired: What it would take to run all that is there now, and at least what is provisioned.
        pending: Environments that wait for their turn to initialise; in no other number.
        nodes: Starting, idle and busy ones by node of the cluster; empty on one machine.
    """

    starting: int = 0
    idle: int = 0
    busy: int = 0
    in_flight: int = 0
    queued: int = 0
    oldest_wait_s: float = 0.0
    ready: int = 0
    desired: int = 0
    pending: int = 0
    nodes: Mapping[str, NodeEnvironments] = _NO_NODES


class TriggerStats:
    """What came by one trigger. `latency` is there once something ended."""

    __slots__ = ("_ended", "began", "latency", "refused", "succeeded")

    def __init__(self) -> None:
        self.began = 0
        self.refused = 0
        self.latency: Histogram | None = None
        self.succeeded = 0
        self._ended: dict[str, int] = dict.fromkeys(OUTCOMES, 0)

    @property
    def ended(self) -> dict[str, int]:
        """By outcome. Those of successes, of which there are most, are counted in `succeeded`."""
        self._ended[Status.SUCCESS] = self.succeeded
        return self._ended

    @property
    def received(self) -> int:
        """Events for the function, throttled ones too; one that waits counts once its wait is over."""
        return self.began + self.refused


class DurableCounting(Protocol):
    """What the durable executions of a function count: see `engine.runtime.durable.durable_counts`."""

    started: int
    ended: dict[str, int]
    now: dict[str, int]
    operations: int
    bytes_written: int
    byte_seconds: int
    took: Callable[[float], None]

    @property
    def oldest_age_s(self) -> float:
        """Of the oldest execution that has not ended, seconds."""


class FunctionStats:
    """All counts of one function. Every child that can be foreseen exists from the start, at 0."""

    __slots__ = (
        "_deadline_used",
        "_first_number",
        "_provisioned_since_s",
        "async_age",
        "asynchronous",
        "blocked_s",
        "cold_starts",
        "cpu_got_s",
        "cpu_promised_s",
        "deadline_base",
        "deadline_late",
        "durable",
        "durable_took",
        "duration",
        "first_byte",
        "from_zero",
        "function",
        "handler_bytes",
        "handler_counts",
        "handler_seconds",
        "handler_values",
        "held",
        "info",
        "init",
        "init_failures",
        "latencies",
        "ledger",
        "levels",
        "limits",
        "loop_blocked",
        "mappings",
        "memory_used",
        "near_s",
        "now",
        "provisioned_gb_s",
        "queue_wait",
        "recursions_dropped",
        "scale_events",
        "starts",
        "streamed_bytes",
        "streams",
        "successes_to_keep",
        "threads_abandoned",
        "throttles",
        "triggers",
        "untimed",
        "wanted",
    )

    def __init__(
        self,
        function: Function,
        rate: Rate,
        levels: Callable[[], Levels],
        account_limit: int,
        now_s: float,
        first_number: int = 1,
    ) -> None:
        self._first_number = first_number
        self.ledger = Ledger(rate, function.memory_mb)
        self.triggers: dict[str, TriggerStats] = {}
        self.latencies: dict[str, Histogram] = {}
        self.duration = TracedHistogram(HANDLER_BOUNDS_S)
        self._deadline_used = Histogram(RATIO_BOUNDS)
        self.deadline_late = [0] * len(RATIO_BOUNDS)  # by bucket, the first left out
        self.deadline_base = 0.0, 0.0
        self.memory_used: Histogram | None = None
        self.from_zero: Histogram | None = None
        self.first_byte: Histogram | None = None  # of streamed responses
        self.streamed_bytes = 0
        self.asynchronous: AsyncCounts | None = None
        self.async_age: Histogram | None = None
        self.durable: DurableCounting | None = None
        self.durable_took: Histogram | None = None
        self.mappings: Mapping[str, MappingReading] = {}
        self.streams: Mapping[str, StreamReading] = {}  # of those mappings that read one
        self.provisioned_gb_s = 0.0
        self._provisioned_since_s = now_s
        self.scale_events = {
            direction: dict.fromkeys(reasons, 0) for direction, reasons in FORESEEN_SCALING.items()
        }
        self.handler_counts: dict[str, dict[str, float]] = {}
        self.handler_values: dict[str, dict[str, float]] = {}
        self.handler_seconds: dict[str, dict[str, Histogram]] = {}
        self.handler_bytes: dict[str, dict[str, Histogram]] = {}
        self.describe(function, levels, account_limit, now_s)
        self.queue_wait = FineHistogram(QUEUE_WAIT_BOUNDS_S, LOWEST_WAIT)
        self.init = FineHistogram(INIT_BOUNDS_S)
        self.throttles = dict.fromkeys(THROTTLE_REASONS, 0)
        self.starts = dict.fromkeys(START_KINDS, 0)
        self.cold_starts = 0
        self.successes_to_keep = KEPT  # until somebody reads: see `recent_invocations`
        self.untimed = 0  # invocations that ended without a duration
        self.wanted = 0
        self.cpu_got_s = self.cpu_promised_s = 0.0
        self.init_failures = dict.fromkeys(INIT_FAILURES, 0)
        self.held = dict.fromkeys(HOLDS, 0)
        self.loop_blocked = 0
        self.blocked_s = 0.0
        self.threads_abandoned = 0
        self.recursions_dropped = 0
        for trigger in foreseen_triggers(function):
            self.trigger(trigger)

    def describe(
        self, function: Function, levels: Callable[[], Levels], account_limit: int, now_s: float
    ) -> None:
        """Take over the configuration: what the info and limit metrics show."""
        known = getattr(self, "function", function)
        self.provision(known, now_s)
        self.deadline_base = self._deadline_sum(known.timeout_s), self.duration.sum
        self.near_s = function.timeout_s * RATIO_BOUNDS[0]
        self.function = function
        self.levels = levels
        self.now = Levels()
        reserved = function.reserved_concurrency
        self.limits = {
            "provisioned": function.provisioned_concurrency,
            "maximum": account_limit if reserved is None else reserved,
        }
        if reserved is not None:
            self.limits["reserved"] = reserved
        self.info: dict[str, dict[str, dict[str, int]]] = {
            str(function.memory_mb): {f"{function.timeout_s:g}": {function.architecture: 1}}
        }

    def trigger(self, name: str) -> TriggerStats:
        """The counts of a trigger, from now on shown if they were not. What has no name is `other`."""
        name = name if name in TRIGGERS else OTHER
        known = self.triggers.get(name)
        if known is None:
            known = self.triggers[name] = TriggerStats()
        return known

    @property
    def ended(self) -> dict[str, dict[str, int]]:
        """By trigger and outcome."""
        return {name: trigger.ended for name, trigger in self.triggers.items()}

    def latency(self, name: str) -> Histogram:
        """The latencies of a trigger, from now on shown."""
        trigger = self.trigger(name)
        trigger.latency = self.latencies[name if name in TRIGGERS else OTHER] = Histogram(HANDLER_BOUNDS_S)
        return trigger.latency

    def used_deadline(self, duration_s: float) -> None:
        """Count an invocation that used more of its timeout than the lowest bound says."""
        bucket = bisect_left(RATIO_BOUNDS, duration_s / self.function.timeout_s)
        if bucket:
            self.deadline_late[bucket - 1] += 1

    def use_memory(self, used_mb: int) -> None:
        """Count an invocation whose peak memory could be measured."""
        if self.memory_used is None:
            self.memory_used = Histogram(RATIO_BOUNDS)
        self.memory_used.observe(used_mb / self.function.memory_mb)

    def came_from_zero(self, took_s: float) -> None:
        """Count an event that found no environment."""
        if self.from_zero is None:
            self.from_zero = Histogram(FROM_ZERO_BOUNDS_S)
        self.from_zero.observe(took_s)

    def stream_began(self, after_s: float) -> None:
        """Count a streamed response, which began so long after its event was received."""
        if self.first_byte is None:
            self.first_byte = Histogram(FIRST_BYTE_BOUNDS_S)
        self.first_byte.observe(after_s)

    def provision(self, function: Function, now_s: float) -> None:
        """Add up what `function` had provisioned until now, used or not."""
        stood_s = now_s - self._provisioned_since_s
        self._provisioned_since_s = now_s
        self.provisioned_gb_s += function.provisioned_concurrency * function.memory_mb / 1024 * stood_s

    @property
    def numbers(self) -> range:
        """Of all invocations that ended, by order of their ends."""
        return range(self._first_number, self._first_number + sum(self.duration.counts) + self.untimed)

    def counts(self) -> AsyncCounts:
        """What becomes of asynchronous events, from now on shown."""
        if self.asynchronous is None:
            self.async_age = Histogram(ASYNC_AGE_BOUNDS_S)
            self.asynchronous = AsyncCounts(self.async_age.observe)
        return self.asynchronous

    def count_durable(self, counts: DurableCounting) -> None:
        """Show what its durable executions count."""
        self.durable = counts
        self.durable_took = Histogram(DURABLE_BOUNDS_S)
        counts.took = self.durable_took.observe

    def durable_usd(self) -> dict[str, Decimal]:
        """What its durable executions cost beside their invocations, exact; nothing if it is not durable."""
        counts = self.durable
        if counts is None:
            return {}
        with exactly():
            written_gb = counts.bytes_written * DURABLE_PRICES.written_usd_per_gb / _GB
            retained = counts.byte_seconds * DURABLE_PRICES.retained_usd_per_gb_month / (_GB * _MONTH_S)
            retained = round(retained, _DIGITS)
            operations = counts.operations * DURABLE_PRICES.operation_usd
        return dict(zip(DURABLE_COMPONENTS, (operations, written_gb, retained), strict=True))

    def dollars(self) -> dict[str, float]:
        """All it has cost, by component."""
        dollars = self.ledger.dollars()
        if self.durable is not None:
            dollars |= {component: float(usd) for component, usd in self.durable_usd().items()}
        return dollars

    @property
    def deadline_used(self) -> Histogram:
        """Handler time divided by the timeout, made when it is read: only the higher buckets are kept."""
        histogram, late = self._deadline_used, self.deadline_late
        histogram.counts = [sum(self.duration.counts) - sum(late), *late]
        histogram.sum = self._deadline_sum(self.function.timeout_s)
        return histogram

    def _deadline_sum(self, timeout_s: float) -> float:
        base, since_s = self.deadline_base  # at the time of the last change of the timeout
        return base + (self.duration.sum - since_s) / timeout_s


def foreseen_triggers(function: Function) -> tuple[str, ...]:
    """Triggers whose children are shown at 0 before anything came by them."""
    declared = tuple(event.get("type", OTHER) for event in function.events)
    # A function without events gets HTTP requests: every route, if it is the only one.
    return ("invoke", "direct", *(declared or ("http",)))
