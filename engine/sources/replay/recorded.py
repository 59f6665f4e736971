"""A whole trace in memory, by function: what a simulation plays, or what is sorted before it is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from random import Random
from typing import Final, TextIO

from engine.core.late_dataclass import dataclass
from engine.sources.replay.published import (
    COLD_START_LAYOUTS,
    COUNTED,
    LAYOUTS,
    Beside,
    Drawing,
    Invocations,
    Spread,
    cold_starts,
    delays_of_2023,
    durations_of_2019,
    memory_of_2019,
    read,
)
from engine.sources.replay.reader import Format, form_of, rows_of
from engine.sources.replay.trace_file import (
    MAX_CALLS,
    LineError,
    Row,
    TooManyCalls,
    TraceError,
    WrongLines,
    opened,
    reading,
)

MAX_TIMEOUT_S: Final = 900.0  # Lambda's longest
NAMELESS: Final = "function"
"""What a function is called that a trace does not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where a trace is, and how it is read.

    Attributes:
        file: The trace.
        layout: `events` (recognised by its first lines), `reports`, or a published one.
        durations, memory: Further files of its data set (Azure 2019; durations: also Huawei 2023).
        spread: Where in its minute a call comes that was only counted.
        skip: Leave wrong lines out, instead of reading none.
    """

    file: Path
    layout: str = "events"
    durations: Path | None = None
    memory: Path | None = None
    spread: Spread = "uniform"
    skip: bool = False

    def recognised(self) -> Trace:
        """The same with its layout recognised: `events`, `reports` or a published one.

        Raises:
            TraceError: It cannot be opened or recognised, or holds cold starts only.
        """
        layout = self.layout
        if layout == "events":
            form = form_of(self.file)
            if form in (*LAYOUTS, *COLD_START_LAYOUTS):
                layout = form
            elif form in ("reports", "report-csv"):
                layout = "reports"
        if layout in COLD_START_LAYOUTS:
            raise TraceError(
                str(self.file), 0, "holds cold starts only, not when events came: see --init-times"
            )
        needed = {"azure2019": (), "huawei2023": (self.memory,)}.get(layout, (self.durations, self.memory))
        if any(needed):
            raise TraceError(str(self.file), 0, f"a trace of {layout} has no such further file")
        return replace(self, layout=layout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A trace that was read.

    Attributes:
        functions: By name, busiest first, each in order of time; the first event comes at 0.
        notes: What a reader of the result has to know of the trace, a sentence each.
        skipped: What was left out because it is wrong, a sentence for each file.
    """

    functions: Mapping[str, Invocations]
    notes: Sequence[str]
    skipped: Sequence[str]


def recorded(trace: Trace, rng: Random, until_s: float = inf) -> Recorded:
    """Read a trace that was recognised; `rng` draws what it does not say.

    What was counted after `until_s` is not read; other traces are read whole.

    Raises:
        TraceError: It cannot be read, or lines are wrong and are not to be left out.
    """
    skipped: list[str] = []
    if trace.layout in LAYOUTS:
        beside = _beside(trace, skipped)
        drawing = Drawing(rng=rng, how=trace.spread, beside=beside, until_s=until_s)
        with _text(trace.file, trace, skipped) as (lines, wrong):
            found = read(trace.layout, lines, drawing, wrong)
        return Recorded(functions=found, notes=_notes(trace, beside, found), skipped=skipped)
    wrong = WrongLines()
    form: Format = "reports" if trace.layout == "reports" else "auto"
    with reading(trace.file), rows_of(trace.file, form, wrong) as rows:
        calls, mixed = _gathered(rows)
    _judge(trace.file, trace, wrong, skipped)
    if not calls:
        raise TraceError(str(trace.file), 0, "no event in the whole trace")
    origin_s = min(min(one.at_s) for one in calls.values())
    busiest = sorted(calls, key=lambda name: -len(calls[name].at_s))
    notes = (f"{mixed:,} calls had other memory sizes than most of their function",) if mixed else ()
    return Recorded(
        functions={name: calls[name].sorted(origin_s) for name in busiest}, notes=notes, skipped=skipped
    )


def inits_of(file: Path) -> list[float]:
    """Initialisations, in seconds: of a file of cold starts, or of any trace that has them.

    Raises:
        TraceError: It cannot be read, or has none.
    """
    wrong = WrongLines()
    if form_of(file) in COLD_START_LAYOUTS:
        with opened(file) as lines, reading(file):
            found = cold_starts(lines, wrong)
    else:
        with rows_of(file, wrong=wrong, timed=False) as rows:
            found = [row.init_s for row in rows if row.init_s is not None]
    if (error := wrong.error()) is not None:
        raise TraceError(str(file), error.line, error.reason)
    if not found:
        raise TraceError(str(file), 0, "holds no initialisation")
    return found


def timeout_of(late_s: float, longest_s: float, otherwise_s: float) -> float:
    """The time-out of a function: what timed out took it; where nothing did (0), no call is to be cut short.

    Args:
        late_s: The longest that timed out; 0 = none did.
        longest_s: The longest of all.
        otherwise_s: The time-out if it is longer than all of them.
    """
    if late_s:
        return min(MAX_TIMEOUT_S, late_s)
    return MAX_TIMEOUT_S if longest_s >= otherwise_s else otherwise_s


def in_order(functions: Mapping[str, Invocations]) -> Iterator[Row]:
    """The calls of all functions in order of time, as rows with an empty payload."""
    names = list(functions)
    at_s = [(one_s, place) for place, name in enumerate(names) for one_s in functions[name].at_s]
    at_s.sort()
    for number, (one_s, place) in enumerate(at_s, 1):
        yield Row(number, one_s, names[place])


def _gathered(rows: Iterator[Row]) -> tuple[dict[str, Invocations], int]:
    """Calls by function, and how many had another memory than most of theirs."""
    calls: dict[str, Invocations] = {}
    memory: dict[str, Counter[int]] = {}
    measured: dict[str, tuple[float, float]] = {}  # CPU and duration of those that have both, seconds
    for number, row in enumerate(rows):
        if number == MAX_CALLS:
            raise TooManyCalls
        name = row.function or NAMELESS
        one = calls.get(name)
        if one is None:
            one, memory[name] = calls.setdefault(name, Invocations()), Counter()
        one.at_s.append(row.at_s)
        one.service_s.append(nan if row.duration_s is None else row.duration_s)
        if row.ending is not None:
            one.endings.append(row.ending)
        if row.init_s is not None:
            one.inits_s.append(row.init_s)
        if row.memory_mb is not None:
            memory[name][row.memory_mb] += 1
        if row.cpu_s is not None and row.duration_s:
            cpu_s, ran_s = measured.get(name, (0.0, 0.0))
            measured[name] = cpu_s + row.cpu_s, ran_s + row.duration_s
    mixed = 0
    for name, one in calls.items():
        if len(one.endings) < len(one.at_s):  # of no use, if they are not said of all
            one.endings = []
        if memory[name]:
            ((one.memory_mb, most),) = memory[name].most_common(1)
            mixed += memory[name].total() - most
        if name in measured:
            cpu_s, ran_s = measured[name]
            one.vcpus = cpu_s / ran_s
    return calls, mixed


def _beside(trace: Trace, skipped: list[str]) -> Beside:
    """What the further files of the data set say."""
    found = Beside()
    if trace.durations is not None:
        with _text(trace.durations, trace, skipped) as (lines, wrong):
            if trace.layout == "azure2019":
                found = replace(found, laws=durations_of_2019(lines, wrong))
            else:
                found = replace(found, delays_s=delays_of_2023(lines, wrong))
    if trace.memory is not None:
        with _text(trace.memory, trace, skipped) as (lines, wrong):
            found = replace(found, memory_mb=memory_of_2019(lines, wrong))
    return found


@contextmanager
def _text(file: Path, trace: Trace, skipped: list[str]) -> Iterator[tuple[TextIO, WrongLines]]:
    """The lines of a file, and what takes those that are wrong; afterwards these are judged."""
    wrong = WrongLines()
    with opened(file) as lines, reading(file):
        yield lines, wrong
    _judge(file, trace, wrong, skipped)


def _judge(file: Path, trace: Trace, wrong: WrongLines, skipped: list[str]) -> None:
    """Raise what is wrong with a file, or put it down as left out."""
    error: LineError | None = wrong.error()
    if error is None:
        return
    if not trace.skip:
        raise TraceError(str(file), error.line, error.reason)
    skipped.append(f"{file}: {wrong.count:,} wrong lines left out; line {error.line}: {error.reason}")


def _notes(trace: Trace, beside: Beside, functions: Mapping[str, Invocations]) -> tuple[str, ...]:
    notes = []
    if trace.layout in COUNTED:
        notes.append(f"the trace counts calls; where in its interval each comes is made up ({trace.spread})")
    if beside.laws:
        notes.append(
            "durations are drawn from published percentiles of 30 s averages: they vary more in truth; "
            "a function without has the median of its trigger"
        )
    if beside.memory_mb:
        without = sum(one.memory_mb is None for one in functions.values())
        notes.append(
            f"memory is what an app was given at the most, at least 128 MB; {without:,} functions have none"
        )
    if beside.delays_s:
        notes.append("durations are means over an interval, taken as seconds (unverified): they vary more")
    if trace.layout == "huawei2025":
        notes.append("a request began when the frontend wrote its line, less its cost (unverified)")
    return tuple(notes)
