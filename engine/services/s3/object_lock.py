"""Object lock: what a version is locked by, and who may delete it all the same.

Source: Amazon S3 User Guide, "Locking objects with Object Lock"; API Reference, PutObject and
PutObjectRetention.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from engine.protocols.aws.rest_xml_input import MalformedDocument, epoch_s
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.model import Bucket, ObjectMetadata, ObjectVersion
from engine.services.s3.notification_records import iso_ms

CONFIGURATION: Final = "ObjectLockConfiguration"
RETENTION: Final = "ObjectRetention"
HOLD: Final = "ObjectLegalHold"
"""Names of the settings, of a bucket and of objects."""
BYPASS: Final = "x-amz-bypass-governance-retention"
_MODE: Final = "x-amz-object-lock-mode"
_UNTIL: Final = "x-amz-object-lock-retain-until-date"
_HOLD: Final = "x-amz-object-lock-legal-hold"
HEADERS: Final = frozenset({_MODE, _UNTIL, _HOLD})
"""Headers that lock what is made."""
_DAY_S: Final = 86_400
_YEAR_DAYS: Final = 365


def lock_of(headers: Mapping[str, str]) -> dict[str, Any]:
    """The settings that headers ask for. Raises S3Error."""
    settings: dict[str, Any] = {}
    mode, until, hold = (headers.get(name) for name in (_MODE, _UNTIL, _HOLD))
    if (mode is None) != (until is None):
        raise invalid_argument(f"{_UNTIL} and {_MODE} must both be supplied", _MODE if until else _UNTIL)
    if mode is not None and until is not None:
        if mode not in ("GOVERNANCE", "COMPLIANCE"):
            raise invalid_argument("Unknown wormMode directive.", _MODE, mode)
        settings[RETENTION] = {"Mode": mode, "RetainUntilDate": _until_s(until)}
    if hold is not None:
        if hold not in ("ON", "OFF"):
            raise invalid_argument("Legal Hold must be either of 'ON' or 'OFF'", _HOLD, hold)
        settings[HOLD] = {"Status": hold}
    return settings


def _until_s(text: str) -> float:
    try:
        return epoch_s(text)
    except MalformedDocument:
        message = "The retain until date must be provided in ISO 8601 format"
        raise invalid_argument(message, _UNTIL, text) from None


def check_locks(bucket: Bucket) -> None:
    """Raise S3Error InvalidRequest if nothing in the bucket can be locked."""
    if CONFIGURATION not in bucket.settings:
        raise S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")


def locked(bucket: Bucket, object_metadata: ObjectMetadata, now_s: float) -> ObjectMetadata:
    """What is to be stored in the bucket, with the retention that the bucket gives it. Raises S3Error."""
    settings = object_metadata.settings
    if RETENTION in settings or HOLD in settings:
        check_locks(bucket)
    if RETENTION in settings:
        check_future(settings[RETENTION], now_s)
        return object_metadata
    default = bucket.settings.get(CONFIGURATION, {}).get("Rule", {}).get("DefaultRetention")
    if default is None:
        return object_metadata
    days = default.get("Days") or default["Years"] * _YEAR_DAYS
    retention = {"Mode": default["Mode"], "RetainUntilDate": now_s + days * _DAY_S}
    return replace(object_metadata, settings={**settings, RETENTION: retention})


def check_future(retention: Mapping[str, Any], now_s: float) -> None:
    """Raise S3Error InvalidArgument if the retention is over before it begins."""
    until_s = retention["RetainUntilDate"]
    if until_s < now_s:
        message = "The retain until date must be in the future!"
        raise invalid_argument(message, "RetainUntilDate", iso_ms(until_s))


def check_deletable(version: ObjectVersion, now_s: float, *, bypasses: bool) -> None:
    """Raise S3Error AccessDenied for a locked version; governance can be bypassed, nothing else."""
    settings = version.object_metadata.settings
    is_held = (settings.get(HOLD) or {}).get("Status") == "ON"
    if is_held or is_retained(settings.get(RETENTION), now_s, bypasses=bypasses):
        raise _denied()


def check_retention_change(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], now_s: float, *, bypasses: bool
) -> None:
    """Raise S3Error AccessDenied for a retention that would be weaker, or of another mode."""
    if before is None or not is_retained(before, now_s, bypasses=bypasses):
        return
    same_mode = after.get("Mode") == before["Mode"]
    if not same_mode or after["RetainUntilDate"] < before["RetainUntilDate"]:
        raise _denied()


def is_retained(retention: Mapping[str, Any] | None, now_s: float, *, bypasses: bool) -> bool:
    """Whether a retention holds; one of governance does not for who bypasses it."""
    if not retention or retention["RetainUntilDate"] <= now_s:
        return False
    return not (bypasses and retention["Mode"] == "GOVERNANCE")


def bypasses_governance(headers: Mapping[str, str]) -> bool:
    """Whether the caller says that retention by governance is not for him."""
    return headers.get(BYPASS, "").lower() == "true"


def _denied() -> S3Error:
    return S3Error("AccessDenied", "Access Denied because object protected by object lock.")
