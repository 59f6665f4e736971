"""Events that a program makes in Python: by `Engine.invoke` and `Engine.submit`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

from engine.core.event import Event, StreamedEvent
from engine.core.payload_limits import MAX_ASYNC_EVENT_BYTES, MAX_EVENT_BYTES
from engine.core.response_stream import ResponseStream
from engine.errors import PayloadError


class DirectEvents:
    """Makes them. Compiled, as the coroutines cannot be that ask for them."""

    __slots__ = ("_new_request_id", "_now")

    def __init__(self, new_request_id: Callable[[], str], now: Callable[[], float]) -> None:
        """`now`: monotonic seconds, on the engine's clock."""
        self._new_request_id = new_request_id
        self._now = now

    def awaited(self, function: str, payload: Any) -> Event:
        """One whose outcome is awaited. Raises PayloadError for what is no JSON value, or over 6 MiB."""
        if payload is None:  # what is its own document need not become text and be read again
            return Event(function, b"null", self._new_request_id(), self._now(), "direct", None)
        return Event(function, _text(payload, MAX_EVENT_BYTES), self._new_request_id(), self._now(), "direct")

    def streamed(self, function: str, payload: Any, stream: ResponseStream) -> StreamedEvent:
        """One whose response `stream` takes piece by piece. Raises what `awaited` does."""
        text = _text(payload, MAX_EVENT_BYTES)
        event = StreamedEvent(function, text, self._new_request_id(), self._now(), "direct")
        event.stream = stream
        return event

    def asynchronous(self, function: str, payload: Any) -> Event:
        """One that nobody waits for. Raises PayloadError for what is no JSON value, or over 1 MiB."""
        body = _text(payload, MAX_ASYNC_EVENT_BYTES)
        return Event(function, body, self._new_request_id(), self._now(), "event")


def _text(payload: Any, limit_bytes: int) -> bytes:
    try:
        body = orjson.dumps(payload)
    except TypeError:
        body = _unusual_text(payload)
    if len(body) > limit_bytes:
        raise PayloadError(f"{len(body)} byte payload is too large (limit {limit_bytes} bytes)")
    return body


def _unusual_text(payload: Any) -> bytes:
    """What orjson does not write: integers beyond 64 bits, keys that are no strings, deep nesting."""
    try:
        return json.dumps(payload, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(f"the payload is no JSON value: {error}") from None
