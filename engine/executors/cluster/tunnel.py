"""Connections of a node's loopback that go on, over the agent's connection, to the engine's endpoint for AWS.

That endpoint listens on the engine's loopback, which no other host can reach. So an agent listens on its
own, and what connects there is a stream: bytes both ways, each way with a window, so that a slow reader on
one side holds up the writer on the other and nobody else.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

from engine.executors.cluster import protocol as wire
from engine.executors.cluster.connection import AgentConnection

_WINDOW_BYTES: Final = 4 * wire.PIECE_BYTES
_MAX_STREAMS: Final = 1024
_FIRST_CHANNEL: Final = 0x8000_0000
"""The engine's channels are below, those of streams from here on."""

_ABORTED: Final = b"\x00"


class _TunnelStream(asyncio.Protocol):
    """One end of a stream: a socket on this machine, and what the other end may still be sent."""

    def __init__(self, streams: TunnelStreams, channel: int) -> None:
        self._streams = streams
        self._channel = channel
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []  # came before there was a socket
        self._credit = _WINDOW_BYTES
        self._held = b""  # was read, and may not be sent yet
        self._owed = 0  # bytes of window to give back, once the socket takes them
        self._is_full = False
        self._is_read = False  # the socket sends no more
        self._has_ended = False  # the other end sends no more
        self._is_over = False

    # ---------------------------------------------------------------- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write what came meanwhile."""
        self._transport = cast("asyncio.Transport", transport)
        if self._is_over:
            transport.close()
            return
        self._transport.set_write_buffer_limits(wire.PIECE_BYTES)
        early, self._early = self._early, []
        for data in early:
            self.take(data)
        if self._has_ended:
            self._transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """Send on what the window has room for, and read no further while it has none."""
        self._held += data
        self._send_held()

    def _send_held(self) -> None:
        while self._held and self._credit:
            piece = self._held[: min(self._credit, wire.PIECE_BYTES)]
            self._held = self._held[len(piece) :]
            self._credit -= len(piece)
            self._streams.send(wire.STREAM_DATA, self._channel, piece)
        if self._is_read:
            self._end_sending()
        elif self._transport is not None:
            (self._transport.pause_reading if self._held else self._transport.resume_reading)()

    def eof_received(self) -> bool:
        """The socket sends no more; what comes from the other end is still written to it."""
        self._is_read = True
        self._end_sending()
        return True

    def _end_sending(self) -> None:
        if not self._held:
            self._streams.send(wire.STREAM_END, self._channel)
            self._close_if_done()

    def _close_if_done(self) -> None:
        """Close the socket once both ends have sent all they have."""
        if self._is_read and self._has_ended and not self._held and self._transport is not None:
            self._transport.close()

    def pause_writing(self) -> None:
        """Give back no window while the socket takes nothing."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Give back what is owed."""
        self._is_full = False
        self._pay()

    def connection_lost(self, _error: Exception | None) -> None:
        """The socket is closed."""
        if not self._is_over:
            self._is_over = True
            self._streams.send(wire.STREAM_END, self._channel, _ABORTED)
            self._streams.forget(self._channel)

    # ---------------------------------------------------------------- the other end

    def take(self, data: bytes) -> None:
        """Write what the other end has read."""
        if self._transport is None:
            self._early.append(data)
            return
        self._owed += len(data)
        self._transport.write(data)
        if not self._is_full:
            self._pay()

    def _pay(self) -> None:
        if self._owed and not self._is_over:
            self._streams.send(wire.STREAM_WINDOW, self._channel, wire.NUMBER.pack(self._owed))
            self._owed = 0

    def widen(self, size: int) -> None:
        """Send so many bytes more."""
        self._credit += size
        self._send_held()

    def end(self) -> None:
        """The other end sends no more."""
        self._has_ended = True
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()
        self._close_if_done()

    def abort(self) -> None:
        """The other end is gone."""
        self._is_over = True
        if self._transport is not None:
            self._transport.close()


class TunnelStreams:
    """The streams of one connection between an engine and an agent, at either end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: AgentConnection,
        target: tuple[str, int] | None = None,
    ) -> None:
        """`target`: where the engine has streams go on to; None at an agent, which opens them."""
        self._loop = loop
        self.send = connection.send
        self._target = target
        self._streams: dict[int, _TunnelStream] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._channels = _FIRST_CHANNEL

    def opened(self) -> asyncio.Protocol:
        """The end of a new stream, for a socket that was accepted here; it is closed if there are many."""
        if len(self._streams) >= _MAX_STREAMS:
            return _Closed()
        self._channels += 1
        stream = self._streams[self._channels] = _TunnelStream(self, self._channels)
        self.send(wire.STREAM_OPEN, self._channels)
        return stream

    def take(self, operation: int, channel: int, body: bytes) -> None:
        """A frame of a stream has come; of one that is closed here it is of no account."""
        if operation == wire.STREAM_OPEN:
            self._open(channel)
            return
        stream = self._streams.get(channel)
        if stream is None:
            return
        if operation == wire.STREAM_DATA:
            stream.take(body)
        elif operation == wire.STREAM_WINDOW:
            stream.widen(*wire.NUMBER.unpack(body))
        elif body:
            self.forget(channel)
            stream.abort()
        else:
            stream.end()

    def forget(self, channel: int) -> None:
        """A stream is closed here."""
        self._streams.pop(channel, None)

    def close(self) -> None:
        """Close all of them: the connection is gone."""
        for task in self._connecting:
            task.cancel()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.abort()

    def _open(self, channel: int) -> None:
        if self._target is None or len(self._streams) >= _MAX_STREAMS:
            self.send(wire.STREAM_END, channel, _ABORTED)
            return
        stream = self._streams[channel] = _TunnelStream(self, channel)
        task = self._loop.create_task(self._connect(stream, channel, self._target))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, stream: _TunnelStream, channel: int, target: tuple[str, int]) -> None:
        try:
            await self._loop.create_connection(lambda: stream, *target)
        except OSError:
            self.forget(channel)
            self.send(wire.STREAM_END, channel, _ABORTED)


class TunnelListener:
    """Listens on an agent's loopback, for AWS clients in handlers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._server: asyncio.Server | None = None
        self.streams: TunnelStreams | None = None
        """Those of the engine that is served now; None: what connects is closed again."""
        self.port = 0

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await self._loop.create_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop."""
        if self._server is not None:
            self._server.close()

    def _accepted(self) -> asyncio.Protocol:
        return _Closed() if self.streams is None else self.streams.opened()


class _Closed(asyncio.Protocol):
    """A connection that leads nowhere."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
