"""Published traces of other clouds: Azure Functions 2019 and 2021, Huawei 2023 and 2025, AFaaS 2025.

Sources: AzurePublicDataset, "AzureFunctionsDataset2019.md" and "AzureFunctionsInvocationTrace2021.md";
sir-lab/data-release, README of the Huawei Public Cloud Trace 2023 and 2025; "Ant Group Production FaaS Trace
Data Releases".
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from itertools import pairwise
from math import ceil, inf, isfinite, nan
from random import Random
from statistics import median
from typing import Final, Literal

from engine.core.late_dataclass import dataclass
from engine.sources.replay.trace_file import Ending, LineError, Table, WrongLines, number_of

LAYOUTS: Final = ("azure2019", "azure2021", "huawei2023", "huawei2025")
COLD_START_LAYOUTS: Final = ("huawei2025-cold-starts", "afaas2025")
"""Files of cold starts only: they say how long environments initialise, and not when events come."""

COUNTED: Final = ("azure2019", "huawei2023")
"""Layouts that count in bins, whose first begins at 0."""

Spread = Literal["uniform", "even", "start"]
"""Where in its minute a request that was only counted comes: anywhere, at equal distances, or all at once."""

_MINUTES: Final = 1440
_PERCENTS: Final = (0, 1, 25, 50, 75, 99, 100)
_POOL: Final = re.compile(r"pool\w+-\d+-(\d+)")
_MEAN_WITHIN: Final = 0.1
"""How far the mean of a law may be from the published one before the law is scaled to it."""


@dataclass(slots=True)
class Invocations:
    """What a trace says of one function.

    Attributes:
        at_s: When it was called.
        service_s: How long each call took; nan = it is not said; empty = of none.
        endings: How each ended; empty = it is not said.
        inits_s: Initialisations, in the order of the calls that waited for them.
        memory_mb: Configured memory, if it is said.
        vcpus: That a call takes while it runs, on average, if it is said.
    """

    at_s: list[float] = field(default_factory=list)
    service_s: list[float] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    inits_s: list[float] = field(default_factory=list)
    memory_mb: int | None = None
    vcpus: float | None = None

    def until(self, end_s: float) -> Invocations:
        """What comes before `end_s`, if it is in order of time."""
        size = bisect_left(self.at_s, end_s)
        return replace(
            self, at_s=self.at_s[:size], service_s=self.service_s[:size], endings=self.endings[:size]
        )

    def sorted(self, origin_s: float) -> Invocations:
        """In order of time, counted from `origin_s`; calls of the same moment keep their order."""
        order = sorted(range(len(self.at_s)), key=self.at_s.__getitem__)
        return replace(
            self,
            at_s=[self.at_s[place] - origin_s for place in order],
            service_s=[self.service_s[place] for place in order] if self.service_s else [],
            endings=[self.endings[place] for place in order] if self.endings else [],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What other files of a data set say of the functions of a trace.

    Attributes:
        laws: How long a function takes, by owner, app and function (Azure 2019).
        memory_mb: What an app takes at the most, by owner and app (Azure 2019).
        delays_s: Mean durations by function and moment (Huawei 2023).
    """

    laws: Mapping[tuple[str, ...], DurationLaw] = field(default_factory=dict)
    memory_mb: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    delays_s: Mapping[str, Mapping[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What of a trace is drawn, and how much of it is wanted.

    Attributes:
        rng: Draws the moments of requests that were only counted, and durations of which a law is known.
        how: Where in their minute (or second) those come.
        beside: What other files say.
        until_s: What was counted from here on is left out.
    """

    rng: Random
    how: Spread = "uniform"
    beside: Beside = field(default_factory=Beside)
    until_s: float = inf


@dataclass(frozen=True, slots=True)
class DurationLaw:
    """Durations by their percentiles at 0, 1, 25, 50, 75, 99 and 100 %, straight between them.

    The published percentiles are of averages over 30 s, so they are too narrow; the mean is right.
    """

    mean_s: float
    percentiles_s: tuple[float, ...]

    def draw_s(self, rng: Random) -> float:
        """One duration; scaled, where the mean would be more than a tenth off."""
        percent = 100 * rng.random()
        place = min(bisect_right(_PERCENTS, percent), len(_PERCENTS) - 1)
        low, high = self.percentiles_s[place - 1], self.percentiles_s[place]
        part = (percent - _PERCENTS[place - 1]) / (_PERCENTS[place] - _PERCENTS[place - 1])
        return (low + part * (high - low)) * self.factor

    @property
    def factor(self) -> float:
        """What durations are multiplied by."""
        widths = [after - before for before, after in pairwise(_PERCENTS)]
        middles = [(low + high) / 2 for low, high in pairwise(self.percentiles_s)]
        mean_s = sum(width * middle for width, middle in zip(widths, middles, strict=True)) / 100
        if not mean_s or abs(mean_s / self.mean_s - 1) <= _MEAN_WITHIN:
            return 1.0
        return self.mean_s / mean_s


def layout_of(head: Sequence[str]) -> str | None:
    """The published layout that has such a first line, or None."""
    names = set(head)
    for layout, needed in _SIGNS.items():
        if needed <= names:
            return layout
    return "huawei2023" if names >= {"day", "time"} and any(one.isdecimal() for one in head) else None


_SIGNS: Final[Mapping[str, frozenset[str]]] = {
    "azure2019": frozenset({"HashFunction", "1"}),
    "azure2021": frozenset({"app", "func", "end_timestamp", "duration"}),
    "huawei2025": frozenset({"time_frontend", "runtimeCost", "funcName"}),
    "huawei2025-cold-starts": frozenset({"totalCost_cold_start"}),
    "afaas2025": frozenset({"totalcost", "createinstancecost"}),
}


def read(
    layout: str, lines: Iterable[str], drawing: Drawing, wrong: WrongLines | None = None
) -> Mapping[str, Invocations]:
    """The functions of a trace, busiest first; times begin at 0.

    Args:
        layout: One of `LAYOUTS`.
        lines: The file.
        drawing: What is drawn.
        wrong: Takes the lines that are wrong, which are left out.

    Raises:
        LineError: A line is wrong; its number is that in the file.
        TooManyCalls: It has more than `MAX_CALLS`.
    """
    seen = WrongLines() if wrong is None else wrong
    table = Table(lines, seen)
    found = _READERS[layout](table, drawing)
    if wrong is None and (error := seen.error()) is not None:
        raise error
    called = {name: one for name, one in found.items() if one.at_s}
    if not called:
        raise seen.error() or LineError(table.line, "no invocation in the whole trace")
    origin_s = 0.0 if layout in COUNTED else min(min(one.at_s) for one in called.values())
    busiest = sorted(called, key=lambda name: -len(called[name].at_s))
    return {name: called[name].sorted(origin_s) for name in busiest}


# ---------------------------------------------------------------- further files of a data set


def durations_of_2019(
    lines: Iterable[str], wrong: WrongLines | None = None
) -> dict[tuple[str, ...], DurationLaw]:
    """`function_durations_percentiles` (milliseconds), by owner, app and function.

    A function whose percentiles are missing, negative or not ascending is left out: the data has such.
    """
    table = Table(lines, wrong)
    key = [table.column(name) for name in ("HashOwner", "HashApp", "HashFunction")]
    columns = [table.column(f"percentile_Average_{p}") for p in _PERCENTS]
    average = table.column("Average")
    found = {}
    for line, row in table.rows():
        try:
            values_s = [_signed(row[one], table.head[one], line) / 1000 for one in (average, *columns)]
        except LineError as error:
            table.refuse(error)
            continue
        mean_s, percentiles_s = values_s[0], values_s[1:]
        if mean_s > 0 and percentiles_s[0] >= 0 and percentiles_s == sorted(percentiles_s):
            found[tuple(row[one] for one in key)] = DurationLaw(mean_s, tuple(percentiles_s))
    return found


def memory_of_2019(lines: Iterable[str], wrong: WrongLines | None = None) -> dict[tuple[str, ...], int]:
    """`app_memory_percentiles`: the most that an app was given on average, MB, by owner and app."""
    table = Table(lines, wrong)
    key = [table.column(name) for name in ("HashOwner", "HashApp")]
    most = table.column("AverageAllocatedMb_pct100")
    found = {}
    for line, row in table.rows():
        try:
            found[tuple(row[one] for one in key)] = -int(-table.number(row, most, line) // 1)
        except LineError as error:
            table.refuse(error)
    return found


def delays_of_2023(lines: Iterable[str], wrong: WrongLines | None = None) -> dict[str, dict[float, float]]:
    """`function_delay`: mean seconds (unverified) by function and moment; an empty field says nothing."""
    table = Table(lines, wrong)
    found: dict[str, dict[float, float]] = defaultdict(dict)
    time, names = _columns_of_2023(table)
    day = table.head.index("day") if "day" in table.head else None
    for line, row in table.rows():
        try:
            at_s = _moment_of_2023(table, row, line, time, day)
            for place in names:
                if row[place].strip():
                    found[table.head[place]][at_s] = table.number(row, place, line)
        except LineError as error:
            table.refuse(error)
    return found


def cold_starts(lines: Iterable[str], wrong: WrongLines | None = None) -> list[float]:
    """Seconds that environments took to initialise: a file of `COLD_START_LAYOUTS`."""
    table = Table(lines, wrong)
    huawei = "totalCost_cold_start" in table.head
    cost = table.column("totalCost_cold_start" if huawei else "totalcost")
    found = []
    for line, row in table.rows():
        try:
            found.append(table.number(row, cost, line) / (1 if huawei else 1000))
        except LineError as error:
            table.refuse(error)
    return found


# ---------------------------------------------------------------- the layouts


class _Names:
    """Short names of functions that are told apart by more than their name."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, ...]] = {}
        self._names: dict[tuple[str, ...], str] = {}

    def of(self, *key: str) -> str:
        """The last part of the key, with as many of those before it as no other function has."""
        name = self._names.get(key)
        if name is None:
            choices = ("/".join(key[place:]) for place in range(len(key) - 1, -1, -1))
            name = next((one for one in choices if one not in self._keys), "/".join(key))
            self._keys[name] = key
            self._names[key] = name
        return name


def _azure2019(table: Table, drawing: Drawing) -> Mapping[str, Invocations]:
    """A function a line, a minute of its day a column: `HashOwner,HashApp,HashFunction,Trigger,1,2,...`."""
    table.column("HashFunction")
    key = [table.head.index(one) for one in ("HashOwner", "HashApp", "HashFunction") if one in table.head]
    trigger = table.head.index("Trigger") if "Trigger" in table.head else None
    places = {name: place for place, name in enumerate(table.head)}
    minutes = [places[str(number)] for number in range(1, _MINUTES + 1) if str(number) in places]
    if not minutes:
        raise LineError(1, "has no column '1': minutes are numbered from 1")
    if isfinite(drawing.until_s):
        minutes = minutes[: ceil(drawing.until_s / 60)]
    in_a_row = minutes == list(range(minutes[0], minutes[0] + len(minutes)))
    names, found, laws = _Names(), defaultdict[str, Invocations](Invocations), dict[str, DurationLaw | None]()
    triggers: dict[str, str] = {}
    for line, row in table.rows():
        try:
            counts = _counts(table, row, line, minutes, in_a_row=in_a_row)
        except LineError as error:
            table.refuse(error)
            continue
        parts = tuple(row[one] for one in key)
        name = names.of(*parts)
        table.take(sum(counts))
        found[name].at_s.extend(spread(counts, 60.0, drawing.how, drawing.rng))
        laws[name] = drawing.beside.laws.get(parts)
        triggers[name] = "" if trigger is None else row[trigger]
        if (memory_mb := drawing.beside.memory_mb.get(parts[:-1])) is not None:
            found[name].memory_mb = min(10_240, max(128, memory_mb))
    if drawing.beside.laws:
        _draw_durations(found, laws, triggers, drawing.rng)
    return found


def _counts(table: Table, row: list[str], line: int, minutes: list[int], *, in_a_row: bool) -> list[int]:
    """The counts of all minutes of a function: fast where all are whole numbers."""
    if in_a_row:
        texts = row[minutes[0] : minutes[-1] + 1]
        try:
            counts = [0 if text == "0" else int(text) for text in texts]
        except ValueError:
            counts = [-1]
        if min(counts) >= 0:
            return counts
    return [table.count(row, one, line) for one in minutes]


def _draw_durations(
    found: Mapping[str, Invocations],
    laws: Mapping[str, DurationLaw | None],
    triggers: Mapping[str, str],
    rng: Random,
) -> None:
    """Durations from each function's law; without one, the median of the means of its trigger."""
    means: dict[str, list[float]] = defaultdict(list)
    for name, law in laws.items():
        if law is not None:
            means[triggers[name]].append(law.mean_s)
    for name, one in found.items():
        law = laws[name]
        if law is not None:
            one.service_s = [law.draw_s(rng) for _ in one.at_s]
        else:
            known = means.get(triggers[name])
            one.service_s = [median(known) if known else nan] * len(one.at_s)


def _azure2021(table: Table, _drawing: Drawing) -> Mapping[str, Invocations]:
    """An invocation a line: `app,func,end_timestamp,duration`, seconds."""
    app, func = table.column("app"), table.column("func")
    end, duration = table.column("end_timestamp"), table.column("duration")
    found: dict[str, Invocations] = defaultdict(Invocations)
    for line, row in table.rows():
        try:
            took_s, end_s = table.number(row, duration, line), table.number(row, end, line)
        except LineError as error:
            table.refuse(error)
            continue
        table.take(1)
        one = found[f"{row[app]}/{row[func]}"]
        one.at_s.append(end_s - took_s)
        one.service_s.append(took_s)
    return found


def _columns_of_2023(table: Table) -> tuple[int, list[int]]:
    """The column of the time, and those of the functions."""
    time = table.column("time")
    return time, [place for place, name in enumerate(table.head) if name not in ("day", "time")]


def _moment_of_2023(table: Table, row: list[str], line: int, time: int, day: int | None) -> float:
    """Seconds from the start of the data: `time` counts from there, or from the start of its day."""
    at_s = table.number(row, time, line)
    days_s = 0.0 if day is None else 86_400 * table.number(row, day, line)
    return at_s if at_s >= 86_400 else at_s + days_s


def _huawei2023(table: Table, drawing: Drawing) -> Mapping[str, Invocations]:
    """Requests by second or minute, a function a column: `day,time,0,1,2,...`, time in seconds."""
    time, names = _columns_of_2023(table)
    day = table.head.index("day") if "day" in table.head else None
    moments: list[float] = []
    counts = [array("L") for _ in names]
    for line, row in table.rows():
        try:
            at_s = _moment_of_2023(table, row, line, time, day)
            if moments and at_s <= moments[-1]:
                raise LineError(line, "time: does not rise")
            values = [table.count(row, place, line) for place in names]
        except LineError as error:
            table.refuse(error)
            continue
        if moments and at_s - moments[0] >= drawing.until_s:
            break
        table.take(sum(values))
        moments.append(at_s)
        for one, value in zip(counts, values, strict=True):
            one.append(value)
    width_s = min((b - a for a, b in pairwise(moments)), default=60.0)
    found: dict[str, Invocations] = {}
    for one, place in zip(counts, names, strict=True):
        calls = found[table.head[place]] = Invocations()
        delays_s = drawing.beside.delays_s.get(table.head[place], {})
        for moment_s, count in zip(moments, one, strict=True):
            if count:
                calls.at_s += [
                    moment_s - moments[0] + s for s in spread([count], width_s, drawing.how, drawing.rng)
                ]
                if drawing.beside.delays_s:
                    calls.service_s += [delays_s.get(moment_s, nan)] * count
    return found


def _huawei2025(table: Table, _drawing: Drawing) -> Mapping[str, Invocations]:
    """A request a line, in seconds; the frontend writes its line at the end of the request (unverified).

    A function is a name, a user and a pool; the pool's name holds the memory. `cpu_usage` is in cores, on
    average of the run (unverified).
    """
    name, at, cost = (table.column(one) for one in ("funcName", "time_frontend", "runtimeCost"))
    whole, user, pod, cpu = (
        table.head.index(one) if one in table.head else None
        for one in ("totalCost_frontend", "userID", "podID", "cpu_usage")
    )
    found: dict[str, Invocations] = defaultdict(Invocations)
    measured: dict[str, tuple[float, float]] = {}  # cores x seconds, and seconds of those that say both
    names = _Names()
    for line, row in table.rows():
        try:
            at_s, took_s = table.number(row, at, line), table.number(row, cost, line)
            if whole is not None:
                at_s -= table.number(row, whole, line)
            cores = table.number(row, cpu, line) if cpu is not None and row[cpu].strip() else None
        except LineError as error:
            table.refuse(error)
            continue
        table.take(1)
        pool = _POOL.match(row[pod]) if pod is not None else None
        key = (pool[0] if pool else "", "" if user is None else row[user], row[name])
        function = names.of(*key)
        one = found[function]
        one.at_s.append(at_s)
        one.service_s.append(took_s)
        if cores is not None:
            core_s, ran_s = measured.get(function, (0.0, 0.0))
            measured[function] = core_s + cores * took_s, ran_s + took_s
        if pool:
            one.memory_mb = min(10_240, max(128, int(pool[1])))
    for function, (core_s, ran_s) in measured.items():
        found[function].vcpus = core_s / ran_s if ran_s else None
    return found


def spread(counts: Sequence[int], width_s: float, how: Spread, rng: Random) -> list[float]:
    """Moments for requests of which only the number in each bin of `width_s` is known, ascending."""
    at_s: list[float] = []
    for number, count in enumerate(counts):
        if not count:
            continue
        begins_s = number * width_s
        if how == "start":
            at_s.extend([begins_s] * count)
        elif how == "even":
            at_s.extend(begins_s + (place + 0.5) * width_s / count for place in range(count))
        else:
            at_s.extend(sorted(begins_s + rng.random() * width_s for _ in range(count)))
    return at_s


def _signed(text: str, name: str, line: int) -> float:
    """A number that may be negative; none at all is -1, as published files have it in places."""
    text = text.strip()
    if not text:
        return -1.0
    return -number_of(text[1:], name, line) if text.startswith("-") else number_of(text, name, line)


_READERS: Final[Mapping[str, Callable[[Table, Drawing], Mapping[str, Invocations]]]] = {
    "azure2019": _azure2019,
    "azure2021": _azure2021,
    "huawei2023": _huawei2023,
    "huawei2025": _huawei2025,
}
