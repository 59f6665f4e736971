"""The charts of the report, as SVG to be put into a page: colours by CSS variables, no script, no address."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final
from xml.etree import ElementTree

import pygal
from pygal.style import Style

# pygal leaves an import hook of Python 2's kind behind, for plug-ins: on 3.11 every later import would warn.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

_BIN_S: Final = 0.5
_NINES: Final = (0, 50, 90, 99, 99.9, 99.99)
_LEAST_MS: Final = 0.1
_ENOUGH: Final = 1000
"""Requests that a percentile curve takes."""

_FONT: Final = "system-ui, sans-serif"

# The page says what these colours are, by day and by night.
_COLORS: Final = tuple(f"var(--c{number})" for number in range(1, 7))
"""One for each curve: there are no more curves in a chart than that."""
_STYLE: Final = {
    "background": "transparent",
    "plot_background": "transparent",
    "foreground": "var(--text)",
    "foreground_strong": "var(--text)",
    "foreground_subtle": "var(--faint)",
    "guide_stroke_color": "var(--line)",
    "major_guide_stroke_color": "var(--line)",
    "guide_stroke_dasharray": "0",
    "major_guide_stroke_dasharray": "0",
    "colors": _COLORS,
    "font_family": _FONT,
    "label_font_size": 12,
    "major_label_font_size": 12,
    "value_font_size": 12,
    "legend_font_size": 13,
    "no_data_font_size": 20,
    "stroke_opacity": "1",
    "stroke_width": "2",
    "transition": "0s",
}


def concurrency(document: Mapping[str, Any]) -> str:
    """Invocations in flight and environments over time."""
    samples = document["samples"]
    chart = over_time("concurrency", document)
    chart.add("environments", list(zip(samples["at_s"], samples["environments"], strict=True)))
    chart.add("in flight", list(zip(samples["at_s"], samples["in_flight"], strict=True)))
    return as_svg(chart, "Invocations in flight and environments over time")


def throughput(document: Mapping[str, Any]) -> str:
    """Invocations and throttles per second over time."""
    samples = document["samples"]
    chart = over_time("throughput", document)
    chart.add("invocations per s", rates(samples["at_s"], samples["invocations"]))
    chart.add("refused per s", rates(samples["at_s"], samples["throttles"]))
    return as_svg(chart, "Invocations and throttles per second over time")


def latency(document: Mapping[str, Any]) -> str:
    """Latency by percentile: each nine takes as much room as the last, and so does each power of ten."""
    shown = [one for one in document["series"] if one["requests"] >= _ENOUGH and len(one["curve_ms"]) > 1]
    del shown[len(_COLORS) :]
    chart = chart_of(pygal.XY, "latency", height=380, legend_columns=2)
    chart.y_title = "milliseconds"
    highest = max((one["curve_ms"][-1][0] for one in shown), default=0)
    chart.x_labels = [
        {"value": nines(percent), "label": f"{percent:g} %"} for percent in _NINES if percent <= highest
    ]
    # pygal's own logarithmic scale is for both axes or none: the logarithm is taken here.
    chart.y_labels = [
        {"value": exponent, "label": f"{10.0**exponent:g}"}
        for exponent in exponents([value for one in shown for _, value in one["curve_ms"]])
    ]
    for one in shown:
        label = one["name"] + (", without its sleep" if "sleep_ms" in one else "")
        chart.add(label, [(nines(percent), log_ms(value)) for percent, value in one["curve_ms"]])
    return as_svg(chart, "Latency by percentile")


def cost(document: Mapping[str, Any]) -> str:
    """What each function cost, by component."""
    functions = {
        name: one["cost_usd"]
        for name, one in document["functions"].items()
        if float(one["cost_usd"]["total"])
    }
    components = document["cost"]["components_usd"]
    height = 90 + 36 * len(functions)
    chart = chart_of(pygal.HorizontalStackedBar, "cost", height, legend_columns=len(components), opacity=".8")
    chart.x_labels = list(reversed(functions))  # drawn from the bottom up
    chart.value_formatter = lambda value: f"${value:.6f}".rstrip("0").rstrip(".")
    for component in components:
        chart.add(component, [float(usd[component]) for usd in reversed(functions.values())])
    return as_svg(chart, "Cost by function and component, US dollars")


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


def over_time(name: str, document: Mapping[str, Any]) -> Any:
    """An empty chart of the whole time, with the phases under its axis; `as_svg` draws it."""
    chart = chart_of(pygal.XY, name, height=290, legend_columns=2)
    chart.fill = True
    chart.show_x_guides = True
    chart.xrange = (0, document["elapsed_s"])
    chart.value_formatter = lambda value: f"{value:,.0f}"
    phases = [
        {"value": phase["began_s"], "label": f"{number}: {phase['began_s']:.0f} s"}
        for number, phase in enumerate(document["phases"], 1)
    ]
    chart.x_labels = [*phases, {"value": document["elapsed_s"], "label": f"{document['elapsed_s']:.0f} s"}]
    return chart


def chart_of(kind: Any, name: str, height: int, legend_columns: int, opacity: str = ".25") -> Any:
    """An empty chart of pygal's, in the colours of the page; `name` makes its ids."""
    chart = kind(
        style=Style(**_STYLE, opacity=opacity),
        js=[],
        width=960,
        height=height,
        margin=8,
        show_dots=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=legend_columns,
        max_scale=8,
        truncate_legend=-1,
        truncate_label=-1,
        include_x_axis=False,
        no_data_text="nothing was measured",
    )
    chart.uuid = name  # by default random: two pages of one run must be equal
    return chart


def nines(percent: float) -> float:
    """0 for 0 %, 1 for 90 %, 2 for 99 %, ..."""
    return -math.log10(1 - percent / 100)


def log_ms(value_ms: float) -> float:
    """The decimal logarithm; of less than a tenth of a millisecond it is that of a tenth."""
    return math.log10(max(value_ms, _LEAST_MS))


def exponents(values_ms: Sequence[float]) -> range:
    """The powers of ten that values lie between."""
    if not values_ms:
        return range(0)
    return range(math.floor(log_ms(min(values_ms))), math.ceil(log_ms(max(values_ms))) + 1)


def as_svg(chart: Any, label: str) -> str:
    """The chart as an element of an HTML page, without scripts, comments, links and namespaces."""
    if not any(values for values, _ in chart.raw_series):
        chart.x_labels, chart.y_labels = [], []  # pygal cannot place a label where there is no value
    root = ElementTree.fromstring(chart.render())  # noqa: S314  # made here; parsing drops the comments
    for element in list(root.iter()):
        element.tag = element.tag.rpartition("}")[2]
        for name in [name for name in element.attrib if "}" in name]:
            del element.attrib[name]
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("script", "title") or (child.tag == "desc" and child.get("class") != "value"):
                parent.remove(child)
    for value in root.iter("desc"):
        value.tag = "title"  # what a browser shows under the pointer
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")
