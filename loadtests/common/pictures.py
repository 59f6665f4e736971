"""The charts of the report that the demo's report does not have; drawn by the same means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pygal

from engine.cli.demo.charts import as_svg, chart_of, exponents, log_ms, nines, over_time

Line = tuple[str, list[tuple[float, float]]]
"""A name, and points."""

_MARKS: Final = (0, 50, 90, 99, 99.9, 99.99)
_FEW: Final = 20
"""Requests below which percentiles are no curve."""


def offered_and_served(document: Mapping[str, Any]) -> str:
    """Requests a second that were due, sent and answered well."""
    timeline = document["client"]["timeline"]
    lines = [
        ("target", _points(timeline, "due")),
        ("offered", _points(timeline, "sent")),
        ("served", _points(timeline, "success")),
    ]
    return _drawn(document, "offered", "Requests a second: target, offered, served", lines)


def refused(document: Mapping[str, Any]) -> str:
    """Throttles and failures a second, as the callers saw them."""
    timeline = document["client"]["timeline"]
    lines = [("throttled", _points(timeline, "throttled")), ("failed", _points(timeline, "failure"))]
    return _drawn(document, "refused", "Throttles and failures a second", lines)


def cold_starts(document: Mapping[str, Any]) -> str:
    """Cold starts so far."""
    samples = document["samples"]
    points = list(zip(samples["at_s"], samples["cold_starts"], strict=True))
    return _drawn(document, "cold-starts", "Cold starts since the beginning", [("cold starts", points)])


def drained(document: Mapping[str, Any]) -> str:
    """Records that were delivered so far, by stream: how a backlog goes down."""
    lines = [
        (f"{name}, delivered", [(0.0, 0), *map(tuple, one["curve"])])
        for name, one in document["deliveries"].items()
    ]
    return _drawn(document, "drained", "Records delivered since the beginning", lines)


def latency(document: Mapping[str, Any]) -> str:
    """Response times by percentile; each nine takes as much room as the last."""
    shown = [one for one in document["series"] if one["requests"] >= _FEW]
    chart = chart_of(pygal.XY, "latency", height=380, legend_columns=max(1, len(shown)))
    chart.y_title = "milliseconds"
    highest = max((one["curve_ms"][-1][0] for one in shown), default=0)
    chart.x_labels = [
        {"value": nines(percent), "label": f"{percent:g} %"} for percent in _MARKS if percent <= highest
    ]
    powers = exponents([value for one in shown for _, value in one["curve_ms"]])
    chart.y_labels = [{"value": power, "label": f"{10.0**power:g}"} for power in powers]
    for one in shown:
        chart.add(one["name"], [(nines(percent), log_ms(value)) for percent, value in one["curve_ms"]])
    return str(as_svg(chart, "Response time by percentile"))


def knee(document: Mapping[str, Any]) -> str:
    """The p99 of each stage against its target."""
    stream = document["knee"]["stream"]
    rows = [stage["streams"][stream] for stage in document["client"]["stages"]]
    chart = chart_of(pygal.XY, "knee", height=290, legend_columns=1)
    chart.x_title, chart.y_title = "requests a second", "p99, milliseconds"
    chart.show_dots = True
    chart.add(stream, [(row["target_per_s"], row["p99_ms"]) for row in rows])
    return str(as_svg(chart, "p99 of each stage against its target"))


def _points(timeline: Mapping[str, Sequence[float]], name: str) -> list[tuple[float, float]]:
    return list(zip(timeline["at_s"], timeline[name], strict=True))


def _drawn(document: Mapping[str, Any], name: str, label: str, lines: Sequence[Line]) -> str:
    chart = over_time(name, document)
    chart.legend_at_bottom_columns = len(lines)
    for title, points in lines:
        chart.add(title, points)
    return str(as_svg(chart, label))
