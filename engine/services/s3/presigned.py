"""Presigned URLs: signatures are not checked, but a URL that has expired is refused.

Source: Amazon S3 API Reference, "Authenticating requests: using query parameters"; "Signing and
authenticating REST requests (AWS signature version 2)".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from engine.services.s3.errors import S3Error
from engine.services.s3.notification_records import iso_ms

_WEEK_S: Final = 604_800


def check_expiry(query: Mapping[str, str], wall_s: float) -> None:
    """Raise S3Error if `query` is that of a presigned URL whose time is over, or that has none."""
    if "X-Amz-Expires" in query or "X-Amz-Signature" in query:
        expires_s = _version_4(query)
    elif "Signature" in query and "AWSAccessKeyId" in query:
        expires_s = _version_2(query)
    else:
        return
    if wall_s > expires_s:
        details = {"Expires": _iso(expires_s), "ServerTime": _iso(wall_s)}
        raise S3Error("AccessDenied", "Request has expired", details)


def _version_4(query: Mapping[str, str]) -> float:
    code = "AuthorizationQueryParametersError"
    missing = {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature"}
    if not missing <= query.keys():
        raise S3Error(
            code,
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        )
    text = query["X-Amz-Expires"]
    if not text.lstrip("-").isdigit() or not text.isascii() or len(text) > 10:
        raise S3Error(code, "X-Amz-Expires should be a number")
    lives_s = int(text)
    if lives_s < 0:
        raise S3Error(code, "X-Amz-Expires must be non-negative")
    if lives_s > _WEEK_S:
        raise S3Error(code, "X-Amz-Expires must be less than a week (in seconds) that is, 604800")
    try:
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise S3Error(
            code, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        ) from None
    return signed.timestamp() + lives_s


def _version_2(query: Mapping[str, str]) -> float:
    text = query.get("Expires", "")
    if not text:
        message = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise S3Error("AccessDenied", message)
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise S3Error("AccessDenied", f"Invalid date (should be seconds since epoch): {text[:100]}")
    return float(text)


def _iso(epoch_s: float) -> str:
    return iso_ms(epoch_s)[:19] + "Z"
