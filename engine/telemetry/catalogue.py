"""The table of all metrics: the page, the Collector, the documentation and the lint are made from it.

A new metric is one row here, and a counter in `stats`. Names follow Prometheus's conventions and pass
`promtool check metrics`; time is in seconds, money in dollars, and both are exact until they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from engine.telemetry.stats import FunctionStats, Histogram, Levels, Stats
from engine.telemetry.vocabulary import (
    HANDLER_BOUNDS_S,
    INIT_BOUNDS_S,
    LABEL_VALUES,
    LOOP_LAG_BOUNDS_S,
    QUEUE_WAIT_BOUNDS_S,
)

Tree = float | Histogram | Mapping[str, "Tree"]
"""What a metric reads as: one value, or a mapping for each further label, outermost label first."""

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row. Labels after `function` are the levels of the tree that is read.

    Attributes:
        name: As on the page, `_total` included.
        kind: Counter, gauge or histogram.
        labels: Label names; `function` first, where there is one.
        help: One sentence.
        of_function: Reads it for one function, or None if it is the engine's.
        of_engine: Reads what has no function, or None. Its children lack the `function` label.
        bounds: Upper bounds of the buckets, in the unit of the metric; +Inf is understood.
        folds: Whether functions above the label cap may be added up into `__other__`.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    of_function: Callable[[FunctionStats, Levels], Tree] | None = None
    of_engine: Callable[[Stats], Tree] | None = None
    bounds: tuple[float, ...] = ()
    folds: bool = True

    @property
    def family(self) -> str:
        """The name without `_total`: what OpenMetrics calls the family."""
        return self.name.removesuffix("_total")

    @property
    def unit(self) -> str:
        """The unit its name ends with, or nothing: an `_info` has none."""
        return next((unit for unit in ("seconds", "dollars") if self.family.endswith(f"_{unit}")), "")


CATALOGUE: Final = (
    # Admission and handlers
    Metric(
        "engine_requests_received_total", "counter", ("function", "trigger"),
        "Events for a known function, throttled ones too, counted when they start or are refused.",
        lambda f, _: {name: t.received for name, t in f.triggers.items()},
    ),
    Metric(
        "engine_requests_rejected_total", "counter", ("reason",),
        "Events that no function got.",
        of_engine=lambda s: s.rejected,
    ),
    Metric(
        "engine_invocations_total", "counter", ("function", "trigger", "outcome"),
        "Invocations that ended; throttles are not among them.",
        lambda f, _: {name: t.ended for name, t in f.triggers.items()},
    ),
    Metric(
        "engine_throttles_total", "counter", ("function", "reason"),
        "Events refused for lack of concurrency.",
        lambda f, _: f.throttles,
    ),
    Metric(
        "engine_concurrency_in_use", "gauge", ("function",),
        "Concurrency in use as the limits count it.",
        lambda _, now: now.in_flight,
    ),
    Metric(
        "engine_concurrency_limit", "gauge", ("function", "kind"),
        "Limits of concurrency: reserved, provisioned, the maximum in force, and the account (no function).",
        lambda f, _: f.limits, lambda s: {"account": s.account_limit},
        folds=False,
    ),
    Metric(
        "engine_queue_depth", "gauge", ("function", "queue"),
        "Events that wait for an environment or for a limit.",
        lambda _, now: {"admission": now.queued},
    ),
    Metric(
        "engine_queue_wait_seconds", "histogram", ("function",),
        "From received to handed to an environment, initialisation included.",
        lambda f, _: f.queue_wait,
        bounds=QUEUE_WAIT_BOUNDS_S,
    ),
    Metric(
        "engine_invocation_duration_seconds", "histogram", ("function",),
        "Time in the handler, without waiting and initialisation.",
        lambda f, _: f.duration,
        bounds=HANDLER_BOUNDS_S,
    ),
    # Environments
    Metric(
        "engine_environments", "gauge", ("function", "state"),
        "Environments by state.",
        lambda _, now: {"starting": now.starting, "idle": now.idle, "busy": now.busy},
    ),
    Metric(
        "engine_environment_starts_total", "counter", ("function", "kind"),
        "Initialisations that ended, well or not.",
        lambda f, _: f.starts,
    ),
    Metric(
        "engine_cold_starts_total", "counter", ("function",),
        "Invocations that waited for an environment to initialise.",
        lambda f, _: f.cold_starts,
    ),
    Metric(
        "engine_init_duration_seconds", "histogram", ("function",),
        "Initialisation of an environment, failed ones too.",
        lambda f, _: f.init,
        bounds=INIT_BOUNDS_S,
    ),
    Metric(
        "engine_init_failures_total", "counter", ("function",),
        "Initialisations that failed.",
        lambda f, _: f.init_failures,
    ),
    # Money
    Metric(
        "engine_billed_seconds_total", "counter", ("function",),
        "Billed time, each invocation rounded up to a millisecond.",
        lambda f, _: f.ledger.billed_ms / 1000,
    ),
    Metric(
        "engine_billed_gigabyte_seconds_total", "counter", ("function",),
        "Billed time multiplied by configured memory.",
        lambda f, _: f.ledger.billed_ms * f.ledger.memory_mb / 1_024_000,
    ),
    Metric(
        "engine_cost_dollars_total", "counter", ("function", "component"),
        "What it would have cost on AWS, at tier-1 prices and without the free tier.",
        lambda f, _: f.ledger.dollars(),
    ),
    Metric(
        "engine_billing_rounding_seconds_total", "counter", ("function",),
        "Billed time minus actual time.",
        lambda f, _: f.ledger.rounding_us / 1_000_000,
    ),
    Metric(
        "engine_price_dollars", "gauge", ("item", "architecture"),
        "Prices in force.",
        of_engine=lambda s: s.prices,
    ),
    # The engine's own health
    Metric(
        "engine_event_loop_lag_seconds", "histogram", (),
        "How late the event loop wakes up.",
        of_engine=lambda s: s.loop_lag,
        bounds=LOOP_LAG_BOUNDS_S,
    ),
    Metric(
        "engine_loop_blocked_total", "counter", ("function",),
        "Times a handler held the event loop.",
        lambda f, _: f.loop_blocked,
    ),
    Metric(
        "engine_loop_blocked_seconds_total", "counter", ("function",),
        "Time for which a handler held the event loop.",
        lambda f, _: f.blocked_s,
    ),
    Metric(
        "engine_threads_abandoned_total", "counter", ("function",),
        "Threads that ignored their deadline and live on.",
        lambda f, _: f.threads_abandoned,
    ),
    Metric(
        "engine_label_overflow_total", "counter", ("label",),
        "Names that got no label value of their own and share __other__.",
        of_engine=lambda s: {"function": s.overflowed},
    ),
    Metric(
        "engine_scrape_failures_total", "counter", (),
        "Pages that lack the metrics of another collector because it raised.",
        of_engine=lambda s: s.scrape_failures,
    ),
    Metric(
        "engine_function_info", "gauge", ("function", "memory_mb", "timeout_seconds", "architecture"),
        "Always 1; the configuration of a function, to join with.",
        lambda f, _: f.info,
        folds=False,
    ),
    Metric(
        "engine_build_info", "gauge", ("version", "python", "event_loop"),
        "Always 1; what runs here.",
        of_engine=lambda s: s.build,
    ),
)  # fmt: skip
"""Every metric, in the order of the page."""


def metrics_table() -> str:
    """The table of docs/operations.md, in Markdown."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels) or '–'} | {metric.help} |"
        for metric in CATALOGUE
    ]
    return "\n".join(("| name | type | labels | meaning |", "|---|---|---|---|", *rows))


def labels_table() -> str:
    """The closed labels and their values, in Markdown."""
    rows = [f"| `{label}` | {', '.join(values)} |" for label, values in LABEL_VALUES.items()]
    return "\n".join(("| label | values |", "|---|---|", *rows))
