"""PutObject, GetObject, HeadObject and GetObjectAttributes.

Source: Amazon S3 API Reference of each.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from engine.services.s3.blob_store import Content
from engine.services.s3.body import receive
from engine.services.s3.checksums import ALGORITHMS, Checksum, md5_hex
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.model import ObjectVersion
from engine.services.s3.object_metadata import http_date, metadata_of, object_head, storage_class
from engine.services.s3.operation_context import OperationContext, event_of, version_header
from engine.services.s3.preconditions import asked_range, check_read, check_write
from engine.services.s3.request import Preparation, Prepared, S3Request, S3Response, header_line, xml_answer
from engine.services.s3.xml import element

_OVERRIDES: Final = {
    "response-content-type": "content-type",
    "response-content-language": "content-language",
    "response-expires": "expires",
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
}

_ATTRIBUTES: Final = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


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


def put_object(context: OperationContext, call: S3Request, prepared: Prepared) -> S3Response:
    """PutObject."""
    bucket = context.bucket(call)
    check_write(call.headers, call.key, bucket.latest(call.key))
    object_metadata = metadata_of(call.headers)
    _, content, etag, checksum, *_ = prepared
    version = context.store.put(bucket, call.key, content, etag, object_metadata, checksum)
    head = b'etag: "%b"\r\n%b%b' % (
        etag.encode(),
        version_header(bucket, version),
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


def get_object(context: OperationContext, call: S3Request) -> S3Response:
    """GetObject and HeadObject; the server leaves the body of HEAD out."""
    bucket, version = context.version(call)
    check_read(call.headers, version)
    head = object_head(version) + version_header(bucket, version)
    part = _part_asked(call, version)
    wanted = part or asked_range(call.headers, version.size)
    if any(name in call.query for name in _OVERRIDES):
        head = _overridden(head, call)
    if part is not None and version.part_sizes:
        head += b"x-amz-mp-parts-count: %d\r\n" % len(version.part_sizes)
    if wanted is None:
        if call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            head += checksum_head(version.checksum)
        return S3Response(200, head, _readable(context, call, version.content))
    start, stop, size = wanted
    head += b"content-range: bytes %d-%d/%d\r\n" % (start, stop - 1, size)
    return S3Response(206, head, _readable(context, call, version.content.part(start, stop)))


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
    sizes = version.part_sizes or (version.size,)
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


def get_attributes(context: OperationContext, call: S3Request) -> S3Response:
    """GetObjectAttributes."""
    bucket, version = context.version(call)
    asked = {name.strip() for name in call.headers.get("x-amz-object-attributes", "").split(",")} - {""}
    if not asked or not asked <= _ATTRIBUTES:
        raise invalid_argument(
            "Invalid attribute name specified.", "x-amz-object-attributes", ",".join(asked)
        )
    content = ""
    if "ETag" in asked:
        content += element("ETag", version.etag)
    if "Checksum" in asked and version.checksum is not None:
        member = element(ALGORITHMS[version.checksum.algorithm].member, version.checksum.value)
        content += f"<Checksum>{member}{element('ChecksumType', version.checksum.kind)}</Checksum>"
    if "ObjectParts" in asked and version.part_sizes:
        content += f"<ObjectParts>{element('PartsCount', str(len(version.part_sizes)))}</ObjectParts>"
    if "StorageClass" in asked:
        content += element("StorageClass", storage_class(version))
    if "ObjectSize" in asked:
        content += element("ObjectSize", str(version.size))
    head = version_header(bucket, version) + b"last-modified: %b\r\n" % http_date(version.modified_s).encode()
    return xml_answer("GetObjectAttributesResponse", content, head)
