"""The table of all metrics: the page, the Collector, the documentation and the lint are made from it.

A new metric is one row here, and a counter in `stats`. Names follow Prometheus's conventions and pass
`promtool check metrics`; time is in seconds, money in dollars, and both are exact until they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Final, Literal

from engine.core.late_dataclass import dataclass
from engine.core.retry import AsyncCounts
from engine.telemetry.function_stats import FunctionStats
from engine.telemetry.histogram import (
    ASYNC_AGE_BOUNDS_S,
    BATCH_BOUNDS,
    BYTES_BOUNDS,
    DURABLE_BOUNDS_S,
    FIRST_BYTE_BOUNDS_S,
    FROM_ZERO_BOUNDS_S,
    HANDLER_BOUNDS_S,
    INIT_BOUNDS_S,
    LOOP_LAG_BOUNDS_S,
    OVERHEAD_BOUNDS_S,
    QUEUE_WAIT_BOUNDS_S,
    RATIO_BOUNDS,
    Histogram,
)
from engine.telemetry.label_values import LABEL_VALUES
from engine.telemetry.mapping_readings import StreamReading
from engine.telemetry.stats import Stats

Tree = float | Histogram | Mapping[str, "Tree"]
"""What a metric reads as: one value, or a dict for each further label, outermost label first.

An empty mapping: there is nothing to show yet. What was shown once is shown until the function goes.
"""

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
        sparse: Only some functions have it, and the others' number is an empty mapping.
        fixed: It changes only when a function is registered, so it need not be read at each scrape.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    of_function: Callable[[FunctionStats], Tree] | None = None
    of_engine: Callable[[Stats], Tree] | None = None
    bounds: tuple[float, ...] = ()
    folds: bool = True
    sparse: bool = False
    fixed: bool = False

    @property
    def family(self) -> str:
        """The name without `_total`: what OpenMetrics calls the family."""
        return self.name.removesuffix("_total")

    @property
    def unit(self) -> str:
        """The unit its name ends with, or nothing: an `_info` has none."""
        units = ("seconds", "dollars", "bytes", "ratio")
        return next((unit for unit in units if self.family.endswith(f"_{unit}")), "")


def _if_async(one: FunctionStats, read: Callable[[AsyncCounts], Mapping[str, int]]) -> Mapping[str, int]:
    """Nothing for a function that never had an asynchronous event."""
    return {} if one.asynchronous is None else read(one.asynchronous)


def _async_results(counts: AsyncCounts) -> Mapping[str, int]:
    return {  # spelled out: a scrape does this for every function
        "accepted": counts.accepted,
        "delivered": counts.delivered,
        "retried": counts.retried,
        "exhausted": counts.exhausted,
        "expired": counts.expired,
        "refused": counts.refused,
        "abandoned": counts.abandoned,
        "recursive": counts.recursive,
    }


def _waiting(one: FunctionStats) -> Mapping[str, int]:
    waiting = {"admission": one.now.queued}
    if one.asynchronous is not None:
        waiting["async"] = one.asynchronous.waiting
    if one.mappings:
        waiting["source"] = sum([mapping.backlog for mapping in one.mappings.values()])
    return waiting


def _oldest(one: FunctionStats) -> Mapping[str, float]:
    oldest = {"admission": one.now.oldest_wait_s}
    if one.asynchronous is not None:
        oldest["async"] = one.asynchronous.oldest_age_s()
    if one.mappings:
        oldest["source"] = max([mapping.oldest_age_s for mapping in one.mappings.values()])
    return oldest


def _of_streams(one: FunctionStats, read: Callable[[StreamReading], Tree]) -> Mapping[str, Tree]:
    """By mapping; nothing for those that read no stream."""
    streams = one.streams
    return {name: read(found) for name, found in streams.items()} if streams else {}


CATALOGUE: Final = (
    # Admission and handlers
    Metric(
        "engine_requests_received_total", "counter", ("function", "trigger"),
        "Events for a known function, throttled ones too, counted when they start or are refused.",
        lambda f: {name: t.began + t.refused for name, t in f.triggers.items()},
    ),
    Metric(
        "engine_requests_rejected_total", "counter", ("reason",),
        "Events that no function got.",
        of_engine=lambda s: s.rejected,
    ),
    Metric(
        "engine_observer_failures_total", "counter", ("method",),
        "Exceptions of observers that the configuration names; they go no further.",
        of_engine=lambda s: s.observer_failures,
    ),
    Metric(
        "engine_invocations_total", "counter", ("function", "trigger", "outcome"),
        "Invocations that ended; throttles are not among them.",
        attrgetter("ended"),
    ),
    Metric(
        "engine_throttles_total", "counter", ("function", "reason"),
        "Events refused for lack of concurrency.",
        attrgetter("throttles"),
    ),
    Metric(
        "engine_concurrency_in_use", "gauge", ("function",),
        "Concurrency in use as the limits count it.",
        attrgetter("now.in_flight"),
    ),
    Metric(
        "engine_unreserved_concurrency_in_use", "gauge", (),
        "Concurrency in use by functions without a reserved one: UnreservedConcurrentExecutions.",
        of_engine=lambda s: s.unreserved_in_use,
    ),
    Metric(
        "engine_concurrency_limit", "gauge", ("function", "kind"),
        "Limits of concurrency: reserved, provisioned, the maximum in force, and the account (no function).",
        attrgetter("limits"), lambda s: {"account": s.account_limit},
        folds=False,
        fixed=True,
    ),
    Metric(
        "engine_concurrency_ready", "gauge", ("function",),
        "Invocations that the environments which are up can run at a time.",
        attrgetter("now.ready"),
    ),
    Metric(
        "engine_concurrency_desired", "gauge", ("function",),
        "What it would take to run all that is there now, waiting events too; at least what is provisioned.",
        attrgetter("now.desired"),
    ),
    Metric(
        "engine_queue_depth", "gauge", ("function", "queue"),
        "What waits: admission for room to run, async for another attempt, source to be polled.",
        _waiting,
    ),
    Metric(
        "engine_queue_oldest_age_seconds", "gauge", ("function", "queue"),
        "How long what has waited longest has; async: since it was accepted.",
        _oldest,
        folds=False,
    ),
    Metric(
        "engine_queue_wait_seconds", "histogram", ("function",),
        "From received to handed to an environment, initialisation included.",
        attrgetter("queue_wait"),
        bounds=QUEUE_WAIT_BOUNDS_S,
    ),
    Metric(
        "engine_invocation_duration_seconds", "histogram", ("function",),
        "Time in the handler, without waiting and initialisation.",
        attrgetter("duration"),
        bounds=HANDLER_BOUNDS_S,
    ),
    Metric(
        "engine_request_latency_seconds", "histogram", ("function", "trigger"),
        "From received to the end of the handler: waiting, initialisation and handler.",
        attrgetter("latencies"),
        bounds=HANDLER_BOUNDS_S,
    ),
    Metric(
        "engine_time_to_first_byte_seconds", "histogram", ("function",),
        "From received to the first piece of a response that the handler streams.",
        lambda f: {} if f.first_byte is None else f.first_byte,
        bounds=FIRST_BYTE_BOUNDS_S,
        sparse=True,
    ),
    Metric(
        "engine_streamed_bytes_total", "counter", ("function",),
        "Bytes that handlers wrote into streamed responses, counted when these end.",
        lambda f: {} if f.first_byte is None else f.streamed_bytes,
        sparse=True,
    ),
    Metric(
        "engine_overhead_seconds", "histogram", ("trigger",),
        "What the engine itself adds to an answer, waiting and handler left out; a sample of all answers.",
        of_engine=lambda s: s.overhead,
        bounds=OVERHEAD_BOUNDS_S,
    ),
    Metric(
        "engine_deadline_used_ratio", "histogram", ("function",),
        "Time in the handler divided by the timeout.",
        attrgetter("deadline_used"),
        bounds=RATIO_BOUNDS,
    ),
    Metric(
        "engine_memory_used_ratio", "histogram", ("function",),
        "Peak memory divided by configured memory, where the executor can measure it.",
        lambda f: {} if f.memory_used is None else f.memory_used,
        bounds=RATIO_BOUNDS,
    ),
    Metric(
        "engine_cpu_law_seconds_total", "counter", ("function", "kind"),
        "CPU of environments under Lambda's CPU law: promised and of use to them, and got of it.",
        lambda f: {"promised": f.cpu_promised_s, "got": f.cpu_got_s} if f.cpu_promised_s else {},
    ),
    # Environments
    Metric(
        "engine_environments", "gauge", ("function", "state"),
        "Environments by state; pending ones wait for their turn to initialise.",
        lambda f: {
            "pending": f.now.pending,
            "starting": f.now.starting,
            "idle": f.now.idle,
            "busy": f.now.busy,
        },
    ),
    Metric(
        "engine_environments_wanted_total", "counter", ("function",),
        "Environments Lambda would have made: for events that found none free, and provisioned.",
        attrgetter("wanted"),
    ),
    Metric(
        "engine_environment_starts_total", "counter", ("function", "kind"),
        "Initialisations that ended, well or not.",
        attrgetter("starts"),
    ),
    Metric(
        "engine_cold_starts_total", "counter", ("function",),
        "Invocations that waited for an environment to initialise.",
        attrgetter("cold_starts"),
    ),
    Metric(
        "engine_init_duration_seconds", "histogram", ("function",),
        "Initialisation of an environment, failed ones too.",
        attrgetter("init"),
        bounds=INIT_BOUNDS_S,
    ),
    Metric(
        "engine_init_failures_total", "counter", ("function", "reason"),
        "Initialisations that failed.",
        attrgetter("init_failures"),
    ),
    Metric(
        "engine_scale_events_total", "counter", ("function", "direction", "reason"),
        "Environments that came (up) or went (down; to_zero for the last one).",
        attrgetter("scale_events"),
    ),
    Metric(
        "engine_scale_from_zero_seconds", "histogram", ("function",),
        "From received to answered, of events that found no environment at all.",
        lambda f: {} if f.from_zero is None else f.from_zero,
        bounds=FROM_ZERO_BOUNDS_S,
    ),
    # Asynchronous events, and mappings
    Metric(
        "engine_async_events_total", "counter", ("function", "result"),
        "Asynchronous events, by what became of them; retried counts attempts.",
        lambda f: _if_async(f, _async_results),
    ),
    Metric(
        "engine_async_event_age_seconds", "histogram", ("function",),
        "How long ago an asynchronous event was accepted, at each attempt.",
        lambda f: f.async_age or {},
        bounds=ASYNC_AGE_BOUNDS_S,
    ),
    Metric(
        "engine_dead_letters_total", "counter", ("function", "result"),
        "Asynchronous events that went to a dead-letter queue, or could not.",
        lambda f: _if_async(f, lambda c: {"delivered": c.dead_letters, "failed": c.dead_letters_failed}),
    ),
    Metric(
        "engine_destination_deliveries_total", "counter", ("function", "result"),
        "Records of asynchronous events that went to a destination, or could not.",
        lambda f: _if_async(f, lambda c: {"delivered": c.destinations, "failed": c.destinations_failed}),
    ),
    Metric(
        "engine_source_records_total", "counter", ("function", "source", "result"),
        "Messages and records that mappings polled, by what became of them; "
        "delivered and failed count attempts, deleted is of queues.",
        lambda f: {name: one.records for name, one in f.mappings.items()},
    ),
    Metric(
        "engine_source_batch_records", "histogram", ("function", "source"),
        "Messages in the batches that mappings sent.",
        lambda f: {
            name: Histogram.of(BATCH_BOUNDS, one.batches, one.batched) for name, one in f.mappings.items()
        },
        bounds=BATCH_BOUNDS,
    ),
    Metric(
        "engine_source_oldest_age_seconds", "gauge", ("function", "source"),
        "How long ago the oldest message that waits to be polled was sent.",
        lambda f: {name: one.oldest_age_s for name, one in f.mappings.items()},
        folds=False,
    ),
    Metric(
        "engine_source_pollers", "gauge", ("function", "source"),
        "Batches that a mapping may run at a time, as its scaling policy wants it.",
        lambda f: {name: one.pollers for name, one in f.mappings.items()},
    ),
    Metric(
        "engine_source_batches_running", "gauge", ("function", "source"),
        "Batches of a mapping that run, or wait for concurrency.",
        lambda f: {name: one.running for name, one in f.mappings.items()},
    ),
    # Mappings of streams
    Metric(
        "engine_stream_iterator_age_seconds", "gauge", ("function", "source"),
        "How old the last record of the batch of a stream that ended last was then: IteratorAge.",
        lambda f: _of_streams(f, attrgetter("iterator_age_s")),
        folds=False,
    ),
    Metric(
        "engine_stream_records_total", "counter", ("function", "source", "fate"),
        "Records that mappings of streams read, and what became of them in the end.",
        lambda f: _of_streams(f, attrgetter("records")),
    ),
    Metric(
        "engine_stream_batches_total", "counter", ("function", "source", "outcome"),
        "Attempts to invoke with a batch of a stream: succeeded, failed, partial, or throttled.",
        lambda f: _of_streams(f, attrgetter("batches")),
    ),
    Metric(
        "engine_stream_bisects_total", "counter", ("function", "source"),
        "Batches of streams that were split in two after an error.",
        lambda f: _of_streams(f, attrgetter("bisects")),
    ),
    Metric(
        "engine_stream_blocked_shards", "gauge", ("function", "source"),
        "Shards, or parts of one, whose batch failed or was throttled and is to be tried again.",
        lambda f: _of_streams(f, attrgetter("blocked")),
    ),
    Metric(
        "engine_stream_shards", "gauge", ("function", "source", "state"),
        "Shards that are read (open), wait for their parents (held), or are done with (finished).",
        lambda f: _of_streams(f, attrgetter("shards")),
    ),
    Metric(
        "engine_stream_discard_deliveries_total", "counter", ("function", "source", "result"),
        "Records of discarded batches that went to an on-failure destination, or could not.",
        lambda f: _of_streams(f, attrgetter("deliveries")),
    ),
    Metric(
        "engine_stream_lost_windows_total", "counter", ("function", "source"),
        "Tumbling windows whose last invocation was given up: nobody has their state.",
        lambda f: _of_streams(f, attrgetter("lost_windows")),
    ),
    # Topics and event buses: nothing of it is there before the first delivery
    Metric(
        "engine_bus_deliveries_total", "counter", ("service", "target", "outcome"),
        "Deliveries of topics, buses and log subscriptions, by what became of them; retried counts attempts.",
        of_engine=lambda s: s.deliveries.ended,
    ),
    Metric(
        "engine_bus_deliveries_waiting", "gauge", ("service",),
        "Deliveries of topics, buses and log subscriptions that wait for an attempt.",
        of_engine=lambda s: s.deliveries.waiting,
    ),
    # Durable executions
    Metric(
        "engine_durable_executions_started_total", "counter", ("function",),
        "Durable executions started: DurableExecutionStarted.",
        lambda f: {} if f.durable is None else f.durable.started,
        sparse=True,
    ),
    Metric(
        "engine_durable_executions_ended_total", "counter", ("function", "status"),
        "Durable executions that ended: DurableExecutionSucceeded, -Failed, -TimedOut, -Stopped.",
        lambda f: {} if f.durable is None else f.durable.ended,
    ),
    Metric(
        "engine_durable_executions", "gauge", ("function", "state"),
        "Durable executions that have not ended; while one is running, an invocation runs.",
        lambda f: {} if f.durable is None else f.durable.now,
    ),
    Metric(
        "engine_durable_oldest_age_seconds", "gauge", ("function",),
        "How long ago the oldest durable execution was started that has not ended.",
        lambda f: {} if f.durable is None else f.durable.oldest_age_s,
        sparse=True,
        folds=False,
    ),
    Metric(
        "engine_durable_execution_duration_seconds", "histogram", ("function",),
        "Durable executions from start to end, waits and pauses included: DurableExecutionDuration.",
        lambda f: {} if f.durable_took is None else f.durable_took,
        bounds=DURABLE_BOUNDS_S,
    ),
    Metric(
        "engine_durable_operations_total", "counter", ("function",),
        "Operations of durable executions, each retry counted: DurableExecutionOperations.",
        lambda f: {} if f.durable is None else f.durable.operations,
        sparse=True,
    ),
    Metric(
        "engine_durable_written_bytes_total", "counter", ("function",),
        "Bytes that durable executions wrote, inputs included: DurableExecutionStorageWrittenBytes.",
        lambda f: {} if f.durable is None else f.durable.bytes_written,
        sparse=True,
    ),
    # Money
    Metric(
        "engine_billed_seconds_total", "counter", ("function",),
        "Billed time, each invocation rounded up to a millisecond.",
        lambda f: f.ledger.billed_ms / 1000,
    ),
    Metric(
        "engine_billed_gigabyte_seconds_total", "counter", ("function",),
        "Billed time multiplied by configured memory.",
        lambda f: f.ledger.billed_ms * f.ledger.memory_mb / 1_024_000,
    ),
    Metric(
        "engine_cost_dollars_total", "counter", ("function", "component"),
        "What it would have cost on AWS, at tier-1 prices and without the free tier.",
        lambda f: f.dollars(),
    ),
    Metric(
        "engine_billing_rounding_seconds_total", "counter", ("function",),
        "Billed time minus actual time.",
        lambda f: f.ledger.rounding_us / 1_000_000,
    ),
    Metric(
        "engine_provisioned_gigabyte_seconds_total", "counter", ("function",),
        "Provisioned concurrency multiplied by memory and by the time it stood, used or not.",
        attrgetter("provisioned_gb_s"),
    ),
    Metric(
        "engine_price_dollars", "gauge", ("item", "architecture"),
        "Prices in force.",
        of_engine=lambda s: s.prices,
        fixed=True,
    ),
    Metric(
        "engine_budget_dollars", "gauge", ("period",),
        "What it may cost, where the configuration says so.",
        of_engine=lambda s: {} if s.budget_usd is None else {"month": s.budget_usd},
    ),
    # Metrics in the log lines of handlers (EMF)
    Metric(
        "engine_handler_metric_total", "counter", ("function", "namespace", "metric"),
        "Sums of the Count metrics that handlers log in the embedded metric format.",
        attrgetter("handler_counts"),
    ),
    Metric(
        "engine_handler_metric_value", "gauge", ("function", "namespace", "metric"),
        "Last values of metrics that handlers log with another unit than a count, a time or a size.",
        attrgetter("handler_values"),
        folds=False,
    ),
    Metric(
        "engine_handler_metric_seconds", "histogram", ("function", "namespace", "metric"),
        "Times that handlers log in the embedded metric format.",
        attrgetter("handler_seconds"),
        bounds=HANDLER_BOUNDS_S,
    ),
    Metric(
        "engine_handler_metric_bytes", "histogram", ("function", "namespace", "metric"),
        "Sizes that handlers log in the embedded metric format.",
        attrgetter("handler_bytes"),
        bounds=BYTES_BOUNDS,
    ),
    Metric(
        "engine_handler_metric_lines_total", "counter", ("result",),
        "Log lines with embedded metrics, by what became of them.",
        of_engine=lambda s: s.handler_lines,
    ),
    # The nodes of a cluster: nothing of it is there on one machine
    Metric(
        "engine_node_up", "gauge", ("node",),
        "1 while the node is there, 0 for an hour after it was lost; gone if it left in good order.",
        of_engine=lambda s: {n: one.up for n, one in s.nodes.shown.items() if one.up is not None},
    ),
    Metric(
        "engine_node_joins_total", "counter", ("node",),
        "Times the node joined the cluster.",
        of_engine=lambda s: {name: one.joins for name, one in s.nodes.shown.items()},
    ),
    Metric(
        "engine_node_losses_total", "counter", ("node", "reason"),
        "Times the node was there no more, by reason.",
        of_engine=lambda s: {name: one.losses for name, one in s.nodes.shown.items()},
    ),
    Metric(
        "engine_node_environments", "gauge", ("node", "state"),
        "Environments of all functions on the node, by state.",
        of_engine=lambda s: s.nodes.environments(s.functions.values()),
    ),
    Metric(
        "engine_node_invocations_total", "counter", ("node", "outcome"),
        "Invocations that ended on the node.",
        of_engine=lambda s: {name: one.ended for name, one in s.nodes.shown.items()},
    ),
    Metric(
        "engine_node_cold_starts_total", "counter", ("node",),
        "Invocations on the node that waited for an environment to initialise.",
        of_engine=lambda s: {name: one.cold_starts for name, one in s.nodes.shown.items()},
    ),
    Metric(
        "engine_node_heartbeat_age_seconds", "gauge", ("node",),
        "How long ago the last frame of the node came.",
        of_engine=lambda s: s.nodes.read(lambda reading: reading.silent_s),
    ),
    Metric(
        "engine_node_round_trip_seconds", "gauge", ("node",),
        "How long the node's answer to the last heartbeat took.",
        of_engine=lambda s: s.nodes.read(lambda reading: reading.round_trip_s),
    ),
    Metric(
        "engine_node_load", "gauge", ("node",),
        "CPUs that are at work on the node, by its last heartbeat.",
        of_engine=lambda s: s.nodes.read(lambda reading: reading.load),
    ),
    Metric(
        "engine_node_cores", "gauge", ("node",),
        "CPUs that environments may use on the node.",
        of_engine=lambda s: s.nodes.described(lambda node: node.cores),
    ),
    Metric(
        "engine_node_free_memory_bytes", "gauge", ("node",),
        "Memory that is free on the node, by its last heartbeat.",
        of_engine=lambda s: s.nodes.read(lambda reading: reading.free_memory_mb * 1_048_576),
    ),
    Metric(
        "engine_node_memory_bytes", "gauge", ("node",),
        "Memory that environments may use on the node.",
        of_engine=lambda s: s.nodes.described(lambda node: node.memory_mb * 1_048_576),
    ),
    Metric(
        "engine_node_info", "gauge", ("node", "address", "python", "version"),
        "Always 1; where the node is and what its agent runs, to join with.",
        of_engine=lambda s: s.nodes.described(lambda n: {n.host: {n.python: {n.version: 1}}}),
    ),
    # The engine's own health
    Metric(
        "engine_environments_held_total", "counter", ("function", "reason"),
        "Environments that were not started before the machine had room for them, by what was short.",
        attrgetter("held"),
    ),
    Metric(
        "engine_event_loop_lag_seconds", "histogram", (),
        "How late the event loop wakes up.",
        of_engine=lambda s: s.loop_lag,
        bounds=LOOP_LAG_BOUNDS_S,
    ),
    Metric(
        "engine_loop_blocked_total", "counter", ("function",),
        "Times a handler held the event loop.",
        attrgetter("loop_blocked"),
    ),
    Metric(
        "engine_loop_blocked_seconds_total", "counter", ("function",),
        "Time for which a handler held the event loop.",
        attrgetter("blocked_s"),
    ),
    Metric(
        "engine_threads_abandoned_total", "counter", ("function",),
        "Threads that ignored their deadline and live on.",
        attrgetter("threads_abandoned"),
    ),
    Metric(
        "engine_recursive_invocations_dropped_total", "counter", ("function",),
        "Invocations stopped because the function had called itself too often.",
        attrgetter("recursions_dropped"),
    ),
    Metric(
        "engine_output_lines_dropped_total", "counter", ("stream",),
        "Lines written to standard output or standard error that their reader did not take in time.",
        of_engine=lambda s: s.lines_dropped(),
    ),
    Metric(
        "engine_label_overflow_total", "counter", ("label",),
        "Names that got no label value of their own and share __other__.",
        of_engine=lambda s: {
            "function": s.overflowed,
            "source": s.mappings.overflowed,
            **({"node": s.nodes.overflowed} if s.nodes.shown else {}),
        },
    ),
    Metric(
        "engine_scrape_failures_total", "counter", (),
        "Pages that lack the metrics of another collector because it raised.",
        of_engine=lambda s: s.scrape_failures,
    ),
    Metric(
        "engine_function_info", "gauge", ("function", "memory_mb", "timeout_seconds", "architecture"),
        "Always 1; the configuration of a function, to join with.",
        attrgetter("info"),
        folds=False,
        fixed=True,
    ),
    Metric(
        "engine_build_info", "gauge", ("version", "python", "event_loop", "build"),
        "Always 1; what runs here.",
        of_engine=lambda s: s.build,
        fixed=True,
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
