"""Metadata of objects: read from headers, checked, and written back as headers.

Source: Amazon S3 API Reference, PutObject and GetObject; User Guide, "Working with object metadata".
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from typing import Final

from engine.protocols.http.message import header_block
from engine.services.s3.errors import S3Error
from engine.services.s3.model import ObjectMetadata, ObjectVersion
from engine.services.s3.tags import tags_of

_KEPT_HEADERS: Final = frozenset(
    {
        "content-type",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires",
        "x-amz-website-redirect-location",
        "x-amz-storage-class",
    }
)
_REFUSED_HEADERS: Final = {
    "x-amz-server-side-encryption-customer-algorithm": "server-side encryption with keys of the customer",
    "x-amz-object-lock-mode": "object lock",
    "x-amz-object-lock-legal-hold": "object lock",
    "x-amz-write-offset-bytes": "appending to objects",
}
_META: Final = "x-amz-meta-"
_MAX_METADATA: Final = 2048
_CLASSES: Final = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    }
)


def metadata_of(headers: Mapping[str, str]) -> ObjectMetadata:
    """Metadata and tags from the headers of a request. Raises S3Error.

    Raises:
        S3Error: Too much metadata, bad tags, or what is not implemented.
    """
    kept: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for name, value in headers.items():
        if name.startswith(_META):
            metadata[name[len(_META) :]] = value
        elif name in _KEPT_HEADERS:
            kept[name] = value
        elif name in _REFUSED_HEADERS:
            raise S3Error("NotImplemented", f"This object store does not implement {_REFUSED_HEADERS[name]}.")
    if metadata:
        size = sum(len(name) + len(value) for name, value in metadata.items())
        if size > _MAX_METADATA:
            details = {"Size": str(size), "MaxSizeAllowed": str(_MAX_METADATA)}
            raise S3Error("MetadataTooLarge", details=details)
    encoding = kept.get("content-encoding")
    if encoding is not None and "aws-chunked" in encoding:
        codings = [coding.strip() for coding in encoding.split(",") if coding.strip() != "aws-chunked"]
        kept["content-encoding"] = ",".join(codings)
        if not codings:
            del kept["content-encoding"]
    if kept.get("x-amz-storage-class", "STANDARD") not in _CLASSES:
        raise S3Error("InvalidArgument", "The storage class you specified is not valid")
    tagging = headers.get("x-amz-tagging")
    return ObjectMetadata(headers=kept, metadata=metadata, tags=tags_of(tagging) if tagging else {})


def object_head(version: ObjectVersion) -> bytes:
    """Header lines that describe an object, rendered once for each version."""
    if version.head is None:
        object_metadata = version.object_metadata
        pairs = [
            ("last-modified", http_date(version.modified_s)),
            ("etag", f'"{version.etag}"'),
            ("accept-ranges", "bytes"),
            *((name, value) for name, value in object_metadata.headers.items() if value != "STANDARD"),
            *((_META + name, value) for name, value in object_metadata.metadata.items()),
        ]
        if "content-type" not in object_metadata.headers:
            pairs.append(("content-type", "binary/octet-stream"))
        if object_metadata.tags:
            pairs.append(("x-amz-tagging-count", str(len(object_metadata.tags))))
        version.head = header_block(pairs)
    return version.head


def storage_class(version: ObjectVersion) -> str:
    """The storage class that was asked for; it has no effect."""
    return version.object_metadata.headers.get("x-amz-storage-class", "STANDARD")


def http_date(epoch_s: int) -> str:
    """`Thu, 01 Jan 2026 00:00:00 GMT`."""
    return formatdate(epoch_s, usegmt=True)
