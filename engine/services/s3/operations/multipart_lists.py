"""ListParts and ListMultipartUploads.

Source: Amazon S3 API Reference of each; answers of S3 (localstack's snapshots, and measurements in
brekkylab/backlot) for the order of checks and elements.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from engine.protocols.aws.operation import operation
from engine.services.s3.checksums import ALGORITHMS
from engine.services.s3.documents import answer
from engine.services.s3.errors import invalid_argument
from engine.services.s3.listing import common_prefixes, encoded
from engine.services.s3.model import Part, Upload
from engine.services.s3.operation_context import OWNER, SHOWN_OWNER, OperationContext
from engine.services.s3.parameters import (
    MAX_LISTED,
    check_not_negative,
    check_text,
    encoding_asked,
    whole_number,
)
from engine.services.s3.request import S3Request, S3Response

_INITIATOR: Final = {"ID": OWNER, "DisplayName": "engine"}


@operation("ListParts")
def list_parts(context: OperationContext, call: S3Request) -> S3Response:
    asked, marker = whole_number(call, "max-parts"), whole_number(call, "part-number-marker", 0)
    bucket = context.bucket(call)
    check_not_negative(asked, "max-parts")
    check_not_negative(marker, "part-number-marker")
    upload = context.store.upload(bucket, call.key, call.query["uploadId"])
    max_parts = min(asked, MAX_LISTED)
    numbers = sorted(number for number in upload.parts if number > marker)
    listed = numbers[:max_parts]
    output = {
        "Bucket": bucket.name,
        "Key": upload.key,
        "UploadId": upload.upload_id,
        "Initiator": _INITIATOR,
        "Owner": SHOWN_OWNER,
        "StorageClass": _storage_class(upload),
        "PartNumberMarker": marker,
        "NextPartNumberMarker": listed[-1] if listed else 0,
        "MaxParts": max_parts,
        "IsTruncated": len(numbers) > len(listed),
        **_checksum(upload),
        "Parts": [_shown_part(upload, upload.parts[number]) for number in listed],
    }
    return answer("ListParts", output)


def _shown_part(upload: Upload, part: Part) -> dict[str, Any]:
    """A part, with its checksum if the upload has an algorithm."""
    shown: dict[str, Any] = {
        "PartNumber": part.number,
        "LastModified": part.modified_s,
        "ETag": f'"{part.etag}"',
        "Size": part.content.size,
    }
    if part.checksum is not None and upload.algorithm is not None:
        shown[ALGORITHMS[part.checksum.algorithm].member] = part.checksum.value
    return shown


class _Page(NamedTuple):
    uploads: list[Upload]
    prefixes: list[str]
    is_cut: bool


@operation("ListMultipartUploads")
def list_uploads(context: OperationContext, call: S3Request) -> S3Response:
    """A page that ends with a common prefix has no markers that lead on, as on AWS."""
    asked = whole_number(call, "max-uploads")
    bucket, query, encoding = context.bucket(call), call.query, encoding_asked(call)
    check_not_negative(asked, "max-uploads")
    check_text(call, "key-marker", "prefix", "delimiter")
    max_uploads = min(asked, MAX_LISTED)
    prefix, delimiter, key_marker = (query.get(name, "") for name in ("prefix", "delimiter", "key-marker"))
    id_marker = query.get("upload-id-marker", "") if key_marker else ""
    under_way = sorted(
        (upload for upload in bucket.uploads.values() if upload.key.startswith(prefix)),
        key=lambda upload: (upload.key, upload.begun_s, upload.upload_id),
    )
    if id_marker:
        marked = bucket.uploads.get(id_marker)
        if marked is None or marked.key != key_marker:
            raise invalid_argument("Invalid uploadId marker", "upload-id-marker", id_marker)
        place = marked.key, marked.begun_s, marked.upload_id
        under_way = [each for each in under_way if (each.key, each.begun_s, each.upload_id) > place]
    elif key_marker:
        under_way = [upload for upload in under_way if upload.key > key_marker]
    found = _page(under_way, len(prefix), delimiter, key_marker, max_uploads)
    last = found.uploads[-1] if found.uploads else None
    output = {
        "Bucket": bucket.name,
        "KeyMarker": encoded(key_marker, encoding),
        "UploadIdMarker": id_marker,
        "NextKeyMarker": "" if last is None else encoded(last.key, encoding),
        "NextUploadIdMarker": "" if last is None else last.upload_id,
        "Delimiter": encoded(delimiter, encoding) if delimiter else None,
        "Prefix": encoded(prefix, encoding) if prefix else None,
        "MaxUploads": max_uploads,
        "EncodingType": encoding,
        "IsTruncated": found.is_cut,
        "Uploads": [_shown_upload(upload, encoding) for upload in found.uploads],
        "CommonPrefixes": common_prefixes(found.prefixes, encoding),
    }
    return answer("ListMultipartUploads", output)


def _page(uploads: list[Upload], skip: int, delimiter: str, key_marker: str, max_uploads: int) -> _Page:
    """Up to `max_uploads` of them, folded at the first delimiter behind `skip` characters of the key."""
    listed: list[Upload] = []
    prefixes: list[str] = []
    for upload in uploads:
        end = upload.key.find(delimiter, skip) if delimiter else -1
        common = upload.key[: end + len(delimiter)] if end >= 0 else ""
        if common and (common in prefixes or key_marker.startswith(common)):
            continue
        if len(listed) + len(prefixes) >= max_uploads:
            return _Page(listed, prefixes, max_uploads > 0)
        if common:
            prefixes.append(common)
        else:
            listed.append(upload)
    return _Page(listed, prefixes, is_cut=False)


def _shown_upload(upload: Upload, encoding: str | None) -> dict[str, Any]:
    return {
        "Key": encoded(upload.key, encoding),
        "UploadId": upload.upload_id,
        "Initiator": _INITIATOR,
        "Owner": SHOWN_OWNER,
        "StorageClass": _storage_class(upload),
        "Initiated": upload.begun_s,
        **_checksum(upload),
    }


def _storage_class(upload: Upload) -> str:
    return upload.object_metadata.headers.get("x-amz-storage-class", "STANDARD")


def _checksum(upload: Upload) -> dict[str, str]:
    if upload.algorithm is None:
        return {}
    return {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.kind}
