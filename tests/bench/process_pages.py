"""What one environment costs in pages of memory: those it copies, step by step, and those it has for itself.

Run: `python tests/bench/process_pages.py [environments]`; prints one JSON line, and exits with 1 if a bound
is missed. `faults` are those of a child up to its first answer, by step, and of the zygote for each start;
`private_kb` is what a child that has served one invocation shares with nobody, by kind of memory. A child's
faults are counted by a second run, whose zygote is started with `process_steps`.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path

from process_steps import Counts

from engine import Engine, Function
from engine.cli.options import run
from engine.executors.process.parent import zygote_process

HERE = str(Path(__file__).parent)
SOURCE = "def handler(event, context):\n    return event\n"
AT_MOST = {"child_faults": 350, "zygote_faults": 200, "private_kb": 1_500}
"""On Python 3.11; others take less."""


def started_with(counter: str) -> str:
    """What the interpreter of a zygote runs that counts its children's faults in the file `counter`."""
    begin = f"import sys; sys.path[:0] = [sys.argv[3], {HERE!r}]; import process_steps as steps; "
    end = f"steps.count_in({counter!r}); " + "del steps, sys.modules['process_steps'], sys.path[1]; "
    usual = zygote_process.START.partition("; sys.path.insert(0, sys.argv[3]); ")
    return begin + end + usual[2]


def forked() -> tuple[int, list[int]]:
    """The zygote, and its children."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        task = Path("/proc", pid, "task", pid)
        try:
            is_mine = fields(int(pid))[1] == os.getpid()
            if is_mine and b"process.child.zygote" in Path("/proc", pid, "cmdline").read_bytes():
                return int(pid), [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    raise RuntimeError("there is no zygote")


def fields(pid: int) -> list[int]:
    """Those of /proc/PID/stat from the state on, as proc(5) numbers them from 3; the state is left 0."""
    _, *rest = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return [0, *map(int, rest)]


def private_kb(pid: int) -> Counter[str]:
    """Memory of the process's own, by what it belongs to."""
    found: Counter[str] = Counter()
    kind = ""
    for line in Path("/proc", str(pid), "smaps").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Private_Dirty":
            found[kind] += int(value.split()[0])
        elif "-" in name.split(" ")[0]:
            file = line.split()[-1] if len(line.split()) > 5 else "objects"
            kind = file if file.startswith(("[", "objects")) else Path(file).name.split(".")[0]
    return found


async def crowd(code: str, environments: int) -> tuple[int, list[Counter[str]]]:
    """Have so many serve one invocation; the zygote's faults for all of them, and memory of each."""
    limits = {"timeout_s": 60, "keep_alive_s": 30, "code": code}
    function = Function("f", handler="app.handler", executor="process", **limits)
    async with Engine([function], scaling_rate=0, concurrency_limit=environments) as engine:
        await asyncio.gather(*(engine.invoke("f", number) for number in range(16)))
        zygote, first = forked()
        before = fields(zygote)[7]
        while len(forked()[1]) < environments:
            await asyncio.gather(*(engine.invoke("f", number) for number in range(environments)))
        children = [child for child in forked()[1] if child not in first]
        made = len(children)
        return round((fields(zygote)[7] - before) / made), [private_kb(child) for child in children]


async def main(environments: int) -> bool:
    """Measure; whether the bounds held."""
    with tempfile.TemporaryDirectory() as code:
        Path(code, "app.py").write_text(SOURCE)
        zygote_faults, memory = await crowd(code, environments)
        counter = f"{code}/counter"
        counts = Counts(counter)
        zygote_process.START = started_with(counter)  # type: ignore[misc]
        await crowd(code, environments)
        steps = counts.means(environments)
    kinds = sorted({kind for one in memory for kind in one})
    by_kind = {kind: round(statistics.fmean(one[kind] for one in memory)) for kind in kinds}
    result = {
        "child_faults": round(sum(steps.values())),
        "zygote_faults": zygote_faults,
        "private_kb": sum(by_kind.values()),
    }
    largest = dict(sorted(by_kind.items(), key=lambda item: -item[1])[:6])
    print(json.dumps({**result, "faults": steps, "private": largest, "at_most": AT_MOST}))
    return all(result[name] <= most for name, most in AT_MOST.items())


if __name__ == "__main__":
    sys.exit(not run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)))
