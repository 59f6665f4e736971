"""Starts tasks from anywhere on the loop: from tasks, and from a protocol's callbacks, which are no task.

anyio's groups tell by the running task which library they serve, so where `sniffio` is installed they refuse
to start anything from a callback. What listeners are handed is therefore this, and never a group.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

_log = logging.getLogger("engine.runtime")


class Spawner:
    """Call it with a coroutine function and its arguments; the block ends when all of its tasks have ended.

    A task that raises an `Exception` ends alone: it is logged with its traceback, and all else goes on.
    Who owes a client an answer gives it before that: nothing here knows of requests. What is started after
    the block, or while it is being cancelled, never runs.
    """

    def __init__(self) -> None:
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    def __call__(self, function: Callable[..., Coroutine[Any, Any, object]], *arguments: Any) -> None:
        """Start it."""
        coroutine = _contained(function, arguments)
        try:
            self._tasks.create_task(coroutine)
        except RuntimeError:  # it is over, or being cancelled
            coroutine.close()


async def _contained(
    function: Callable[..., Coroutine[Any, Any, object]], arguments: tuple[Any, ...]
) -> None:
    """Run it: in a task group, an exception would end all other tasks and the engine with them."""
    try:
        await function(*arguments)
    except Exception:  # a bug of ours  # noqa: BLE001
        _log.exception("%s failed", getattr(function, "__qualname__", function))
