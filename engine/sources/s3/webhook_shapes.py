"""Notifications of other stores, and of AWS by other ways, made into S3's own records.

MinIO        `{"EventName", "Key", "Records": [...]}`: event names with `s3:`, keys with their slashes encoded
Ceph RGW     `{"Records": [...]}`: keys as they are, sizes perhaps as text
SeaweedFS    `{"key": "/buckets/b/k", "event_type", "message"}`: nothing of S3 in it
SNS          an envelope with the notification as text in `Message`
EventBridge  `{"source": "aws.s3", "detail-type", "detail"}`: keys as they are, other names for everything

Sources: MinIO `internal/event`; Ceph `rgw_pubsub`; SeaweedFS `weed/notification/webhook`; Amazon S3 User
Guide, "Event message structure" and "EventBridge event message structure"; Amazon SNS Developer Guide,
"Message formats".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

import orjson

from engine.services.s3.notification_records import (
    CREATED,
    DELETED,
    DETAIL_TYPES,
    PRINCIPAL_ID,
    REASONS,
    NotificationRecords,
    bucket_members,
    encoded_key,
)

_CREATIONS: Final = {reason: event for event, reason in REASONS.items() if event.startswith("ObjectCreated")}
_BY_TYPE: Final = {kind: event for event, kind in DETAIL_TYPES.items()}
_EXTRAS: Final = (
    "glacierEventData",
    "replicationEventData",
    "intelligentTieringEventData",
    "lifecycleEventData",
)
_SEAWEED: Final = {
    "create": "ObjectCreated:Put",
    "update": "ObjectCreated:Put",
    "delete": "ObjectRemoved:Delete",
}
_MAX_NESTED: Final = 2  # envelopes within each other: SNS of EventBridge, say


class UnknownShape(ValueError):
    """The document is not a notification of a known store."""


def records_of(
    document: Any, records: NotificationRecords, peer: str, depth: int = 0
) -> Iterator[dict[str, Any]]:
    """AWS records, one for each event; none for a test event, or an event that is not of an object.

    Raises:
        UnknownShape: `document` is no notification.
    """
    if isinstance(document, list):
        for item in document:
            yield from records_of(item, records, peer, depth)
    elif not isinstance(document, dict):
        raise UnknownShape("not a JSON object")
    elif isinstance(document.get("Records"), list):
        for record in document["Records"]:
            yield _record(record, records, peer)
    elif document.get("Event") == "s3:TestEvent":
        return
    elif document.get("Type") == "Notification" and isinstance(document.get("Message"), str):
        if depth >= _MAX_NESTED:
            raise UnknownShape("envelopes within envelopes")
        try:
            inner = orjson.loads(document["Message"])
        except orjson.JSONDecodeError:
            raise UnknownShape("the message of the SNS notification is not JSON") from None
        yield from records_of(inner, records, peer, depth + 1)
    elif isinstance(document.get("event_type"), str) and isinstance(document.get("message"), dict):
        yield from _seaweed(document, records, peer)
    elif document.get("source") == "aws.s3" and isinstance(document.get("detail"), dict):
        yield from _bridge(document, document["detail"], records, peer)
    else:
        raise UnknownShape("no notification of S3, MinIO, Ceph, SeaweedFS, SNS or EventBridge")


def _record(record: Any, records: NotificationRecords, peer: str) -> dict[str, Any]:
    """A record that is S3's in shape: MinIO's, Ceph's, AWS's own."""
    entity = _table(record, "s3")
    bucket, object_metadata = _table(entity, "bucket"), _table(entity, "object")
    source = str(record.get("eventSource", ""))
    key = _text(object_metadata, "key")
    name = _text(record, "eventName").removeprefix("s3:")
    decoded = key if source.startswith("ceph") else unquote_plus(key)
    foreign = source != "aws:s3"
    made = _made(
        records,
        peer,
        name,
        _text(bucket, "name"),
        decoded,
        size=object_metadata.get("size"),
        etag=object_metadata.get("eTag") or object_metadata.get("etag"),
        version_id=object_metadata.get("versionId"),
        sequencer=object_metadata.get("sequencer"),
    )
    made["eventTime"] = str(record.get("eventTime") or made["eventTime"])
    made["awsRegion"] = str(record.get("awsRegion") or made["awsRegion"])
    if not foreign and isinstance(record.get("eventVersion"), str):
        made["eventVersion"] = record["eventVersion"]
    for member in ("userIdentity", "requestParameters", "responseElements"):
        if isinstance(record.get(member), dict) and record[member]:
            made[member] = record[member]
    owner = bucket.get("ownerIdentity")
    if isinstance(owner, dict) and owner.get("principalId"):
        made["s3"]["bucket"]["ownerIdentity"] = owner
    made.update({member: record[member] for member in _EXTRAS if member in record})
    return made


def _bridge(
    event: Mapping[str, Any], detail: Mapping[str, Any], records: NotificationRecords, peer: str
) -> Iterator[dict[str, Any]]:
    object_metadata, kind = _table(detail, "object"), _text(event, "detail-type")
    reason, name = str(detail.get("reason", "")), _BY_TYPE.get(kind)
    if kind == CREATED:
        name = _CREATIONS.get(reason, "ObjectCreated:Put")
    elif kind == DELETED:
        marked = detail.get("deletion-type") == "Delete Marker Created"
        family = "LifecycleExpiration" if reason == REASONS["LifecycleExpiration"] else "ObjectRemoved"
        name = f"{family}:{'DeleteMarkerCreated' if marked else 'Delete'}"
    if name is None:
        raise UnknownShape(f"detail-type {kind!r} of EventBridge")
    made = _made(
        records,
        str(detail.get("source-ip-address") or peer),
        name,
        _text(_table(detail, "bucket"), "name"),
        _text(object_metadata, "key"),
        size=object_metadata.get("size"),
        etag=object_metadata.get("etag") or object_metadata.get("eTag"),
        version_id=object_metadata.get("version-id"),
        sequencer=object_metadata.get("sequencer"),
    )
    made["awsRegion"] = str(event.get("region") or made["awsRegion"])
    time = str(event.get("time") or "")
    if time:
        made["eventTime"] = time if "." in time else f"{time.removesuffix('Z')}.000Z"
    if detail.get("request-id"):
        made["responseElements"]["x-amz-request-id"] = str(detail["request-id"])
    if detail.get("requester"):
        made["userIdentity"] = {"principalId": f"AWS:{detail['requester']}"}
    yield made


def _seaweed(event: Mapping[str, Any], records: NotificationRecords, peer: str) -> Iterator[dict[str, Any]]:
    """A change in the filer: objects are what lies under `/buckets/NAME/`."""
    message, kind = event["message"], event["event_type"]
    path = _text(event, "key")
    new, old = _entry(message, "new_entry", "newEntry"), _entry(message, "old_entry", "oldEntry")
    if kind == "rename" and new is not None:
        parent = str(
            message.get("new_parent_path") or message.get("newParentPath") or path.rpartition("/")[0]
        )
        moves = [
            ("ObjectRemoved:Delete", path, old or {}),
            ("ObjectCreated:Put", f"{parent}/{new.get('name')}", new),
        ]
    elif kind in _SEAWEED:
        moves = [(_SEAWEED[kind], path, (old if kind == "delete" else new) or {})]
    else:
        raise UnknownShape(f"event_type {kind!r} of SeaweedFS")
    for name, where, entry in moves:
        parts = where.split("/", 3)
        is_folder = entry.get("is_directory") or entry.get("isDirectory")
        if (
            len(parts) != 4
            or parts[1] != "buckets"
            or not parts[3]
            or is_folder
            or parts[3].startswith(".uploads/")
        ):
            continue
        size = None if name == "ObjectRemoved:Delete" else _seaweed_size(entry)
        yield _made(records, peer, name, parts[2], parts[3], size=size)


def _entry(message: Mapping[str, Any], *names: str) -> dict[str, Any] | None:
    return next((message[name] for name in names if isinstance(message.get(name), dict)), None)


def _seaweed_size(entry: Mapping[str, Any]) -> int:
    attributes = entry.get("attributes")
    if isinstance(attributes, dict):
        size = _whole(attributes.get("file_size", attributes.get("fileSize")))
        if size:
            return size
    chunks = entry.get("chunks")
    sizes = (_whole(chunk.get("size")) for chunk in chunks or () if isinstance(chunk, dict))
    return sum(size or 0 for size in sizes) if isinstance(chunks, list) else 0


def _made(
    records: NotificationRecords,
    peer: str,
    name: str,
    bucket: str,
    key: str,
    *,
    size: Any = None,
    etag: Any = None,
    version_id: Any = None,
    sequencer: Any = None,
) -> dict[str, Any]:
    """A complete record; members that the sender left out are filled in."""
    object_metadata: dict[str, Any] = {"key": encoded_key(key)}
    removed = name.startswith(("ObjectRemoved", "LifecycleExpiration"))
    if (whole := _whole(size)) is not None and not removed:
        object_metadata["size"] = whole
    if etag and (not removed or name.endswith("DeleteMarkerCreated")):
        object_metadata["eTag"] = str(etag).strip('"')
    if version_id:
        object_metadata["versionId"] = str(version_id)
    object_metadata["sequencer"] = str(sequencer) if sequencer else records.sequencer()
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": records.region,
        "eventTime": records.now(),
        "eventName": name,
        "userIdentity": {"principalId": PRINCIPAL_ID},
        "requestParameters": {"sourceIPAddress": peer},
        "responseElements": {"x-amz-request-id": object_metadata["sequencer"], "x-amz-id-2": ""},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "",
            "bucket": bucket_members(bucket),
            "object": object_metadata,
        },
    }


def _table(parent: Any, name: str) -> dict[str, Any]:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, dict):
        raise UnknownShape(f"no object {name!r}")
    return found


def _text(parent: Mapping[str, Any], name: str) -> str:
    found = parent.get(name)
    if not isinstance(found, str) or not found:
        raise UnknownShape(f"no text {name!r}")
    return found


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return max(int(value), 0)
    except ValueError:
        return None
