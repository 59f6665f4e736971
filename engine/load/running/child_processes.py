"""Child processes of a load test: bounded in time, ended whatever happens, their last words kept."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

_LAST_LINES: Final = 20
_LOOK_S: Final = 0.02


def start(
    command: Sequence[str],
    *,
    cwd: Path,
    variables: Mapping[str, str],
    stdout: int | IO[bytes],
    stderr: IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own: a Ctrl-C is for this process, which then ends the other."""
    return subprocess.Popen(  # noqa: S603  our own command line
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env={**os.environ, **variables},
        start_new_session=True,
    )


def first_line(process: subprocess.Popen[bytes], out: IO[bytes], within_s: float) -> bytes | None:
    """What a process writes first to the file `out`; None if it ended before, or wrote no line in time."""
    until_s = time.monotonic() + within_s
    while True:
        ended = process.poll() is not None
        out.seek(0)
        line, newline, _ = out.read().partition(b"\n")
        if newline:
            return line
        if ended or time.monotonic() > until_s:
            return None
        time.sleep(_LOOK_S)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Whatever is left of a process and of those it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def last_lines(file: IO[bytes]) -> str:
    """The last lines of what a process wrote, or `nothing`."""
    file.seek(0)
    lines = file.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join(lines) or "nothing"
