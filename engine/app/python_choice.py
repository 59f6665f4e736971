"""The Python that a handler runs in: named, found beside its code or in the shell, or the engine's own.

In this order: the function's key `python` > `--python`, or that key of `[engine]` > a `.venv` beside the code
that belongs to the user > `VIRTUAL_ENV` > the declared Runtime, if it is on PATH > the engine's own. What was
found, not named, is for handlers in processes of their own alone, and where such can be forked.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Final

from engine.app.executor_choice import IN_PROCESS, choose, listed
from engine.config import Config
from engine.core.function import Function
from engine.core.python_interpreter import ChosenPython, PythonInterpreter
from engine.errors import ConfigError
from engine.executors.host_variables import host_variables
from engine.executors.process import support
from engine.executors.python_probe import UnusablePython, interpreter_at
from engine.runtime.platform import Platform

_VENV: Final = ".venv"
_FOR_ALL: Final = "--python, or python of [engine]"
_TO_COME: Final = Function("", handler="", code=os.devnull)
"""Stands for those that clients create: what is wrong for them is said at the start too."""

_OWN: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"


class PythonChooser:
    """Chooses for one function after the other; each interpreter is looked at once."""

    def __init__(
        self,
        python: str | None,
        unavailable: Callable[[], str | None] = support.unavailable,
        variables: Callable[[], Mapping[str, str]] = host_variables,
    ) -> None:
        """`python`: what `[engine]` or `--python` says. `unavailable`: why no process can be forked here."""
        self._python = python
        self._why_none = unavailable()
        self._variables = variables()
        self._beside = cache(self._lies_beside)  # ten thousand functions may have one folder
        self.notes: list[str] = []
        """What was found and is not used, a line each."""

    def named(self, function: Function) -> ChosenPython | None:
        """What the user has named for it; None if that is nothing. Raises ConfigError if it is unusable."""
        if function.bootstrap or (path := function.python or self._python) is None:
            return None
        key = f"functions.{function.name}.python" if function.python else _FOR_ALL
        interpreter = _usable(key, path)
        if interpreter is None:
            return ChosenPython()
        if function.executor in IN_PROCESS:
            place = f"functions.{function.name}.executor: {function.executor!r}"
            reason = f"runs handlers in the engine's own Python, not in {interpreter.executable}"
            raise ConfigError((f'{place} {reason}: take executor = "process"',))
        if self._why_none is not None:
            reason = (
                f"{interpreter.executable} takes processes, and none can be forked here ({self._why_none})"
            )
            raise ConfigError((f"{key}: {reason}",))
        return ChosenPython(interpreter, f"named by {key}")

    def found(self, function: Function, code: str | None) -> ChosenPython:
        """What is found for it. `code`: the folder or file beside which a `.venv` may lie, or None.

        Raises ConfigError if a virtual environment that was found is broken.
        """
        if function.bootstrap or self._why_none is not None:
            return ChosenPython()
        chosen = self._beside(code) if code is not None else None
        chosen = chosen or self._of_the_shell()
        if chosen is not None and chosen.interpreter is not None and function.executor in IN_PROCESS:
            self._note(
                f"{function.name}: executor {function.executor} runs in the engine's own interpreter: "
                f"{chosen.interpreter.prefix} ({chosen.why}) is not used"
            )
            return ChosenPython()
        if chosen is None and function.executor not in IN_PROCESS:
            chosen = self._of_the_runtime(function.runtime)
        return chosen or ChosenPython()

    def _lies_beside(self, code: str) -> ChosenPython | None:
        for folder in (code, os.path.dirname(code)):
            venv = os.path.join(folder, _VENV)
            if not os.path.isdir(venv):
                continue
            owner = os.stat(venv).st_uid
            if owner == os.geteuid():
                return ChosenPython(_usable(_VENV, venv), f"{_VENV} beside the code")
            self._note(
                f"{venv} is not used: it belongs to user {owner}, and what others put there is not run "
                "unless --python names it"
            )
        return None

    def _of_the_shell(self) -> ChosenPython | None:
        venv = self._variables.get("VIRTUAL_ENV")
        return ChosenPython(_usable("VIRTUAL_ENV", os.path.abspath(venv)), "VIRTUAL_ENV") if venv else None

    def _of_the_runtime(self, runtime: str | None) -> ChosenPython | None:
        if runtime is None or runtime == _OWN:
            return None
        executable = shutil.which(runtime, path=self._variables.get("PATH"))
        try:
            interpreter = interpreter_at(executable) if executable else None
        except UnusablePython:
            return None  # a shim, or a Python too old: the engine's own is near enough
        return interpreter and ChosenPython(interpreter, f"its runtime is {runtime}")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _usable(key: str, path: str) -> PythonInterpreter | None:
    try:
        return interpreter_at(path)
    except UnusablePython as error:
        raise ConfigError((f"{key}: {error}",)) from None


def with_pythons(config: Config) -> Config:
    """`config` with what each handler runs in; where that is not the engine's own Python, `auto` is process.

    Raises ConfigError with all problems.
    """
    chooser = PythonChooser(config.python)
    pythons: dict[str, ChosenPython] = {}
    problems: dict[str, None] = {}
    for function in config.functions or (_TO_COME,):
        try:
            pythons[function.name] = chooser.named(function) or chooser.found(function, function.code)
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(tuple(problems))
    pythons.pop(_TO_COME.name, None)
    if any(chosen.interpreter is not None for chosen in pythons.values()):
        config = config.changed(
            lambda function: _in_a_process(function, pythons[function.name], config.cluster.executor)
        )
    warnings = (*config.warnings, *chooser.notes)
    return replace(config, pythons=MappingProxyType(pythons), warnings=warnings)


def _in_a_process(function: Function, chosen: ChosenPython, elsewhere: str | None) -> Function:
    if chosen.interpreter is None or choose(function, Platform()).executor not in IN_PROCESS:
        return function
    return replace(function, executor=elsewhere or "process")


def python_lines(config: Config) -> Iterator[str]:
    """What handlers run in and why, one line for each answer; nothing of those in the engine's own Python."""
    users: dict[ChosenPython, list[Function]] = {}
    for function in config.functions:
        chosen = (config.pythons or {}).get(function.name, ChosenPython())
        if chosen.interpreter is not None:
            users.setdefault(chosen, []).append(function)
    for chosen, functions in users.items():
        yield f"{listed([function.name for function in functions])}: {line_of(chosen)}"


def line_of(chosen: ChosenPython) -> str:
    """What handlers run in that have a Python of their own, why, and what follows from that."""
    return f"{chosen.interpreter}, {chosen.why}: on the executor process, `async def` handlers too"
