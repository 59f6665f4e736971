"""A no-op handler on the process executor, 64 callers, by `engine.invoke`; and a CPU-bound one at 1 and 2.

Run: `python tests/bench/process_throughput.py [noop|cpu] [seconds]`; prints one JSON line, and exits
with 1 below `AT_LEAST`. Logs are off.
Three rounds, and the median: of `noop` beside its floor (`floor_process.py`), of `cpu` at 2 beside 1 caller.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from engine import Engine, Function
from engine.cli.options import run

CALLERS = 64
ROUNDS = 3
AT_LEAST = {"noop": {"ratio": 0.45, "per_s": 15_000}, "cpu": {"ratio": 1.7}}
"""Of the median round."""
HERE = str(Path(__file__).parent)


async def calls(engine: Engine, name: str, callers: int, seconds: float) -> float:
    """Invocations per second."""
    count = 0
    until_s = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() < until_s:
            outcome = await engine.invoke(name)
            assert outcome.ok, outcome.error
            count += 1

    began_s = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return count / (time.perf_counter() - began_s)


def floor(seconds: float) -> dict[str, float]:
    """What the bare mechanism does just now."""
    command = [sys.executable, f"{HERE}/floor_process.py", str(seconds)]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer


async def noop(engine: Engine, seconds: float) -> dict[str, float]:
    """Invocations a second of a handler that does nothing, and of the floor."""
    bare = await asyncio.to_thread(floor, seconds)
    began_s = time.process_time()
    per_s = await calls(engine, "noop", CALLERS, seconds)
    cpu_us = (time.process_time() - began_s) / (per_s * seconds) * 1e6
    return {
        "per_s": round(per_s),
        "engine_cpu_us": round(cpu_us, 1),
        "floor_per_s": bare["per_s"],
        "ratio": round(per_s / bare["per_s"], 2),
    }


async def cpu(engine: Engine, seconds: float) -> dict[str, float]:
    """Invocations a second of a handler that computes, for one caller and for two."""
    one = await calls(engine, "cpu", 1, seconds)
    two = await calls(engine, "cpu", 2, seconds)
    return {"one_per_s": round(one, 1), "two_per_s": round(two, 1), "ratio": round(two / one, 2)}


async def main(what: str, seconds: float) -> bool:
    """Measure one or the other; whether its bounds held."""
    function = Function(what, handler=f"process_handlers.{what}", code=HERE, executor="process", timeout_s=30)
    async with Engine([function]) as engine:
        await calls(engine, what, CALLERS if what == "noop" else 2, 0.5)
        rounds = [await (noop if what == "noop" else cpu)(engine, seconds) for _ in range(ROUNDS)]
    median = sorted(rounds, key=lambda one: one["ratio"])[ROUNDS // 2]
    best = max(one["ratio"] for one in rounds)
    bounds = AT_LEAST[what]
    report = {"what": what, **median, "best_ratio": best, "at_least": bounds}
    print(json.dumps({**report, "load_average": os.getloadavg()[0]}))
    return all(median[name] >= least for name, least in bounds.items())


if __name__ == "__main__":
    chosen, lasting_s = sys.argv[1:2] or ["noop"], sys.argv[2:3] or ["2"]
    sys.exit(not run(main(chosen[0], float(lasting_s[0]))))
