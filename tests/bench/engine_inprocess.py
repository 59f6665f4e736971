"""In-process invocations of a no-op handler, one after the other: `await engine.invoke(...)`.

Run: `python tests/bench/engine_inprocess.py loop|thread`; prints one JSON line. Metrics are on, logs off.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from engine import Engine, Function
from engine.cli.options import run

CALLS = {"loop": 100_000, "thread": 30_000}


async def main(executor: str) -> None:
    """Invoke and await, again and again."""
    here = str(Path(__file__).parent)
    function = Function("noop", handler=f"noop.on_{executor}", code=here, executor=executor)
    async with Engine([function]) as engine:
        assert (await engine.invoke("noop")).ok
        began_s = time.perf_counter()
        for _ in range(CALLS[executor]):
            await engine.invoke("noop")
        print(json.dumps({"per_s": CALLS[executor] / (time.perf_counter() - began_s)}))


if __name__ == "__main__":
    run(main(sys.argv[1]))
