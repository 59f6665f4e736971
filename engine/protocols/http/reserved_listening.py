"""Accepts connections with a descriptor of its own: for the listener that says how the engine is.

Handlers may open every file that the process may open. So one descriptor is kept; who connects meanwhile is
accepted in its place, one client at a time.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Final

from engine.machine import descriptors

_TRY_EVERY_S: Final = 0.05


class ReservedListening:
    """The listening sockets of a server with few clients: each is accepted by itself.

    Args:
        make: Makes the protocol of a connection.
        on_shortage: Called repeatedly while nobody more can be accepted: close what can be closed.
        spare: How many descriptors may be opened.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        on_shortage: Callable[[], object],
        spare: Callable[[], int] = descriptors.spare,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._make = make
        self._on_shortage = on_shortage
        self._spare = spare
        self._sockets: Sequence[socket.socket] = ()
        self._open = self._max_open = 0
        self._kept: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._accepting: set[asyncio.Task[object]] = set()

    def open(self, sockets: Sequence[socket.socket]) -> tuple[str, int]:
        """Accept who connects to `sockets`, which listen and are closed here at the end; the address.

        Raises OSError: no descriptor can be kept.
        """
        self._sockets = sockets
        self._max_open = descriptors.connections_share(self._spare())
        self._kept = _any_descriptor()
        self._resume()
        address = sockets[0].getsockname()
        return address[0], address[1]

    def connection_opened(self, connections: int) -> None:
        """A connection was accepted; `connections` are open now."""
        self._open = connections

    def connection_closed(self, connections: int) -> None:
        """A connection was closed; `connections` are open now."""
        self._open = connections

    def close(self) -> None:
        """Stop accepting, and close the sockets."""
        if self._timer is not None:
            self._timer.cancel()
        for listening in self._sockets:
            self._loop.remove_reader(listening)
            listening.close()
        self._sockets = ()
        if self._kept is not None:
            os.close(self._kept)
            self._kept = None

    def _resume(self) -> None:
        for listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        """Accept one client, in the place of the descriptor that is kept if there is room for no other."""
        if self._kept is None:
            return  # another of the sockets was as quick
        if min(self._spare(), self._max_open - self._open - len(self._accepting)) <= 0:
            os.close(self._kept)
            self._kept = None
            for each in self._sockets:
                self._loop.remove_reader(each)
            self._timer = self._loop.call_later(_TRY_EVERY_S, self._keep_again)
        try:
            client, _ = listening.accept()
        except OSError:  # it has gone, or somebody else was quicker to open something
            return
        client.setblocking(False)  # noqa: FBT003  # the standard library's signature
        task: asyncio.Task[object] = self._loop.create_task(self._connect(client))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _connect(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, client)
        except OSError:  # it has gone
            client.close()

    def _keep_again(self) -> None:
        """Accept again as soon as a descriptor can be kept: the client has gone, or there is room."""
        try:
            self._kept = _any_descriptor()
        except OSError:
            self._on_shortage()
            self._timer = self._loop.call_later(_TRY_EVERY_S, self._keep_again)
        else:
            self._timer = None
            self._resume()


def _any_descriptor() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
