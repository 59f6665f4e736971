"""What takes long to start is started first, while the engine itself is still imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from engine.app.executor_choice import choose
from engine.config import Config
from engine.core.function import Function
from engine.executors.process.parent.zygote_process import ended_unless_taken, start_one
from engine.runtime.platform import Platform

_LOOKED_AT: Final = 10
"""Functions: to read the handlers of thousands would take longer than it saves."""


@contextmanager
def started_early(config: Config, at_once: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Start the process that environments are forked from, if one is needed: for `Platform.started`.

    `at_once` is what `started_at_once` gave: perhaps that process, which is ended now if none is needed. At
    the end it is ended, unless an executor has taken it over.
    """
    with ended_unless_taken({**at_once}) as started:
        if not any(_forks(config, function) for function in config.functions[:_LOOKED_AT]):
            for one in started.values():
                one.close()
            started.clear()
        elif not started:
            start_one(started)
        yield started


def _forks(config: Config, function: Function) -> bool:
    """Whether its environments are forks of the engine's own interpreter."""
    chosen = (config.pythons or {}).get(function.name)
    is_own = chosen is None or chosen.interpreter is None
    chosen_executor = choose(function, Platform(), elsewhere=config.cluster.executor).executor
    return is_own and chosen_executor == "process"
