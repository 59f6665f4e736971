"""What `executor = "auto"` stands for: decided by the handler's source, and by what this machine allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from engine.core.function import Function
from engine.core.variables import EXEC_WRAPPER
from engine.executors.handler import Loader
from engine.executors.process import support
from engine.runtime.platform import Platform


class Choice(NamedTuple):
    """An executor's name; `why_not_process` says in a few words what forbids the better one, or is None."""

    executor: str
    why_not_process: str | None = None


def choose(
    function: Function, platform: Platform, unavailable: Callable[[], str | None] = support.unavailable
) -> Choice:
    """The executor of `function`: the one it names, or what `auto` stands for here. Imports no handler.

    `auto` is runtime for a `bootstrap` or a wrapper, loop for a handler whose source plainly says
    `async def`, and process for every other, also where the source does not tell (decorated, imported, made
    by a call): process runs both kinds. Where no process can be forked (`unavailable` says why) it is thread,
    and so it is where `platform` has no processes, in a test. On virtual time all handlers run on the loop.
    """
    if function.executor != "auto":
        return Choice(function.executor)
    if function.bootstrap or EXEC_WRAPPER in function.environment:
        return Choice("runtime")
    if not platform.has_threads or Loader(Path(function.code)).looks_async(function.handler):
        return Choice("loop")
    if not platform.has_processes:
        return Choice("thread")
    reason = unavailable()
    return Choice("process") if reason is None else Choice("thread", reason)
