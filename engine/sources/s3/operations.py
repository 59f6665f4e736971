"""Which operation a request asks for: by method, by what it is about, and by one telling parameter.

Source: Amazon S3 API Reference, "Operations". What is not in the table answers 501 NotImplemented.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from engine.sources.s3.call import Answer, Call, Work
from engine.sources.s3.calls import buckets, lists, tagging, upload_lists, uploads
from engine.sources.s3.calls.copies import copy_object, sum_source
from engine.sources.s3.calls.deletes import delete_object, delete_objects, take_list
from engine.sources.s3.calls.forms import post_object, take_form
from engine.sources.s3.calls.objects import get_attributes, get_object, put_object, take_body
from engine.sources.s3.desk import Desk, take_document
from engine.sources.s3.errors import S3Error, not_implemented


class Operation(NamedTuple):
    """One operation.

    Attributes:
        name: AWS's.
        run: Answers, in one synchronous step, from what is in memory; changes what is to be changed.
        prepare: Looks at the request first, and returns what then has to be computed, which touches nothing
            but the call and so may run on a worker thread.
        changes: Whether it may change anything.
    """

    name: str
    run: Callable[[Desk, Call], Answer]
    prepare: Callable[[Desk, Call], Work | None] | None = None
    changes: bool = True


def _document(desk: Desk, call: Call) -> Work:
    return partial(take_document, desk, call)


def _reads(name: str, run: Callable[[Desk, Call], Answer]) -> Operation:
    return Operation(name, run, changes=False)


_SERVICE: Final = {("GET", ""): _reads("ListBuckets", lists.list_buckets)}
_BUCKET: Final = {
    ("PUT", ""): Operation("CreateBucket", buckets.create_bucket, _document),
    ("HEAD", ""): _reads("HeadBucket", buckets.head_bucket),
    ("DELETE", ""): Operation("DeleteBucket", buckets.delete_bucket),
    ("GET", ""): _reads("ListObjects", lists.list_objects),
    ("GET", "list-type"): _reads("ListObjectsV2", lists.list_objects_v2),
    ("GET", "versions"): _reads("ListObjectVersions", lists.list_object_versions),
    ("GET", "uploads"): _reads("ListMultipartUploads", upload_lists.list_uploads),
    ("GET", "location"): _reads("GetBucketLocation", buckets.get_location),
    ("GET", "versioning"): _reads("GetBucketVersioning", buckets.get_versioning),
    ("PUT", "versioning"): Operation("PutBucketVersioning", buckets.put_versioning, _document),
    ("GET", "notification"): _reads("GetBucketNotificationConfiguration", buckets.get_notifications),
    ("PUT", "notification"): Operation(
        "PutBucketNotificationConfiguration", buckets.put_notifications, _document
    ),
    ("GET", "tagging"): _reads("GetBucketTagging", tagging.get_bucket_tagging),
    ("PUT", "tagging"): Operation("PutBucketTagging", tagging.put_bucket_tagging, _document),
    ("DELETE", "tagging"): Operation("DeleteBucketTagging", tagging.delete_bucket_tagging),
    ("GET", "cors"): _reads("GetBucketCors", buckets.get_cors),
    ("PUT", "cors"): Operation("PutBucketCors", buckets.put_cors, _document),
    ("DELETE", "cors"): Operation("DeleteBucketCors", buckets.delete_cors),
    ("GET", "acl"): _reads("GetBucketAcl", buckets.get_acl),
    ("POST", "delete"): Operation("DeleteObjects", delete_objects, take_list),
    ("POST", ""): Operation("PostObject", post_object, take_form),
    **{("GET", name): _reads("GetBucketSetting", buckets.probe) for name in buckets.PROBES},
}
_OBJECT: Final = {
    ("PUT", ""): Operation("PutObject", put_object, take_body),
    ("GET", ""): _reads("GetObject", get_object),
    ("HEAD", ""): _reads("HeadObject", get_object),
    ("DELETE", ""): Operation("DeleteObject", delete_object),
    ("POST", "uploads"): Operation("CreateMultipartUpload", uploads.create_upload),
    ("PUT", "uploadId"): Operation("UploadPart", uploads.upload_part, take_body),
    ("POST", "uploadId"): Operation("CompleteMultipartUpload", uploads.complete_upload, uploads.take_parts),
    ("DELETE", "uploadId"): Operation("AbortMultipartUpload", uploads.abort_upload),
    ("GET", "uploadId"): _reads("ListParts", upload_lists.list_parts),
    ("GET", "tagging"): _reads("GetObjectTagging", tagging.get_object_tagging),
    ("PUT", "tagging"): Operation("PutObjectTagging", tagging.put_object_tagging, _document),
    ("DELETE", "tagging"): Operation("DeleteObjectTagging", tagging.delete_object_tagging),
    ("GET", "acl"): _reads("GetObjectAcl", buckets.get_acl),
    ("GET", "attributes"): _reads("GetObjectAttributes", get_attributes),
}
_COPY: Final = Operation("CopyObject", copy_object, sum_source)
_COPY_PART: Final = Operation("UploadPartCopy", uploads.copy_part, uploads.sum_part_source)

_PREFLIGHT: Final = _reads("Preflight", buckets.preflight)

_TELLING: Final = (
    "uploads",
    "uploadId",
    "delete",
    "list-type",
    "versions",
    "location",
    "versioning",
    "notification",
    "tagging",
    "cors",
    "acl",
    "attributes",
    *buckets.PROBES,
    "analytics",
    "intelligent-tiering",
    "inventory",
    "metrics",
    "legal-hold",
    "retention",
    "restore",
    "select",
    "torrent",
    "policyStatus",
    "renameObject",
    "session",
    "annotation",
    "metadataTable",
    "metadataConfiguration",
    "abac",
)
"""Parameters that name an operation, or a part of S3 that is not here."""


def find(call: Call) -> Operation:
    """The operation. Raises S3Error NotImplemented or MethodNotAllowed."""
    if call.method == "OPTIONS" and call.bucket:
        return _PREFLIGHT
    table = _OBJECT if call.key else _BUCKET if call.bucket else _SERVICE
    telling = next((name for name in _TELLING if name in call.query), "") if call.query else ""
    found = table.get((call.method, telling))
    if found is None:
        if call.method not in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS") or not telling:
            details = {"Method": call.method, "ResourceType": "OBJECT" if call.key else "BUCKET"}
            raise S3Error("MethodNotAllowed", details=details)
        raise not_implemented(f"{call.method} ?{telling}")
    if table is _OBJECT and call.method == "PUT" and "x-amz-copy-source" in call.headers:
        return _COPY_PART if telling == "uploadId" else _COPY if not telling else found
    if found.name == "UploadPart" and "partNumber" not in call.query:
        raise S3Error("InvalidArgument", "This operation requires a part number.")
    return found
