"""What a function with `streaming` adds to its environments: calls of the handler that stream what it yields.

A stream may have some bytes on their way. The engine tells how much of it was taken, in frames between the
requests; without that the handler waits where it yields, and nothing else does.
"""

from __future__ import annotations

import _socket
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, Final

from engine.executors.handler_loader import gives_async_generator, gives_coroutine
from engine.executors.process.protocol import PIECE, STREAM, FrameReader, RequestFields, RequestFrame
from engine.executors.streamed_pieces import (
    CreditedWriter,
    call_streamed,
    call_streamed_on_loop,
    let_go_on,
)

_READ: Final = 65_536

Send = Callable[[int, int, bytes], None]
"""Sends a frame: kind, number of the invocation, body."""


class ChildStream(CreditedWriter):
    """One stream of several at a time: another thread, or the loop, reads the socket."""

    def __init__(self, calls: StreamedCalls, number: int) -> None:
        super().__init__()
        self._calls = calls
        self._number = number

    def begin(self, content_type: str) -> None:
        """See `StreamWriter`."""
        self._calls.send(STREAM, self._number, content_type.encode())

    def put(self, data: bytes) -> bool:
        """See `StreamWriter`."""
        self._calls.send(PIECE, self._number, data)
        return self.spend(len(data))

    def close(self) -> None:
        """See `StreamWriter`."""
        self._calls.streams.pop(self._number, None)


class OnlyStream(ChildStream):
    """The stream of an environment that runs one invocation at a time: it reads the socket while it waits."""

    def wait(self) -> None:
        """See `StreamWriter`."""
        while not self.has_room:
            self._calls.receive()

    async def until_free(self) -> None:
        """See `StreamWriter`. Other tasks of the handler run meanwhile."""
        loop = import_module("asyncio").get_running_loop()
        while not self.has_room:
            readable = loop.create_future()
            loop.add_reader(self._calls.connection, let_go_on, readable)
            try:
                await readable
            finally:
                loop.remove_reader(self._calls.connection)
            self._calls.receive()


class StreamedCalls:
    """Reads the requests of an environment as a `FrameReader` does, and calls its handler."""

    def __init__(
        self,
        connection: _socket.socket,
        send: Callable[..., None],
        end: Callable[[], object],
        number: Callable[[], int] | None = None,
    ) -> None:
        """Take what the environment has.

        Args:
            connection: The socket to the engine.
            send: Sends a frame on it.
            end: Ends this process: the engine is gone.
            number: Of the running code's invocation, where several run at once. None: one at a time does.
        """
        self.connection = connection
        self.send: Send = send
        self._end = end
        self._is_shared = number is not None
        self._number = number or self._last_number
        self._last = 0
        self._frames = FrameReader(connection)
        self._requests: deque[RequestFrame] = deque()
        self.streams: dict[int, ChildStream] = {}
        """Those that are written, by number of the invocation."""

    # ---------------------------------------------------------------- in place of a `FrameReader`

    def next(self) -> RequestFields | None:
        """Block until the next request; None at the end of the stream."""
        while not self._requests:
            data = self.connection.recv(_READ)
            if not data:
                return None
            self._requests.extend(self.parse(data))
        request = self._requests.popleft()
        self._last = request.number
        return request

    def parse(self, data: bytes) -> Iterator[RequestFrame]:
        """The requests that `data` completes. What it grants to streams is given to them."""
        for frame in self._frames.parse(data):
            if frame.request_id:
                yield frame
            elif frame.number in self.streams:
                self.streams[frame.number].grant(int(frame.deadline_s))

    def receive(self) -> None:
        """Block until something has come, while the handler waits."""
        try:
            data = self.connection.recv(_READ)
        except OSError:
            data = b""
        if not data:
            self._end()
        self._requests.extend(self.parse(data))

    # ---------------------------------------------------------------- the handler

    def streamed(self, handler: Any) -> Any:
        """What is called in place of `handler`: it returns what an ordinary handler does."""
        if self._is_shared and (gives_coroutine(handler) or gives_async_generator(handler)):
            return partial(call_streamed_on_loop, self._open, handler)
        return partial(call_streamed, self._open, handler)

    def _open(self) -> ChildStream:
        number = self._number()
        stream = self.streams[number] = (ChildStream if self._is_shared else OnlyStream)(self, number)
        return stream

    def _last_number(self) -> int:
        return self._last
