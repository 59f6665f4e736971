"""Starting, draining and closing a server; a connection may end in any phase and leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from engine.protocols.http.server import HttpLimits, HttpServer, header_block, listening_sockets
from engine.runtime.clock import SystemClock

pytestmark = pytest.mark.real_time

TEXT = header_block([("content-type", "text/plain")])
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_draining_closes_idle_connections_at_once(serving, echo):
    """Who waits for nothing is let go, and nobody new is let in."""
    async with serving(echo) as site:
        fresh, used = await site.client(), await site.client()
        await used.ask(GET)
        await fresh.ask(GET)
        await site.server.drain()

        assert (b"", b"") == (await fresh.rest(), await used.rest())
        with pytest.raises(ConnectionRefusedError):
            await site.client()


async def test_draining_answers_what_is_in_hand_and_in_line(serving):
    """The last answer says that the connection ends."""
    async with serving() as site:
        client = await site.client(GET + GET)
        first = await site.next_request()
        draining = asyncio.create_task(site.server.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        first.respond(200, TEXT, b"1")
        (await site.next_request()).respond(200, TEXT, b"2")
        answers = [await client.answer(), await client.answer()]
        await draining

        assert b"" == await client.rest()
    assert [None, "close"] == [answer.headers.get("connection") for answer in answers]


@pytest.mark.parametrize("at", [1, 20, 60, 100])
async def test_draining_waits_for_a_request_that_has_begun(serving, at):
    """A request of which a part is here is taken, and answered."""
    request = b"POST / HTTP/1.1\r\nHost: a\r\nX-Filler: 0123456789\r\nContent-Length: 50\r\n\r\n" + b"b" * 50
    async with serving() as site:
        client = await site.client(request[:at])
        while not site.server.statistics().connections:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        draining = asyncio.create_task(site.server.drain())
        await asyncio.sleep(0)
        await client.send(request[at:])
        (await site.next_request()).respond(200, TEXT, b"")
        answer = await client.answer()
        await draining

    assert (200, "close") == (answer.status, answer.headers["connection"])


async def test_closing_ends_busy_connections_too(serving):
    """Afterwards an answer reaches nobody."""
    async with serving() as site:
        client = await site.client(GET)
        request = await site.next_request()
        site.server.close()
        await site.server.drain()
        request.respond(200, TEXT, b"")

        assert b"" == await client.rest()


PHASES = {
    "fresh": (b"", False),
    "in the request line": (b"GE", False),
    "in the headers": (b"GET / HTTP/1.1\r\nHost", False),
    "in the body": (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", False),
    "in a chunk": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", False),
    "busy": (GET, True),
    "busy, with a line": (GET * 3, True),
    "busy, with half a request behind": (GET + b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", True),
    "busy, with garbage behind": (GET + b"garbage\r\n\r\n", True),
    "too large": (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\nabc", True),
    "refused": (b"garbage\r\n\r\n", False),
}


@pytest.mark.parametrize("ending", ["reset", "end of file", "server"])
@pytest.mark.parametrize("phase", PHASES)
async def test_a_connection_may_end_in_any_phase(serving, phase, ending):
    """Nothing is counted any more, and a late answer does nothing."""
    sent, busy = PHASES[phase]
    async with serving(max_pipelined=4, linger_s=0.05) as site:
        client = await site.client(sent)
        request = await site.next_request() if busy else None
        while not site.server.statistics().connections and not site.server.statistics().refused:
            await asyncio.sleep(0.001)
        if ending == "reset":
            client.reset()
        elif ending == "server":
            site.server.close()
        else:
            client.writer.write_eof()
            while busy and site.server.statistics().busy:
                request.respond(200, TEXT, b"")
                request = site.kept.popleft() if site.kept else request
                await asyncio.sleep(0.001)
        await site.emptied()
        if request is not None:
            request.respond(200, TEXT, b"")
        statistics = site.server.statistics()

    assert (0, 0) == (statistics.connections, statistics.busy)


async def test_a_client_with_a_full_line_that_vanishes_is_noticed_by_its_next_answers(serving):
    """Reading is paused there, so that only writing can tell."""
    async with serving(max_pipelined=2) as site:
        client = await site.client(GET * 40)
        request = await site.next_request()
        client.reset()
        while site.server.statistics().connections:
            request.respond(200, TEXT, b"")
            request = site.kept.popleft() if site.kept else request
            await asyncio.sleep(0.001)


async def test_a_hundred_clients_at_once_are_all_answered(serving, echo):
    """Connections do not disturb one another."""
    async with serving(echo) as site:
        clients = [await site.client() for _ in range(100)]
        await asyncio.gather(*(client.send(GET) for client in clients))
        answers = await asyncio.gather(*(client.answer() for client in clients))

    assert {200} == {answer.status for answer in answers}


async def test_a_server_that_never_started_has_nothing_to_end():
    """Closing and draining are always allowed; starting twice is not."""
    server = HttpServer(lambda request: None, SystemClock(), HttpLimits())
    server.close()
    await server.drain()
    before = server.statistics()
    await server.start("127.0.0.1", 0)
    with pytest.raises(RuntimeError, match="started before"):
        await server.start("127.0.0.1", 0)
    server.close()
    await server.drain()

    assert (0, 0, 0) == (before.connections, before.busy, before.requests)


async def test_an_address_in_use_is_an_error(serving):
    """The caller hears it as an OSError."""
    async with serving() as site:
        server = HttpServer(lambda request: None, SystemClock(), HttpLimits())

        with pytest.raises(OSError, match="in use"):
            await server.start("127.0.0.1", site.port)


async def test_who_connects_before_a_server_is_started_is_answered_once_it_is(echo):
    """An address can be taken, and told to others, before there is anything to answer there."""
    sockets = listening_sockets("localhost", 0)
    ports = {one.getsockname()[1] for one in sockets}
    reader, writer = await asyncio.open_connection("localhost", *ports)
    writer.write(GET)
    server = HttpServer(echo, SystemClock(), HttpLimits())
    host, port = await server.start("localhost", 0, sockets)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await server.drain()

    assert head.startswith(b"HTTP/1.1 200 ")
    assert {port} == ports
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)


async def test_an_address_that_cannot_be_taken_is_an_error_that_names_it(serving):
    """And leaves no socket behind: that would be a warning."""
    async with serving() as site:
        with pytest.raises(OSError, match=rf"\('127.0.0.1', {site.port}\): address already in use"):
            listening_sockets("127.0.0.1", site.port)
