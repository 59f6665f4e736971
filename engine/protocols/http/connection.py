"""One HTTP/1.1 connection: passes requests to the handler, writes their answers, and enforces time limits."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Final

import httptools

from engine.protocols.http.connection_states import (
    CLOSED,
    DISCARDING,
    IDLE,
    LINGERING,
    READING_BODY,
    READING_HEAD,
)
from engine.protocols.http.fast_path import FastPathParser
from engine.protocols.http.message import Request, plain_text, without_body
from engine.protocols.http.request_parser import ParseRefusal, RequestParser
from engine.protocols.http.server_state import Receive, ServerState
from engine.protocols.http.streams import AnswerStream, BodyReceiver, ConnectionStream

_log = logging.getLogger("engine.protocols")

_JOIN_UP_TO: Final = 65_536  # bytes of body copied behind the head to make it one write
_PIECE: Final = 1 << 20
"""Bytes of an answer that are written at a time: a socket with a quick reader takes all it is given, at some
GB/s, and the loop waits."""
_UNUSED_AFTER_S: Final = 2.0
_TEXT: Final = b"content-type: text/plain; charset=utf-8\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(RequestParser):
    """The connection of one client. Its transport and its server call it; `Request.respond` answers by it."""

    __slots__ = (
        "_current",
        "_fast_path",
        "_is_body_held",
        "_is_eof",
        "_is_handling",
        "_next_write",
        "_read_paused",
        "_stalled_bytes",
        "_stalled_s",
        "_stream",
        "_stream_is_last",
        "_stream_is_unframed",
        "_transport",
        "_unparsed",
        "_unwritten",
        "_write",
        "_write_paused",
    )
    _transport: asyncio.Transport
    _write: Callable[[bytes | memoryview], object]

    def __init__(self, shared: ServerState) -> None:
        super().__init__(shared)
        self._current: Request | None = None  # passed to the handler, not answered
        # None within a request that came in pieces, while draining, discarding, and while reading is paused.
        self._fast_path: FastPathParser | None = FastPathParser(shared.limits, shared.known_heads)
        self._unparsed: bytes | None = None  # read, not parsed: too many requests waited
        self._is_handling = self._is_eof = self._read_paused = self._write_paused = False
        self._is_body_held = False  # who takes the body in progress is slow: reading is paused
        self._stream: ConnectionStream | None = None  # the body of the answer to `_current`, in progress
        self._stream_is_last = False  # it ends the connection
        self._stream_is_unframed = False  # nothing but the end of the connection tells that of the body
        # The rest of an answer that is written in pieces. Meanwhile `_write_paused` is set.
        self._unwritten: memoryview | None = None
        self._next_write: asyncio.Handle | None = None  # its next piece, unless the peer is waited for
        self._stalled_bytes = 0  # bytes that the peer had not taken at `_stalled_s`
        self._stalled_s = 0.0

    @property
    def busy(self) -> bool:
        """Whether an answer is owed."""
        return (
            self._current is not None
            or bool(self._waiting)
            or self._refusal is not None
            or self._unwritten is not None
        )

    # --- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport. Close it at once if the server is draining."""
        self._transport = transport  # type: ignore[assignment]  # a stream server makes no other kind
        self._write = self._transport.write
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if address else ""
        self._shared.add(self)
        self._since_s = self._shared.clock.now()
        if self._shared.draining:
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop all state. An answer that comes later is ignored."""
        self._current = None
        self._waiting.clear()
        self._refusal = self._unparsed = self._unwritten = None
        if self._next_write is not None:
            self._next_write.cancel()
            self._next_write = None
        self._stop_parsing()
        self.state = CLOSED
        # Bound methods of this object and of the transport would keep both alive.
        self._feed = self._write = _ignore
        self._parser = None
        self._shared.remove(self)
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.lose()

    def data_received(self, data: bytes) -> None:
        """Parse `data`, and pass the requests that it completes to the handler."""
        fast_path, shared = self._fast_path, self._shared
        if fast_path is not None:
            shared.now_s = now_s = shared.clock.now()
            request = fast_path.parse(data, self, self.peer, now_s)
            if request is not None:
                shared.requests += 1
                if self._current is None and not self._waiting and not self._write_paused:
                    self._current = request
                    try:
                        shared.handle(request)
                    except Exception as error:  # noqa: BLE001 - see `_failed`
                        self._failed(request, error)
                else:
                    self._waiting.append(request)
                    self._pause_if_full()
                return
            self._fast_path = None
        self._parse(data)
        if self.state is IDLE and not self._read_paused and not shared.draining:
            self._fast_path = FastPathParser(shared.limits, shared.known_heads)

    def eof_received(self) -> bool:
        """Stop parsing, because the client sends no more. Return whether an answer is owed to it."""
        self._is_eof = True
        if self.busy:
            if self._parses():
                self._discard_input()
                if self._current is None and not self._waiting:  # a body that was received is lost
                    self._handle_waiting()
            return True
        self._stop_parsing()
        self.state = CLOSED  # the transport closes itself
        self._since_s = self._shared.now_s
        return False

    def pause_writing(self) -> None:
        """Pass on no further requests until the client reads again."""
        self._write_paused = True
        if self._next_write is not None:
            self._next_write.cancel()
            self._next_write = None
        self._stalled_bytes = self._unsent()
        self._stalled_s = self._shared.now_s

    def resume_writing(self) -> None:
        """Go on: the client reads again."""
        if self._unwritten is not None:
            self._write_next_piece()
            return
        self._write_paused = False
        if self._stream is not None:
            self._stream.resume()
        else:
            self._handle_waiting()

    # --- called by the server

    def check(self, now_s: float) -> None:
        """End what has lasted longer than its limit."""
        limits, state, waited_s = self._shared.limits, self.state, now_s - self._since_s
        if self._write_paused:
            if self._stream is None:  # the function's timeout ends one that nobody reads
                self._check_stall(now_s)
        elif state is IDLE:
            if waited_s > limits.idle_timeout_s and self._is_idle():
                self._close()
        elif state is READING_HEAD:
            if waited_s > limits.header_timeout_s and not self._read_paused:
                self._refuse(ParseRefusal("header_timeout", 408, "the headers took too long"))
                self._handle_waiting()
        elif state is READING_BODY:
            if waited_s > limits.body_timeout_s and not self._read_paused:
                self._refuse(ParseRefusal("body_timeout", 408, "the body took too long"))
                self._handle_waiting()
        elif state is LINGERING:
            if waited_s > limits.linger_s:
                self._close()
        elif state is CLOSED and waited_s > limits.write_timeout_s:
            self._transport.abort()

    def restart_timeouts(self, now_s: float) -> None:
        """Begin all time limits anew."""
        self._since_s = self._stalled_s = now_s

    def drain(self) -> None:
        """Close if idle. A busy connection closes after its last answer, because the server is draining."""
        self._fast_path = None
        if self._is_idle():
            self._close()

    def close_if_unused(self, now_s: float) -> None:
        """Close if idle for longer than a client needs to send what it has connected for."""
        if self._is_idle() and now_s - self._since_s > _UNUSED_AFTER_S:
            self._close()

    def abort(self) -> None:
        """Close at once, and drop what is not yet sent."""
        self._stop_parsing()
        self.state = CLOSED
        self._transport.abort()

    def _check_stall(self, now_s: float) -> None:
        unsent = self._unsent()
        if unsent < self._stalled_bytes:
            self._stalled_s = now_s
        elif now_s - self._stalled_s > self._shared.limits.write_timeout_s:
            self._shared.count_refused("write_timeout")
            self.abort()
        self._stalled_bytes = unsent

    def _unsent(self) -> int:
        return self._transport.get_write_buffer_size() + (
            0 if self._unwritten is None else len(self._unwritten)
        )

    # --- answers

    def awaits(self, request: Request) -> bool:
        """Return whether an answer to `request` would still reach the client."""
        return self._current is request and not self._is_eof and not self._transport.is_closing()

    def answer(self, request: Request, status: int, head: bytes, body: bytes) -> None:
        """Write the answer, then pass on the next request."""
        if self._current is not request:
            return  # answered before, or the client has gone
        self._current = None
        shared = self._shared
        if (
            self._fast_path is not None
            and status == 200
            and request.head  # it came by the fast path: HTTP/1.1, and not HEAD
            and len(body) <= _JOIN_UP_TO
        ):
            try:
                self._write(b"%b%bcontent-length: %d\r\n\r\n%b" % (shared.ok_head, head, len(body), body))
            except RuntimeError:  # uvloop: it broke in this turn of the loop, `connection_lost` is on its way
                return
            self._since_s = shared.now_s
            if self._waiting:
                self._handle_waiting()
        else:
            self._answer_in_full(request, status, head, body)
            self._handle_waiting()

    def stream(
        self, request: Request, status: int, head: bytes, drained: Callable[[], None]
    ) -> AnswerStream | None:
        """Write the head of an answer. Its body goes on as the stream that is returned does."""
        if self._current is not request or self.state is CLOSED or self._transport.is_closing():
            return None
        self._end_early()
        has_body = not without_body(request.method, status)
        is_chunked = has_body and request.version == "1.1"
        self._stream_is_unframed = has_body and not is_chunked
        ends = self.state is DISCARDING or self._shared.draining
        follows = bool(self._waiting) or self._refusal is not None or self._unparsed is not None
        self._stream_is_last = request.version == "1.0" or (ends and not follows)
        lines = [self._shared.head(status), head]
        if is_chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        if self._stream_is_last:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self.write_piece(b"".join(lines))
        self._stream = ConnectionStream(self, drained, is_chunked=is_chunked, has_body=has_body)
        return self._stream

    @property
    def takes_more(self) -> bool:
        """Whether the client takes what is written."""
        return not self._write_paused

    def write_piece(self, data: bytes) -> None:
        """Write bytes of a streamed answer."""
        try:
            self._write(data)
        except RuntimeError:  # as in `answer`
            pass

    def end_stream(self, *, is_complete: bool) -> None:
        """Go on after a streamed answer. One that is not complete ends the connection, seen to be cut."""
        self._stream = self._current = None
        if self.state is CLOSED or self._transport.is_closing():
            return
        self._since_s = self._stalled_s = self._shared.now_s
        if not is_complete:
            self._waiting.clear()
            self._refusal = None
            if self._stream_is_unframed:  # the end of the connection would be that of the body
                self._reset_peer()
            else:
                self._close()
        elif self._stream_is_last:
            self._waiting.clear()
            self._refusal = None
            self._finish()
        else:
            self._handle_waiting()

    def _reset_peer(self) -> None:
        """Close at once, and let the client see an error."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def _answer_in_full(self, request: Request, status: int, head: bytes, body: bytes) -> None:
        """Write any answer; `answer` itself writes only a 200 after which nothing changes."""
        if self.state is CLOSED or self._transport.is_closing():
            return
        self._end_early()
        if not 200 <= status <= 999:
            _log.error("%r was answered with status %r", request, status)
            status, head, body = 500, _TEXT, plain_text(500, "the answer had no valid status")
        last = self._is_last()
        lines = [self._shared.head(status), head]
        if status not in (204, 304):
            lines.append(b"content-length: %d\r\n" % len(body))
        if last:
            lines.append(b"connection: close\r\n")
        elif request.version == "1.0":
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self._send(b"".join(lines), b"" if without_body(request.method, status) else body)
        if self.state is IDLE:
            self._since_s = self._shared.now_s
        if last and self._unwritten is None:
            self._finish()

    def _end_early(self) -> None:
        """Before an answer: if the body of its request has not all been received, the rest is dropped."""
        if self._receiver is not None:
            self._receiver = None
            self._discard_input()
            self._may_still_send = True

    def _answer_refusal(self, refusal: ParseRefusal) -> None:
        self._refusal = None
        body = plain_text(refusal.status, refusal.reason)
        length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self._send(self._shared.head(refusal.status) + _TEXT + length, body)
        self._finish()

    def _send(self, head: bytes, body: bytes) -> None:
        if len(body) <= _JOIN_UP_TO:
            self._write(head + body)
        else:
            # Not writelines: since Python 3.12 asyncio's never says that the peer is slow.
            self._write(head)
            if len(body) <= _PIECE:
                self._write(body)
            else:
                self._unwritten = memoryview(body)
                self._write_paused = True
                self._stalled_s = self._shared.now_s
                self._write_next_piece()

    def _write_next_piece(self) -> None:
        """Write a piece; the next one in another turn of the loop, or when the peer has taken this one."""
        self._next_write = None
        rest = self._unwritten
        if rest is None or self._transport.is_closing():
            return
        self._unwritten = rest[_PIECE:] if len(rest) > _PIECE else None
        loop = asyncio.get_running_loop()
        if self._unwritten is None:
            self._next_write = loop.call_soon(self._all_written)
        else:
            self._next_write = loop.call_soon(self._write_next_piece)
        self._write(rest[:_PIECE])  # which may say that the peer is slow

    def _all_written(self) -> None:
        """Go on: all of an answer in pieces is written, and the client is not slow."""
        self._next_write = None
        self.resume_writing()

    # --- going on, and ending

    def _handle(self, request: Request) -> None:
        self._current = request
        try:
            self._shared.handle(request)
        except Exception as error:  # noqa: BLE001 - see `_failed`
            self._failed(request, error)

    def _failed(self, request: Request, error: Exception) -> None:
        """Log an exception of the handler, which is a bug, and answer 500."""
        _log.error("the handler of %r failed", request, exc_info=error)
        request.respond(500, _TEXT, plain_text(500, "internal error"))

    def _handle_waiting(self) -> None:
        """Pass on waiting requests, one at a time; then do what else the connection needs."""
        if self._is_handling:
            return
        self._is_handling = True
        waiting = self._waiting
        while waiting and self._current is None and not self._write_paused:
            request = waiting.popleft()
            request.received_s = self._shared.clock.now()
            self._handle(request)
        self._is_handling = False
        idle = self.state is IDLE and not self._read_paused and not self._shared.draining
        if self._current is None and not waiting and not idle:
            self._continue_idle()

    def _continue_idle(self) -> None:
        """Do what waited until no request was being handled or waiting."""
        if self._unwritten is not None or self._transport.is_closing():
            return
        if self._refusal is not None:
            self._answer_refusal(self._refusal)
        elif self._read_paused and self._parses():
            self._continue_reading()
        elif self.state is READING_BODY and self._expects:
            self._expects = False
            self._write(_CONTINUE)
        elif self.state is DISCARDING or (self._shared.draining and self._is_idle()):
            self._finish()

    def _parse(self, data: bytes) -> None:
        """Parse in slices: one read can hold thousands of small requests."""
        if self._unparsed is not None:
            self._unparsed += data
            return
        view = memoryview(data)
        for start in range(0, len(data), self._slice):
            piece = view[start : start + self._slice]
            begins, requests = not self._head_bytes, self._shared.requests
            try:
                self._feed(piece)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                begins = begins and requests == self._shared.requests
                self._handle_parser_error(error, piece, begins=begins)
            self._after_parsing(len(piece))
            if self._pause_if_full():
                self._unparsed = bytes(view[start + self._slice :])
                break

    def _after_parsing(self, size: int) -> None:
        """After parsing: `size` bytes were fed, and may have ended within a request."""
        if self._received is not None:
            (receiver, trailers), self._received = self._received, None
            self._is_body_held = False
            receiver.end(trailers)
        if self.state is not IDLE or not self._waiting:
            self._note_unfinished(size)
        if self._discarded_bytes > self._shared.limits.linger_bytes:
            if self.state is LINGERING:
                self._close()
            elif self.state is DISCARDING:
                self._pause_reading()
        self._handle_waiting()

    def _pause_if_full(self) -> bool:
        full = self._is_body_held or (bool(self._waiting) and self._is_queue_full())
        if full:
            self._pause_reading()
        return full

    def _pause_reading(self) -> None:
        if not self._read_paused and not self._transport.is_closing():
            self._read_paused = True
            self._fast_path = None
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and not self._transport.is_closing():
            self._read_paused = False
            self._transport.resume_reading()

    def _continue_reading(self) -> None:
        self._resume_reading()
        self._since_s = self._shared.now_s
        held, self._unparsed = self._unparsed, None
        if held:
            self._parse(held)

    def _stop_parsing(self) -> None:
        """Let go of what was in progress, and of the fast path. The caller sets the state."""
        self._fast_path = None
        super()._stop_parsing()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            self._current = None
            self._is_body_held = False
            receiver.lost()

    # --- bodies that are received as they come

    def _offer_body(self, receive: Receive) -> None:
        if self._current is not None or self._waiting or self._write_paused:
            return
        names = {name.lower(): value for name, value in self._headers}
        method, shared = self._parser.get_method().decode(), self._shared
        if b"upgrade" in names or method == "CONNECT":  # what follows is no body
            return
        shared.now_s = now_s = shared.clock.now()
        request = Request.parsed(self, method, self._target, self._headers, b"", now_s, self._version, 0)
        self._receiver = receive(request, self._resume_body)
        if self._receiver is not None:
            self._current = request
            shared.requests += 1
            if names.get(b"expect", b"").lower() == b"100-continue":
                self._write(_CONTINUE)

    def _pass_on(self, receiver: BodyReceiver, piece: bytes) -> None:
        if not receiver.data(piece):
            self._is_body_held = True

    def _resume_body(self) -> None:
        """Read on: who takes the body has room again."""
        if self._is_body_held:
            self._is_body_held = False
            if self._read_paused and self._parses():
                self._continue_reading()

    def _is_idle(self) -> bool:
        return self.state is IDLE and not self.busy and self._unparsed is None

    def _is_last(self) -> bool:
        if self.busy or self._unparsed is not None:
            return False
        return self.state is DISCARDING or (self.state is IDLE and self._shared.draining)

    def _finish(self) -> None:
        """Close after the last answer, or linger if the client may still be sending."""
        limits = self._shared.limits
        may_send = self._may_still_send and not self._is_eof and not self._transport.is_closing()
        if may_send and self._discarded_bytes <= limits.linger_bytes:
            self._stop_parsing()
            self.state = LINGERING
            self._since_s = self._shared.now_s
            self._transport.write_eof()
            self._resume_reading()
        else:
            self._close()

    def _close(self) -> None:
        if self.state is not CLOSED:
            self._stop_parsing()
            self.state = CLOSED
            self._since_s = self._shared.now_s
            self._transport.close()


def _ignore(_data: bytes | memoryview) -> None:
    """Stand in for parsing and for writing once the connection is lost."""
