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
    FUNCTION_LABEL_CAP,
    HANDLER_BOUNDS_S,
    INIT_BOUNDS_S,
    LOOP_LAG_BOUNDS_S,
    OTHER,
    OUTCOMES,
    PRICE_ITEMS,
    QUEUE_WAIT_BOUNDS_S,
    REJECTIONS,
    START_KINDS,
    THROTTLE_REASONS,
)

_SUCCESS: Final = Status.SUCCESS
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
    """

    starting: int = 0
    idle: int = 0
    busy: int = 0
    in_flight: int = 0
    queued: int = 0


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


class TriggerStats:
    """What came by one trigger."""

    __slots__ = ("began", "ended", "refused")

    def __init__(self) -> None:
        self.began = 0
        self.refused = 0
        self.ended: dict[str, int] = dict.fromkeys(OUTCOMES, 0)

    @property
    def received(self) -> int:
        """Events for the function, throttled ones too; one that waits counts once its wait is over."""
        return self.began + self.refused


class FunctionStats:
    """All counts of one function. Every child that can be foreseen exists from the start, at 0."""

    __slots__ = (
        "blocked_s",
        "cold_starts",
        "duration",
        "function",
        "info",
        "init",
        "init_failures",
        "ledger",
        "levels",
        "limits",
        "loop_blocked",
        "queue_wait",
        "starts",
        "threads_abandoned",
        "throttles",
        "triggers",
    )

    def __init__(
        self, function: Function, rate: Rate, levels: Callable[[], Levels], account_limit: int
    ) -> None:
        self.describe(function, levels, account_limit)
        self.ledger = Ledger(rate, function.memory_mb)
        self.triggers: dict[str, TriggerStats] = {}
        self.duration = Histogram(HANDLER_BOUNDS_S)
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
        return self.triggers.setdefault(name, TriggerStats())


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
        registrations: Changes whenever a function comes or goes.
    """

    def __init__(
        self,
        *,
        sheet: PriceSheet,
        account_limit: int,
        build: Mapping[str, str],
        label_cap: int = FUNCTION_LABEL_CAP,
    ) -> None:
        self.functions: dict[str, FunctionStats] = {}
        self.label_cap = label_cap
        self.account_limit = account_limit
        self.prices = _price_tree(sheet)
        self.build = {build["version"]: {build["python"]: {build["event_loop"]: 1}}}
        self.rejected = dict.fromkeys(REJECTIONS, 0)
        self.loop_lag = Histogram(LOOP_LAG_BOUNDS_S)
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
        status = outcome.status
        try:
            stats.triggers[event.trigger].ended[status] += 1
        except KeyError:
            stats.trigger(event.trigger).ended[status] += 1
        if outcome.cold_start:
            stats.cold_starts += 1
        if status is not _SUCCESS and status in _WITHOUT_DURATION:
            if outcome.ran:  # its environment never came up: no handler time to show, but init to bill
                stats.ledger.add(outcome.billed_ms, 0, round((outcome.init_s or 0.0) * 1e6))
            return
        duration_s = outcome.duration_s
        histogram = stats.duration
        histogram.counts[bisect_left(HANDLER_BOUNDS_S, duration_s)] += 1
        histogram.sum += duration_s
        wait_s = outcome.queue_wait_s
        histogram = stats.queue_wait
        histogram.counts[bisect_left(QUEUE_WAIT_BOUNDS_S, wait_s) if wait_s > 0.0005 else 0] += 1
        histogram.sum += wait_s
        init_s = outcome.init_s
        if init_s is None:
            stats.ledger.add(outcome.billed_ms, round(duration_s * 1e6))
        else:
            stats.ledger.add(outcome.billed_ms, round(duration_s * 1e6), round(init_s * 1e6))

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

    # ---------------------------------------------------------------- facts without a function

    def reject(self, reason: str) -> None:
        """Count an event that no function got; `reason` is one of `vocabulary.REJECTIONS`."""
        self.rejected[reason if reason in self.rejected else OTHER] += 1

    def lagged(self, late_s: float) -> None:
        """Count one wake-up of the event loop that came `late_s` after its time."""
        self.loop_lag.observe(late_s)
