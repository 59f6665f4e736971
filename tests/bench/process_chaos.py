"""Invocations of which one in ten exits, crashes, loops or allocates past the cap; who gets what answer.

Run: `python tests/bench/process_chaos.py [seconds] [per second]`; prints one JSON line, exit code 1 if
anybody got no answer, two, or one of the wrong kind, or if processes or descriptors are left over.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from engine import Engine, Function
from engine.cli.options import run

HERE = str(Path(__file__).parent)
RIGHT = {
    "good": {"success"},
    "exit": {"crash"},
    "crash": {"crash"},
    "loop": {"timeout"},
    "allocate": {"oom", "timeout"},  # where the machine is too busy to have it reach the cap in time
}
BAD = [kind for kind in RIGHT if kind != "good"]


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def relatives() -> list[int]:
    """Processes that descend from this one, or carry the mark of one of its zygotes."""
    mine = str(os.getpid())
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"process.child.zygote" in b"".join(command) and mine.encode() in command:
            found.append(int(pid))
    return found


async def chaos(seconds: float, per_s: float, seed: int = 1) -> dict[str, object]:
    """Invoke at that rate, whatever happens; what happened."""
    rng = random.Random(seed)
    function = Function(
        "f",
        handler="process_handlers.misbehave",
        code=HERE,
        executor="process",
        timeout_s=1,
        environment={"PYTHONUNBUFFERED": "1"},
    )
    kinds: Counter[str] = Counter()
    wrong: list[str] = []
    answers = 0
    before = descriptors()

    async def one(engine: Engine, number: int) -> None:
        nonlocal answers
        do = rng.choice(BAD) if rng.random() < 0.1 else "good"
        outcome = await engine.invoke("f", {"do": do, "value": number})
        answers += 1
        kinds[f"{do}: {outcome.status.value}"] += 1
        if outcome.status.value not in RIGHT[do] or (do == "good" and outcome.payload != number):
            wrong.append(f"{do}: {outcome.status.value} {outcome.error}")

    async with Engine([function], scaling_rate=0) as engine, asyncio.TaskGroup() as group:
        began_s = time.perf_counter()
        number = 0
        while (passed_s := time.perf_counter() - began_s) < seconds:
            while number < passed_s * per_s:
                group.create_task(one(engine, number))
                number += 1
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.1)
    good = sum(count for kind, count in kinds.items() if kind.startswith("good"))
    return {
        "invocations": number,
        "answers": answers,
        "kinds": dict(sorted(kinds.items())),
        "wrong": len(wrong),
        "wrong_samples": wrong[:5],
        "good_failures": round(1 - kinds["good: success"] / max(good, 1), 6),
        "processes_left": len(relatives()),
        "descriptors_left": descriptors() - before,
    }


async def main(seconds: float, per_s: float) -> int:
    """Print it; 0 if all is well."""
    await chaos(0.2, 20)  # what is opened once, and stays, is open now
    result = await chaos(seconds, per_s)
    print(json.dumps(result))
    left = result["processes_left"] or result["descriptors_left"]
    return int(bool(result["wrong"] or left or result["answers"] != result["invocations"]))


if __name__ == "__main__":
    arguments = [float(argument) for argument in sys.argv[1:]]
    sys.exit(run(main(*(arguments + [60.0, 500.0][len(arguments) :]))))
