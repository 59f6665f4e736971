"""Bad bytes never stop the server: it answers or closes, keeps nothing, and serves the next request."""

from __future__ import annotations

import asyncio
import gc
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.protocols.http.server import HttpLimits, HttpServer
from engine.runtime.clock import SystemClock
from engine.runtime.platform import new_event_loop

pytestmark = pytest.mark.real_time

GOOD = b"POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood"
SEEDS = (
    GOOD,
    b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nT: u\r\n\r\n",
    b"PUT / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab",
    b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
)
LIMITS = HttpLimits(
    max_header_bytes=8_192,
    max_body_bytes=10_000,
    max_pipelined=4,
    header_timeout_s=1,
    body_timeout_s=1,
    idle_timeout_s=1,
    linger_s=1,
)


class Echo:
    """A server on a loop of its own."""

    def __init__(self):
        self.runner = asyncio.Runner(loop_factory=new_event_loop)

    def __enter__(self):
        self.runner.run(self._start())
        return self

    def __exit__(self, *_):
        self.runner.run(self._stop())
        self.runner.close()

    receive = None

    @staticmethod
    def handle(request):
        request.respond(200, b"", request.body)

    async def _start(self):
        self.server = HttpServer(self.handle, SystemClock(), LIMITS, receive=self.receive)
        _, self.port = await self.server.start("127.0.0.1", 0)

    async def _stop(self):
        self.server.close()
        await self.server.drain()

    async def exchange(self, *pieces):
        """Send the pieces, and say that this was all; return what comes until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        got = b""
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
            while piece := await reader.read(65_536):
                got += piece
        except ConnectionError:
            pass  # it closed while we were sending
        writer.transport.abort()
        return got


class StreamedEcho(Echo):
    """One that takes bodies as they come, and sends the pieces back at the end."""

    class Body:
        def __init__(self, request, resume):
            self.request, self.resume, self.pieces = request, resume, []

        def data(self, piece):
            self.pieces.append(bytes(piece))
            if len(self.pieces) % 2:
                return True
            asyncio.get_running_loop().call_soon(self.resume)
            return False

        def end(self, _trailers):
            self.request.body = b"".join(self.pieces)
            StreamedEcho.handle(self.request)

        def lost(self):
            self.pieces.clear()

    receive = Body

    @staticmethod
    def handle(request):
        stream = request.stream(200, b"", lambda: None)
        for at in range(0, len(request.body), 2):
            stream.write(request.body[at : at + 2])
        stream.end()


@pytest.fixture(scope="module")
def streamed_echo():
    with StreamedEcho() as running:
        yield running


@pytest.fixture(scope="module")
def echo():
    with Echo() as running:
        yield running


def mangled(chance, source):
    """A request with a few bytes cut, doubled, swapped or replaced."""
    data = bytearray(source)
    for _ in range(chance.choice((0, 0, 0, 0, 1, 1, 2, 5))):
        at, length = chance.randrange(len(data) + 1), chance.randrange(1, 9)
        match chance.randrange(4):
            case 0:
                del data[at : at + length]
            case 1:
                data[at:at] = data[at : at + length] * chance.randrange(1, 40)
            case 2:
                data[at : at + length] = chance.randbytes(length)
            case _:
                data[at:at] = chance.choice(
                    (b"\r\n", b"\n", b"\x00", b": ", b"\r\n\r\n", b"Content-Length: 1\r\n")
                )
    return bytes(data)


@settings(max_examples=300)
@given(st.lists(st.one_of(st.sampled_from(SEEDS), st.binary(max_size=80)), max_size=6), st.integers(0, 2**32))
def test_after_any_bytes_the_next_good_request_succeeds(echo, pieces, seed):
    """The connection is answered or closed; another one is served."""
    chance = random.Random(seed)
    got = echo.runner.run(echo.exchange(*(mangled(chance, piece) for piece in pieces)))
    good = echo.runner.run(echo.exchange(GOOD))

    assert not got or got.startswith(b"HTTP/1.1 ")
    assert good.startswith(b"HTTP/1.1 200 OK\r\n")
    assert good.endswith(b"\r\n\r\ngood")


CHUNKED = b"POST /good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


@settings(max_examples=150)
@given(st.lists(st.one_of(st.sampled_from(SEEDS), st.binary(max_size=80)), max_size=6), st.integers(0, 2**32))
def test_after_any_bytes_the_next_body_is_taken_as_it_comes(streamed_echo, pieces, seed):
    """Nothing is left of one that was lost in the middle."""
    chance = random.Random(seed)
    got = streamed_echo.runner.run(streamed_echo.exchange(*(mangled(chance, piece) for piece in pieces)))
    good = streamed_echo.runner.run(streamed_echo.exchange(CHUNKED, b"2\r\ngo\r\n", b"2\r\nod\r\n0\r\n\r\n"))
    body = good.partition(b"\r\n\r\n")[2]

    assert not got or got.startswith(b"HTTP/1.1 ")
    assert b"good" == b"".join(body.split(b"\r\n")[1::2])
    assert body.endswith(b"0\r\n\r\n")
    assert "bug" not in streamed_echo.server.statistics().refused


@pytest.mark.slow
def test_ten_thousand_random_requests_leave_no_memory_behind(echo):
    """Ten to a connection, forty connections at a time; the first half warms up, the second must not grow."""
    chance = random.Random(2)

    async def storm(connections):
        for _ in range(connections // 40):
            batches = [[mangled(chance, chance.choice(SEEDS)) for _ in range(10)] for _ in range(40)]
            await asyncio.gather(*(echo.exchange(*batch) for batch in batches))

    echo.runner.run(storm(3_400))
    before_bytes = resident_bytes()
    echo.runner.run(storm(3_400))
    grown_bytes = resident_bytes() - before_bytes
    good = echo.runner.run(echo.exchange(GOOD))
    statistics = echo.server.statistics()
    too_large = statistics.refused["body_too_large"]  # counted as requests too

    assert good.endswith(b"\r\n\r\ngood")
    assert grown_bytes < 8 * 1024 * 1024
    assert statistics.requests + sum(statistics.refused.values()) - too_large > 10_000
    assert "bug" not in statistics.refused
    assert 0 == statistics.busy


def resident_bytes():
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_endless_input_takes_bounded_memory(echo):
    """A line, a header, a trailer, a chunk extension, a body: refused after what the limits allow."""
    endless = (
        b"GET /",
        b"GET / HTTP/1.1\r\nx: ",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: ",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    )
    before_bytes = resident_bytes()
    answers = [echo.runner.run(echo.exchange(start, *[b"a" * 1_000_000] * 40)) for start in endless]

    assert resident_bytes() - before_bytes < 16 * 1024 * 1024
    assert [431, 431, 431, 431, 200] == [int(answer[9:12]) for answer in answers]
