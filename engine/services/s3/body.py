"""Reads the body of a request: removes its framing, and checks every digest that came with it.

Everything here is a pure function of the request, so that large bodies can be checked on a worker thread.
Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3"; API Reference, PutObject.
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
from engine.services.s3.chunked_encoding import KINDS, decode
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
    found: list[tuple[Algorithm, str]] = []
    for name, value in headers.items():
        if not name.startswith(_PREFIX):
            continue
        if name in _UNKNOWN:
            raise not_implemented(f"checksums by {name.removeprefix(_PREFIX).upper()}")
        if name in BY_HEADER:
            found.append((BY_HEADER[name], value))
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
