"""The parsing half of an HTTP/1.1 connection: bytes become waiting requests, or the reason for a refusal."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final, NoReturn

import httptools

from engine.protocols.http.connection_states import (
    DISCARDING,
    IDLE,
    READING_BODY,
    READING_HEAD,
    ConnectionState,
)
from engine.protocols.http.message import Request
from engine.protocols.http.server_state import Receive, ServerState
from engine.protocols.http.streams import AnswerStream, BodyReceiver

_log = logging.getLogger("engine.protocols")

_SLICE: Final = 16_384  # bytes parsed before looking whether the line of waiting requests is full
_ASCII: Final = 128
_WIRE_PER_BODY_BYTE: Final = 16  # a body in chunks of one byte costs 6 bytes each; more than this is abuse


class ParseRefusal(Exception):
    """Why the server answers by itself and closes. Raised in a callback of the parser it stops the parser."""

    def __init__(self, kind: str, status: int, reason: str) -> None:
        super().__init__(kind, status, reason)
        self.kind, self.status, self.reason = kind, status, reason


class RequestParser:
    """Parses HTTP/1.1 in pieces of any size, and checks it against the limits.

    Attributes:
        peer: The client's address, without the port.
        state: What is done with what the client sends.
    """

    __slots__ = (
        "_body",
        "_body_bytes",
        "_body_checked",
        "_chunked",
        "_completed",
        "_discarded_bytes",
        "_expects",
        "_feed",
        "_head_bytes",
        "_headers",
        "_max_body_bytes",
        "_max_headers",
        "_may_still_send",
        "_parser",
        "_received",
        "_receiver",
        "_refusal",
        "_shared",
        "_since_s",
        "_slice",
        "_stopped_by",
        "_target",
        "_trailers",
        "_version",
        "_waiting",
        "_wire_bytes",
        "peer",
        "state",
    )
    _parser: Any  # an HttpRequestParser, until the connection is lost
    _feed: Callable[[bytes | memoryview], None]

    def __init__(self, shared: ServerState) -> None:
        limits = shared.limits
        self._shared = shared
        self.peer = ""
        self._max_headers = limits.max_headers
        self._max_body_bytes = limits.max_body_bytes
        self._slice = min(_SLICE, limits.max_header_bytes)  # so that a head over the limit spans two
        self._waiting: deque[Request] = deque()  # complete, not passed on
        self._stopped_by: ParseRefusal | None = None  # raised in a callback
        self._refusal: ParseRefusal | None = None  # to be answered after them
        self._may_still_send = False  # the client may still be sending what was refused
        self._receiver: BodyReceiver | None = None  # takes the body in progress
        self._received: tuple[BodyReceiver, list[tuple[bytes, bytes]]] | None = None  # has it all; to be told
        self._discarded_bytes = 0  # bytes read since nothing is parsed any more
        self._since_s = 0.0  # when the state began; in READING_BODY: when the last bytes came
        self._new_parser()

    def _new_parser(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._feed = self._parser.feed_data
        self._completed = False  # a request was completed by the bytes fed last
        self._reset()

    def _reset(self) -> None:
        self.state: ConnectionState = IDLE
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._trailers: list[tuple[bytes, bytes]] = []
        self._body: bytes | BytesIO = b""
        self._body_bytes = 0
        self._version = "1.1"
        self._head_bytes = 0  # of the head in progress, from earlier reads
        self._wire_bytes = 0  # of the body in progress, with what its chunks cost
        self._chunked = self._body_checked = self._expects = False

    # --- called by the parser

    def on_url(self, part: bytes) -> None:
        """Take the target of a request line, or a piece of it."""
        self.state = READING_HEAD
        self._target = self._target + part if self._target else part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or after chunks a trailer."""
        if not self._chunked:
            self._headers.append((name, value.rstrip()))
            return
        self._trailers.append((name, value.rstrip()))
        size = sum(len(name) + len(value) for name, value in self._trailers)
        if len(self._trailers) > self._max_headers or size > self._shared.limits.max_header_bytes:
            self._stop(ParseRefusal("headers", 431, "trailers are too large"))

    def on_headers_complete(self) -> None:
        """Check version and headers. Refuses a request whose body must not be read."""
        self.state = READING_BODY
        self._version = version = self._parser.get_http_version()
        if version != "1.1" and version != "1.0":
            self._stop(ParseRefusal("version", 505, f"HTTP/{version} is not spoken here, HTTP/1.1 is"))
        if len(self._headers) > self._max_headers:
            self._stop(ParseRefusal("headers", 431, f"more than {self._max_headers} headers"))
        if self._head_bytes:
            size = len(self._target) + sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size > self._shared.limits.max_header_bytes:
                self._stop(self._head_too_large())
        if self._shared.receive is not None:
            self._offer_body(self._shared.receive)

    def _stop(self, refusal: ParseRefusal) -> NoReturn:
        self._stopped_by = refusal  # the parser raises an error of its own instead
        raise refusal

    def on_chunk_header(self) -> None:
        """Check `Transfer-Encoding` when the first chunk begins."""
        if self._chunked:
            return
        self._chunked = True
        codings = [value.lower() for name, value in self._headers if name.lower() == b"transfer-encoding"]
        if self._version == "1.0":  # RFC 9112 section 6.1: its framing cannot be trusted
            self._stop(ParseRefusal("malformed", 400, "Transfer-Encoding in HTTP/1.0"))
        if codings != [b"chunked"]:
            self._stop(ParseRefusal("malformed", 501, "no transfer coding but chunked is known"))

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body. If there is only one, it is not copied."""
        self._body_bytes += len(piece)
        if self._receiver is not None:
            self._pass_on(self._receiver, piece)
        elif isinstance(self._body, BytesIO):
            self._body.write(piece)
        elif not self._body:
            self._body = piece
        else:
            first, self._body = self._body, BytesIO()
            self._body.write(first)
            self._body.write(piece)

    def on_message_complete(self) -> None:
        """Add the request to those that wait, and prepare for the next."""
        body = self._body
        keep_alive = self._parser.should_keep_alive()
        if self._receiver is not None:
            self._received, self._receiver = (self._receiver, self._trailers), None
        elif self._body_bytes > self._max_body_bytes:
            self._enqueue(b"", too_large=self._body_bytes)
        else:
            # Of a BytesIO it is no copy, which takes 40 ms for 100 MB.
            self._enqueue(body if isinstance(body, bytes) else body.getvalue(), too_large=0)
        self._completed = True
        self._reset()
        if not keep_alive:
            self._discard_input()

    def _enqueue(self, body: bytes, too_large: int) -> None:
        shared = self._shared
        shared.now_s = now_s = shared.clock.now()
        shared.requests += 1
        if too_large:
            shared.count_refused("body_too_large")
        method, headers = self._parser.get_method().decode(), self._headers
        request = Request.parsed(self, method, self._target, headers, body, now_s, self._version, too_large)
        if self._trailers:
            request.trailers = self._trailers
        self._waiting.append(request)

    @abstractmethod
    def _offer_body(self, receive: Receive) -> None:
        """Have `receive` say who takes the body. `Connection` implements it."""

    @abstractmethod
    def _pass_on(self, receiver: BodyReceiver, piece: bytes) -> None:
        """Give it a piece of the body. `Connection` implements it."""

    @abstractmethod
    def stream(
        self, request: Request, status: int, head: bytes, drained: Callable[[], None]
    ) -> AnswerStream | None:
        """Send the head of an answer. `Connection` implements it."""

    @abstractmethod
    def awaits(self, request: Request) -> bool:
        """Return whether an answer would reach the client. `Connection` implements it."""

    @abstractmethod
    def answer(self, request: Request, status: int, head: bytes, body: bytes) -> None:
        """Send an answer. `Connection` implements it."""

    # --- called between two reads

    def _handle_parser_error(self, error: Exception, data: bytes | memoryview, *, begins: bool) -> None:
        """Refuse what the parser stopped at within `data`, or go on without the upgrade that stopped it.

        `begins`: `data` begins with the request that it stopped in. UTF-8 in its target is then taken for its
        percent-encoding.
        """
        if begins and isinstance(error, httptools.HttpParserInvalidURLError):
            encoded = _with_ascii_target(bytes(data))
            if encoded is not None:
                self._new_parser()
                data = encoded
                try:
                    self._feed(data)
                    return
                except (httptools.HttpParserError, httptools.HttpParserUpgrade) as another:
                    error = another
        while isinstance(error, httptools.HttpParserUpgrade):
            request = self._waiting.pop()
            self._shared.requests -= 1
            self._new_parser()
            if request.method == "CONNECT":
                self._refuse(ParseRefusal("malformed", 501, "this is not a proxy"))
                return
            data = _without_upgrade(request) + bytes(data[error.args[0] :])
            try:
                self._feed(data)
                return
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as another:
                error = another
        if self._parses():  # else: bytes after the last request of this connection
            self._refuse(self._stopped_by or _refusal_for(error))

    def _note_unfinished(self, size: int) -> None:
        """Count the `size` bytes fed last, which ended within a request, against the limits."""
        if self._completed:  # most of them belong to the one before
            self._completed = False
            size = 0
        if self.state is IDLE or self.state is READING_HEAD:
            if not self._head_bytes:
                self._since_s = self._shared.clock.now()
            self.state = READING_HEAD
            self._head_bytes += size or 1
            if self._head_bytes > self._shared.limits.max_header_bytes:
                self._refuse(self._head_too_large())
        elif self.state is READING_BODY:
            self._since_s = self._shared.clock.now()
            self._wire_bytes += size
            self._check_body()

    def _check_body(self) -> None:
        length = self._body_bytes
        if not self._body_checked:
            self._body_checked = True
            headers = {name.lower(): value for name, value in self._headers}
            length = max(length, int(headers.get(b"content-length", b"0")))
            expectation = headers.get(b"expect", b"").lower()
            self._expects = expectation == b"100-continue" and self._version == "1.1"
        if self._body_bytes:
            self._expects = False  # the client did not wait
        too_large = length > self._max_body_bytes or (self._expects and length > self._accepted_bytes())
        if too_large and self._receiver is None:
            self._enqueue(b"", too_large=length)
            self._discard_input()
            self._may_still_send = True
        elif self._wire_bytes > self._shared.limits.max_header_bytes + _WIRE_PER_BODY_BYTE * length:
            self._refuse(ParseRefusal("headers", 431, "trailers or chunk extensions are too large"))

    def _accepted_bytes(self) -> int:
        """What the handler would take of this request: a client that asks first need not send more."""
        method, now_s = self._parser.get_method().decode(), self._shared.now_s
        head = Request(None, method, self._target, b"", self._headers, b"", self._version, self.peer, now_s)
        return self._shared.accepted_bytes(head)

    def _refuse(self, refusal: ParseRefusal) -> None:
        self._shared.count_refused(refusal.kind)
        self._refusal = refusal
        self._discard_input()
        self._may_still_send = True

    def _head_too_large(self) -> ParseRefusal:
        limit = self._shared.limits.max_header_bytes
        return ParseRefusal("headers", 431, f"request line and headers exceed {limit} bytes")

    def _is_queue_full(self) -> bool:
        waiting = self._waiting
        return (
            len(waiting) >= self._shared.limits.max_pipelined
            or sum(len(request.body) for request in waiting) > self._max_body_bytes
        )

    def _discard_input(self) -> None:
        """Parse nothing more; owed answers are still given."""
        self._stop_parsing()
        self.state = DISCARDING

    def _stop_parsing(self) -> None:
        """Let go of what was in progress. The caller sets the state."""
        self._feed = self._discard
        self._headers = []
        self._target = self._body = b""
        self._body_bytes = 0

    def _parses(self) -> bool:
        """Whether what the client sends is still parsed."""
        state = self.state
        return state is IDLE or state is READING_HEAD or state is READING_BODY

    def _discard(self, data: bytes | memoryview) -> None:
        self._discarded_bytes += len(data)


def _with_ascii_target(data: bytes) -> bytes | None:
    """`data` with the UTF-8 of its first line percent-encoded; None if that holds none, or other bytes."""
    line, newline, rest = data.partition(b"\n")
    if line.isascii() or not _is_utf_8(line):
        return None
    return b"".join(b"%c" % byte if byte < _ASCII else b"%%%02X" % byte for byte in line) + newline + rest


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_upgrade(request: Request) -> bytes:
    """The head again without the upgrade, for which the parser would take the body for another protocol."""
    lines = [b"%b: %b\r\n" % header for header in request.headers if header[0].lower() != b"upgrade"]
    request_line = f"{request.method} ".encode() + request.target + f" HTTP/{request.version}\r\n".encode()
    return b"".join((request_line, *lines, b"\r\n"))


def _refusal_for(error: Exception) -> ParseRefusal:
    if isinstance(error, httptools.HttpParserCallbackError):
        _log.error("a bug in the HTTP server", exc_info=error.__context__)
        return ParseRefusal("bug", 500, "internal error")
    reason = str(error)
    if "HTTP version" in reason or "PRI" in reason:  # PRI: the preface of HTTP/2
        return ParseRefusal("version", 505, "HTTP/1.1 is spoken here")
    return ParseRefusal("malformed", 400, reason)
