"""Starts what takes long before anything else is imported, if the command line plainly asks for it.

`engine serve MODULE.FUNCTION` is ready when the process that environments are forked from is, which takes as
long to import what it needs as the engine does. A guess that is wrong costs some CPU time, and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from engine.executors.process import support
from engine.executors.process.parent.zygote_process import ended_unless_taken, start_one
from engine.executors.source_names import names_in_file
from engine.machine.descriptors import raise_limit

_DECIDING: Final = (
    *("-h", "--help", "--config", "--debug", "--env"),
    *("--executor", "--python", "--cluster", "--ray"),
)
"""Options by which handlers may run in something else, or not at all."""


@contextmanager
def started_at_once(words: Sequence[str]) -> Iterator[dict[str, Any]]:
    """For `started_early`: what `engine serve` needs with these `words`.

    It is ended at the end, unless an executor has taken it over.
    """
    with ended_unless_taken({}) as started:
        if _needs_forks(words):
            raise_limit()  # which is inherited
            start_one(started)
        yield started


def _needs_forks(words: Sequence[str]) -> bool:
    """Whether environments are forks of this interpreter, plainly: `executor_choice` decides."""
    if any(word.startswith(_DECIDING) for word in words) or support.unavailable() is not None:
        return False
    shell = os.environ.get("VIRTUAL_ENV") or sys.prefix
    is_own = os.path.realpath(shell) == os.path.realpath(sys.prefix)
    is_own = is_own and not any(map(os.path.isdir, (".venv", "../.venv")))
    return is_own and any(map(_is_plain_handler, words))


def _is_plain_handler(word: str) -> bool:
    """Whether it is `[NAME=]MODULE.FUNCTION` of a module here, and not defined by `async def`."""
    module, _, function = word.rpartition("=")[2].rpartition(".")
    try:
        bound = names_in_file(f"{module.replace('.', '/')}.py").names.get(function)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bound is not None and bound.is_async is not True
