"""`engine plan --against`: what REPORT lines say was observed, by the names of what was predicted."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from math import ceil, fsum, inf
from pathlib import Path
from typing import Final, NamedTuple

from engine.cli.model_options import refuse
from engine.core.billing import billed_ms
from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.model.cost.bill import bill
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import invocations, total
from engine.model.distributions import Distribution, Empirical, empirical
from engine.model.queueing import comparison
from engine.model.queueing.prediction import Prediction
from engine.sources.replay.reader import rows_of
from engine.sources.replay.recorded import timeout_of
from engine.sources.replay.trace_file import Row, TraceError, WrongLines

_PIECES: Final = 1000
"""Values that a measured law is told by: means of so many equal shares, so that its mean is exact."""


@dataclass(slots=True)
class ObservedRuns:
    """The invocations of a log.

    Attributes:
        durations_s, answers_s: In the handler; with the initialisation before it, infinite if it timed out.
        inits_s: Initialisations.
        billed_ms: By memory size.
        begin_s, end_s: When the first event came, and the last was answered.
        is_timed: Whether the log says when.
        timeout_s: The longest that timed out; 0 = none did.
    """

    durations_s: array[float] = field(default_factory=lambda: array("d"))
    answers_s: array[float] = field(default_factory=lambda: array("d"))
    inits_s: array[float] = field(default_factory=lambda: array("d"))
    billed_ms: Counter[int] = field(default_factory=Counter)
    counts: Counter[int] = field(default_factory=Counter)
    begin_s: float = inf
    end_s: float = -inf
    is_timed: bool = True
    timeout_s: float = 0.0

    def add(self, row: Row, duration_s: float, memory_mb: int) -> None:
        """One more invocation."""
        init_s = row.init_s
        answer_s = duration_s + (init_s or 0.0)
        self.durations_s.append(duration_s)
        self.answers_s.append(inf if row.ending == "timeout" else answer_s)
        if row.ending == "timeout":
            self.timeout_s = max(self.timeout_s, duration_s)
        if init_s is not None:
            self.inits_s.append(init_s)
        billed = billed_ms(duration_s, init_s) if row.billed_ms is None else row.billed_ms
        self.billed_ms[memory_mb] += billed
        self.counts[memory_mb] += 1
        self.begin_s = min(self.begin_s, row.at_s)
        self.end_s = max(self.end_s, row.at_s + answer_s)

    @property
    def window_s(self) -> float | None:
        """From the first event to the last answer; None if the log has no times."""
        return self.end_s - self.begin_s if self.is_timed else None

    @property
    def memory_mb(self) -> int:
        """The memory of most invocations."""
        ((memory_mb, _),) = self.counts.most_common(1)
        return memory_mb

    def limit_s(self, otherwise_s: float) -> float:
        """The time-out of the function, as far as the log shows it: no run was cut short before it."""
        return timeout_of(self.timeout_s, max(self.durations_s), otherwise_s)

    def service(self) -> Empirical:
        """How long the handler takes."""
        return _law(self.durations_s)

    def figures(self, horizon_s: float, book: PriceBook, architecture: str) -> dict[str, float]:
        """By the names of `model.comparison`, of a log that covers `horizon_s` seconds."""
        ordered_s = sorted(self.answers_s)
        answered_s = [one_s for one_s in ordered_s if one_s < inf]
        used = (
            invocations(self.counts[memory_mb], billed, memory_mb, architecture)
            for memory_mb, billed in self.billed_ms.items()
        )
        return {
            "requests": len(ordered_s),
            "cold_starts": len(self.inits_s),
            "mean_ms": 1000 * fsum(answered_s) / len(answered_s) if answered_s else inf,
            **{f"p{p}_ms": 1000 * comparison.nearest_rank(ordered_s, p) for p in (50, 90, 95, 99)},
            "billed_ms": self.billed_ms.total(),
            "cost_usd": float(bill(total(*used), book).usd),
            "concurrency": fsum(self.durations_s) / horizon_s,
        }


def observed_runs(file: str, function: str | None, memory_mb: int) -> ObservedRuns:
    """Read a log or a trace with durations; exits with one line if it cannot be held against a plan.

    Args:
        file: The log.
        function: Which function of it; None = it names one at the most.
        memory_mb: Of invocations of which the log does not say it.
    """
    wrong = WrongLines()
    found = ObservedRuns()
    names: Counter[str | None] = Counter()
    try:
        with rows_of(Path(file), wrong=wrong, timed=False) as rows:
            for row in rows:
                names[row.function] += 1
                if function in (None, row.function):
                    if row.duration_s is None:
                        raise TraceError(file, row.line, "has no duration")
                    found.is_timed = found.is_timed and row.is_timed
                    found.add(row, row.duration_s, row.memory_mb or memory_mb)
    except TraceError as error:
        refuse([str(error)])
    if (first := wrong.error()) is not None:
        refuse([f"{file}:{first.line}: {first.reason}"])
    _refuse_unfit(file, function, names)
    return found


class Asked(NamedTuple):
    """What a plan is about."""

    function: Function
    service: Distribution
    init: Distribution
    horizon_s: float


class ObservedLog:
    """REPORT lines that a plan is held against.

    Attributes:
        file: Where they are.
        within: Percentage that prediction and log may differ; None = any.
        taken: What no option says and the log does: named by `completed`.
    """

    def __init__(self, file: str, runs: ObservedRuns, within: float | None) -> None:
        self.file, self.within = file, within
        self.taken: list[str] = []
        self._runs = runs

    def completed(self, asked: Asked, is_given: Callable[[str], bool]) -> Asked:
        """The same with what no option says as the log shows it.

        Exits if neither the log nor `--hours` says how long it covers.
        """
        function, service, init, horizon_s = asked
        runs, taken = self._runs, self.taken
        if not is_given("hours"):
            if not runs.window_s:
                refuse([f"{self.file}: its lines have no time: say by --hours how long they cover"])
            horizon_s = runs.window_s
        if not is_given("service"):
            service = runs.service()
            taken.append("durations")
        if not is_given("init") and runs.inits_s:
            init = _law(runs.inits_s)
            taken.append("initialisations")
        if not is_given("memory_mb"):
            function = replace(function, memory_mb=runs.memory_mb)
            taken.append(f"memory ({runs.memory_mb:,} MB)")
        if not is_given("timeout_s"):
            function = replace(function, timeout_s=runs.limit_s(function.timeout_s))
            taken.append(f"time-out ({function.timeout_s:g} s)")
        return Asked(function, service, init, horizon_s)

    def compared(
        self, found: Prediction, horizon_s: float, book: PriceBook
    ) -> list[comparison.ComparisonRow]:
        """Each figure, predicted and observed, without what a free tier would take off."""
        predicted_usd = float(bill(found.usage(), book).usd)
        seen = self._runs.figures(horizon_s, book, found.function.architecture)
        return comparison.compared(comparison.figures(found, predicted_usd), seen)

    def assumptions(self) -> tuple[str, ...]:
        """What the comparison takes for granted, a sentence each."""
        steady = "steady traffic has no beginning: the first cold starts of a log are not in the prediction"
        taken = (f"taken from the log, not predicted: {', '.join(self.taken)}",) if self.taken else ()
        return (*taken, steady)

    def is_missed(self, compared: Sequence[comparison.ComparisonRow]) -> bool:
        """Whether prediction and log differ by more than they may."""
        return self.within is not None and 100 * comparison.worst(compared) > self.within


def _refuse_unfit(file: str, function: str | None, names: Mapping[str | None, int]) -> None:
    """Exit if there is nothing, or more than one function, to be held against a plan."""
    listed = ", ".join(sorted(name for name in names if name is not None)[:10])
    if not names:
        refuse([f"{file}: no invocation in it"])
    if function is None and len(names) > 1:
        refuse([f"{file}: has several functions: choose one by --function ({listed})"])
    if function is not None and function not in names:
        refuse([f"{file}: has no function {function!r} (it has: {listed or 'no names'})"])


def _law(seconds: array[float]) -> Empirical:
    ordered_s = sorted(seconds)
    size = ceil(len(ordered_s) / _PIECES)
    pieces = (ordered_s[place : place + size] for place in range(0, len(ordered_s), size))
    return empirical([fsum(piece) / len(piece) for piece in pieces])
