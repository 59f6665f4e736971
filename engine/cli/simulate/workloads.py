"""What `engine simulate` plays: workloads from a shape, a trace file, or a made-up population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from math import isnan
from random import Random
from typing import Final, NamedTuple

from engine.cli.model_options import refuse
from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.model.distributions import Distribution
from engine.model.simulation.workload import AttemptEnding, Trigger, Workload, drawn_workload
from engine.model.traffic import synthetic
from engine.model.traffic.shapes import Shape, arrivals
from engine.sources.replay.published import COUNTED, Invocations
from engine.sources.replay.recorded import Trace, recorded, timeout_of
from engine.sources.replay.trace_file import MAX_CALLS, Ending, TraceError

_NOTES: Final = 8
"""Sentences about a trace that are shown."""

_ENDINGS: Final[Mapping[Ending, AttemptEnding]] = {
    "success": AttemptEnding.SUCCESS,
    "error": AttemptEnding.ERROR,
    "crash": AttemptEnding.CRASH,
    "timeout": AttemptEnding.CRASH,  # unless the limit comes first, as it should
}


class TracedWorkloads(NamedTuple):
    """What a trace makes.

    Attributes:
        workloads: Of each function, busiest first.
        notes: What is taken for granted of the trace, a sentence each.
        skipped: What was left out, a sentence for each file.
        unused: Options that change nothing, by the reason.
        vcpus: That a call takes while it runs, by function, as far as the trace says it.
    """

    workloads: list[Workload]
    notes: Sequence[str]
    skipped: Sequence[str]
    unused: Mapping[str, Sequence[str]]
    vcpus: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How events are made, whatever brings them: see `workload.drawn_workload`.

    A function has the limits of `configured` if it is named there, else those of `function`.
    """

    function: Function
    service: Distribution
    init: Distribution
    error_share: float
    crash_share: float
    trigger: Trigger
    rng: Random
    configured: Mapping[str, Function]

    def workload(self, name: str, calls: Invocations, memory_mb: int | None = None) -> Workload:
        """Events at those moments; they take, end and initialise as the trace says, if it does."""
        function = self.configured.get(name) or replace(self.function, name=name)
        if memory_mb is not None and name not in self.configured:
            function = replace(function, memory_mb=memory_mb)
        made = drawn_workload(
            function,
            calls.at_s,
            service=self.service,
            init=self.init,
            rng=self.rng,
            error_share=self.error_share,
            crash_share=self.crash_share,
            trigger=self.trigger,
        )
        if calls.service_s:
            service_s = [
                drawn if isnan(said) else said
                for said, drawn in zip(calls.service_s, made.service_s, strict=True)
            ]
            made = replace(made, service_s=service_s, retry_service_s=[service_s] * len(made.retry_service_s))
        if calls.endings:
            made = _ended(made, calls.endings)
        return replace(made, inits_s=calls.inits_s) if calls.inits_s else made


def _ended(made: Workload, endings: Sequence[Ending]) -> Workload:
    """The same with the endings of a trace. What timed out there takes at least the limit it has here."""
    limit_s = made.function.timeout_s
    service_s = [
        max(took_s, limit_s) if ending == "timeout" else took_s
        for took_s, ending in zip(made.service_s, endings, strict=True)
    ]
    return replace(made, service_s=service_s, endings=[_ENDINGS[ending] for ending in endings])


def from_shape(recipe: Recipe, shape: Shape | None, horizon_s: float, backlog: int = 0) -> list[Workload]:
    """One function under a shape, after a backlog that is there at second 0."""
    expected = backlog + (0.0 if shape is None else shape.requests(horizon_s))
    if expected > MAX_CALLS:
        what = f"--traffic {shape}" if shape is not None else f"--backlog {backlog}"
        refuse([f"{what}: {expected:,.0f} requests are too many to simulate; see `engine plan`"])
    at_s = [0.0] * backlog
    if shape is not None:
        at_s += arrivals(shape, horizon_s, recipe.rng)
    calls = Invocations(at_s)
    return [recipe.workload(recipe.function.name, calls)]


def from_trace(recipe: Recipe, trace: Trace, until_s: float, *, timeout_given: bool) -> TracedWorkloads:
    """The functions of a trace, busiest first, up to `until_s`; exits with the line where it is wrong."""
    try:
        found = recorded(trace, recipe.rng, until_s)
    except TraceError as error:
        refuse([str(error)])
    calls = {name: one.until(until_s) for name, one in found.functions.items()}
    calls = {name: one for name, one in calls.items() if one.at_s}
    if not calls:
        refuse([f"{trace.file}: no event in the first {until_s:g} seconds"])
    notes = list(found.notes)
    made = []
    for name, one in calls.items():
        own = recipe
        if not timeout_given and name not in recipe.configured:
            timeout_s = _timeout_s(one, recipe.function.timeout_s)
            own = replace(recipe, function=replace(recipe.function, timeout_s=timeout_s))
            if timeout_s != recipe.function.timeout_s:
                notes.append(f"{name}: its time-out is {timeout_s:g} s, from what the trace says")
        if one.memory_mb is not None and not 128 <= one.memory_mb <= 10_240:
            refuse([f"{trace.file}: {name}: memory of {one.memory_mb} MB: Lambda has 128 to 10240"])
        made.append(own.workload(name, one, one.memory_mb))
    vcpus = {name: one.vcpus for name, one in calls.items() if one.vcpus is not None}
    notes = [*notes[:_NOTES], *_more(notes)]
    return TracedWorkloads(made, notes, found.skipped, _unused(trace, calls), vcpus)


def _timeout_s(calls: Invocations, otherwise_s: float) -> float:
    ends = zip_longest(calls.service_s, calls.endings)
    late_s = (took_s for took_s, ending in ends if ending == "timeout" and not isnan(took_s))
    longest_s = max((took_s for took_s in calls.service_s if not isnan(took_s)), default=0.0)
    return timeout_of(max(late_s, default=0.0), longest_s, otherwise_s)


def _more(notes: Sequence[str]) -> list[str]:
    return [f"{len(notes) - _NOTES:,} more functions have time-outs from the trace"] * (len(notes) > _NOTES)


def _unused(trace: Trace, calls: Mapping[str, Invocations]) -> dict[str, list[str]]:
    """Options that change nothing, by the reason: the trace says it of every call."""
    found = {}
    every = list(calls.values())
    said = []
    if all(one.service_s and not any(map(isnan, one.service_s)) for one in every):
        said.append("service")
    if all(one.inits_s for one in every):
        said.append("init")
    if all(one.memory_mb is not None for one in every):
        said.append("memory_mb")
    if all(one.vcpus is not None for one in every):
        said.append("environment_cpu")
    if all(one.endings for one in every):
        said += ["errors", "crashes", "asynchronous"]
    if said:
        found["the trace says it of each call"] = said
    if trace.layout not in COUNTED:
        found["the trace has the moment of each call"] = ["spread"]
    return found


def from_population(recipe: Recipe, count: int, horizon_s: float) -> list[Workload]:
    """Made-up applications with the published facts: those that are called in that time."""
    made = []
    for one in synthetic.applications(count, recipe.rng):
        if one.rate_per_s * horizon_s > MAX_CALLS / 10:
            continue
        at_s = synthetic.arrivals(one, horizon_s, recipe.rng)
        if at_s:
            limit_s = recipe.function.timeout_s
            took_s = [min(s, limit_s) for s in synthetic.durations(one, len(at_s), recipe.rng)]
            memory_mb = min(10_240, max(128, round(one.memory_mb)))
            made.append(recipe.workload(one.name, Invocations(at_s, took_s), memory_mb))
    if not made:
        refuse(["--population: nobody is called in that time: ask for more applications or seconds"])
    return made
