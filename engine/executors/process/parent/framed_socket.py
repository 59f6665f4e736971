"""The engine's end of the socket that requests go down and replies come up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from engine.executors.process.protocol import REPLY_HEAD, cut_replies, whole_reply

_READ: Final = 16_384
_LONG_READ: Final = 262_144

Hear = Callable[[int, int, int, float, bytes], object]
"""Told of a reply: its kind, number, peak in KB, init in seconds, and body."""


class FramedSocket:
    """Sends at once what there is room for, and takes replies apart. The socket is its own from now on.

    `lost` is called when the other side is gone; `close` is for the owner to call then too.
    """

    __slots__ = ("_hear", "_loop", "_lost", "_partial", "_socket", "_unsent")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, line: socket.socket, hear: Hear, lost: Callable[[], object]
    ) -> None:
        self._loop = loop
        self._socket: socket.socket | None = line
        self._hear = hear
        self._lost = lost
        self._partial = bytearray()
        self._unsent: list[bytes | memoryview] = []
        line.setblocking(False)  # noqa: FBT003  # the standard library's signature
        loop.add_reader(line.fileno(), self._read)

    def send(self, data: bytes | memoryview) -> None:
        """Now, or as soon as there is room. That the other side is gone is for `lost` to tell."""
        line = self._socket
        if line is None:
            return
        sent = 0
        if not self._unsent:
            try:
                sent = line.send(data)
            except BlockingIOError:
                pass
            except OSError:
                return
            if sent == len(data):
                return
            self._loop.add_writer(line.fileno(), self._write)
        self._unsent.append(data[sent:])

    def close(self) -> None:
        """Send and hear nothing more."""
        line, self._socket = self._socket, None
        if line is not None:
            self._loop.remove_reader(line.fileno())
            if self._unsent:
                self._unsent.clear()
                self._loop.remove_writer(line.fileno())
            self._partial.clear()
            line.close()

    def _write(self) -> None:
        """There is room again."""
        line = self._socket
        assert line is not None  # `close` takes the writer away
        while self._unsent:
            data = self._unsent[0]
            try:
                sent = line.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                break
            if sent < len(data):
                self._unsent[0] = memoryview(data)[sent:]
                return
            del self._unsent[0]
        self._loop.remove_writer(line.fileno())

    def _read(self) -> None:
        """Frames, mostly one at a time and whole."""
        line = self._socket
        assert line is not None  # `close` takes the reader away
        partial = self._partial
        try:
            data = line.recv(_LONG_READ if partial else _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
        elif not partial and (head := whole_reply(data)) is not None:
            _, kind, number, peak_kb, init_s = head
            self._hear(kind, number, peak_kb, init_s, data[REPLY_HEAD:])
        else:
            partial += data
            for reply in cut_replies(partial):
                self._hear(*reply)
                if self._socket is None:
                    return
