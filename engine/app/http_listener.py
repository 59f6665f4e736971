"""A listener that is no event source, and the addresses of listeners as URLs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import anyio
from anyio.abc import TaskStatus

from engine.ports import Clock
from engine.protocols.http.server import HttpLimits, HttpServer, Request, named_listener


class HttpListener:
    """An HTTP listener that is no event source: `handle` answers each request."""

    def __init__(
        self,
        name: str,
        handle: Callable[[Request], None],
        clock: Clock,
        address: tuple[str, int],
        max_body_bytes: int,
        say: Callable[[str], object],
        on_stop: Callable[[], None] = lambda: None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        """`say` takes a line for the log; `on_stop` is called before the last answers are awaited.

        `name` is that of its key in `[engine]`.

        `sockets` listen at `address` already.
        """
        limits = HttpLimits(max_body_bytes=max_body_bytes)
        self._server = HttpServer(handle, clock, limits, say, keeps_descriptor=name == "admin")
        self._name = name
        self._address = address
        self._on_stop = on_stop
        self._sockets = sockets

    async def serve(self, stopping: anyio.Event, *, task_status: TaskStatus[str]) -> None:
        """Listen until `stopping`, then answer what was taken."""
        try:
            with named_listener(f"engine.{self._name}"):
                host, port = await self._server.start(*self._address, self._sockets)
            task_status.started(_url(host, port))
            await stopping.wait()
            self._on_stop()
            await self._server.drain()
        finally:
            self._server.close()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def url_of(listening: socket.socket) -> str:
    """Where it listens."""
    return _url(*listening.getsockname()[:2])


def url_from_here(listening: socket.socket) -> str:
    """Where what runs on this machine reaches it, also if it listens at every address."""
    host, port = listening.getsockname()[:2]
    return _url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104  # compared with
