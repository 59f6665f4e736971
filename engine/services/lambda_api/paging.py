"""Splits lists into pages. A `Marker`, opaque to clients, is the last key before the page."""

from __future__ import annotations

import binascii
import bisect
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from engine.protocols.aws.errors import ServiceError

PAGE: Final = 50
"""Members of a page at most, whatever `MaxItems` says."""


def list_document(
    member: str,
    keys: Iterable[str],
    parameters: Mapping[str, Any],
    document: Callable[[str], Any],
    *,
    page: int = PAGE,
) -> dict[str, Any]:
    """The answer of a List operation: the `document` of each key on the page that `parameters` ask for.

    Keys are sorted; a page has `page` of them at most.

    Raises:
        ServiceError: The marker is malformed.
    """
    ordered = sorted(keys)
    marker = parameters.get("Marker")
    first = bisect.bisect_right(ordered, _key_in(marker)) if marker else 0
    last = first + min(parameters.get("MaxItems", page), page)
    shown = ordered[first:last]
    next_marker = b64encode(shown[-1].encode()).decode() if last < len(ordered) else None
    return {"NextMarker": next_marker, member: [document(key) for key in shown]}


def _key_in(marker: str) -> str:
    try:
        return b64decode(marker, validate=True).decode()
    except (binascii.Error, ValueError):
        raise ServiceError(400, "InvalidParameterValueException", "Invalid Marker.") from None
