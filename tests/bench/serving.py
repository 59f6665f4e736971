"""Servers on the first core, and the load on them from the last."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.builds import FOLDER, variables

HERE: Final = Path(__file__).parent
WRK: Final = shutil.which("wrk")
CORES: Final = sorted(os.sched_getaffinity(0))


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A server on the first core, which is ended."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=on(CORES[0]),
        cwd=FOLDER,  # where no sources are
        env=variables(),
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def rate_of(port: int, path: str, seconds: float) -> float:
    """Requests per second that the server on `port` answers under load on `path`."""
    if WRK is None:
        load = [sys.executable, str(HERE / "client.py"), "127.0.0.1", str(port), path, str(seconds)]
        return float(json.loads(output_of(load, CORES[-1]))["per_s"])
    url = f"http://127.0.0.1:{port}{path}"
    load = [WRK, "-t1", "-c64", f"-d{seconds:g}s", "-s", str(HERE / "echo.lua"), url]
    output = output_of(load, CORES[-1])
    if "Non-2xx" in output:
        raise SystemExit(f"{url} answered with errors:\n{output}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert rate is not None, output
    return float(rate[1])


def output_of(command: list[str], core: int) -> str:
    """What it prints, run on that core. Raises SystemExit if it fails."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=on(core),
        cwd=FOLDER,
        env=variables(),
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def on(core: int) -> Callable[[], None]:
    """What a child calls to run on that core alone."""
    return lambda: os.sched_setaffinity(0, {core})
