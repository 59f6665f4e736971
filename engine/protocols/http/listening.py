"""Accepts connections while descriptors are left for them; else clients wait in the kernel's queue.

A server that accepts until it gets EMFILE answers nobody any more: event loops close what they accepted with
their last descriptor, or stop for a while, and what a request needs besides (a file, an environment) cannot
be opened either. So accepting pauses while the reserve of descriptors is in use, and goes on by itself.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Final

from engine.machine import descriptors

BACKLOG: Final = 4_096
"""A burst of connections from zero must not wait for retransmissions; the kernel may cap it."""

_AT_A_TIME: Final = 16
"""Connections accepted in one turn of asyncio's own loop, which are not asked about in between."""

_LOOK_S: Final = 0.05
_TELL_AGAIN_S: Final = 60.0


class Listening:
    """The listening sockets of one server.

    Args:
        make: Makes the protocol of a connection.
        crowded: Called repeatedly while accepting pauses: close what can be closed.
        tell: Takes one line for whoever runs the engine.
        spare: How many descriptors may be opened.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        crowded: Callable[[], object],
        tell: Callable[[str], object],
        spare: Callable[[], int] = descriptors.spare,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._make = make
        self._crowded = crowded
        self._tell = tell
        self._spare = spare
        self._sockets: list[socket.socket] = []  # kept beside the server's own, so that the queue stays
        self._servers: list[asyncio.Server] = []
        self._open = self._most = 0
        self._until_look = 1
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._told_s: float | None = None
        self._closed = False

    async def open(self, host: str, port: int, sockets: Sequence[socket.socket] = ()) -> tuple[str, int]:
        """Listen, on `sockets` if there are any, and return the address.

        Raises OSError: it cannot be bound, or the name has none.
        """
        serve = self._loop.create_server
        if not sockets:
            self._servers.append(await serve(self._make, host, port, backlog=_AT_A_TIME))
        for one in sockets:
            self._servers.append(await serve(self._make, sock=one, backlog=_AT_A_TIME))
        for own in [own for server in self._servers for own in server.sockets]:
            kept = socket.socket(fileno=os.dup(own.fileno()))
            kept.listen(BACKLOG)
            self._sockets.append(kept)
        self._most = descriptors.share(self._spare())
        address = self._sockets[0].getsockname()
        return address[0], address[1]

    def took(self, connections: int) -> None:
        """One was accepted; there are so many now. Mostly this counts down to when it is worth a look."""
        self._until_look -= 1
        if self._until_look <= 0:
            self._open = connections
            room = self._room()
            self._until_look = max(1, room // 8)  # others take descriptors as well meanwhile
            if room <= 0:
                self._pause()

    def left(self, connections: int) -> None:
        """One is gone; there are so many now."""
        self._open = connections

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._stop()
        for one in self._sockets:
            one.close()
        self._sockets.clear()

    def _room(self) -> int:
        return min(self._spare(), self._most - self._open)

    def _pause(self) -> None:
        if self._timer is None and self._task is None and not self._closed:
            self._stop()
            now_s = self._loop.time()
            if self._told_s is None or now_s - self._told_s > _TELL_AGAIN_S:
                self._told_s = now_s
                self._tell(
                    f"file descriptors run short (the limit, ulimit -n, is {descriptors.limit()}): "
                    "new connections wait until others end"
                )
            self._timer = self._loop.call_later(_LOOK_S, self._look)

    def _stop(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    def _look(self) -> None:
        self._timer = None
        if self._room() > len(self._sockets):
            self._task = self._loop.create_task(self._resume())
        else:
            self._crowded()
            self._timer = self._loop.call_later(_LOOK_S, self._look)

    async def _resume(self) -> None:
        try:
            for kept in self._sockets:
                copy = socket.socket(fileno=os.dup(kept.fileno()))
                server = await self._loop.create_server(self._make, sock=copy, backlog=_AT_A_TIME)
                self._servers.append(server)
                kept.listen(BACKLOG)
        except OSError:  # somebody was quicker
            self._stop()
        self._task = None
        self._until_look = 1
        if self._closed:
            self._stop()
        elif len(self._servers) < len(self._sockets):
            self._timer = self._loop.call_later(_LOOK_S, self._look)
