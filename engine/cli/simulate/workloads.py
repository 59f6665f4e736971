"""What `engine simulate` plays: workloads from a shape, a trace file, or a made-up population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from engine.cli.model_options import refuse
from engine.core.function import Function
from engine.model.distributions import Distribution
from engine.model.simulation.workload import Trigger, Workload, drawn_workload
from engine.model.traffic import synthetic
from engine.model.traffic.shapes import Shape, Spread, arrivals
from engine.model.traffic.traces import LAYOUTS, Invocations, TraceFault, read
from engine.sources.replay.reader import TraceError, rows_of

MAX_REQUESTS = 20_000_000


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
        """Events at those moments; they take what the trace says, if it does."""
        function = self.configured.get(name) or replace(self.function, name=name)
        if memory_mb is not None:
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
        return replace(made, service_s=calls.service_s) if calls.service_s else made


def from_shape(recipe: Recipe, shape: Shape, horizon_s: float) -> list[Workload]:
    """One function under a shape."""
    expected = shape.mean_per_s(horizon_s) * horizon_s
    if expected > MAX_REQUESTS:
        refuse([f"--traffic {shape}: {expected:,.0f} requests are too many to simulate; see `engine plan`"])
    calls = Invocations(arrivals(shape, horizon_s, recipe.rng))
    return [recipe.workload(recipe.function.name, calls)]


def from_trace(recipe: Recipe, file: str, layout: str, how: Spread, until_s: float) -> list[Workload]:
    """The functions of a trace, busiest first, up to `until_s`; exits with the line where it is wrong."""
    found = events(file) if layout == "events" else _published(file, layout, how, recipe.rng)
    calls = {name: one.until(until_s) for name, one in found.items()}
    requests = sum(len(one.at_s) for one in calls.values())
    if requests > MAX_REQUESTS:
        refuse([f"{file}: {requests:,} requests are too many to simulate; cut it by --seconds"])
    return [recipe.workload(name, one) for name, one in calls.items() if one.at_s]


def from_population(recipe: Recipe, count: int, horizon_s: float) -> list[Workload]:
    """Made-up applications with the published facts: those that are called in that time."""
    made = []
    for one in synthetic.applications(count, recipe.rng):
        if one.rate_per_s * horizon_s > MAX_REQUESTS / 10:
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


def events(file: str) -> Mapping[str, Invocations]:
    """A trace of events, JSON Lines or CSV, by function, busiest first; its first event comes at 0."""
    found: dict[str, Invocations] = {}
    try:
        with rows_of(Path(file)) as rows:
            for row in rows:
                found.setdefault(row.function or "function", Invocations()).at_s.append(row.at_s)
    except TraceError as error:
        refuse([str(error)])
    if not found:
        refuse([f"{file}: no event in the whole trace"])
    origin_s = min(min(one.at_s) for one in found.values())
    busiest = sorted(found, key=lambda name: -len(found[name].at_s))
    return {name: found[name].sorted(origin_s) for name in busiest}


def _published(file: str, layout: str, how: Spread, rng: Random) -> Mapping[str, Invocations]:
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as lines:
            return read(layout, lines, rng=rng, how=how)
    except TraceFault as error:
        refuse([f"{file}:{error.line}: {error.reason}"])
    except (OSError, UnicodeDecodeError) as error:
        refuse([f"{file}: {getattr(error, 'strerror', None) or error}"])


def layouts() -> Sequence[str]:
    """What a trace may be laid out as."""
    return ("events", *LAYOUTS)
