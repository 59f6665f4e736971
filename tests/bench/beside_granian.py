"""Invoke over HTTP beside Granian's RSGI, both an echo of JSON on one core.

Run: `python -m tests.bench.beside_granian`; prints one JSON object.

Granian (github.com/emmett-framework/granian) is an HTTP server in Rust that calls Python; RSGI is the fastest
of its interfaces. It runs no functions: no events, limits, deadlines, bills, logs or metrics. It is installed
into an environment of its own below `build/bench`; where pip cannot, that is what is printed. Pairs: Granian,
the engine (the compiled wheel, or the pure one where there is no compiler), and so on. Exit code 1 if the
engine does less than `AT_LEAST` times as much.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.bench.builds import FOLDER, installed, new_environment
from tests.bench.serving import HERE, rate_of, started

AT_LEAST: Final = 1.4
INVOKE: Final = "/2015-03-31/functions/echo/invocations"
KEYS: Final = ("granian_per_s", "engine_per_s", "ratio", "at_least", "not_measured", "load_average")


def main() -> int:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.beside_granian", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="pairs of measurements (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load on a server (default 3)")
    arguments = parser.parse_args()
    report: dict[str, object] = {**dict.fromkeys(KEYS), "at_least": AT_LEAST}
    try:
        granian = _granian()
    except SystemExit as error:
        report["not_measured"] = f"Granian cannot be installed here: {error}"
        print(json.dumps(report, indent=2))
        return 0
    engine = installed("compiled") or installed("pure")
    assert engine is not None
    rows = []
    for number in range(1, arguments.pairs + 1):
        rows.append((_granian_rate(granian, arguments.seconds), _engine_rate(engine, arguments.seconds)))
        theirs, ours = rows[-1]
        print(f"{number}/{arguments.pairs}: Granian {theirs:,.0f}/s, engine {ours:,.0f}/s", file=sys.stderr)
    ratio = statistics.median(ours / theirs for theirs, ours in rows)
    report |= {
        "granian_per_s": round(statistics.median(theirs for theirs, _ in rows)),
        "engine_per_s": round(statistics.median(ours for _, ours in rows)),
        "ratio": round(ratio, 2),
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps(report, indent=2))
    return 0 if ratio >= AT_LEAST else 1


def _granian() -> Path:
    python = FOLDER / "granian" / "bin" / "python"
    if (python.parent / "granian").exists():
        return python
    return new_environment("granian", "granian", "orjson", "uvloop")


def _granian_rate(python: Path, seconds: float) -> float:
    port = _free_port()
    command = [str(python.parent / "granian"), "--interface", "rsgi", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--runtime-threads", "1", "--loop", "uvloop"]
    command += ["--no-log", "--working-dir", str(HERE), "granian_app:app"]
    with started(command) as process:
        for _ in range(200):
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise SystemExit(f"Granian ended with status {process.returncode}")
            time.sleep(0.05)
        return rate_of(port, "/", seconds)


def _engine_rate(python: Path, seconds: float) -> float:
    command = [str(python), "-m", "engine", "serve", f"echo={HERE / 'echo_handler.py'}:handler"]
    command += ["--log-format=off", *(f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin"))]
    with started(command) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        return rate_of(int(str(ready["aws"]).rpartition(":")[2]), INVOKE, seconds)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    sys.exit(main())
