"""The child processes of a load test, the engine and Locust: bounded in time, ended whatever happens."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from loadtests.common.plan import PLAN_VARIABLE, PROGRESS, Plan

ROOT: Final = Path(__file__).parents[2]
CONFIG: Final = ROOT / "loadtests" / "engine.toml"
LOCUSTFILE: Final = ROOT / "loadtests" / "locustfile.py"

_READY_S = 20.0
_STOP_S = 15.0
_LOCUST_START_S = 30.0
_LAST_ANSWER_S = 60
_LAST_LINES = 20


class LoadTestError(Exception):
    """The load test could not be run; the text says why."""


class RunningEngine(NamedTuple):
    """An engine that serves: URLs by listener (`http`, `aws`, `admin`), and its process id."""

    urls: dict[str, str]
    pid: int


@contextmanager
def running_engine(
    options: Sequence[str] = (), *, variables: Mapping[str, str] | None = None
) -> Iterator[RunningEngine]:
    """`engine serve` with `CONFIG` on free ports and further environment variables; it drains at the end.

    Raises:
        LoadTestError: It did not start, or did not end by itself and well.
    """
    command = [sys.executable, "-m", "engine", "serve", "--config", str(CONFIG), "--log-format", "off"]
    for listener in ("http", "aws", "admin"):
        command += [f"--{listener}", "127.0.0.1:0"]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603  our own command line
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd=ROOT,
            env={**os.environ, **(variables or {})},
            start_new_session=True,  # a Ctrl-C is for this process, which then ends the other
        ) as process,
    ):
        try:
            yield RunningEngine(_addresses(process), process.pid)
            if process.poll() is not None:
                raise LoadTestError(f"the engine ended by itself, with status {process.returncode}")
            process.terminate()
            if process.wait(_STOP_S):
                raise LoadTestError(f"the engine ended with status {process.returncode}")
        except subprocess.TimeoutExpired:
            raise LoadTestError(f"the engine did not stop within {_STOP_S:g} s of SIGTERM") from None
        except LoadTestError as error:
            process.kill()
            raise LoadTestError(f"{error}; the engine's last lines:\n{_end_of(said)}") from None
        finally:
            _kill_group(process)


def run_locust(plan: Plan, folder: Path, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Drive the load of a plan and return what Locust found; `tell` gets each line of progress.

    `folder` gets the plan, and Locust's own report and log: plan.json, locust.html, locust.json, locust.log.

    Raises:
        LoadTestError: Locust ran too long, or failed.
    """
    path = folder / "plan.json"
    path.write_text(plan.model_dump_json(indent=1), encoding="utf-8")
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    command += ["--html", str(folder / "locust.html"), "--json-file", str(folder / "locust")]
    command += ["--stop-timeout", str(_LAST_ANSWER_S), "--exit-code-on-error", "0"]
    if plan.workers > 1:
        command += ["--processes", str(plan.workers)]
    limit_s = time.monotonic() + plan.seconds + _LAST_ANSWER_S + _LOCUST_START_S
    with (
        (folder / "locust.log").open("w+b") as log,
        subprocess.Popen(  # noqa: S603  our own command line
            command,
            env={**os.environ, PLAN_VARIABLE: str(path)},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            for line in _lines(process, limit_s):
                if line.startswith(PROGRESS):
                    tell(json.loads(line.removeprefix(PROGRESS)))
            status = process.wait(_STOP_S)
        except (subprocess.TimeoutExpired, TimeoutError):
            raise LoadTestError(f"Locust did not end in time; its last lines:\n{_end_of(log)}") from None
        finally:
            _kill_group(process)
        if status:
            raise LoadTestError(f"Locust ended with status {status}; its last lines:\n{_end_of(log)}")
        try:
            found: dict[str, Any] = json.loads(Path(plan.result).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LoadTestError(f"Locust wrote no result: {error}; its last lines:\n{_end_of(log)}") from None
    return found


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


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Whatever is left of a process and of those it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _end_of(file: IO[bytes]) -> str:
    """The last lines of what a process wrote, or `nothing`."""
    file.seek(0)
    lines = file.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join(lines) or "nothing"


def _addresses(process: subprocess.Popen[bytes]) -> dict[str, str]:
    """What the engine prints when it is ready."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(_READY_S):
            raise LoadTestError(f"the engine was not ready within {_READY_S:g} s")
    line = process.stdout.readline()
    if not line:
        raise LoadTestError("the engine ended before it was ready")
    document = json.loads(line)
    return {name: document[name] for name in ("http", "aws", "admin")}
