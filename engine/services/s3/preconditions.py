"""Conditional and ranged requests.

Source: Amazon S3 API Reference, GetObject, PutObject, CopyObject; RFC 9110 sections 13 and 14.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from engine.ports import Clock
from engine.services.s3.errors import S3Error, no_such_key
from engine.services.s3.model import ObjectVersion, Upload

_RANGE: Final = re.compile(r"bytes=(\d{0,20})-(\d{0,20})")


class Range(NamedTuple):
    """Bytes `start` to `stop` (exclusive) of `size`."""

    start: int
    stop: int
    size: int


def check_read(headers: Mapping[str, str], version: ObjectVersion, clock: Clock, prefix: str = "") -> None:
    """Conditions of a read, or with a `prefix` of the source of a copy; a time to come is no condition.

    Raises:
        S3Error: PreconditionFailed, or NotModified for a read.
    """
    match, none_match = headers.get(f"{prefix}if-match"), headers.get(f"{prefix}if-none-match")
    since_s = _date_s(headers.get(f"{prefix}if-modified-since"))
    unless_s = _date_s(headers.get(f"{prefix}if-unmodified-since"))
    if match is not None:
        if not _lists(match, version.etag):
            raise _failed(f"{prefix}If-Match")
    elif unless_s is not None and version.modified_s > unless_s:
        raise _failed(f"{prefix}If-Unmodified-Since")
    if none_match is not None:
        if _lists(none_match, version.etag):
            raise _unchanged(version, prefix, "If-None-Match")
    elif since_s is not None and version.modified_s <= since_s <= clock.wall():
        raise _unchanged(version, prefix, "If-Modified-Since")


def check_write(headers: Mapping[str, str], key: str, current: ObjectVersion | None) -> None:
    """Conditions of a write: `If-None-Match: *`, or `If-Match` with an ETag.

    Raises:
        S3Error: PreconditionFailed; NoSuchKey if there is nothing to match; NotImplemented for both, and for
            other values, as on AWS.
    """
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is None and none_match is None:
        return
    if match is not None and none_match is not None:
        raise _not_taken(
            "If-Match,If-None-Match", "Multiple conditional request headers present in the request"
        )
    exists = current is not None and not current.is_marker
    if none_match is not None:
        if none_match.strip() != "*":
            raise _not_taken("If-None-Match")
        if exists:
            raise _failed("If-None-Match")
    elif match is not None:
        if match.strip() == "*":
            raise _not_taken("If-Match")
        if current is None or not exists:
            raise no_such_key(key)
        if not _lists(match, current.etag):
            raise _failed("If-Match")


def check_completion(headers: Mapping[str, str], upload: Upload, current: ObjectVersion | None) -> None:
    """The same of an upload in parts, whose conditions must have held since it was begun.

    Raises:
        S3Error: ConditionalRequestConflict too.
    """
    check_write(headers, upload.key, current)
    condition = next((name for name in ("If-Match", "If-None-Match") if name.lower() in headers), None)
    if condition is not None and (
        upload.saw_deletion or (current is not None and current.number > upload.begun_number)
    ):
        details = {"Condition": condition, "Key": upload.key}
        raise S3Error("ConditionalRequestConflict", details=details)


def asked_range(headers: Mapping[str, str], size: int) -> Range | None:
    """The range of the header `Range`; None if it is absent or ignored by S3 (several ranges, other units).

    Raises:
        S3Error: InvalidRange.
    """
    asked = headers.get("range")
    found = _RANGE.fullmatch(asked.replace(" ", "")) if asked else None
    if found is None or not (found[1] or found[2]):
        return None
    if found[1]:
        start, stop = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < int(found[1]):
            return None
    else:
        start, stop = max(size - int(found[2]), 0), size
    if start >= size or start >= stop:
        details = {"RangeRequested": asked or "", "ActualObjectSize": str(size)}
        raise S3Error("InvalidRange", details=details)
    return Range(start, stop, size)


def _lists(header: str, etag: str) -> bool:
    """Whether a list of ETags, quoted or not, holds `etag` or `*`."""
    listed = {item.strip().removeprefix("W/").strip('"') for item in header.split(",")}
    return "*" in listed or etag in listed


def _date_s(text: str | None) -> float | None:
    """Seconds since the epoch; None for a date that is absent, or none, which HTTP says to ignore."""
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _not_taken(header: str, why: str | None = None) -> S3Error:
    why = why or f"We don't accept the provided value of {header} header for this API"
    return S3Error("NotImplemented", details={"Header": header, "additionalMessage": why})


def _failed(condition: str) -> S3Error:
    return S3Error("PreconditionFailed", details={"Condition": condition})


def _unchanged(version: ObjectVersion, prefix: str, condition: str) -> S3Error:
    if prefix:
        return _failed(f"{prefix}{condition}")
    return S3Error("NotModified", headers=b'etag: "%b"\r\n' % version.etag.encode())
