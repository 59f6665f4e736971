"""The optional methods of executors; one that an executor does not have does nothing, or as `start`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from engine.core.init_turns import Use
from engine.ports import Executor


class ExecutorHooks(NamedTuple):
    """The optional methods of one executor, as `engine.ports.Executor` describes them."""

    provision: Callable[[int], None]
    prepare: Callable[[], Awaitable[None]]
    close: Callable[[], None]
    wait_closed: Callable[[], Awaitable[None]]
    repeat: Callable[[int], bool]
    init_use: Callable[[int], Use | None]
    preloaded_init_s: Callable[[], float | None]

    @classmethod
    def of(cls, executor: Executor) -> ExecutorHooks:
        """The methods that it has, and defaults for the others."""
        known = dir(executor)  # one call, not one for each name: there may be ten thousand functions
        found = {name: getattr(executor, name) for name in cls._fields if name in known}
        return _DEFAULTS._replace(**{"provision": executor.start, **found})


async def _return_at_once() -> None:
    pass


_DEFAULTS = ExecutorHooks(
    provision=lambda _env_id: None,
    prepare=_return_at_once,
    close=lambda: None,
    wait_closed=_return_at_once,
    repeat=lambda _env_id: False,
    init_use=lambda _env_id: None,
    preloaded_init_s=lambda: None,
)
