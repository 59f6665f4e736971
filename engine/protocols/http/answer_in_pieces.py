"""One request over a connection of its own, whose answer is read as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, Self

import httptools

from engine.protocols.http.client import (
    BadAnswer,
    CannotConnect,
    ConnectionClosed,
    HttpClientError,
    rendered_request,
)

_READ_BYTES: Final = 65_536


class AnswerInPieces:
    """What was answered: `async for piece in answer`, then `close`.

    While nobody takes pieces, the server is held back.

    Attributes:
        status: Of the answer.
        headers: Of the answer; names in lower case.
    """

    def __init__(self, server: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._server = server
        self._reader = reader
        self._writer = writer
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._has_head = self._has_ended = False

    @classmethod
    async def ask(
        cls,
        host: str,
        port: int,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        timeout_s: float | None = 10.0,
    ) -> Self:
        """Send the request, and wait for the head of its answer; `timeout_s` is for the connection alone.

        Raises:
            CannotConnect: Refused, unreachable, unknown, or not connected in time.
            ConnectionClosed, BadAnswer: See there; later `async for` raises them.
        """
        server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        data = rendered_request(method, target, list(headers), body, server)
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(host, port, limit=_READ_BYTES)
        except TimeoutError:
            raise CannotConnect(f"{server} did not accept a connection within {timeout_s} s") from None
        except OSError as error:
            raise CannotConnect(f"cannot connect to {server}: {error.strerror or error}") from error
        answer = cls(server, reader, writer)
        writer.write(data)
        try:
            while not answer._has_head:
                await answer._read()
        except HttpClientError:
            answer.close()
            raise
        return answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                yield piece
            if self._has_ended:
                return
            await self._read()

    def close(self) -> None:
        """End the connection."""
        self._writer.transport.abort()

    async def _read(self) -> None:
        try:
            data = await self._reader.read(_READ_BYTES)
            if data:
                self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BadAnswer(f"{self._server} answered what is not HTTP/1.1: {error}") from None
        except OSError:
            data = b""
        if not data:
            if not self._has_head or self.headers.keys() & {b"content-length", b"transfer-encoding"}:
                raise ConnectionClosed(f"{self._server} closed the connection before it had answered")
            self._has_ended = True

    # ---------------------------------------------------------------- called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is dropped."""
        if not self._has_head:
            self.headers[name.lower()] = value.strip()

    def on_headers_complete(self) -> None:
        """Tell interim answers, such as 100 Continue, from the final one."""
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200
        if not self._has_head:
            self.headers.clear()

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """The end, unless the answer was interim."""
        self._has_ended = self._has_head
