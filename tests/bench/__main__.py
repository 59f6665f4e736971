"""`make bench`: the engine and its floors, measured in the same run, as ratios.

Every figure is a median over pairs: floor, engine, floor, engine, ... so that a machine that drifts or is
shared moves both. Servers run on core 0, the load generator on core 1. Progress goes to stderr, one JSON
document to stdout; exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = sys.executable
WRK = shutil.which("wrk")
CORES = sorted(os.sched_getaffinity(0))
INVOKE = "/2015-03-31/functions/echo/invocations"
AT_LEAST = {
    "invoke_api": 0.65,
    "http_event": 0.45,
    "inprocess_loop": 0.50,
    "inprocess_thread": 0.50,
}
AT_MOST = {"metrics_ns_per_invocation": 1000.0, "scrape_ms": 5.0}


def main() -> int:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="pairs of each measurement (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load on a server (default 3)")
    parser.add_argument("--only", choices=[*AT_LEAST, "metrics"], help="measure just this one")
    arguments = parser.parse_args()
    seconds: float = arguments.seconds
    engine = [PYTHON, "-m", "engine", "serve", f"echo={HERE / 'echo_handler.py'}:handler", "--log-format=off"]
    engine += [f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin")]
    floor = [PYTHON, str(HERE / "floor_http.py")]
    measurements: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
        "invoke_api": (lambda: _server(floor, "port", "/", seconds), lambda: _server(engine, "aws", INVOKE, seconds)),
        "http_event": (lambda: _server(floor, "port", "/", seconds), lambda: _server(engine, "http", "/", seconds)),
        "inprocess_loop": (lambda: _script("floor_inprocess.py"), lambda: _script("engine_inprocess.py", "loop")),
        "inprocess_thread": (lambda: _script("floor_thread.py"), lambda: _script("engine_inprocess.py", "thread")),
    }
    report: dict[str, object] = {"machine": _machine(), "generator": "wrk" if WRK else "tests/bench/client.py"}
    missed = []
    for name, (measure_floor, measure_engine) in measurements.items():
        if arguments.only not in (None, name):
            continue
        figures = _pairs(name, measure_floor, measure_engine, arguments.pairs)
        report[name] = {**figures, "at_least": AT_LEAST[name]}
        if figures["ratio"] < AT_LEAST[name]:
            missed.append(name)
    if arguments.only in (None, "metrics"):
        costs = json.loads(_run([PYTHON, str(HERE / "metrics_cost.py")]))
        for name, bound in AT_MOST.items():
            report[name] = {"measured": costs[name], "at_most": bound}
            if costs[name] > bound:
                missed.append(name)
    report["missed"] = missed
    print(json.dumps(report, indent=2))
    return 1 if missed else 0


def _pairs(
    name: str, measure_floor: Callable[[], float], measure_engine: Callable[[], float], pairs: int
) -> dict[str, float]:
    floors, engines = [], []
    for number in range(1, pairs + 1):
        floors.append(measure_floor())
        engines.append(measure_engine())
        ratio = engines[-1] / floors[-1]
        line = f"{name} {number}/{pairs}: floor {floors[-1]:,.0f}/s, engine {engines[-1]:,.0f}/s, {ratio:.2f}"
        print(line, file=sys.stderr, flush=True)
    ratios = [engine / floor for engine, floor in zip(engines, floors, strict=True)]
    return {
        "floor_per_s": round(statistics.median(floors)),
        "engine_per_s": round(statistics.median(engines)),
        "ratio": round(statistics.median(ratios), 3),
    }


def _machine() -> dict[str, object]:
    return {
        "cores": len(CORES),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _script(*arguments: str) -> float:
    """The rate that one of the scripts beside this file prints."""
    command = [PYTHON, str(HERE / arguments[0]), *arguments[1:]]
    return float(json.loads(_run(command, CORES[0]))["per_s"])


def _server(command: list[str], address: str, path: str, seconds: float) -> float:
    """Requests per second that the server `command` answers under load on `path`."""
    with _started(command) as ready:
        port = int(str(ready[address]).rpartition(":")[2])
        if WRK is None:
            load = [PYTHON, str(HERE / "client.py"), "127.0.0.1", str(port), path, str(seconds)]
            return float(json.loads(_run(load, CORES[-1]))["per_s"])
        url = f"http://127.0.0.1:{port}{path}"
        load = [WRK, "-t1", "-c64", f"-d{seconds:g}s", "-s", str(HERE / "echo.lua"), url]
        output = _run(load, CORES[-1])
        if "Non-2xx" in output:
            raise SystemExit(f"{url} answered with errors:\n{output}")
        rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
        assert rate is not None, output
        return float(rate[1])


@contextmanager
def _started(command: list[str]) -> Iterator[dict[str, object]]:
    """A server on the first core; gives the JSON line it prints when ready, and ends it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=_on(CORES[0]))
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _run(command: list[str], core: int | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=None if core is None else _on(core),
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _on(core: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, {core})


if __name__ == "__main__":
    sys.exit(main())
