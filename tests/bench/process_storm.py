"""A thousand requests at once for a function that has no environment yet, on the process executor.

Run: `python -m tests.bench.process_storm [sleeper|boto3] [requests]`; prints one JSON line, and exits with 1
if a bound is missed. The machine must have two cores to itself.
`sleeper` runs a `def` handler by default settings; `boto3` one that imports boto3, with `preload = "auto"`.
Both sleep 5 s, so that all are busy together only if the last begins before the first has ended. Each says
when it began and ended, on the clock that processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from engine.cli.options import run
from engine.protocols.http.client import HttpConnection

SLEEP_S = 5.0
SOURCE = f"""
import time
def handler(event, context):
    began_s = time.monotonic()
    time.sleep({SLEEP_S})
    return [began_s, time.monotonic()]
"""
CONFIG = """
[functions.f]
handler = "app.handler"
timeout_s = 60
preload = {preload}
"""
TARGET = "/2015-03-31/functions/f/invocations"


class Storm(NamedTuple):
    """What is run, and its bound: seconds from the first request to the last answer; None = no bound."""

    imports: str
    preload: str
    at_most_s: float | None


STORMS = {"sleeper": Storm("", "[]", None), "boto3": Storm("import boto3", '"auto"', 12.0)}


class Answer(NamedTuple):
    """Of one request, monotonic seconds: sent, the handler's begin and end; 0 if it was not served."""

    status: int
    sent_s: float
    began_s: float
    ended_s: float


async def call(connection: HttpConnection) -> Answer:
    """Send one request."""
    sent_s = time.monotonic()
    response = await connection.request("POST", TARGET, [("Host", "localhost")], b"{}")
    served = response.status == 200 and response.header(b"x-amz-function-error") is None
    began_s, ended_s = json.loads(response.body) if served else (0.0, 0.0)
    return Answer(response.status if served else 0, sent_s, began_s, ended_s)


def most_at_once(answers: list[Answer]) -> int:
    """How many handlers ran at the same time, at most."""
    changes = sorted([(one.began_s, 1) for one in answers] + [(one.ended_s, -1) for one in answers])
    busy = most = 0
    for _, change in changes:
        busy += change
        most = max(most, busy)
    return most


async def storm(port: int, requests: int) -> dict[str, Any]:
    """All at once, each on a connection of its own that is open already."""
    connections = await asyncio.gather(*(HttpConnection.open("127.0.0.1", port) for _ in range(requests)))
    began_s = time.monotonic()
    answers = await asyncio.gather(*map(call, connections))
    total_s = time.monotonic() - began_s
    for connection in connections:
        connection.close()
    served = [answer for answer in answers if answer.status == 200]
    waits_s = sorted(answer.began_s - answer.sent_s for answer in served)
    return {
        "requests": requests,
        "busy_at_once": most_at_once(served),
        "refused": requests - len(served),
        "total_s": round(total_s, 2),
        "wait_p50_s": round(waits_s[len(waits_s) // 2], 2),
        "wait_p99_s": round(waits_s[int(len(waits_s) * 0.99)], 2),
    }


def measure(what: Storm, requests: int) -> dict[str, Any]:
    """Serve the function, and have it called."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(f"{what.imports}\n{SOURCE}")
        Path(folder, "engine.toml").write_text(CONFIG.format(preload=what.preload))
        command = [sys.executable, "-m", "engine", "serve", "--config", "engine.toml", "--log-format", "off"]
        command += [part for name in ("http", "aws", "admin") for part in (f"--{name}", "127.0.0.1:0")]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder)
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            return run(storm(int(ready["aws"].rpartition(":")[2]), requests))
        finally:
            server.terminate()
            server.wait(20)


def main(name: str = "sleeper", requests: str = "1000") -> bool:
    """Measure and print; whether the bounds held."""
    what = STORMS[name]
    result = measure(what, int(requests))
    held = not result["refused"] and result["busy_at_once"] == result["requests"]
    if what.at_most_s is not None:
        result["at_most_s"] = what.at_most_s
        held = held and result["total_s"] <= what.at_most_s
    print(json.dumps({"what": name, **result, "load_average": os.getloadavg()[0]}))
    return held


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]))
