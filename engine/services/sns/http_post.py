"""One POST by the standard library, whose whole answer has a fixed time. Blocks; for worker threads.

Source: SNS Developer Guide, "Fanout to HTTP/S endpoints": an endpoint has 15 seconds to answer.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Mapping
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

WITHIN_S: Final = 15.0
_MAX_ANSWER_BYTES: Final = 65_536


class _SocketReader(io.RawIOBase):
    """Reads a socket until a moment. The time-out of the socket alone would begin anew with each byte."""

    def __init__(self, sock: Any, until_s: float) -> None:
        self._sock, self._until_s = sock, until_s
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        left_s = self._until_s - time.monotonic()  # noqa: TID251  # of sockets, on a thread
        if left_s <= 0:
            raise TimeoutError("no complete answer in time")
        self._sock.settimeout(left_s)
        return int(self._sock.recv_into(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer that is complete within so many seconds, or ends in TimeoutError."""

    def __init__(self, sock: Any, *given: Any, within_s: float, **named: Any) -> None:
        super().__init__(sock, *given, **named)
        self.fp.close()
        until_s = time.monotonic() + within_s  # noqa: TID251  # of sockets, on a thread
        self.fp = io.BufferedReader(_SocketReader(sock, until_s))


def _timed(kind: type[HTTPConnection], within_s: float) -> Any:
    """What makes connections of that kind whose answers are timed."""

    def connect(*given: Any, **named: Any) -> HTTPConnection:
        connection = kind(*given, **named)
        connection.response_class = partial(_TimedResponse, within_s=within_s)  # type: ignore[assignment]
        return connection

    return connect


class _TimedHttp(HTTPHandler):
    def __init__(self, within_s: float) -> None:
        super().__init__()
        self._connect = _timed(HTTPConnection, within_s)

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connect, req)


class _TimedHttps(HTTPSHandler):
    def __init__(self, within_s: float) -> None:
        super().__init__()
        self._connect = _timed(HTTPSConnection, within_s)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connect, req)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Reject redirects: they could lead to any host."""


def post(url: str, headers: Mapping[str, str], body: bytes, within_s: float = WITHIN_S) -> int:
    """Send, and return the status of the answer; name and password in the URL become a header.

    Raises:
        OSError: It could not be sent, or no complete answer came in time.
        HTTPException: What came is not HTTP.
        ValueError: The URL is none.
    """
    parts = urlsplit(url)
    given = dict(headers)
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        given["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    request = Request(urlunsplit(parts), body, given, method="POST")  # noqa: S310  # http or https: checked
    opener = build_opener(_NoRedirects(), _TimedHttp(within_s), _TimedHttps(within_s))
    try:
        with opener.open(request, timeout=within_s) as answer:
            answer.read(_MAX_ANSWER_BYTES)
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code
