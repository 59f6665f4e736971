"""The stages of a load that a rate, a shape or a trace describes, with its warm-up before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final, Literal, NamedTuple

from engine.load.planning.scenario import ScenarioStage
from engine.model.traffic.shapes import Shape, parse_shape
from engine.sources.replay.recorded import Trace, recorded
from engine.sources.replay.trace_file import TraceError

_TRACE: Final = "trace"
_MAX_STAGES: Final = 24
"""Pieces of constant rate that each get a row of the report; a shape with more is one stage."""


class LoadProfile(NamedTuple):
    """Which requests come when.

    Attributes:
        stages: The warm-up and what is measured.
        spacing: Of the arrivals of stages.
        profiles, moments: As in a scenario: arrivals of the measured time that no stage has a rate for.
        peak_per_s: Requests a second at the most.
    """

    stages: tuple[ScenarioStage, ...]
    spacing: Literal["poisson", "constant"]
    profiles: dict[str, str]
    moments: dict[str, list[float]]
    peak_per_s: float


def profile_of(
    words: str, streams: Sequence[str], *, duration_s: float | None, default_s: float, warmup_s: float
) -> LoadProfile:
    """The profile in words: of `engine.model.traffic.shapes`, or `trace:FILE` (also `trace FILE`).

    A shape is the sum over all streams, which get equal parts. A trace lasts as long as it is, if no duration
    is given; each stream gets the calls of the function of its name.

    Raises:
        ValueError: With what is wrong.
    """
    kind, _, file = words.replace(" ", ":", 1).partition(":")
    if kind == _TRACE and file:
        return _of_trace(Path(file), streams, duration_s, warmup_s)
    return _of_shape(parse_shape(words), streams, duration_s or default_s, warmup_s)


def _of_shape(shape: Shape, streams: Sequence[str], duration_s: float, warmup_s: float) -> LoadProfile:
    part = shape.scaled(1 / len(streams))
    at_once_s = shape.rate_per_s(0.0) or shape.mean_per_s(duration_s)
    if not shape.requests(duration_s):
        raise ValueError(f"{shape}: no request comes in {duration_s:g} s")
    warmup = _warmup(dict.fromkeys(streams, at_once_s / len(streams)), warmup_s)
    pieces = list(part.pieces(duration_s))
    spacing: Literal["poisson", "constant"] = "constant" if shape.kind == "constant" else "poisson"
    peak_per_s = shape.peak_per_s(duration_s)
    if shape.is_smooth or len(pieces) > _MAX_STAGES:
        stages = (*warmup, ScenarioStage(name="load", seconds=duration_s))
        return LoadProfile(stages, spacing, dict.fromkeys(streams, str(part)), {}, peak_per_s)
    measured = tuple(
        ScenarioStage(
            name="load" if len(pieces) == 1 else f"{piece.from_s:g} s to {piece.to_s:g} s",
            seconds=piece.to_s - piece.from_s,
            per_s=dict.fromkeys(streams, piece.max_per_s),
        )
        for piece in pieces
    )
    return LoadProfile((*warmup, *measured), spacing, {}, {}, peak_per_s)


def _of_trace(file: Path, streams: Sequence[str], duration_s: float | None, warmup_s: float) -> LoadProfile:
    try:
        calls = recorded(Trace(file=file, layout="events").recognised(), Random(1)).functions
    except TraceError as error:
        raise ValueError(str(error)) from None
    moments = {name: list(calls[name].at_s) for name in streams if name in calls}
    if not moments:
        if len(streams) > 1:
            names = ", ".join(list(calls)[:5])
            raise ValueError(f"{file}: no call of {', '.join(streams)}; it has {names}")
        moments = {streams[0]: sorted(at_s for one in calls.values() for at_s in one.at_s)}
    last_s = max(at_s[-1] for at_s in moments.values())
    duration_s = duration_s or last_s + 0.001
    moments = {name: [one for one in at_s if one < duration_s] for name, at_s in moments.items()}
    total = sum(map(len, moments.values()))
    if not total:
        raise ValueError(f"{file}: no request comes in {duration_s:g} s")
    warmup = _warmup({name: len(at_s) / duration_s for name, at_s in moments.items()}, warmup_s)
    stages = (*warmup, ScenarioStage(name="load", seconds=duration_s))
    return LoadProfile(stages, "poisson", {}, moments, _peak_per_s(moments))


def _warmup(per_s: Mapping[str, float], seconds: float) -> tuple[ScenarioStage, ...]:
    """At the rate with which the load begins."""
    if not seconds:
        return ()
    return (ScenarioStage(name="warm-up", seconds=seconds, per_s=dict(per_s), warmup=True),)


def _peak_per_s(moments: Mapping[str, Sequence[float]]) -> float:
    seconds: dict[int, int] = {}
    for at_s in moments.values():
        for one in at_s:
            seconds[int(one)] = seconds.get(int(one), 0) + 1
    return float(max(seconds.values()))
