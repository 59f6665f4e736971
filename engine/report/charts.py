"""Charts as SVG text for a page of `report.page`: colours by CSS variables, no script, no address.

Each function returns an `<svg>` element with a label for screen readers, and the key below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

COLOURS: Final = 6
"""Colours a chart has: with more curves than that, the first colour is used again."""

_WIDTH: Final = 960
_LEFT: Final = 70
_RIGHT: Final = 20
_TOP: Final = 12
_BAR_LEFT: Final = 200
_BAR_LENGTH: Final = 560
_LABEL_WIDTH: Final = 7
"""About the width of a character of a tick's label."""

_PERCENTILES: Final = (0, 50, 90, 99, 99.9, 99.99)
_MIN_MS: Final = 0.1

Points = Sequence[tuple[float, float]]
Series = Mapping[str, Points]


class Axis(NamedTuple):
    """One direction of a chart: its values from `low` to `high`, evenly or by powers of ten.

    Attributes:
        title: What the values are, with their unit.
        low, high: The ends.
        logarithmic: Whether each power of ten takes the same room.
        labels: (value, text) of the marks; None = round values.
    """

    title: str
    low: float
    high: float
    logarithmic: bool = False
    labels: tuple[tuple[float, str], ...] | None = None

    def place(self, value: float) -> float:
        """Return 0 for the low end, 1 for the high end."""
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        return (value - low) / (high - low) if high > low else 0.0

    def marks(self) -> Sequence[tuple[float, str]]:
        """Return the values to be named, with their names."""
        if self.labels is not None:
            return self.labels
        return [(value, f"{value:,.6g}") for value in self._round_values()]

    def _round_values(self) -> list[float]:
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1.0, 2.0, 5.0) if last - first <= 3 else (1.0,)
            named = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            return [value for value in named if self.low <= value <= self.high]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 4)) if self.high > self.low else 1.0
        step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= 6)
        return [step * number for number in range(math.ceil(self.low / step), int(self.high / step) + 1)]


def axis(title: str, values: Sequence[float], *, logarithmic: bool = False) -> Axis:
    """Return an axis on which all values have a place; a linear one begins at 0."""
    shown = [value for value in values if math.isfinite(value) and (value > 0 or not logarithmic)]
    if logarithmic:
        return Axis(title, min(shown, default=1.0), max(shown, default=10.0) * 1.0001, logarithmic=True)
    return Axis(title, min(0.0, min(shown, default=0.0)), max(shown, default=1.0) or 1.0)


def lines(
    series: Series,
    x: Axis | str,
    y: Axis | str,
    *,
    label: str,
    limits: Mapping[str, float] | None = None,
    fill: bool = False,
    dots: bool = False,
) -> str:
    """Return a line for each series.

    Args:
        series: Points by name.
        x: The axis across; a title alone makes a linear axis that fits the points.
        y: The axis up, likewise.
        label: What the chart shows.
        limits: Dashed lines across, by name.
        fill: Whether the area below each line is tinted.
        dots: Whether each point is marked, and names its values under the pointer.
    """
    limits = limits or {}
    points = [point for one in series.values() for point in one]
    if isinstance(x, str):
        x = axis(x, [point[0] for point in points])
    if isinstance(y, str):
        y = axis(y, [*(point[1] for point in points), *limits.values()])
    chart = _Canvas(x, y, empty=not points)
    for number, one in enumerate(series.values()):
        chart.line(one, number, fill=fill)
        if dots:
            for point in one:
                chart.dot("", point, number)
    for name, value in limits.items():
        chart.limit(name, value)
    return chart.svg(label, list(series))


def points(named: Mapping[str, tuple[float, float]], x_title: str, y_title: str, *, label: str) -> str:
    """Return a dot with its name for each entry."""
    x = axis(x_title, [one[0] for one in named.values()])
    y = axis(y_title, [one[1] for one in named.values()])
    chart = _Canvas(x, y, empty=not named)
    for number, (name, one) in enumerate(named.items()):
        chart.dot(name, one, number)
    return chart.svg(label, [])


def percentile_curves(series: Series, *, label: str) -> str:
    """Return milliseconds by percentile; each further nine takes as much room as the one before.

    Args:
        series: (percent, milliseconds) by name; less than 0.1 ms is drawn as 0.1 ms.
        label: What the chart shows.
    """
    values_ms = [max(value, _MIN_MS) for one in series.values() for _, value in one]
    highest = max((percent for one in series.values() for percent, _ in one), default=0.0)
    x = Axis(
        "percentile",
        0.0,
        max(_nines(highest), 0.1),
        labels=tuple((_nines(percent), f"{percent:g} %") for percent in _PERCENTILES if percent <= highest),
    )
    low = math.floor(math.log10(min(values_ms, default=1.0)))
    high = max(low + 1, math.ceil(math.log10(max(values_ms, default=10.0))))
    y = Axis(
        "milliseconds",
        10.0**low,
        10.0**high,
        logarithmic=True,
        labels=tuple((10.0**power, f"{10.0**power:g}") for power in range(low, high + 1)),
    )
    curves = {name: [(_nines(percent), value) for percent, value in one] for name, one in series.items()}
    return lines(curves, x, y, label=label)


def bars(values: Mapping[str, float], shown: Callable[[float], str], *, label: str) -> str:
    """Return a horizontal bar for each value above 0, longest first; `shown` formats a value."""
    kept = sorted(((name, value) for name, value in values.items() if value > 0), key=lambda one: -one[1])
    if not kept:
        return "<p>Nothing.</p>"
    return stacked_bars({name: {"": value} for name, value in kept}, shown, label=label)


def stacked_bars(
    rows: Mapping[str, Mapping[str, float]], shown: Callable[[float], str], *, label: str
) -> str:
    """Return a horizontal bar for each row, made of its parts; each part names its value under the pointer.

    Args:
        rows: Values by part, by row; all rows have the same parts.
        shown: Formats a value.
        label: What the chart shows.
    """
    longest = max((sum(parts.values()) for parts in rows.values()), default=0.0) or 1.0
    drawn: list[str] = []
    for number, (name, parts) in enumerate(rows.items()):
        top, left = 4 + number * 26, float(_BAR_LEFT)
        drawn.append(f"<text x='190' y='{top + 14}' text-anchor='end'>{escape(name)}</text>")
        for colour, (part, value) in enumerate(parts.items()):
            width = _BAR_LENGTH * value / longest
            title = escape(f"{name}, {part}: {shown(value)}" if part else f"{name}: {shown(value)}")
            drawn.append(
                f"<rect x='{left:.1f}' y='{top}' width='{max(1.0, width) if value else 0:.1f}' height='18' "
                f"fill='{_colour(colour)}'><title>{title}</title></rect>"
            )
            left += width
        total = escape(shown(sum(parts.values())))
        drawn.append(f"<text x='{left + 8:.1f}' y='{top + 14}'>{total}</text>")
    names = list(next(iter(rows.values()), {}))
    return _svg("".join(drawn), 8 + 26 * len(rows), label) + _key([name for name in names if name])


class _Canvas:
    """The frame of a chart with two axes, and what is drawn into it."""

    def __init__(self, x: Axis, y: Axis, *, empty: bool, height: int = 300) -> None:
        self._x, self._y, self._height = x, y, height
        self._bottom = height - 44
        self._parts: list[str] = []
        self._frame()
        if empty:
            middle = (_LEFT + _WIDTH - _RIGHT) // 2
            self._parts.append(
                f"<text x='{middle}' y='{height // 2}' text-anchor='middle'>nothing was measured</text>"
            )

    def line(self, values: Points, colour: int, *, fill: bool) -> None:
        if not values:
            return
        path = " ".join(f"{self._across(a):.1f},{self._up(b):.1f}" for a, b in values)
        if fill:
            first, last = self._across(values[0][0]), self._across(values[-1][0])
            self._parts.append(
                f"<polygon points='{first:.1f},{self._bottom} {path} {last:.1f},{self._bottom}' "
                f"fill='{_colour(colour)}' fill-opacity='.25'/>"
            )
        self._parts.append(
            f"<polyline points='{path}' fill='none' stroke='{_colour(colour)}' stroke-width='2'/>"
        )

    def limit(self, name: str, value: float) -> None:
        up = self._up(value)
        self._parts.append(
            f"<line x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{up:.1f}' y2='{up:.1f}' stroke='var(--bad)' "
            f"stroke-dasharray='6 4'/><text x='{_WIDTH - _RIGHT}' y='{up - 4:.1f}' text-anchor='end'>"
            f"{escape(name)}</text>"
        )

    def dot(self, name: str, value: tuple[float, float], colour: int) -> None:
        across, up = self._across(value[0]), self._up(value[1])
        anchor, beside = ("end", -9) if across > 0.7 * _WIDTH else ("start", 9)
        self._parts.append(
            f"<circle cx='{across:.1f}' cy='{up:.1f}' r='5' fill='{_colour(colour)}'>"
            f"<title>{value[0]:,.6g}: {value[1]:,.6g}</title></circle>"
            f"<text x='{across + beside:.1f}' y='{up + 4:.1f}' text-anchor='{anchor}'>{escape(name)}</text>"
        )

    def svg(self, label: str, names: Sequence[str]) -> str:
        return _svg("".join(self._parts), self._height, label) + _key(names)

    def _frame(self) -> None:
        for value, text in self._y.marks():
            up = self._up(value)
            self._parts.append(
                f"<line class='grid' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{up:.1f}' y2='{up:.1f}'/>"
                f"<text x='{_LEFT - 8}' y='{up + 4:.1f}' text-anchor='end'>{escape(text)}</text>"
            )
        free = 0.0  # where the last label ends: one that would overlap it is drawn a line lower
        for value, text in self._x.marks():
            across, half = self._across(value), _LABEL_WIDTH * len(text) / 2
            lower = 13 if across - half < free else 0
            free = across + half
            self._parts.append(
                f"<line class='grid' x1='{across:.1f}' x2='{across:.1f}' y1='{_TOP}' y2='{self._bottom}'/>"
                f"<text x='{across:.1f}' y='{self._bottom + 15 + lower}' text-anchor='middle'>"
                f"{escape(text)}</text>"
            )
        self._parts.append(
            f"<text x='{_WIDTH - _RIGHT}' y='{self._height - 2}' text-anchor='end'>"
            f"{escape(self._x.title)}</text>"
            f"<text x='{_LEFT}' y='{self._height - 2}'>{escape(self._y.title)} ↑</text>"
        )

    def _across(self, value: float) -> float:
        return _LEFT + self._x.place(value) * (_WIDTH - _LEFT - _RIGHT)

    def _up(self, value: float) -> float:
        return self._bottom - self._y.place(value) * (self._bottom - _TOP)


def _nines(percent: float) -> float:
    """Return 0 for 0 %, 1 for 90 %, 2 for 99 %, ..."""
    return -math.log10(1 - percent / 100)


def _colour(number: int) -> str:
    return f"var(--c{number % COLOURS + 1})"


def _key(names: Sequence[str]) -> str:
    entries = "".join(
        f"<span><i style='background:{_colour(number)}'></i>{escape(name)}</span>"
        for number, name in enumerate(names)
    )
    return f"<p class='key'>{entries}</p>" if entries else ""


def _svg(inside: str, height: int, label: str) -> str:
    return (
        f"<svg viewBox='0 0 {_WIDTH} {height}' role='img' aria-label=\"{escape(label)}\" "
        f"xmlns='http://www.w3.org/2000/svg'>{inside}</svg>"
    )
