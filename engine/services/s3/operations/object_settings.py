"""What is kept with an object beside its bytes, and changed alone: tags, ACL, locks, the restored copy.

What is archived can be read for some days from a restore on, which is done at once.
Source: Amazon S3 API Reference of each; User Guide, "Restoring an archived object"; answers recorded on AWS.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from engine.protocols.aws.operation import operation
from engine.services.s3.acl import ACL, PRIVATE, acl_asked
from engine.services.s3.documents import answer, payload_of
from engine.services.s3.errors import S3Error, no_such_key, not_implemented
from engine.services.s3.events import RestoredCopy
from engine.services.s3.model import Bucket, ObjectVersion
from engine.services.s3.object_lock import (
    HOLD,
    RETENTION,
    bypasses_governance,
    check_future,
    check_locks,
    check_retention_change,
)
from engine.services.s3.object_metadata import ARCHIVES, RESTORED_UNTIL, is_restored, storage_class
from engine.services.s3.operation_context import OperationContext, event_of, version_header
from engine.services.s3.request import S3Request, S3Response
from engine.services.s3.store import is_a_marker
from engine.services.s3.tags import shown_tags, tags_in

_DAY_S: Final = 86_400
_MAX_DAYS: Final = 1_000_000
"""More than any copy is kept for, and few enough for a date."""


def _replaced(
    context: OperationContext, call: S3Request, event: str = "", status: int = 200, **changes: Any
) -> S3Response:
    """Replace members of the metadata of the version a call is for; there is an event if that has a name."""
    bucket, version = context.version(call)
    context.store.set_metadata(bucket, version, replace(version.object_metadata, **changes))
    events = (event_of(call, bucket, version, event, sized=False),) if event else ()
    return S3Response(status, version_header(bucket, version), b"", events)


def _with(version: ObjectVersion, name: str, value: Any) -> dict[str, Any]:
    return {**version.object_metadata.settings, name: value}


# --- tags


@operation("GetObjectTagging")
def get_object_tagging(context: OperationContext, call: S3Request) -> S3Response:
    try:
        bucket, version = _tagged(context, call)
    except S3Error as error:
        if error.code != "NoSuchKey":
            raise
        raise no_such_key(f"{call.bucket}/{call.key}", error.headers) from None  # here alone, as recorded
    tags = shown_tags(version.object_metadata.tags)
    return answer("GetObjectTagging", tags, version_header(bucket, version))


@operation("PutObjectTagging", writes=True)
def put_object_tagging(context: OperationContext, call: S3Request) -> S3Response:
    _tagged(context, call)
    tags = tags_in(payload_of("PutObjectTagging", call.document)["TagSet"])
    return _replaced(context, call, "ObjectTagging:Put", tags=tags)


@operation("DeleteObjectTagging", writes=True)
def delete_object_tagging(context: OperationContext, call: S3Request) -> S3Response:
    _tagged(context, call)
    return _replaced(context, call, "ObjectTagging:Delete", 204, tags={})


def _tagged(context: OperationContext, call: S3Request) -> tuple[Bucket, ObjectVersion]:
    """The version a call is for. Raises S3Error: MethodNotAllowed also if the newest is a delete marker."""
    newest = context.bucket(call).latest(call.key)
    if "versionId" not in call.query and newest is not None and newest.is_marker:
        raise is_a_marker(newest, call.method)
    return context.version(call)


# --- ACL


@operation("GetObjectAcl", kept=True)
def get_object_acl(context: OperationContext, call: S3Request) -> S3Response:
    bucket, version = context.version(call)
    acl = version.object_metadata.settings.get(ACL, PRIVATE)
    return answer("GetObjectAcl", acl, version_header(bucket, version))


@operation("PutObjectAcl", writes=True, kept=True)
def put_object_acl(context: OperationContext, call: S3Request) -> S3Response:
    """There is an event if it changes anything."""
    bucket, version = context.version(call)
    acl = acl_asked(call)
    if acl == version.object_metadata.settings.get(ACL, PRIVATE):
        return S3Response(200, version_header(bucket, version))
    return _replaced(context, call, "ObjectAcl:Put", settings=_with(version, ACL, acl))


# --- legal hold and retention


@operation("PutObjectLegalHold", writes=True)
def put_legal_hold(context: OperationContext, call: S3Request) -> S3Response:
    hold = payload_of("PutObjectLegalHold", call.document)
    check_locks(context.bucket(call))
    _, version = context.version(call)
    return _replaced(context, call, settings=_with(version, HOLD, hold))


@operation("GetObjectLegalHold")
def get_legal_hold(context: OperationContext, call: S3Request) -> S3Response:
    return _shown_lock(context, call, HOLD)


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
    check_retention_change(before, retention, now_s, bypasses=bypasses_governance(call.headers))
    return _replaced(context, call, settings=_with(version, RETENTION, retention or None))


@operation("GetObjectRetention")
def get_retention(context: OperationContext, call: S3Request) -> S3Response:
    return _shown_lock(context, call, RETENTION)


def _shown_lock(context: OperationContext, call: S3Request, name: str) -> S3Response:
    check_locks(context.bucket(call))
    _, version = context.version(call)
    value = version.object_metadata.settings.get(name)
    if value is None:
        raise S3Error("NoSuchObjectLockConfiguration")
    return answer(f"Get{name}", value)


# --- restored copies


@operation("RestoreObject", writes=True)
def restore_object(context: OperationContext, call: S3Request) -> S3Response:
    """202; 200 if it only moves the end of a copy that is there."""
    bucket, version = context.version(call)
    asked = payload_of("RestoreObject", call.document)
    if asked.get("Type") == "SELECT" or "SelectParameters" in asked or "OutputLocation" in asked:
        raise not_implemented("queries of archived objects")
    archive = storage_class(version)
    if archive not in ARCHIVES:
        message = "Restore is not allowed for the object's current storage class"
        raise S3Error("InvalidObjectState", message, {"StorageClass": archive})
    days = asked.get("Days", 0)
    if not 1 <= days <= _MAX_DAYS:
        raise S3Error("MalformedXML")
    now_s = context.clock.wall()
    status = 200 if is_restored(version, now_s) else 202
    until_s = (now_s // _DAY_S + days + 1) * _DAY_S  # the midnight after so many days
    answered = _replaced(context, call, status=status, settings=_with(version, RESTORED_UNTIL, until_s))
    restored = RestoredCopy(archive, until_s)
    events = [
        event_of(call, bucket, version, event)._replace(restored=restored)
        for event in ("ObjectRestore:Post", "ObjectRestore:Completed")
    ]
    return answered._replace(events=events)
