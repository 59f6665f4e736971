"""Cold starts on the process executor: how many a second, and how long the first request takes from zero.

Run: `python tests/bench/process_cold.py [rate|first|snapstart]`; prints one JSON line, and
exits with 1 if a bound is missed. Logs are off.
`rate` starts an environment for each of 500 invocations that run at once, three times over: from the first
invocation until the last of them runs, and, as `churn_per_s`, until the last environment is gone again.
`first` is of a function that never ran before, each time of another one; the zygote is up. `snapstart` runs a
handler whose import takes 300 ms, one function again and again.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from engine import Engine, Function
from engine.cli.options import run

QUICK = "def handler(event, context): pass\n"
SLOW = "import time\ntime.sleep(0.3)\ndef handler(event, context): pass\n"
GATED = """
import fcntl
def handler(event, context):
    with open("gate") as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)
"""
CROWD, WAVES = 500, 3
FUNCTIONS = 60
AT_LEAST_PER_S = 550
AT_MOST_MS = {"first": 12.0, "snapstart": 8.0}
"""Of the median."""


async def rate(code: str) -> dict[str, float]:
    """Environments a second."""
    Path(code, "app.py").write_text(GATED)
    gate = os.open(Path(code, "gate"), os.O_WRONLY | os.O_CREAT)  # open, and held, for the whole run
    function = Function(
        "f", handler="app.handler", code=code, executor="process", timeout_s=120, keep_alive_s=0
    )
    async with Engine([function], scaling_rate=0) as engine:
        fleet = engine.sink.drivers["f"].statistics
        rates, churn = [], []
        for _ in range(WAVES):
            fcntl.flock(gate, fcntl.LOCK_EX)
            began_s = time.perf_counter()
            calls = [asyncio.ensure_future(engine.invoke("f")) for _ in range(CROWD)]
            while fleet().busy < CROWD:
                await asyncio.sleep(0.005)
            took_s = time.perf_counter() - began_s
            fcntl.flock(gate, fcntl.LOCK_UN)
            released_s = time.perf_counter()
            outcomes = await asyncio.gather(*calls)
            assert all(outcome.ok and outcome.cold_start for outcome in outcomes)
            while fleet().idle:
                await asyncio.sleep(0.005)
            rates.append(round(CROWD / took_s))
            churn.append(round(CROWD / (took_s + time.perf_counter() - released_s)))
    return {
        "cold_starts": CROWD * WAVES,
        "per_s": statistics.median(rates),
        "best_per_s": max(rates),
        "churn_per_s": statistics.median(churn),
    }


def functions(code: str, *, snapstart: bool) -> list[Function]:
    """Those that `first` invokes, each with a folder of its own; one for `snapstart`."""
    made = []
    for number in range(1 if snapstart else FUNCTIONS):
        folder = Path(code, str(number))
        folder.mkdir()
        (folder / "app.py").write_text(SLOW if snapstart else QUICK)
        limits = {"handler": "app.handler", "code": str(folder), "timeout_s": 60, "keep_alive_s": 0}
        made.append(Function(f"f{number}", executor="process", snapstart=snapstart, **limits))
    return made


async def first(code: str, *, snapstart: bool) -> dict[str, float]:
    """Milliseconds from `invoke` to the outcome with no environment there."""
    all_of_them = functions(code, snapstart=snapstart)
    took_ms = []
    async with Engine(all_of_them) as engine:
        for number in range(FUNCTIONS):
            name = all_of_them[number % len(all_of_them)].name
            began_s = time.perf_counter()
            outcome = await engine.invoke(name)
            took_ms.append((time.perf_counter() - began_s) * 1000)
            assert outcome.ok, outcome.error
            assert outcome.cold_start
            while engine.sink.drivers[name].statistics().idle:
                await asyncio.sleep(0.02)
    took_ms.sort()
    return {"p50_ms": round(statistics.median(took_ms), 2), "p95_ms": round(took_ms[-4], 2)}


async def main(what: str) -> bool:
    """Measure one of the three; whether its bound held."""
    with tempfile.TemporaryDirectory() as code:
        result = await (rate(code) if what == "rate" else first(code, snapstart=what == "snapstart"))
    if what == "rate":
        bound, held = {"at_least": AT_LEAST_PER_S}, result["per_s"] >= AT_LEAST_PER_S
    else:
        bound, held = {"at_most_ms": AT_MOST_MS[what]}, result["p50_ms"] <= AT_MOST_MS[what]
    print(json.dumps({"what": what, **result, **bound, "load_average": os.getloadavg()[0]}))
    return held


if __name__ == "__main__":
    sys.exit(not run(main(sys.argv[1] if len(sys.argv) > 1 else "rate")))
