"""Plain counters behind every metric, touched on the event loop only: no locks, no labels, no formatting."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from engine.core.billing import Rate
from engine.core.event import TRIGGERS, Event
from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.core.ledger import Ledger
from engine.core.notice import Initialised, LoopBlocked, LoopReleased, Notice, ThreadAbandoned
from engine.core.outcome import Outcome, Status
from engine.core.prices import PriceSheet
from engine.telemetry.vocabulary import (
    CLIENT_TRIGGERS,
    FORESEEN_SCALING,
    FROM_ZERO_BOUNDS_S,
    FUNCTION_LABEL_CAP,
    HANDLER_BOUNDS_S,
    INIT_BOUNDS_S,
    LINE_RESULTS,
    LOOP_LAG_BOUNDS_S,
    OTHER,
    OUTCOMES,
    OVERHEAD_BOUNDS_S,
    PRICE_ITEMS,
    QUEUE_WAIT_BOUNDS_S,
    RATIO_BOUNDS,
    REJECTIONS,
    START_KINDS,
    THROTTLE_REASONS,
)

_SUCCESS: Final = Status.SUCCESS
_LAST_DULL_BUCKET: Final = HANDLER_BOUNDS_S.index(0.01)  # up to 10 ms nobody asks which request it was
_WITHOUT_DURATION: Final = frozenset({Status.CANCELLED, Status.INIT_ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
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
    """

    starting: int = 0
    idle: int = 0
    busy: int = 0
    in_flight: int = 0
    queued: int = 0
    oldest_wait_s: float = 0.0
    ready: int = 0
    desired: int = 0


class Histogram:
    """Counts between bounds, and the sum. A value on a bound belongs below it, as Prometheus's `le`."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last is above every bound
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)


class TracedHistogram(Histogram):
    """Keeps, for each bucket, the last value that is worth a look, with the request it belongs to.

    Attributes:
        exemplars: By bucket, value, request id and trace header; buckets without one are left out.
    """

    __slots__ = ("exemplars",)

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__(bounds)
        self.exemplars: dict[int, tuple[float, str, str | None]] = {}


class TriggerStats:
    """What came by one trigger. `latency` is there once something ended."""

    __slots__ = ("began", "ended", "latency", "refused")

    def __init__(self) -> None:
        self.began = 0
        self.refused = 0
        self.latency: Histogram | None = None
        self.ended: dict[str, int] = dict.fromkeys(OUTCOMES, 0)

    @property
    def received(self) -> int:
        """Events for the function, throttled ones too; one that waits counts once its wait is over."""
        return self.began + self.refused


class FunctionStats:
    """All counts of one function. Every child that can be foreseen exists from the start, at 0."""

    __slots__ = (
        "_deadline_used",
        "blocked_s",
        "children",
        "cold_starts",
        "deadline_base",
        "deadline_late",
        "duration",
        "from_zero",
        "function",
        "handler_bytes",
        "handler_counts",
        "handler_seconds",
        "handler_values",
        "info",
        "init",
        "init_failures",
        "ledger",
        "levels",
        "limits",
        "loop_blocked",
        "memory_used",
        "near_s",
        "queue_wait",
        "scale_events",
        "starts",
        "threads_abandoned",
        "throttles",
        "triggers",
    )

    def __init__(
        self, function: Function, rate: Rate, levels: Callable[[], Levels], account_limit: int
    ) -> None:
        self.ledger = Ledger(rate, function.memory_mb)
        self.children = 0
        self.triggers: dict[str, TriggerStats] = {}
        self.duration = TracedHistogram(HANDLER_BOUNDS_S)
        self._deadline_used = Histogram(RATIO_BOUNDS)
        self.deadline_late = [0] * len(RATIO_BOUNDS)  # by bucket, the first left out
        self.deadline_base = 0.0, 0.0
        self.memory_used: Histogram | None = None
        self.from_zero: Histogram | None = None
        self.scale_events = {
            direction: dict.fromkeys(reasons, 0) for direction, reasons in FORESEEN_SCALING.items()
        }
        self.handler_counts: dict[str, dict[str, float]] = {}
        self.handler_values: dict[str, dict[str, float]] = {}
        self.handler_seconds: dict[str, dict[str, Histogram]] = {}
        self.handler_bytes: dict[str, dict[str, Histogram]] = {}
        self.describe(function, levels, account_limit)
        self.queue_wait = Histogram(QUEUE_WAIT_BOUNDS_S)
        self.init = Histogram(INIT_BOUNDS_S)
        self.throttles = dict.fromkeys(THROTTLE_REASONS, 0)
        self.starts = dict.fromkeys(START_KINDS, 0)
        self.cold_starts = 0
        self.init_failures = 0
        self.loop_blocked = 0
        self.blocked_s = 0.0
        self.threads_abandoned = 0
        for trigger in _foreseen_triggers(function):
            self.trigger(trigger)

    def describe(self, function: Function, levels: Callable[[], Levels], account_limit: int) -> None:
        """Take over the configuration: what the info and limit metrics show."""
        known = getattr(self, "function", function)
        self.deadline_base = self._deadline_sum(known.timeout_s), self.duration.sum
        self.near_s = function.timeout_s * RATIO_BOUNDS[0]
        self.function = function
        self.levels = levels
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
            self.children += 1
            known = self.triggers[name] = TriggerStats()
        return known

    def latency(self, trigger: TriggerStats) -> Histogram:
        """The latencies of a trigger, from now on shown."""
        self.children += 1
        trigger.latency = Histogram(HANDLER_BOUNDS_S)
        return trigger.latency

    def used_deadline(self, duration_s: float) -> None:
        """Count an invocation that used more of its timeout than the lowest bound says."""
        bucket = bisect_left(RATIO_BOUNDS, duration_s / self.function.timeout_s)
        if bucket:
            self.deadline_late[bucket - 1] += 1

    def use_memory(self, used_mb: int) -> None:
        """Count an invocation whose peak memory could be measured."""
        if self.memory_used is None:
            self.children += 1
            self.memory_used = Histogram(RATIO_BOUNDS)
        self.memory_used.observe(used_mb / self.function.memory_mb)

    def came_from_zero(self, took_s: float) -> None:
        """Count an event that found no environment."""
        if self.from_zero is None:
            self.children += 1
            self.from_zero = Histogram(FROM_ZERO_BOUNDS_S)
        self.from_zero.observe(took_s)

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


def _foreseen_triggers(function: Function) -> tuple[str, ...]:
    declared = tuple(event.get("type", OTHER) for event in function.events)
    # A function without events gets HTTP requests: every route, if it is the only one.
    return ("invoke", "direct", *(declared or ("http",)))


def _price_tree(sheet: PriceSheet) -> dict[str, dict[str, float]]:
    tree: dict[str, dict[str, float]] = {}
    for architecture, tiers in sheet.duration.items():
        provisioned = sheet.provisioned[architecture]
        prices = (
            sheet.request_usd,
            tiers[0].usd_per_gb_second,
            provisioned.standing_usd_per_gb_second,
            provisioned.duration_usd_per_gb_second,
            sheet.storage_usd_per_gb_second,
        )
        for item, usd in zip(PRICE_ITEMS, prices, strict=True):
            tree.setdefault(item, {})[architecture] = float(usd)
    return tree


class Stats:
    """All counters of one engine: an `Observer`.

    `began` and `ended` together take well under a microsecond (tests/bench/metrics_cost.py): attribute
    additions and two bisections, spelled out rather than called. Both expect a registered function.

    Attributes:
        functions: By name, in order of registration.
        label_cap: The functions after this many share the label `__other__` on the metrics page.
        account_limit: The account's concurrency limit.
        prices: US dollars by item and architecture.
        build: The version, Python and event loop that run, as nested keys.
        rejected: Events that no function got, by reason.
        loop_lag: How late the event loop woke up, seconds.
        scrape_failures: Pages that lack another collector's metrics because it raised.
        overflowed: Functions that came when every label value was taken.
        overhead: What the engine itself adds to the latency of a sample of answers, by trigger.
        handler_lines: Lines of handlers with metrics in them (EMF), by what became of them.
        budget_usd: What it may cost a month, or None.
        registrations: Changes whenever a function comes or goes.
    """

    def __init__(
        self,
        *,
        sheet: PriceSheet,
        account_limit: int,
        build: Mapping[str, str],
        label_cap: int = FUNCTION_LABEL_CAP,
        budget_usd: float | None = None,
    ) -> None:
        self.functions: dict[str, FunctionStats] = {}
        self.label_cap = label_cap
        self.account_limit = account_limit
        self.prices = _price_tree(sheet)
        self.build = {build["version"]: {build["python"]: {build["event_loop"]: 1}}}
        self.rejected = dict.fromkeys(REJECTIONS, 0)
        self.loop_lag = Histogram(LOOP_LAG_BOUNDS_S)
        self.overhead = {trigger: Histogram(OVERHEAD_BOUNDS_S) for trigger in CLIENT_TRIGGERS}
        self.handler_lines = dict.fromkeys(LINE_RESULTS, 0)
        self.budget_usd = budget_usd
        self.scrape_failures = 0
        self.overflowed = 0
        self.registrations = 0

    # ---------------------------------------------------------------- functions

    def register(self, function: Function, rate: Rate, levels: Callable[[], Levels]) -> FunctionStats:
        """Count `function` from now on. Registered again (its code changed), it keeps its counts."""
        self.registrations += 1
        stats = self.functions.get(function.name)
        if stats is None:
            stats = FunctionStats(function, rate, levels, self.account_limit)
            self.overflowed += len(self.functions) >= self.label_cap
            self.functions[function.name] = stats
            return stats
        if stats.ledger.rate != rate or stats.ledger.memory_mb != function.memory_mb:
            raise ValueError(f"{function.name}: a ledger has one price; unregister it first")
        stats.describe(function, levels, self.account_limit)
        for trigger in _foreseen_triggers(function):
            stats.trigger(trigger)
        return stats

    def unregister(self, name: str) -> None:
        """Forget a function with all its counts, so that its series end."""
        self.registrations += 1
        del self.functions[name]

    @property
    def labelled(self) -> list[FunctionStats]:
        """The functions with a label value of their own."""
        return list(self.functions.values())[: self.label_cap]

    @property
    def folded(self) -> list[FunctionStats]:
        """The functions that share `__other__`."""
        return list(self.functions.values())[self.label_cap :]

    # ---------------------------------------------------------------- Observer

    def began(self, invocation: Invocation, /) -> None:
        """It was handed to an environment."""
        event = invocation.event
        stats = self.functions[event.function]
        try:
            stats.triggers[event.trigger].began += 1
        except KeyError:
            stats.trigger(event.trigger).began += 1

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None:
        """It ended: count it, time it, bill it."""
        event = invocation.event
        stats = self.functions[event.function]
        # At once: reading the fields one by one takes three times as long.
        status, _, request_id, _, cold_start, wait_s, init_s, duration_s, billed_ms, memory_mb = outcome[:10]
        try:
            trigger = stats.triggers[event.trigger]
        except KeyError:
            trigger = stats.trigger(event.trigger)
        trigger.ended[status] += 1
        if cold_start:
            stats.cold_starts += 1
        if status is not _SUCCESS and status in _WITHOUT_DURATION:
            if outcome.ran:  # its environment never came up: no handler time to show, but init to bill
                stats.ledger.add(billed_ms, 0, round((init_s or 0.0) * 1e6))
            return
        duration = stats.duration
        bucket = bisect_left(HANDLER_BOUNDS_S, duration_s)
        duration.counts[bucket] += 1
        duration.sum += duration_s
        if bucket > _LAST_DULL_BUCKET:
            duration.exemplars[bucket] = duration_s, request_id, event.trace_id
        if duration_s > stats.near_s:
            stats.used_deadline(duration_s)
        histogram = trigger.latency or stats.latency(trigger)
        latency_s = duration_s + wait_s
        histogram.counts[bisect_left(HANDLER_BOUNDS_S, latency_s)] += 1
        histogram.sum += latency_s
        histogram = stats.queue_wait
        histogram.counts[bisect_left(QUEUE_WAIT_BOUNDS_S, wait_s) if wait_s > 0.0005 else 0] += 1
        histogram.sum += wait_s
        if memory_mb is not None:
            stats.use_memory(memory_mb)
        if init_s is None:
            stats.ledger.add(billed_ms, round(duration_s * 1e6))
        else:
            stats.ledger.add(billed_ms, round(duration_s * 1e6), round(init_s * 1e6))

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None:
        """It never ran: a throttle, or a cancellation because the engine closes."""
        stats = self.functions[event.function]
        trigger = stats.trigger(event.trigger)
        trigger.refused += 1
        if outcome.status is Status.THROTTLED:
            stats.throttles[reason if reason in stats.throttles else OTHER] += 1
        else:
            trigger.ended[outcome.status] += 1

    def noticed(self, notice: Notice, /) -> None:
        """Something rare. One about a function that is gone by now is let go."""
        stats = self.functions.get(notice.function)
        if stats is None:
            return
        match notice:
            case Initialised(init_s=init_s, provisioned=provisioned, error_type=error_type):
                stats.init.observe(init_s)
                stats.init_failures += error_type is not None
                stats.starts["provisioned" if provisioned else "on_demand"] += 1
            case LoopBlocked():
                stats.loop_blocked += 1
            case LoopReleased(blocked_s=blocked_s):
                stats.blocked_s += blocked_s
            case ThreadAbandoned():
                stats.threads_abandoned += 1

    # ---------------------------------------------------------------- Meter

    def scaled(self, function: str, direction: str, reason: str, /) -> None:
        """An environment more, or one fewer. One that outlives its function is let go."""
        stats = self.functions.get(function)
        if stats is not None:
            reasons = stats.scale_events[direction]
            stats.children += reason not in reasons
            reasons[reason] = reasons.get(reason, 0) + 1

    def came_from_zero(self, function: str, took_s: float, /) -> None:
        """An event that found no environment was answered."""
        stats = self.functions.get(function)
        if stats is not None:
            stats.came_from_zero(took_s)

    def answered(self, trigger: str, overhead_s: float, /) -> None:
        """What the engine added to one answer. Events that nobody waits for have no latency."""
        histogram = self.overhead.get(trigger)
        if histogram is not None:
            histogram.observe(overhead_s)

    # ---------------------------------------------------------------- facts without a function

    def reject(self, reason: str) -> None:
        """Count an event that no function got; `reason` is one of `vocabulary.REJECTIONS`."""
        self.rejected[reason if reason in self.rejected else OTHER] += 1

    def lagged(self, late_s: float) -> None:
        """Count one wake-up of the event loop that came `late_s` after its time."""
        self.loop_lag.observe(late_s)
