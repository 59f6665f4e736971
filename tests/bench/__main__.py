"""`make bench`: the engine and its floors, measured in the same run, as ratios.

Every figure is a median over pairs: floor, engine, floor, engine, ... so that a machine that drifts or is
shared moves both. Servers run on core 0, the load generator on core 1. The engine measured is what pip
installs: the compiled wheel in a fresh virtual environment (`ratio`), and the pure one in another
(`interpreted`); where there is no C compiler, both are the pure one. Then the scripts of `SCRIPTS` run, most
on the sources as they are: each measures one room, knows its own bounds, and prints a JSON object. Progress
goes to stderr, one JSON document to stdout; exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import beside_granian
from tests.bench.beside_granian import INVOKE
from tests.bench.builds import ROOT, installed
from tests.bench.serving import CORES, HERE, WRK, output_of, rate_of, started

PYTHON = sys.executable
AT_LEAST = {
    "invoke_api": 0.75,
    "http_event": 0.62,
    "inprocess_loop": 0.68,
    "inprocess_thread": 0.50,
}
"""Of the compiled wheel."""
AT_LEAST_PURE = {"invoke_api": 0.54}
Measure = Callable[[Path], float]
"""Calls per second, with that interpreter."""
AT_MOST = {"metrics_ns_per_invocation": 1000.0, "scrape_ms": 5.0}


class Script(NamedTuple):
    """A module of this package: its arguments, and the keys of what it prints.

    It may print more: what other servers do, say, where they are installed. Exit code 1 says that a bound was
    missed.
    """

    command: tuple[str, ...]
    keys: tuple[str, ...]


_FIRST = ("what", "p50_ms", "p95_ms", "at_most_ms", "load_average")
_STORM = (
    "what",
    "requests",
    "busy_at_once",
    "refused",
    "total_s",
    "wait_p50_s",
    "wait_p99_s",
    "load_average",
)
SCRIPTS = {
    "granian": Script(("beside_granian",), beside_granian.KEYS),
    "start": Script(
        ("start",),
        (
            *("help_s", "help_cpu_s", "cost_s", "cost_cpu_s", "ready_s", "ready_cpu_s", "ready_pss_mb"),
            *("first_http_s", "first_invoke_s", "first_lambda_s", "first_sqs_s", "first_s3_s"),
            *("first_metrics_s", "at_most", "runs", "load_average"),
        ),
    ),
    "process": Script(
        ("process_throughput", "noop"),
        ("what", "per_s", "engine_cpu_us", "floor_per_s", "ratio", "best_ratio", "at_least", "load_average"),
    ),
    "process_cores": Script(
        ("process_throughput", "cpu"),
        ("what", "one_per_s", "two_per_s", "ratio", "best_ratio", "at_least", "load_average"),
    ),
    "process_cold": Script(
        ("process_cold", "rate"),
        ("what", "cold_starts", "per_s", "best_per_s", "churn_per_s", "at_least", "load_average"),
    ),
    "process_first": Script(("process_cold", "first"), _FIRST),
    "process_snapstart": Script(("process_cold", "snapstart"), _FIRST),
    "process_storm": Script(("process_storm", "sleeper"), _STORM),
    "process_storm_boto3": Script(("process_storm", "boto3"), (*_STORM, "at_most_s")),
    "sqs": Script(
        ("sqs_load", "--boto3"), ("send", "receive_delete", "signed", "at_least", "load_average", "boto3")
    ),
    "mapping": Script(("mapping_drain",), ("messages", "per_s", "per_cpu_s")),
    "streams": Script(("streams_live",), ("records", "per_s", "per_cpu_s", "slowest_of_bound")),
    "load_limits": Script(("load_limits",), ("what", "cases", "wrong", "took_s", "load_average")),
    "model_speed": Script(
        ("model_speed",),
        (
            "kernel_numba_per_s",
            "kernel_python_per_s",
            "simulator_per_s",
            "fluid_day_s",
            "engine_cost_s",
            "engine_plan_s",
            "engine_plan_short_cycles_s",
        ),
    ),
    "model_grid": Script(("model_grid",), ("workloads", "different", "at_most", "differences")),
    "s3": Script(
        ("s3_put",),
        ("put_1kb_per_s", "put_1kb_per_server_cpu_s", "at_least", "boto3_per_s", "objects", "delivered"),
    ),
}
_PAIRS = (
    *("floor_per_s", "engine_per_s", "ratio", "interpreted_per_s", "interpreted", "at_least"),
    "interpreted_at_least",
)
KEYS: Mapping[str, tuple[str, ...]] = {
    "machine": ("cores", "processor", "python", "system"),
    "generator": (),
    "build": (),
    **dict.fromkeys(AT_LEAST, _PAIRS),
    **dict.fromkeys(AT_MOST, ("measured", "at_most")),
    **{name: script.keys for name, script in SCRIPTS.items()},
    "missed": (),
}
"""The keys of the report, and those of each value that is an object."""


def main() -> int:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="pairs of each measurement (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load on a server (default 3)")
    parser.add_argument("--only", choices=[*AT_LEAST, "metrics", *SCRIPTS], help="measure just this one")
    arguments = parser.parse_args()
    seconds: float = arguments.seconds
    pure = installed("pure")
    if pure is None:
        raise SystemExit("the pure wheel cannot be built here")
    compiled = installed("compiled")
    serve = ["-m", "engine", "serve", f"echo={HERE / 'echo_handler.py'}:handler", "--log-format=off"]
    serve += [f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin")]
    floor = [str(HERE / "floor_http.py")]

    def http(address: str, path: str) -> tuple[Measure, Measure]:
        return (
            lambda python: _server(python, floor, "port", "/", seconds),
            lambda python: _server(python, serve, address, path, seconds),
        )

    def inprocess(executor: str, floor_script: str) -> tuple[Measure, Measure]:
        return (
            lambda python: _script(python, floor_script),
            lambda python: _script(python, "engine_inprocess.py", executor),
        )

    measurements = {
        "invoke_api": http("aws", INVOKE),
        "http_event": http("http", "/"),
        "inprocess_loop": inprocess("loop", "floor_inprocess.py"),
        "inprocess_thread": inprocess("thread", "floor_thread.py"),
    }
    report: dict[str, object] = {
        "machine": _machine(),
        "generator": "wrk" if WRK else "tests/bench/client.py",
        "build": "compiled wheel" if compiled else "pure wheel",
    }
    missed = []
    for name, (measure_floor, measure_engine) in measurements.items():
        if arguments.only not in (None, name):
            continue
        figures = _pairs(name, measure_floor, measure_engine, arguments.pairs, compiled, pure)
        bound, bound_pure = AT_LEAST[name], AT_LEAST_PURE.get(name)
        report[name] = {**figures, "at_least": bound, "interpreted_at_least": bound_pure}
        if compiled is not None and figures["ratio"] < bound:
            missed.append(name)
        if bound_pure is not None and figures["interpreted"] < bound_pure:
            missed.append(f"{name}, pure")
    if arguments.only in (None, "metrics"):
        costs, _ = _judged("tests.bench.metrics_cost")
        for name, bound in AT_MOST.items():
            report[name] = {"measured": costs[name], "at_most": bound}
            if costs[name] > bound:
                missed.append(name)
    for name, ((module, *rest), _) in SCRIPTS.items():
        if arguments.only in (None, name):
            print(f"{name}: {module} {' '.join(rest)}", file=sys.stderr, flush=True)
            report[name], held = _judged(f"tests.bench.{module}", *rest)
            if not held:
                missed.append(name)
    report["missed"] = missed
    print(json.dumps(report, indent=2))
    if lacking := _lacking(report, whole=arguments.only is None):
        raise SystemExit(f"the report lacks {', '.join(lacking)}")
    return 1 if missed else 0


def _lacking(report: Mapping[str, Any], *, whole: bool) -> list[str]:
    """Keys that it should have; with `whole` those of things that were not measured too."""
    lacking = [key for key in KEYS if whole and key not in report]
    return lacking + [
        f"{key}.{inner}" for key, keys in KEYS.items() for inner in keys if inner not in report.get(key, keys)
    ]


def _pairs(
    name: str, measure_floor: Measure, measure_engine: Measure, pairs: int, compiled: Path | None, pure: Path
) -> dict[str, float]:
    rows = []
    for number in range(1, pairs + 1):
        row = [measure_floor(compiled or pure), measure_engine(compiled or pure)]
        row.append(measure_engine(pure) if compiled else row[1])
        rows.append(row)
        figures = ", ".join(f"{figure:,.0f}/s" for figure in row)
        print(f"{name} {number}/{pairs}: floor, engine, pure: {figures}", file=sys.stderr, flush=True)
    floors, engines, interpreted = zip(*rows, strict=True)
    return {
        "floor_per_s": round(statistics.median(floors)),
        "engine_per_s": round(statistics.median(engines)),
        "ratio": _ratio(engines, floors),
        "interpreted_per_s": round(statistics.median(interpreted)),
        "interpreted": _ratio(interpreted, floors),
    }


def _ratio(engines: Sequence[float], floors: Sequence[float]) -> float:
    return round(statistics.median(e / f for e, f in zip(engines, floors, strict=True)), 3)


def _machine() -> dict[str, object]:
    return {
        "cores": len(CORES),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _script(python: Path, *arguments: str) -> float:
    """The rate that one of the scripts beside this file prints."""
    command = [str(python), str(HERE / arguments[0]), *arguments[1:]]
    return float(json.loads(output_of(command, CORES[0]))["per_s"])


def _server(python: Path, command: list[str], address: str, path: str, seconds: float) -> float:
    """Requests per second that the server answers; the first line it prints says where, under `address`."""
    with started([str(python), *command]) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        return rate_of(int(str(ready[address]).rpartition(":")[2]), path, seconds)


def _judged(module: str, *arguments: str) -> tuple[Any, bool]:
    """What that module prints, and whether it found its bounds held."""
    command = [PYTHON, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"{module} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout), done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
