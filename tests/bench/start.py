"""How long commands take to start: `engine --help`, `engine cost`, and `engine serve` until it is ready.

The engine is measured as users have it: a wheel, built now and installed by pip, with bytecode, in a virtual
environment of its own; or in the interpreter that `--python` names. HATCH_BUILD_HOOKS_ENABLE=1 has the wheel
compiled. The working folder holds one handler and nothing else. Each figure is a median of runs: seconds on
the clock, and of CPU, which on a shared machine says more; memory of the engine's process, when it is ready
and when it has waited for `IDLE_S`. Beside them, what the first request of each kind takes: whatever is
imported late is imported then.
Run: `python -m tests.bench.start [--runs N] [--python PYTHON]`; prints one JSON document, and exits 1 above
`AT_MOST`. Before it, `chrt -f 1` has the kernel run nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]
AT_MOST = {"help_s": 0.15, "cost_s": 0.15, "ready_s": 0.25, "ready_rss_mb": 42, "idle_rss_mb": 42}
"""Seconds on the clock, on a quiet machine, and megabytes."""
IDLE_S = 2.0
COST = ["cost", "--requests", "3M", "--duration-ms", "120", "--memory-mb", "1024"]
LISTENERS = [word for name in ("http", "aws", "admin") for word in (f"--{name}", "127.0.0.1:0")]
SERVE = ["serve", "app.handler", *LISTENERS, "--log-format", "off"]
HANDLER = "def handler(event, context):\n    return 'hello'\n"
REQUESTS = {
    "first_http_s": ("http", "GET", "/", {}),
    "first_invoke_s": ("aws", "POST", "/2015-03-31/functions/app/invocations", {}),
    "first_lambda_s": ("aws", "GET", "/2015-03-31/functions", {}),
    "first_sqs_s": ("aws", "POST", "/", {"X-Amz-Target": "AmazonSQS.ListQueues"}),
    "first_s3_s": ("aws", "GET", "/", {}),
    "first_metrics_s": ("admin", "GET", "/metrics", {}),
}
"""Listener, method, path and headers of the requests, in the order in which they are sent."""
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV")
}

Figures = dict[str, float]


def installed(folder: Path) -> Path:
    """The interpreter of a new virtual environment in `folder` that has a wheel of these sources."""
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(built, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = (folder / "dist").glob("*.whl")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    subprocess.run(pip, check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return python


def command(python: Path, name: str, words: Sequence[str], folder: Path) -> Figures:
    """One run of a command that ends by itself."""
    began_s = time.perf_counter()
    process = subprocess.Popen(
        [str(python.parent / "engine"), *words], cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    took_s = time.perf_counter() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"engine {' '.join(words)} failed")
    return {f"{name}_s": took_s, f"{name}_cpu_s": usage.ru_utime + usage.ru_stime}


def server(python: Path, folder: Path) -> Figures:
    """One start of `engine serve`, the first requests, and its end."""
    began_s = time.perf_counter()
    with subprocess.Popen(
        [str(python.parent / "engine"), *SERVE], cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        figures = {"ready_s": time.perf_counter() - began_s, "ready_cpu_s": cpu_s(process.pid)}
        figures["ready_rss_mb"] = memory_mb(process.pid, "Rss")
        time.sleep(IDLE_S)
        figures["idle_rss_mb"] = memory_mb(process.pid, "Rss")
        figures["idle_pss_mb"] = memory_mb(process.pid, "Pss")
        figures |= {name: answered_s(addresses, *request) for name, request in REQUESTS.items()}
        process.terminate()
    return figures


def cpu_s(pid: int) -> float:
    """What the threads of a process have computed so far."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def memory_mb(pid: int, what: str) -> float:
    """Memory of a process: all of it (`Rss`), or its share of what it shares with others (`Pss`)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def answered_s(
    addresses: Mapping[str, Any], listener: str, method: str, path: str, headers: Mapping[str, str]
) -> float:
    """From connecting to the end of the answer."""
    began_s = time.perf_counter()
    connection = http.client.HTTPConnection(addresses[listener].partition("://")[2], timeout=30)
    connection.request(method, path, b"{}" if method == "POST" else None, dict(headers))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{method} {path} on {listener}: {answer.status}")
    return time.perf_counter() - began_s


def measure(python: Path, folder: Path, runs: int) -> Figures:
    """The median of each figure; one run before counts for nothing."""
    (folder / "app.py").write_text(HANDLER)
    rows: list[Figures] = []
    for _ in range(runs + 1):
        row = command(python, "help", ["--help"], folder) | command(python, "cost", COST, folder)
        rows.append(row | server(python, folder))
    return {name: round(median(row[name] for row in rows[1:]), 4) for name in rows[0]}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.start", description=__doc__)
    parser.add_argument("--runs", type=int, default=11, help="of each command (default 11)")
    parser.add_argument("--python", type=Path, help="an interpreter with the engine; default: a new one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "empty"
        folder.mkdir()
        figures = measure(arguments.python or installed(Path(temporary)), folder, arguments.runs)
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({**figures, "at_most": AT_MOST, "runs": arguments.runs, "load_average": load}))
    return 1 if any(figures[name] > bound for name, bound in AT_MOST.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
