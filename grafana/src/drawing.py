"""Draws panels as SVG: lines, stacks, bars, heatmaps and state timelines, well enough for a preview."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Final, NamedTuple

COLOURS: Final = (
    *("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9"),
    *("#8ab8ff", "#96d98d", "#ffb357", "#ca95e5", "#ff7383", "#c0d8ff"),
)
_TEXT: Final = "#9fa7b3"
_GRID: Final = "#2c3235"
_LEFT, _BOTTOM, _TOP, _RIGHT = 62, 20, 6, 10
_HEAT: Final = (
    "#1f1147",
    "#3b0f70",
    "#641a80",
    "#8c2981",
    "#b73779",
    "#de4968",
    "#f7705c",
    "#fe9f6d",
    "#fecf92",
)


class Series(NamedTuple):
    """One line: its name and its points, seconds since the epoch and value."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


class Frame(NamedTuple):
    """Where things are drawn: size in pixels, and the range of time."""

    width: float
    height: float
    start_s: float
    end_s: float

    def x(self, at_s: float) -> float:
        """The horizontal place of a time, pixels."""
        share = (at_s - self.start_s) / max(1e-9, self.end_s - self.start_s)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float, low: float, high: float) -> float:
        """The place of a value between the lowest and the highest one."""
        share = (value - low) / max(1e-12, high - low)
        return self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM)


def chart(
    frame: Frame, series: Sequence[Series], unit: str, *, stacked: bool, bars: bool, stepped: bool
) -> str:
    """Lines over time; `stacked` on one another, as `bars`, or `stepped`."""
    drawn = _stacked(series) if stacked else [(one, [(at, 0.0, y) for at, y in one.points]) for one in series]
    finite = [value for _, points in drawn for _, _, value in points if math.isfinite(value)]
    low, high = min([0.0, *finite]), max(finite, default=1.0)
    if high <= low:
        high = low + 1.0
    parts = [_axes(frame, low, high, unit)]
    step_s = _step(series)
    for index, (one, points) in reversed(list(enumerate(drawn))):
        colour = COLOURS[index % len(COLOURS)]
        if bars:
            parts.append(_bars(frame, points, (low, high), colour, step_s))
        else:
            parts.append(_line(frame, one, points, (low, high), colour, filled=stacked, stepped=stepped))
    return _svg(frame, parts)


def heatmap(frame: Frame, series: Sequence[Series], unit: str) -> str:
    """Counts by bucket over time; the buckets are cumulative, as Prometheus has them."""
    known = [(float(one.name), dict(one.points)) for one in series if one.name != "+Inf"]
    bounds = sorted(known, key=lambda pair: pair[0])
    if not bounds:
        return _svg(frame, [])
    times = sorted({at_s for _, points in bounds for at_s in points})
    step_s = min((b - a for a, b in pairwise(times)), default=1.0)
    cells = []
    for row, (_, points) in enumerate(bounds):
        below = bounds[row - 1][1] if row else {}
        cells += [(row, at_s, max(0.0, count - below.get(at_s, 0.0))) for at_s, count in points.items()]
    top = max((count for _, _, count in cells), default=0.0) or 1.0
    height = (frame.height - _TOP - _BOTTOM) / len(bounds)
    width = frame.x(frame.start_s + step_s) - frame.x(frame.start_s)
    parts = [_times(frame)]
    for row, at_s, count in cells:
        if count > 0:
            colour = _HEAT[min(len(_HEAT) - 1, int(math.sqrt(count / top) * len(_HEAT)))]
            y = frame.height - _BOTTOM - (row + 1) * height
            x = frame.x(at_s) - width
            parts.append(
                f'<rect x="{max(_LEFT, x):.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
                f'fill="{colour}"/>'
            )
    for row in range(0, len(bounds), 3):
        y = frame.height - _BOTTOM - (row + 0.5) * height + 4
        parts.append(_label(_LEFT - 6, y, worded(bounds[row][0], unit), "end"))
    return _svg(frame, parts)


def timeline(frame: Frame, series: Sequence[Series], states: Mapping[str, tuple[str, str]]) -> str:
    """One bar for each series, in the colour of its state."""
    colours = {"green": "#37872d", "text": "#3a3f47"}
    height = (frame.height - _TOP - _BOTTOM) / max(1, len(series))
    step_s = _step(series)
    parts = [_times(frame)]
    for row, one in enumerate(series):
        y = _TOP + row * height
        for at_s, value in one.points:
            _, colour = states.get(f"{value:g}", ("", "text"))
            x, x2 = frame.x(at_s), frame.x(min(frame.end_s, at_s + step_s))
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 1:.1f}" width="{x2 - x + 0.5:.1f}" height="{height - 2:.1f}" '
                f'fill="{colours.get(colour, colour)}"/>'
            )
        parts.append(_label(_LEFT - 6, y + height / 2 + 4, one.name[:9], "end"))
    return _svg(frame, parts)


def worded(value: float, unit: str) -> str:
    """Format a value about as Grafana would."""
    if not math.isfinite(value):
        return "–"
    match unit:
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "s":
            return _scaled(value, ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")), "s")
        case "bytes":
            return _scaled(value, ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")), "B")
        case "currencyUSD":
            return f"${value:,.2f}" if abs(value) >= 1 or value == 0 else f"${value:.3g}"
        case "ops":
            return f"{_short(value)}/s"
        case _:
            return _short(value)


def _scaled(value: float, steps: Sequence[tuple[float, str]], base: str) -> str:
    for factor, name in steps:
        if abs(value) >= factor:
            return f"{value / factor:.3g} {name}"
    return f"{value:.2g} {base}" if value else f"0 {base}"


def _short(value: float) -> str:
    for factor, name in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{name}"
    return f"{value:.3g}"


def _stacked(series: Sequence[Series]) -> list[tuple[Series, list[tuple[float, float, float]]]]:
    base: dict[float, float] = {}
    drawn = []
    for one in series:
        points = []
        for at_s, value in one.points:
            below = base.get(at_s, 0.0)
            base[at_s] = below + (value if math.isfinite(value) else 0.0)
            points.append((at_s, below, base[at_s]))
        drawn.append((one, points))
    return drawn


def _line(
    frame: Frame,
    one: Series,
    points: Sequence[tuple[float, float, float]],
    span: tuple[float, float],
    colour: str,
    *,
    filled: bool,
    stepped: bool,
) -> str:
    gap_s = 3 * _step([one])
    runs: list[list[tuple[float, float, float]]] = []
    last_s = -math.inf
    for at_s, below, value in points:
        if not math.isfinite(value):
            continue
        place = frame.x(at_s), frame.y(below, *span), frame.y(value, *span)
        if at_s - last_s <= gap_s:
            runs[-1].append(place)
        else:
            runs.append([place])
        last_s = at_s
    dash = ' stroke-dasharray="6 5"' if one.dashed else ""
    parts = []
    for run in runs:
        top = _path([(x, y) for x, _, y in run], stepped=stepped)
        if filled:
            back = [f"V{y:.1f}H{x:.1f}" if stepped else f"L{x:.1f} {y:.1f}" for x, y, _ in reversed(run)]
            below_text = "".join(back)
            parts.append(f'<path d="{top}{below_text}Z" fill="{colour}" fill-opacity=".35"/>')
        parts.append(f'<path d="{top}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>')
    return "".join(parts)


def _path(points: Sequence[tuple[float, float]], *, stepped: bool) -> str:
    commands = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for x, y in points[1:]:
        commands.append(f"H{x:.1f}V{y:.1f}" if stepped else f"L{x:.1f} {y:.1f}")
    return "".join(commands)


def _bars(
    frame: Frame,
    points: Sequence[tuple[float, float, float]],
    span: tuple[float, float],
    colour: str,
    step_s: float,
) -> str:
    width = max(1.0, 0.8 * (frame.x(frame.start_s + step_s) - frame.x(frame.start_s)))
    parts = []
    for at_s, below, value in points:
        if math.isfinite(value) and value > below:
            y, base = frame.y(value, *span), frame.y(below, *span)
            parts.append(
                f'<rect x="{frame.x(at_s) - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" '
                f'height="{base - y:.1f}" fill="{colour}"/>'
            )
    return "".join(parts)


def _step(series: Sequence[Series]) -> float:
    for one in series:
        if len(one.points) > 1:
            return min(b[0] - a[0] for a, b in pairwise(one.points))
    return 1.0


def _axes(frame: Frame, low: float, high: float, unit: str) -> str:
    parts = [_times(frame)]
    for number in range(5):
        value = low + (high - low) * number / 4
        y = frame.y(value, low, high)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{frame.width - _RIGHT:.1f}" stroke="{_GRID}"/>')
        parts.append(_label(_LEFT - 6, y + 4, worded(value, unit), "end"))
    return "".join(parts)


def _times(frame: Frame) -> str:
    parts = []
    for number in range(5):
        at_s = frame.start_s + (frame.end_s - frame.start_s) * number / 4
        anchor = "end" if number == 4 else "middle"
        parts.append(_label(frame.x(at_s), frame.height - 4, f"{at_s - frame.start_s:.0f} s", anchor))
    return "".join(parts)


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_TEXT}">{escape(text)}</text>'


def _svg(frame: Frame, parts: Sequence[str]) -> str:
    size = f'width="{frame.width:.0f}" height="{frame.height:.0f}"'
    return f'<svg {size} font-size="11">{"".join(parts)}</svg>'
