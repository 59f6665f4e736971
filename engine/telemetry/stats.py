"""Plain counters behind every metric, touched on the event loop only: no locks, no labels, no formatting."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import partial
from math import ceil, inf, log2
from typing import Final

from engine.core.billing import whole_us
from engine.core.delivery_counts import DeliveryCounts
from engine.core.engine_events import (
    CpuMeasured,
    EngineEvent,
    Held,
    Initialised,
    LoopBlocked,
    LoopReleased,
    NodeJoined,
    NodeLost,
    ThreadAbandoned,
)
from engine.core.event import Event
from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.core.lambda_prices import PriceSheet
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.core.retry import AsyncCounts
from engine.ports import Clock
from engine.telemetry.fine_classes import LEAST_S, LEAST_WAIT_S, PER_DOUBLING
from engine.telemetry.function_log import FunctionLog
from engine.telemetry.function_stats import DurableCounting, FunctionStats, Levels, foreseen_triggers
from engine.telemetry.histogram import (
    HANDLER_BOUNDS_S,
    LOOP_LAG_BOUNDS_S,
    OVERHEAD_BOUNDS_S,
    QUEUE_WAIT_BOUNDS_S,
    Bounds,
    Histogram,
    buckets_of_classes,
)
from engine.telemetry.label_values import (
    CLIENT_TRIGGERS,
    FUNCTION_LABEL_CAP,
    INIT_FAILURE_OF,
    LINE_RESULTS,
    OBSERVER_METHODS,
    OTHER,
    PRICE_ITEMS,
    REJECTIONS,
    STREAMS,
)
from engine.telemetry.mapping_readings import Mappings, Readings
from engine.telemetry.node_stats import Nodes
from engine.telemetry.recent_invocations import KEPT, KEPT_PER_S, RecentInvocations

_SUCCESS: Final = Status.SUCCESS
_LAST_DULL_BUCKET: Final = HANDLER_BOUNDS_S.index(0.01)  # up to 10 ms nobody asks which request it was
_PER_DOUBLING: Final = float(PER_DOUBLING)  # of the type of what it is multiplied with: 20 ns less
_BUCKET_OF: Final = buckets_of_classes(HANDLER_BOUNDS_S)
_UP_TO: Final[Bounds] = (*HANDLER_BOUNDS_S, inf)
_WITHOUT_DURATION: Final = frozenset({Status.CANCELLED, Status.INIT_ERROR})


def _keep_a_few_more(stats: FunctionStats) -> None:
    stats.successes_to_keep = max(stats.successes_to_keep, KEPT_PER_S)


def _init_failure(error_type: str) -> str:
    return INIT_FAILURE_OF.get(error_type, "other" if "." in error_type else "error")


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

    `began` and `ended` together take under a microsecond (tests/bench/metrics_cost.py, compiled): attribute
    additions and a logarithm, spelled out rather than called; a bucket follows from the class of a time, and
    is looked for only where a bound cuts that class. Both expect a registered function.

    Attributes:
        functions: By name, in order of registration.
        label_cap: The functions after this many share the label `__other__` on the metrics page.
        account_limit: The account's concurrency limit.
        prices: US dollars by item and architecture.
        build: The version, Python, event loop and build that run, as nested keys.
        rejected: Events that no function got, by reason.
        loop_lag: How late the event loop woke up, seconds.
        lines_dropped: Reads how many lines of output its reader did not take, by stream.
        observer_failures: What observers of users raised, by their method.
        scrape_failures: Pages that lack another collector's metrics because it raised.
        overflowed: Functions that came when every label value was taken.
        overhead: What the engine itself adds to the latency of a sample of answers, by trigger.
        handler_lines: Lines of handlers with metrics in them (EMF), by what became of them.
        budget_usd: What it may cost a month, or None.
        recent: The last invocations of each function.
        function_log: Gets the ends of invocations for the logs service; None if there is none.
        mappings: Where sources that poll say what they do.
        deliveries: Those of topics and event buses.
        nodes: Those of the cluster; none on one machine.
        registrations: Changes whenever a function comes or goes.
    """

    def __init__(
        self,
        *,
        sheet: PriceSheet,
        account_limit: int,
        build: Mapping[str, str],
        clock: Clock,
        later: Callable[[float, Callable[[], None]], object],
        label_cap: int = FUNCTION_LABEL_CAP,
        budget_usd: float | None = None,
    ) -> None:
        """`later` calls something in so many seconds; asked for that once a second and function at most."""
        self.functions: dict[str, FunctionStats] = {}
        self.listeners: dict[str, str] = {}
        self.label_cap = label_cap
        self.account_limit = account_limit
        self.prices = _price_tree(sheet)
        self.build = {build["version"]: {build["python"]: {build["event_loop"]: {build["build"]: 1}}}}
        self.rejected = dict.fromkeys(REJECTIONS, 0)
        self.loop_lag = Histogram(LOOP_LAG_BOUNDS_S)
        self.overhead = {trigger: Histogram(OVERHEAD_BOUNDS_S) for trigger in CLIENT_TRIGGERS}
        self.handler_lines = dict.fromkeys(LINE_RESULTS, 0)
        self.budget_usd = budget_usd
        self.observer_failures = dict.fromkeys(OBSERVER_METHODS, 0)
        self.scrape_failures = 0
        self.lines_dropped: Callable[[], Mapping[str, int]] = dict.fromkeys(STREAMS, 0).copy
        self.overflowed = 0
        self.mappings = Mappings()
        self.deliveries = DeliveryCounts()
        self.nodes = Nodes(clock.now)
        self.recent = RecentInvocations(clock)
        self.function_log: FunctionLog | None = None
        self.registrations = 0
        self._now = clock.now
        self._later = later
        self._next_number = 1  # so that a reader sees no number of a name twice
        self._sources: dict[str, tuple[str, ...]] = {}  # that the functions showed last

    # ---------------------------------------------------------------- functions

    def register(self, function: Function, rate: Rate, levels: Callable[[], Levels]) -> FunctionStats:
        """Count `function` from now on. Registered again (its code changed), it keeps its counts."""
        self.registrations += 1
        stats = self.functions.get(function.name)
        if stats is None:
            stats = FunctionStats(function, rate, levels, self.account_limit, self._now(), self._next_number)
            self.overflowed += len(self.functions) >= self.label_cap
            self.functions[function.name] = stats
            return stats
        if stats.ledger.rate != rate or stats.ledger.memory_mb != function.memory_mb:
            raise ValueError(f"{function.name}: a ledger has one price; unregister it first")
        stats.describe(function, levels, self.account_limit, self._now())
        for trigger in foreseen_triggers(function):
            stats.trigger(trigger)
        return stats

    def unregister(self, name: str) -> None:
        """Forget a function with all its counts, so that its series end."""
        self.registrations += 1
        self.recent.forget(name)
        self._next_number = max(self._next_number, self.functions.pop(name).numbers.stop)

    def count_durable(self, name: str, counts: DurableCounting) -> None:
        """Show what the durable executions of a function count, from now on, if it is there."""
        stats = self.functions.get(name)
        if stats is not None and stats.durable is not counts:
            stats.count_durable(counts)

    def async_counts(self, name: str) -> AsyncCounts:
        """The counters of a function's asynchronous events. Raises KeyError if there is no such function."""
        return self.functions[name].counts()

    def refresh(self) -> None:
        """Take over the levels, what others count, and what grows with time alone. Done at each scrape."""
        readings = self.readings()
        for one in self.functions.values():
            self.refresh_one(one, readings)

    def readings(self) -> Readings:
        """What mappings tell at the beginning of a scrape."""
        self.nodes.refresh()
        readings = self.mappings.read()
        sources = {name: tuple(of_function) for name, of_function in readings.items()}
        if sources != self._sources:  # not only how many there are: their names may have changed
            self._sources = sources
            self.registrations += 1
        return readings

    def refresh_one(self, one: FunctionStats, readings: Readings) -> None:
        """Take over the levels and readings of one function."""
        one.now = one.levels()
        if one.limits["provisioned"]:
            one.provision(one.function, self._now())
        one.mappings = found = readings.get(one.function.name, {})
        one.streams = {name: of.stream for name, of in found.items() if of.stream is not None}

    @property
    def labelled(self) -> list[FunctionStats]:
        """The functions with a label value of their own."""
        return list(self.functions.values())[: self.label_cap]

    @property
    def folded(self) -> list[FunctionStats]:
        """The functions that share `__other__`."""
        return list(self.functions.values())[self.label_cap :]

    @property
    def unreserved_in_use(self) -> int:
        """Concurrency in use by functions that have no reserved one, as the last scrape saw them."""
        unreserved = [one for one in self.functions.values() if one.function.reserved_concurrency is None]
        return sum([one.now.in_flight for one in unreserved])

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
        status, init_s = outcome.status, outcome.init_s
        duration_s, wait_s = outcome.duration_s, outcome.queue_wait_s
        try:
            trigger = stats.triggers[event.trigger]
        except KeyError:
            trigger = stats.trigger(event.trigger)
        if status is _SUCCESS:
            trigger.succeeded += 1
        else:
            trigger.ended[status] += 1
        if status is not _SUCCESS or stats.successes_to_keep or invocation.log is not None:
            self._keep(stats, invocation, outcome, error_type)
        if outcome.cold_start:
            stats.cold_starts += 1
        if invocation.node:
            self.nodes.ended(invocation.node, status, cold_start=outcome.cold_start)
        if status is not _SUCCESS and status in _WITHOUT_DURATION:
            if outcome.ran:  # its environment never came up: no handler time to show, but init to bill
                stats.ledger.add(outcome.billed_ms, 0, whole_us(init_s or 0.0))
            return
        duration = stats.duration
        duration.sum += duration_s
        bucket = 0
        if duration_s > LEAST_S:
            fine_class = ceil(_PER_DOUBLING * log2(duration_s))
            duration.fine[fine_class] += 1
            bucket = _BUCKET_OF.get(fine_class, -1)
            if bucket < 0:
                bucket = bisect_left(HANDLER_BOUNDS_S, duration_s)
        duration.counts[bucket] += 1
        if bucket > _LAST_DULL_BUCKET:
            duration.exemplars[bucket] = duration_s, outcome.request_id, event.trace_id
        if duration_s > stats.near_s:
            stats.used_deadline(duration_s)
        histogram = trigger.latency or stats.latency(event.trigger)
        latency_s = duration_s + wait_s
        if latency_s > _UP_TO[bucket]:
            bucket = bisect_left(HANDLER_BOUNDS_S, latency_s)
        histogram.counts[bucket] += 1
        histogram.sum += latency_s
        waits = stats.queue_wait
        waits.sum += wait_s
        if wait_s > LEAST_WAIT_S:
            waits.counts[bisect_left(QUEUE_WAIT_BOUNDS_S, wait_s)] += 1
            waits.fine[ceil(_PER_DOUBLING * log2(wait_s))] += 1
        else:
            waits.counts[0] += 1
        if outcome.max_memory_mb is not None:
            stats.use_memory(outcome.max_memory_mb)
        ledger, duration_us = stats.ledger, int(duration_s * 1e6 + 0.5)  # `whole_us` of it
        if init_s is None:
            ledger.requests += 1  # as `Ledger.add`, without the call
            ledger.billed_ms += outcome.billed_ms
            ledger.actual_us += duration_us
        else:
            ledger.add(outcome.billed_ms, duration_us, whole_us(init_s))

    def _keep(
        self, stats: FunctionStats, invocation: Invocation, outcome: Outcome, error_type: str | None
    ) -> None:
        """Before its duration is counted."""
        memory_mb = stats.function.memory_mb
        if outcome.status is _SUCCESS:
            if not stats.successes_to_keep:  # it has logged
                if self.function_log is not None:
                    self.function_log.ended(invocation, outcome, error_type, memory_mb)
                return
            stats.successes_to_keep -= 1
            if not stats.successes_to_keep:
                self._later(1.0, partial(_keep_a_few_more, stats))
        number = stats.numbers.stop
        if outcome.status in _WITHOUT_DURATION:
            stats.untimed += 1
        self.recent.add(number, invocation, outcome, error_type, memory_mb)
        if self.function_log is not None:
            self.function_log.ended(invocation, outcome, error_type, memory_mb)

    def keep_successes(self, name: str) -> None:
        """Keep `KEPT` more successes of `name`, which is read. Raises KeyError if there is none."""
        self.functions[name].successes_to_keep = KEPT

    def keep_successes_of_all(self) -> None:
        """The same of each function: a client reads what all have logged."""
        for one in self.functions.values():
            one.successes_to_keep = KEPT

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None:
        """It never ran: a throttle, or a cancellation because the engine closes."""
        stats = self.functions[event.function]
        trigger = stats.trigger(event.trigger)
        trigger.refused += 1
        if outcome.status is Status.THROTTLED:
            stats.throttles[reason if reason in stats.throttles else OTHER] += 1
        else:
            trigger.ended[outcome.status] += 1

    def noticed(self, notice: EngineEvent, /) -> None:
        """Something rare. One about a function that is gone by now is let go."""
        if isinstance(notice, NodeJoined | NodeLost):
            self.nodes.noticed(notice)
            return
        stats = self.functions.get(notice.function)
        if stats is None:
            return
        match notice:
            case Initialised(init_s=init_s, provisioned=provisioned, error_type=error_type):
                stats.init.observe(init_s)
                if error_type is not None:
                    stats.init_failures[_init_failure(error_type)] += 1
                stats.starts["provisioned" if provisioned else "on_demand"] += 1
            case Held(by=by):
                stats.held[by] += 1
            case CpuMeasured(got_s=got_s, promised_s=promised_s):
                stats.cpu_got_s += got_s
                stats.cpu_promised_s += promised_s
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
            reasons[reason] = reasons.get(reason, 0) + 1

    def wanted(self, function: str, count: int, /) -> None:
        """So many environments were asked for."""
        stats = self.functions.get(function)
        if stats is not None:
            stats.wanted += count

    def came_from_zero(self, function: str, took_s: float, /) -> None:
        """An event that found no environment was answered."""
        stats = self.functions.get(function)
        if stats is not None:
            stats.came_from_zero(took_s)

    def first_byte(self, function: str, after_s: float, /) -> None:
        """A streamed response began."""
        stats = self.functions.get(function)
        if stats is not None:
            stats.stream_began(after_s)

    def streamed(self, function: str, count: int, /) -> None:
        """A streamed response ended."""
        stats = self.functions.get(function)
        if stats is not None:
            stats.streamed_bytes += count

    def answered(self, trigger: str, overhead_s: float, /) -> None:
        """What the engine added to one answer. Events that nobody waits for have no latency."""
        histogram = self.overhead.get(trigger)
        if histogram is not None:
            histogram.observe(overhead_s)

    # ---------------------------------------------------------------- facts without a function

    def reject(self, reason: str) -> None:
        """Count an event that no function got; `reason` is one of `label_values.REJECTIONS`."""
        self.rejected[reason if reason in self.rejected else OTHER] += 1

    def dropped_recursive(self, function: str) -> None:
        """Count an invocation that was stopped because the function had called itself too often."""
        if (stats := self.functions.get(function)) is not None:
            stats.recursions_dropped += 1

    def watch_output(self, lines_dropped: Callable[[], Mapping[str, int]]) -> None:
        """Read there how many lines of output were dropped; the keys are `label_values.STREAMS`."""
        self.lines_dropped = lines_dropped

    def observer_failed(self, method: str) -> None:
        """Count an exception of an observer; `method` is one of `label_values.OBSERVER_METHODS`."""
        self.observer_failures[method] += 1

    def lagged(self, late_s: float) -> None:
        """Count one wake-up of the event loop that came `late_s` after its time."""
        self.loop_lag.observe(late_s)
