"""The content of the store: buckets, versions of objects, uploads and their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from sortedcontainers import SortedDict

from engine.core.late_dataclass import dataclass
from engine.services.s3.blob_store import Content
from engine.services.s3.checksums import Checksum
from engine.services.s3.cors import CorsRule
from engine.services.s3.notification_rules import NotificationConfiguration

NULL_VERSION: Final = "null"
NO_SETTINGS: Final[Mapping[str, Any]] = MappingProxyType({})


class Versioning(StrEnum):
    """State of a bucket; one that was ever versioned can only be suspended.

    The names below are for the hot path: reading a member off its class is a call (CPython 3.11).
    """

    NEVER = ""
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


NEVER: Final = Versioning.NEVER
ENABLED: Final = Versioning.ENABLED


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMetadata:
    """Headers, metadata and tags that the writer of an object gave it.

    Attributes:
        headers: Content-Type and its kin, given back with the object.
        metadata: User metadata, names without `x-amz-meta-`.
        tags: Object tags.
        settings: ACL, legal hold, retention and restored copy, by their names in AWS's model, as JSON values.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=lambda: NO_SETTINGS)

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {name: dict(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The inverse, of a document that may have more. Stores of earlier engines have no settings."""
        headers, metadata, tags = (document[name] for name in ("headers", "metadata", "tags"))
        return cls(headers=headers, metadata=metadata, tags=tags, settings=document.get("settings", {}))


class CompletedPart(NamedTuple):
    """A part of an object that was uploaded in parts; its checksum if the upload had an algorithm."""

    number: int
    size: int
    checksum: str | None = None


@dataclass(slots=True, eq=False, repr=False)
class ObjectVersion:
    """One version of one object, or a delete marker.

    Attributes:
        version_id: `null` where the bucket is not versioned.
        etag: Without quotes; empty for a delete marker.
        modified_s: Whole seconds since the epoch, as S3 has it.
        parts: Those it was uploaded in, by number; empty if it was uploaded whole.
        number: Grows with each version the store takes; newer is larger.
        head: The header lines that follow from it, rendered once.
    """

    key: str
    content: Content
    etag: str
    object_metadata: ObjectMetadata
    checksum: Checksum | None = None
    parts: tuple[CompletedPart, ...] = ()
    version_id: str = NULL_VERSION
    modified_s: int = 0
    number: int = 0
    is_marker: bool = False
    head: bytes | None = field(default=None, init=False)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.content.size

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "content": self.content.document(),
            "etag": self.etag,
            **self.object_metadata.document(),
            "checksum": self.checksum,
            "parts": self.parts,
            "version_id": self.version_id,
            "modified_s": self.modified_s,
            "is_marker": self.is_marker,
        }

    def __repr__(self) -> str:
        kind = "marker" if self.is_marker else f"{self.size} bytes"
        return f"<Version {self.key!r} {self.version_id} {kind}>"


@dataclass(slots=True, kw_only=True)
class Part:
    """One part of an upload under way."""

    number: int
    content: Content
    etag: str
    modified_s: int
    checksum: Checksum | None

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "content": self.content.document(),
            "etag": self.etag,
            "modified_s": self.modified_s,
            "checksum": self.checksum,
        }


@dataclass(slots=True, kw_only=True)
class Upload:
    """A multipart upload under way.

    Attributes:
        algorithm, kind: Of the checksum the whole is to get.
        begun_number: Of the newest version in the store when it was begun.
        saw_deletion: Whether the object of its key was deleted since.
    """

    bucket: str
    key: str
    upload_id: str
    object_metadata: ObjectMetadata
    begun_s: int
    algorithm: str | None
    kind: str
    begun_number: int
    saw_deletion: bool = False
    parts: dict[int, Part] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The upload as JSON values, without its parts."""
        return {
            "bucket": self.bucket,
            "key": self.key,
            **self.object_metadata.document(),
            "begun_s": self.begun_s,
            "algorithm": self.algorithm,
            "kind": self.kind,
            "begun_number": self.begun_number,
            "saw_deletion": self.saw_deletion,
        }


class CompletedUpload(NamedTuple):
    """What CompleteMultipartUpload answered: a client that was not reached asks again."""

    key: str
    head: bytes
    body: bytes


@dataclass(slots=True, kw_only=True)
class Bucket:
    """One bucket.

    `keys` has a list of versions for each key, the newest last; no list is empty. `settings` are kept and
    shown, by their names in AWS's model and as JSON values; None for one that is there by default, and was
    deleted. `completed` has what the uploads that ended last were answered, by their ids.
    """

    name: str
    region: str
    created_s: int
    versioning: Versioning = Versioning.NEVER
    tags: dict[str, str] = field(default_factory=dict)
    notifications: NotificationConfiguration = field(default_factory=NotificationConfiguration)
    cors: tuple[CorsRule, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    keys: SortedDict[str, list[ObjectVersion]] = field(default_factory=SortedDict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    completed: dict[str, CompletedUpload] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The bucket as JSON values, without its objects and uploads."""
        return {
            "region": self.region,
            "created_s": self.created_s,
            "versioning": self.versioning.value,
            "tags": dict(self.tags),
            "notifications": self.notifications.document(),
            "cors": [rule.document() for rule in self.cors],
            "settings": self.settings,
        }

    def latest(self, key: str) -> ObjectVersion | None:
        """The newest version, which may be a delete marker; None if there is none at all."""
        versions = self.keys.get(key)
        return versions[-1] if versions else None
