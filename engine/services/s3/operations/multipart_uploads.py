"""Multipart uploads: create, upload and copy parts, complete, abort, list.

Source: Amazon S3 User Guide, "Uploading and copying objects using multipart upload"; API Reference of each.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, Final

from engine.protocols.aws.operation import operation
from engine.services.s3.blob_store import Content
from engine.services.s3.body import sent_checksum
from engine.services.s3.checksums import (
    ALGORITHMS,
    COMPOSITE,
    FULL_OBJECT,
    Algorithm,
    Checksum,
    algorithm_named,
    b64,
    unb64,
)
from engine.services.s3.documents import answer, payload_of, shown_checksum
from engine.services.s3.encryption import encryption_head
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.model import CompletedPart, CompletedUpload, Part, Upload
from engine.services.s3.object_metadata import metadata_of
from engine.services.s3.operation_context import (
    OperationContext,
    as_stored,
    event_of,
    new_head,
    take_document,
)
from engine.services.s3.operations.copies import find_source, sums_of
from engine.services.s3.operations.objects import checksum_head, part_number
from engine.services.s3.preconditions import check_completion
from engine.services.s3.request import (
    Preparation,
    Prepared,
    S3Request,
    S3Response,
    object_url,
)

_MAX_REPEATED: Final = 1000
"""Of how many completed uploads a bucket knows the answer."""
MIN_PART_BYTES: Final = 5 * 1024 * 1024
_MAX_PARTS: Final = 10_000
_COPIED_RANGE: Final = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")


@operation("CreateMultipartUpload", writes=True)
def create_upload(context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    asked = call.headers.get("x-amz-checksum-algorithm")
    algorithm = algorithm_named(asked) if asked else None
    kind = call.headers.get("x-amz-checksum-type", "").upper()
    if algorithm is not None:
        kind = kind or (FULL_OBJECT if algorithm.name == "CRC64NVME" else COMPOSITE)
        whole_only = algorithm.name == "CRC64NVME"
        if kind not in (COMPOSITE, FULL_OBJECT):
            raise S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
        if (kind == FULL_OBJECT and not algorithm.whole) or (kind == COMPOSITE and whole_only):
            name = algorithm.name.lower()
            message = f"The {kind} checksum type cannot be used with the {name} checksum algorithm."
            raise S3Error("InvalidRequest", message)
    elif kind:
        message = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
        raise S3Error("InvalidRequest", message)
    summed_by = algorithm.name if algorithm else None
    object_metadata = as_stored(context, bucket, metadata_of(call.headers))
    upload = context.store.create_upload(bucket, call.key, object_metadata, summed_by, kind)
    head = encryption_head(object_metadata.settings)
    if summed_by is not None:
        head += f"x-amz-checksum-algorithm: {summed_by}\r\nx-amz-checksum-type: {kind}\r\n".encode()
    output = {"Bucket": bucket.name, "Key": call.key, "UploadId": upload.upload_id}
    return answer("CreateMultipartUpload", output, head)


def _upload(context: OperationContext, call: S3Request) -> Upload:
    return context.store.upload(context.bucket(call), call.key, call.query["uploadId"])


@operation("UploadPart", writes=True)
def upload_part(context: OperationContext, call: S3Request) -> S3Response:
    upload, number = _upload(context, call), part_number(call)
    checksum = call.prepared.checksum
    if upload.algorithm and checksum is not None and checksum.algorithm != upload.algorithm:
        message = (
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, "
            f"actual checksum Type: {checksum.algorithm.lower()}"
        )
        raise S3Error("InvalidRequest", message)
    context.store.put_part(upload, number, call.prepared.content, call.prepared.etag, checksum)
    head = b'etag: "%b"\r\n%b%b' % (
        call.prepared.etag.encode(),
        encryption_head(upload.object_metadata.settings),
        checksum_head(checksum).partition(b"x-amz-checksum-type")[0],
    )
    return S3Response(200, head)


def sum_part_source(context: OperationContext, call: S3Request) -> Preparation:
    """UploadPartCopy: cut the part out of its source, and sum it up."""
    source = find_source(context, call)
    upload = _upload(context, call)
    part_number(call)
    asked = call.headers.get("x-amz-copy-source-range")
    content = source.content
    if asked is not None:
        content = content.part(*_copied_range(asked, source.size))
    return Preparation(partial(sums_of, content, upload.algorithm), content)


def _copied_range(asked: str, size: int) -> tuple[int, int]:
    """First byte and the one behind the last of `x-amz-copy-source-range`. Raises S3Error."""
    found = _COPIED_RANGE.fullmatch(asked.strip())
    first, last = (int(found[1]), int(found[2])) if found else (1, 0)
    if first > last:
        message = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last "
            "are the zero-based offsets of the first and last bytes to copy"
        )
        raise invalid_argument(message, "x-amz-copy-source-range", asked)
    if first >= size:
        raise S3Error("InvalidRequest", "The specified copy range is invalid for the source object size")
    if last >= size:
        message = f"Range specified is not valid for source object of size: {size}"
        raise invalid_argument(message, "x-amz-copy-source-range", asked)
    return first, last + 1


@operation("UploadPartCopy", writes=True)
def copy_part(context: OperationContext, call: S3Request) -> S3Response:
    upload, number = _upload(context, call), part_number(call)
    digest = call.prepared.digest
    checksum = Checksum(upload.algorithm, b64(digest)) if upload.algorithm and digest else None
    part = context.store.put_part(upload, number, call.prepared.content, call.prepared.etag, checksum)
    output = {"ETag": f'"{part.etag}"', "LastModified": part.modified_s}
    if checksum is not None:
        output[ALGORITHMS[checksum.algorithm].member] = checksum.value
    return answer("UploadPartCopy", output, encryption_head(upload.object_metadata.settings))


# --- the end


def take_parts(context: OperationContext, call: S3Request) -> Preparation:
    """CompleteMultipartUpload: read the list, and sum up the whole where that was asked for."""
    take = partial(take_document, context, call, sums_body=False)
    bucket = context.bucket(call)
    upload = bucket.uploads.get(call.query["uploadId"])
    if upload is None or upload.kind != FULL_OBJECT or upload.algorithm is None:
        return Preparation(take)
    source = Content.joined([part.content for part in upload.parts.values()])
    return Preparation(partial(_sum_whole, take, call, upload.algorithm, dict(upload.parts)), source)


def _sum_whole(
    take: Callable[[], Prepared], call: S3Request, algorithm: str, parts: dict[int, Part]
) -> Prepared:
    prepared = take()
    listed = [parts.get(part["PartNumber"]) for part in _listed(call, prepared.document)]
    chunks = (chunk for part in listed if part is not None for chunk in part.content.chunks())
    return prepared._replace(digest=ALGORITHMS[algorithm].summed(chunks))


@operation("CompleteMultipartUpload", writes=True)
def complete_upload(context: OperationContext, call: S3Request) -> S3Response:
    """One that is repeated is answered as before, and does nothing, whatever its conditions say."""
    bucket = context.bucket(call)
    ended = bucket.completed.get(call.query["uploadId"])
    if ended is not None and ended.key == call.key:
        return S3Response(200, ended.head, ended.body)
    upload = _upload(context, call)
    parts = [_part(upload, listed) for listed in _listed(call, call.document)]
    for part in parts[:-1]:
        if part.content.size < MIN_PART_BYTES:
            details = {
                "ProposedSize": str(part.content.size),
                "MinSizeAllowed": str(MIN_PART_BYTES),
                "PartNumber": str(part.number),
                "ETag": part.etag,
            }
            raise S3Error("EntityTooSmall", details=details)
    content = Content.joined([part.content for part in parts])
    _check_size(call, content.size)
    check_completion(call.headers, upload, bucket.latest(call.key))
    checksum = _whole_checksum(call, upload, parts, call.prepared.digest)
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
    completed = tuple(_completed(upload, part) for part in parts)
    version = context.store.put(bucket, call.key, content, etag, upload.object_metadata, checksum, completed)
    context.store.end_upload(bucket, upload)
    output = {
        "Location": object_url(call, call.key),
        "Bucket": bucket.name,
        "Key": call.key,
        "ETag": f'"{etag}"',
        **shown_checksum(checksum),
    }
    events = (event_of(call, bucket, version, "ObjectCreated:CompleteMultipartUpload"),)
    response = answer("CompleteMultipartUpload", output, new_head(bucket, version), events)
    assert isinstance(response.body, bytes)
    bucket.completed[upload.upload_id] = CompletedUpload(call.key, response.head, response.body)
    if len(bucket.completed) > _MAX_REPEATED:
        del bucket.completed[next(iter(bucket.completed))]
    return response


def _completed(upload: Upload, part: Part) -> CompletedPart:
    checksum = part.checksum.value if upload.algorithm is not None and part.checksum is not None else None
    return CompletedPart(part.number, part.content.size, checksum)


def _listed(call: S3Request, document: bytes) -> list[dict[str, Any]]:
    """The parts the caller lists, in rising order. Raises S3Error MalformedXML or InvalidPartOrder."""
    listed: list[dict[str, Any]] = payload_of("CompleteMultipartUpload", document).get("Parts", [])
    is_whole = all(part.get("PartNumber", -1) >= 0 and part.get("ETag") for part in listed)
    if not is_whole or not 1 <= len(listed) <= _MAX_PARTS:
        raise S3Error("MalformedXML")
    if any(first["PartNumber"] >= second["PartNumber"] for first, second in pairwise(listed)):
        raise S3Error("InvalidPartOrder", details={"UploadId": call.query["uploadId"]})
    return listed


def _part(upload: Upload, listed: Mapping[str, Any]) -> Part:
    number, etag = listed["PartNumber"], listed["ETag"].strip().strip('"')
    part = upload.parts.get(number)
    if part is not None and part.etag == etag.lower():
        kept = part.checksum
        if kept is None or listed.get(ALGORITHMS[kept.algorithm].member) in (None, kept.value):
            return part
    details = {"UploadId": upload.upload_id, "PartNumber": str(number), "ETag": etag}
    raise S3Error("InvalidPart", details=details)


def _check_size(call: S3Request, size: int) -> None:
    declared = call.headers.get("x-amz-mp-object-size")
    if declared is not None and declared != str(size):
        message = (
            f"The provided 'x-amz-mp-object-size' header value {declared} does not match what was "
            f"computed: {size}"
        )
        raise S3Error("InvalidRequest", message)


def _whole_checksum(
    call: S3Request, upload: Upload, parts: list[Part], digest: bytes | None
) -> Checksum | None:
    """Of the object: over its bytes, or over the checksums of its parts."""
    if upload.algorithm is None:
        return None
    algorithm = ALGORITHMS[upload.algorithm]
    if upload.kind == FULL_OBJECT:
        if digest is None:  # begun as another one while the list was read
            raise S3Error("ServiceUnavailable")
        checksum = Checksum(algorithm.name, b64(digest), FULL_OBJECT)
    else:
        digest = algorithm.summed(_summed_part(part, algorithm) for part in parts)
        checksum = Checksum(algorithm.name, f"{b64(digest)}-{len(parts)}", COMPOSITE)
    sent = sent_checksum(call.headers)
    value = sent[1] if sent is not None and sent[0] is algorithm else checksum.value
    if value.partition("-")[0] != checksum.value.partition("-")[0]:
        raise algorithm.mismatch()
    return checksum


def _summed_part(part: Part, algorithm: Algorithm) -> bytes:
    """The checksum of a part. Raises S3Error InvalidRequest if it has none by the algorithm."""
    summed = unb64(part.checksum.value, algorithm.size) if part.checksum is not None else None
    if summed is None:
        message = (
            f"The upload was created using a {algorithm.name.lower()} checksum. The complete request must "
            f"include the checksum for each part. It was missing for part {part.number} in the request."
        )
        raise S3Error("InvalidRequest", message)
    return summed


@operation("AbortMultipartUpload", writes=True)
def abort_upload(context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    context.store.end_upload(bucket, _upload(context, call))
    return S3Response(204)
