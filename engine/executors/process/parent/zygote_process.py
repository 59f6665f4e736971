"""The process of a zygote: it starts before anybody tells it what to do, and imports meanwhile."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from engine.core.python_interpreter import PythonInterpreter
from engine.executors.python_probe import variables_for

STARTED: Final = "zygote"
"""What `Workshop.commons` calls the process that was started before there was an executor."""

_KEPT_VARIABLES: Final = (
    *("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL"),
    *("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"),
)
"""Of the engine's variables, those that an interpreter may need in order to start; and its own, PYTHON*.

By those of coverage.py it is started with every interpreter, and measures what is forked from it.

Whatever a zygote starts with can be read in /proc by everything it forks.
"""

START: Final = (
    "import sys; sys.path.insert(0, sys.argv[3]); from engine.executors.process.child.zygote import main; "
    "main(int(sys.argv[1]), int(sys.argv[2]))"
)
"""What the engine's own interpreter runs; its arguments: socket, process id of the engine, its folder."""

_FOREIGN_START: Final = str(Path(__file__).parents[1] / "child" / "foreign_start.py")
_HAS_SAFE_PATH: Final = (3, 11)
"""The first Python with `-P`, by which what handlers start does not import from their working folder."""


class ZygoteProcess:
    """A fresh interpreter.

    Attributes:
        process: It.
        connection: The engine's end of the line to it. It exits when that is closed.
        is_taken: Somebody has taken both over.
    """

    def __init__(self, interpreter: PythonInterpreter | None) -> None:
        """`interpreter`: None for the engine's own. Raises OSError if no process can be started."""
        self.is_taken = False
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self.process = subprocess.Popen(  # noqa: S603  # our own interpreter, or the handler's
                    _command(interpreter, theirs.fileno()),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,
                    env=variables_for(interpreter, _KEPT_VARIABLES),
                )
            except BaseException:
                self.connection.close()
                raise

    def close(self) -> None:
        """End it, unless it is taken."""
        if not self.is_taken:
            self.connection.close()
            self.process.kill()
            self.process.wait()


def start_one(started: dict[str, ZygoteProcess]) -> None:
    """Start one, as `STARTED`, if it can be: else whoever needs it tries again, and says why not."""
    with suppress(OSError):
        started[STARTED] = ZygoteProcess(None)


@contextmanager
def ended_unless_taken(started: dict[str, ZygoteProcess]) -> Iterator[dict[str, ZygoteProcess]]:
    """End what no executor has taken over, in the end."""
    try:
        yield started
    finally:
        for one in started.values():
            one.close()


def package_root() -> str:
    """The folder that this package is imported from."""
    return str(Path(__file__).parents[4])


def _command(interpreter: PythonInterpreter | None, descriptor: int) -> list[str]:
    """What starts a zygote: the engine's own interpreter has its packages, to another they are brought."""
    ours = [str(descriptor), str(os.getpid())]
    if interpreter is None:
        return [sys.executable, "-P", "-c", START, *ours, package_root()]
    options = ["-P"] if interpreter.version >= _HAS_SAFE_PATH else []
    return [interpreter.executable, *options, _FOREIGN_START, *ours, _folder_of("simplejson")]


def _folder_of(package: str) -> str:
    spec = find_spec(package)
    assert spec is not None  # the engine needs it
    assert spec.origin is not None
    return str(Path(spec.origin).parent)
