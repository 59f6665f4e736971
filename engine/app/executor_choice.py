"""What `executor = "auto"` stands for: decided by the handler's source, and by what this machine allows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, NamedTuple

from engine.core.function import Function
from engine.core.variables import EXEC_WRAPPER
from engine.errors import ConfigError
from engine.executors.handler_source import looks_async
from engine.executors.module_names import clashes
from engine.executors.process import support
from engine.runtime.platform import Platform

IN_PROCESS: Final = ("loop", "thread")
"""Executors that run handlers in the engine's own interpreter."""

ELSEWHERE: Final = ("cluster", "ray")
"""Executors that run handlers on other nodes, in processes there."""


class Choice(NamedTuple):
    """An executor's name; `why_not_process` says in a few words what forbids the better one, or is None."""

    executor: str
    why_not_process: str | None = None


_LIMITS: Final = {
    "thread": "not the main thread, one core for all, C code is not stopped at its deadline; "
    "further environments import app#2 and share helper modules",
    "loop": "one core for all, environments share their modules",
}
_SHARED: Final = (
    "time zone, locale, working folder, umask and socket time-outs are the engine's and shared; "
    'executor = "process" has none of these limits'
)
_STREAMING: Final = (
    'streaming = "generator" is this engine\'s own: AWS has announced streaming for Python, not shipped it, '
    "and a generator is no result there"
)
_MAX_NAMES: Final = 10


def limits_of_the_chosen(functions: Iterable[Function]) -> list[str]:
    """What users of loop and thread are told at start, one line for each, if they chose it by name."""
    chosen: dict[str, list[str]] = {}
    for function in functions:
        if function.executor in _LIMITS:
            chosen.setdefault(function.executor, []).append(function.name)
    return [
        f"{listed(names)}: executor {executor}, in the engine's own interpreter: "
        f"{_LIMITS[executor]}; {_SHARED}"
        for executor, names in sorted(chosen.items())
    ]


def streaming_lines(functions: Iterable[Function]) -> list[str]:
    """What users of `streaming` are told at start, in one line for all of them; nothing without any."""
    names = [function.name for function in functions if function.streaming is not None]
    if not names:
        return []
    return [f"{listed(names)}: {_STREAMING}"]


def listed(names: list[str]) -> str:
    """The names, or of many the first few and how many more there are."""
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def choose(
    function: Function,
    platform: Platform,
    unavailable: Callable[[], str | None] = support.unavailable,
    looks: Callable[[str, str], bool | None] = looks_async,
    elsewhere: str | None = None,
) -> Choice:
    """The executor of `function`: the one it names, or what `auto` stands for here. Imports no handler.

    `auto` is runtime for a `bootstrap` or a wrapper, loop for a handler whose source plainly says
    `async def`, and process for every other, also where the source does not tell (decorated, imported, made
    by a call): process runs both kinds. Where no process can be forked (`unavailable` says why) it is thread,
    and so it is where `platform` has no processes, in a test. On virtual time all handlers run on the loop.
    `looks` reads the source, by code folder and handler. `elsewhere`: where there is a cluster, what runs
    there, in place of process, what does not ask for process itself; functions that clients create are such.
    """
    if function.executor != "auto":
        stays = elsewhere is None or function.executor != "process" or not function.is_package
        return Choice(function.executor if stays else elsewhere or "")
    if function.bootstrap or EXEC_WRAPPER in function.environment:
        return Choice("runtime")
    if not platform.has_threads or looks(function.code, function.handler):
        return Choice("loop")
    if not platform.has_processes:
        return Choice("thread")
    if elsewhere is not None:
        return Choice(elsewhere)
    reason = unavailable()
    return Choice("process") if reason is None else Choice("thread", reason)


def clash_problems(
    function: Function, executor: str, clashes_in: Callable[[str], list[tuple[str, str]]] = clashes
) -> tuple[str, ...]:
    """In the engine's own process a handler cannot have modules of its own under names that are taken.

    `clashes_in` lists those of a folder.
    """
    if executor not in IN_PROCESS:
        return ()
    return tuple(
        f"functions.{function.name}.code: {file} cannot be imported, {in_use} has its name and is in use: "
        f'on the executor {executor!r} both would be one module; rename it, or take executor = "process"'
        for file, in_use in clashes_in(os.path.abspath(function.code))
    )


def refuse_clashes(functions: Iterable[Function], platform: Platform) -> None:
    """Raise ConfigError with all clashes of all functions."""
    clashes_in = cache(clashes)  # ten thousand functions may have one folder
    problems = [
        problem
        for function in functions
        if clashes_in(os.path.abspath(function.code))
        for problem in clash_problems(function, choose(function, platform).executor, clashes_in)
    ]
    if problems:
        raise ConfigError(tuple(problems))
