"""Finds out what Python an interpreter, or the one of a virtual environment, is: by running it once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from typing import Any, Final

from engine.core.python_interpreter import PythonInterpreter
from engine.errors import EngineError
from engine.executors.host_variables import host_variables

OLDEST: Final = (3, 9)
"""The oldest Python that the engine's half of a handler's process runs in."""

_LIMIT_S: Final = 20.0
_ASK: Final = (
    "import json, os, sys; print(json.dumps([sys.executable, sys.version_info[:3], sys.prefix,"
    " sys.implementation.name, hasattr(os, 'pidfd_open')]))"
)
_OF_THE_ENGINES_OWN: Final = ("PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONEXECUTABLE")
"""Variables that say where the engine's interpreter has its library: no other would start with them."""


class UnusablePython(EngineError):
    """What was named cannot run handlers; `reason` goes on after its path."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path} {self.reason}"


def interpreter_at(path: str) -> PythonInterpreter | None:
    """The interpreter at the absolute `path`, or of the virtual environment there; None: the engine's own.

    Blocks for some hundredths of a second, once for each path.

    Raises:
        UnusablePython: There is none, it does not start, or it cannot run the engine's half.
    """
    if os.path.realpath(path) == os.path.realpath(sys.prefix):
        return None
    executable = os.path.join(path, "bin", "python") if os.path.isdir(path) else path
    if not os.path.exists(executable):
        raise UnusablePython(path, _what_is_missing(path))
    found = _probed(executable)
    if isinstance(found, UnusablePython):
        raise found
    is_own = os.path.realpath(found.prefix) == os.path.realpath(sys.prefix)
    return None if is_own and found.version == sys.version_info[:3] else found


def variables_for(interpreter: PythonInterpreter | None, kept: tuple[str, ...]) -> dict[str, str]:
    """The engine's variables in `kept` and PYTHON*, without those that only its own Python can use."""
    return {
        name: value
        for name, value in host_variables().items()
        if (name in kept or name.startswith("PYTHON"))
        and (interpreter is None or name not in _OF_THE_ENGINES_OWN)
    }


def _what_is_missing(path: str) -> str:
    if not os.path.lexists(path):
        return "does not exist"
    if os.path.isdir(path):
        python = os.path.join(path, "bin", "python")
        if os.path.islink(python):
            return (
                f"is a broken virtual environment: bin/python leads to {os.readlink(python)}, which is gone"
            )
        return "is no virtual environment: it has no bin/python"
    return f"leads to {os.readlink(path)}, which is gone"


@lru_cache(maxsize=64)
def _probed(executable: str) -> PythonInterpreter | UnusablePython:
    try:
        asked = subprocess.run(  # noqa: S603  # the user named it
            [executable, "-I", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
            env={name: value for name, value in host_variables().items() if name not in _OF_THE_ENGINES_OWN},
        )
    except OSError as error:
        return UnusablePython(executable, f"cannot be started: {error.strerror}")
    except subprocess.TimeoutExpired:
        return UnusablePython(executable, f"has not answered for {_LIMIT_S:g} s")
    try:
        answer: list[Any] = json.loads(asked.stdout)
        path, version, prefix, implementation, has_pidfd = answer
    except ValueError:
        last = asked.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return UnusablePython(executable, f"is no working Python: {last or 'it says nothing'}")
    series = ".".join(map(str, version))
    if implementation != "cpython":
        return UnusablePython(executable, f"is {implementation}: handlers are forked by CPython alone")
    if tuple(version) < OLDEST:
        return UnusablePython(executable, f"is Python {series}: handlers need 3.9 or later")
    if not has_pidfd:
        return UnusablePython(executable, "was built without os.pidfd_open, which forking handlers takes")
    return PythonInterpreter(path, tuple(version), prefix)
