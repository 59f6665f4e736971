"""What must not be served: malformed and ambiguous requests, too much of anything, and clients too slow."""

from __future__ import annotations

import asyncio

import pytest

from engine.protocols.http.server import header_block

pytestmark = pytest.mark.real_time

TEXT = header_block([("content-type", "text/plain")])
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


async def refused(site, sent):
    """The one answer to `sent`, after which the server must have ended the connection."""
    client = await site.client(sent)
    answer = await client.answer()
    assert b"" == await client.rest()
    assert "close" == answer.headers["connection"]
    return answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"GET\r\n\r\n", 400),
        (b"NOSUCH / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: empty name\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname : v\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: b\x00c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\na: bare line feeds\n\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/3.7\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),  # HTTP/0.9
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"CONNECT a:80 HTTP/1.1\r\n\r\n", 501),
    ],
)
async def test_what_is_no_request_is_refused(serving, sent, status):
    """The server answers by itself, in plain text, and ends the connection."""
    async with serving() as site:
        answer = await refused(site, sent)
        statistics = site.server.statistics()

    assert (status, "text/plain; charset=utf-8") == (answer.status, answer.headers["content-type"])
    assert (0, 1) == (len(site.kept), sum(statistics.refused.values()))


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"0\r\n\r\n", 400),
        (b"Content-Length: 3\r\nContent-Length: 4", b"abcd", 400),
        (b"Content-Length: 3\r\nContent-Length: 3", b"abc", 400),
        (b"Content-Length: 3, 3", b"abc", 400),
        (b"Content-Length: +3", b"abc", 400),
        (b"Content-Length: -1", b"", 400),
        (b"Content-Length: 0x3", b"abc", 400),
        (b"Content-Length: 99999999999999999999999", b"", 400),
        (b"Content-Length:", b"", 400),
        (b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n", 400),
        (b"Transfer-Encoding: xchunked", b"0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"0\r\n\r\n", 400),
        (b"Transfer-Encoding : chunked", b"0\r\n\r\n", 400),
        (b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked", b"0\r\n\r\n", 501),
        (b"Transfer-Encoding: chunked", b"0x3\r\nabc\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked", b"3\r\nabcX\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked", b"3\nabc\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked", b"fffffffffffffffff\r\n", 400),
    ],
)
async def test_a_body_of_ambiguous_length_is_refused(serving, lines, body, status):
    """Where two readers could see two requests, none is served (RFC 9112 section 11.2)."""
    async with serving() as site:
        answer = await refused(site, b"POST / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n" + body)

    assert (status, 0) == (answer.status, len(site.kept))


async def test_chunks_in_http_1_0_are_refused(serving):
    """RFC 9112 section 6.1: such framing is faulty."""
    async with serving() as site:
        answer = await refused(site, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")

    assert (400, 0) == (answer.status, len(site.kept))


async def test_what_came_before_garbage_is_answered_first(serving):
    """A refusal keeps the order of the answers."""
    async with serving() as site:
        client = await site.client(GET + GET + b"garbage\r\n\r\n")
        for _ in range(2):
            (await site.next_request()).respond(200, TEXT, b"")
        statuses = [(await client.answer()).status for _ in range(3)]

        assert ([200, 200, 400], b"") == (statuses, await client.rest())


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 5_000,
        b"GET / HTTP/1.1\r\nx: " + b"a" * 5_000,
        b"GET / HTTP/1.1\r\n" + b"a" * 5_000,
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 900,
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 900 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 11 + b"\r\n",
        CHUNKED + b"1;" + b"e" * 5_000,
        CHUNKED + b"1\r\nx\r\n0\r\n" + b"t" * 5_000,
        CHUNKED + b"1\r\nx\r\n0\r\n" + b"t: u\r\n" * 5_000,
        CHUNKED + b"1\r\nx\r\n0\r\n" + b"t: u\r\n" * 11 + b"\r\n",
    ],
)
async def test_too_much_header_is_refused(serving, sent):
    """Bytes and number of headers are bounded, and so are chunk extensions and trailers."""
    async with serving(max_header_bytes=4_096, max_headers=10) as site:
        answer = await refused(site, sent)

    assert (431, {"headers": 1}) == (answer.status, dict(site.server.statistics().refused))


async def test_what_asks_for_an_upgrade_has_the_same_limits(serving):
    """Ignoring the upgrade does not ignore the rest."""
    upgrade = b"POST / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving() as site:
        answer = await refused(site, upgrade + b"0\r\n\r\n")

    assert (400, {"malformed": 1}) == (answer.status, dict(site.server.statistics().refused))


async def test_a_hundred_thousand_headers_are_refused(serving):
    """With the limits everybody has."""
    async with serving() as site:
        answer = await refused(site, b"GET / HTTP/1.1\r\n" + b"name: value\r\n" * 100_000 + b"\r\n")

    assert 431 == answer.status


async def test_an_endless_header_behind_a_waiting_request_is_bounded(serving):
    """What waits does not lift the limit of what comes."""
    async with serving(max_header_bytes=4_096) as site:
        client = await site.client(GET + GET + b"GET / HTTP/1.1\r\nx: ")
        first = await site.next_request()
        sending = asyncio.create_task(client.send(b"a" * 1_000_000))
        while not site.server.statistics().refused:
            await asyncio.sleep(0.001)
        first.respond(200, TEXT, b"")
        (await site.next_request()).respond(200, TEXT, b"")
        statuses = [(await client.answer()).status for _ in range(3)]
        await sending

    assert [200, 200, 431] == statuses


@pytest.mark.parametrize("framing", ["declared", "chunked"])
async def test_the_handler_is_told_of_a_body_that_is_too_large(serving, framing):
    """At once, before the body has come; the rest is dropped, the answer read, the connection closed."""
    body = b"x" * 300_000
    head = b"POST /up HTTP/1.1\r\nContent-Length: 300000\r\n\r\n"
    if framing == "chunked":
        head, body = CHUNKED, b"493e0\r\n" + body + b"\r\n0\r\n\r\n"
    async with serving(max_body_bytes=1_000) as site:
        client = await site.client(head + body[:20_000])
        request = await site.next_request()
        sending = asyncio.create_task(client.send(body[20_000:]))
        request.respond(413, TEXT, b"too large")
        answer = await client.answer()
        await sending
        rest = await client.rest()

    assert (b"", 1_000 < request.too_large <= 300_000) == (request.body, True)
    assert (413, b"too large", "close", b"") == (
        answer.status,
        answer.body,
        answer.headers["connection"],
        rest,
    )
    assert {"body_too_large": 1} == dict(site.server.statistics().refused)


async def test_a_body_that_is_too_large_but_here_does_not_end_the_connection(serving):
    """There is nothing left to drop."""
    async with serving(max_body_bytes=3) as site:
        client = await site.client(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd" + GET)
        request = await site.next_request()
        request.respond(413, TEXT, b"")
        (await site.next_request()).respond(200, TEXT, b"")
        answers = [await client.answer(), await client.answer()]

    assert (4, [413, 200]) == (request.too_large, [answer.status for answer in answers])


async def test_a_gigabyte_is_not_read(serving):
    """What is dropped of a refused body has a bound, after which the connection ends."""
    async with serving(lambda request: request.respond(413, TEXT, b""), linger_bytes=1_000_000) as site:
        client = await site.client(b"POST / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n")
        sent = 0
        try:
            while sent < 1 << 30:
                await client.send(b"x" * 262_144)
                sent += 262_144
        except ConnectionError:
            pass
        await site.emptied()

    assert sent < 100_000_000


async def test_a_gigabyte_without_an_answer_is_not_read_either(serving):
    """Beyond the bound reading stops until the handler answers."""
    async with serving(linger_bytes=100_000, write_timeout_s=0.05) as site:
        client = await site.client(b"POST / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n")
        request = await site.next_request()
        client.writer.write(b"x" * 50_000_000)
        request.respond(413, TEXT, b"")
        await site.emptied()

    assert 1 << 30 == request.too_large


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"G", "header_timeout"),
        (b"GET / HTTP/1.1\r\nHost", "header_timeout"),
        (GET[:-1], "header_timeout"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", "body_timeout"),
        (CHUNKED + b"3\r\nab", "body_timeout"),
    ],
)
async def test_a_client_that_stops_within_a_request_gets_408(serving, sent, kind):
    """Nobody holds a connection with half a request."""
    async with serving(header_timeout_s=0.05, body_timeout_s=0.05, linger_s=0.05) as site:
        answer = await refused(site, sent)

    assert (408, {kind: 1}) == (answer.status, dict(site.server.statistics().refused))


@pytest.mark.parametrize("sent", [b"", GET])
async def test_an_idle_connection_is_closed_in_silence(serving, echo, sent):
    """Before the first request and between two."""
    async with serving(echo, idle_timeout_s=0.05) as site:
        client = await site.client(sent)
        if sent:
            await client.answer()

        assert b"" == await client.rest()


async def test_a_client_that_never_reads_is_cut_off(serving):
    """The next request is not handed on meanwhile, and nothing is kept for long."""
    async with serving(write_timeout_s=0.1) as site:
        client = await site.client(GET * 3)
        (await site.next_request()).respond(200, TEXT, b"x" * 20_000_000)
        await site.emptied()

    assert ({"write_timeout": 1}, 0) == (dict(site.server.statistics().refused), len(site.kept))
    assert b"x" * 100 in await client.rest()


async def test_the_next_request_waits_until_the_answer_has_left(serving):
    """A client that does not read gets no more work done."""
    async with serving() as site:
        client = await site.client(GET * 2)
        (await site.next_request()).respond(200, TEXT, b"x" * 12_000_000)
        assert not site.kept
        answer = await client.answer()
        (await site.next_request()).respond(204, b"", b"")

        assert (12_000_000, 204) == (len(answer.body), (await client.answer(bodiless=True)).status)
