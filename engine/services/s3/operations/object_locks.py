"""Legal hold and retention of objects.

Source: Amazon S3 API Reference of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.protocols.aws.operation import operation
from engine.services.s3.errors import S3Error
from engine.services.s3.object_lock import (
    BYPASS,
    HOLD,
    RETENTION,
    check_future,
    check_locks,
    check_retention_change,
)
from engine.services.s3.operation_context import OperationContext, version_header
from engine.services.s3.request import S3Request, S3Response
from engine.services.s3.xml_input import payload_of
from engine.services.s3.xml_output import answer


@operation("PutObjectLegalHold", writes=True)
def put_legal_hold(context: OperationContext, call: S3Request) -> S3Response:
    hold = payload_of("PutObjectLegalHold", call.document)
    if "Status" not in hold:
        raise S3Error("MalformedXML")
    check_locks(context.bucket(call))
    return _kept(context, call, HOLD, hold)


@operation("GetObjectLegalHold")
def get_legal_hold(context: OperationContext, call: S3Request) -> S3Response:
    return _shown(context, call, HOLD)


@operation("PutObjectRetention", writes=True)
def put_retention(context: OperationContext, call: S3Request) -> S3Response:
    """An empty one ends it, for who may."""
    retention = payload_of("PutObjectRetention", call.document)
    if retention and not {"Mode", "RetainUntilDate"} <= retention.keys():
        raise S3Error("MalformedXML")
    check_locks(context.bucket(call))
    _, version = context.version(call)
    now_s = context.clock.wall()
    if retention:
        check_future(retention, now_s)
    before = version.object_metadata.settings.get(RETENTION)
    check_retention_change(before, retention, now_s, bypasses=bypasses_governance(call))
    return _kept(context, call, RETENTION, retention or None)


@operation("GetObjectRetention")
def get_retention(context: OperationContext, call: S3Request) -> S3Response:
    return _shown(context, call, RETENTION)


def bypasses_governance(call: S3Request) -> bool:
    """Whether the caller says that retention by governance is not for him."""
    return call.headers.get(BYPASS, "").lower() == "true"


def _kept(
    context: OperationContext, call: S3Request, name: str, value: Mapping[str, Any] | None
) -> S3Response:
    bucket, version = context.version(call)
    kept = version.object_metadata
    context.store.set_metadata(bucket, version, replace(kept, settings={**kept.settings, name: value}))
    return S3Response(200, version_header(bucket, version))


def _shown(context: OperationContext, call: S3Request, name: str) -> S3Response:
    check_locks(context.bucket(call))
    _, version = context.version(call)
    value = version.object_metadata.settings.get(name)
    if value is None:
        raise S3Error("NoSuchObjectLockConfiguration")
    return answer(f"Get{name}", value)
