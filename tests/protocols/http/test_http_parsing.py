"""However the bytes of requests are cut into reads, the same requests come out."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.protocols.http.connection import Connection
from engine.protocols.http.server import HttpLimits
from engine.protocols.http.server_state import ServerState


class FrozenClock:
    def now(self):
        return 5.0

    def wall(self):
        return 1_700_000_000.0


class MemoryTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written, self.closed, self.reading = b"", False, True

    def write(self, data):
        self.written += data

    def write_eof(self):
        self.closed = True

    def close(self):
        self.closed = True

    abort = close

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


def parsed(reads, *, later=False, **limits):
    """The requests in `reads`, and what was written; `later` answers only after each read."""

    async def run():
        seen, waiting = [], []

        def handle(request):
            seen.append(
                (request.method, request.target, request.headers, request.body, request.version, request.peer)
            )
            waiting.append(request)
            if not later:
                waiting.pop().respond(200, b"", b"")

        shared = ServerState(handle, FrozenClock(), HttpLimits(**limits))
        connection, transport = Connection(shared), MemoryTransport()
        connection.connection_made(transport)
        for read in reads:
            connection.data_received(read)
            while waiting:
                waiting.pop().respond(200, b"", b"")
        connection.connection_lost(None)
        return seen, transport.written

    with asyncio.Runner() as runner:
        return runner.run(run())


token = st.text("abcXYZ-09", min_size=1, max_size=8).map(lambda name: "x-" + name)
value = st.binary(max_size=12).map(lambda raw: bytes(byte for byte in raw if byte > 32 and byte != 127))


@st.composite
def messages(draw):
    """One valid request, as bytes."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PROPFIND"]))
    target = draw(st.sampled_from(["/", "/a/b?c=d&e", "/%20", "http://x/y", "*"]))
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    lines = [
        b"%b: %b" % (name.encode(), text)
        for name, text in draw(st.lists(st.tuples(token, value), max_size=4))
    ]
    if version == "1.0":
        lines.append(b"Connection: keep-alive")
    if draw(st.integers(0, 5)) == 0:
        lines += [b"Connection: Upgrade", b"Upgrade: h2c"] if version == "1.1" else []
    body = draw(st.binary(max_size=40))
    framing = draw(st.sampled_from(["length", "chunks"] if version == "1.1" else ["length"]))
    if framing == "chunks":
        lines.append(b"Transfer-Encoding: chunked")
        at = draw(st.integers(0, len(body)))
        chunks = [piece for piece in (body[:at], body[at:]) if piece]
        body = (
            b"".join(b"%x;e=1\r\n%b\r\n" % (len(piece), piece) for piece in chunks)
            + b"0\r\nTrail: er\r\n\r\n"
        )
    elif body:
        lines.append(b"Content-Length: %d" % len(body))
    head = f"{method} {target} HTTP/{version}\r\n".encode()
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


@given(st.lists(messages(), min_size=1, max_size=4), st.data(), st.booleans())
def test_the_cuts_between_reads_change_nothing(sent, data, later):
    """One read for each request, for all, for each byte, or any cuts: the same requests and answers."""
    joined = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(joined)), max_size=6)))
    pieces = [joined[a:b] for a, b in zip([0, *cuts], [*cuts, len(joined)], strict=True) if a < b]
    expected = parsed(sent)

    assert len(sent) == len(expected[0])
    assert expected == parsed(pieces, later=later)
    assert expected == parsed([joined], later=later)
    assert expected == parsed([joined[at : at + 1] for at in range(len(joined))], later=later)


def test_blank_lines_before_a_request_are_skipped():
    """RFC 9112 section 2.2 asks for that."""
    seen, _ = parsed(
        [b"\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", b"\n\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"]
    )

    assert [("GET", b"/a"), ("GET", b"/b")] == [request[:2] for request in seen]


@pytest.mark.parametrize("later", [True, False])
def test_thousands_of_requests_in_one_read_are_handed_on_in_order(later):
    """Beyond the line the bytes are held, not parsed, and no depth of calls grows with them."""
    sent = b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(8_000))
    seen, written = parsed([sent], later=later)

    assert [b"/%d" % number for number in range(8_000)] == [request[1] for request in seen]
    assert 8_000 == written.count(b"HTTP/1.1 200 OK")


async def test_requests_of_separate_reads_wait_in_line():
    """Reading stops when the line is full and goes on when it is empty; no failing handler stops it."""
    seen = []

    def handle(request):
        seen.append(request)
        if request.target == b"/1":
            raise ZeroDivisionError

    transport = MemoryTransport()
    connection = Connection(ServerState(handle, FrozenClock(), HttpLimits(max_pipelined=3)))
    connection.connection_made(transport)
    reading = []
    for number in range(4):
        connection.data_received(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
        reading.append(transport.reading)
    assert [b"/0"] == [request.target for request in seen]
    for number in (0, 2, 3):
        next(request for request in seen if request.target == b"/%d" % number).respond(200, b"", b"")
    reading.append(transport.reading)
    connection.data_received(b"GET /4 HTTP/1.1\r\nHost: a\r\n\r\n")
    seen[-1].respond(200, b"", b"")
    connection.connection_lost(None)

    assert [True, True, True, False, True] == reading
    assert [b"/%d" % number for number in range(5)] == [request.target for request in seen]
    assert [b"200", b"500", b"200", b"200", b"200"] == [
        part[:3] for part in transport.written.split(b"HTTP/1.1 ")[1:]
    ]


def test_requests_behind_one_that_closes_are_not_read():
    """After `Connection: close` nothing follows."""
    seen, written = parsed([b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\n\r\n"])

    assert [b"/a"] == [request[1] for request in seen]
    assert 1 == written.count(b"HTTP/1.1")


@pytest.mark.parametrize("line", [b"Connection: close", b"connection: Close", b"CONNECTION: x, CLOSE"])
def test_a_request_that_closes_is_answered_so(line):
    """Whole in one read or not."""
    sent = b"POST / HTTP/1.1\r\nContent-Length: 1\r\n%b\r\n\r\nx" % line
    whole, cut = parsed([sent]), parsed([sent[:30], sent[30:]])

    assert whole == cut
    assert b"connection: close\r\n" in whole[1]


def test_an_upgrade_is_left_out_and_its_body_kept():
    """The request is served as if it had not asked."""
    seen, _ = parsed(
        [b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"]
    )

    expected = [(b"Host", b"a"), (b"Connection", b"Upgrade"), (b"Content-Length", b"3")]
    assert [(expected, b"abc")] == [(request[2], request[3]) for request in seen]


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_are_requests_or_refused(reads):
    """No bytes raise out of the connection, and nothing but whole answers is written."""
    _, written = parsed(reads)

    assert not written or written.startswith(b"HTTP/1.1 ")
