"""Bodies that pass through the server piece by piece: of answers, and of requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

LAST_CHUNK = b"0\r\n\r\n"


class AnswerStream(Protocol):
    """The body of an answer whose head is sent."""

    def write(self, data: bytes, /) -> bool:
        """Send a piece. False: hold the next ones back until `drained` is called, or much is kept in memory.

        What is sent to a client that has gone is dropped, and that is True.
        """

    def end(self) -> None:
        """The body is complete. Does nothing after an end."""

    def cut(self) -> None:
        """Close the connection so that the client sees the body to be cut. Does nothing after an end."""


class BodyReceiver(Protocol):
    """Takes the body of one request as it comes. An answer to the request before its end drops the rest."""

    def data(self, piece: bytes, /) -> bool:
        """Take a piece. False: nothing more is read from the connection until it is resumed."""

    def end(self, trailers: list[tuple[bytes, bytes]], /) -> None:
        """The body is complete; `trailers` are as sent."""

    def lost(self) -> None:
        """The rest will not come: the connection was lost, or what came on it was no HTTP."""


class StreamingConnection(Protocol):
    """What the stream of an answer needs of its connection."""

    @property
    def takes_more(self) -> bool:
        """Whether the client keeps up."""

    def write_piece(self, data: bytes) -> None:
        """Send bytes of the body."""

    def end_stream(self, *, is_complete: bool) -> None:
        """Go on with the next request, or close: the body has ended."""


class ConnectionStream:
    """The body of an answer on a connection."""

    __slots__ = ("_connection", "_drained", "_has_body", "_is_chunked", "_is_owed")

    def __init__(
        self,
        connection: StreamingConnection,
        drained: Callable[[], None],
        *,
        is_chunked: bool,
        has_body: bool,
    ) -> None:
        """`is_chunked`: in chunks, else until the connection ends. `has_body`: else pieces are dropped."""
        self._connection: StreamingConnection | None = connection
        self._drained = drained
        self._is_chunked = is_chunked
        self._has_body = has_body
        self._is_owed = False  # a call of `drained`

    def write(self, data: bytes, /) -> bool:
        """See `AnswerStream`."""
        connection = self._connection
        if connection is None or not data or not self._has_body:
            return True
        connection.write_piece(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
        if connection.takes_more:
            return True
        self._is_owed = True
        return False

    def end(self) -> None:
        """See `AnswerStream`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._is_chunked:
                connection.write_piece(LAST_CHUNK)
            connection.end_stream(is_complete=True)

    def cut(self) -> None:
        """See `AnswerStream`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end_stream(is_complete=False)

    def resume(self) -> None:
        """The client keeps up again."""
        if self._is_owed:
            self._is_owed = False
            self._drained()

    def lose(self) -> None:
        """The client has gone."""
        self._connection = None
        self.resume()


class CollectedAnswer:
    """Gives an answer that is streamed as a whole, at its end."""

    __slots__ = ("_answer", "_body", "_head", "_status")

    def __init__(self, answer: Callable[[int, bytes, bytes], None], status: int, head: bytes) -> None:
        self._answer = answer
        self._status = status
        self._head = head
        self._body: list[bytes] | None = []

    def write(self, data: bytes, /) -> bool:
        """Keep a piece."""
        if self._body is not None:
            self._body.append(data)
        return True

    def end(self) -> None:
        """Answer."""
        body, self._body = self._body, None
        if body is not None:
            self._answer(self._status, self._head, b"".join(body))

    def cut(self) -> None:
        """Answer with what there is: nobody here can see that it is incomplete."""
        self.end()
