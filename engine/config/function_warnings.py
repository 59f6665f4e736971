"""What is legal of a function, and yet certainly fails or is ignored here: warnings, a line each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final
from zipfile import BadZipFile, ZipFile, is_zipfile

from engine.config.handler_file import HandlerCode
from engine.config.handler_source import certain_failure
from engine.config.problems import Place, Problem
from engine.core.function import Function
from engine.core.variables import EXEC_WRAPPER, PATH
from engine.executors.handler_source import looks_async
from engine.packages.layers import unused_modules

_OF_PROCESS: Final = ("snapstart", "preload")


def function_warnings(functions: Sequence[Function], spell: Callable[[Place], str]) -> list[str]:
    """What to tell of `functions`, which have no problem; `spell` names a place as the user knows it."""
    files = _CodeFindings()
    return [
        f"{spell(place)}: {sentence}"
        for function in functions
        for place, sentence in _findings(function, files, ("functions", function.name))
    ]


class _CodeFindings:
    """What is said of code; looked up once for all functions that have it."""

    def __init__(self) -> None:
        self.certain_failure = cache(certain_failure)
        self.has_bootstrap = cache(_has_bootstrap)


def _has_bootstrap(code: str) -> bool:
    return os.path.exists(os.path.join(code, "bootstrap"))


def _findings(function: Function, files: _CodeFindings, place: Place) -> Iterator[Problem]:
    runs_python = not function.bootstrap and not files.has_bootstrap(function.code)
    code = HandlerCode(function.code, function.inline)
    if runs_python and (failure := files.certain_failure(function.handler, code)):
        yield Problem((*place, "handler"), f"{failure}: every invocation will fail")
    executor = "loop" if _will_be_a_task(function) else function.executor
    if executor in ("loop", "thread"):
        for key in _OF_PROCESS:
            if getattr(function, key):
                yield Problem((*place, key), f"ignored: the executor {executor!r} starts no processes")
    wrapper = function.environment.get(EXEC_WRAPPER)
    if wrapper and runs_python and not _is_there(wrapper, function):
        sentence = f"no program {wrapper!r} is there: every environment will fail to start"
        yield Problem((*place, "environment", EXEC_WRAPPER), sentence)
    for number, layer in enumerate(function.layers):
        unused = unused_modules(_names_in(layer, ("python/lib",)), function.runtime)
        if unused is not None:
            yield Problem((*place, "layers", number), f"{layer!r}: {unused}")


def _will_be_a_task(function: Function) -> bool:
    """Whether the executor `auto` is the loop."""
    if function.executor != "auto" or not (function.snapstart or function.preload):
        return False
    runtime = function.bootstrap or EXEC_WRAPPER in function.environment
    return not runtime and looks_async(function.code, function.handler) is True


def _is_there(program: str, function: Function) -> bool:
    """Whether it is on this machine, in the code (`/var/task`, the working folder) or in a layer (`/opt`)."""
    if os.path.exists(program):
        return True
    if program.startswith("/opt/"):
        return any(_has(layer, program.removeprefix("/opt/")) for layer in function.layers)
    inside = program.removeprefix("/var/task/")
    if os.path.isabs(inside):
        return False
    return _has(function.code, inside) or shutil.which(program, path=os.environ.get("PATH", PATH)) is not None


def _has(place: str, file: str) -> bool:
    folder, _, name = file.rpartition("/")
    return name in {path.rpartition("/")[2] for path in _names_in(place, (folder,))}


def _names_in(place: str, folders: Sequence[str]) -> list[str]:
    """Paths of what is directly in those folders of the folder or archive `place`."""
    if is_zipfile(place):
        try:
            with ZipFile(place) as archive:
                names = [name.rstrip("/") for name in archive.namelist()]
        except (BadZipFile, OSError):
            return []  # said when it is unpacked
        parents = {os.path.dirname(name) for name in names} | set(names)
        return [name for name in {*names, *parents} if os.path.dirname(name) in folders]
    found = []
    for folder in folders:
        try:
            found += [os.path.join(folder, name) for name in os.listdir(os.path.join(place, folder))]
        except OSError:
            continue
    return found
