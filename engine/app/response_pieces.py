"""What `Engine.stream` returns: the response of one invocation, piece by piece."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Self

from engine.core.outcome import Outcome
from engine.core.response_stream import PIECE_BYTES
from engine.errors import EngineError

_HELD_BYTES: Final = PIECE_BYTES
_HELD_PIECES: Final = 1024
"""What waits to be taken before the handler is held back."""


class ResponsePieces:
    """The pieces of one response, for `async for piece in ...`, and how it ended.

    The handler is held back while nobody takes them. A function that does not stream gives one piece, its
    result. A failure raises nothing: the pieces end, and `outcome` tells. Left early, the handler runs on and
    the rest is dropped, as on AWS when a client goes: `async with` sees to that, or `close`.

    Attributes:
        content_type: What the handler called the body; None before it began, and of what is not streamed.
    """

    def __init__(self) -> None:
        self.content_type: str | None = None
        self._pieces: deque[bytes] = deque()
        self._held_bytes = 0
        self._is_closed = False
        self._drained: Callable[[], None] | None = None  # to be called: the handler is held back
        self._tell_drained: Callable[[], None] = _ignore
        self._end: Outcome | None = None
        self._arrival: asyncio.Future[None] | None = None

    # ---------------------------------------------------------------- for the caller

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._end is not None:
                raise StopAsyncIteration
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        piece = self._pieces.popleft()
        self._held_bytes -= len(piece)
        if not self._pieces:
            self._go_on()
        return piece

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def outcome(self) -> Outcome:
        """How it ended; its body is empty after a response that was streamed. EngineError before that."""
        if self._end is None:
            raise EngineError("the response has not ended")
        return self._end

    def close(self) -> None:
        """Take nothing more. Does nothing after the end."""
        self._is_closed = True
        self._pieces.clear()
        self._held_bytes = 0
        self._go_on()

    # ---------------------------------------------------------------- `ResponseStream`

    def begin(self, content_type: str, drained: Callable[[], None], /) -> None:
        """See `ResponseStream`."""
        self.content_type = content_type
        self._tell_drained = drained

    def write(self, data: bytes, /) -> bool:
        """See `ResponseStream`."""
        if self._is_closed:
            return True
        self._add(data)
        if self._held_bytes < _HELD_BYTES and len(self._pieces) < _HELD_PIECES:
            return True
        self._drained = self._tell_drained
        return False

    def fail(self, body: bytes, /) -> None:
        """See `ResponseStream`. The outcome says the same when the function has ended."""

    def ended(self, outcome: Outcome) -> None:
        """Take the outcome; the result of a function that does not stream is its only piece."""
        self._end = outcome
        if self.content_type is None and outcome.ok and not self._is_closed:
            self._add(outcome.body)
        else:
            self._arrived()

    def _add(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held_bytes += len(data)
        self._arrived()

    def _arrived(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None and not arrival.done():
            arrival.set_result(None)

    def _go_on(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None:
            drained()


def _ignore() -> None:
    """Nothing has begun."""
