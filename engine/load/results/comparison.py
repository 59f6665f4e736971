"""Two runs side by side: what changed, with the interval that chance alone leaves open.

Neighbouring requests wait for each other, so they are not drawn one by one: the measured time of each run is
cut into twenty blocks, and blocks are drawn with replacement (a block bootstrap), each run for itself. The
interval holds 95 % of the differences that such draws have.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from random import Random
from typing import Any, Final, NamedTuple

METHOD: Final = "95 % interval of the difference, by a block bootstrap: 1,000 draws of 20 blocks of each run"

BLOCKS: Final = 20
"""Parts of the measured time by which runs are compared: neighbours in time wait for each other."""

_DRAWS: Final = 1000
_OUTSIDE: Final = 0.025
_PER: Final = 1000

Document = Mapping[str, Any]
Weights = Sequence[int]
Figure = Callable[[Weights], float | None]
"""A figure of a run if each block came so many times; None where it has none."""


class FigureChange(NamedTuple):
    """One figure of both runs.

    Attributes:
        name: What it is, with its unit.
        before, after: Of each run.
        low, high: Of the difference, after less before.
    """

    name: str
    before: float
    after: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether the interval leaves 0 out."""
        return not self.low <= 0 <= self.high


def refusal(before: Document, executors: Mapping[str, str], cores: int | None) -> str | None:
    """Why a run with these executors on so many cores cannot be held against `before`; None if it can."""
    settings, machine = before.get("settings"), before.get("machine")
    if not isinstance(settings, dict) or not isinstance(machine, dict) or "executors" not in settings:
        return "is no run.json of engine load, or of an older version"
    streams = before.get("client", {}).get("streams", {}).values()
    if "samples" not in before or not all(one.get("blocks") for one in streams):
        return "has no times to compare: it is a published run"
    if settings["executors"] != dict(executors):
        return f"ran on other executors: {_listed(settings['executors'])}, and now {_listed(executors)}"
    if machine["cores"] != cores:
        return f"ran on {machine['cores']} cores, and now on {cores}"
    return None


def comparison(before: Document, after: Document) -> dict[str, Any]:
    """The changes, for run.json: rows of `FigureChange`, and in which other ways the runs differ."""
    random = Random(1)
    changes = [
        change
        for name, (first, second) in _figures(before, after).items()
        if (change := _change(name, first, second, random)) is not None
    ]
    return {
        "with": before["run_id"],
        "method": METHOD,
        "rows": [{**change._asdict(), "differs": change.differs} for change in changes],
        "unlike": _unlike(before, after),
    }


def _figures(before: Document, after: Document) -> dict[str, tuple[Figure, Figure]]:
    found: dict[str, tuple[Figure, Figure]] = {}
    streams = before["client"]["streams"]
    for name, stream in after["client"]["streams"].items():
        if name not in streams:
            continue
        first, second = _Times(streams[name]["blocks"]), _Times(stream["blocks"])
        for percent in (50, 99):
            found[f"{name}, p{percent}, ms"] = first.percentile(percent), second.percentile(percent)
    if before["engine"] is not None and after["engine"] is not None:
        for title, column, scale in (
            ("cold starts, %", "cold_starts", 100.0),
            (f"cost of {_PER:,} requests, $", "cost_usd", float(_PER)),
        ):
            found[title] = _ratio(before["samples"], column, scale), _ratio(after["samples"], column, scale)
    return found


def _change(name: str, first: Figure, second: Figure, random: Random) -> FigureChange | None:
    once = [1] * BLOCKS
    before, after = first(once), second(once)
    if before is None or after is None:
        return None
    differences = sorted(
        theirs - mine
        for _ in range(_DRAWS)
        if (mine := first(_drawn(random))) is not None and (theirs := second(_drawn(random))) is not None
    )
    edge = int(len(differences) * _OUTSIDE)
    return FigureChange(name, before, after, differences[edge], differences[-1 - edge])


def _drawn(random: Random) -> list[int]:
    """How often each block is drawn."""
    weights = [0] * BLOCKS
    for block in random.choices(range(BLOCKS), k=BLOCKS):
        weights[block] += 1
    return weights


class _Times:
    """Response times by block, ready for percentiles of any mixture of blocks."""

    def __init__(self, blocks: Sequence[Sequence[tuple[int, int]]]) -> None:
        self._values = sorted({value for block in blocks for value, _ in block})
        self._upto: list[list[int]] = []
        for block in blocks:
            counts = dict(block)
            self._upto.append(list(accumulate(counts.get(value, 0) for value in self._values)))

    def percentile(self, percent: float) -> Figure:
        """Milliseconds that so many per cent did not exceed."""

        def of(weights: Weights) -> float | None:
            parts = [(weight, upto) for weight, upto in zip(weights, self._upto, strict=True) if weight]
            total = sum(weight * upto[-1] for weight, upto in parts if upto)
            if not total:
                return None
            places = range(len(self._values))
            rank = total * percent / 100
            place = bisect_left(places, rank, key=lambda at: sum(weight * upto[at] for weight, upto in parts))
            return self._values[place] / 1000

        return of


def _ratio(samples: Mapping[str, Sequence[float]], column: str, scale: float) -> Figure:
    """What a counter grew by for each invocation, times `scale`."""
    at_s = samples["at_s"]
    end_s = at_s[-1] if at_s else 0.0
    cuts = [bisect_left(at_s, end_s * block / BLOCKS) for block in range(BLOCKS)] + [len(at_s) - 1]
    grown = [
        (samples[column][b] - samples[column][a], samples["invocations"][b] - samples["invocations"][a])
        for a, b in pairwise(cuts)
    ]

    def of(weights: Weights) -> float | None:
        over = sum(weight * part[1] for weight, part in zip(weights, grown, strict=True))
        if not over:
            return None
        return scale * sum(weight * part[0] for weight, part in zip(weights, grown, strict=True)) / over

    return of


def _unlike(before: Document, after: Document) -> list[str]:
    """In which other ways the runs differ, a sentence each."""
    pairs = [
        ("asked", before["question"], after["question"]),
        *((name, before["machine"].get(name), after["machine"].get(name)) for name in _OF_MACHINES),
        ("seed", before["settings"]["seed"], after["settings"]["seed"]),
        ("stubs", _stubbed(before), _stubbed(after)),
    ]
    return [f"{name}: {one}, now {other}" for name, one, other in pairs if one != other]


_OF_MACHINES: Final = ("processor", "python", "engine", "commit", "event loop")


def _stubbed(document: Document) -> str:
    stubs = (document.get("stubs") or {}).get("stubs", ())
    return "; ".join(f"{one['name']} {one['set']}" for one in stubs) or "none"


def _listed(executors: Mapping[str, str]) -> str:
    return ", ".join(f"{name} on {executor}" for name, executor in executors.items()) or "none that is known"
