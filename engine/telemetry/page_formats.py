"""The formats of the metrics page, which of them a scraper likes best, and whether it takes gzip."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Format(Enum):
    """The formats of the page; the value is its content type, as prometheus_client words it."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


_MEDIA_TYPES: Final = {
    "application/openmetrics-text": Format.OPENMETRICS,
    "application/vnd.google.protobuf": Format.PROTOBUF,
    "text/plain": Format.TEXT,
    "text/*": Format.TEXT,
    "*/*": Format.TEXT,
}
_MESSAGE: Final = {"proto=io.prometheus.client.metricfamily", "encoding=delimited"}
"""What a scraper says of the protobuf that it means, in lower case."""


def choose_format(accept: str | None) -> Format:
    """The format a scraper likes best, by the q of its Accept header; text if it names neither."""
    best, best_q = Format.TEXT, 0.0
    for item in (accept or "").lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        offered = _MEDIA_TYPES.get(media_type)
        q = _quality(parameters)
        if offered is Format.PROTOBUF and not {"".join(one.split()) for one in parameters} >= _MESSAGE:
            continue
        if offered is not None and q > best_q:
            best, best_q = offered, q
    return best


def takes_gzip(accept_encoding: bytes | None) -> bool:
    """Whether that Accept-Encoding header names gzip, or everything (RFC 9110 section 12.5.3)."""
    taken = {}
    for item in (accept_encoding or b"").decode("latin-1").lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        taken[coding] = _quality(parameters) > 0
    return taken.get("gzip", taken.get("x-gzip", taken.get("*", False)))


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
