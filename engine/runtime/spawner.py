"""Starts tasks from anywhere on the loop: from tasks, and from a protocol's callbacks, which are no task.

anyio's groups tell by the running task which library they serve, so where `sniffio` is installed they refuse
to start anything from a callback. What listeners are handed is therefore this, and never a group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self


class Spawner:
    """Call it with a coroutine function and its arguments; the block ends when all of its tasks have ended.

    A task that raises cancels the others and the block, which then raises a `BaseExceptionGroup`. What is
    started after that, or after the block, never runs.
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
        coroutine = function(*arguments)
        try:
            self._tasks.create_task(coroutine)
        except RuntimeError:  # it is over, or being cancelled
            coroutine.close()
