"""What a REST API does to requests and answers before anybody sees them: headers, coded bodies, queries.

Sources: API Gateway Developer Guide, "Amazon API Gateway important notes" (notes for REST APIs; the column
`lambda` of the table of headers) and "Call an API method with a compressed payload". Not confirmed by a
primary source: the bodies of the refusals, and that a coding in another spelling than lower case is taken.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from engine.sources.http.responses import HeadRules

LEFT_OUT_OF_EVENTS: Final = frozenset(
    {
        b"content-length",
        b"content-md5",
        b"max-forwards",
        b"proxy-authenticate",
        b"server",
        b"www-authenticate",
    }
)
"""Headers of a request that no event of a REST API has, besides those about the connection."""

ANSWER_RULES: Final = HeadRules(
    left_out=frozenset({"expect", "host", "proxy-authenticate", "via"}),
    remapped=frozenset(
        {
            "authorization",
            "connection",
            "content-md5",
            "date",
            "max-forwards",
            "server",
            "user-agent",
            "www-authenticate",
        }
    ),
)

_SPELLED: Final = {name.lower().encode(): name for name in ("Authorization", "User-Agent", "X-Forwarded-For")}
_SLICE_BYTES: Final = 16_384
_MAX_STREAMS: Final = 1000
"""Members of a gzip file: ten million bytes could be half a million of them, with nothing inside."""
_NOT_IN_QUERY: Final = re.compile(r"[|{}]")


class NotDecodable(Exception):
    """A body is not in the coding that its `Content-Encoding` names, or that is none a REST API knows."""


class DecodedTooLarge(Exception):
    """A body is larger than allowed once it is decoded."""


def is_refused(query: str) -> bool:
    """Whether it holds a character that has to be sent percent-encoded."""
    return _NOT_IN_QUERY.search(query) is not None


def spelling(name: bytes) -> str:
    """How events spell a header: as it was sent, save those that the edge spells its own way (recorded)."""
    return _SPELLED.get(name.lower()) or name.decode("latin-1")


def is_signature(authorization: bytes) -> bool:
    """Whether it is one of AWS's version 4, which the event does not have."""
    return authorization.startswith(b"AWS4-")


def decoded(body: bytes, coding: bytes, max_bytes: int) -> bytes:
    """`body` without its content coding: `gzip`, `deflate` or `identity`.

    Raises:
        NotDecodable: It is not in that coding, or that is none of these.
        DecodedTooLarge: It would be more than `max_bytes`.
    """
    name = coding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name not in (b"gzip", b"deflate"):
        raise NotDecodable
    try:
        return _inflated(body, zlib.MAX_WBITS + 16 if name == b"gzip" else zlib.MAX_WBITS, max_bytes)
    except zlib.error:
        raise NotDecodable from None


def _inflated(body: bytes, window_bits: int, max_bytes: int) -> bytes:
    """All members of a gzip file, or one zlib stream.

    It is read in slices, for a stream copies what is left behind each member.
    """
    pieces: list[bytes] = []
    left, streams = max_bytes, 0
    stream = None
    for start in range(0, len(body), _SLICE_BYTES):
        rest = body[start : start + _SLICE_BYTES]
        while rest:
            if stream is None or stream.eof:
                stream, streams = zlib.decompressobj(window_bits), streams + 1
                if streams > _MAX_STREAMS:
                    raise DecodedTooLarge
            piece = stream.decompress(rest, left + 1)
            left -= len(piece)
            if left < 0:
                raise DecodedTooLarge
            pieces.append(piece)
            rest = stream.unused_data
    if stream is not None and not stream.eof:
        raise zlib.error("the body ends too soon")
    return b"".join(pieces)
