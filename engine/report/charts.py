"""Charts of the report as SVG text: lines, points and bars; colours by CSS variables, no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

_WIDTH: Final = 960
_LEFT: Final = 70
_RIGHT: Final = 20
_TOP: Final = 12
_COLOURS: Final = 6


class Axis(NamedTuple):
    """One direction of a chart: its values from `low` to `high`, along a line or by powers of ten."""

    title: str
    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        return (value - low) / (high - low) if high > low else 0.0

    def ticks(self) -> list[float]:
        """Round values to be named."""
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1.0, 2.0, 5.0) if last - first <= 3 else (1.0,)
            named = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            return [value for value in named if self.low <= value <= self.high]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 4)) if self.high > self.low else 1.0
        step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= 6)
        return [step * number for number in range(math.ceil(self.low / step), int(self.high / step) + 1)]


Series = Mapping[str, Sequence[tuple[float, float]]]


def axis(title: str, values: Sequence[float], *, logarithmic: bool = False) -> Axis:
    """An axis on which all values have a place; a linear one begins at 0."""
    shown = [value for value in values if math.isfinite(value) and (value > 0 or not logarithmic)]
    if logarithmic:
        return Axis(title, min(shown, default=1.0), max(shown, default=10.0) * 1.0001, logarithmic=True)
    return Axis(title, min(0.0, min(shown, default=0.0)), max(shown, default=1.0) or 1.0)


def lines(
    series: Series,
    x_title: str,
    y_title: str,
    *,
    limits: Mapping[str, float] | None = None,
    log_x: bool = False,
) -> str:
    """A line for each series; `limits` are dashed lines across."""
    limits = limits or {}
    points = [point for one in series.values() for point in one]
    x = axis(x_title, [point[0] for point in points], logarithmic=log_x)
    y = axis(y_title, [*(point[1] for point in points), *limits.values()])
    chart = _Canvas(x, y)
    for number, one in enumerate(series.values()):
        chart.line(one, number)
    for name, value in limits.items():
        chart.limit(name, value)
    return chart.svg(list(series))


def points(named: Mapping[str, tuple[float, float]], x_title: str, y_title: str) -> str:
    """A dot with its name for each; logarithmic to the right if the values span decades."""
    x = axis(x_title, [one[0] for one in named.values()])
    y = axis(y_title, [one[1] for one in named.values()])
    chart = _Canvas(x, y)
    for number, (name, one) in enumerate(named.items()):
        chart.dot(name, one, number)
    return chart.svg([])


def bars(values: Mapping[str, float], unit: str) -> str:
    """Horizontal bars, longest first."""
    kept = sorted(((name, value) for name, value in values.items() if value > 0), key=lambda one: -one[1])
    if not kept:
        return "<p>Nothing.</p>"
    most, rows = kept[0][1], []
    for number, (name, value) in enumerate(kept):
        top, width = 4 + number * 26, 560 * value / most
        rows.append(
            f"<text x='190' y='{top + 14}' text-anchor='end'>{escape(name)}</text>"
            f"<rect x='200' y='{top}' width='{max(1, width):.1f}' height='18' fill='var(--c1)'/>"
            f"<text x='{208 + width:.1f}' y='{top + 14}'>{unit}{value:,.2f}</text>"
        )
    return _svg("".join(rows), 8 + 26 * len(kept))


class _Canvas:
    def __init__(self, x: Axis, y: Axis, height: int = 300) -> None:
        self._x, self._y, self._height = x, y, height
        self._bottom = height - 44
        self._parts: list[str] = []
        self._frame()

    def line(self, values: Sequence[tuple[float, float]], colour: int) -> None:
        path = " ".join(f"{self._across(a):.1f},{self._up(b):.1f}" for a, b in values)
        self._parts.append(
            f"<polyline points='{path}' fill='none' stroke='var({_colour(colour)})' stroke-width='2'/>"
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
            f"<circle cx='{across:.1f}' cy='{up:.1f}' r='5' fill='var({_colour(colour)})'/>"
            f"<text x='{across + beside:.1f}' y='{up + 4:.1f}' text-anchor='{anchor}'>{escape(name)}</text>"
        )

    def svg(self, names: Sequence[str]) -> str:
        legend = "".join(
            f"<span><i style='background:var({_colour(number)})'></i>{escape(name)}</span>"
            for number, name in enumerate(names)
        )
        return _svg("".join(self._parts), self._height) + (f"<p class='key'>{legend}</p>" if legend else "")

    def _frame(self) -> None:
        for value in self._y.ticks():
            up = self._up(value)
            self._parts.append(
                f"<line class='grid' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{up:.1f}' y2='{up:.1f}'/>"
                f"<text x='{_LEFT - 8}' y='{up + 4:.1f}' text-anchor='end'>{value:,.6g}</text>"
            )
        for value in self._x.ticks():
            self._parts.append(
                f"<text x='{self._across(value):.1f}' y='{self._bottom + 18}' text-anchor='middle'>"
                f"{value:,.6g}</text>"
            )
        self._parts.append(
            f"<text x='{_WIDTH - _RIGHT}' y='{self._height - 6}' text-anchor='end'>"
            f"{escape(self._x.title)}</text>"
            f"<text x='{_LEFT}' y='{self._height - 6}'>{escape(self._y.title)} ↑</text>"
        )

    def _across(self, value: float) -> float:
        return _LEFT + self._x.place(value) * (_WIDTH - _LEFT - _RIGHT)

    def _up(self, value: float) -> float:
        return self._bottom - self._y.place(value) * (self._bottom - _TOP)


def _colour(number: int) -> str:
    return f"--c{number % _COLOURS + 1}"


def _svg(inside: str, height: int) -> str:
    return (
        f"<svg viewBox='0 0 {_WIDTH} {height}' role='img' xmlns='http://www.w3.org/2000/svg'>{inside}</svg>"
    )
