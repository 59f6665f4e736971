"""Whether `engine load` names the limit: six cases that are each overloaded in one place, about threefold.

The reports stay in a folder that ends with the run. On a machine that others use as well, the host's CPU may
be named beside what is expected, if other programs used half a core; on a quiet one it may not. Prints a JSON
object; exit code 1 if a limit was named wrongly, or if the sum of the requests does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from engine.load.results.limit_figures import (
    CONCURRENCY,
    ENGINE_CPU,
    GENERATOR,
    HOST_CPU,
    INITS,
    UPSTREAM,
)

HERE: Final = Path(__file__).parent
SECONDS: Final = 4
UPSTREAM_S: Final = 0.02
HELD: Final = 0.1, 0.7
"""Seconds of each period, and the share of it, for which the generator is stopped."""

OTHERS: Final = 0.5
"""Cores of other programs from which on a machine is not quiet."""

_TABLE: Final = """
[functions.{name}]
handler = "{handler}"
executor = "{executor}"
timeout_s = 60
"""


class Case(NamedTuple):
    """One overload.

    Attributes:
        limit: Who has to be named.
        handler: In a file of this folder.
        executor: That runs it.
        rate: Requests a second.
        settings: Further lines of its table.
        beside: What happens meanwhile; gives variables of the engine's environment.
    """

    limit: str
    handler: str
    executor: str
    rate: int
    settings: str = ""
    beside: Callable[[], Any] = lambda: nullcontext({})


def main() -> int:
    """Run the cases and print what each named."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load_limits", description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="default: all")
    chosen = parser.parse_args().cases or CASES
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        cases = {name: run(name, CASES[name], Path(folder)) for name in chosen}
    wrong = [name for name, one in cases.items() if not (one["right"] and one["sums"])]
    report = {
        "what": "the limit that engine load names in six overloads",
        "cases": cases,
        "wrong": wrong,
        "took_s": round(time.monotonic() - began_s, 1),
        "load_average": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(report, indent=2))
    return 1 if wrong else 0


def run(name: str, case: Case, folder: Path, seconds: int = SECONDS) -> dict[str, Any]:
    """Drive one case with `engine load`, and hold its verdict against what is expected."""
    print(f"{name}: {case.rate} per s for {seconds} s", file=sys.stderr, flush=True)
    config = folder / f"{name}.toml"
    table = _TABLE.format(name=name, handler=f"{HERE / case.handler}", executor=case.executor)
    config.write_text(table + case.settings, encoding="utf-8")
    out = folder / name
    command = [sys.executable, "-m", "engine", "load", "--config", str(config), "--rate", str(case.rate)]
    command += ["--duration", str(seconds), "--warmup", "0", "--processes", "1", "--no-prometheus"]
    with case.beside() as variables:
        done = subprocess.run(
            [*command, "--out", str(out)],
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
            cwd=HERE.parents[1],
            env={**os.environ, **variables},
        )
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{name} failed:\n{done.stdout}{done.stderr}")
    return judged(case.limit, json.loads((out / "run.json").read_text(encoding="utf-8")))


def judged(expected: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """What a run named, whether that is right, and whether its sum holds."""
    limit, totals = document["limit"], document["totals"]
    figures = limit["figures"]
    ours = sum(figures[f"{who}_cpu"] or 0.0 for who in ("engine", "handlers", "generator"))
    others = max(0.0, (figures["busy_cores"] or 0.0) - ours)
    allowed = {expected} | ({HOST_CPU} if others >= OTHERS else set())
    parts = ("answered", "refused", "failed", "open")
    return {
        "expected": expected,
        "named": list(limit["names"]),
        "right": expected in limit["names"] and set(limit["names"]) <= allowed,
        "sums": totals["offered"] == sum(totals[part] for part in parts),
        **{part: totals[part] for part in ("offered", *parts)},
        "others_cores": round(others, 2),
        "why": limit["why"],
    }


@contextmanager
def one_worker() -> Iterator[dict[str, str]]:
    """An HTTP server that works on one request at a time; gives its port as a variable."""
    loop = asyncio.new_event_loop()
    worker = asyncio.Lock()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        async with worker:
            await asyncio.sleep(UPSTREAM_S)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield {"UPSTREAM_PORT": str(server.sockets[0].getsockname()[1])}
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


@contextmanager
def held_generator() -> Iterator[dict[str, str]]:
    """Stops the generator for most of each period, as a limit on its CPU does."""
    over = threading.Event()
    thread = threading.Thread(target=_hold, args=(over,))
    thread.start()
    try:
        yield {}
    finally:
        over.set()
        thread.join()


def _hold(over: threading.Event) -> None:
    period_s, share = HELD
    while not over.wait(period_s * (1 - share)):
        stopped = [one for one in psutil.Process().children(recursive=True) if _is_generator(one)]
        _send(stopped, signal.SIGSTOP)
        over.wait(period_s * share)
        _send(stopped, signal.SIGCONT)


def _is_generator(process: psutil.Process) -> bool:
    try:
        return "locust" in process.cmdline()
    except psutil.Error:
        return False


def _send(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


CASES: Final[Mapping[str, Case]] = {
    "engine_cpu": Case(ENGINE_CPU, "limited.py:computes_on_loop", "loop", 600),
    "concurrency": Case(CONCURRENCY, "limited.py:waits", "thread", 75, "reserved_concurrency = 5\n"),
    "inits": Case(INITS, "slow_import.py:handler", "process", 60),
    "host_cpu": Case(HOST_CPU, "computing.py:handler", "process", 30),
    "generator": Case(GENERATOR, "limited.py:does_nothing", "loop", 200, beside=held_generator),
    "upstream": Case(UPSTREAM, "limited.py:asks_upstream", "loop", 150, beside=one_worker),
}

if __name__ == "__main__":
    sys.exit(main())
