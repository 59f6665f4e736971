"""The engine's end of the socket between it and an environment: requests out, replies in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from engine.executors.process.protocol import REPLY_HEAD, cut_replies, whole_reply

_READ: Final = 16_384
_LONG_READ: Final = 262_144

TakeReply = Callable[[int, int, int, float, bytes], object]
"""Called with a reply: kind, number, peak memory in KB, init in seconds, body."""


class FramedSocket:
    """Sends without blocking, and splits what it receives into replies. It owns the socket.

    `lost` is called when the other side has closed; the owner has to call `close` then too.
    """

    __slots__ = ("_loop", "_lost", "_partial", "_socket", "_take_reply", "_unsent")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        take_reply: TakeReply,
        lost: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._socket: socket.socket | None = connection
        self._take_reply = take_reply
        self._lost = lost
        self._partial = bytearray()
        self._unsent: list[bytes | memoryview] = []
        connection.setblocking(False)  # noqa: FBT003  # the standard library's signature
        loop.add_reader(connection.fileno(), self._read)

    def send(self, data: bytes | memoryview) -> None:
        """Send now, or when the socket buffer has room. Never raises: `lost` reports a closed socket."""
        connection = self._socket
        if connection is None:
            return
        sent = 0
        if not self._unsent:
            try:
                sent = connection.send(data)
            except BlockingIOError:
                pass
            except OSError:
                return
            if sent == len(data):
                return
            self._loop.add_writer(connection.fileno(), self._write)
        self._unsent.append(data[sent:])

    def close(self) -> None:
        """Close the socket, and drop what was not sent."""
        connection, self._socket = self._socket, None
        if connection is not None:
            self._loop.remove_reader(connection.fileno())
            if self._unsent:
                self._unsent.clear()
                self._loop.remove_writer(connection.fileno())
            self._partial.clear()
            connection.close()

    def _write(self) -> None:
        """Send what had to wait: the socket buffer has room again."""
        connection = self._socket
        assert connection is not None  # `close` takes the writer away
        while self._unsent:
            data = self._unsent[0]
            try:
                sent = connection.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                break
            if sent < len(data):
                self._unsent[0] = memoryview(data)[sent:]
                return
            del self._unsent[0]
        self._loop.remove_writer(connection.fileno())

    def _read(self) -> None:
        """Receive; a read mostly has exactly one frame."""
        connection = self._socket
        assert connection is not None  # `close` takes the reader away
        partial = self._partial
        try:
            data = connection.recv(_LONG_READ if partial else _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
        elif not partial and (head := whole_reply(data)) is not None:
            _, kind, number, peak_kb, init_s = head
            self._take_reply(kind, number, peak_kb, init_s, data[REPLY_HEAD:])
        else:
            partial += data
            for reply in cut_replies(partial):
                self._take_reply(*reply)
                if self._socket is None:
                    return
