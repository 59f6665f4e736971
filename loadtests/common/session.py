"""One run from end to end: capacity, engine, load, drain, document."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from loadtests.common.deliveries import DELIVERIES_VARIABLE, Channel, dead_letters
from loadtests.common.machine import commit, machine
from loadtests.common.plan import LoadStage, Plan
from loadtests.common.processes import LoadTestError, run_locust, running_engine
from loadtests.common.prometheus import PROMETHEUS, answers, free_port, running_prometheus
from loadtests.common.sampling import RunSampler, fetch, fetch_json
from loadtests.common.scenario import Scenario
from loadtests.common.summary import LoadTestRun, document

_POLL_S: Final = 0.25
_SAMPLE_S: Final = 0.2
_MAX_SAMPLES: Final = 1500
_LAST_SCRAPE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Settings of a run from the command line.

    Attributes:
        duration_s: How long the load lasts; None is as long as the scenario says.
        scale: Every rate and count is multiplied by it.
        capacity_per_s: What shares are shares of; None measures it.
        users: Closed model with so many users on each stream; None is the scenario's own load.
        workers: Locust processes.
        seed: Of arrivals.
        prometheus: Whether one may be started.
    """

    duration_s: float | None = None
    scale: float = 1.0
    capacity_per_s: float | None = None
    users: int | None = None
    workers: int = 1
    seed: int = 1
    prometheus: bool = True


class Session:
    """Runs one scenario; says on `out` how far it is."""

    def __init__(self, name: str, scenario: Scenario, settings: RunSettings, out: TextIO) -> None:
        self._name = name
        self._scenario = scenario
        self._settings = settings
        self._out = out
        self._began_s = time.monotonic()
        now = datetime.now(UTC)
        self.run_id = f"{name}-{now:%Y%m%d-%H%M%S}-{random.randrange(16**4):04x}"

    def run(self, folder: Path) -> dict[str, Any]:
        """The document of the run. `folder` gets Locust's files. Raises `LoadTestError`."""
        capacity_per_s = self._capacity(folder)
        deliveries = folder / "deliveries.txt"
        with ExitStack() as parts:
            engine = parts.enter_context(running_engine(variables={DELIVERIES_VARIABLE: str(deliveries)}))
            plan = self._plan(self._stages(capacity_per_s), engine.urls, folder)
            channel = parts.enter_context(
                Channel(deliveries, [name for name, one in plan.streams.items() if one.numbered])
            )
            prometheus = self._prometheus(plan, folder, parts)
            every_s = max(_SAMPLE_S, plan.seconds / _MAX_SAMPLES)
            sampler = parts.enter_context(RunSampler(engine, every_s))
            since_s = time.monotonic()
            client = run_locust(plan, folder, self._tell)
            dead = self._drained(plan, client, channel, engine.urls["admin"])
            seen = self._asked(prometheus, since_s)
            metrics = fetch(f"{engine.urls['admin']}/metrics")
            status = sampler.take()
        run = LoadTestRun(
            scenario=self._scenario,
            plan=plan,
            client=client,
            samples=sampler.samples,
            status=status,
            metrics=metrics,
            deliveries=channel.streams,
            dead=dead,
            prometheus=seen,
            settings={
                "model": "closed" if self._settings.users else "open",
                "capacity_per_s": round(capacity_per_s, 1) or None,
                "scale": self._settings.scale,
                "duration_s": self._settings.duration_s,
                "seed": plan.seed,
                "locust_processes": plan.workers,
            },
            machine=machine(metrics),
        )
        return document(run)

    # ---------------------------------------------------------------- parts

    def _stages(self, capacity_per_s: float) -> tuple[LoadStage, ...]:
        settings = self._settings
        stages = self._scenario.planned(
            capacity_per_s=capacity_per_s, scale=settings.scale, duration_s=settings.duration_s
        )
        return stages if settings.users is None else tuple(_closed(one, settings.users) for one in stages)

    def _plan(self, stages: tuple[LoadStage, ...], urls: dict[str, str], folder: Path) -> Plan:
        scenario = self._scenario
        used = {name for stage in stages for table in _tables(stage) for name in table}
        return Plan(
            run_id=self.run_id,
            scenario=self._name,
            commit=commit(),
            urls=urls,
            streams={name: one for name, one in scenario.streams.items() if name in used},
            stages=stages,
            breaks=scenario.breaks,
            spacing=scenario.spacing,
            seed=self._settings.seed,
            workers=self._settings.workers,
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
        self._say(f"capacity: {wanted.users} users of {wanted.stream!r} flat out for {wanted.seconds:g} s")
        place = folder / "capacity"
        place.mkdir()
        stream = self._scenario.streams[wanted.stream].model_copy(update={"pace_per_s": 0.0})
        with running_engine() as engine:
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
        self._say(f"capacity: {per_s:,.0f} per s")
        return per_s

    def _drained(self, plan: Plan, client: Mapping[str, Any], channel: Channel, admin: str) -> dict[str, int]:
        """Wait until nothing is on its way any more; gives what the dead-letter queues hold."""
        until_s = time.monotonic() + self._scenario.drain_s
        said_s = time.monotonic()
        while True:
            dead = dead_letters(plan)
            missing = {
                name: client["streams"][name]["records"] - one.delivered - dead.get(name, 0)
                for name, one in channel.read().items()
            }
            status = fetch_json(f"{admin}/status.json")
            idle = not status["in_flight"] and not any(one["queued"] for one in status["functions"].values())
            if (idle and not any(missing.values())) or time.monotonic() > until_s:
                return dead
            if time.monotonic() - said_s >= 2:
                said_s = time.monotonic()
                left_s = until_s - said_s
                self._say(
                    f"drain: {sum(missing.values()):,} records on their way, for {left_s:.0f} s at most"
                )
            time.sleep(_POLL_S)

    def _prometheus(self, plan: Plan, folder: Path, parts: ExitStack) -> str | None:
        """The URL of a Prometheus that scrapes engine and generator; None if none is allowed or installed."""
        if PROMETHEUS is None or not self._settings.prometheus:
            return None
        targets = {"engine": plan.urls["admin"], "loadtest": f"http://127.0.0.1:{plan.metrics_port}"}
        url = parts.enter_context(running_prometheus(folder / "prometheus", targets))
        self._say(f"Prometheus: {url}, jobs engine and loadtest, until the run ends")
        return url

    def _asked(self, prometheus: str | None, since_s: float) -> dict[str, float | None] | None:
        if prometheus is None:
            return None
        time.sleep(_LAST_SCRAPE_S)
        return answers(prometheus, since_s)

    # ---------------------------------------------------------------- progress

    def _tell(self, now: dict[str, Any]) -> None:
        self._say(
            f"{now['stage']}: due {now['due']:,}/s, sent {now['sent']:,}/s, "
            f"answered {now['answered']:,}/s, "
            f"{now['in_flight']:,} open, p99 {now['p99_ms']:,.1f} ms so far, {now['left_s']:.1f} s left"
        )

    def _say(self, line: str) -> None:
        self._out.write(f"{time.monotonic() - self._began_s:6.1f} s  {line}\n")
        self._out.flush()


def _tables(stage: LoadStage) -> tuple[Mapping[str, object], ...]:
    return stage.per_s, stage.at_once, stage.users


def _closed(stage: LoadStage, users: int) -> LoadStage:
    """The same stage with users instead of arrivals."""
    names = dict.fromkeys(name for table in _tables(stage) for name in table)
    return LoadStage(name=stage.name, seconds=stage.seconds, users=dict.fromkeys(names, users))
