"""CopyObject.

Source: Amazon S3 API Reference, CopyObject.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from engine.protocols.aws.operation import operation
from engine.services.s3.blob_store import Content
from engine.services.s3.checksums import ALGORITHMS, Checksum, algorithm_named, b64, md5_hex
from engine.services.s3.documents import answer, shown_checksum
from engine.services.s3.encryption import BUCKET_SETTING as ENCRYPTION
from engine.services.s3.encryption import HEADERS as ENCRYPTION_HEADERS
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.model import ObjectMetadata, ObjectVersion, Versioning
from engine.services.s3.object_metadata import check_readable, metadata_of
from engine.services.s3.operation_context import OperationContext, as_stored, copy_source, event_of, new_head
from engine.services.s3.preconditions import check_read, check_write
from engine.services.s3.request import Preparation, Prepared, S3Request, S3Response

_NEVER_COPIED: Final = ("x-amz-storage-class", "x-amz-website-redirect-location")
"""What an object has if this call asks for it, whatever its source has."""
_CHANGES: Final = ENCRYPTION_HEADERS.union(_NEVER_COPIED)
"""Headers by which a copy onto itself changes something."""


def find_source(context: OperationContext, call: S3Request) -> ObjectVersion:
    """The version that `x-amz-copy-source` names, its conditions checked."""
    name, key, version_id = copy_source(call.headers["x-amz-copy-source"])
    source = context.store.get(context.store.bucket(name), key, version_id)
    check_read(call.headers, source, context.clock, "x-amz-copy-source-")
    check_readable(source, context.clock.wall(), "ObjectNotInActiveTierError")
    return source


def sum_source(context: OperationContext, call: S3Request) -> Preparation:
    """The copy's ETag is the MD5 of its bytes, even where its source was uploaded in parts."""
    source = find_source(context, call)
    context.bucket(call)
    algorithm = _algorithm_asked(call, source)
    recompute = algorithm is not None and (
        source.checksum is None or source.checksum.algorithm != algorithm or bool(source.parts)
    )
    content = source.content
    if not source.parts and not recompute:
        prepared = Prepared(content=content, etag=source.etag)
        return Preparation(lambda: prepared, content, reads_source=False)
    return Preparation(partial(sums_of, content, algorithm if recompute else None), content)


def sums_of(content: Content, algorithm: str | None) -> Prepared:
    """The content with its MD5, and with its checksum by `algorithm` if that is given. Reads the content."""
    digest = None if algorithm is None else ALGORITHMS[algorithm].summed(content.chunks())
    return Prepared(content=content, etag=md5_hex(content.chunks()), digest=digest)


def _algorithm_asked(call: S3Request, source: ObjectVersion) -> str | None:
    asked = call.headers.get("x-amz-checksum-algorithm")
    if asked:
        return algorithm_named(asked).name
    return source.checksum.algorithm if source.checksum else None


@operation("CopyObject", writes=True)
def copy_object(context: OperationContext, call: S3Request) -> S3Response:
    source = find_source(context, call)
    if source.content is not call.prepared.content:  # overwritten while it was summed up
        raise S3Error("ServiceUnavailable")
    bucket = context.bucket(call)
    check_write(call.headers, call.key, bucket.latest(call.key))
    object_metadata = as_stored(context, bucket, _copied_metadata(call, source))
    name, key, version_id = copy_source(call.headers["x-amz-copy-source"])
    same = (name, key) == (call.bucket, call.key)
    replaces = call.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
    changes = (
        replaces
        or not _CHANGES.isdisjoint(call.headers)
        or version_id is not None
        or bool(bucket.settings.get(ENCRYPTION))
    )
    if same and not changes:
        message = (
            "This copy request is illegal because it is trying to copy an object to itself without changing "
            "the object's metadata, storage class, website redirect location or encryption attributes."
        )
        raise S3Error("InvalidRequest", message)
    checksum = _copied_checksum(call, source, call.prepared.digest)
    etag = call.prepared.etag
    version = context.store.put(bucket, call.key, source.content, etag, object_metadata, checksum)
    head = new_head(bucket, version)
    if context.store.bucket(name).versioning is not Versioning.NEVER:
        head += b"x-amz-copy-source-version-id: %b\r\n" % source.version_id.encode()
    events = (event_of(call, bucket, version, "ObjectCreated:Copy"),)
    output = {"ETag": f'"{version.etag}"', "LastModified": version.modified_s, **shown_checksum(checksum)}
    return answer("CopyObject", output, head, events)


def _copied_checksum(call: S3Request, source: ObjectVersion, digest: bytes | None) -> Checksum | None:
    algorithm = _algorithm_asked(call, source)
    if algorithm is None or digest is None:
        return source.checksum
    return Checksum(algorithm, b64(digest))


def _copied_metadata(call: S3Request, source: ObjectVersion) -> ObjectMetadata:
    """Metadata and tags are the source's, unless the caller says `REPLACE`."""
    own = metadata_of(call.headers)
    directives = {}
    for name in ("x-amz-metadata-directive", "x-amz-tagging-directive"):
        directive = directives[name] = call.headers.get(name, "COPY").upper()
        if directive not in ("COPY", "REPLACE"):
            raise invalid_argument(f"Unknown {name.removeprefix('x-amz-')}.", name, directive)
    replaces = directives["x-amz-metadata-directive"] == "REPLACE"
    headers = dict(own.headers if replaces else source.object_metadata.headers)
    for name in _NEVER_COPIED:
        headers.pop(name, None)
        if name in own.headers:
            headers[name] = own.headers[name]
    retags = directives["x-amz-tagging-directive"] == "REPLACE"
    return ObjectMetadata(
        headers=headers,
        metadata=own.metadata if replaces else source.object_metadata.metadata,
        tags=own.tags if retags else source.object_metadata.tags,
        settings=own.settings,
    )
