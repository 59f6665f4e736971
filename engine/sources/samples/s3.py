"""Samples of notifications of a bucket, and of the events of EventBridge that tell of the same."""

from __future__ import annotations

import hashlib
from typing import Any

from engine.services.s3.events import ObjectEvent
from engine.services.s3.notification_records import NotificationRecords
from engine.sources.samples.common import ACCOUNT, EPOCH_S, PEER, SampleIds, StillClock


def s3(
    key: str,
    *,
    bucket: str = "bucket",
    event: str = "ObjectCreated:Put",
    body: bytes = b"",
    version_id: str | None = None,
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """A notification of a bucket: one record.

    Args:
        key: As stored, not encoded.
        bucket: Its name.
        event: `ObjectCreated:Copy`, `ObjectRemoved:Delete`, ...: without `s3:`.
        body: Of the object: gives the size and the ETag of an object that was created.
        version_id: None where the bucket is not versioned.
        at_s: When it happened.
        salt: Makes the ids others than those of another salt.
    """
    ids = SampleIds(salt)
    records = NotificationRecords(ACCOUNT, StillClock(at_s), ids)
    object_event = _object_event(key, bucket, event, body, version_id, ids)
    return records.record(object_event, "rule", records.sequencer())


def s3_eventbridge(
    key: str,
    *,
    bucket: str = "bucket",
    event: str = "ObjectCreated:Put",
    body: bytes = b"",
    version_id: str | None = None,
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """The same happening as EventBridge tells of it. Arguments as in `s3`.

    Raises:
        ValueError: EventBridge has no such event.
    """
    ids = SampleIds(salt)
    records = NotificationRecords(ACCOUNT, StillClock(at_s), ids)
    made = records.bridge_event(_object_event(key, bucket, event, body, version_id, ids), records.sequencer())
    if made is None:
        raise ValueError(f"EventBridge has no event for {event}")
    return made


def _object_event(
    key: str, bucket: str, event: str, body: bytes, version_id: str | None, ids: SampleIds
) -> ObjectEvent:
    created = event.startswith("ObjectCreated")
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest() if created else None
    size = len(body) if created else None
    request_id, host_id = ids("s3", key).replace("-", "")[:16].upper(), ids("host")
    region = ACCOUNT.region
    return ObjectEvent(event, bucket, region, key, version_id, size, etag, PEER, request_id, host_id)
