"""Notifications as AWS writes them: the record of S3 itself, the event of EventBridge, and the test event.

Source: Amazon S3 User Guide, "Event message structure" and "EventBridge event message structure".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus, unquote_plus

from engine.core.function import Account
from engine.ports import Clock
from engine.services.s3.events import ObjectEvent

OWNER_ID: Final = "A3NL1KOZZKEXAMPLE"
"""Who owns every bucket, as records name it."""
PRINCIPAL_ID: Final = "AWS:AIDAJDPLRKLG7UEXAMPLE"
"""The principal of all events but the next: callers are not authenticated."""
CUSTOMER_ID: Final = "AmazonCustomer:A3NL1KOZZKEXAMPLE"
"""The principal of a restore that is done."""

_LATER_VERSION: Final = ("ObjectTagging", "ObjectAcl")
"""Families that came with version 2.3 of the record, and have no sequencer."""

CREATED: Final = "Object Created"
DELETED: Final = "Object Deleted"
DETAIL_TYPES: Final[Mapping[str, str]] = {
    "ObjectTagging:Put": "Object Tags Added",
    "ObjectTagging:Delete": "Object Tags Deleted",
    "ObjectAcl:Put": "Object ACL Updated",
    "ObjectRestore:Post": "Object Restore Initiated",
    "ObjectRestore:Completed": "Object Restore Completed",
    "ObjectRestore:Delete": "Object Restore Expired",
    "LifecycleTransition": "Object Storage Class Changed",
    "IntelligentTiering": "Object Access Tier Changed",
}
"""What EventBridge calls other events than creations and removals."""
REASONS: Final[Mapping[str, str]] = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved": "DeleteObject",
    "LifecycleExpiration": "Lifecycle Expiration",
}
"""Why there are creations and removals, in EventBridge's words: by event, or by its family."""


def iso_ms(wall_s: float) -> str:
    """`2026-01-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def encoded_key(key: str) -> str:
    """A key as records have it: a space is `+`, a slash stays."""
    return quote_plus(key, safe="/")


class NotificationRecords:
    """Writes notifications."""

    def __init__(self, account: Account, clock: Clock, new_id: Callable[[], str]) -> None:
        self._account = account
        self._clock = clock
        self._new_id = new_id
        self._sequencer = 0

    def sequencer(self) -> str:
        """The sequencer of one event: all its notifications have the same.

        18 hex digits that only grow, over restarts too if the wall clock does.
        """
        self._sequencer = max(self._sequencer + 1, int(self._clock.wall() * 1_000_000) << 16)
        return f"{self._sequencer:018X}"

    def record(self, object_event: ObjectEvent, rule_id: str, sequencer: str) -> dict[str, Any]:
        """`{"Records": [...]}` with the one record."""
        event, bucket, region, key, version_id, size, etag, peer, request_id, host_id, restored = object_event
        later = event.startswith(_LATER_VERSION)
        told = None if later else sequencer
        object_metadata = _given(
            {"key": encoded_key(key), "size": size, "eTag": etag, "versionId": version_id, "sequencer": told}
        )
        is_restored = event == "ObjectRestore:Completed"
        record: dict[str, Any] = {
            "eventVersion": "2.3" if later else "2.1",
            "eventSource": "aws:s3",
            "awsRegion": region,
            "eventTime": iso_ms(self._clock.wall()),
            "eventName": event,
            "userIdentity": {"principalId": CUSTOMER_ID if is_restored else PRINCIPAL_ID},
            "requestParameters": {"sourceIPAddress": peer},
            "responseElements": {"x-amz-request-id": request_id, "x-amz-id-2": host_id},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": rule_id,
                "bucket": bucket_members(bucket),
                "object": object_metadata,
            },
        }
        if is_restored and restored is not None:
            record["glacierEventData"] = {
                "restoreEventData": {
                    "lifecycleRestorationExpiryTime": iso_ms(restored.until_s),
                    "lifecycleRestoreStorageClass": restored.storage_class,
                }
            }
        return {"Records": [record]}

    def bridge_event(self, object_event: ObjectEvent, sequencer: str) -> dict[str, Any] | None:
        """The event EventBridge gets: the key as it is, and other names for everything.

        None if EventBridge has no such event.
        """
        event = object_event.event
        family = event.partition(":")[0]
        removed = family in ("ObjectRemoved", "LifecycleExpiration")
        kind = DELETED if removed else CREATED if family == "ObjectCreated" else DETAIL_TYPES.get(event)
        if kind is None:
            return None
        _, bucket, region, key, version_id, size, etag, peer, request_id, _, restored = object_event
        object_metadata = _given({"key": key, "size": size, "etag": etag, "version-id": version_id})
        is_restored = event == "ObjectRestore:Completed"
        detail: dict[str, Any] = {
            "version": "0",
            "bucket": {"name": bucket},
            "object": object_metadata,
            "request-id": request_id,
            "requester": self._account.account_id,
        }
        if not is_restored:  # which no request does
            detail["source-ip-address"] = peer
        if kind in (CREATED, DELETED):
            object_metadata["sequencer"] = sequencer
            detail["reason"] = REASONS.get(event) or REASONS.get(family, "PutObject")
        if restored is not None:
            if is_restored:
                detail["restore-expiry-time"] = iso_ms(restored.until_s)[:19] + "Z"
            detail["source-storage-class"] = restored.storage_class
        if removed:
            marked = event.endswith("DeleteMarkerCreated")
            detail["deletion-type"] = "Delete Marker Created" if marked else "Permanently Deleted"
        return {
            "version": "0",
            "id": self._new_id(),
            "detail-type": kind,
            "source": "aws.s3",
            "account": self._account.account_id,
            "time": iso_ms(self._clock.wall())[:19] + "Z",
            "region": region,
            "resources": [f"arn:aws:s3:::{bucket}"],
            "detail": detail,
        }

    def test_event(self, bucket: str, request_id: str, host_id: str) -> dict[str, Any]:
        """The test event, which queues and topics get when a configuration names them."""
        return {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": iso_ms(self._clock.wall()),
            "Bucket": bucket,
            "RequestId": request_id,
            "HostId": host_id,
        }

    def with_rule_id(self, record: dict[str, Any], rule_id: str) -> dict[str, Any]:
        """`{"Records": [...]}` of a record from another store, with the id of the rule that it matched."""
        return {"Records": [{**record, "s3": {**record["s3"], "configurationId": rule_id}}]}

    def as_bridge_event(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """A record from another store as an event of EventBridge; None if EventBridge has no such event."""
        object_metadata = record["s3"]["object"]
        object_event = ObjectEvent(
            record["eventName"],
            record["s3"]["bucket"]["name"],
            record["awsRegion"],
            unquote_plus(object_metadata["key"]),
            object_metadata.get("versionId"),
            object_metadata.get("size"),
            object_metadata.get("eTag"),
            str(record["requestParameters"].get("sourceIPAddress", "")),
            str(record["responseElements"].get("x-amz-request-id", "")),
            "",
        )
        made = self.bridge_event(object_event, object_metadata.get("sequencer", ""))
        if made is not None:
            made["time"] = record["eventTime"][:19] + "Z"
        return made

    @property
    def region(self) -> str:
        """Region of all buckets."""
        return self._account.region

    def now(self) -> str:
        """The present instant as records have it."""
        return iso_ms(self._clock.wall())


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def bucket_members(name: str) -> dict[str, Any]:
    """`s3.bucket` of a record."""
    return {"name": name, "ownerIdentity": {"principalId": OWNER_ID}, "arn": f"arn:aws:s3:::{name}"}
