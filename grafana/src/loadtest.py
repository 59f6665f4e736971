"""Dashboard D, Load test: what was planned, sent and served, and whether the generator kept up."""

from __future__ import annotations

from typing import Final

from grafana.src.board import (
    DOLLARS,
    FUNCTION,
    NUMBER,
    PER_S,
    SECONDS,
    SHARE,
    Board,
    Mark,
    Panel,
    PanelRow,
    Query,
    Variable,
)
from grafana.src.promql import TARGETS, increase, level, mean, quantile, rate, selector

_RUN: Final = selector("loadtest_run_info")
_WAITING: Final = 'trigger=~"invoke|http"'
_BOTH: Final = '{__name__=~"engine_build_info|loadtest_run_info"'

_LOAD: Final = PanelRow(
    "Load",
    (
        Panel(
            "Target, offered, served",
            "Requests a second that were planned, that the generator saw answered, that the engine received "
            "and that it ran. The last two are there whatever client sends.",
            "timeseries",
            (
                Query(
                    level("loadtest_target_rate", by="scenario", how="max"),
                    "{{scenario}} target",
                    dashed=True,
                ),
                Query(rate("loadtest_requests_total", by="scenario"), "{{scenario}} offered"),
                Query(rate("engine_requests_received_total"), "received", dashed=True),
                Query(rate("engine_invocations_total"), "served"),
            ),
            unit=PER_S,
            height=9,
        ),
        Panel(
            "Answers by outcome",
            "As the callers of engine load saw them, a second.",
            "timeseries",
            (Query(rate("loadtest_requests_total", by="scenario,outcome"), "{{scenario}} {{outcome}}"),),
            unit=PER_S,
            stacked=True,
            height=9,
        ),
        Panel(
            "Ended by outcome",
            "As the engine counts them, a second, whatever client sends; refused ones are throttles.",
            "timeseries",
            (
                Query(rate("engine_invocations_total", by="outcome"), "{{outcome}}"),
                Query(rate("engine_throttles_total"), "throttled"),
            ),
            unit=PER_S,
            stacked=True,
            width=24,
        ),
        Panel(
            "Lost on the way",
            "Answers that callers counted minus what the engine counted for callers that wait: around 0. "
            "With queues and asynchronous events nobody waits, and it says nothing.",
            "timeseries",
            (
                Query(
                    f"{rate('loadtest_requests_total')} - {rate('engine_requests_received_total', _WAITING)}",
                    "difference",
                ),
            ),
            unit=PER_S,
            width=8,
        ),
        Panel(
            "Users",
            "Of a closed model; of an open one, requests in flight.",
            "timeseries",
            (Query(level("loadtest_users", by="scenario"), "{{scenario}}"),),
            width=8,
            stepped=True,
        ),
        Panel(
            "The run",
            "Its id, scenario and commit.",
            "table",
            (
                Query(
                    level("loadtest_run_info", by="run_id,scenario,commit", how="max"),
                    "{{run_id}}: {{scenario}} at {{commit}}",
                    instant=True,
                ),
            ),
            width=8,
        ),
    ),
)

_LATENCY: Final = PanelRow(
    "Latency",
    (
        Panel(
            "Response time of callers",
            "From the intended start of a request to its answer: a stalled engine cannot hide behind it.",
            "timeseries",
            (
                Query(quantile(0.5, "loadtest_response_seconds", by="scenario"), "{{scenario}} p50"),
                Query(quantile(0.95, "loadtest_response_seconds", by="scenario"), "{{scenario}} p95"),
                Query(quantile(0.99, "loadtest_response_seconds", by="scenario"), "{{scenario}} p99"),
                Query(mean("loadtest_response_seconds", by="scenario"), "{{scenario}} mean", dashed=True),
            ),
            unit=SECONDS,
        ),
        Panel(
            "Latency in the engine",
            "From received to the end of the handler, waiting and initialisation included, whatever client "
            "sends. What a client adds by sending late is not in it.",
            "timeseries",
            (
                Query(quantile(0.5, "engine_request_latency_seconds"), "p50"),
                Query(quantile(0.95, "engine_request_latency_seconds"), "p95"),
                Query(quantile(0.99, "engine_request_latency_seconds"), "p99"),
                Query(mean("engine_request_latency_seconds"), "mean", dashed=True),
            ),
            unit=SECONDS,
        ),
        Panel(
            "Callers minus engine, p99",
            "What network, generator and queues outside the engine add. Interpolated on both sides.",
            "timeseries",
            (
                Query(
                    f"{quantile(0.99, 'loadtest_response_seconds')} - "
                    f"{quantile(0.99, 'engine_request_latency_seconds')}",
                    "difference",
                ),
            ),
            unit=SECONDS,
        ),
        Panel(
            "Schedule lag, p99",
            "How late the generator sent. Above 5 ms the generator is the limit, and the run says little.",
            "timeseries",
            (Query(quantile(0.99, "loadtest_schedule_lag_seconds", by="scenario"), "{{scenario}}"),),
            unit=SECONDS,
        ),
        Panel(
            "Arrivals dropped",
            "Planned requests that were never sent, a second.",
            "timeseries",
            (Query(rate("loadtest_arrivals_dropped_total", by="scenario"), "{{scenario}}"),),
            unit=PER_S,
            width=24,
        ),
    ),
)

_ENGINE: Final = PanelRow(
    "The engine meanwhile",
    (
        Panel(
            "Concurrency",
            "In use, ready and desired, of all functions.",
            "timeseries",
            (
                Query(level("engine_concurrency_in_use"), "in use"),
                Query(level("engine_concurrency_ready"), "ready"),
                Query(level("engine_concurrency_desired"), "desired", dashed=True),
            ),
            stepped=True,
            width=8,
        ),
        Panel(
            "Cold starts",
            "Of all functions, in each step.",
            "timeseries",
            (Query(increase("engine_cold_starts_total"), "cold starts"),),
            bars=True,
            width=8,
        ),
        Panel(
            "Throttle ratio",
            "Share of all events that were refused.",
            "timeseries",
            (
                Query(
                    f"{rate('engine_throttles_total')} / ({rate('engine_requests_received_total')} > 0)",
                    "refused",
                ),
            ),
            unit=SHARE,
            width=8,
        ),
        Panel(
            "Invocations per CPU second",
            "Of the engine's process, so with in-process handlers their work included.",
            "timeseries",
            (
                Query(
                    f"{rate('engine_invocations_total')} / scalar(sum("
                    f"rate(process_cpu_seconds_total{{{TARGETS}}}[$__rate_interval]) "
                    f"and on(cluster,job,instance) engine_build_info{{{TARGETS}}}))",
                    "per CPU second",
                ),
            ),
            unit=NUMBER,
        ),
        Panel(
            "Dollars of this range",
            "What the range shown would have cost on AWS.",
            "stat",
            (Query(increase("engine_cost_dollars_total", over="$__range"), "in all", instant=True),),
            unit=DOLLARS,
        ),
    ),
)

LOADTEST: Final = Board(
    "engine-loadtest",
    "Load test",
    "A load test as both sides see it: the callers of engine load, and the engine, whatever client sends.",
    (_LOAD, _LATENCY, _ENGINE),
    (
        Variable("cluster", "Cluster", f"label_values({_BOTH}}}, cluster)"),
        Variable("job", "Job", f'label_values({_BOTH},cluster=~"$cluster"}}, job)'),
        Variable(
            "instance", "Instance", f'label_values({_BOTH},cluster=~"$cluster",job=~"$job"}}, instance)'
        ),
        FUNCTION,
        Variable("scenario", "Scenario", f"label_values(loadtest_run_info{{{TARGETS}}}, scenario)"),
    ),
    (Mark("Runs", f"{_RUN} unless {_RUN} offset 1m", "blue"),),
)
