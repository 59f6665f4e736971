"""A small HTTP/1.1 client of the engine's own: one keep-alive connection, plain or over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Final, NamedTuple

import httptools

from engine.protocols.http.message import header_block

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024


class HttpClientError(ConnectionError):
    """Root of what a client meets; the sentence names the server."""


class CannotConnect(HttpClientError):
    """Nothing accepts connections there."""


class ConnectionClosed(HttpClientError):
    """The connection ended before the answer was complete, or had ended before the request."""


class AnswerTimeout(HttpClientError):
    """No complete answer came in time. The connection is closed, for the answer may still come."""


class BadAnswer(HttpClientError):
    """What came is not HTTP, or is too large."""


class Response(NamedTuple):
    """A complete answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, lower_name: bytes) -> bytes | None:
        """The first value of the header, whose name is given in lower case; None if it is absent."""
        return next((value for name, value in self.headers if name.lower() == lower_name), None)


class HttpConnection(asyncio.Protocol):
    """One connection: `await HttpConnection.open(host, port)`, then `request`, then `close`."""

    _transport: asyncio.Transport

    def __init__(self, server: str, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._server = server
        self._max_answer_bytes = max_answer_bytes
        self._answer: asyncio.Future[Response] | None = None
        self._closed = False
        self._method = ""
        self._new_parser()

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        timeout_s: float | None = 10.0,
        *,
        tls: ssl.SSLContext | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> HttpConnection:
        """Connect; with `tls`, the server proves by its certificate that it is `host`.

        An answer may have `max_answer_bytes`.

        Raises:
            CannotConnect: Refused, unreachable, unknown, or not connected within `timeout_s`.
        """
        server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    lambda: cls(server, max_answer_bytes), host, port, ssl=tls
                )
        except TimeoutError:
            raise CannotConnect(f"{server} did not accept a connection within {timeout_s} s") from None
        except OSError as error:
            raise CannotConnect(f"cannot connect to {server}: {error.strerror or error}") from error
        return connection

    @classmethod
    async def open_unix(
        cls,
        path: str,
        server: str,
        timeout_s: float | None = 10.0,
        *,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> HttpConnection:
        """Connect to a Unix socket; `server` is what errors and the header `Host` call it.

        Raises:
            CannotConnect: Refused, absent, or not connected within `timeout_s`.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_unix_connection(lambda: cls(server, max_answer_bytes), path)
        except TimeoutError:
            raise CannotConnect(f"{server} did not accept a connection within {timeout_s} s") from None
        except OSError as error:
            raise CannotConnect(f"cannot connect to {server}: {error.strerror or error}") from error
        return connection

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent."""
        return not self._closed and not self._transport.is_closing()

    async def request(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        timeout_s: float | None = None,
    ) -> Response:
        """Send one request, and wait for its complete answer.

        `Host` and `Content-Length` are added where `headers` does not have them.

        Raises:
            ConnectionClosed, AnswerTimeout, BadAnswer: See there; the connection is closed then.
            HttpClientError: Another request is under way on this connection.
            ValueError: A header or the target holds what would forge the request.
        """
        if self._answer is not None:
            raise HttpClientError(f"a request to {self._server} is under way on this connection")
        data = rendered_request(method, target, list(headers), body, self._server)
        if not self.is_open:
            raise ConnectionClosed(f"the connection to {self._server} is closed")
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._method = method
        self._transport.write(data)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            self.close()
            raise AnswerTimeout(f"{self._server} did not answer within {timeout_s} s") from None
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._answer = None

    def close(self) -> None:
        """End the connection; a request under way fails."""
        self._closed = True
        self._transport.abort()

    # --- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a stream connection makes no other kind

    def data_received(self, data: bytes) -> None:
        """Parse a piece of the answer."""
        if self._closed:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BadAnswer(f"{self._server} answered what is not HTTP/1.1: {error}"))
            return
        self._check_size()
        if self._method == "HEAD" and self._head_complete:  # the parser waits for a body that never comes
            self.on_message_complete()
            self._new_parser()

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer without a length ends here; every other is incomplete."""
        self._closed = True
        if self._head_complete and self._until_end and exc is None:
            self._deliver()
        else:
            self._fail(ConnectionClosed(f"{self._server} closed the connection before it had answered"))
        del self._parser  # it holds bound methods of this object

    # --- called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is dropped."""
        if not self._head_complete:
            self._headers.append((name, value.strip()))

    def on_headers_complete(self) -> None:
        """Tell interim answers, such as 100 Continue, from the final one."""
        self._status = self._parser.get_status_code()
        self._head_complete = self._status >= 200
        names = {name.lower() for name, _ in self._headers}
        self._until_end = not names & {b"content-length", b"transfer-encoding"}

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._body += piece

    def on_message_complete(self) -> None:
        """Deliver, unless the answer was interim."""
        if self._status < 200:
            self._headers.clear()
            return
        if not self._parser.should_keep_alive():
            self._closed = True
            self._transport.close()
        self._deliver()

    # ---

    def _new_parser(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._head_complete = self._until_end = False

    def _check_size(self) -> None:
        if len(self._body) > self._max_answer_bytes:
            self._fail(BadAnswer(f"{self._server} answered more than {self._max_answer_bytes} bytes"))

    def _deliver(self) -> None:
        self._check_size()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Response(self._status, self._headers, bytes(self._body)))
        self._headers, self._body = [], bytearray()
        self._head_complete = self._until_end = False

    def _fail(self, error: HttpClientError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self._closed = True
        self._transport.abort()


def rendered_request(
    method: str, target: str, headers: list[tuple[str, str]], body: bytes, server: str
) -> bytes:
    """A request as it is sent. ValueError for a method, target or header that would forge it."""
    if not method.isalpha() or not method.isascii():
        raise ValueError(f"{method!r} is not a method")
    if not target or not target.isascii() or not target.isprintable() or " " in target:
        raise ValueError(f"{target!r} is not a request target: it must be percent-encoded")
    names = {name.lower() for name, _ in headers}
    if "host" not in names:
        headers = [("Host", server), *headers]
    if "content-length" not in names and (body or method in ("POST", "PUT", "PATCH")):
        headers = [*headers, ("Content-Length", str(len(body)))]
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method.encode(), target.encode(), header_block(headers), body)
