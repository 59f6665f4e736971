"""An HTTP/1.1 server for one handler function: fast on keep-alive connections, bounded in everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from engine.ports import Clock
from engine.wire.http_connection import Connection
from engine.wire.http_limits import HttpLimits
from engine.wire.http_message import SERVER_HEADERS, Request, header_block
from engine.wire.http_shared import Shared

__all__ = ["SERVER_HEADERS", "HttpLimits", "HttpServer", "HttpStatistics", "Request", "header_block"]

_BACKLOG = 4_096  # a burst of connections from zero must not wait for retransmissions; the kernel may cap it


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStatistics:
    """Numbers of one server.

    Attributes:
        connections: Open now.
        busy: Those that owe an answer.
        requests: Completed requests since the start.
        refused: Count by kind: malformed, version, headers, body_too_large, header_timeout, body_timeout,
            write_timeout, bug.
    """

    connections: int
    busy: int
    requests: int
    refused: Mapping[str, int]


class HttpServer:
    """Calls `handle` with each complete request; the answer is given by `Request.respond`, now or later.

    One request at a time per connection is handed on, and answers leave in the order of the requests.
    `handle` must not raise: that is logged as a bug, and answered with 500. Upgrades are ignored, CONNECT
    is refused; `Host` is not demanded.
    """

    def __init__(self, handle: Callable[[Request], None], clock: Clock, limits: HttpLimits) -> None:
        self._handle = handle
        self._clock = clock
        self._limits = limits
        self._shared: Shared | None = None
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return the address. Port 0 takes a free one.

        Raises:
            OSError: The address cannot be bound, or the name has none.
        """
        if self._server is not None:
            raise RuntimeError("this server was started before")
        shared = self._shared = Shared(self._handle, self._clock, self._limits)
        loop = asyncio.get_running_loop()
        # A Connection has all that is asked of a protocol, without the base class: see tools/compile.py.
        make = cast("Callable[[], asyncio.Protocol]", lambda: Connection(shared))
        self._server = await loop.create_server(make, host, port, backlog=_BACKLOG)
        address = self._server.sockets[0].getsockname()
        return address[0], address[1]

    async def drain(self) -> None:
        """Stop accepting, close idle connections, let busy ones answer; return when all are gone."""
        if self._server is None or self._shared is None:
            return
        self._server.close()
        self._shared.draining = True
        for connection in tuple(self._shared.connections):
            connection.drain()
        await self._shared.gone.wait()

    def close(self) -> None:
        """Stop accepting and end all connections, whatever they wait for."""
        if self._server is None or self._shared is None:
            return
        self._server.close()
        self._shared.draining = True
        for connection in tuple(self._shared.connections):
            connection.abort()

    def statistics(self) -> HttpStatistics:
        """The numbers of now."""
        shared = self._shared
        if shared is None:
            return HttpStatistics(connections=0, busy=0, requests=0, refused={})
        return HttpStatistics(
            connections=len(shared.connections),
            busy=sum(connection.busy for connection in shared.connections),
            requests=shared.requests,
            refused=dict(shared.refused),
        )
