"""Charts of a run, from a document such as `summary.document` makes; the load tests' reports use them too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from engine.report import charts

_BIN_S: Final = 0.5
_MIN_REQUESTS: Final = 1000
"""Requests that a percentile curve takes."""


def concurrency(document: Mapping[str, Any]) -> str:
    """Invocations in flight and environments over time."""
    samples = document["samples"]
    series = {
        "environments": list(zip(samples["at_s"], samples["environments"], strict=True)),
        "in flight": list(zip(samples["at_s"], samples["in_flight"], strict=True)),
    }
    return over_time(document, series, "count", label="Invocations in flight and environments over time")


def throughput(document: Mapping[str, Any]) -> str:
    """Invocations and throttles per second over time."""
    samples = document["samples"]
    series = {
        "invocations per s": rates(samples["at_s"], samples["invocations"]),
        "refused per s": rates(samples["at_s"], samples["throttles"]),
    }
    return over_time(document, series, "per second", label="Invocations and throttles per second over time")


def latency(document: Mapping[str, Any]) -> str:
    """Latency by percentile, of as many series as there are colours."""
    shown = [
        one for one in document["series"] if one["requests"] >= _MIN_REQUESTS and len(one["curve_ms"]) > 1
    ]
    series = {
        one["name"] + (", without its sleep" if "sleep_ms" in one else ""): one["curve_ms"]
        for one in shown[: charts.COLOURS]
    }
    return charts.percentile_curves(series, label="Latency by percentile")


def cost(document: Mapping[str, Any]) -> str:
    """What each function cost, by component."""
    components = document["cost"]["components_usd"]
    rows = {
        name: {component: float(one["cost_usd"][component]) for component in components}
        for name, one in document["functions"].items()
        if float(one["cost_usd"]["total"])
    }
    return charts.stacked_bars(rows, _dollars, label="Cost by function and component, US dollars")


def over_time(document: Mapping[str, Any], series: charts.Series, y_title: str, *, label: str) -> str:
    """Filled lines over the whole time of the run, with its phases under the axis."""
    elapsed_s = document["elapsed_s"]
    phases = [
        (phase["began_s"], f"{number}: {phase['began_s']:.0f} s")
        for number, phase in enumerate(document["phases"], 1)
    ]
    x = charts.Axis("seconds", 0.0, elapsed_s, labels=(*phases, (elapsed_s, f"{elapsed_s:.0f} s")))
    return charts.lines(series, x, y_title, label=label, fill=True)


def rates(at_s: Sequence[float], counts: Sequence[int]) -> list[tuple[float, float]]:
    """Counters to a rate per second, in steps of half a second: (middle of the step, rate)."""
    kept = [0]
    for index, now_s in enumerate(at_s):
        if now_s - at_s[kept[-1]] >= _BIN_S:
            kept.append(index)
    return [
        ((at_s[a] + at_s[b]) / 2, round((counts[b] - counts[a]) / (at_s[b] - at_s[a]), 1))
        for a, b in pairwise(kept)
    ]


def _dollars(usd: float) -> str:
    return f"${usd:.6f}".rstrip("0").rstrip(".")
