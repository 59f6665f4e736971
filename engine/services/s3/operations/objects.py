"""PutObject, GetObject, HeadObject and GetObjectAttributes.

Source: Amazon S3 API Reference of each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from engine.protocols.aws.operation import operation
from engine.protocols.http.dates import http_date
from engine.services.s3.blob_store import Content
from engine.services.s3.body import receive
from engine.services.s3.checksums import ALGORITHMS, Checksum, md5_hex
from engine.services.s3.documents import answer, shown_checksum
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.expiration import expiration_head
from engine.services.s3.model import ObjectVersion
from engine.services.s3.object_metadata import (
    ARCHIVES,
    check_readable,
    metadata_of,
    object_head,
    restore_head,
    storage_class,
)
from engine.services.s3.operation_context import (
    OperationContext,
    as_stored,
    event_of,
    new_head,
    version_header,
)
from engine.services.s3.parameters import MAX_LISTED
from engine.services.s3.preconditions import asked_range, check_read, check_write
from engine.services.s3.request import Preparation, Prepared, S3Request, S3Response, header_line

_OVERRIDES: Final = {
    "response-content-type": "content-type",
    "response-content-language": "content-language",
    "response-expires": "expires",
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
}


# --- put


def take_body(context: OperationContext, call: S3Request) -> Preparation:
    """Check the body, store it as a blob, and compute its ETag."""
    if "content-length" not in call.headers and "transfer-encoding" not in call.headers:
        raise S3Error("MissingContentLength")
    return Preparation(partial(_take_body, context, call))


def _take_body(context: OperationContext, call: S3Request) -> Prepared:
    data, checksum = receive(call.headers, call.request.body)
    etag = md5_hex((data,))
    return Prepared(b"", Content.of(context.store.blob_store.keep(data)), etag, checksum)


@operation("PutObject", writes=True)
def put_object(context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    check_write(call.headers, call.key, bucket.latest(call.key))
    object_metadata = metadata_of(call.headers)
    if bucket.settings or object_metadata.settings:
        object_metadata = as_stored(context, bucket, object_metadata)
    _, content, etag, checksum, *_ = call.prepared
    version = context.store.put(bucket, call.key, content, etag, object_metadata, checksum)
    head = b'etag: "%b"\r\n%b%b' % (
        etag.encode(),
        new_head(bucket, version),
        checksum_head(checksum),
    )
    return S3Response(200, head, b"", (event_of(call, bucket, version, "ObjectCreated:Put"),))


def checksum_head(checksum: Checksum | None) -> bytes:
    """The header lines of a checksum."""
    if checksum is None:
        return b""
    name = checksum.algorithm.lower().encode()
    value, kind = checksum.value.encode(), checksum.kind.encode()
    return b"x-amz-checksum-%b: %b\r\nx-amz-checksum-type: %b\r\n" % (name, value, kind)


# --- get


@operation("GetObject")
def get_object(context: OperationContext, call: S3Request) -> S3Response:
    """HeadObject too: the server leaves the body of HEAD out."""
    bucket, version = context.version(call)
    check_read(call.headers, version, context.clock)
    head = object_head(version) + version_header(bucket, version)
    if bucket.settings:
        head += expiration_head(bucket, version)
    if version.object_metadata.headers.get("x-amz-storage-class") in ARCHIVES:
        head += restore_head(version, context.clock.wall())
        if call.method != "HEAD":
            check_readable(version, context.clock.wall())
    part = _part_asked(call, version)
    wanted = part or asked_range(call.headers, version.size)
    if any(name in call.query for name in _OVERRIDES):
        head = _overridden(head, call)
    if part is not None and version.parts:
        head += b"x-amz-mp-parts-count: %d\r\n" % len(version.parts)
    is_whole = wanted is None or wanted[1] - wanted[0] == version.size
    if is_whole and call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        head += checksum_head(version.checksum)
    if wanted is None:
        return S3Response(200, head, _readable(context, call, version.content))
    start, stop, size = wanted
    head += b"content-range: bytes %d-%d/%d\r\n" % (start, stop - 1, size)
    return S3Response(206, head, _readable(context, call, version.content.part(start, stop)))


@operation("HeadObject")
def head_object(context: OperationContext, call: S3Request) -> S3Response:
    return get_object(context, call)


def _readable(context: OperationContext, call: S3Request, content: Content) -> Content:
    if content.size > context.limits.get_bytes and call.method != "HEAD":
        limit = context.limits.get_bytes
        message = f"This object store sends no more than {limit} bytes at a time: ask for ranges."
        raise S3Error("NotImplemented", message)
    return content


def _part_asked(call: S3Request, version: ObjectVersion) -> tuple[int, int, int] | None:
    """The range that `partNumber` stands for; an object uploaded in one has one part."""
    if "partNumber" not in call.query:
        return None
    if "range" in call.headers:
        raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    number = part_number(call)
    sizes = [part.size for part in version.parts] or [version.size]
    if number > len(sizes):
        details = {"PartNumberRequested": str(number), "ActualPartCount": str(len(sizes))}
        raise S3Error("InvalidPartNumber", details=details)
    start = sum(sizes[: number - 1])
    if not version.size:
        return None
    return start, start + sizes[number - 1], version.size


def part_number(call: S3Request) -> int:
    """`partNumber` of the query: 1 to 10,000."""
    text = call.query["partNumber"]
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 10_000:
        message = "Part number must be an integer between 1 and 10000, inclusive"
        raise invalid_argument(message, "partNumber", text)
    return int(text)


def _overridden(head: bytes, call: S3Request) -> bytes:
    """The head with what the query asks to be answered instead."""
    asked = [(name, call.query[query]) for query, name in _OVERRIDES.items() if query in call.query]
    names = tuple(f"{name}:".encode() for name, _ in asked)
    kept = [line for line in head.split(b"\r\n") if line and not line.startswith(names)]
    return b"\r\n".join((*kept, b"".join(header_line(name, value) for name, value in asked)))


@operation("GetObjectAttributes")
def get_attributes(context: OperationContext, call: S3Request) -> S3Response:
    bucket, version = context.version(call)
    sent = call.headers.get("x-amz-object-attributes", "")
    asked = {name.strip() for name in sent.split(",")} - {""}
    if not asked:
        message = (
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing "
            "or empty"
        )
        raise S3Error("InvalidRequest", message)
    if not asked <= _ATTRIBUTES.keys():
        raise invalid_argument("Invalid attribute name specified.", "x-amz-object-attributes", sent)
    output = {name: show(call, version) for name, show in _ATTRIBUTES.items() if name in asked}
    head = version_header(bucket, version) + b"last-modified: %b\r\n" % http_date(version.modified_s).encode()
    return answer("GetObjectAttributes", output, head)


def _shown_checksum(_call: S3Request, version: ObjectVersion) -> dict[str, str] | None:
    """That of parts' checksums without the number of parts, which all other answers have."""
    shown = shown_checksum(version.checksum)
    return {name: value.partition("-")[0] for name, value in shown.items()} if shown else None


def _shown_parts(call: S3Request, version: ObjectVersion) -> dict[str, Any] | None:
    """How many there are, and a page of those behind a marker if they have checksums."""
    if not version.parts:
        return None
    count = {"TotalPartsCount": len(version.parts)}
    if version.checksum is None:
        return count
    max_parts = min(_header_number(call, "x-amz-max-parts", MAX_LISTED), MAX_LISTED)
    marker = _header_number(call, "x-amz-part-number-marker", 0)
    member = ALGORITHMS[version.checksum.algorithm].member
    behind = [part for part in version.parts if part.number > marker]
    listed = behind[:max_parts]
    return count | {
        "PartNumberMarker": marker,
        "NextPartNumberMarker": listed[-1].number if listed else 0,
        "MaxParts": max_parts,
        "IsTruncated": len(behind) > len(listed),
        "Parts": [{"PartNumber": part.number, "Size": part.size, member: part.checksum} for part in listed],
    }


def _header_number(call: S3Request, name: str, default: int) -> int:
    """A number in a header; S3 ignores what is none (versity/versitygw#1806)."""
    sent = call.headers.get(name, "")
    return int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 10 else default


_ATTRIBUTES: Final[dict[str, Callable[[S3Request, ObjectVersion], Any]]] = {
    "ETag": lambda _call, version: version.etag,
    "Checksum": _shown_checksum,
    "ObjectParts": _shown_parts,
    "StorageClass": lambda _call, version: storage_class(version),
    "ObjectSize": lambda _call, version: version.size,
}
"""What GetObjectAttributes can show, in S3's order."""
