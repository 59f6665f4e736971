"""An answer that is read as it comes: its pieces, its end, and what cuts it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing, suppress

import pytest

from engine.protocols.http.answer_in_pieces import AnswerInPieces
from engine.protocols.http.client import BadAnswer, CannotConnect, ConnectionClosed

pytestmark = pytest.mark.real_time

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"


@asynccontextmanager
async def serving(conversation):
    """The port of a server for one connection, which is ended when `conversation(reader, writer)` is over."""
    is_over = asyncio.Event()

    async def serve(reader, writer):
        await reader.read(65_536)
        await conversation(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        is_over.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            await is_over.wait()
            await asyncio.sleep(0)


async def pieces_of(sent):
    """The answer to a request where these bytes are sent and the connection is closed, and its pieces."""

    async def send(_, writer):
        writer.write(sent)

    async with serving(send) as port:
        answer = await AnswerInPieces.ask("127.0.0.1", port, "GET", "/")
        with closing(answer):
            return answer, [piece async for piece in answer]


async def test_a_piece_is_read_before_the_answer_ends():
    """The server sends the next one only when it is told to."""
    goes_on = asyncio.Event()

    async def send(reader, writer):
        writer.write(CHUNKED + b"1\r\na\r\n")
        await goes_on.wait()
        writer.write(b"1\r\nb\r\n0\r\n\r\n")
        await reader.read()

    got = []
    async with serving(send) as port:
        answer = await AnswerInPieces.ask("127.0.0.1", port, "GET", "/")
        with closing(answer):
            async for piece in answer:
                got.append(piece)
                goes_on.set()

    assert (200, b"y", [b"a", b"b"]) == (answer.status, answer.headers[b"x"], got)


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 404, b"no"),
        (b"HTTP/1.1 200 OK\r\n\r\nab", 200, b"ab"),  # ends with the connection
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", 200, b"a"),
    ],
)
async def test_every_framing_of_an_answer_is_understood(sent, status, body):
    answer, pieces = await pieces_of(sent)

    assert (status, body, None) == (answer.status, b"".join(pieces), answer.headers.get(b"x"))


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", ConnectionClosed),
        (CHUNKED + b"5\r\nab", ConnectionClosed),
        (CHUNKED + b"x", BadAnswer),
        (b"220 mail.example ESMTP\r\n", BadAnswer),
    ],
)
async def test_what_is_no_whole_answer_is_an_error(sent, error):
    with pytest.raises(error):
        await pieces_of(sent)


async def test_nobody_answers_where_nobody_listens():
    with pytest.raises(CannotConnect):
        await AnswerInPieces.ask("127.0.0.1", 1, "GET", "/")
