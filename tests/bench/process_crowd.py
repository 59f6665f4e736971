"""Thousands of environments alive at once, each having served: their memory, and what is left after.

Run: `python tests/bench/process_crowd.py [environments]`; prints one JSON line, and exits with 1 if a
call failed, fewer were busy at once, a process is left over, or they take more memory than their share of
`MAX_MB`. All wait in their handler until the last of them is there. Memory is
proportional (PSS), over the zygote and all it has forked, from /proc/PID/smaps_rollup.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from engine import Engine, Function
from engine.cli.options import run

SOURCE = """
import fcntl
def handler(event, context):
    with open("gate") as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)
"""
LONGEST_S = 240
"""That their starts may take."""
KEEP_ALIVE_S = 60.0
MAX_MB = 8192
"""Of `CROWD` environments."""

CROWD = 3_700


def forked() -> list[int]:
    """The zygotes of this process and their children."""
    mine = str(os.getpid()).encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mine in command and b"process.child.zygote" in b"".join(command):
            found.append(int(pid))
    return found


def pss_mb(pids: list[int]) -> int:
    """Proportional memory of all of them, in MB."""
    total_kb = 0
    for pid in pids:
        try:
            lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total_kb += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb // 1024


def available_mb() -> int:
    """Memory the machine has left."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) // 1024


async def main(crowd: int) -> bool:
    """Bring them up, count, let them expire, count again; whether the bounds held."""
    with tempfile.TemporaryDirectory() as code:
        Path(code, "app.py").write_text(SOURCE)
        function = Function(
            "f",
            handler="app.handler",
            code=code,
            executor="process",
            timeout_s=LONGEST_S + 60,
            keep_alive_s=KEEP_ALIVE_S,
        )
        gate = os.open(Path(code, "gate"), os.O_WRONLY | os.O_CREAT)  # open, and held, for the whole run
        fcntl.flock(gate, fcntl.LOCK_EX)
        before_mb = available_mb()
        async with Engine([function], scaling_rate=0, concurrency_limit=crowd) as engine:
            began_s = time.perf_counter()
            calls = [asyncio.ensure_future(engine.invoke("f")) for _ in range(crowd)]
            fleet = engine.sink.drivers["f"].statistics
            while (busy := fleet().busy) < crowd and time.perf_counter() - began_s < LONGEST_S:
                await asyncio.sleep(0.05)
            took_s = time.perf_counter() - began_s
            fcntl.flock(gate, fcntl.LOCK_UN)
            await asyncio.wait(calls)
            outcomes = [call.result() for call in calls]
            alive = forked()
            result = {
                "environments": fleet().idle,
                "busy_at_once": busy,
                "failed": sum(not outcome.ok for outcome in outcomes),
                "processes": len(alive),
                "pss_mb": pss_mb(alive),
                "machine_mb": before_mb - available_mb(),
                "started_in_s": round(took_s, 1),
            }
            while fleet().idle:
                await asyncio.sleep(0.2)
            await asyncio.sleep(2)
            result |= {"processes_after": len(forked()), "machine_mb_after": before_mb - available_mb()}
        at_the_end = len(forked())
        most_mb = MAX_MB * crowd // CROWD
        print(json.dumps({**result, "at_most_mb": most_mb, "processes_at_the_end": at_the_end}))
        held = not result["failed"] and busy == crowd and not at_the_end
        return held and result["pss_mb"] <= most_mb


if __name__ == "__main__":
    sys.exit(not run(main(int(sys.argv[1]) if len(sys.argv) > 1 else CROWD)))
