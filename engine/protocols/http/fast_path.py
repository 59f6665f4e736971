"""The short way for the common request: alone and whole in one read, HTTP/1.1, with a body of known length.

HEAD is not among them, because its answer is not. The parser checks every byte and decides where the message
ends, as on the long way (`request_parser`); what is saved is one call for each piece of it. A head that was
checked before says the same again, so only the length of the body is left to check. Headers are cut from the
checked head when they are asked for.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import httptools

from engine.protocols.http.header_cache import HeaderCache
from engine.protocols.http.limits import HttpLimits
from engine.protocols.http.message import Request, ResponseWriter

_METHODS: Final = {name.encode(): name for name in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_SHORTEST_HEADER: Final = len(b"a:\r\n")
_LONGEST_READ: Final = 16_384  # what is longer goes the long way, where copying dominates


class Known(NamedTuple):
    """What a head says, from its first byte up to the empty line."""

    method: str
    target: bytes
    head: bytes  # from the version on; always the same object, whose hash is computed once
    body_length: int


class FastPathParser:
    """Takes one read at a time. One that it did not take spoils it: the long way parses that again."""

    __slots__ = ("_events", "_feed", "_known", "_longest_read", "_max_headers", "_surely_few")

    def __init__(self, limits: HttpLimits, known: HeaderCache[Known]) -> None:
        self._known = known
        # What the parser saw: pieces of bodies, and after each message whether the connection is kept.
        # All callbacks are C functions, so that it runs through without entering Python: each step of `ends`
        # appends the parser's answer, which the parser knows only while it is calling back.
        self._events: list[Any] = []
        parser = httptools.HttpRequestParser.__new__(httptools.HttpRequestParser)
        ends = map(self._events.append, iter(parser.should_keep_alive, None))
        # Made before its callbacks, because one of them asks it.
        parser.__init__(  # type: ignore[misc]  # the very class, not a subclass
            SimpleNamespace(on_body=self._events.append, on_message_complete=ends.__next__)
        )
        self._feed = parser.feed_data
        self._longest_read = min(_LONGEST_READ, limits.max_header_bytes, limits.max_body_bytes)
        self._max_headers = limits.max_headers
        self._surely_few = limits.max_headers * _SHORTEST_HEADER  # a head of so few bytes need not be counted

    def take(self, data: bytes, connection: ResponseWriter, now_s: float) -> Request | None:
        """Return the one request that `data` is, or None if it is anything else."""
        if len(data) > self._longest_read:
            return None
        whole, _, rest = data.partition(b"\r\n\r\n")
        known = self._known.get(whole)
        if known is not None and len(rest) == known[3]:
            method, target, head, _ = known
            return Request(connection, method, target, head, None, rest, "1.1", connection.peer, now_s)
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
            verb, target, head = whole.split(b" ", 2)
        except ValueError:
            return None
        sent_as = _METHODS.get(verb)
        # The rest is more than the body where there are chunks or a second message.
        if rest != body or sent_as is None or head[:10] != b"HTTP/1.1\r\n":
            return None
        if len(head) > self._surely_few and head.count(b"\r\n") > self._max_headers:
            return None
        self._known.keep(whole, Known(sent_as, target, head, len(body)))
        return Request(connection, sent_as, target, head, None, body, "1.1", connection.peer, now_s)
