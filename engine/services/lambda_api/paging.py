"""Splits lists into pages. A `Marker`, opaque to clients, is the last key before the page."""

from __future__ import annotations

import binascii
import bisect
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.protocols.aws.errors import ServiceError

PAGE: Final = 50
"""Members of a page at most, whatever `MaxItems` says."""


class Page(NamedTuple):
    """Keys, and the marker of the next page, or None."""

    keys: Sequence[str]
    next_marker: str | None


def list_document(
    member: str,
    keys: Iterable[str],
    parameters: Mapping[str, Any],
    document: Callable[[str], Any],
    *,
    page: int = PAGE,
) -> dict[str, Any]:
    """The answer of a List operation: the `document` of each key on the page that `parameters` ask for.

    Raises:
        ServiceError: The marker is malformed.
    """
    shown = page_of(sorted(keys), parameters, page=page)
    return {"NextMarker": shown.next_marker, member: [document(key) for key in shown.keys]}


def page_of(keys: Sequence[str], parameters: Mapping[str, Any], *, page: int = PAGE) -> Page:
    """The page that `parameters` ask for of `keys`, which are sorted; `page` keys at most.

    Raises:
        ServiceError: The marker is malformed.
    """
    marker = parameters.get("Marker")
    first = bisect.bisect_right(keys, _key_in(marker)) if marker else 0
    last = first + min(parameters.get("MaxItems", page), page)
    shown = keys[first:last]
    return Page(shown, b64encode(shown[-1].encode()).decode() if last < len(keys) else None)


def _key_in(marker: str) -> str:
    try:
        return b64decode(marker, validate=True).decode()
    except (binascii.Error, ValueError):
        raise ServiceError(400, "InvalidParameterValueException", "Invalid Marker.") from None
