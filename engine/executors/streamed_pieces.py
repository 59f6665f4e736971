"""Sends what a generator yields, piece by piece, as the response of an invocation: `streaming = "generator"`.

AWS has announced response streaming for handlers in Python and has not shipped it: what a handler looks like
there is not known. Here it is a generator. What leaves it is as AWS has it for the runtimes that stream:
bytes of any kind, or HTTP metadata first. Source: Lambda Developer Guide, "Response streaming".

Processes that must stay small import it too: it imports no asyncio, and nothing of the engine's server side.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from functools import partial
from importlib import import_module
from types import CoroutineType
from typing import Any, Final

from engine.core.response_stream import DEFAULT_TYPE, INTEGRATION_RESPONSE, PIECE_BYTES
from engine.executors.marshal import MarshalError, encode

WINDOW_BYTES: Final = 262_144
"""Of one stream, so much may be on its way between a handler's process and the engine before it waits."""

PIECE_COST_BYTES: Final = 256
"""What each part counts for besides its bytes, so that tiny ones are not many at a time."""

_DELIMITER: Final = bytes(8)
_METADATA_KEYS: Final = ("statusCode", "headers", "multiValueHeaders", "cookies")
_KINDS: Final = (Generator, AsyncGenerator)


def is_stream(value: object) -> bool:
    """Whether it is a generator or an asynchronous one: what a handler returned is to be streamed."""
    return isinstance(value, _KINDS)


def opening(piece: object) -> tuple[str, bytes]:
    """Content type of the response that begins with `piece`, and what is sent of it.

    A dict is HTTP metadata (`statusCode`, `headers`, `multiValueHeaders`, `cookies`).

    Raises:
        MarshalError: It is neither metadata nor bytes nor text.
    """
    if not isinstance(piece, dict):
        return DEFAULT_TYPE, as_bytes(piece)
    unknown = [str(key) for key in piece if key not in _METADATA_KEYS]
    if unknown:
        raise MarshalError(
            f"HTTP metadata of a stream has {', '.join(_METADATA_KEYS)}, and not {', '.join(unknown)}"
        )
    # JSON escapes NUL, so the first run of them is the delimiter.
    return INTEGRATION_RESPONSE, encode(piece)[0] + _DELIMITER


def as_bytes(piece: object) -> bytes:
    """`piece` as it is sent: bytes, or text in UTF-8. Raises MarshalError if it is something else."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, str):
        try:
            return piece.encode()
        except UnicodeEncodeError as error:
            raise MarshalError(f"a streamed piece of text has no UTF-8: {error.reason}") from None
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    only_first = ": HTTP metadata has to be the first piece" if isinstance(piece, dict) else ""
    raise MarshalError(f"a streamed piece is bytes or str, not {type(piece).__name__}{only_first}")


class StreamWriter(ABC):
    """The way of one stream out of a handler."""

    is_begun = False
    """Whether the content type has been sent."""

    @abstractmethod
    def begin(self, content_type: str) -> None:
        """Tell that the response is a stream. Called once, before all pieces."""

    @abstractmethod
    def put(self, data: bytes) -> bool:
        """Send a part of a piece; False: wait before the next one. `data` has `PIECE_BYTES` at most."""

    def wait(self) -> None:
        """Block until the next part may be sent. Called by the handler's thread, after `put` said False."""
        raise NotImplementedError

    async def until_free(self) -> None:
        """Do the same without blocking the loop that the handler runs on."""
        raise NotImplementedError

    @abstractmethod
    def close(self) -> None:
        """Nothing more comes: the generator has ended, or has failed."""

    def parts(self, piece: object) -> Iterable[bytes]:
        """What is to be `put` of a piece, after `begin` for the first one. Raises MarshalError."""
        if self.is_begun:
            data = as_bytes(piece)
        else:
            content_type, data = opening(piece)
            self._begin(content_type)
        size = len(data)
        if size <= PIECE_BYTES:
            return (data,) if size else ()
        return (data[at : at + PIECE_BYTES] for at in range(0, size, PIECE_BYTES))

    def end(self) -> None:
        """Begin a stream that has no piece."""
        if not self.is_begun:
            self._begin(DEFAULT_TYPE)

    def _begin(self, content_type: str) -> None:
        self.is_begun = True
        self.begin(content_type)


class CreditedWriter(StreamWriter):
    """A writer elsewhere than on the engine's loop, which grants what it may send.

    It may send `WINDOW_BYTES` beyond what was granted.
    """

    def __init__(self) -> None:
        self._left = WINDOW_BYTES
        self._lock = threading.Lock()
        self._wake: Callable[[], object] | None = None

    @property
    def has_room(self) -> bool:
        """Whether it may send."""
        return self._left > 0

    def spend(self, size: int) -> bool:
        """Note that a part of so many bytes was sent; False: wait before the next one."""
        with self._lock:
            self._left -= size + PIECE_COST_BYTES
            return self._left > 0

    def grant(self, size: int) -> None:
        """Let it send so many bytes more. May be called from any thread."""
        with self._lock:
            self._left += size
            wake, self._wake = (self._wake, None) if self._left > 0 else (None, self._wake)
        if wake is not None:
            try:
                wake()
            except RuntimeError:
                pass  # the loop that waited is closed

    def wait(self) -> None:
        """See `StreamWriter`."""
        # Holds nothing while it waits: at the deadline an exception is raised in the thread, wherever it is.
        gate = threading.Lock()
        gate.acquire()
        if self._wakes_by(gate.release):
            gate.acquire()

    async def until_free(self) -> None:
        """See `StreamWriter`."""
        loop = import_module("asyncio").get_running_loop()
        free = loop.create_future()
        if self._wakes_by(partial(loop.call_soon_threadsafe, let_go_on, free)):
            await free

    def _wakes_by(self, wake: Callable[[], object]) -> bool:
        """Have `wake` called when it may go on; False: it may already."""
        with self._lock:
            if self._left > 0:
                return False
            self._wake = wake
            return True


def let_go_on(free: Any) -> None:
    """Set a future that a stream waits for, unless the wait has ended: at a deadline it is cancelled."""
    if not free.done():
        free.set_result(None)


def write_all(generator: Generator[Any, Any, Any], writer: StreamWriter) -> bytes:
    """Send all pieces, blocking while the writer has it wait, and close the generator, however that ends.

    Returns the rest of the body: there is none. Raises what the generator raises, and MarshalError.
    """
    try:
        for piece in generator:
            for data in writer.parts(piece):
                if not writer.put(data):
                    writer.wait()
        writer.end()
    finally:
        writer.close()
        generator.close()
    return b""


async def write_all_awaited(value: Any, writer: StreamWriter) -> bytes:
    """Do the same, of either kind of generator, without blocking the loop while it has to wait."""
    try:
        if isinstance(value, Generator):
            for piece in value:
                await _write(piece, writer)
        else:
            async for piece in value:
                await _write(piece, writer)
        writer.end()
    finally:
        writer.close()
        if isinstance(value, Generator):
            value.close()
        else:
            await value.aclose()
    return b""


async def _write(piece: object, writer: StreamWriter) -> None:
    parts = writer.parts(piece)
    if not parts:
        await writer.until_free()  # for a handler that yields nothing for long, others have their turn too
    for data in parts:
        if not writer.put(data):
            await writer.until_free()


def call_streamed(open_writer: Callable[[], StreamWriter], handler: Any, event: Any, context: Any) -> Any:
    """Call `handler` on a thread that it may block, and stream what it yields if it is a generator.

    Returns what an ordinary handler returns, a coroutine perhaps.
    """
    value = handler(event, context)
    if isinstance(value, Generator):
        return write_all(value, open_writer())
    if type(value) is CoroutineType or is_stream(value):
        return _streamed(value, open_writer)
    return value


async def call_streamed_on_loop(
    open_writer: Callable[[], StreamWriter], handler: Any, event: Any, context: Any
) -> Any:
    """Do the same on an event loop that it must not block for long."""
    return await _streamed(handler(event, context), open_writer)


async def _streamed(value: Any, open_writer: Callable[[], StreamWriter]) -> Any:
    if type(value) is CoroutineType:
        value = await value
    return await write_all_awaited(value, open_writer()) if is_stream(value) else value
