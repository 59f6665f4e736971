"""Runs a handler on this machine, alone, to learn how long it takes, warm and cold, and what of it is CPU."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from engine.app import Engine
from engine.cli.event_option import Events
from engine.cli.tune.probe import FIGURES
from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome, Status
from engine.errors import EngineError
from engine.model.cost.memory_sizes import HandlerRun, ServiceTime
from engine.model.distributions import Empirical, empirical

_SHORT_S: Final = 0.05
_UNTIL_GONE_S: Final = 0.16
"""An idle environment that lives for `_SHORT_S` is gone after this."""

_SIZE_S: Final = 20.0
"""Seconds of invocations, after which a size has been measured with fewer runs than were asked for."""

_PAUSE_S: Final = 0.06
"""Between two invocations: three periods of the CPU law, so that none begins with what another left."""

_MEASURED_S: Final = 0.6
"""Until the CPU of the last invocations has been measured."""

_WARM_UP: Final = 3
_LEAST: Final = 5
_PROBE: Final = Path(__file__).with_name("probe.py")


class HandlerFails(EngineError):
    """The handler cannot be measured: it does not succeed. Status, and what it said."""

    def __init__(self, status: str, said: str) -> None:
        super().__init__(status, said)
        self.status, self.said = status, said

    def __str__(self) -> str:
        return f"the handler does not succeed ({self.status}): {self.said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was seen of a handler that ran one invocation at a time.

    Attributes:
        service: Durations of warm invocations.
        startup: From the decision to start an environment until it can serve.
    """

    service: Empirical
    startup: Empirical


async def watch(function: Function, events: Events, every_s: float, done: asyncio.Event) -> Measured:
    """Invoke `function` once warm and once cold every so often, until `done` and at least five times.

    It is called beside a run under load, in an engine of its own: what else the machine does is in both.

    Raises:
        HandlerFails: An invocation did not succeed.
    """
    warm = replace(function, name="warm", keep_alive_s=900.0, reserved_concurrency=None)
    cold = replace(warm, name="cold", keep_alive_s=_SHORT_S)
    service_s: list[float] = []
    startup_s: list[float] = []
    async with Engine([warm, cold]) as engine:
        for _ in range(_WARM_UP):
            await _invoke(engine, "warm", events())
        while not done.is_set() or len(service_s) < _LEAST:
            service_s.append((await _invoke(engine, "warm", events())).duration_s)
            startup_s.append((await _invoke(engine, "cold", events())).queue_wait_s)
            await asyncio.sleep(max(every_s, _UNTIL_GONE_S))
    return Measured(service=empirical(service_s), startup=empirical(startup_s))


def probe_of(function: Function) -> Function:
    """What calls the handler of `function` in a process of its own and tells its CPU time."""
    code = str(Path(function.code).absolute())
    return replace(
        function,
        name="probe",
        handler=f"{_PROBE}:handler",
        code=code,
        executor="process",
        memory_mb=10_240,
        timeout_s=900.0,
        keep_alive_s=900.0,
        reserved_concurrency=None,
        provisioned_concurrency=0,
        environment_concurrency=1,
        events=(),
        environment={**function.environment, "PROBED_CODE": code, "PROBED_HANDLER": function.handler},
    )


async def profile(probe: Function, events: Events, *, runs: int, speed: float) -> ServiceTime:
    """How much of the handler's time is CPU, from `runs` warm invocations with a whole vCPU.

    Raises:
        HandlerFails: An invocation did not succeed.
    """
    async with Engine([replace(probe, cpu="host")]) as engine:
        first = await _seen(engine, events())
        seen = [await _seen(engine, events()) for _ in range(runs + _WARM_UP)][_WARM_UP:]
    memory = [one.outcome.max_memory_mb for one in seen if one.outcome.max_memory_mb is not None]
    return ServiceTime(
        runs=tuple(one.run for one in seen),
        init=_run(first.outcome.init_s or 0.0, first.init_cpu_s),
        peak_mb=max(memory, default=None),
        speed=speed,
    )


class RunsAtSize(NamedTuple):
    """What was measured at one memory size.

    Attributes:
        runs: Warm invocations; none if it needs more memory.
        given: Of the CPU that Lambda would have given them, what this machine gave; 1 = all.
    """

    runs: list[HandlerRun]
    given: float


async def runs_at(probe: Function, events: Events, memory_mb: int, *, runs: int) -> RunsAtSize:
    """Warm invocations with the memory and the share of a CPU that Lambda gives this size.

    As many as `runs`, or at least five and as many as end within `_SIZE_S`.

    Raises:
        HandlerFails: An invocation did not succeed, for another reason.
    """
    function = replace(probe, memory_mb=memory_mb, cpu="lambda")
    seen: list[HandlerRun] = []
    spent_s = 0.0
    async with Engine([function]) as engine:
        try:
            await _invoke(engine, "probe", events())
            while len(seen) < runs and (spent_s < _SIZE_S or len(seen) < _LEAST):
                await asyncio.sleep(_PAUSE_S)
                one = await _seen(engine, events())
                spent_s += one.outcome.duration_s
                seen.append(one.run)
        except HandlerFails as error:
            if error.status == Status.OOM.value:
                return RunsAtSize([], 1.0)
            raise
        await asyncio.sleep(_MEASURED_S)
        stats = engine.stats.functions["probe"]
        given = stats.cpu_got_s / stats.cpu_promised_s if stats.cpu_promised_s else 1.0
    return RunsAtSize(seen, given)


class _MeasuredRun(NamedTuple):
    outcome: Outcome
    run: HandlerRun
    init_cpu_s: float


async def _seen(engine: Engine, payload: Any) -> _MeasuredRun:
    outcome = await _invoke(engine, "probe", payload)
    figures = orjson.loads((await _invoke(engine, "probe", FIGURES)).body)
    return _MeasuredRun(outcome, _run(outcome.duration_s, figures["cpu_s"]), figures["init_cpu_s"])


def _run(took_s: float, cpu_s: float) -> HandlerRun:
    return HandlerRun(min(cpu_s, took_s), max(0.0, took_s - cpu_s))


async def taken(engine: Engine, name: str, payload: Any) -> Outcome:
    """The outcome when the response, which may be a stream, has been taken to its end."""
    async with engine.stream(name, payload) as pieces:
        async for _ in pieces:
            pass
    return pieces.outcome


async def _invoke(engine: Engine, name: str, payload: Any) -> Outcome:
    outcome = await taken(engine, name, payload)
    if outcome.status is not Status.SUCCESS:
        raise HandlerFails(outcome.status.value, str((outcome.error or {}).get("errorMessage", "")))
    return outcome
