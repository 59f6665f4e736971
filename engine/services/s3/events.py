"""Events of buckets, of which notifications are made."""

from __future__ import annotations

from typing import NamedTuple


class RestoredCopy(NamedTuple):
    """Of an archived object: where it is archived, and until when its copy can be read, since the epoch."""

    storage_class: str
    until_s: float


class ObjectEvent(NamedTuple):
    """One change of one object.

    Attributes:
        event: `ObjectCreated:Put`, ...: without `s3:`.
        bucket, key: As stored, not encoded.
        region: The bucket's.
        version_id: None where the bucket is not versioned.
        size: Bytes; None where AWS leaves it out.
        etag: Without quotes; None where AWS leaves it out.
        peer: The client's address.
        request_id, host_id: As answered.
        restored: Of events of a restore.
    """

    event: str
    bucket: str
    region: str
    key: str
    version_id: str | None
    size: int | None
    etag: str | None
    peer: str
    request_id: str
    host_id: str
    restored: RestoredCopy | None = None
