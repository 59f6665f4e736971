"""Dashboard B, Handler performance: rates, errors, latencies, what the engine adds, and what handlers say."""

from __future__ import annotations

from typing import Final

from grafana.src.board import (
    BYTES,
    CLUSTER,
    FUNCTION,
    INSTANCE,
    JOB,
    NUMBER,
    PER_S,
    RESTART,
    SECONDS,
    SHARE,
    Board,
    Panel,
    PanelRow,
    Query,
)
from grafana.src.promql import RANGE, increase, level, mean, quantile, rate
from grafana.src.streams import STREAMS

_SUCCESS: Final = 'outcome="success"'
_DURATION: Final = "engine_invocation_duration_seconds"
_IN_TIME: Final = 'le="0.9"'


def _error_ratio(by: str = "") -> str:
    """One minus successes over all; also right for a function that has had no success yet."""
    every = rate("engine_invocations_total", by=by)
    good = rate("engine_invocations_total", _SUCCESS, by=by)
    return f"1 - ({good} or 0 * {every}) / ({every} > 0)"


_OVERVIEW: Final = PanelRow(
    "Overview",
    (
        Panel(
            "Invocations",
            "Ended a second. Throttled events are not among them, as in CloudWatch.",
            "stat",
            (Query(rate("engine_invocations_total"), "invocations"),),
            unit=PER_S,
            width=6,
            height=5,
        ),
        Panel(
            "Errors",
            "Share that did not end in success: exceptions, timeouts, crashes, failed initialisations.",
            "stat",
            (Query(_error_ratio(), "errors"),),
            unit=SHARE,
            width=6,
            height=5,
            thresholds=(0.001, 0.01),
        ),
        Panel(
            "Duration, p99",
            "Time in the handler, interpolated inside a bucket.",
            "stat",
            (Query(quantile(0.99, "engine_invocation_duration_seconds"), "p99"),),
            unit=SECONDS,
            width=6,
            height=5,
        ),
        Panel(
            "Running now",
            "Concurrency in use.",
            "stat",
            (Query(level("engine_concurrency_in_use"), "in use"),),
            width=6,
            height=5,
        ),
    ),
)

_RATES: Final = PanelRow(
    "Rates and errors",
    (
        Panel(
            "Invocations by function",
            "Ended a second.",
            "timeseries",
            (Query(rate("engine_invocations_total", by="function")),),
            unit=PER_S,
            width=8,
        ),
        Panel(
            "Error ratio",
            "Share of the invocations of a function that did not end in success.",
            "timeseries",
            (Query(_error_ratio("function")),),
            unit=SHARE,
            width=8,
        ),
        Panel(
            "Failures by outcome",
            "The handler's own errors, and what the platform ended.",
            "timeseries",
            (
                Query(
                    rate("engine_invocations_total", 'outcome!="success"', by="function,outcome") + " > 0",
                    "{{function}} {{outcome}}",
                ),
            ),
            unit=PER_S,
            width=8,
            stacked=True,
        ),
    ),
)

_LATENCY: Final = PanelRow(
    "Latency",
    (
        Panel(
            "Duration",
            "Time in the handler: percentiles, interpolated inside a bucket, and the exact mean.",
            "timeseries",
            (
                Query(quantile(0.5, "engine_invocation_duration_seconds", by="function"), "{{function}} p50"),
                Query(
                    quantile(0.95, "engine_invocation_duration_seconds", by="function"), "{{function}} p95"
                ),
                Query(
                    quantile(0.99, "engine_invocation_duration_seconds", by="function"), "{{function}} p99"
                ),
                Query(
                    mean("engine_invocation_duration_seconds", by="function"),
                    "{{function}} mean",
                    dashed=True,
                ),
            ),
            unit=SECONDS,
            height=9,
        ),
        Panel(
            "Distribution",
            "How many invocations took how long. Points are single requests, where exemplars are kept.",
            "heatmap",
            (
                Query(
                    increase("engine_invocation_duration_seconds", by="le", part="_bucket"),
                    "{{le}}",
                ),
            ),
            unit=SECONDS,
            height=9,
        ),
        Panel(
            "Latency by trigger, p95",
            "From received to the end of the handler: waiting, initialisation and handler.",
            "timeseries",
            (
                Query(
                    quantile(0.95, "engine_request_latency_seconds", by="function,trigger"),
                    "{{function}} by {{trigger}}",
                ),
            ),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "What the engine adds, p99",
            "To an answer, waiting and handler left out; measured on a sample of all answers.",
            "timeseries",
            (Query(quantile(0.99, "engine_overhead_seconds", by="trigger"), "{{trigger}}"),),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "Share of the engine",
            "What the engine adds to a mean answer, as a share of the mean latency.",
            "timeseries",
            (
                Query(
                    f"({mean('engine_overhead_seconds', by='trigger')}) / "
                    f"({mean('engine_request_latency_seconds', by='trigger')})",
                    "{{trigger}}",
                ),
            ),
            unit=SHARE,
            width=8,
        ),
        Panel(
            "Time to first byte",
            "From received to the first piece of a response that the handler streams.",
            "timeseries",
            (
                Query(quantile(0.5, "engine_time_to_first_byte_seconds", by="function"), "{{function}} p50"),
                Query(quantile(0.95, "engine_time_to_first_byte_seconds", by="function"), "{{function}} p95"),
            ),
            unit=SECONDS,
        ),
        Panel(
            "Streamed",
            "What handlers wrote a second into streamed responses that ended.",
            "timeseries",
            (Query(rate("engine_streamed_bytes_total", by="function"), "{{function}}"),),
            unit=BYTES,
        ),
    ),
)

_LIMITS: Final = PanelRow(
    "Limits",
    (
        Panel(
            "Near the deadline",
            "Share of invocations that used more than 90 % of their timeout.",
            "timeseries",
            (
                Query(
                    f"1 - {rate('engine_deadline_used_ratio', _IN_TIME, by='function', part='_bucket')} / "
                    f"({rate('engine_deadline_used_ratio', by='function', part='_count')} > 0)"
                ),
            ),
            unit=SHARE,
            width=8,
        ),
        Panel(
            "Memory used, p99",
            "Peak memory over configured memory, where the executor can measure it: handlers in processes.",
            "timeseries",
            (Query(quantile(0.99, "engine_memory_used_ratio", by="function")),),
            unit=SHARE,
            width=8,
        ),
        Panel(
            "Failed initialisations",
            "In the whole range, by reason; functions whose environments all came up are left out.",
            "bargauge",
            (
                Query(
                    increase("engine_init_failures_total", by="function,reason", over=RANGE) + " > 0",
                    "{{function}}: {{reason}}",
                    instant=True,
                ),
            ),
            width=8,
        ),
        Panel(
            "Busiest functions",
            "Handlers that run at a time, on average: where the time goes.",
            "bargauge",
            (
                Query(
                    f"topk(10, {rate(_DURATION, by='function', part='_sum', over=RANGE)})",
                    instant=True,
                ),
            ),
            unit=NUMBER,
        ),
        Panel(
            "Functions",
            "Memory, timeout and architecture, as configured.",
            "table",
            (
                Query(
                    level(
                        "engine_function_info",
                        by="function,memory_mb,timeout_seconds,architecture",
                        how="max",
                    ),
                    "{{function}}: {{memory_mb}} MB, {{timeout_seconds}} s, {{architecture}}",
                    instant=True,
                ),
            ),
        ),
    ),
)

_SOURCES: Final = PanelRow(
    "Queues and asynchronous events",
    (
        Panel(
            "Messages by result",
            "Of all mappings, a second; delivered and failed count attempts.",
            "timeseries",
            (Query(rate("engine_source_records_total", by="source,result"), "{{source}} {{result}}"),),
            unit=PER_S,
            width=8,
        ),
        Panel(
            "Oldest message",
            "How long ago the oldest message that waits to be polled was sent.",
            "timeseries",
            (Query(level("engine_source_oldest_age_seconds", by="source", how="max"), "{{source}}"),),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "Pollers",
            "Batches that run; the dashed line is how many the scaling policy of the mapping allows.",
            "timeseries",
            (
                Query(level("engine_source_batches_running", by="source"), "{{source}} running"),
                Query(level("engine_source_pollers", by="source"), "{{source}} allowed", dashed=True),
            ),
            stepped=True,
            width=8,
        ),
        Panel(
            "Messages of a batch",
            "On average: small batches at a high rate cost more invocations than they need to.",
            "timeseries",
            (Query(mean("engine_source_batch_records", by="source"), "{{source}}"),),
            width=8,
        ),
        Panel(
            "Asynchronous events",
            "By what became of them, a second; retried counts attempts.",
            "timeseries",
            (
                Query(
                    rate("engine_async_events_total", by="function,result") + " > 0",
                    "{{function}} {{result}}",
                ),
            ),
            unit=PER_S,
            width=8,
        ),
        Panel(
            "Age at the attempt, p95",
            "How old asynchronous events are when they are tried: retries and back-off show here.",
            "timeseries",
            (Query(quantile(0.95, "engine_async_event_age_seconds", by="function")),),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "Handed over",
            "Dead letters and records for destinations, in the whole range; failed: nobody has them.",
            "bargauge",
            (
                Query(
                    increase("engine_dead_letters_total", by="function,result", over=RANGE),
                    "{{function}}: dead letters {{result}}",
                    instant=True,
                ),
                Query(
                    increase("engine_destination_deliveries_total", by="function,result", over=RANGE),
                    "{{function}}: records {{result}}",
                    instant=True,
                ),
            ),
            width=24,
            height=6,
        ),
        Panel(
            "Topics and event buses",
            "Deliveries to targets, a second; retried ones failed, and are tried again.",
            "timeseries",
            (
                Query(
                    rate("engine_bus_deliveries_total", by="service,target,outcome") + " > 0",
                    "{{service}} to {{target}}: {{outcome}}",
                ),
            ),
            unit=PER_S,
            width=16,
            height=6,
        ),
        Panel(
            "Wait for another attempt",
            "Deliveries whose target was busy or failed; at the bound they are given up.",
            "timeseries",
            (Query(level("engine_bus_deliveries_waiting", by="service"), "{{service}}"),),
            width=8,
            height=6,
        ),
    ),
)

_OWN: Final = PanelRow(
    "What handlers measure",
    (
        Panel(
            "Counts",
            "Count metrics that handlers log in the embedded metric format (Powertools Metrics), a second.",
            "timeseries",
            (
                Query(
                    rate("engine_handler_metric_total", by="function,namespace,metric"),
                    "{{namespace}} {{metric}} ({{function}})",
                ),
            ),
            unit=PER_S,
            width=6,
        ),
        Panel(
            "Times, p95",
            "Metrics in seconds, milliseconds or microseconds.",
            "timeseries",
            (
                Query(
                    quantile(0.95, "engine_handler_metric_seconds", by="function,namespace,metric"),
                    "{{namespace}} {{metric}} ({{function}})",
                ),
            ),
            unit=SECONDS,
            width=6,
        ),
        Panel(
            "Sizes, p95",
            "Metrics in bytes, bits and their multiples.",
            "timeseries",
            (
                Query(
                    quantile(0.95, "engine_handler_metric_bytes", by="function,namespace,metric"),
                    "{{namespace}} {{metric}} ({{function}})",
                ),
            ),
            unit=BYTES,
            width=6,
        ),
        Panel(
            "Last values",
            "Metrics with another unit, or none.",
            "timeseries",
            (
                Query(
                    level("engine_handler_metric_value", by="function,namespace,metric", how="max"),
                    "{{namespace}} {{metric}} ({{function}})",
                ),
            ),
            width=6,
        ),
        Panel(
            "Lines with metrics",
            "Parsed, invalid, or with a metric that got no series of its own.",
            "timeseries",
            (Query(rate("engine_handler_metric_lines_total", by="result"), "{{result}}"),),
            unit=PER_S,
            width=24,
            height=5,
        ),
    ),
)

HANDLERS: Final = Board(
    "engine-handlers",
    "Handler performance",
    "Rates, errors and latencies of handlers, and how near they are to their limits.",
    (_OVERVIEW, _RATES, _LATENCY, _LIMITS, _SOURCES, STREAMS, _OWN),
    (CLUSTER, JOB, INSTANCE, FUNCTION),
    (RESTART,),
)
