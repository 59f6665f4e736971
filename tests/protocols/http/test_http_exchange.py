"""Requests in, answers out, over real sockets: what HTTP/1.1 asks of a server."""

from __future__ import annotations

import asyncio
import logging

import pytest

from engine.protocols.http.server import header_block

pytestmark = pytest.mark.real_time

TEXT = header_block([("content-type", "text/plain")])
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body, *lines, target=b"/"):
    head = b"".join(line + b"\r\n" for line in lines)
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (target, head, len(body), body)


async def test_a_request_is_handed_on_as_sent(serving):
    """Method, raw target, headers in their order and case, body, version and peer."""
    async with serving() as site:
        client = await site.client(post(b"body", b"X-Case: One", target=b"/a%20b?c=%C3%A9"))
        request = await site.next_request()
        request.respond(200, TEXT, b"done")
        answer = await client.answer()

    headers = [(b"Host", b"a"), (b"X-Case", b"One"), (b"Content-Length", b"4")]
    assert ("POST", b"/a%20b?c=%C3%A9", headers) == (request.method, request.target, request.headers)
    assert (b"body", "1.1", "127.0.0.1", 0) == (
        request.body,
        request.version,
        request.peer,
        request.too_large,
    )
    assert (200, b"done", "text/plain") == (answer.status, answer.body, answer.headers["content-type"])
    assert answer.headers["date"].endswith(" gmt")


async def test_a_connection_is_kept_for_the_next_request(serving, echo):
    """HTTP/1.1 connections stay open."""
    async with serving(echo) as site:
        client = await site.client()
        bodies = [(await client.ask(post(b"%d" % number))).body for number in range(3)]
        connections = site.server.statistics().connections

    assert ([b"0", b"1", b"2"], 1) == (bodies, connections)


@pytest.mark.parametrize(
    ("line", "version", "kept"),
    [
        (b"Connection: close", b"1.1", False),
        (b"X: y", b"1.1", True),
        (b"X: y", b"1.0", False),
        (b"Connection: keep-alive", b"1.0", True),
    ],
)
async def test_the_client_says_whether_the_connection_is_kept(serving, echo, line, version, kept):
    """By default 1.1 keeps and 1.0 closes; `Connection` says otherwise."""
    async with serving(echo) as site:
        client = await site.client(b"GET / HTTP/%b\r\n%b\r\n\r\n" % (version, line))
        answer = await client.answer()
        if not kept:
            assert b"" == await client.rest()

    expected = "close" if not kept else "keep-alive" if version == b"1.0" else None
    assert expected == answer.headers.get("connection")


@pytest.mark.parametrize(
    ("method", "status", "length"), [(b"HEAD", 200, "5"), (b"GET", 204, None), (b"GET", 304, None)]
)
async def test_some_answers_have_no_body(serving, method, status, length):
    """HEAD, 204 and 304 end with the head, and the next answer follows."""
    async with serving(lambda request: request.respond(status, TEXT, b"12345")) as site:
        client = await site.client(b"%b / HTTP/1.1\r\nHost: a\r\n\r\n" % method * 2)
        answers = [await client.answer(bodiless=True) for _ in range(2)]

    assert [(status, length)] * 2 == [
        (answer.status, answer.headers.get("content-length")) for answer in answers
    ]


@pytest.mark.parametrize("size", [65_536, 65_537, 3_000_000])
async def test_large_bodies_go_both_ways(serving, echo, size):
    """A body of many reads and writes arrives unchanged."""
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with serving(echo) as site:
        client = await site.client()
        sending = asyncio.create_task(client.send(post(body)))
        answer = await client.answer()
        await sending

    assert body == answer.body


async def test_chunks_are_joined_and_trailers_are_apart(serving):
    """A chunked body is one body; what follows it is no header, nor the next request's."""
    chunks = b"3\r\nabc\r\n2;name=value\r\nde\r\n0\r\nX-Trailer: forged\r\n\r\n"
    async with serving() as site:
        client = await site.client(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + GET)
        request = await site.next_request()
        request.respond(200, TEXT, request.body)
        answer = await client.answer()
        following = await site.next_request()

    assert (b"abcde", None, "GET") == (answer.body, request.header(b"x-trailer"), following.method)
    assert ([(b"X-Trailer", b"forged")], []) == (request.trailers, following.trailers)


async def test_pipelined_requests_are_handed_on_one_at_a_time(serving):
    """The next request of a connection waits for the answer to the one before; order is kept."""
    async with serving() as site:
        client = await site.client(b"".join(post(b"", target=b"/%d" % number) for number in range(5)))
        targets = []
        for _ in range(5):
            request = await site.next_request()
            targets.append(request.target)
            assert not site.kept
            request.respond(200, TEXT, request.target)
        bodies = [(await client.answer()).body for _ in range(5)]

    assert [b"/0", b"/1", b"/2", b"/3", b"/4"] == targets == bodies


async def test_reading_stops_when_the_line_is_full(serving):
    """Beyond `max_pipelined` nothing more is parsed until answers go out; then nothing is lost."""
    sent = [post(b"x" * 5_000, target=b"/%d" % number) for number in range(300)]
    async with serving(max_pipelined=2) as site:
        client = await site.client()
        sending = asyncio.create_task(client.send(b"".join(sent)))
        first = await site.next_request()
        for _ in range(20):
            await asyncio.sleep(0)
        parsed_while_busy = site.server.statistics().requests
        first.respond(200, TEXT, first.target)
        reading = asyncio.create_task(_read_bodies(client, 300))
        for _ in range(299):
            request = await site.next_request()
            request.respond(200, TEXT, request.target)
        await sending
        bodies = await reading

    assert parsed_while_busy <= 1 + 2 + 16_384 // 5_000
    assert [b"/%d" % number for number in range(300)] == bodies


async def _read_bodies(client, count):
    return [(await client.answer()).body for _ in range(count)]


async def test_a_client_that_waits_for_continue_is_told_at_once(serving, echo):
    """`Expect: 100-continue` is answered before the body is there."""
    async with serving(echo) as site:
        client = await site.client(
            b"POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n",
        )
        interim = await client.answer()
        final = await client.ask(b"body")

    assert (100, {}, 200, b"body") == (interim.status, interim.headers, final.status, final.body)


async def test_continue_waits_for_the_answers_before_it(serving):
    """An interim answer must not come between another request and its answer."""
    expecting = b"POST /b HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
    async with serving() as site:
        client = await site.client(post(b"", target=b"/a") + expecting)
        (await site.next_request()).respond(201, TEXT, b"")
        statuses = [(await client.answer()).status for _ in range(2)]
        await client.send(b"x")
        (await site.next_request()).respond(202, TEXT, b"")
        statuses.append((await client.answer()).status)

    assert [201, 100, 202] == statuses


async def test_a_body_over_the_limit_is_never_asked_for(serving):
    """Who waits for 100 gets the final answer."""
    async with serving(lambda request: request.respond(413, TEXT, b""), max_body_bytes=10) as site:
        client = await site.client(b"PUT / HTTP/1.1\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
        answer = await client.answer()

    assert (413, "close") == (answer.status, answer.headers["connection"])


@pytest.mark.parametrize("body", [b"", b"abc"])
async def test_an_upgrade_is_ignored(serving, echo, body):
    """The request is answered in HTTP/1.1, with its body, and the connection goes on."""
    async with serving(echo) as site:
        client = await site.client()
        first = await client.ask(post(body, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"))
        second = await client.ask(post(b"next"))

    assert [(200, body), (200, b"next")] == [(first.status, first.body), (second.status, second.body)]


async def test_a_handler_that_raises_is_answered_with_500(serving, caplog):
    """A bug is logged loudly, its client is answered, and the server goes on."""

    def handle(request):
        if request.target == b"/bug":
            raise ZeroDivisionError("a bug")
        request.respond(200, TEXT, b"fine")

    with caplog.at_level(logging.ERROR, "engine.protocols"):
        async with serving(handle) as site:
            client = await site.client()
            failed = await client.ask(post(b"", target=b"/bug"))
            fine = await client.ask(GET)

    assert (500, 200) == (failed.status, fine.status)
    assert [ZeroDivisionError] == [record.exc_info[0] for record in caplog.records]


async def test_a_status_that_is_none_is_answered_with_500(serving, caplog):
    """An interim or impossible status would leave the client waiting."""
    async with serving(lambda request: request.respond(101, b"", b"")) as site:
        answer = await (await site.client()).ask(GET)

    assert (500, 1) == (answer.status, len(caplog.records))


async def test_only_the_first_answer_is_sent(serving):
    """A second answer is ignored, also when another request is in hand by then."""
    async with serving() as site:
        client = await site.client(GET + GET)
        first = await site.next_request()
        first.respond(200, TEXT, b"one")
        second = await site.next_request()
        first.respond(200, TEXT, b"again")
        second.respond(200, TEXT, b"two")
        bodies = [(await client.answer()).body, (await client.answer()).body]

    assert [b"one", b"two"] == bodies


async def test_an_answer_to_a_client_that_has_gone_does_nothing(serving):
    """The request outlives its connection."""
    async with serving() as site:
        client = await site.client(GET)
        request = await site.next_request()
        client.reset()
        await site.emptied()
        request.respond(200, TEXT, b"too late")
        fine = await site.client(GET)
        (await site.next_request()).respond(200, TEXT, b"fine")

        assert b"fine" == (await fine.answer()).body


async def test_a_client_that_sends_no_more_is_still_answered(serving):
    """Half a connection is enough for an answer; then it is closed."""
    async with serving() as site:
        client = await site.client(GET + GET)
        client.writer.write_eof()
        for _ in range(2):
            (await site.next_request()).respond(200, TEXT, b"x")
        answers = [await client.answer(), await client.answer()]
        rest = await client.rest()

    assert ([200, 200], b"") == ([answer.status for answer in answers], rest)


async def test_half_a_request_is_no_request(serving):
    """A client that ends within a request is let go."""
    async with serving() as site:
        client = await site.client(post(b"whole body")[:-1])
        client.writer.write_eof()
        rest = await client.rest()

    assert (b"", 0) == (rest, len(site.kept))


async def test_ipv6_is_served(serving, echo):
    """The address of an IPv6 client is known too."""
    async with serving(host="::1") as site:
        client = await site.client(GET)
        request = await site.next_request()
        request.respond(200, TEXT, b"")

        assert ("::1", "::1", 200) == (site.host, request.peer, (await client.answer()).status)


async def test_a_request_is_awaited_until_it_is_answered_or_its_client_goes(serving):
    """Whoever keeps a request for long can see whether that is still worth it."""
    async with serving() as site:
        staying = await site.client(GET)
        first = await site.next_request()
        leaving = await site.client(GET)
        second = await site.next_request()
        before = (first.awaited, second.awaited)
        leaving.writer.close()
        while second.awaited:
            await asyncio.sleep(0.001)
        between = first.awaited
        first.respond(200, TEXT, b"")
        second.respond(200, TEXT, b"")
        await staying.answer()

    assert ((True, True), True) == (before, between)
    assert (False, False) == (first.awaited, second.awaited)
