"""DeleteObject and DeleteObjects.

Source: Amazon S3 API Reference, DeleteObject and DeleteObjects.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from engine.protocols.aws.operation import operation
from engine.services.s3.blob_store import EMPTY
from engine.services.s3.body import has_digest
from engine.services.s3.documents import answer, payload_of
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.events import ObjectEvent
from engine.services.s3.model import NULL_VERSION, Bucket, ObjectMetadata, ObjectVersion, Versioning
from engine.services.s3.names import checked_key
from engine.services.s3.object_lock import BYPASS, bypasses_governance, check_deletable
from engine.services.s3.operation_context import (
    OperationContext,
    event_of,
    take_document,
    version_asked,
    version_header,
)
from engine.services.s3.operations.settings import OBJECT_LOCK
from engine.services.s3.parameters import is_version_id
from engine.services.s3.preconditions import check_write
from engine.services.s3.request import Preparation, S3Request, S3Response
from engine.services.s3.store import EMPTY_MD5

_MAX_KEYS: Final = 1000


@operation("DeleteObject", writes=True)
def delete_object(context: OperationContext, call: S3Request) -> S3Response:
    """A missing object is no error."""
    bucket = context.bucket(call)
    _check_bypass(call, bucket)
    version_id = version_asked(call.query)
    if "if-match" in call.headers:
        check_write({"if-match": call.headers["if-match"]}, call.key, bucket.latest(call.key))
    _check_lock(context, call, bucket, call.key, version_id)
    head, events = deleted(context, call, bucket, call.key, version_id)
    return S3Response(204, head, b"", events)


def deleted(
    context: OperationContext, call: S3Request, bucket: Bucket, key: str, version_id: str | None
) -> tuple[bytes, tuple[ObjectEvent, ...]]:
    """Delete; returns the header lines of the answer, and the events."""
    removed, marker = context.store.delete(bucket, key, version_id)
    if marker is not None:
        created = event_of(call, bucket, marker, "ObjectRemoved:DeleteMarkerCreated", sized=False)
        head = b"x-amz-delete-marker: true\r\n" + version_header(bucket, marker)
        return head, (created._replace(etag=EMPTY_MD5),)
    head = b""
    if version_id is not None:
        head = b"x-amz-version-id: %b\r\n" % version_id.encode()
        if removed is not None and removed.is_marker:
            head = b"x-amz-delete-marker: true\r\n" + head
    if removed is None:
        return head, ()
    event = event_of(call, bucket, removed, "ObjectRemoved:Delete", sized=False)
    return head, (event._replace(etag=None),)


def take_list(context: OperationContext, call: S3Request) -> Preparation:
    """The body of DeleteObjects, which must come with a digest."""
    if not has_digest(call.headers):
        message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
        raise S3Error("InvalidRequest", message)
    return Preparation(partial(take_document, context, call))


@operation("DeleteObjects", writes=True)
def delete_objects(context: OperationContext, call: S3Request) -> S3Response:
    """Each key by itself, all in one answer."""
    bucket = context.bucket(call)
    _check_bypass(call, bucket)
    asked = payload_of("DeleteObjects", call.document)
    if len(asked["Objects"]) > _MAX_KEYS or not all(item["Key"] for item in asked["Objects"]):
        raise S3Error("MalformedXML")
    output: list[tuple[str, Any]] = []
    events: list[ObjectEvent] = []
    for item in asked["Objects"]:
        result, shown, item_events = _delete_one(context, call, bucket, item)
        events += item_events
        if result == "Errors" or not asked.get("Quiet"):
            output.append((result, [shown]))
    return answer("DeleteObjects", output, b"", events)


def _delete_one(
    context: OperationContext, call: S3Request, bucket: Bucket, item: Mapping[str, Any]
) -> tuple[str, dict[str, Any], tuple[ObjectEvent, ...]]:
    """The list of the answer that tells of it, what that says, and the events."""
    key, version_id = item["Key"], item.get("VersionId") or None
    shown: dict[str, Any] = {"Key": key, "VersionId": version_id}
    try:
        checked_key(key)
        if version_id and not is_version_id(version_id):
            raise S3Error("NoSuchVersion")
        if "ETag" in item:
            check_write({"if-match": item["ETag"]}, key, bucket.latest(key))
        _check_lock(context, call, bucket, key, version_id)
    except S3Error as error:
        return "Errors", shown | {"Code": error.code, "Message": error.message}, ()
    head, events = deleted(context, call, bucket, key, version_id)
    if bucket.versioning is Versioning.NEVER and not events and not version_id:
        # Unlike DeleteObject, S3 notifies of keys that did not exist too (recorded).
        absent = ObjectVersion(key, EMPTY, "", ObjectMetadata())
        events = (event_of(call, bucket, absent, "ObjectRemoved:Delete", sized=False),)
    if b"x-amz-delete-marker" in head:
        marker = events[0].version_id if events and not version_id else version_id
        shown |= {"DeleteMarker": True, "DeleteMarkerVersionId": marker or NULL_VERSION}
    return "Deleted", shown, events


def _check_lock(
    context: OperationContext, call: S3Request, bucket: Bucket, key: str, version_id: str | None
) -> None:
    """Raise S3Error AccessDenied if a version is to be deleted that is locked."""
    if version_id is None or OBJECT_LOCK.name not in bucket.settings:
        return
    for version in bucket.keys.get(key, ()):
        if version.version_id == version_id:
            check_deletable(version, context.clock.wall(), bypasses=bypasses_governance(call.headers))


def _check_bypass(call: S3Request, bucket: Bucket) -> None:
    """Raise S3Error InvalidArgument for a header that is for buckets with object lock."""
    if BYPASS in call.headers and OBJECT_LOCK.name not in bucket.settings:
        raise invalid_argument(f"{BYPASS} is only applicable to Object Lock enabled buckets.", BYPASS)
