"""The two child processes of a load test, both bounded in time: the engine, and Locust."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

ROOT: Final = Path(__file__).parents[2]
CONFIG: Final = ROOT / "handlers" / "engine.toml"
LOCUSTFILE: Final = ROOT / "loadtests" / "locustfile_invoke.py"

_READY_S = 20.0
_STOP_S = 15.0
_LOCUST_START_S = 30.0
_LAST_ANSWER_S = 10
_LAST_LINES = 20


class LoadTestError(Exception):
    """The load test could not be run; the text says why."""


@contextmanager
def running_engine(options: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """The example handlers on free ports; gives the URLs `http`, `aws` and `admin`, and drains at the end.

    Raises:
        LoadTestError: It did not start, or did not end by itself.
    """
    command = [sys.executable, "-m", "engine", "serve", "--config", str(CONFIG), "--log-format", "off"]
    for listener in ("http", "aws", "admin"):
        command += [f"--{listener}", "127.0.0.1:0"]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603  our own command line
            [*command, *options], stdout=subprocess.PIPE, stderr=said, cwd=ROOT
        ) as process,
    ):
        try:
            yield _addresses(process)
            process.terminate()
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            raise LoadTestError(f"the engine did not stop within {_STOP_S:g} s of SIGTERM") from None
        except LoadTestError as error:
            process.kill()
            raise LoadTestError(f"{error}; the engine's last words:\n{_end_of(said)}") from None
        finally:
            process.kill()


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
    addresses: dict[str, str] = json.loads(line)
    return addresses


def run_locust(variables: Mapping[str, str], *, users: int, seconds: int) -> list[dict[str, Any]]:
    """Drive the load and return Locust's statistics, one entry for each row.

    At the end each user finishes the request it has begun: else nothing would add up.

    Raises:
        LoadTestError: Locust ran too long, or said nothing that can be read.
    """
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--json", "--skip-log"]
    command += ["--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s"]
    command += ["--stop-timeout", str(_LAST_ANSWER_S), "--exit-code-on-error", "0"]
    limit_s = seconds + _LAST_ANSWER_S + _LOCUST_START_S
    try:
        done = subprocess.run(  # noqa: S603  our own command line
            command,
            env={**os.environ, **variables},
            cwd=ROOT,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LoadTestError(f"Locust did not end within {limit_s:g} s") from None
    try:
        entries: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode(errors="replace").strip() or "nothing"
        raise LoadTestError(f"Locust ended with status {done.returncode} and said:\n{said}") from None
    return entries
