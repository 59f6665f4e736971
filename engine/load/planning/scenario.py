"""A scenario as it stands in `loadtests/scenarios/*.toml`, and how it becomes the plan of a run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError, model_validator

from engine.load.data_files import SCENARIOS
from engine.load.errors import LoadTestError
from engine.load.planning.frozen_table import FrozenTable
from engine.load.planning.objectives import CallerObjectives
from engine.load.planning.plan import Breaks, LoadStage, Stream
from engine.sources.samples.template import EventTemplate

_SHORTEST_S: Final = 1.0


class ScenarioStage(LoadStage):
    """A stage whose rates may be shares of what the machine can do.

    Attributes:
        share: Arrivals a second by stream, as a share of the measured capacity.
        fixed: It lasts as long as it says, whatever the duration of the run: something has to happen in it.
    """

    share: dict[str, float] = Field(default_factory=dict)
    fixed: bool = False


class Capacity(FrozenTable):
    """How the capacity is measured: users flat out, before the run, against an engine of its own."""

    stream: str
    users: int = Field(default=16, ge=1)
    seconds: float = Field(default=3.0, gt=0)


class Unchanged(FrozenTable):
    """Two stages in which the p99 of a stream is to be the same, but for a share and a slack."""

    stream: str
    before: str
    after: str
    share: float = Field(default=0.1, ge=0)
    slack_ms: float = Field(default=0.0, ge=0)


class Limits(FrozenTable):
    """What the run must hold. Absent is not judged. See `engine/load/results/checks.py` for each.

    Attributes:
        throttles: Whether refusals are part of the scenario: true asks for some, false for none.
        overhead_p99_ms: What the engine adds to an answer, from its own histogram.
        shortfall_s: Longest time for which fewer environments were ready than desired.
        knee: A stage has to break, after one that held.
        ready: Environments that have to get ready from zero, one number for each burst.
        empty: Stages at whose end no environment is left.
        free: Stages during which nothing is billed.
        rss_growth: Highest growth of the engine's memory between the first and the last quarter, as a share.
        more_files: Most open files that the last quarter may have on average above the first.
        unchanged: A stream that is not to be disturbed.
        objectives: What callers have to see, over all streams, warm-up left out.
    """

    throttles: bool | None = None
    overhead_p99_ms: float | None = Field(default=None, gt=0)
    shortfall_s: float | None = Field(default=None, gt=0)
    knee: bool = False
    ready: tuple[int, ...] = Field(default=(), strict=False)
    empty: tuple[str, ...] = Field(default=(), strict=False)
    free: tuple[str, ...] = Field(default=(), strict=False)
    rss_growth: float | None = Field(default=None, gt=0)
    more_files: int | None = Field(default=None, ge=0)
    unchanged: Unchanged | None = None
    objectives: CallerObjectives | None = None


class Scenario(FrozenTable):
    """One load test.

    Attributes:
        question: What it answers, in one sentence.
        streams: Requests, by name.
        stages: How many of them, over time.
        capacity: Needed if a stage has shares.
        breaks: Ends the run at the first stage that does not hold.
        limits: What must hold.
        spacing, profiles: See `Plan`.
        moments: The same as `profiles` by the seconds themselves.
        drain_s: How long, after the load, records may take to arrive.
        keep_alive_s: How long an idle environment lives of functions that take the place of the scenario's.
    """

    question: str
    streams: dict[str, Stream]
    stages: tuple[ScenarioStage, ...] = Field(min_length=1, strict=False)
    capacity: Capacity | None = None
    breaks: Breaks | None = None
    limits: Limits = Limits()
    spacing: Literal["poisson", "constant"] = "poisson"
    profiles: dict[str, str] = Field(default_factory=dict)
    moments: dict[str, list[float]] = Field(default_factory=dict)
    drain_s: float = Field(default=10.0, ge=0)
    keep_alive_s: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _names_are_known(self) -> Scenario:
        named = {name for stage in self.stages for name in _streams_of(stage)}
        named |= self.profiles.keys() | self.moments.keys()
        named |= {
            one.stream for one in (self.capacity, self.breaks, self.limits.unchanged) if one is not None
        }
        unknown = named - self.streams.keys()
        if unknown:
            raise ValueError(f"no stream is called {', '.join(sorted(unknown))}")
        if self.capacity is None and any(stage.share for stage in self.stages):
            raise ValueError("a share needs [capacity]")
        stages = [stage.name for stage in self.stages]
        wanted = [*self.limits.empty, *self.limits.free]
        if self.limits.unchanged is not None:
            wanted += [self.limits.unchanged.before, self.limits.unchanged.after]
        if set(wanted) - set(stages):
            raise ValueError(f"no stage is called {', '.join(sorted(set(wanted) - set(stages)))}")
        return self

    @property
    def seconds(self) -> float:
        """How long the load lasts as it stands."""
        return sum(stage.seconds for stage in self.stages)

    def planned(
        self, *, capacity_per_s: float, scale: float = 1.0, duration_s: float | None = None
    ) -> tuple[LoadStage, ...]:
        """The stages in absolute numbers.

        Args:
            capacity_per_s: What shares are shares of.
            scale: Every rate and count is multiplied by it.
            duration_s: How long the load is to last; stages that are fixed keep their length.
        """
        fixed_s = sum(stage.seconds for stage in self.stages if stage.fixed)
        stretch = 1.0
        if duration_s is not None and self.seconds > fixed_s:
            stretch = max(0.0, duration_s - fixed_s) / (self.seconds - fixed_s)
        return tuple(_planned(stage, capacity_per_s, scale, stretch) for stage in self.stages)


def _planned(stage: ScenarioStage, capacity_per_s: float, scale: float, stretch: float) -> LoadStage:
    per_s = {name: rate * scale for name, rate in stage.per_s.items()}
    per_s |= {name: share * capacity_per_s * scale for name, share in stage.share.items()}
    return LoadStage(
        name=stage.name,
        seconds=stage.seconds if stage.fixed else max(_SHORTEST_S, stage.seconds * stretch),
        per_s=per_s,
        at_once={name: max(1, round(count * scale)) for name, count in stage.at_once.items()},
        users={name: max(1, round(count * scale)) for name, count in stage.users.items()},
        warmup=stage.warmup,
    )


def _streams_of(stage: ScenarioStage) -> set[str]:
    tables: tuple[Mapping[str, object], ...] = (stage.per_s, stage.share, stage.at_once, stage.users)
    return {name for table in tables for name in table}


def scenario_names() -> list[str]:
    """Return the names of all scenarios, sorted."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def load_scenario(name: str, folder: Path = SCENARIOS) -> Scenario:
    """The scenario of that name. Raises `LoadTestError` with all mistakes of its file."""
    path = folder / f"{name}.toml"
    try:
        scenario = Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        problems = [f"{path.name}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise LoadTestError("\n".join(problems)) from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise LoadTestError(f"{path.name}: {error}") from None
    if problems := list(_wrong_sources(scenario)):
        raise LoadTestError("\n".join(f"{path.name}: {one}" for one in problems))
    return scenario


def _wrong_sources(scenario: Scenario) -> Iterator[str]:
    """A line for each event that is to be made of a source, and cannot be."""
    for name, stream in scenario.streams.items():
        for place, mix in enumerate(stream.events):
            if not mix.source:
                continue
            if stream.send != "invoke":
                yield f'streams.{name}.events.{place}: a source goes with send = "invoke"'
                continue
            try:
                EventTemplate(mix.source, mix.fields)
            except ValueError as error:
                yield f"streams.{name}.events.{place}: {error}"
