"""The object store itself: buckets, versions and uploads, changed in single synchronous steps.

The blob store keeps what must survive the process: each step passes its changes on, and clients are answered
after `flushed`. Everything but the bytes is in memory, whatever the size of the store: about 2 KB an object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engine.services.s3.blob_store import EMPTY, BlobStore, Content
from engine.services.s3.checksums import Checksum
from engine.services.s3.cors import CorsRule
from engine.services.s3.errors import S3Error, no_such_bucket, no_such_key
from engine.services.s3.model import (
    ENABLED,
    NULL_VERSION,
    Bucket,
    CompletedPart,
    ObjectMetadata,
    ObjectVersion,
    Part,
    Upload,
    Versioning,
)
from engine.services.s3.notification_rules import NotificationConfiguration

EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
_NUMBER_DIGITS = 12
_VERSIONS_LEFT = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."


class Deletion(NamedTuple):
    """The result of a delete.

    Attributes:
        removed: The version that is gone, if one is; its `version_id` is the one asked for.
        marker: The delete marker that was made, if one was.
    """

    removed: ObjectVersion | None
    marker: ObjectVersion | None


class Store:
    """All buckets of one engine.

    Args:
        blob_store: Where bytes lie, and what survives the process.
        new_id: Makes ids of versions and uploads: 32 digits in hex.
        wall_s: Seconds since the epoch.
    """

    def __init__(
        self, blob_store: BlobStore | None, new_id: Callable[[], str], wall_s: Callable[[], float]
    ) -> None:
        self.blob_store = blob_store or BlobStore()
        self.buckets: dict[str, Bucket] = {}
        self._new_id = new_id
        self._wall_s = wall_s
        self._number = 0  # of the newest version

    # --- buckets

    def bucket(self, name: str) -> Bucket:
        """The bucket of that name. Raises S3Error NoSuchBucket."""
        found = self.buckets.get(name)
        if found is None:
            raise no_such_bucket(name)
        return found

    def create(self, name: str, region: str) -> Bucket:
        """Create a bucket. The caller has checked that the name is legal and free."""
        bucket = Bucket(name=name, region=region, created_s=int(self._wall_s()))
        self.buckets[name] = bucket
        self.blob_store.put("buckets", (name,), bucket)
        return bucket

    def remove(self, bucket: Bucket) -> None:
        """Remove an empty bucket with its unfinished uploads. Raises S3Error BucketNotEmpty."""
        if bucket.keys:
            message = None if bucket.versioning is Versioning.NEVER else _VERSIONS_LEFT
            raise S3Error("BucketNotEmpty", message, {"BucketName": bucket.name})
        for upload in tuple(bucket.uploads.values()):
            self.end_upload(bucket, upload)
        del self.buckets[bucket.name]
        self.blob_store.drop("buckets", (bucket.name,))

    def set_versioning(self, bucket: Bucket, versioning: Versioning) -> None:
        """Set the state of versioning."""
        bucket.versioning = versioning
        self.blob_store.put("buckets", (bucket.name,), bucket)

    def set_notifications(self, bucket: Bucket, configuration: NotificationConfiguration) -> None:
        """Replace the notification configuration."""
        bucket.notifications = configuration
        self.blob_store.put("buckets", (bucket.name,), bucket)

    def set_cors(self, bucket: Bucket, cors: tuple[CorsRule, ...]) -> None:
        """Replace the CORS configuration."""
        bucket.cors = cors
        self.blob_store.put("buckets", (bucket.name,), bucket)

    def set_bucket_tags(self, bucket: Bucket, tags: dict[str, str]) -> None:
        """Replace the tags of a bucket."""
        bucket.tags = tags
        self.blob_store.put("buckets", (bucket.name,), bucket)

    def set_setting(self, bucket: Bucket, name: str, value: Any) -> None:
        """Replace a setting that is kept and shown; None is that of one that was deleted."""
        bucket.settings[name] = value
        self.blob_store.put("buckets", (bucket.name,), bucket)

    # --- objects

    def put(
        self,
        bucket: Bucket,
        key: str,
        content: Content,
        etag: str,
        object_metadata: ObjectMetadata,
        checksum: Checksum | None = None,
        parts: tuple[CompletedPart, ...] = (),
    ) -> ObjectVersion:
        """Add a version of `key`; in a bucket without versions it replaces the old one."""
        version_id = self._new_version_id() if bucket.versioning is ENABLED else NULL_VERSION
        version = ObjectVersion(
            key, content, etag, object_metadata, checksum, parts, version_id, int(self._wall_s())
        )
        self._add(bucket, version)
        return version

    def get(
        self, bucket: Bucket, key: str, version_id: str | None = None, method: str = "GET"
    ) -> ObjectVersion:
        """The newest version, or the one of that id; `method` is what a refusal names.

        Raises:
            S3Error: NoSuchKey, NoSuchVersion; MethodNotAllowed for a delete marker asked for by id.
        """
        versions = bucket.keys.get(key)
        if version_id is None:
            if versions is None:
                raise no_such_key(key)
            newest: ObjectVersion = versions[-1]
            if newest.is_marker:
                raise no_such_key(key, _marker_head(newest))
            return newest
        found = _of_id(versions or (), version_id)
        if found is None:
            raise S3Error("NoSuchVersion", details={"Key": key, "VersionId": version_id})
        if found.is_marker:
            raise is_a_marker(found, method)
        return found

    def delete(self, bucket: Bucket, key: str, version_id: str | None = None) -> Deletion:
        """Remove a version or the object, or add a delete marker; a missing one is no error."""
        if version_id is not None:
            found = _of_id(bucket.keys.get(key, ()), version_id)
            if found is not None:
                self._remove(bucket, found)
            return Deletion(found, None)
        if bucket.versioning is Versioning.NEVER:
            newest = bucket.latest(key)
            if newest is not None:
                self._remove(bucket, newest)
                self._note_deletion(bucket, key)
            return Deletion(newest, None)
        marker_id = self._new_version_id() if bucket.versioning is Versioning.ENABLED else NULL_VERSION
        now_s = int(self._wall_s())
        marker = ObjectVersion(
            key, EMPTY, "", ObjectMetadata(), version_id=marker_id, modified_s=now_s, is_marker=True
        )
        self._add(bucket, marker)
        return Deletion(None, marker)

    def _note_deletion(self, bucket: Bucket, key: str) -> None:
        """Tell the uploads of that key, which may be to see that nothing has changed."""
        for upload in bucket.uploads.values():
            if upload.key == key:
                upload.saw_deletion = True
                self.blob_store.put("uploads", (upload.upload_id,), upload)

    def set_metadata(self, bucket: Bucket, version: ObjectVersion, object_metadata: ObjectMetadata) -> None:
        """Replace metadata, tags and settings of one version."""
        version.object_metadata = object_metadata
        version.head = None
        self.blob_store.put("versions", (bucket.name, version.key, version.number), version)

    def _new_version_id(self) -> str:
        return f"{self._number + 1:0{_NUMBER_DIGITS}x}{self._new_id()[_NUMBER_DIGITS:]}"

    def _add(self, bucket: Bucket, version: ObjectVersion) -> None:
        version.number = self._number = self._number + 1
        versions = bucket.keys.get(version.key)
        if versions is None:
            bucket.keys[version.key] = [version]
        else:
            if version.version_id == NULL_VERSION:
                replaced = _of_id(versions, NULL_VERSION)
                if replaced is not None:
                    versions.remove(replaced)
                    self._forget(bucket, replaced)
            versions.append(version)
        self.blob_store.retain(version.content)
        self.blob_store.put("versions", (bucket.name, version.key, version.number), version)

    def _remove(self, bucket: Bucket, version: ObjectVersion) -> None:
        versions = bucket.keys[version.key]
        versions.remove(version)
        if not versions:
            del bucket.keys[version.key]
        self._forget(bucket, version)

    def _forget(self, bucket: Bucket, version: ObjectVersion) -> None:
        self.blob_store.drop("versions", (bucket.name, version.key, version.number))
        self.blob_store.release(version.content)

    # --- uploads in parts

    def create_upload(
        self, bucket: Bucket, key: str, object_metadata: ObjectMetadata, algorithm: str | None, kind: str
    ) -> Upload:
        """Start a multipart upload."""
        upload = Upload(
            bucket=bucket.name,
            key=key,
            upload_id=self._new_id(),
            object_metadata=object_metadata,
            begun_s=int(self._wall_s()),
            algorithm=algorithm,
            kind=kind,
            begun_number=self._number,
        )
        bucket.uploads[upload.upload_id] = upload
        self.blob_store.put("uploads", (upload.upload_id,), upload)
        return upload

    def upload(self, bucket: Bucket, key: str, upload_id: str) -> Upload:
        """The upload of that id. Raises S3Error NoSuchUpload."""
        found = bucket.uploads.get(upload_id)
        if found is None or found.key != key:
            raise S3Error("NoSuchUpload", details={"UploadId": upload_id})
        return found

    def put_part(
        self, upload: Upload, number: int, content: Content, etag: str, checksum: Checksum | None
    ) -> Part:
        """Add a part, or replace the part of that number."""
        part = Part(
            number=number, content=content, etag=etag, modified_s=int(self._wall_s()), checksum=checksum
        )
        replaced = upload.parts.get(number)
        upload.parts[number] = part
        self.blob_store.retain(content)
        self.blob_store.put("parts", (upload.upload_id, number), part)
        if replaced is not None:
            self.blob_store.release(replaced.content)
        return part

    def end_upload(self, bucket: Bucket, upload: Upload) -> None:
        """Remove an upload that was aborted or completed, and release its parts."""
        del bucket.uploads[upload.upload_id]
        for part in upload.parts.values():
            self.blob_store.drop("parts", (upload.upload_id, part.number))
            self.blob_store.release(part.content)
        self.blob_store.drop("uploads", (upload.upload_id,))

    # --- after a restart

    def restore(self, buckets: Sequence[Bucket], last_number: int) -> None:
        """Restore the buckets that a blob store has loaded. Called once, before anything else."""
        self.buckets = {bucket.name: bucket for bucket in buckets}
        self._number = last_number


def is_a_marker(version: ObjectVersion, method: str) -> S3Error:
    """405: what was asked for is a delete marker."""
    details = {"Method": method, "ResourceType": "DeleteMarker"}
    return S3Error("MethodNotAllowed", details=details, headers=_marker_head(version) + b"allow: DELETE\r\n")


def _marker_head(version: ObjectVersion) -> bytes:
    return b"x-amz-delete-marker: true\r\nx-amz-version-id: %b\r\n" % version.version_id.encode()


def number_of(version_id: str) -> int:
    """The number of a version, which may be gone, by the id that it had. Ids of long ago give any number."""
    return int(version_id[:_NUMBER_DIGITS], 16)


def _of_id(versions: Sequence[ObjectVersion], version_id: str) -> ObjectVersion | None:
    return next((version for version in reversed(versions) if version.version_id == version_id), None)
