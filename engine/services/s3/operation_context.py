"""What the operations of S3's API work with, and what many of them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from engine.core.function import Account
from engine.core.late_dataclass import dataclass
from engine.ports import Clock
from engine.services.s3.body import receive
from engine.services.s3.encryption import encrypted, encryption_head
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.events import ObjectEvent
from engine.services.s3.expiration import expiration_head
from engine.services.s3.model import ENABLED, NEVER, NULL_VERSION, Bucket, ObjectMetadata, ObjectVersion
from engine.services.s3.names import decoded_key
from engine.services.s3.notifier import Notifier
from engine.services.s3.object_lock import locked
from engine.services.s3.parameters import check_version_id
from engine.services.s3.request import Prepared, S3Request
from engine.services.s3.store import Store

MB: Final = 1024 * 1024
HOST_ID: Final = "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"
OWNER: Final = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"
"""Canonical id of the one owner there is."""
SHOWN_OWNER: Final = {"ID": OWNER}
"""It has no `DisplayName`: S3 ended that in November 2025. Who began an upload has one still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Limits:
    """What one request may cost.

    Attributes:
        put_bytes: Of a body that is stored: one PutObject or UploadPart. AWS takes 5 GiB; here bodies are
            held in memory. Multipart uploads lift it: 10,000 parts of this size.
        get_bytes: Of one answer. AWS has no such limit; larger objects must be read by ranges.
        xml_bytes: Of a document.
    """

    put_bytes: int = 256 * MB
    get_bytes: int = 1024 * MB
    xml_bytes: int = 2 * MB


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationContext:
    """What operations work with: one for an engine."""

    store: Store
    notifier: Notifier
    account: Account
    clock: Clock
    limits: S3Limits
    new_rule_id: Callable[[], str]

    def bucket(self, call: S3Request) -> Bucket:
        """The bucket a call is for. Raises S3Error NoSuchBucket."""
        return self.store.bucket(call.bucket)

    def version(self, call: S3Request) -> tuple[Bucket, ObjectVersion]:
        """The object, or the version of it, that a call is for. Raises S3Error if there is none."""
        bucket = self.bucket(call)
        return bucket, self.store.get(bucket, call.key, version_asked(call.query), call.method)


def take_document(context: OperationContext, call: S3Request, *, sums_body: bool = True) -> Prepared:
    """Check a body that is a document. Raises S3Error.

    Without `sums_body` the checksum in the headers is not of the document, but of the object it is about.
    """
    if len(call.request.body) > context.limits.xml_bytes:
        raise S3Error("MalformedXML")
    return Prepared(receive(call.headers, call.request.body, sums_body=sums_body).data)


def version_asked(query: Mapping[str, str]) -> str | None:
    """`versionId` of the query. Raises S3Error InvalidArgument for one that is no id."""
    version_id = query.get("versionId")
    if version_id == "":
        raise invalid_argument("Version id cannot be the empty string", "versionId", "")
    if version_id is not None:
        check_version_id(version_id)
    return version_id


def copy_source(header: str) -> tuple[str, str, str | None]:
    """Bucket, key and version that `x-amz-copy-source` names. Raises S3Error InvalidArgument."""
    raw = header.encode("latin-1", "replace").replace(b"+", b" ")  # decoded like a form
    path, _, query = raw.partition(b"?versionId=")
    path = path.removeprefix(b"/")
    if b"/" not in path:  # some clients encode the slash too
        path = unquote_to_bytes(path).removeprefix(b"/").replace(b"%", b"%25")
    bucket, _, key = path.partition(b"/")
    if not bucket or not key:
        message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise invalid_argument(message, "x-amz-copy-source", header)
    version_id = query.decode("latin-1") or None
    if version_id is not None:
        check_version_id(version_id)
    return decoded_key(bucket), decoded_key(key), version_id


def version_header(bucket: Bucket, version: ObjectVersion) -> bytes:
    """`x-amz-version-id`, in buckets that have versions."""
    if bucket.versioning is NEVER:
        return b""
    return b"x-amz-version-id: %b\r\n" % version.version_id.encode()


def as_stored(context: OperationContext, bucket: Bucket, object_metadata: ObjectMetadata) -> ObjectMetadata:
    """What is to be stored, with the retention and encryption that the bucket gives. Raises S3Error."""
    kept = locked(bucket, object_metadata, context.clock.wall())
    return encrypted(bucket, kept, context.account)


def new_head(bucket: Bucket, version: ObjectVersion) -> bytes:
    """Header lines that tell of a version just written: encryption, expiration, version."""
    head = encryption_head(version.object_metadata.settings) + new_version_header(bucket, version)
    return head + expiration_head(bucket, version) if bucket.settings else head


def new_version_header(bucket: Bucket, version: ObjectVersion) -> bytes:
    """`x-amz-version-id` of a version just written: the `null` of a suspended bucket is not told."""
    return version_header(bucket, version) if bucket.versioning is ENABLED else b""


def event_of(
    call: S3Request, bucket: Bucket, version: ObjectVersion, event: str, *, sized: bool = True
) -> ObjectEvent:
    """The event for notifications."""
    versioned = bucket.versioning is not NEVER or version.version_id != NULL_VERSION
    return ObjectEvent(
        event,
        bucket.name,
        bucket.region,
        version.key,
        version.version_id if versioned else None,
        version.size if sized else None,
        version.etag or None,
        call.request.peer,
        call.request_id,
        HOST_ID,
    )
