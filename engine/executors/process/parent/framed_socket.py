"""The engine's end of the socket that requests go down and replies come up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from engine.executors.process.protocol import REPLY_HEAD, cut_replies, whole_reply

_READ: Final = 16_384
_LONG_READ: Final = 262_144

TakeReply = Callable[[int, int, int, float, bytes], object]
"""Told of a reply: its kind, number, peak in KB, init in seconds, and body."""


class FramedSocket:
    """Sends at once what there is room for, and takes replies apart. The socket is its own from now on.

    `lost` is called when the other side is gone; `close` is for the owner to call then too.
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
        """Now, or as soon as there is room. That the other side is gone is for `lost` to tell."""
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
        """Send and hear nothing more."""
        connection, self._socket = self._socket, None
        if connection is not None:
            self._loop.remove_reader(connection.fileno())
            if self._unsent:
                self._unsent.clear()
                self._loop.remove_writer(connection.fileno())
            self._partial.clear()
            connection.close()

    def _write(self) -> None:
        """There is room again."""
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
        """Frames, mostly one at a time and whole."""
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
