"""A connection of frames between an engine and an agent, once both have proved who they are.

What one turn of the loop produces is written at once. Long bodies are cut into pieces, which take turns with
each other and with all that is short. Silence is noticed here, since TCP tells of no cut link.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

from engine.executors.cluster.protocol import (
    BEAT,
    BEAT_S,
    HEAD,
    JOINED_BYTES,
    MAX_BODY_BYTES,
    MORE,
    OUTPUT,
    PIECE_BYTES,
    SILENCE_S,
)
from engine.ports import Clock

_TICK_S: Final = BEAT_S / 2
STOOD_STILL_S: Final = SILENCE_S - BEAT_S
"""From the last tick on: the last sign of life was sent at that or at the one before."""

_HIGH_WATER_BYTES: Final = 4 * PIECE_BYTES
_HEAD_BYTES: Final = HEAD.size
_AFTER_SIZE: Final = _HEAD_BYTES - 4
_RESET: Final = struct.pack("ii", 1, 0)  # l_onoff, l_linger


UNREADABLE: Final = (struct.error, ValueError, LookupError, TypeError, RecursionError)
"""What reading a body raises that is none, by `Struct`, JSON and tables: not a reason for a traceback."""


class FrameHandler(Protocol):
    """What a connection belongs to. All of it is called on the loop."""

    def take(self, operation: int, channel: int, body: bytes) -> None:
        """A frame has come. One of `UNREADABLE` says that its body is none."""

    def unreadable(self, why: str) -> None:
        """The other side has sent what none sends: `lose` the connection."""

    def beat(self) -> bytes:
        """The body of the next sign of life."""

    def silent(self, for_s: float) -> None:
        """Nothing has come for about so long. Called several times a second while that is so."""

    def lost(self, reason: str) -> None:
        """The connection is gone. Called once, also after `close`."""


class _WaitingFrame:
    """A frame that is not sent yet, or in part. `rest`: of its body. `begun_bytes`: all of it, once begun."""

    __slots__ = ("begun_bytes", "operation", "rest")

    def __init__(self, operation: int, body: bytes) -> None:
        self.operation = operation
        self.rest = memoryview(body)
        self.begun_bytes = 0


class AgentConnection(asyncio.Protocol):
    """One connection; it owns its transport."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        transport: asyncio.Transport,
        handler: FrameHandler,
        *,
        must_run: bool,
    ) -> None:
        """`must_run`: a pause of this process as long as a silence ends it: the other side took it for dead.

        The transport's protocol has to be set to this, and what came already given to `data_received`.
        """
        self._loop = loop
        self._now = clock.now
        self._transport = transport
        self._handler: FrameHandler = handler
        self._take = handler.take
        self._must_run = must_run
        self._reason = "the connection was closed by the other side"
        self._is_over = False
        self._unsent: list[bytes | memoryview] = []
        self._is_flushing = False
        self._is_full = False
        self._is_closing = False
        self._waiting: dict[int, deque[_WaitingFrame]] = {}  # by channel
        self._waiting_bytes = 0
        self._begun_bytes = 0
        self._sources: deque[Iterator[tuple[int, int, bytes]]] = deque()
        self._partial = b""
        self._bodies: dict[int, list[bytes]] = {}
        self._pieces = 0  # of all bodies
        self._heard = True
        self._silent = 0
        self._ticks = 0
        self._ticked_s = self._now()
        transport.set_write_buffer_limits(_HIGH_WATER_BYTES)
        self._timer = loop.call_later(_TICK_S, self._tick)

    @property
    def is_over(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._is_over

    @property
    def backlog(self) -> int:
        """Bytes that wait for the socket to take them, those of this turn of the loop left out."""
        return self._waiting_bytes + self._transport.get_write_buffer_size()

    # ---------------------------------------------------------------- out

    def send(self, operation: int, channel: int, *parts: bytes) -> None:
        """Send a frame whose body is `parts`, after all others of its channel.

        A long one, and output while the socket takes nothing, waits without delaying other channels.
        """
        if self._is_over:
            return
        size = sum(map(len, parts))
        waiting = self._waiting.get(channel) if self._waiting else None
        if waiting is None and size <= PIECE_BYTES and not (self._is_full and operation == OUTPUT):
            unsent = self._unsent
            unsent.append(HEAD.pack(size + _AFTER_SIZE, operation, channel))
            unsent += parts
        else:
            if waiting is None:
                waiting = self._waiting[channel] = deque()
            waiting.append(_WaitingFrame(operation, b"".join(parts)))
            self._waiting_bytes += size
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def send_all(self, frames: Iterator[tuple[int, int, bytes]]) -> None:
        """Send these frames (operation, channel, body of a piece at most), each taken when there is room."""
        if not self._is_over:
            self._sources.append(frames)
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        if self._is_over:
            return
        if (self._waiting or self._sources) and not self._is_full:
            self._add_pieces()
        if self._unsent:
            unsent, self._unsent = self._unsent, []
            self._transport.write(b"".join(unsent))
        if self._waiting or self._sources:
            if not self._is_full:
                self._flush_soon()
        elif self._is_closing:
            self._transport.close()

    def _add_pieces(self) -> None:
        """About a piece of each channel that has something waiting, and a frame of what is sent by and by."""
        for channel, waiting in list(self._waiting.items()):
            room = PIECE_BYTES
            while waiting and room > 0:
                frame = waiting[0]
                if len(frame.rest) > PIECE_BYTES and not self._may_begin(frame):
                    break
                piece, frame.rest = frame.rest[:PIECE_BYTES], frame.rest[PIECE_BYTES:]
                operation = frame.operation | MORE if frame.rest else frame.operation
                self._unsent += (HEAD.pack(len(piece) + _AFTER_SIZE, operation, channel), piece)
                self._waiting_bytes -= len(piece)
                room -= len(piece) + _HEAD_BYTES
                if not frame.rest:
                    self._begun_bytes -= frame.begun_bytes
                    waiting.popleft()
            if not waiting:
                del self._waiting[channel]
        if self._sources:
            source = self._sources.popleft()
            frame_of_source = next(source, None)
            if frame_of_source is not None:
                operation, channel, body = frame_of_source
                self._unsent += (HEAD.pack(len(body) + _AFTER_SIZE, operation, channel), body)
                self._sources.append(source)

    def _may_begin(self, frame: _WaitingFrame) -> bool:
        """Whether it has begun, or can: the other side keeps no more than `JOINED_BYTES` until bodies end."""
        if not frame.begun_bytes:
            size = len(frame.rest)
            if self._begun_bytes and self._begun_bytes + size > JOINED_BYTES:
                return False
            frame.begun_bytes = size
            self._begun_bytes += size
        return True

    def pause_writing(self) -> None:
        """Send no further pieces: the socket takes no more for now."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Go on with pieces."""
        self._is_full = False
        if self._waiting or self._sources:
            self._flush_soon()

    # ---------------------------------------------------------------- in

    def data_received(self, data: bytes) -> None:
        """Pass on the frames that `data` completes."""
        self._heard = True
        if self._must_run and self._stood_still(self._now()):
            return
        if self._partial:
            data = self._partial + data
        at, end = 0, len(data)
        unpack, take = HEAD.unpack_from, self._take
        while end - at >= _HEAD_BYTES:
            size, operation, channel = unpack(data, at)
            if not _AFTER_SIZE <= size <= PIECE_BYTES + _AFTER_SIZE:
                self._handler.unreadable(f"a frame of {size} bytes")
                return
            next_at = at + 4 + size
            if next_at > end:
                break
            body = data[at + _HEAD_BYTES : next_at]
            at = next_at
            if operation >= MORE or (self._bodies and channel in self._bodies):
                whole = self._joined(operation, channel, body)
                if self._is_over:
                    return
                if whole is None:
                    continue
                body = whole
            if operation != BEAT or body:
                try:
                    take(operation, channel, body)
                except UNREADABLE as error:
                    self._handler.unreadable(f"operation {operation}: {_described(error)}")
                if self._is_over:
                    return
        self._partial = data[at:] if at < end else b""

    def _joined(self, operation: int, channel: int, piece: bytes) -> bytes | None:
        """The whole body, if `piece` is its last."""
        pieces = self._bodies.setdefault(channel, [])
        pieces.append(piece)
        self._pieces += 1
        if len(pieces) * PIECE_BYTES > MAX_BODY_BYTES:
            self._handler.unreadable("a body is too long")
        elif operation >= MORE:
            if self._pieces * PIECE_BYTES > JOINED_BYTES:
                self._handler.unreadable("bodies of which the end is missing are too long together")
        else:
            self._pieces -= len(pieces)
            del self._bodies[channel]
            return b"".join(pieces)
        return None

    def connection_lost(self, error: Exception | None) -> None:
        """Report the end, unless it was reported already."""
        if error is not None:
            self._reason = str(error)
        self._end()

    # ---------------------------------------------------------------- life

    def close(self) -> None:
        """Close it once all that was sent is written. `lost` is called then, or now if it is over."""
        if not self._is_over:
            self._is_closing = True
            self._flush()

    def lose(self, reason: str) -> None:
        """Give it up at once: nothing more is sent or taken."""
        if self._is_over:
            return
        self._reason = reason
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            try:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:
                pass  # it is closed already
        self._transport.abort()
        self._end()

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._timer.cancel()
        self._unsent.clear()
        self._waiting.clear()
        self._sources.clear()
        self._bodies.clear()
        self._handler.lost(self._reason)

    def _tick(self) -> None:
        """Send a sign of life every other time, and notice silence.

        Ticks are counted, not seconds: a loop that was held up has not read yet what has come meanwhile.
        """
        now_s, self._ticks = self._now(), self._ticks + 1
        if self._must_run and self._stood_still(now_s):
            return
        self._ticked_s = now_s
        self._timer = self._loop.call_later(_TICK_S, self._tick)
        if self._ticks % 2:
            self.send(BEAT, 0, self._handler.beat())
        if self._heard:
            self._heard, self._silent = False, 0
            return
        self._silent += 1
        self._handler.silent(self._silent * _TICK_S)

    def _stood_still(self, now_s: float) -> bool:
        """Give it up if this process paused for so long that the other side may have, or if that has.

        What was received before a reset can still be read after it: it must not be run any more.
        """
        paused_s = now_s - self._ticked_s
        if paused_s <= 2 * _TICK_S:
            return False
        connection = self._transport.get_extra_info("socket")
        is_reset = connection is not None and connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
        if paused_s > STOOD_STILL_S or is_reset:
            self.lose("this process stood still")
            return True
        return False


def _described(error: Exception) -> str:
    """The error, and where it was raised: it may be a mistake of this program after all."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" ({frame.tb_frame.f_code.co_name}, line {frame.tb_lineno})"
    return f"{type(error).__name__}: {error}{place}"


def prepare_socket(connection: socket.socket) -> None:
    """Have small frames leave at once, and writes fail that nobody acknowledges within `SILENCE_S`.

    On a slow link the kernel keeps little that is not sent yet: what comes later must be able to overtake.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2 * PIECE_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SILENCE_S * 1000))
