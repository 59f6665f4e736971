r"""Reads the body of a request: removes its framing, and checks every digest that came with it.

Framed bodies, `aws-chunked`, are chunks with sizes and, perhaps, signatures, then trailing headers:

    <hex size>[;chunk-signature=<64 hex>]\r\n<data>\r\n ...
    0[;chunk-signature=...]\r\n[name:value\r\n ...]\r\n

The signatures must be there where they were announced; like all signatures here they are not checked.
Everything here is a pure function of the request, so that large bodies can be checked on a worker thread.
Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3"; API Reference, PutObject,
"Signature calculations for the Authorization header: transferring payload in multiple chunks".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from engine.services.s3.checksums import (
    BY_HEADER,
    UNKNOWN_ALGORITHMS,
    Algorithm,
    Checksum,
    algorithm_named,
    b64,
    unb64,
)
from engine.services.s3.errors import S3Error, invalid_argument, not_implemented

_HEX64: Final = re.compile(r"[0-9a-fA-F]{64}")
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_SHA256: Final = "x-amz-content-sha256"
_UNKNOWN: Final = {f"x-amz-checksum-{name.lower()}" for name in UNKNOWN_ALGORITHMS}
_PREFIX: Final = "x-amz-checksum-"


class Received(NamedTuple):
    """A checked body. `checksum` is the one that came with it, if any."""

    data: bytes
    checksum: Checksum | None


def receive(headers: Mapping[str, str], body: bytes, *, sums_body: bool = True) -> Received:
    """Check a body and remove its framing.

    Args:
        headers: Names in lower case.
        body: As HTTP delivered it.
        sums_body: Whether `x-amz-checksum-*` is about this body; at the end of a multipart upload it is
            about the object instead.

    Raises:
        S3Error: It is damaged, or not of the form announced.
    """
    declared = headers.get(_SHA256, "")
    trailers: Mapping[str, str] = {}
    if declared in KINDS:
        body, trailers = _unframed(headers, body, declared)
    elif _HEX64.fullmatch(declared):
        _check_sha256(declared, body)
    elif declared and declared != _UNSIGNED:
        message = (
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a valid "
            "sha256 value."
        )
        raise invalid_argument(message, _SHA256, declared)
    _check_md5(headers, body)
    if not sums_body:
        return Received(body, None)
    checksum = _checksum_of(headers, trailers, body)
    if checksum is None and "x-amz-sdk-checksum-algorithm" in headers:
        raise S3Error(
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
            "headers were found.",
        )
    return Received(body, checksum)


def has_digest(headers: Mapping[str, str]) -> bool:
    """Whether the request has a digest of its body, which some operations require."""
    return (
        "content-md5" in headers
        or "x-amz-trailer" in headers
        or any(name.startswith(_PREFIX) for name in headers)
    )


def sent_checksum(headers: Mapping[str, str]) -> tuple[Algorithm, str] | None:
    """The one `x-amz-checksum-*` header: algorithm and base64 value.

    Raises:
        S3Error: There are several, or it is none that could be.
    """
    found = [(BY_HEADER[name], value) for name, value in headers.items() if name in BY_HEADER]
    if not _UNKNOWN.isdisjoint(headers):
        name = next(name for name in headers if name in _UNKNOWN)
        raise not_implemented(f"checksums by {name.removeprefix(_PREFIX).upper()}")
    if len(found) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    return found[0] if found else None


def decoded_length(headers: Mapping[str, str]) -> int:
    """`x-amz-decoded-content-length`, which framed bodies must announce."""
    text = headers.get("x-amz-decoded-content-length", "")
    if not text.isascii() or not text.isdigit():
        raise S3Error("MissingContentLength")
    return int(text[:20])


def _unframed(headers: Mapping[str, str], body: bytes, kind: str) -> tuple[bytes, Mapping[str, str]]:
    announced = {name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",") if name.strip()}
    data, trailers = decode(
        body,
        decoded_length(headers),
        signed="UNSIGNED" not in kind,
        trailing=kind.endswith("-TRAILER"),
    )
    if not announced <= trailers.keys():
        raise S3Error("MalformedTrailerError")
    return data, {name: value for name, value in trailers.items() if name in announced}


def _check_sha256(declared: str, body: bytes) -> None:
    computed = hashlib.sha256(body).hexdigest()
    if computed != declared.lower():
        details = {"ClientComputedContentSHA256": declared, "S3ComputedContentSHA256": computed}
        raise S3Error("XAmzContentSHA256Mismatch", details=details)


def _check_md5(headers: Mapping[str, str], body: bytes) -> None:
    sent = headers.get("content-md5")
    if sent is None:
        return
    digest = unb64(sent, 16)
    if digest is None:
        raise S3Error("InvalidDigest", details={"Content-MD5": sent})
    computed = hashlib.md5(body, usedforsecurity=False).digest()
    if computed != digest:
        raise S3Error("BadDigest", details={"ExpectedDigest": sent, "CalculatedDigest": b64(computed)})


def _checksum_of(headers: Mapping[str, str], trailers: Mapping[str, str], body: bytes) -> Checksum | None:
    sent = sent_checksum({**headers, **trailers} if trailers else headers)
    if sent is None:
        return None
    algorithm, value = sent
    named = headers.get("x-amz-sdk-checksum-algorithm")
    if named is not None and algorithm_named(named) is not algorithm:
        raise S3Error("InvalidRequest", f"Value for x-amz-sdk-checksum-algorithm header is invalid: {named}")
    if unb64(value, algorithm.size) is None:
        raise S3Error("InvalidRequest", f"Value for {algorithm.header} header is invalid.")
    algorithm.check(body, value)
    return Checksum(algorithm.name, value)


# --- framing

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
