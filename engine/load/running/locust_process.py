"""Runs Locust, in processes of its own, for one plan."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from engine.load.data_files import LOCUSTFILE
from engine.load.errors import LoadTestError
from engine.load.planning.plan import PLAN_VARIABLE, PROGRESS, Plan
from engine.load.running.child_processes import kill_group, last_lines, start

_STOP_S: Final = 15.0
_LOCUST_START_S: Final = 30.0
_LAST_ANSWER_S: Final = 60


def run_locust(
    plan: Plan,
    folder: Path,
    tell: Callable[[dict[str, Any]], None],
    started: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Drive the load of a plan and return what Locust found; `tell` gets each line of progress.

    `started` is told the pid of the first process.
    `folder` gets the plan, and Locust's own report and log: plan.json, locust.html, locust.json, locust.log.
    It is Locust's working directory: what lies in the user's own cannot be imported there by mistake.

    Raises:
        LoadTestError: Locust ran too long, or failed.
    """
    folder = folder.absolute()
    path = folder / "plan.json"
    path.write_text(plan.model_dump_json(indent=1), encoding="utf-8")
    limit_s = time.monotonic() + plan.seconds + _LAST_ANSWER_S + _LOCUST_START_S
    with (
        (folder / "locust.log").open("w+b") as log,
        start(
            _command(plan, folder),
            cwd=folder,
            variables={PLAN_VARIABLE: str(path)},
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        started(process.pid)
        try:
            for line in _lines(process, limit_s):
                if line.startswith(PROGRESS):
                    tell(json.loads(line.removeprefix(PROGRESS)))
            status = process.wait(_STOP_S)
        except (subprocess.TimeoutExpired, TimeoutError):
            raise LoadTestError(f"Locust did not end in time; its last lines:\n{last_lines(log)}") from None
        finally:
            kill_group(process)
        if status:
            raise LoadTestError(f"Locust ended with status {status}; its last lines:\n{last_lines(log)}")
        try:
            found: dict[str, Any] = json.loads(Path(plan.result).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LoadTestError(
                f"Locust wrote no result: {error}; its last lines:\n{last_lines(log)}"
            ) from None
    return found


def _command(plan: Plan, folder: Path) -> list[str]:
    command = [sys.executable, "-P", "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    command += ["--html", str(folder / "locust.html"), "--json-file", str(folder / "locust")]
    command += ["--stop-timeout", str(_LAST_ANSWER_S), "--exit-code-on-error", "0"]
    if plan.workers > 1:
        command += ["--processes", str(plan.workers)]
    return command


def _lines(process: subprocess.Popen[bytes], limit_s: float) -> Iterator[str]:
    """What a process writes to stdout, line by line. Raises TimeoutError at `limit_s`, monotonic."""
    assert process.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left_s = limit_s - time.monotonic()
            if left_s <= 0 or not selector.select(left_s):
                raise TimeoutError
            chunk = os.read(process.stdout.fileno(), 65536)
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
            if not chunk:
                return
