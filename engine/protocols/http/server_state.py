"""What the connections of one HTTP server share: handler, limits, counters, the date, and the sweeper."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from engine.ports import Clock
from engine.protocols.http.dates import http_date
from engine.protocols.http.fast_path import KnownHead
from engine.protocols.http.header_cache import HeaderCache
from engine.protocols.http.limits import HttpLimits
from engine.protocols.http.listening import Listening
from engine.protocols.http.message import Request, status_line
from engine.protocols.http.reserved_listening import ReservedListening
from engine.protocols.http.streams import BodyReceiver

Receive = Callable[[Request, Callable[[], None]], BodyReceiver | None]
"""Offered a request with its head alone, and how to resume; returns who takes the body, or None."""

AcceptedBytes = Callable[[Request], int]
"""How large the body of a request may be, of which there is only the head yet."""


class ServedConnection(Protocol):
    """What the server calls of a connection."""

    @property
    def busy(self) -> bool:
        """Whether an answer is owed."""

    def check(self, now_s: float) -> None:
        """End what has lasted longer than its limit."""

    def restart_timeouts(self, now_s: float) -> None:
        """Begin all time limits anew."""

    def drain(self) -> None:
        """Close if idle."""

    def close_if_unused(self, now_s: float) -> None:
        """Close if idle for longer than a client needs to send what it has connected for."""

    def abort(self) -> None:
        """Close at once."""


class ServerState:
    """One per server. The sweeper runs while there are connections: one timer for all their timeouts."""

    __slots__ = (
        "_loop",
        "_response_heads",
        "_sweep_due_s",
        "_sweep_every_s",
        "_sweeper",
        "accepted_bytes",
        "all_closed",
        "clock",
        "connections",
        "draining",
        "handle",
        "known_heads",
        "limits",
        "listening",
        "now_s",
        "ok_head",
        "receive",
        "refused",
        "requests",
    )

    def __init__(
        self,
        handle: Callable[[Request], None],
        clock: Clock,
        limits: HttpLimits,
        accepted_bytes: AcceptedBytes | None = None,
        receive: Receive | None = None,
    ) -> None:
        self.handle = handle
        self.receive = receive
        self.accepted_bytes = accepted_bytes or (lambda _: limits.max_body_bytes)
        self.clock = clock
        self.limits = limits
        self.now_s = clock.now()  # while there are connections not older than one sweep, or than a hold-up
        self.connections: set[ServedConnection] = set()
        self.listening: Listening | ReservedListening | None = None
        self.ok_head = b""  # head(200), which is rarely anything else
        self.requests = 0
        self.refused: dict[str, int] = {}
        self.known_heads = HeaderCache[KnownHead](limits.remembered_heads)
        self.draining = False
        self.all_closed = asyncio.Event()  # set while there is no connection
        self.all_closed.set()
        self._loop = asyncio.get_running_loop()
        self._response_heads: dict[int, bytes] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep_every_s = limits.sweep_every_s()
        self._sweep_due_s = 0.0

    def add(self, connection: ServedConnection) -> None:
        """Add a connection that was made."""
        self.connections.add(connection)
        self.all_closed.clear()
        if self._sweeper is None:
            self._refresh()
        if self.listening is not None:
            self.listening.connection_opened(len(self.connections))

    def close_if_unused(self) -> None:
        """Close the connections that have been idle for a while, because descriptors run short."""
        now_s = self.clock.now()
        for connection in tuple(self.connections):
            connection.close_if_unused(now_s)

    def remove(self, connection: ServedConnection) -> None:
        """Remove a connection that was closed."""
        self.connections.discard(connection)
        if self.listening is not None:
            self.listening.connection_closed(len(self.connections))
        if not self.connections:
            self.all_closed.set()
            if self._sweeper is not None:
                self._sweeper.cancel()
                self._sweeper = None

    def count_refused(self, kind: str) -> None:
        """Count a request or a client that the server itself refused."""
        self.refused[kind] = self.refused.get(kind, 0) + 1

    def head(self, status: int) -> bytes:
        """Status line and date, rendered once a second and status."""
        head = self._response_heads.get(status)
        if head is None:
            date = http_date(self.clock.wall())
            head = b"%bdate: %b\r\n" % (status_line(status), date.encode("ascii"))
            self._response_heads[status] = head
        return head

    def _refresh(self) -> None:
        self.now_s = self.clock.now()
        self._response_heads.clear()
        self.ok_head = self.head(200)
        self._sweep_due_s = self.now_s + self._sweep_every_s
        self._sweeper = self._loop.call_later(self._sweep_every_s, self._sweep)

    def _sweep(self) -> None:
        """Look at all connections.

        A sweep that comes late by more than a period judges nobody: the loop was held up, what clients did
        meanwhile has not been read yet, and what was noted just before was noted by a time of before.
        """
        due_s = self._sweep_due_s
        self._refresh()
        held_up = self.now_s - due_s > self._sweep_every_s
        for connection in tuple(self.connections):
            if held_up:
                connection.restart_timeouts(self.now_s)
            else:
                connection.check(self.now_s)
