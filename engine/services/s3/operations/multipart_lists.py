"""ListParts and ListMultipartUploads.

Source: Amazon S3 API Reference of each.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.services.s3.checksums import ALGORITHMS
from engine.services.s3.listing import encoded, prefixes_xml
from engine.services.s3.model import Part, Upload
from engine.services.s3.notification_records import iso_ms
from engine.services.s3.operation_context import OWNER, OWNER_XML, OperationContext
from engine.services.s3.operations.lists import encoding_asked
from engine.services.s3.request import S3Request, S3Response, xml_answer
from engine.services.s3.xml import element

_MAX_LISTED: Final = 1000
_INITIATOR: Final = f"<Initiator><ID>{OWNER}</ID></Initiator>"


def list_parts(context: OperationContext, call: S3Request) -> S3Response:
    """ListParts."""
    bucket = context.bucket(call)
    upload = context.store.upload(bucket, call.key, call.query["uploadId"])
    max_parts = call.number("max-parts", _MAX_LISTED, _MAX_LISTED)
    marker = call.number("part-number-marker", 0, 10_000)
    numbers = sorted(number for number in upload.parts if number > marker)
    listed = numbers[:max_parts]
    content = element("Bucket", bucket.name) + element("Key", upload.key)
    content += element("UploadId", upload.upload_id) + element("PartNumberMarker", str(marker))
    content += element("NextPartNumberMarker", str(listed[-1] if listed else 0))
    content += element("MaxParts", str(max_parts))
    content += element("IsTruncated", str(len(numbers) > len(listed)).lower())
    content += "".join(_part_xml(upload.parts[number]) for number in listed)
    content += _INITIATOR + OWNER_XML + element("StorageClass", "STANDARD")
    if upload.algorithm is not None:
        content += element("ChecksumAlgorithm", upload.algorithm) + element("ChecksumType", upload.kind)
    return xml_answer("ListPartsResult", content)


def _part_xml(part: Part) -> str:
    content = element("PartNumber", str(part.number)) + element("LastModified", iso_ms(part.modified_s))
    content += element("ETag", f'"{part.etag}"') + element("Size", str(part.content.size))
    if part.checksum is not None:
        content += element(ALGORITHMS[part.checksum.algorithm].member, part.checksum.value)
    return f"<Part>{content}</Part>"


class _Page(NamedTuple):
    """`last` is the key, and the upload of it, that the page ends with; the upload is empty for a prefix."""

    uploads: list[Upload]
    prefixes: list[str]
    last: tuple[str, str] | None
    is_cut: bool


def list_uploads(context: OperationContext, call: S3Request) -> S3Response:
    """ListMultipartUploads."""
    bucket, query = context.bucket(call), call.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    key_marker, id_marker = query.get("key-marker", ""), query.get("upload-id-marker", "")
    max_uploads, encoding = call.number("max-uploads", _MAX_LISTED, _MAX_LISTED), encoding_asked(call)
    under_way = sorted(
        (upload for upload in bucket.uploads.values() if upload.key.startswith(prefix)),
        key=lambda upload: (upload.key, upload.begun_s, upload.upload_id),
    )
    if key_marker:
        under_way = _behind(under_way, key_marker, id_marker)
    found = _page(under_way, len(prefix), delimiter, key_marker, max_uploads)
    content = element("Bucket", bucket.name) + element("KeyMarker", encoded(key_marker, encoding))
    content += element("UploadIdMarker", id_marker)
    if found.last is not None:
        content += element("NextKeyMarker", encoded(found.last[0], encoding))
        content += element("NextUploadIdMarker", found.last[1])
    if "prefix" in query:
        content += element("Prefix", encoded(prefix, encoding))
    if delimiter:
        content += element("Delimiter", encoded(delimiter, encoding))
    if encoding:
        content += element("EncodingType", encoding)
    content += element("MaxUploads", str(max_uploads)) + element("IsTruncated", str(found.is_cut).lower())
    content += "".join(_upload_xml(upload, encoding) for upload in found.uploads)
    return xml_answer("ListMultipartUploadsResult", content + prefixes_xml(found.prefixes, encoding))


def _page(uploads: list[Upload], skip: int, delimiter: str, key_marker: str, max_uploads: int) -> _Page:
    """Up to `max_uploads` of them, folded at the first delimiter behind `skip` characters of the key."""
    listed: list[Upload] = []
    prefixes: list[str] = []
    last: tuple[str, str] | None = None
    for upload in uploads:
        end = upload.key.find(delimiter, skip) if delimiter else -1
        common = upload.key[: end + len(delimiter)] if end >= 0 else ""
        if common and (common in prefixes or key_marker.startswith(common)):
            continue
        if len(listed) + len(prefixes) >= max_uploads:
            return _Page(listed, prefixes, last, max_uploads > 0)
        if common:
            prefixes.append(common)
            last = common, ""
        else:
            listed.append(upload)
            last = upload.key, upload.upload_id
    return _Page(listed, prefixes, last, is_cut=False)


def _behind(uploads: list[Upload], key: str, upload_id: str) -> list[Upload]:
    at = next((i for i, upload in enumerate(uploads) if upload.upload_id == upload_id), None)
    if at is not None and uploads[at].key == key:
        return uploads[at + 1 :]
    return [upload for upload in uploads if upload.key > key]


def _upload_xml(upload: Upload, encoding: str | None) -> str:
    content = element("Key", encoded(upload.key, encoding)) + element("UploadId", upload.upload_id)
    content += _INITIATOR + OWNER_XML
    content += element("StorageClass", upload.object_metadata.headers.get("x-amz-storage-class", "STANDARD"))
    content += element("Initiated", iso_ms(upload.begun_s))
    if upload.algorithm is not None:
        content += element("ChecksumAlgorithm", upload.algorithm) + element("ChecksumType", upload.kind)
    return f"<Upload>{content}</Upload>"
