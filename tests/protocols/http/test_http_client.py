"""The small client: answers in every framing, one connection for many requests, and clear errors."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from engine.protocols.http.client import (
    AnswerTimeout,
    BadAnswer,
    CannotConnect,
    ConnectionClosed,
    HttpClientError,
    HttpConnection,
)

pytestmark = pytest.mark.real_time


@asynccontextmanager
async def replying(*answers, keep_open=False):
    """A server that sends these bytes, whatever it is asked, and closes after the last."""
    left = list(answers)

    async def serve(reader, writer):
        while left and await reader.read(65_536):
            writer.write(left.pop(0))
        if keep_open:
            await reader.read()
        writer.transport.abort() if not left and keep_open else writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connection = await HttpConnection.open("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield connection
    finally:
        connection.close()
        server.close()
        await asyncio.sleep(0)


async def test_it_speaks_with_the_server(serving, echo):
    """Many requests on one connection, with headers and bodies of any size."""
    async with serving(echo) as site:
        connection = await HttpConnection.open(site.host, site.port)
        bodies = [b"", b"x", b"y" * 2_000_000]
        responses = [await connection.request("POST", "/a?b", [("X-A", "1")], body) for body in bodies]
        head = await connection.request("HEAD", "/")
        after = await connection.request("GET", "/")
        connections = site.server.statistics().connections
        connection.close()

    assert bodies == [response.body for response in responses]
    assert (200, b"", b"0", 200) == (head.status, head.body, head.header(b"content-length"), after.status)
    assert 1 == connections


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, b"ab"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\nT: u\r\n\r\n",
            200,
            b"ab",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nab", 200, b"ab"),  # ends with the connection
        (b"HTTP/1.0 404 Not Found\r\n\r\n", 404, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", 200, b"a"),
    ],
)
async def test_every_framing_of_an_answer_is_understood(sent, status, body):
    """Length, chunks, end of connection, none, and interim answers before."""
    async with replying(sent) as connection:
        response = await connection.request("GET", "/")

    assert (status, body) == (response.status, response.body)
    assert response.header(b"x") is None
    assert response.header(b"t") is None


async def test_a_connection_that_the_server_ends_is_not_used_again():
    """The caller sees it, and may open another."""
    async with replying(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n") as connection:
        await connection.request("GET", "/")

        assert not connection.is_open
        with pytest.raises(ConnectionClosed, match="is closed"):
            await connection.request("GET", "/")


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"HTTP/1.1 200"])
async def test_half_an_answer_is_an_error(sent):
    """The connection ended before the answer did."""
    async with replying(sent) as connection:
        with pytest.raises(ConnectionClosed, match="before it had answered"):
            await connection.request("GET", "/")


async def test_what_is_no_answer_is_an_error():
    """The sentence names the server."""
    async with replying(b"220 smtp ready\r\n") as connection:
        with pytest.raises(BadAnswer, match=r"127\.0\.0\.1:\d+ answered what is not HTTP"):
            await connection.request("GET", "/")

        assert not connection.is_open


async def test_no_answer_in_time_is_an_error(serving):
    """The connection is closed, because the answer might still come."""
    async with serving() as site:
        connection = await HttpConnection.open(site.host, site.port)
        with pytest.raises(AnswerTimeout, match="did not answer within"):
            await connection.request("GET", "/", timeout_s=0.02)

        assert not connection.is_open


async def test_one_request_at_a_time(serving):
    """A second one is an error, and does not disturb the first."""
    async with serving() as site:
        connection = await HttpConnection.open(site.host, site.port)
        first = asyncio.create_task(connection.request("GET", "/"))
        request = await site.next_request()
        with pytest.raises(HttpClientError, match="under way"):
            await connection.request("GET", "/")
        request.respond(200, b"", b"fine")

        assert b"fine" == (await first).body
        connection.close()


async def test_a_cancelled_request_ends_its_connection(serving):
    """Nothing waits for an answer that nobody wants."""
    async with serving() as site:
        connection = await HttpConnection.open(site.host, site.port)
        asking = asyncio.create_task(connection.request("GET", "/"))
        request = await site.next_request()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        request.respond(200, b"", b"")

        assert not connection.is_open


async def test_nobody_there_is_an_error(serving):
    """One clear sentence, a ConnectionError."""
    async with serving() as site:
        port = site.port
    with pytest.raises(CannotConnect, match=rf"cannot connect to 127\.0\.0\.1:{port}: ") as caught:
        await HttpConnection.open("127.0.0.1", port)

    assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET /", "/", []),
        ("GET", "/ HTTP/1.1\r\nX: y", []),
        ("GET", "/a b", []),
        ("GET", "", []),
        ("GET", "/é", []),
        ("GET", "/", [("X", "a\r\nb")]),
    ],
)
async def test_a_request_cannot_be_forged(serving, method, target, headers):
    """What does not belong on its line is refused before anything is sent."""
    async with serving() as site:
        connection = await HttpConnection.open(site.host, site.port)
        with pytest.raises(ValueError, match=r"is not|holds"):
            await connection.request(method, target, headers)

        assert connection.is_open
        connection.close()
