"""A server on a real port with raw clients, on uvloop and on asyncio's own loop."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from engine.protocols.http.server import HttpLimits, HttpServer, Request, header_block
from engine.protocols.http.server_state import Receive
from engine.runtime.clock import SystemClock
from engine.runtime.platform import new_event_loop
from engine.testing import VirtualTimeLoop

TEXT = header_block([("content-type", "text/plain")])


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable]:
    """Transports differ between loops: what needs sockets runs on both."""
    if item.get_closest_marker("real_time") is not None:
        return {"uvloop": new_event_loop, "asyncio": asyncio.SelectorEventLoop}
    return {"virtual": VirtualTimeLoop}


@dataclass
class Answer:
    """What a client read: one answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """Bytes out, answers in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, bodiless: bool = False) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        assert status_line.startswith("HTTP/1.1 ")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = 0 if bodiless else int(headers.get("content-length", "0"))
        return Answer(int(status_line.split(" ")[1]), headers, await self.reader.readexactly(length))

    async def ask(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.answer()

    async def rest(self) -> bytes:
        """Everything until the server ends the connection, however it does."""
        got = b""
        try:
            while piece := await self.reader.read(65_536):
                got += piece
        except ConnectionError:
            pass
        return got

    def reset(self) -> None:
        """Vanish with a TCP reset: a plain close looks like a client that merely sends no more."""
        if not self.writer.transport.is_closing():
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Site:
    """A server, and the requests it handed on."""

    def __init__(
        self, handle: Callable[[Request], None] | None, limits: HttpLimits, receive: Receive | None = None
    ) -> None:
        self.server = HttpServer(handle or self.keep, SystemClock(), limits, receive=receive)
        self.kept: deque[Request] = deque()
        self.arrived = asyncio.Event()
        self.clients: list[RawClient] = []

    def keep(self, request: Request) -> None:
        """Answer later, when the test does."""
        self.kept.append(request)
        self.arrived.set()

    async def next_request(self) -> Request:
        while not self.kept:
            self.arrived.clear()
            await self.arrived.wait()
        return self.kept.popleft()

    async def client(self, sent: bytes = b"") -> RawClient:
        client = RawClient(*await asyncio.open_connection(self.host, self.port))
        self.clients.append(client)
        if sent:
            await client.send(sent)
        return client

    async def emptied(self) -> None:
        """Wait until the server has no connection."""
        while self.server.statistics().connections:
            await asyncio.sleep(0.001)


@pytest.fixture
def echo() -> Callable[[Request], None]:
    """A handler that answers at once with the body."""

    def answer(request: Request) -> None:
        request.respond(200, TEXT, request.body)

    return answer


@pytest.fixture
def serving():
    """Open a site; at its end nothing may be left in the server."""

    @asynccontextmanager
    async def open_site(
        handle: Callable[[Request], None] | None = None,
        host: str = "127.0.0.1",
        receive: Receive | None = None,
        **limits: float,
    ):
        site = Site(handle, HttpLimits(**limits), receive)
        site.host, site.port = await site.server.start(host, 0)
        try:
            yield site
        finally:
            site.server.close()
            await site.server.drain()
            for client in site.clients:
                client.reset()
        statistics = site.server.statistics()
        assert (0, 0) == (statistics.connections, statistics.busy)

    return open_site
