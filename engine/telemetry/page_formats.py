"""The formats of the metrics page, and which of them a scraper likes best."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Format(Enum):
    """The formats of the page; the value is its content type, as prometheus_client words it."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


_MEDIA_TYPES: Final = {
    "application/openmetrics-text": Format.OPENMETRICS,
    "text/plain": Format.TEXT,
    "text/*": Format.TEXT,
    "*/*": Format.TEXT,
}


def choose_format(accept: str | None) -> Format:
    """The format a scraper likes best, by the q of its Accept header; text if it names neither."""
    best, best_q = Format.TEXT, 0.0
    for item in (accept or "").lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        offered = _MEDIA_TYPES.get(media_type)
        q = _quality(parameters)
        if offered is not None and q > best_q:
            best, best_q = offered, q
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
