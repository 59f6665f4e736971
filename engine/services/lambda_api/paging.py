"""Long lists in pages. A `Marker` is opaque to clients: it is the last key before the page."""

from __future__ import annotations

import binascii
import bisect
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from engine.services.lambda_api.errors import ApiError, validation_error, violation

PAGE: Final = 50
"""The most a list gives at a time, whatever `MaxItems` says."""


class Page(NamedTuple):
    """Keys, and the marker of the next page, or None."""

    keys: Sequence[str]
    next_marker: str | None


def page_of(keys: Sequence[str], query: Mapping[str, str], most: int = 10_000, page: int = PAGE) -> Page:
    """The page that `query` asks for of `keys`, which are sorted; `page` keys at the most.

    Raises:
        ApiError: For a marker that was never given, or a count outside 1 to `most`.
    """
    first = bisect.bisect_right(keys, _key_in(query["Marker"])) if query.get("Marker") else 0
    last = first + min(_max_items(query, most, page), page)
    shown = keys[first:last]
    return Page(shown, b64encode(shown[-1].encode()).decode() if last < len(keys) else None)


def _max_items(query: Mapping[str, str], most: int, page: int) -> int:
    text = query.get("MaxItems") or str(page)
    if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20):
        raise ApiError(400, "SerializationException", "STRING_VALUE can not be converted to an Integer")
    value = int(text)
    if value < 1:
        raise validation_error(violation(text, "maxItems", "have value greater than or equal to 1"))
    if value > most:
        raise validation_error(violation(text, "maxItems", f"have value less than or equal to {most}"))
    return value


def _key_in(marker: str) -> str:
    try:
        return b64decode(marker, validate=True).decode()
    except (binascii.Error, ValueError):
        raise ApiError(400, "InvalidParameterValueException", "Invalid Marker.") from None
