"""The way of a streamed response out of a handler that runs on the engine's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from engine.core.invocation import Invocation
from engine.executors.capture import current
from engine.executors.forks import exit_child
from engine.executors.handler_loader import Loaded
from engine.executors.interpreter import Interpreter
from engine.executors.streamed_pieces import StreamWriter, call_streamed_on_loop, let_go_on
from engine.ports import Facts


class LoopStream(StreamWriter):
    """One stream. After each part other tasks have their turn, even if the handler never waits."""

    def __init__(
        self,
        facts: Facts,
        loop: asyncio.AbstractEventLoop,
        interpreter: Interpreter,
        invocation: Invocation,
    ) -> None:
        self._facts = facts
        self._interpreter = interpreter
        self._loop = loop
        self._invocation = invocation
        self._free: asyncio.Future[None] | None = None

    def begin(self, content_type: str) -> None:
        """See `StreamWriter`."""
        self._leave_copy()
        self._facts.began(self._invocation, content_type, self._resume)

    def put(self, data: bytes) -> bool:
        """See `StreamWriter`."""
        self._leave_copy()
        if not self._facts.piece(self._invocation, data):
            self._free = self._loop.create_future()
        return False

    async def until_free(self) -> None:
        """See `StreamWriter`."""
        if self._free is None:
            await asyncio.sleep(0)
        else:
            await self._free

    def close(self) -> None:
        """See `StreamWriter`. Nobody else knows it."""

    def _leave_copy(self) -> None:
        """End a copy of this process that the handler forked: what it yields is dropped."""
        if self._interpreter.is_copy:
            exit_child(0)

    def _resume(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            let_go_on(free)


def streams_on_loop(
    facts: Facts, loop: asyncio.AbstractEventLoop, interpreter: Interpreter
) -> Callable[[Loaded], Loaded]:
    """What a handler becomes that streams what it yields."""

    def open_writer() -> LoopStream:
        invocation = current.get()
        assert invocation is not None  # handlers are called in the context of one
        return LoopStream(facts, loop, interpreter, invocation)

    def streaming(loaded: Loaded) -> Loaded:
        return loaded._replace(callable=partial(call_streamed_on_loop, open_writer, loaded.callable))

    return streaming
