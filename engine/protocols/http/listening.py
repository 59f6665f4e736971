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

_CHECK_EVERY_S: Final = 0.05
_SAY_AGAIN_S: Final = 60.0


class Listening:
    """The listening sockets of one server.

    Args:
        make: Makes the protocol of a connection.
        on_shortage: Called repeatedly while accepting pauses: close what can be closed.
        say: Takes one line for the person who runs the engine.
        spare: How many descriptors may be opened.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        on_shortage: Callable[[], object],
        say: Callable[[str], object],
        spare: Callable[[], int] = descriptors.spare,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._make = make
        self._on_shortage = on_shortage
        self._say = say
        self._spare = spare
        self._sockets: list[socket.socket] = []  # kept beside the server's own, so that the queue stays
        self._servers: list[asyncio.Server] = []
        self._open = self._max_open = 0
        self._until_check = 1
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._said_s: float | None = None
        self._closed = False

    async def open(self, sockets: Sequence[socket.socket]) -> tuple[str, int]:
        """Listen on these, one at least, and return the address of the first."""
        for one in sockets:
            server = await self._loop.create_server(self._make, sock=one, backlog=_AT_A_TIME)
            self._servers.append(server)
        for own in [own for server in self._servers for own in server.sockets]:
            kept = socket.socket(fileno=os.dup(own.fileno()))
            kept.listen(BACKLOG)
            self._sockets.append(kept)
        self._max_open = descriptors.connections_share(self._spare())
        address = self._sockets[0].getsockname()
        return address[0], address[1]

    def connection_opened(self, connections: int) -> None:
        """A connection was accepted; `connections` are open now.

        Descriptors are counted at some of these calls only.
        """
        self._until_check -= 1
        if self._until_check <= 0:
            self._open = connections
            room = self._room()
            self._until_check = max(1, room // 8)  # others take descriptors as well meanwhile
            if room <= 0:
                self._pause()

    def connection_closed(self, connections: int) -> None:
        """A connection was closed; `connections` are open now."""
        self._open = connections

    def close(self) -> None:
        """Stop accepting, and close the sockets."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._stop()
        for one in self._sockets:
            one.close()
        self._sockets.clear()

    def _room(self) -> int:
        return min(self._spare(), self._max_open - self._open)

    def _pause(self) -> None:
        if self._timer is None and self._task is None and not self._closed:
            self._stop()
            now_s = self._loop.time()
            if self._said_s is None or now_s - self._said_s > _SAY_AGAIN_S:
                self._said_s = now_s
                self._say(
                    f"file descriptors run short (the limit, ulimit -n, is {descriptors.limit()}): "
                    "new connections wait until others end"
                )
            self._timer = self._loop.call_later(_CHECK_EVERY_S, self._check_room)

    def _stop(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    def _check_room(self) -> None:
        self._timer = None
        needed = (
            len(self._sockets) if self._open else 0
        )  # nothing of its own will end: it takes what there is
        if self._room() > needed:
            self._task = self._loop.create_task(self._resume())
        else:
            self._on_shortage()
            self._timer = self._loop.call_later(_CHECK_EVERY_S, self._check_room)

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
        self._until_check = 1
        if self._closed:
            self._stop()
        elif len(self._servers) < len(self._sockets):
            self._timer = self._loop.call_later(_CHECK_EVERY_S, self._check_room)
