"""The promises of scale and of deadlines, measured: `python tests/bench/promises.py` prints one JSON object.

- 20,000 invocations of `await asyncio.sleep(1)` at once, in one process, limits raised;
- from zero, 1,000 simultaneous requests over HTTP for a handler of 0.5 s, default limits; then 1,500: for an
  `async def` handler, and for a `def` handler of 5 s, with the executor that each gets by default;
- 200 handlers that sleep past a timeout of 1 s: how late their answers are.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from engine import Engine, Function
from engine.cli.options import run
from engine.protocols.http.client import HttpConnection

HERE = str(Path(__file__).parent)
SLEEPER = "sleeper.handler"


async def sleepers(count: int) -> dict[str, Any]:
    """All at once, in this process."""
    function = Function("sleeper", handler=SLEEPER, code=HERE, executor="loop", timeout_s=10)
    async with Engine([function], concurrency_limit=count, scaling_rate=0) as engine:
        began_s = time.perf_counter()
        outcomes = await asyncio.gather(*(engine.invoke("sleeper", {"seconds": 1}) for _ in range(count)))
        took_s = time.perf_counter() - began_s
    return {
        "invocations": count,
        "outcomes": Counter(outcome.status.value for outcome in outcomes),
        "wall_s": round(took_s, 2),
        "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


async def late_answers(count: int) -> dict[str, Any]:
    """How long after the timeout callers are answered."""
    function = Function("sleeper", handler=SLEEPER, code=HERE, executor="loop", timeout_s=1)
    late_ms: list[float] = []
    async with Engine([function]) as engine:

        async def one(after_s: float) -> None:
            await asyncio.sleep(after_s)
            began_s = time.perf_counter()
            outcome = await engine.invoke("sleeper", {"seconds": 5})
            assert "timeout" == outcome.status, outcome
            late_ms.append((time.perf_counter() - began_s - 1) * 1000)

        await one(0)  # the first one's import is not what is asked for
        late_ms.clear()
        await asyncio.gather(*(one(number / count) for number in range(count)))
    late_ms.sort()
    return {"p50_ms": round(late_ms[count // 2], 2), "p99_ms": round(late_ms[int(count * 0.99)], 2)}


async def from_zero(count: int, handler: str, sleep_s: float) -> dict[str, Any]:
    """Simultaneous requests over the Invoke API, each on a connection of its own."""
    command = [sys.executable, "-m", "engine", "serve", handler, "--log-format", "off"]
    command += ["--timeout-s", "60"]
    command += [part for name in ("http", "aws", "admin") for part in (f"--{name}", "127.0.0.1:0")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE)
    try:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        port = int(ready["aws"].rpartition(":")[2])
        callers = await asyncio.gather(*(HttpConnection.open("127.0.0.1", port) for _ in range(count)))
        body, target = b'{"seconds": %g}' % sleep_s, "/2015-03-31/functions/sleeper/invocations"

        async def call(connection: HttpConnection) -> tuple[int, str, float]:
            began_s = time.perf_counter()
            response = await connection.request("POST", target, [("Host", "localhost")], body)
            took_ms = (time.perf_counter() - began_s) * 1000
            reason = json.loads(response.body).get("Reason", "") if response.status == 429 else ""
            return response.status, reason, took_ms

        admin = await HttpConnection.open("127.0.0.1", int(ready["admin"].rpartition(":")[2]))
        busy: list[int] = [0]

        async def watch() -> None:
            while True:
                response = await admin.request("GET", "/status.json", [("Host", "localhost")], b"")
                environments = json.loads(response.body)["functions"]["sleeper"]["environments"]
                busy.append(environments.get("busy", 0))
                await asyncio.sleep(0.1)

        watching = asyncio.create_task(watch())
        answers = await asyncio.gather(*map(call, callers))
        watching.cancel()
        for connection in (admin, *callers):
            connection.close()
    finally:
        server.terminate()
        server.wait(20)
    overhead_ms = sorted(took_ms - sleep_s * 1000 for code, _, took_ms in answers if code == 200)
    return {
        "handler": handler,
        "requests": count,
        "answers": Counter(f"{code} {reason}".strip() for code, reason, _ in answers),
        "busy_at_once": max(busy),
        "overhead_p50_ms": round(overhead_ms[len(overhead_ms) // 2], 1),
        "overhead_p99_ms": round(overhead_ms[int(len(overhead_ms) * 0.99)], 1),
    }


async def main() -> None:
    """Measure and print."""
    report = {
        "late_answers": await late_answers(200),
        "from_zero": [
            await from_zero(count, handler, sleep_s)
            for handler, sleep_s in (("sleeper.handler", 0.5), ("sleeper.blocking", 5.0))
            for count in (1000, 1500)
        ],
        "sleepers": await sleepers(20_000),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    run(main())
