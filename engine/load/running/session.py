"""One run from end to end: capacity, engine, load, drain, document."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from engine.core.late_dataclass import dataclass
from engine.load.errors import LoadTestError
from engine.load.planning.plan import LoadStage, Plan, Stream
from engine.load.planning.scenario import Scenario
from engine.load.results.summary import LoadTestRun, document
from engine.load.running.deliveries import DELIVERIES_VARIABLE, Channel
from engine.load.running.drain import drained
from engine.load.running.engine_process import OpenEngine, running_engine
from engine.load.running.engine_view import EngineView
from engine.load.running.generator_size import processes_for
from engine.load.running.kept_functions import kept
from engine.load.running.locust_process import run_locust
from engine.load.running.machine import commit, machine
from engine.load.running.phase_marks import PhaseMarks
from engine.load.running.prometheus import PROMETHEUS, answers, free_port, running_prometheus
from engine.load.running.wiring import wired

_LONGEST_NAME: Final = 40
_LAST_SCRAPE_S: Final = 2.0


class RunVoice(Protocol):
    """Who tells people how far a run is."""

    def say(self, line: str) -> None:
        """Tell something that stays."""

    def progress(self, line: str) -> None:
        """Tell how far it is now; the next one takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Settings of a run from the command line.

    Attributes:
        duration_s: How long the load lasts; None is as long as the scenario says.
        scale: Every rate and count is multiplied by it.
        capacity_per_s: What shares are shares of; None measures it.
        users: Closed model with so many users on each stream; None is the scenario's own load.
        workers: Locust processes; None is as many as the load needs.
        seed: Of arrivals.
        stop_on_breach: Whether the run ends when an objective is missed.
        prometheus: Whether one may be started.
        executors: What runs the functions that are driven, by name; for the record.
    """

    duration_s: float | None = None
    scale: float = 1.0
    capacity_per_s: float | None = None
    users: int | None = None
    workers: int | None = None
    seed: int = 1
    stop_on_breach: bool = False
    prometheus: bool = True
    executors: Mapping[str, str] = field(default_factory=dict)


class Session:
    """Runs one scenario; says how far it is."""

    def __init__(
        self,
        name: str,
        scenario: Scenario,
        settings: RunSettings,
        voice: RunVoice,
        open_engine: OpenEngine = running_engine,
    ) -> None:
        """`open_engine` gives what is driven; without it, the engine of the scenarios' own functions."""
        self._name = name
        self._scenario = scenario
        self._settings = settings
        self._voice = voice
        self._open_engine = open_engine
        now = datetime.now(UTC)
        plain = re.sub(r"[^\w.-]+", "_", name)[:_LONGEST_NAME]
        self.run_id = f"{plain}-{now:%Y%m%d-%H%M%S}-{random.randrange(16**4):04x}"

    def run(self, folder: Path) -> dict[str, Any]:
        """The document of the run. `folder` gets Locust's files. Raises `LoadTestError`."""
        folder = folder.absolute()
        capacity_per_s = self._capacity(folder)
        deliveries = folder / "deliveries.txt"
        with ExitStack() as parts:
            engine = parts.enter_context(self._open_engine(variables={DELIVERIES_VARIABLE: str(deliveries)}))
            parts.enter_context(kept(self._scenario.streams, engine.urls.get("aws")))
            streams = parts.enter_context(wired(self._scenario.streams, engine.urls.get("aws"), self.run_id))
            plan = self._plan(streams, self._stages(capacity_per_s), engine.urls, folder)
            if self._settings.workers is None:
                workers = processes_for(plan, folder, self._voice.say)
                plan = plan.model_copy(update={"workers": workers})
            channel = parts.enter_context(
                Channel(deliveries, [name for name, one in plan.streams.items() if one.numbered])
            )
            prometheus = self._prometheus(plan, folder, parts)
            view = parts.enter_context(EngineView(engine, plan.seconds))
            since_s = time.monotonic()
            tell = partial(self._tell, PhaseMarks(engine.admin))
            client = run_locust(plan, folder, tell, view.generator_started)
            left = drained(plan, client, channel, engine.admin, self._scenario.drain_s, self._voice.progress)
            seen = self._asked(prometheus, since_s)
            status, metrics = view.status(), view.metrics()
        run = LoadTestRun(
            scenario=self._scenario,
            plan=plan,
            client=client,
            samples=view.samples,
            host=view.host.samples,
            loop_lags=view.loop_lags,
            status=status,
            metrics=metrics,
            metrics_before=view.metrics_before,
            deliveries=channel.streams,
            dead=left.dead,
            waiting=left.waiting,
            prometheus=seen,
            settings=self._settings_document(plan, capacity_per_s),
            machine=machine(metrics),
        )
        return document(run)

    def _settings_document(self, plan: Plan, capacity_per_s: float) -> dict[str, Any]:
        """What the run was made with, as run.json has it."""
        settings = self._settings
        return {
            "model": "closed" if settings.users else "open",
            "capacity_per_s": round(capacity_per_s, 1) or None,
            "scale": settings.scale,
            "duration_s": settings.duration_s,
            "warmup_s": plan.warmup_s,
            "seed": plan.seed,
            "locust_processes": plan.workers,
            "executors": dict(settings.executors),
        }

    # ---------------------------------------------------------------- parts

    def _stages(self, capacity_per_s: float) -> tuple[LoadStage, ...]:
        settings = self._settings
        stages = self._scenario.planned(
            capacity_per_s=capacity_per_s, scale=settings.scale, duration_s=settings.duration_s
        )
        return stages if settings.users is None else tuple(_closed(one, settings.users) for one in stages)

    def _plan(
        self,
        streams: Mapping[str, Stream],
        stages: tuple[LoadStage, ...],
        urls: dict[str, str],
        folder: Path,
    ) -> Plan:
        scenario = self._scenario
        used = {name for stage in stages for table in _tables(stage) for name in table}
        used |= scenario.profiles.keys() | scenario.moments.keys()
        return Plan(
            run_id=self.run_id,
            scenario=self._name,
            commit=commit(),
            urls=urls,
            streams={name: one for name, one in streams.items() if name in used},
            stages=stages,
            profiles=scenario.profiles,
            moments=_written(scenario.moments, folder),
            objectives=scenario.limits.objectives,
            stop_on_breach=self._settings.stop_on_breach,
            breaks=scenario.breaks,
            spacing=scenario.spacing,
            seed=self._settings.seed,
            workers=self._settings.workers or 1,
            result=str(folder / "client.json"),
            metrics_port=free_port(),
        )

    def _capacity(self, folder: Path) -> float:
        """Measure requests a second of a closed model, flat out; 0 if the scenario has no shares of it."""
        wanted = self._scenario.capacity
        if self._settings.capacity_per_s is not None:
            return self._settings.capacity_per_s
        if wanted is None or self._settings.users is not None:
            return 0.0
        self._voice.say(
            f"capacity: {wanted.users} users of {wanted.stream!r} at full speed for {wanted.seconds:g} s"
        )
        place = folder / "capacity"
        place.mkdir()
        stream = self._scenario.streams[wanted.stream].model_copy(update={"pace_per_s": 0.0})
        if stream.is_sent_on:  # how much is accepted says nothing of how much is done
            stream = stream.model_copy(update={"send": "invoke"})
        with self._open_engine(variables={}) as engine:
            plan = Plan(
                run_id=f"{self.run_id}-capacity",
                scenario=self._name,
                urls=engine.urls,
                streams={wanted.stream: stream},
                stages=(
                    LoadStage(name="capacity", seconds=wanted.seconds, users={wanted.stream: wanted.users}),
                ),
                result=str(place / "client.json"),
            )
            client = run_locust(plan, place, lambda _: None)
        per_s = float(client["streams"][wanted.stream]["success"] / wanted.seconds)
        if per_s <= 0:
            raise LoadTestError("the capacity could not be measured: nothing was answered well")
        self._voice.say(f"capacity: {per_s:,.0f} per s")
        return per_s

    def _prometheus(self, plan: Plan, folder: Path, parts: ExitStack) -> str | None:
        """The URL of a Prometheus that scrapes engine and generator; None if none is allowed or installed."""
        if PROMETHEUS is None or not self._settings.prometheus or "admin" not in plan.urls:
            return None
        targets = {"engine": plan.urls["admin"], "loadtest": f"http://127.0.0.1:{plan.metrics_port}"}
        url = parts.enter_context(running_prometheus(folder / "prometheus", targets))
        self._voice.say(f"Prometheus: {url}, jobs engine and loadtest, until the run ends")
        return url

    def _asked(self, prometheus: str | None, since_s: float) -> dict[str, float | None] | None:
        if prometheus is None:
            return None
        time.sleep(_LAST_SCRAPE_S)
        return answers(prometheus, since_s)

    # ---------------------------------------------------------------- progress

    def _tell(self, marks: PhaseMarks, now: dict[str, Any]) -> None:
        marks.begin(now["stage"])
        self._voice.progress(
            f"{now['stage']}: due {now['due']:,}/s, sent {now['sent']:,}/s, "
            f"answered {now['answered']:,}/s, "
            f"{now['in_flight']:,} open, p99 {now['p99_ms']:,.1f} ms so far, {now['left_s']:.1f} s left"
        )


def _written(moments: Mapping[str, list[float]], folder: Path) -> dict[str, str]:
    """Files of these moments, for other processes."""
    paths = {name: folder / f"moments-{number}.json" for number, name in enumerate(moments)}
    for name, path in paths.items():
        path.write_text(json.dumps(moments[name]), encoding="utf-8")
    return {name: str(path) for name, path in paths.items()}


def _tables(stage: LoadStage) -> tuple[Mapping[str, object], ...]:
    return stage.per_s, stage.at_once, stage.users


def _closed(stage: LoadStage, users: int) -> LoadStage:
    """The same stage with users instead of arrivals."""
    names = dict.fromkeys(name for table in _tables(stage) for name in table)
    return LoadStage(name=stage.name, seconds=stage.seconds, users=dict.fromkeys(names, users))
