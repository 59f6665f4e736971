"""`python -m engine.load.stubs.server PLAN`: the process in which all stubs of a run answer.

It prints one line of JSON: the ports of the stubs, and its control port. Who connects to the control port
sends `reset` or `figures`, a line each, and gets a line of JSON. When that connection is closed, the process
ends: it does not outlive the run.
"""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import sys
from collections import deque
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, cast

import httptools
from pydantic import Field

from engine.load.generator.tally import Tally
from engine.load.planning.frozen_table import FrozenTable
from engine.load.stubs.answers import StubAnswers, StubOutcome, StubRequest
from engine.load.stubs.specification import Stub, known_services
from engine.ports import Clock
from engine.runtime.clock import SystemClock
from engine.runtime.platform import new_event_loop

HOST: Final = "127.0.0.1"
_KEPT_BODY: Final = 8192
"""Bytes of a body that are looked at: the action of a Query request. The rest is read and left."""
_BACKLOG: Final = 4096
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class StubPlan(FrozenTable):
    """What the process is given.

    Attributes:
        stubs: In the order in which their ports are told.
        certificates: Files of a key and its certificate, by the name of an https stub.
        seed: Of latencies and errors.
    """

    stubs: tuple[Stub, ...] = Field(strict=False)
    certificates: dict[str, str] = Field(default_factory=dict)
    seed: int = 1


class StubCounts:
    """What a stub has answered: how often by outcome, and how long it took."""

    def __init__(self) -> None:
        self.by_outcome = [0, 0, 0]
        self.observed, self.late = Tally(()), Tally(())
        self.set_s = 0.0

    def add(self, outcome: StubOutcome, set_s: float, took_s: float) -> None:
        """Count one answer that was to take `set_s` and took `took_s`."""
        self.by_outcome[outcome] += 1
        self.set_s += set_s
        self.observed.add(took_s)
        self.late.add(max(0.0, took_s - set_s))


class StubServer:
    """One stub: decides what each request gets and when, and counts.

    Attributes:
        answers: What it answers with.
        latency_s: Draws the time of the next answer, seconds.
        counts: Since the last reset; whoever resets puts new ones here.
    """

    def __init__(self, stub: Stub, seed: int, clock: Clock) -> None:
        random = Random(f"{seed} {stub.name}")
        protocol = known_services()[stub.service][1] if stub.service else ""
        self.now = clock.now
        self.answers = StubAnswers(stub, protocol)
        self.latency_s = stub.latency.sampler(random)
        self.counts = StubCounts()
        self._stub = stub
        self._chance = random.random

    def outcome(self) -> StubOutcome:
        """What the next request gets."""
        chance = self._chance()
        if chance < self._stub.errors:
            return StubOutcome.ERROR
        return (
            StubOutcome.THROTTLED if chance < self._stub.errors + self._stub.throttled else StubOutcome.GOOD
        )

    def figures(self) -> dict[str, Any]:
        """Counts and times since the last reset."""
        counts = self.counts
        count = counts.observed.count
        return {
            "name": self._stub.name,
            "set": self._stub.words,
            "requests": count,
            "errors": counts.by_outcome[StubOutcome.ERROR],
            "throttled": counts.by_outcome[StubOutcome.THROTTLED],
            "set_mean_ms": round(1000 * counts.set_s / count, 3) if count else 0.0,
            "observed_mean_ms": round(1000 * counts.observed.sum_s / count, 3) if count else 0.0,
            "observed_ms": counts.observed.spread_ms() if count else {},
            "late_p99_ms": counts.late.ms(99),
        }


class StubConnection(asyncio.Protocol):
    """One connection to a stub, kept open; its requests are answered in their order."""

    def __init__(self, server: StubServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._parser: Any = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[StubRequest, float]] = deque()
        self._busy = False
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse; what is no HTTP closes the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    # ------------------------------------------------------------- called by the parser

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._target, self._body = b"", b""
        self._headers: dict[bytes, bytes] = {}

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Ask for the body, if the client waits for that."""
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if len(self._body) < _KEPT_BODY:
            self._body += body[:_KEPT_BODY]

    def on_message_complete(self) -> None:
        """Its time begins; it waits for the answers before it."""
        request = StubRequest(self._parser.get_method(), self._target, self._headers, self._body)
        self._waiting.append((request, self._server.now()))
        if not self._busy:
            self._next()

    # ------------------------------------------------------------- answers

    def _next(self) -> None:
        if not self._waiting:
            self._busy = False
            return
        self._busy = True
        request, since_s = self._waiting.popleft()
        set_s = self._server.latency_s()
        left_s = since_s + set_s - self._server.now()
        answer = partial(self._answer, request, self._server.outcome(), set_s, since_s)
        if left_s <= 0:
            answer()
        else:
            self._loop.call_later(left_s, answer)

    def _answer(self, request: StubRequest, outcome: StubOutcome, set_s: float, since_s: float) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._server.answers.answer(request, outcome))
            if request.headers.get(b"connection", b"").lower() == b"close":
                self._transport.close()
        self._server.counts.add(outcome, set_s, self._server.now() - since_s)
        self._next()


async def serve(plan: StubPlan) -> None:
    """Open all ports, tell them, and answer until the control connection is closed."""
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    servers = [StubServer(stub, plan.seed, clock) for stub in plan.stubs]
    ports = []
    for stub, server in zip(plan.stubs, servers, strict=True):
        listening = await loop.create_server(
            partial(StubConnection, server, loop),
            HOST,
            0,
            ssl=_tls(plan.certificates.get(stub.name)),
            backlog=_BACKLOG,
        )
        ports.append(listening.sockets[0].getsockname()[1])
    ended = asyncio.Event()

    async def controlled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        used = _cpu_s(), clock.now()
        while line := await reader.readline():
            if line == b"reset\n":
                used = _cpu_s(), clock.now()
                for server in servers:
                    server.counts = StubCounts()
            share = (_cpu_s() - used[0]) / max(1e-9, clock.now() - used[1])
            found = {"cpu": round(share, 4), "stubs": [server.figures() for server in servers]}
            writer.write(json.dumps(found).encode() + b"\n")
        ended.set()

    control = await asyncio.start_server(controlled, HOST, 0)
    sys.stdout.write(json.dumps({"ports": ports, "control": control.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    await ended.wait()


def _tls(path: str | None) -> ssl.SSLContext | None:
    if path is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _cpu_s() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(StubPlan.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))))
