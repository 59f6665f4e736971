"""Answers that are written piece by piece, and requests whose bodies are taken as they come."""

import asyncio

import pytest

from tests.protocols.http.conftest import TEXT

pytestmark = pytest.mark.real_time

GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


async def head_of(client) -> list[bytes]:
    """The header lines of an answer, without its date."""
    head = await client.reader.readuntil(b"\r\n\r\n")
    return [line for line in head.split(b"\r\n") if line and not line.startswith(b"date")]


class Drain:
    """Counts how often a writer may go on, and waits for it."""

    def __init__(self):
        self.count, self.again = 0, asyncio.Event()

    def __call__(self):
        self.count += 1
        self.again.set()


# ---------------------------------------------------------------- answers


async def test_an_answer_is_sent_as_it_is_written(serving):
    """In chunks; the connection is kept, and the next request is answered after its end."""
    async with serving() as site:
        client = await site.client(GET + GET)
        stream = (await site.next_request()).stream(200, TEXT, Drain())
        head = await head_of(client)
        stream.write(b"one")
        first = await client.reader.readuntil(b"one\r\n")
        stream.write(b"")
        stream.write(b"two")
        second = await client.reader.readuntil(b"two\r\n")
        waiting = len(site.kept)
        stream.end()
        last = await client.reader.readuntil(b"0\r\n\r\n")
        (await site.next_request()).respond(204, b"", b"")
        answer = await client.answer(bodiless=True)

    assert [b"HTTP/1.1 200 OK", b"content-type: text/plain", b"transfer-encoding: chunked"] == head
    assert (b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n") == (first, second, last)
    assert (0, 204) == (waiting, answer.status)


async def test_an_answer_that_is_cut_lacks_its_last_chunk(serving):
    """What was written before arrives; nothing that comes later does."""
    async with serving() as site:
        client = await site.client(GET + GET)
        stream = (await site.next_request()).stream(200, TEXT, Drain())
        stream.write(b"one")
        stream.cut()
        goes_on = stream.write(b"two")
        stream.end()
        got = await client.rest()
        await site.emptied()

    assert got.endswith(b"\r\n\r\n3\r\none\r\n")
    assert goes_on is True
    assert not site.kept


async def test_a_client_that_wants_no_further_answer_reads_what_came_before_a_cut(serving):
    """The missing last chunk says that it is incomplete; a reset could lose what is on its way."""
    async with serving() as site:
        client = await site.client(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        stream = (await site.next_request()).stream(200, TEXT, Drain())
        stream.write(b"one")
        stream.cut()
        got = await client.rest()

    assert got.endswith(b"\r\n\r\n3\r\none\r\n")


async def test_a_client_of_http_1_0_is_reset_by_a_cut(serving):
    """An end of its connection would be that of a whole body."""
    async with serving() as site:
        client = await site.client(b"GET / HTTP/1.0\r\n\r\n")
        stream = (await site.next_request()).stream(200, TEXT, Drain())
        stream.write(b"one")
        await client.reader.readuntil(b"one")
        stream.cut()

        with pytest.raises(ConnectionResetError):
            await client.reader.read()


async def test_a_client_of_http_1_0_reads_until_the_end(serving):
    async with serving() as site:
        client = await site.client(b"GET / HTTP/1.0\r\n\r\n")
        stream = (await site.next_request()).stream(200, TEXT, Drain())
        stream.write(b"one")
        stream.write(b"two")
        stream.end()
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")

    assert b"onetwo" == body
    assert b"connection: close" in head
    assert b"chunked" not in head


async def test_an_answer_to_head_has_no_body(serving):
    async with serving() as site:
        client = await site.client(b"HEAD / HTTP/1.1\r\nhost: h\r\n\r\n" + GET)
        stream = (await site.next_request()).stream(200, TEXT, Drain())
        stream.write(b"one")
        stream.end()
        head = await head_of(client)
        (await site.next_request()).respond(204, b"", b"")
        answer = await client.answer(bodiless=True)

    assert [b"HTTP/1.1 200 OK", b"content-type: text/plain"] == head
    assert 204 == answer.status


async def test_a_slow_client_holds_the_writer_back_until_it_reads(serving):
    """No timeout of the connection ends it meanwhile."""
    async with serving(write_timeout_s=0.05) as site:
        client = await site.client(GET)
        drained = Drain()
        stream = (await site.next_request()).stream(200, TEXT, drained)
        sent = 1
        while stream.write(b"x" * 65_536):
            sent += 1
        await asyncio.sleep(0.3)
        before, connections = drained.count, site.server.statistics().connections
        await client.reader.readexactly(sent * 65_536)
        await drained.again.wait()
        goes_on = stream.write(b"end")
        stream.end()
        await client.reader.readuntil(b"0\r\n\r\n")

    assert (0, 1) == (before, connections)
    assert (1, True) == (drained.count, goes_on)


async def test_when_the_client_has_gone_the_writer_may_go_on_into_nothing(serving):
    async with serving() as site:
        client = await site.client(GET)
        drained = Drain()
        request = await site.next_request()
        stream = request.stream(200, TEXT, drained)
        while stream.write(b"x" * 65_536):
            pass
        client.reset()
        await drained.again.wait()
        goes_on = [stream.write(b"x" * 1_000_000) for _ in range(9)]
        stream.end()
        stream.cut()
        again = request.stream(200, TEXT, drained)

    assert [True] * 9 == goes_on
    assert (1, None) == (drained.count, again)


async def test_while_the_server_drains_an_answer_is_finished(serving):
    async with serving() as site:
        client = await site.client(GET)
        stream = (await site.next_request()).stream(200, TEXT, Drain())
        draining = asyncio.ensure_future(site.server.drain())
        await asyncio.sleep(0)
        stream.write(b"one")
        stream.end()
        got = await client.rest()
        await draining

    assert got.endswith(b"3\r\none\r\n0\r\n\r\n")


# ---------------------------------------------------------------- bodies of requests


class Taker:
    """Takes bodies as they come, and answers at their end."""

    def __init__(self):
        self.said: asyncio.Queue = asyncio.Queue()
        self.room = True
        self.request = self.resume = None

    def receive(self, request, resume):
        if request.method != "POST":
            return None
        self.request, self.resume = request, resume
        return self

    def data(self, piece):
        self.said.put_nowait(bytes(piece))
        return self.room

    def end(self, trailers):
        self.said.put_nowait(trailers)
        self.request.respond(200, TEXT, b"taken")

    def lost(self):
        self.said.put_nowait("lost")

    async def next(self):
        return await self.said.get()


@pytest.fixture
def taker():
    return Taker()


async def test_a_body_is_taken_as_it_comes_with_its_trailers(serving, taker):
    """The connection goes on, and what follows is a request like any other."""
    async with serving(receive=taker.receive, max_body_bytes=10) as site:
        client = await site.client(POST)
        await client.send(b"3\r\none\r\n")
        first = await taker.next()
        await client.send(b"14\r\n" + b"x" * 20 + b"\r\n0\r\nA: b\r\n\r\n" + GET)
        large, trailers = await taker.next(), await taker.next()
        answer = await client.answer()
        (await site.next_request()).respond(204, b"", b"")
        after = await client.answer(bodiless=True)

    assert (b"one", b"x" * 20, [(b"A", b"b")]) == (first, large, trailers)
    assert (200, b"taken", 204) == (answer.status, answer.body, after.status)


async def test_a_connection_is_not_read_from_while_nothing_is_taken(serving, taker):
    async with serving(receive=taker.receive) as site:
        taker.room = False
        client = await site.client(POST)
        sending = asyncio.ensure_future(client.send(b"".join([b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 200)))
        got = len(await taker.next())
        await asyncio.sleep(0.1)
        held = taker.said.qsize(), sending.done()
        taker.room = True
        taker.resume()
        while got < 200 * 65_536:
            got += len(await taker.next())
        await sending
        await client.send(b"0\r\n\r\n")
        end = await taker.next()
        answer = await client.answer()

    assert (0, False) == held
    assert ([], 200) == (end, answer.status)


async def test_a_slow_taker_of_the_last_piece_holds_up_nothing_that_follows(serving, taker):
    async with serving(receive=taker.receive) as site:
        taker.room = False
        client = await site.client(POST + b"1\r\nx\r\n0\r\n\r\n")
        await client.answer()
        await client.send(GET)
        (await site.next_request()).respond(204, b"", b"")

        assert 204 == (await client.answer(bodiless=True)).status


@pytest.mark.parametrize("way", ["eof", "reset"])
async def test_a_body_whose_client_goes_is_lost(serving, taker, way):
    async with serving(receive=taker.receive) as site:
        client = await site.client(POST + b"3\r\none\r\n")
        first = await taker.next()
        (client.reset if way == "reset" else client.writer.write_eof)()
        second = await taker.next()
        await site.emptied()

    assert (b"one", "lost") == (first, second)


async def test_a_body_that_is_no_http_is_lost_and_refused(serving, taker):
    async with serving(receive=taker.receive) as site:
        client = await site.client(POST + b"3\r\none\r\nrubbish\r\n")
        first, second = await taker.next(), await taker.next()
        answer = await client.answer()

    assert (b"one", "lost", 400) == (first, second, answer.status)


async def test_an_answer_before_the_end_of_a_body_drops_the_rest(serving, taker):
    """The connection ends after it."""
    async with serving(receive=taker.receive) as site:
        client = await site.client(POST + b"3\r\none\r\n")
        await taker.next()
        taker.request.respond(403, TEXT, b"no")
        answer = await client.answer()
        await client.send(b"3\r\ntwo\r\n0\r\n\r\n")
        client.writer.write_eof()
        await site.emptied()

    assert (403, b"no", 0) == (answer.status, answer.body, taker.said.qsize())


async def test_what_waits_behind_another_request_is_taken_as_a_whole(serving, taker):
    async with serving(receive=taker.receive) as site:
        client = await site.client(GET + POST)
        first = await site.next_request()
        await client.send(b"3\r\none\r\n0\r\n\r\n")
        first.respond(204, b"", b"")
        second = await site.next_request()
        second.respond(204, b"", b"")

    assert (b"one", 0) == (second.body, taker.said.qsize())


async def test_a_client_that_asks_first_is_told_to_go_on(serving, taker):
    async with serving(receive=taker.receive) as site:
        client = await site.client(POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
        answer = await client.reader.readuntil(b"\r\n\r\n")
        await client.send(b"3\r\none\r\n0\r\n\r\n")

        assert b"HTTP/1.1 100 Continue\r\n\r\n" == answer
        assert 200 == (await client.answer()).status
