"""Parses the common request: alone and whole in one read, HTTP/1.1, with a body of known length.

HEAD is not among them, because its answer has no body. httptools checks every byte and decides where the
message ends, as in `request_parser`; what is saved is a call into Python for each piece. Of a head that was
checked before only the length of the body is compared. Headers are cut from the head when they are read.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import httptools

from engine.protocols.http.header_cache import HeaderCache
from engine.protocols.http.limits import HttpLimits
from engine.protocols.http.message import Request, ResponseWriter

_METHODS: Final = {name.encode(): name for name in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_MIN_HEADER_BYTES: Final = len(b"a:\r\n")
_MAX_READ_BYTES: Final = 16_384  # what is longer goes the long way, where copying dominates


class KnownHead:
    """A head that was parsed.

    Attributes:
        method: As sent.
        target: As sent.
        head: From the version on; always the same object, whose hash is computed once.
        whole: Everything from the first byte on, the empty line too.
        read_bytes: Length of `whole` and of the body that it announces.
    """

    __slots__ = ("head", "method", "read_bytes", "target", "whole")

    def __init__(self, method: str, target: bytes, head: bytes, whole: bytes, read_bytes: int) -> None:
        self.method = method
        self.target = target
        self.head = head
        self.whole = whole
        self.read_bytes = read_bytes


class FastPathParser:
    """Parses one read at a time. After a read that it did not take it must not be used again."""

    __slots__ = ("_events", "_feed", "_known", "_last", "_max_headers", "_max_read_bytes", "_uncounted_bytes")

    def __init__(self, limits: HttpLimits, known: HeaderCache[KnownHead]) -> None:
        self._known = known
        self._last: KnownHead | None = None
        self._events: list[Any] = []
        self._feed = parser_into(self._events)
        self._max_read_bytes = min(_MAX_READ_BYTES, limits.max_header_bytes, limits.max_body_bytes)
        self._max_headers = limits.max_headers
        self._uncounted_bytes = limits.max_headers * _MIN_HEADER_BYTES  # fewer cannot be too many headers

    def parse(self, data: bytes, connection: ResponseWriter, peer: str, now_s: float) -> Request | None:
        """Return the one request that `data` is, or None if it is anything else."""
        known = self._last  # most clients send the same head each time: it need not even be looked for
        if known is None or len(data) != known.read_bytes or not data.startswith(known.whole):
            known = self._recognise(data)
            if known is None:
                return None
            self._last = known
        body = data[len(known.whole) :]
        return Request(connection, known.method, known.target, known.head, None, body, "1.1", peer, now_s)

    def _recognise(self, data: bytes) -> KnownHead | None:
        """The head of the one request that `data` is, or None if it is anything else."""
        if len(data) > self._max_read_bytes:
            return None
        before, end, rest = data.partition(b"\r\n\r\n")
        known = self._known.get(before)
        if known is not None and len(data) == known.read_bytes:
            return known
        try:
            self._feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        events = self._events
        if not events or events[-1] is not True:
            return None
        body = events[0] if len(events) > 1 else b""
        events.clear()
        try:
            verb, target, head = before.split(b" ", 2)
        except ValueError:
            return None
        sent_as = _METHODS.get(verb)
        # The rest is more than the body where there are chunks or a second message.
        if rest != body or sent_as is None or head[:10] != b"HTTP/1.1\r\n":
            return None
        if len(head) > self._uncounted_bytes and head.count(b"\r\n") > self._max_headers:
            return None
        known = KnownHead(sent_as, target, head, before + end, len(data))
        self._known.keep(before, known)
        return known


def parser_into(events: list[Any]) -> Callable[[bytes], None]:
    """Return the `feed_data` of a parser that runs no Python code while it parses.

    It appends to `events` each piece of a body and, at the end of each message, whether the connection is
    kept. The parser knows that only while it calls back, so the callback asks it: each step of `ends` appends
    the next value of an iterator that never ends. The parser is made before its callbacks: one refers to it.
    """
    parser = httptools.HttpRequestParser.__new__(httptools.HttpRequestParser)
    ends = map(events.append, iter(parser.should_keep_alive, None))
    callbacks = SimpleNamespace(on_body=events.append, on_message_complete=ends.__next__)
    parser.__init__(callbacks)  # type: ignore[misc]  # the very class, not a subclass
    feed: Callable[[bytes], None] = parser.feed_data
    return feed
