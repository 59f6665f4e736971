"""An HTTP/1.1 server for one handler function: fast on keep-alive connections, bounded in everything else."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from engine.core.late_dataclass import dataclass
from engine.ports import Clock
from engine.protocols.http.connection import Connection
from engine.protocols.http.limits import HttpLimits
from engine.protocols.http.listening import BACKLOG, Listening
from engine.protocols.http.message import SERVER_HEADERS, Request, header_block
from engine.protocols.http.reserved_listening import ReservedListening
from engine.protocols.http.server_state import AcceptedBytes, Receive, ServerState

__all__ = [
    "SERVER_HEADERS",
    "HttpLimits",
    "HttpServer",
    "HttpStatistics",
    "Request",
    "header_block",
    "listening_sockets",
    "named_listener",
]


_MAX_LABEL: Final = 64
"""Characters between two dots of a name; RFC 1035 allows one less."""


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """One for each address of `host`, all on one port; 0 takes a free one.

    Who connects before a server is started on them waits.

    Raises:
        OSError: An address cannot be bound, or the name has none.
    """
    found: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in _addresses(host, port):
            one = socket.socket(family, kind, protocol)
            found.append(one)
            one.setblocking(False)  # noqa: FBT003  # the standard library's signature
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken = found[0].getsockname()[1] or port
            try:
                one.bind((address[0], taken, *address[2:]))
                one.listen(BACKLOG)
            except OSError as error:
                reason = os.strerror(error.errno or 0).lower()
                where = f"error while attempting to bind on address {address!r}"
                raise OSError(error.errno, f"{where}: {reason}") from None
    except BaseException:
        for one in found:
            one.close()
        raise
    return found


def _addresses(host: str, port: int) -> list[Any]:
    # Given text, `getaddrinfo` imports the tables of Unicode, also for a plain name.
    plain = host.isascii() and all(0 < len(label) < _MAX_LABEL for label in host.split("."))
    try:
        return socket.getaddrinfo(
            host.encode() if plain else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise OSError(error.errno, f"{host!r}: {(error.strerror or '').lower()}") from None
    except UnicodeError:
        raise OSError(socket.EAI_NONAME, f"{host!r} is no name of a host") from None


@contextmanager
def named_listener(key: str) -> Iterator[None]:
    """Have an OSError inside say which key of the configuration it is about: `engine.http: ...`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        named = OSError(f"{key}: {reason[:1].lower()}{reason[1:]}")
        named.errno = error.errno
        raise named from None


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

    def __init__(
        self,
        handle: Callable[[Request], None],
        clock: Clock,
        limits: HttpLimits,
        say: Callable[[str], object] = lambda _: None,
        *,
        keeps_descriptor: bool = False,
        accepted_bytes: AcceptedBytes | None = None,
        receive: Receive | None = None,
    ) -> None:
        """`say` takes one line for the person who runs the engine.

        `accepted_bytes`: what `handle` takes of a request's body, if that is less than the limit for all.
        Asked before a client is told to go on that wants to know (`Expect: 100-continue`).

        `receive`: offered each request that comes in pieces when its head is there, unless another one on its
        connection is not answered; what takes its body then is in place of `handle`.

        `keeps_descriptor`: for few clients, one of whom is served even if the process may open no more files.
        """
        self._say = say
        self._keeps_descriptor = keeps_descriptor
        self._accepted_bytes = accepted_bytes
        self._receive = receive
        self._handle = handle
        self._clock = clock
        self._limits = limits
        self._shared: ServerState | None = None
        self._listening: Listening | ReservedListening | None = None

    async def start(self, host: str, port: int, sockets: Sequence[socket.socket] = ()) -> tuple[str, int]:
        """Listen, on `sockets` if there are any, and return the address. Port 0 takes a free one.

        Raises:
            OSError: The address cannot be bound, or the name has none.
        """
        if self._listening is not None:
            raise RuntimeError("this server was started before")
        sockets = sockets or listening_sockets(host, port)
        shared = self._shared = ServerState(
            self._handle, self._clock, self._limits, self._accepted_bytes, self._receive
        )
        # A Connection has all that is asked of a protocol, without the base class: mypyc has none of it.
        make = cast("Callable[[], asyncio.Protocol]", lambda: Connection(shared))
        if self._keeps_descriptor:
            reserved = self._listening = shared.listening = ReservedListening(make, shared.close_if_unused)
            return reserved.open(sockets)
        listening = self._listening = shared.listening = Listening(make, shared.close_if_unused, self._say)
        return await listening.open(sockets)

    async def drain(self) -> None:
        """Stop accepting, close idle connections, let busy ones answer; return when all are closed."""
        if self._listening is None or self._shared is None:
            return
        self._listening.close()
        self._shared.draining = True
        for connection in tuple(self._shared.connections):
            connection.drain()
        await self._shared.all_closed.wait()

    def close(self) -> None:
        """Stop accepting and end all connections, whatever they wait for."""
        if self._listening is None or self._shared is None:
            return
        self._listening.close()
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
