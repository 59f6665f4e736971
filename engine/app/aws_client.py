"""Requests of the engine's own to its endpoint for AWS clients, without a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Final

import anyio

from engine.ports import Clock
from engine.protocols.http.message import Request
from engine.protocols.http.streams import AnswerStream, CollectedAnswer

Answer = Callable[[int, bytes, bytes], None]
"""Takes status, header lines and body, once."""

_HOST: Final = (b"host", b"localhost")


class AwsClient:
    """Asks what an SDK would ask, and is answered as one: nothing can be done here that clients cannot do."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._handle: Callable[[Request], None] | None = None
        self._waiting: list[Request] = []
        self._asked = anyio.Event()

    async def first_of_all(self, sockets: Iterable[socket.socket]) -> None:
        """Return when something is asked here, or when a client connects to one of `sockets`.

        The sockets listen, and nobody takes connections from them meanwhile.
        """
        loop = asyncio.get_running_loop()
        with ExitStack() as watched:
            for one in sockets:
                loop.add_reader(one, self._asked.set)
                watched.callback(loop.remove_reader, one)
            await self._asked.wait()

    def connect(self, handle: Callable[[Request], None]) -> None:
        """From now on `handle`, the handler of the aws listener, answers; first what was asked before."""
        self._handle = handle
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            handle(request)

    def ask(
        self, method: str, target: str, headers: Mapping[bytes, bytes], body: bytes, answer: Answer
    ) -> None:
        """Make one request; `answer` is called now or later."""
        lines, where = [_HOST, *headers.items()], target.encode("ascii")
        request = Request.parsed(_Writer(answer), method, where, lines, body, self._now(), "1.1", 0)
        (self._waiting.append if self._handle is None else self._handle)(request)
        self._asked.set()


class _Writer:
    """The connection by which the answer leaves."""

    peer = "127.0.0.1"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def answer(self, _request: Request, status: int, head: bytes, body: bytes) -> None:
        """Passed on."""
        self._answer(status, head, body)

    def stream(
        self, _request: Request, status: int, head: bytes, _drained: Callable[[], None]
    ) -> AnswerStream:
        """Passed on at its end."""
        return CollectedAnswer(self._answer, status, head)

    def awaits(self, _request: Request) -> bool:
        """Whoever asked here waits."""
        return True
