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
from engine.services.s3.events import ObjectEvent, Sequencers

OWNER_ID: Final = "A3NL1KOZZKEXAMPLE"
"""Who owns every bucket, as records name it."""
PRINCIPAL_ID: Final = "AWS:AIDAJDPLRKLG7UEXAMPLE"
"""Who does everything: callers are not told apart."""

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
        self._sequencers = Sequencers(clock.wall)

    def sequencer(self) -> str:
        """For one happening: all its notifications have the same."""
        return self._sequencers.next()

    def record(self, happening: ObjectEvent, rule_id: str, sequencer: str) -> dict[str, Any]:
        """`{"Records": [...]}` with the one record."""
        event, bucket, key, version_id, size, etag, peer, request_id, host_id = happening
        later = event.startswith(_LATER_VERSION)
        about: dict[str, Any] = {"key": encoded_key(key)}
        if size is not None:
            about["size"] = size
        if etag is not None:
            about["eTag"] = etag
        if version_id is not None:
            about["versionId"] = version_id
        if not later:
            about["sequencer"] = sequencer
        return {
            "Records": [
                {
                    "eventVersion": "2.3" if later else "2.1",
                    "eventSource": "aws:s3",
                    "awsRegion": self._account.region,
                    "eventTime": iso_ms(self._clock.wall()),
                    "eventName": event,
                    "userIdentity": {"principalId": PRINCIPAL_ID},
                    "requestParameters": {"sourceIPAddress": peer},
                    "responseElements": {"x-amz-request-id": request_id, "x-amz-id-2": host_id},
                    "s3": {
                        "s3SchemaVersion": "1.0",
                        "configurationId": rule_id,
                        "bucket": bucket_members(bucket),
                        "object": about,
                    },
                }
            ]
        }

    def bridge_event(self, happening: ObjectEvent, sequencer: str) -> dict[str, Any] | None:
        """The event EventBridge gets: the key as it is, and other names for everything.

        None if EventBridge is not told of such a thing.
        """
        event = happening.event
        family = event.partition(":")[0]
        removed = family in ("ObjectRemoved", "LifecycleExpiration")
        kind = DELETED if removed else CREATED if family == "ObjectCreated" else DETAIL_TYPES.get(event)
        if kind is None:
            return None
        about: dict[str, Any] = {"key": happening.key}
        if happening.size is not None:
            about["size"] = happening.size
        if happening.etag is not None:
            about["etag"] = happening.etag
        if happening.version_id is not None:
            about["version-id"] = happening.version_id
        detail: dict[str, Any] = {"version": "0", "bucket": {"name": happening.bucket}, "object": about}
        detail["request-id"] = happening.request_id
        detail["requester"] = self._account.account_id
        detail["source-ip-address"] = happening.peer
        if kind in (CREATED, DELETED):
            about["sequencer"] = sequencer
            detail["reason"] = REASONS.get(event) or REASONS.get(family, "PutObject")
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
            "region": self._account.region,
            "resources": [f"arn:aws:s3:::{happening.bucket}"],
            "detail": detail,
        }

    def test_event(self, bucket: str, request_id: str, host_id: str) -> dict[str, Any]:
        """What a queue or a topic gets when it is named in a configuration; it has no `Records`."""
        return {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": iso_ms(self._clock.wall()),
            "Bucket": bucket,
            "RequestId": request_id,
            "HostId": host_id,
        }

    def named(self, record: dict[str, Any], rule_id: str) -> dict[str, Any]:
        """`{"Records": [...]}` of a record from elsewhere, which is told because of that rule."""
        return {"Records": [{**record, "s3": {**record["s3"], "configurationId": rule_id}}]}

    def bridged(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """A record from elsewhere as EventBridge would tell it; None if it would not."""
        about = record["s3"]["object"]
        happening = ObjectEvent(
            record["eventName"],
            record["s3"]["bucket"]["name"],
            unquote_plus(about["key"]),
            about.get("versionId"),
            about.get("size"),
            about.get("eTag"),
            str(record["requestParameters"].get("sourceIPAddress", "")),
            str(record["responseElements"].get("x-amz-request-id", "")),
            "",
        )
        made = self.bridge_event(happening, about.get("sequencer", ""))
        if made is not None:
            made |= {"time": record["eventTime"][:19] + "Z", "region": record["awsRegion"]}
        return made

    @property
    def region(self) -> str:
        """Where everything seems to be."""
        return self._account.region

    def now(self) -> str:
        """The present instant as records have it."""
        return iso_ms(self._clock.wall())


def bucket_members(name: str) -> dict[str, Any]:
    """`s3.bucket` of a record."""
    return {"name": name, "ownerIdentity": {"principalId": OWNER_ID}, "arn": f"arn:aws:s3:::{name}"}
