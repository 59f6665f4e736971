"""The same arrivals on the live engine, in this process: what a prediction is held against."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from engine.app import Engine
from engine.cli.event_option import Events, events_of
from engine.cli.model_options import refuse
from engine.cli.options import run
from engine.cli.tune.measure import Measured, taken, watch
from engine.core.function import Account, Function
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome, Status
from engine.errors import EngineError
from engine.runtime.clock import SystemClock

SAMPLES: Final = 60
"""Warm and cold invocations, beside the run, from which a handler's times are learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What runs live.

    Attributes:
        function: The handler with the limits of the simulation.
        events: Gives the event of each invocation.
    """

    function: Function
    events: Events

    def held(
        self, account: Account, at_s: Sequence[float], horizon_s: float
    ) -> tuple[Measured, dict[str, float]]:
        """The handler's times, one invocation at a time, and the figures of a run under those arrivals.

        Both at once: what else the machine does changes from second to second. The figures have the names of
        `model.comparison`. Exits if the handler does not succeed.
        """
        try:
            return run(self._held(account, at_s, horizon_s))
        except (EngineError, ExceptionGroup) as error:
            cause: BaseException = error
            while isinstance(cause, ExceptionGroup):
                cause = cause.exceptions[0]
            if not isinstance(cause, EngineError):
                raise
            refuse(str(cause).splitlines())

    async def _held(
        self, account: Account, at_s: Sequence[float], horizon_s: float
    ) -> tuple[Measured, dict[str, float]]:
        done = asyncio.Event()
        async with asyncio.TaskGroup() as both:
            watching = both.create_task(watch(self.function, self.events, horizon_s / SAMPLES, done))
            outcomes = await _send_all(self.function, account, at_s, self.events)
            done.set()
        return watching.result(), figures(outcomes, horizon_s)


def live(function: Function, *, event: str | None, cold_start_ms: float) -> Live:
    """What calls `function` and nothing else; `cold_start_ms` are added to each environment's own start."""
    made = replace(function, code=os.path.abspath(function.code), events=())
    if made.cpu == "lambda" and made.executor in ("loop", "thread"):
        refuse([f"--cpu lambda: needs the process executor, not {made.executor}"])
    if cold_start_ms:
        made = replace(made, cold_start=cold_start_ms)
    return Live(function=made, events=events_of(event))


def figures(outcomes: Sequence[Outcome], horizon_s: float) -> dict[str, float]:
    """Of what came out of it."""
    ran = [one for one in outcomes if one.ran]
    took_s = sorted(one.queue_wait_s + one.duration_s for one in ran) or [0.0]
    return {
        "requests": len(outcomes),
        "concurrency": sum(one.duration_s for one in ran) / horizon_s,
        "cold_starts": sum(one.cold_start for one in ran),
        "throttles": sum(one.status is Status.THROTTLED for one in outcomes),
        "mean_ms": 1000 * sum(took_s) / len(took_s),
        "p50_ms": 1000 * took_s[(len(took_s) - 1) // 2],
        "p99_ms": 1000 * took_s[-(-99 * len(took_s) // 100) - 1],
        "billed_ms": sum(one.billed_ms for one in ran),
        "cost_usd": float(sum(one.cost_usd for one in ran)),
    }


async def _send_all(
    function: Function, account: Account, at_s: Sequence[float], events: Events
) -> list[Outcome]:
    clock = SystemClock()
    made = Engine(
        [function],
        region=account.region,
        concurrency_limit=account.concurrency_limit,
        scaling_rate=account.scaling_rate,
        requests_per_concurrency=account.requests_per_concurrency,
    )
    async with made as engine, asyncio.TaskGroup() as calls:
        began_s = clock.now()
        running = []
        for one_s in at_s:
            await asyncio.sleep(max(0.0, began_s + one_s - clock.now()))
            running.append(calls.create_task(taken(engine, function.name, events())))
    return [task.result() for task in running]
