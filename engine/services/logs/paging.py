"""Tokens of CloudWatch Logs, and pages of lists and of events."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeVar

import orjson

from engine.services.logs.errors import invalid_token
from engine.services.logs.store import EVENT_BYTES, LogEvent

T = TypeVar("T")

MAX_PAGE_BYTES: Final = 1_048_576
MAX_PAGE_EVENTS: Final = 10_000

_EVENT_ID: Final = re.compile(r"\d{1,56}", re.ASCII)
_EVENTS_TOKEN: Final = re.compile(r"([fb])/(\d{56})/s", re.ASCII)


def list_page(
    found: Sequence[T],
    key: Callable[[T], list[Any]],
    token: str | None,
    limit: int,
    *,
    descending: bool = False,
) -> tuple[Sequence[T], str | None]:
    """A page of a list, and the token of the next one; None at the end.

    Args:
        found: What there is, in any order.
        key: Sorts it: a list of texts and numbers, different for each.
        token: Of the page; None for the first.
        limit: Entries of a page.
        descending: Whether the highest key comes first.
    """
    ordered = sorted(found, key=key)
    if descending:
        ordered.reverse()
    start = 0
    if token is not None:
        last = _decoded(token)
        keys = sorted(key(one) for one in found)
        try:
            start = len(keys) - bisect_left(keys, last) if descending else bisect_right(keys, last)
        except TypeError:
            raise invalid_token() from None
    page = ordered[start : start + limit]
    more = start + limit < len(ordered)
    return page, _encoded(key(page[-1])) if more else None


class Position(NamedTuple):
    """Where reading goes on: behind the event of that id, or before it."""

    direction: Literal["f", "b"]
    event_id: int


def stream_token(position: Position) -> str:
    """As GetLogEvents has it."""
    return f"{position.direction}/{position.event_id:056d}/s"


def stream_position(token: str) -> Position:
    """What a token of GetLogEvents stands for."""
    found = _EVENTS_TOKEN.fullmatch(token)
    if found is None:
        raise invalid_token()
    return Position("f" if found[1] == "f" else "b", int(found[2]))


def group_token(position: Position) -> str:
    """As FilterLogEvents has it: nobody looks inside."""
    return _encoded([position.direction, str(position.event_id)])


def group_position(token: str) -> Position:
    """What a token of FilterLogEvents stands for."""
    match _decoded(token):
        case ["f" | "b" as direction, str(digits)] if _EVENT_ID.fullmatch(digits) is not None:
            return Position(direction, int(digits))
    raise invalid_token()


class PageBounds:
    """Says when a page of events is full: by their number, and by 1 MB."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit or MAX_PAGE_EVENTS
        self._bytes_left = MAX_PAGE_BYTES

    def takes(self, event: LogEvent) -> bool:
        """Whether there is room for `event`, which then has it. The first one always has."""
        size = len(event.message.encode("utf-8", "replace")) + EVENT_BYTES
        is_first = self._bytes_left == MAX_PAGE_BYTES
        if not is_first and (self._left <= 0 or size > self._bytes_left):
            return False
        self._left -= 1
        self._bytes_left -= size
        return True


def _encoded(value: list[Any]) -> str:
    return urlsafe_b64encode(orjson.dumps(value)).decode()


def _decoded(token: str) -> list[Any]:
    try:
        value = orjson.loads(urlsafe_b64decode(token.encode()))
    except ValueError:
        raise invalid_token() from None
    if not isinstance(value, list):
        raise invalid_token()
    return value
