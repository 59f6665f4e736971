"""Where workers on the loop wait for invocations. Compiled, as the module of the workers cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.core.invocation import Invocation


class Inboxes:
    """The inboxes of the idle workers of one function, by environment."""

    __slots__ = ("_free", "_start_worker")

    def __init__(self, start_worker: Callable[[int, Invocation], None]) -> None:
        """`start_worker` runs an invocation for which no worker is idle."""
        self._free: dict[int, list[asyncio.Future[Invocation]]] = {}
        self._start_worker = start_worker

    def open(self, env_id: int) -> list[asyncio.Future[Invocation]]:
        """The list to which the workers of a new environment add their inboxes."""
        free = self._free[env_id] = []
        return free

    def close(self, env_id: int) -> None:
        """Forget an environment."""
        self._free.pop(env_id, None)

    def run(self, env_id: int, invocation: Invocation, /) -> None:
        """Wake an idle worker with it, or start one. Raises KeyError if there is no such environment."""
        free = self._free[env_id]
        if free:
            try:
                free.pop().set_result(invocation)
            except asyncio.InvalidStateError:
                pass  # a handler left a cancellation of its task behind: see `LoopExecutor._close_worker`
            else:
                return
        self._start_worker(env_id, invocation)
