r"""Bodies in `aws-chunked` encoding: chunks with sizes and, perhaps, signatures, then trailing headers.

    <hex size>[;chunk-signature=<64 hex>]\r\n<data>\r\n ...
    0[;chunk-signature=...]\r\n[name:value\r\n ...]\r\n

The signatures must be there where they were announced; like all signatures here they are not checked.
Source: Amazon S3 API Reference, "Signature calculations for the Authorization header: transferring payload in
multiple chunks".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from engine.services.s3.errors import S3Error

KINDS: Final = frozenset(
    {
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
    }
)
"""Values of `x-amz-content-sha256` that announce this encoding."""

_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,16}")
_SIGNATURE: Final = re.compile(rb"chunk-signature=[0-9a-fA-F*]{64,144}")
_TRAILER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x20-\x7e\x80-\xff]*)")
_LONGEST_LINE: Final = 1024
_MAX_TRAILERS: Final = 32


class Decoded(NamedTuple):
    """The data and the trailing headers, names in lower case."""

    data: bytes
    trailers: dict[str, str]


def decode(body: bytes, declared_length: int, *, signed: bool, trailing: bool) -> Decoded:
    """Remove the framing.

    Args:
        body: The body as HTTP delivered it.
        declared_length: `x-amz-decoded-content-length`.
        signed: Every chunk must carry a signature.
        trailing: Trailing headers were announced.

    Raises:
        S3Error: The framing is broken, or the data is not as long as declared.
    """
    pieces: list[bytes] = []
    at = total = 0
    while True:
        size, at = _chunk_head(body, at, signed=signed)
        if size == 0:
            break
        total += size
        if total > declared_length or body[at + size : at + size + 2] != b"\r\n":
            raise _incomplete(declared_length, total)
        pieces.append(body[at : at + size])
        at += size + 2
    if total != declared_length:
        raise _incomplete(declared_length, total)
    trailers = _trailers(body, at)
    if trailers and not trailing:
        raise S3Error("MalformedTrailerError")
    return Decoded(pieces[0] if len(pieces) == 1 else b"".join(pieces), trailers)


def _chunk_head(body: bytes, at: int, *, signed: bool) -> tuple[int, int]:
    """Size of the chunk, and where its data begins."""
    end = body.find(b"\r\n", at, at + _LONGEST_LINE)
    if end < 0:
        raise S3Error("IncompleteBody", "The request body terminated unexpectedly")
    size, semicolon, extension = body[at:end].partition(b";")
    if not _SIZE.fullmatch(size):
        raise S3Error("IncompleteBody", "The request body is not well-formed aws-chunked data")
    if (signed or semicolon) and not _SIGNATURE.fullmatch(extension):
        raise S3Error("SignatureDoesNotMatch")
    return int(size, 16), end + 2


def _trailers(body: bytes, at: int) -> dict[str, str]:
    """The headers behind the last chunk; the empty line at the end may be missing."""
    rest = body[at:]
    if len(rest) > _LONGEST_LINE * _MAX_TRAILERS:
        raise S3Error("MalformedTrailerError")
    trailers: dict[str, str] = {}
    lines = rest.split(b"\r\n")
    while lines and not lines[-1]:
        lines.pop()
    for line in lines:
        found = _TRAILER.fullmatch(line.rstrip(b"\n"))  # some clients end the signature's line by LF alone
        if found is None:
            raise S3Error("MalformedTrailerError")
        trailers[found[1].decode("ascii").lower()] = found[2].decode("latin-1").strip()
    return trailers


def _incomplete(declared: int, provided: int) -> S3Error:
    details = {"NumberBytesExpected": str(declared), "NumberBytesProvided": str(provided)}
    return S3Error("IncompleteBody", details=details)
