"""The charts of the load tests' report that the demo's report does not have; drawn by the same kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from engine.report import charts
from engine.report.run_charts import over_time

_MIN_REQUESTS: Final = 20
"""Requests below which percentiles are no curve."""


def offered_and_served(document: Mapping[str, Any]) -> str:
    """Requests a second that were due, sent and answered well."""
    timeline = document["client"]["timeline"]
    series = {
        "target": _points(timeline, "due"),
        "offered": _points(timeline, "sent"),
        "served": _points(timeline, "success"),
    }
    label = "Requests a second: target, offered, served"
    return over_time(document, series, "per second", label=label)


def throttled_and_failed(document: Mapping[str, Any]) -> str:
    """Throttles and failures a second, as the callers saw them."""
    timeline = document["client"]["timeline"]
    series = {"throttled": _points(timeline, "throttled"), "failed": _points(timeline, "failure")}
    return over_time(document, series, "per second", label="Throttles and failures a second")


def cold_starts(document: Mapping[str, Any]) -> str:
    """Cold starts so far."""
    samples = document["samples"]
    series = {"cold starts": list(zip(samples["at_s"], samples["cold_starts"], strict=True))}
    return over_time(document, series, "count", label="Cold starts since the beginning")


def records_delivered(document: Mapping[str, Any]) -> str:
    """Records that were delivered so far, by stream: how a backlog goes down."""
    series = {
        f"{name}, delivered": [(0.0, 0.0), *((at_s, count) for at_s, count in one["curve"])]
        for name, one in document["deliveries"].items()
    }
    return over_time(document, series, "records", label="Records delivered since the beginning")


def latency(document: Mapping[str, Any]) -> str:
    """Response times by percentile; each nine takes as much room as the last."""
    series = {one["name"]: one["curve_ms"] for one in document["series"] if one["requests"] >= _MIN_REQUESTS}
    return charts.percentile_curves(series, label="Response time by percentile")


def latency_over_time(document: Mapping[str, Any]) -> str:
    """Percentiles of each second."""
    latency = document["client"]["latency"]
    series = {name: _points(latency, f"{name}_ms") for name in ("p99", "p50")}
    label = "Response time by the second in which requests were due"
    return over_time(document, series, "milliseconds", label=label)


def cores(document: Mapping[str, Any]) -> str:
    """Cores that were in use, by whom."""
    host = document["host"]
    columns = {
        "all programs": "busy_s",
        "engine": "engine_cpu_s",
        "handlers' processes": "handlers_cpu_s",
        "generator": "generators_cpu_s",
    }
    series = {name: _rates(host, column) for name, column in columns.items() if any(host[column])}
    return over_time(document, series, "cores", label="Cores in use")


def waiting(document: Mapping[str, Any]) -> str:
    """Processes that were ready without a core, connections that nobody read, environments that waited."""
    host, samples = document["host"], document["samples"]
    series = {
        "handlers' processes without a core": _rates(host, "handlers_wait_s"),
        "connections not accepted": _after_begin(host, "unaccepted"),
        "connections not read": _after_begin(host, "unread"),
    }
    if samples["at_s"]:
        series["environments that initialise"] = _points(samples, "starting")
        series["environments that wait to"] = _points(samples, "pending")
    shown = {name: points for name, points in series.items() if any(value for _, value in points)}
    shown = shown or {"connections not read": series["connections not read"]}
    return over_time(document, shown, "count", label="What waited")


def loop_lag(document: Mapping[str, Any]) -> str:
    """The p99 of each second."""
    series = {"event loop": _points(document["loop_lag"], "p99_ms")}
    return over_time(document, series, "milliseconds", label="Event-loop lag, p99")


def _rates(columns: Mapping[str, Sequence[float]], name: str) -> list[tuple[float, float]]:
    """How fast a counter grew between samples, at the end of each stretch."""
    points = list(zip(columns["at_s"], columns[name], strict=True))
    return [
        (to_s, round((after - before) / (to_s - from_s), 3))
        for (from_s, before), (to_s, after) in pairwise(points)
        if to_s > max(from_s, 0.0)
    ]


def _after_begin(columns: Mapping[str, Sequence[float]], name: str) -> list[tuple[float, float]]:
    return [(at_s, value) for at_s, value in _points(columns, name) if at_s >= 0]


def knee(document: Mapping[str, Any]) -> str:
    """The p99 of each stage against its target."""
    stream = document["knee"]["stream"]
    stages = [stage["streams"][stream] for stage in document["client"]["stages"]]
    series = {stream: [(stage["target_per_s"], stage["p99_ms"]) for stage in stages]}
    label = "p99 of each stage against its target"
    return charts.lines(series, "requests a second", "p99, milliseconds", label=label, dots=True)


def _points(timeline: Mapping[str, Sequence[float]], name: str) -> list[tuple[float, float]]:
    return list(zip(timeline["at_s"], timeline[name], strict=True))
