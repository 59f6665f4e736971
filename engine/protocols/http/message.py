"""One HTTP request as a handler sees it, and the rendering of what is answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final, Protocol, Self

from engine.protocols.http.streams import AnswerStream

# What the server writes itself: a handler's own values for these are to be left out of its head.
SERVER_HEADERS: Final = frozenset(
    {"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"}
)

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_FORBIDDEN_IN_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 section 5.5; a tab is allowed
_OWS: Final = b" \t"  # what may stand around a value, RFC 9110 section 5.6.3
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class ResponseWriter(Protocol):
    """The connection by which a request came, and by which it is answered."""

    @property
    def peer(self) -> str:
        """The client's address, without the port."""

    def answer(self, request: Request, status: int, head: bytes, body: bytes) -> None:
        """Send the answer. Answers leave in the order of the requests."""

    def stream(
        self, request: Request, status: int, head: bytes, drained: Callable[[], None]
    ) -> AnswerStream | None:
        """Send the head of an answer whose body comes in pieces; None if nobody awaits it."""

    def awaits(self, request: Request) -> bool:
        """Return whether an answer to it would still reach the client."""


class Request:
    """One complete request.

    Attributes:
        method: As sent, for instance "POST".
        target: Path and query as sent, not decoded.
        head: The checked head as sent, from the version on; b"" if the request came in pieces. Clients
            send the same head again and again: what was read from it may be remembered by it.
        body: Decoded from chunks; b"" when it was too large.
        version: "1.1" or "1.0".
        peer: The client's address, without the port.
        received_s: Clock time at which it was complete (or known to be too large) and its turn had come: one
            that was sent behind another waits for the answer to that first.
        too_large: 0, or the number of body bytes declared or seen when that is over the limit.
    """

    _lower_head: bytes
    _trailers: list[tuple[bytes, bytes]]

    __slots__ = (
        "_connection",
        "_headers",
        "_lower_head",
        "_trailers",
        "body",
        "head",
        "method",
        "peer",
        "received_s",
        "target",
        "too_large",
        "version",
    )

    def __init__(
        self,
        connection: ResponseWriter | None,
        method: str,
        target: bytes,
        head: bytes,
        headers: list[tuple[bytes, bytes]] | None,
        body: bytes,
        version: str,
        peer: str,
        received_s: float,
        too_large: int = 0,
    ) -> None:
        """Take `headers`, or None and the checked `head`: a version, then a CRLF before each header."""
        self._connection = connection
        self.method = method
        self.target = target
        self.head = head
        self._headers = headers
        self.body = body
        self.version = version
        self.peer = peer
        self.received_s = received_s
        self.too_large = too_large

    @classmethod
    def parsed(
        cls,
        connection: ResponseWriter,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        received_s: float,
        version: str,
        too_large: int,
    ) -> Self:
        """Make one whose headers are parsed already."""
        return cls(
            connection, method, target, b"", headers, body, version, connection.peer, received_s, too_large
        )

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names and values as sent, in order, without the spaces around a value.

        `Upgrade`, which this server does not follow, is left out of a request that asked for one.
        """
        headers = self._headers
        if headers is None:
            headers = self._headers = []
            for line in self.head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                headers.append((name, value.strip(_OWS)))
        return headers

    def header(self, lower_name: bytes) -> bytes | None:
        """The first value of the header, whose name is given in lower case; None if it is absent."""
        head = self.head
        if not head:
            return next((value for name, value in self.headers if name.lower() == lower_name), None)
        at = self.lower_head.find(b"\r\n%b:" % lower_name)
        if at < 0:
            return None
        end = head.find(b"\r\n", at + 2)
        return head[at + len(lower_name) + 3 : end if end >= 0 else len(head)].strip(_OWS)

    @property
    def lower_head(self) -> bytes:
        """`head` in lower case, values and all."""
        try:
            return self._lower_head
        except AttributeError:
            self._lower_head = self.head.lower()
            return self._lower_head

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """Names and values of what followed the last chunk; few requests have any."""
        try:
            return self._trailers
        except AttributeError:
            return []

    @trailers.setter
    def trailers(self, trailers: list[tuple[bytes, bytes]]) -> None:
        self._trailers = trailers

    @property
    def awaited(self) -> bool:
        """Whether an answer is owed, and the client is still there to get it."""
        return self._connection is not None and self._connection.awaits(self)

    def add_to_answer(self, head: bytes, instead_of: bytes = b"") -> None:
        """Have header lines stand behind those of the answer, whoever gives it.

        `instead_of`: header names in lower case that begin like this are left out of the answer's own.
        """
        if self._connection is not None:
            self._connection = _Adding(self._connection, head, instead_of)

    def respond(self, status: int, head: bytes, body: bytes) -> None:
        """Answer, now or later, once: a second answer, or one to a client that has gone, does nothing.

        Args:
            status: 200 to 999. Another is a bug of the caller: it is logged, and the client gets 500.
            head: Header lines from `header_block`, none of them in `SERVER_HEADERS`: those are added here.
            body: Not sent for HEAD, 204 and 304.
        """
        connection = self._connection
        if connection is not None:
            self._connection = None
            connection.answer(self, status, head, body)

    def stream(self, status: int, head: bytes, drained: Callable[[], None]) -> AnswerStream | None:
        """Answer with a body that is written piece by piece: in chunks, or for HTTP/1.0 until the end.

        `status` and `head` are as in `respond`. `drained` is called once after each `write` that returned
        False, when the client keeps up again, or has gone. None: it was answered, or the client has gone.
        """
        connection = self._connection
        if connection is None:
            return None
        self._connection = None
        return connection.stream(self, status, head, drained)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target[:200]!r} {len(self.body)} bytes from {self.peer}>"


class _Adding:
    """Passes an answer on with more header lines."""

    __slots__ = ("_connection", "_head", "_instead_of")

    def __init__(self, connection: ResponseWriter, head: bytes, instead_of: bytes) -> None:
        self._connection = connection
        self._head = head
        self._instead_of = instead_of

    @property
    def peer(self) -> str:
        return self._connection.peer

    def answer(self, request: Request, status: int, head: bytes, body: bytes) -> None:
        self._connection.answer(request, status, self._added(head), body)

    def stream(
        self, request: Request, status: int, head: bytes, drained: Callable[[], None]
    ) -> AnswerStream | None:
        return self._connection.stream(request, status, self._added(head), drained)

    def _added(self, head: bytes) -> bytes:
        if self._instead_of and self._instead_of in head.lower():
            lines = head.splitlines(keepends=True)
            head = b"".join(line for line in lines if not line.lower().startswith(self._instead_of))
        return head + self._head

    def awaits(self, request: Request) -> bool:
        return self._connection.awaits(request)


def header_block(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Render header lines, each ended by CRLF.

    A line is sent as latin-1, which is how HTTP reads it, or as UTF-8 where it holds anything else.

    Raises:
        ValueError: A name is not a token, or a value holds CR, LF, NUL or another control character: it could
            forge a header or an answer. Or a value is not text at all (a lone surrogate).
    """
    return b"".join([_header_line(name, value) for name, value in pairs])


def _header_line(name: str, value: str) -> bytes:
    if _TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name[:100]!r} is not a header name")
    if _FORBIDDEN_IN_VALUE.search(value) is not None:
        raise ValueError(f"the value of header {name[:100]!r} holds a control character")
    line = f"{name}: {value}\r\n"
    try:
        return line.encode("latin-1")
    except UnicodeEncodeError:
        return line.encode("utf-8")


def status_line(status: int) -> bytes:
    """The first line of an answer, with its CRLF."""
    return f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode("ascii")


def without_body(method: str, status: int) -> bool:
    """Whether the answer ends with its head (RFC 9110 section 6.4.1)."""
    return method == "HEAD" or status in (204, 304)


def plain_text(status: int, reason: str) -> bytes:
    """The body of an answer that the server gives by itself."""
    return f"{status} {_PHRASES.get(status, '')}: {reason}\n".encode("utf-8", "replace")
