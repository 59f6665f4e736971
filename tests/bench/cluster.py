"""What a node costs: added time, no-ops a second over two agents, cold starts a second on each.

Run: `python -m tests.bench.cluster [pairs]`; prints one JSON line. The agents are processes on this machine,
over loopback: engine, agents and environments share its cores.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median

from engine import Engine, Function
from engine.cli.options import run
from tests.bench.cluster_agents import SECRET, AgentProcesses, NodeCount
from tests.local_agents import executor_with

HERE = str(Path(__file__).parent)
CALLS = 2000
SECONDS = 3.0
IN_FLIGHT = 64
STARTING = 16
STARTS = 300


def function(executor: str = "auto", name: str = "f") -> Function:
    """It returns what it is given."""
    return Function(name, handler="process_handlers.noop", code=HERE, executor=executor, timeout_s=30)


async def latency_us(engine: Engine) -> float:
    """Median of calls one after the other, microseconds."""
    taken = []
    for number in range(CALLS):
        began_s = time.perf_counter()
        outcome = await engine.invoke("f", number)
        taken.append(time.perf_counter() - began_s)
        assert outcome.ok
    return 1e6 * median(taken)


async def per_s(engine: Engine) -> float:
    """Calls a second, so many at a time."""
    ends_s = time.perf_counter() + SECONDS
    done = 0

    async def call() -> None:
        nonlocal done
        while time.perf_counter() < ends_s:
            outcome = await engine.invoke("f", 1)
            done += outcome.ok

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(call())
    return done / SECONDS


async def cold_starts_per_s(engine: Engine) -> float:
    """Environments that were started and have answered, a second: each answers once and is replaced."""
    began_s = time.perf_counter()

    async def start(count: int) -> None:
        for _ in range(count):
            outcome = await engine.invoke("f", {"do": "exit"})
            assert "crash" == outcome.status.value

    async with asyncio.TaskGroup() as group:
        for _ in range(STARTING):
            group.create_task(start(STARTS // STARTING))
    return STARTS // STARTING * STARTING / (time.perf_counter() - began_s)


async def measured(pairs: int) -> dict[str, float]:
    """Everything, medians of so many pairs."""
    found: dict[str, list[float]] = {}
    for _ in range(pairs):
        async with Engine([function("process")], scaling_rate=0) as engine:
            await engine.invoke("f", 1)
            found.setdefault("process_p50_us", []).append(await latency_us(engine))
            found.setdefault("process_per_s", []).append(await per_s(engine))
        agents, nodes = AgentProcesses(2), NodeCount()
        given = executor_with(agents, known=SECRET.encode())
        async with Engine([function()], executor=given, observers=[nodes], scaling_rate=0) as engine:
            await nodes.until(2)
            await asyncio.gather(*(engine.invoke("f", 1) for _ in range(IN_FLIGHT)))
            found.setdefault("cluster_p50_us", []).append(await latency_us(engine))
            found.setdefault("cluster_per_s", []).append(await per_s(engine))
        agents, nodes = AgentProcesses(1), NodeCount()
        given = executor_with(agents, known=SECRET.encode())
        exits = Function("f", handler="process_handlers.misbehave", code=HERE, timeout_s=30)
        async with Engine([exits], executor=given, observers=[nodes], scaling_rate=0) as engine:
            await nodes.until(1)
            await engine.invoke("f", {"do": "good", "value": 1})
            found.setdefault("cold_starts_per_s_and_node", []).append(await cold_starts_per_s(engine))
    figures = {name: round(median(values), 1) for name, values in found.items()}
    figures["added_p50_us"] = round(
        median(
            there - here for there, here in zip(found["cluster_p50_us"], found["process_p50_us"], strict=True)
        ),
        1,
    )
    return figures


if __name__ == "__main__":
    print(json.dumps(run(measured(int(sys.argv[1]) if len(sys.argv) > 1 else 3))))
