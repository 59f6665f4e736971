"""Published traces of other clouds: the layouts of Azure Functions 2019 and 2021, Huawei 2023 and 2025.

Sources: AzurePublicDataset, "AzureFunctionsDataset2019.md" and "AzureFunctionsInvocationTrace2021.md";
sir-lab/data-release, README of the Huawei Public Cloud Trace 2023 and 2025.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Final

from engine.errors import EngineError
from engine.model.traffic.shapes import Spread, spread

LAYOUTS: Final = ("azure2019", "azure2021", "huawei2023", "huawei2025")
_MINUTES: Final = 1440


class TraceFault(EngineError):
    """A line of a trace that is not what its layout says: line number (from 1), and why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(slots=True)
class Invocations:
    """What a trace says of one function: when it was called, and how long each call took, if it does."""

    at_s: list[float] = field(default_factory=list)
    service_s: list[float] = field(default_factory=list)

    def until(self, end_s: float) -> Invocations:
        """What comes before `end_s`, if it is in order of time."""
        size = bisect_left(self.at_s, end_s)
        return Invocations(self.at_s[:size], self.service_s[:size])

    def sorted(self, origin_s: float) -> Invocations:
        """In order of time, counted from `origin_s`."""
        if not self.service_s:
            return Invocations(sorted(one - origin_s for one in self.at_s))
        pairs = sorted(zip(self.at_s, self.service_s, strict=True))
        return Invocations([at - origin_s for at, _ in pairs], [service for _, service in pairs])


def read(
    layout: str, lines: Iterable[str], *, rng: Random, how: Spread = "uniform"
) -> Mapping[str, Invocations]:
    """The functions of a trace, busiest first; times begin at 0.

    Args:
        layout: One of `LAYOUTS`.
        lines: The file.
        rng: Draws the moments of requests that were only counted.
        how: Where in their minute (or second) those come.

    Raises:
        TraceFault: A line is wrong; its number is that in the file.
    """
    reader = csv.reader(lines, strict=True)
    try:
        head = next(reader, None)
        if head is None:
            raise TraceFault(1, "is empty: the first line names the columns")
        found = _READERS[layout](_TraceTable(head, reader), rng, how)
    except csv.Error as error:
        raise TraceFault(reader.line_num, f"is no CSV: {error}") from None
    called = {name: one for name, one in found.items() if one.at_s}
    if not called:
        raise TraceFault(reader.line_num, "no invocation in the whole trace")
    origin_s = 0.0 if layout in _COUNTED else min(min(one.at_s) for one in called.values())
    busiest = sorted(called, key=lambda name: -len(called[name].at_s))
    return {name: called[name].sorted(origin_s) for name in busiest}


def durations_of_2019(lines: Iterable[str]) -> Mapping[str, tuple[float, ...]]:
    """`function_durations_percentiles`: seconds at 0, 1, 25, 50, 75, 99 and 100 %, by function."""
    reader = csv.reader(lines, strict=True)
    head = next(reader, None)
    if head is None:
        raise TraceFault(1, "is empty: the first line names the columns")
    table = _TraceTable(head, reader)
    columns = [table.column(f"percentile_Average_{p}") for p in (0, 1, 25, 50, 75, 99, 100)]
    name = table.column("HashFunction")
    return {
        row[name]: tuple(table.number(row, one, line) / 1000 for one in columns) for line, row in table.rows()
    }


class _TraceTable:
    """Rows with the number of their line, and columns by name."""

    def __init__(self, head: Sequence[str], reader: Iterator[list[str]]) -> None:
        self.head = [name.strip() for name in head]
        self._reader = reader

    def column(self, name: str) -> int:
        """Return the index of a column; raise `TraceFault` if there is none of that name."""
        try:
            return self.head.index(name)
        except ValueError:
            raise TraceFault(1, f"has no column {name!r} (it has: {', '.join(self.head[:12])})") from None

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line, fields), each as wide as the head."""
        for row in self._reader:
            line = getattr(self._reader, "line_num", 0)
            if not row:
                continue
            if len(row) != len(self.head):
                raise TraceFault(line, f"has {len(row)} fields, not {len(self.head)}")
            yield line, row

    def number(self, row: Sequence[str], column: int, line: int) -> float:
        """Read a number; raise `TraceFault` if it is negative or none."""
        text = row[column].strip()
        try:
            value = float(text)
        except ValueError:
            raise TraceFault(line, f"{self.head[column]}: {text[:40]!r} is not a number") from None
        if not 0 <= value < math.inf:
            raise TraceFault(line, f"{self.head[column]}: {text[:40]} must be 0 or more")
        return value

    def count(self, row: Sequence[str], column: int, line: int) -> int:
        """A whole number; an empty field is 0."""
        if not row[column].strip():
            return 0
        value = self.number(row, column, line)
        if value != int(value):
            raise TraceFault(line, f"{self.head[column]}: {row[column][:40]} is not a whole number")
        return int(value)


def _azure2019(table: _TraceTable, rng: Random, how: Spread) -> Mapping[str, Invocations]:
    """A function a line, a minute of its day a column: `HashOwner,HashApp,HashFunction,Trigger,1,2,...`."""
    name = table.column("HashFunction")
    minutes = [table.column(str(number)) for number in range(1, _MINUTES + 1) if str(number) in table.head]
    if not minutes:
        raise TraceFault(1, "has no column '1': minutes are numbered from 1")
    found: dict[str, Invocations] = defaultdict(Invocations)
    for line, row in table.rows():
        counts = [table.count(row, one, line) for one in minutes]
        found[row[name]].at_s.extend(spread(counts, 60.0, how, rng))
    return found


def _azure2021(table: _TraceTable, _rng: Random, _how: Spread) -> Mapping[str, Invocations]:
    """An invocation a line: `app,func,end_timestamp,duration`, seconds."""
    app, func = table.column("app"), table.column("func")
    end, duration = table.column("end_timestamp"), table.column("duration")
    found: dict[str, Invocations] = defaultdict(Invocations)
    for line, row in table.rows():
        took_s = table.number(row, duration, line)
        one = found[f"{row[app]}/{row[func]}"]
        one.at_s.append(table.number(row, end, line) - took_s)
        one.service_s.append(took_s)
    return found


def _huawei2023(table: _TraceTable, rng: Random, how: Spread) -> Mapping[str, Invocations]:
    """Requests by second or minute, a function a column: `day,time,0,1,2,...`, time in seconds."""
    time = table.column("time")
    names = [place for place, name in enumerate(table.head) if name not in ("day", "time")]
    day = table.head.index("day") if "day" in table.head else None
    moments: list[float] = []
    counts: list[list[int]] = [[] for _ in names]
    for line, row in table.rows():
        at_s = table.number(row, time, line) + (0 if day is None else 86_400 * table.number(row, day, line))
        if moments and at_s <= moments[-1]:
            raise TraceFault(line, "time: does not rise")
        moments.append(at_s)
        for one, place in zip(counts, names, strict=True):
            one.append(table.count(row, place, line))
    width_s = min((b - a for a, b in pairwise(moments)), default=60.0)
    found: dict[str, Invocations] = {}
    for one, place in zip(counts, names, strict=True):
        at = [moments[n] - moments[0] + s for n, k in enumerate(one) for s in spread([k], width_s, how, rng)]
        found[table.head[place]] = Invocations(at)
    return found


def _huawei2025(table: _TraceTable, _rng: Random, _how: Spread) -> Mapping[str, Invocations]:
    """A request a line; `time_frontend` and `runtimeCost` in seconds (their other columns are not needed)."""
    name, at, cost = (table.column(one) for one in ("funcName", "time_frontend", "runtimeCost"))
    found: dict[str, Invocations] = defaultdict(Invocations)
    for line, row in table.rows():
        one = found[row[name]]
        one.at_s.append(table.number(row, at, line))
        one.service_s.append(table.number(row, cost, line))
    return found


_COUNTED: Final = ("azure2019", "huawei2023")
"""Layouts that count in bins, whose first begins at 0."""

_READERS: Final[Mapping[str, Callable[[_TraceTable, Random, Spread], Mapping[str, Invocations]]]] = {
    "azure2019": _azure2019,
    "azure2021": _azure2021,
    "huawei2023": _huawei2023,
    "huawei2025": _huawei2025,
}
