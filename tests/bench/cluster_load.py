"""The engine of `cluster_ray.py` and its callers, run on the head: commands in, results out, a line each."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import Engine, Function
from engine.cli.options import run

HERE = str(Path(__file__).parent)
SECONDS, CALLERS, CROWD, ROUNDS = 2.0, 64, 300, 3
NODES = ("n0", "n1")


def function(name: str, executor: str = "ray", **settings: Any) -> Function:
    """One of `cluster_handlers`, called by its name and executor."""
    handler = f"cluster_handlers.{name}"
    return Function(
        f"{name}-{executor}", handler=handler, code=HERE, executor=executor, timeout_s=60, **settings
    )


async def latencies(engine: Engine, name: str, seconds: float) -> list[float]:
    """Seconds of each of calls that one caller makes, one after the other."""
    found: list[float] = []
    until_s = time.perf_counter() + seconds
    while (began_s := time.perf_counter()) < until_s:
        assert (await engine.invoke(name)).ok
        found.append(time.perf_counter() - began_s)
    return found


async def rate(engine: Engine, name: str, callers: int, seconds: float) -> tuple[float, Counter[str]]:
    """Calls a second, and how many each node has answered."""
    nodes: Counter[str] = Counter()
    until_s = time.perf_counter() + seconds

    async def caller() -> None:
        while time.perf_counter() < until_s:
            outcome = await engine.invoke(name)
            assert outcome.ok, outcome.error
            nodes[outcome.payload[0] if outcome.payload else ""] += 1

    began_s = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return nodes.total() / (time.perf_counter() - began_s), nodes


async def added(engine: Engine) -> dict[str, float]:
    """What a call to a node takes more than one to a process here: medians of rounds, in pairs."""
    pairs = []
    for _ in range(ROUNDS):
        here, there = [
            statistics.median(await latencies(engine, f"noop-{executor}", SECONDS / 2)) * 1e6
            for executor in ("process", "ray")
        ]
        pairs.append((there - here, here, there))
    more, here, there = sorted(pairs)[ROUNDS // 2]
    return {"added_p50_us": round(more, 1), "process_p50_us": round(here, 1), "ray_p50_us": round(there, 1)}


async def noop(engine: Engine) -> dict[str, float]:
    """Calls a second of a handler that does nothing, and of the same on processes here."""
    rounds = []
    for _ in range(ROUNDS):
        here, _ = await rate(engine, "noop-process", CALLERS, SECONDS)
        there, _ = await rate(engine, "noop-ray", CALLERS, SECONDS)
        rounds.append((there, here))
    there, here = sorted(rounds)[ROUNDS // 2]
    return {"noop_per_s": round(there), "process_noop_per_s": round(here)}


async def wave(engine: Engine, name: str, gate: Path) -> float:
    """Environments started a second, for a crowd that comes at once and stays until all have started."""
    level = engine.sink.drivers[name].statistics
    with gate.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began_s = time.perf_counter()
        calls = [asyncio.ensure_future(engine.invoke(name, {"gate": str(gate)})) for _ in range(CROWD)]
        while level().busy < CROWD:
            await asyncio.sleep(0.005)
        took_s = time.perf_counter() - began_s
    assert all(outcome.ok and outcome.cold_start for outcome in await asyncio.gather(*calls))
    while level().idle:
        await asyncio.sleep(0.005)
    return CROWD / took_s


async def cold(engine: Engine) -> dict[str, float]:
    """Cold starts a second: on both nodes, each of them its part, and on processes here."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # which is the same on all nodes
        gate = Path(folder, "gate")
        rounds = [
            [await wave(engine, f"gated-{executor}", gate) for executor in ("ray", "process")]
            for _ in range(ROUNDS)
        ]
    there, here = sorted(rounds)[ROUNDS // 2]
    return {
        "cold_per_s": round(there),
        "cold_per_s_per_node": round(there / len(NODES)),
        "process_cold_per_s": round(here),
    }


async def cpu(engine: Engine) -> dict[str, Any]:
    """Calls a second of a handler that computes: by one caller, which one node serves, and by two."""
    rounds = []
    for _ in range(ROUNDS):
        one, _ = await rate(engine, "cpu-ray", 1, SECONDS)
        two, nodes = await rate(engine, "cpu-ray", 2, SECONDS)
        rounds.append((two / one, one, two, dict(nodes)))
    ratio, one, two, nodes = sorted(rounds, key=lambda each: each[0])[ROUNDS // 2]
    return {
        "cpu_scaling": round(ratio, 2),
        "cpu_one_per_s": round(one),
        "cpu_two_per_s": round(two),
        "cpu_nodes": nodes,
    }


class Kills:
    """Callers, and asynchronous events, while nodes are killed: who is answered when, and which are lost."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self._journal = str(Path(self._folder.name, "journal"))
        self._ends = False
        self._sent = self._called = 0
        self._failed: list[tuple[float, str]] = []
        self._tasks = [asyncio.ensure_future(self._caller()) for _ in range(8)]
        self._tasks.append(asyncio.ensure_future(self._sender()))

    async def _caller(self) -> None:
        while not self._ends:
            outcome = await self._engine.invoke("sleep-ray", {"sleep_s": 0.3})
            self._called += 1
            if not outcome.ok:
                assert outcome.error is not None
                self._failed.append((time.monotonic(), outcome.error["errorType"]))

    async def _sender(self) -> None:
        while not self._ends:
            await self._engine.submit("record-ray", {"journal": self._journal, "number": self._sent})
            self._sent += 1
            await asyncio.sleep(0.02)

    def failed_since(self, at_s: float) -> list[float]:
        """Seconds after `at_s` at which callers were told of a failure."""
        return [round(failed_s - at_s, 3) for failed_s, _ in self._failed if failed_s >= at_s]

    async def end(self) -> dict[str, Any]:
        """Let all end, and count."""
        self._ends = True
        await asyncio.gather(*self._tasks)
        until_s = time.monotonic() + 60
        seen: Counter[int] = Counter()
        while time.monotonic() < until_s and len(seen) < self._sent:
            await asyncio.sleep(0.5)
            seen = Counter(map(int, Path(self._journal).read_text().split()))
        kinds = Counter(kind for _, kind in self._failed)
        self._folder.cleanup()
        again = seen.total() - len(seen)
        return {
            "called": self._called,
            "errors": dict(kinds),
            "events": self._sent,
            "events_lost": self._sent - len(seen),
            "events_run_again": again,
        }


async def main(address: str) -> None:
    """Serve commands until the input ends."""
    functions = [function(name) for name in ("noop", "sleep", "cpu", "record")]
    functions.append(function("noop", "process"))
    functions += [function("gated", executor, keep_alive_s=0) for executor in ("ray", "process")]
    loop = asyncio.get_running_loop()
    commands: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(0, lambda: [commands.put_nowait(line) for line in os.read(0, 4096).decode().splitlines()])
    measures: dict[str, Callable[[Engine], Any]] = {"added": added, "noop": noop, "cold": cold, "cpu": cpu}
    async with Engine(
        functions, ray={"address": address}, scaling_rate=0, retry_wait_s=0.1, admin="127.0.0.1:9464"
    ) as engine:
        print(json.dumps({"ready": True}), flush=True)
        kills: Kills | None = None
        while (command := await commands.get()) != "end":
            what, _, argument = command.partition(" ")
            answer: Any = {}
            if what in measures:
                answer = await measures[what](engine)
            elif what == "begin":
                kills = Kills(engine)
            elif what == "failed":
                assert kills is not None
                answer = kills.failed_since(float(argument))
            elif what == "finish":
                assert kills is not None
                answer = await kills.end()
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    run(main(sys.argv[1]))
