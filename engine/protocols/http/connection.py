"""The outgoing half of an HTTP/1.1 connection: hands requests on, answers them, and ends in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import httptools

from engine.protocols.http.fast_path import FastPathParser
from engine.protocols.http.message import Request, plain_text, without_body
from engine.protocols.http.request_parser import (
    BODY,
    CLOSING,
    DEAF,
    HEAD,
    IDLE,
    LINGER,
    ParseRefusal,
    RequestParser,
)
from engine.protocols.http.server_state import ServerState

_log = logging.getLogger("engine.protocols")

_JOIN_UP_TO: Final = 65_536  # bytes of body copied behind the head to make it one write
_PIECE: Final = 1 << 20
"""Bytes of an answer that are written at a time: a socket with a quick reader takes all it is given, at some
GB/s, and the loop waits."""
_SURELY_IDLE_S: Final = 2.0
_TEXT: Final = b"content-type: text/plain; charset=utf-8\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(RequestParser):
    """One client."""

    __slots__ = (
        "_current",
        "_eof",
        "_express",
        "_held",
        "_pumping",
        "_read_paused",
        "_rest",
        "_stalled_at",
        "_stalled_s",
        "_transport",
        "_write",
        "_write_paused",
        "_writes_on",
    )
    _transport: asyncio.Transport
    _write: Callable[[bytes | memoryview], object]

    def __init__(self, shared: ServerState) -> None:
        super().__init__(shared)
        self._current: Request | None = None  # handed on, not answered
        # There is an express exactly while nothing is out of the ordinary: not within a request that came in
        # pieces, not draining, not deaf, reading not paused.
        self._express: FastPathParser | None = FastPathParser(shared.limits, shared.heads)
        self._held: bytes | None = None  # read, not parsed: the line was full
        self._pumping = self._eof = self._read_paused = self._write_paused = False
        self._rest: memoryview | None = (
            None  # of an answer that is written in pieces; until then writing is paused
        )
        self._writes_on: asyncio.Handle | None = None  # its next piece, unless the peer is waited for
        self._stalled_at = 0  # bytes that the peer had not taken at `_stalled_s`
        self._stalled_s = 0.0

    @property
    def busy(self) -> bool:
        """Whether an answer is owed."""
        return (
            self._current is not None
            or bool(self._waiting)
            or self._refusal is not None
            or self._rest is not None
        )

    # --- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; or leave at once, if the server is draining."""
        self._transport = transport  # type: ignore[assignment]  # a stream server makes no other kind
        self._write = self._transport.write
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if address else ""
        self._shared.joined(self)
        self._since_s = self._shared.clock.now()
        if self._shared.draining:
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything: an answer that comes later reaches nobody."""
        self._current = None
        self._waiting.clear()
        self._refusal = self._held = self._rest = None
        if self._writes_on is not None:
            self._writes_on.cancel()
            self._writes_on = None
        self._deafen()
        self._phase = CLOSING
        self._feed = len  # type: ignore[assignment]  # nothing comes any more; a bound method would be a cycle
        self._parser = None  # it holds bound methods of this object
        self._write = len  # and this the transport
        self._shared.left(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what became complete."""
        express, shared = self._express, self._shared
        if express is not None:
            shared.now_s = now_s = shared.clock.now()
            request = express.take(data, self, now_s)
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
            self._express = None
        self._take(data)
        if self._phase == IDLE and not self._read_paused and not shared.draining:
            self._express = FastPathParser(shared.limits, shared.heads)

    def eof_received(self) -> bool:
        """The client sends no more; what it is owed is still answered."""
        self._eof = True
        if self.busy:
            if self._phase < DEAF:
                self._deafen()
            return True
        self._deafen()
        self._phase = CLOSING  # the transport closes itself
        self._since_s = self._shared.now_s
        return False

    def pause_writing(self) -> None:
        """The peer does not read: nothing more is handed on until it does."""
        self._write_paused = True
        if self._writes_on is not None:
            self._writes_on.cancel()
            self._writes_on = None
        self._stalled_at = self._unsent()
        self._stalled_s = self._shared.now_s

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self._rest is not None:
            self._write_on()
            return
        self._write_paused = False
        self._pump()

    # --- called by the server

    def check(self, now_s: float) -> None:
        """End what has taken too long."""
        limits, phase, waited_s = self._shared.limits, self._phase, now_s - self._since_s
        if self._write_paused:
            self._check_stall(now_s)
        elif phase == IDLE:
            if waited_s > limits.idle_timeout_s and self._is_idle():
                self._close()
        elif phase == HEAD:
            if waited_s > limits.header_timeout_s and not self._read_paused:
                self._refuse(ParseRefusal("header_timeout", 408, "the headers took too long"))
                self._pump()
        elif phase == BODY:
            if waited_s > limits.body_timeout_s and not self._read_paused:
                self._refuse(ParseRefusal("body_timeout", 408, "the body took too long"))
                self._pump()
        elif phase == LINGER:
            if waited_s > limits.linger_s:
                self._close()
        elif phase == CLOSING and waited_s > limits.write_timeout_s:
            self._transport.abort()

    def begin_anew(self, now_s: float) -> None:
        """Whatever it waits for: the time for it begins now."""
        self._since_s = self._stalled_s = now_s

    def drain(self) -> None:
        """Close if idle. A busy connection closes after its last answer, because the server is draining."""
        self._express = None
        if self._is_idle():
            self._close()

    def make_room(self, now_s: float) -> None:
        """Close if idle for longer than a client needs to send what it has connected for."""
        if self._is_idle() and now_s - self._since_s > _SURELY_IDLE_S:
            self._close()

    def abort(self) -> None:
        """End now."""
        self._deafen()
        self._phase = CLOSING
        self._transport.abort()

    def _check_stall(self, now_s: float) -> None:
        unsent = self._unsent()
        if unsent < self._stalled_at:
            self._stalled_s = now_s
        elif now_s - self._stalled_s > self._shared.limits.write_timeout_s:
            self._shared.count_refused("write_timeout")
            self.abort()
        self._stalled_at = unsent

    def _unsent(self) -> int:
        return self._transport.get_write_buffer_size() + (0 if self._rest is None else len(self._rest))

    # --- answers

    def awaits(self, request: Request) -> bool:
        """Whether an answer to `request`, which was handed on, would still reach the client."""
        return self._current is request and not self._eof and not self._transport.is_closing()

    def answer(self, request: Request, status: int, head: bytes, body: bytes) -> None:
        """Write the answer; then go on with what waits."""
        if self._current is not request:
            return  # answered before, or the client has gone
        self._current = None
        shared = self._shared
        if (
            self._express is not None
            and status == 200
            and request.head  # it came by the express: HTTP/1.1, and not HEAD
            and len(body) <= _JOIN_UP_TO
        ):
            try:
                self._write(b"%b%bcontent-length: %d\r\n\r\n%b" % (shared.ok_head, head, len(body), body))
            except RuntimeError:  # uvloop: it broke in this turn of the loop, `connection_lost` is on its way
                return
            self._since_s = shared.now_s
            if self._waiting:
                self._pump()
        else:
            self._answer_aside(request, status, head, body)
            self._pump()

    def _answer_aside(self, request: Request, status: int, head: bytes, body: bytes) -> None:
        """Every answer but the plain 200 of a connection that goes on."""
        if self._phase == CLOSING or self._transport.is_closing():
            return
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
        if self._phase == IDLE:
            self._since_s = self._shared.now_s
        if last and self._rest is None:
            self._finish()

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
                self._rest = memoryview(body)
                self._write_paused = True
                self._stalled_s = self._shared.now_s
                self._write_on()

    def _write_on(self) -> None:
        """Write a piece; the next one in another turn of the loop, or when the peer has taken this one."""
        self._writes_on = None
        rest = self._rest
        if rest is None or self._transport.is_closing():
            return
        self._rest = rest[_PIECE:] if len(rest) > _PIECE else None
        loop = asyncio.get_running_loop()
        if self._rest is None:
            self._writes_on = loop.call_soon(self._written)
        else:
            self._writes_on = loop.call_soon(self._write_on)
        self._write(rest[:_PIECE])  # which may say that the peer is slow

    def _written(self) -> None:
        """The answer is out of our hands, and the peer is not slow."""
        self._writes_on = None
        self.resume_writing()

    # --- going on, and ending

    def _hand_on(self, request: Request) -> None:
        self._current = request
        try:
            self._shared.handle(request)
        except Exception as error:  # noqa: BLE001 - see `_failed`
            self._failed(request, error)

    def _failed(self, request: Request, error: Exception) -> None:
        """A bug of ours: it must be loud, and must not end the server."""
        _log.error("the handler of %r failed", request, exc_info=error)
        request.respond(500, _TEXT, plain_text(500, "internal error"))

    def _pump(self) -> None:
        """Hand on what waits, one at a time; then look what else the connection needs."""
        if self._pumping:
            return
        self._pumping = True
        waiting = self._waiting
        while waiting and self._current is None and not self._write_paused:
            request = waiting.popleft()
            request.received_s = self._shared.clock.now()
            self._hand_on(request)
        self._pumping = False
        idle = self._phase == IDLE and not self._read_paused and not self._shared.draining
        if self._current is None and not waiting and not idle:
            self._catch_up()

    def _catch_up(self) -> None:
        """Nothing is in hand or in line."""
        if self._rest is not None or self._transport.is_closing():
            return
        if self._refusal is not None:
            self._answer_refusal(self._refusal)
        elif self._read_paused and self._phase < DEAF:
            self._read_on()
        elif self._phase == BODY and self._expects:
            self._expects = False
            self._write(_CONTINUE)
        elif self._phase == DEAF or (self._shared.draining and self._is_idle()):
            self._finish()

    def _take(self, data: bytes) -> None:
        """Parse in slices: one read can hold thousands of small requests."""
        if self._held is not None:
            self._held += data
            return
        view = memoryview(data)
        for start in range(0, len(data), self._slice):
            piece = view[start : start + self._slice]
            try:
                self._feed(piece)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                self._interrupted(error, piece)
            self._after_parsing(len(piece))
            if self._pause_if_full():
                self._held = bytes(view[start + self._slice :])
                break

    def _after_parsing(self, size: int) -> None:
        """After parsing: `size` bytes were fed, and may have ended within a request."""
        if self._phase != IDLE or not self._waiting:
            self._unfinished(size)
        if self._dropped > self._shared.limits.linger_bytes:
            if self._phase == LINGER:
                self._close()
            elif self._phase == DEAF:
                self._pause_reading()
        self._pump()

    def _pause_if_full(self) -> bool:
        full = bool(self._waiting) and self._line_is_full()
        if full:
            self._pause_reading()
        return full

    def _pause_reading(self) -> None:
        if not self._read_paused and not self._transport.is_closing():
            self._read_paused = True
            self._express = None
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and not self._transport.is_closing():
            self._read_paused = False
            self._transport.resume_reading()

    def _read_on(self) -> None:
        self._resume_reading()
        self._since_s = self._shared.now_s
        held, self._held = self._held, None
        if held:
            self._take(held)

    def _deafen(self) -> None:
        self._express = None
        super()._deafen()

    def _is_idle(self) -> bool:
        return self._phase == IDLE and not self.busy and self._held is None

    def _is_last(self) -> bool:
        if self.busy or self._held is not None:
            return False
        return self._phase == DEAF or (self._phase == IDLE and self._shared.draining)

    def _finish(self) -> None:
        """All is answered. Where the client may still be sending, give it time to read the answer."""
        limits = self._shared.limits
        may_send = self._lingers and not self._eof and not self._transport.is_closing()
        if may_send and self._dropped <= limits.linger_bytes:
            self._deafen()
            self._phase = LINGER
            self._since_s = self._shared.now_s
            self._transport.write_eof()
            self._resume_reading()
        else:
            self._close()

    def _close(self) -> None:
        if self._phase != CLOSING:
            self._deafen()
            self._phase = CLOSING
            self._since_s = self._shared.now_s
            self._transport.close()
