"""Which operation a request asks for: by method, by bucket or object, and by a parameter.

Source: Amazon S3 API Reference, "Operations". What is not in the table answers 501 NotImplemented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from engine.services.s3.errors import S3Error, not_implemented
from engine.services.s3.operation_context import OperationContext, take_document
from engine.services.s3.operations import buckets, lists, multipart_lists, multipart_uploads, tagging
from engine.services.s3.operations.copies import copy_object, sum_source
from engine.services.s3.operations.deletes import delete_object, delete_objects, take_list
from engine.services.s3.operations.objects import get_attributes, get_object, put_object, take_body
from engine.services.s3.operations.post_object import post_object, take_form
from engine.services.s3.request import Preparation, Prepared, S3Request, S3Response


class RoutedOperation(NamedTuple):
    """One operation.

    Attributes:
        name: AWS's.
        run: Answers, in one synchronous step, from what is in memory; changes what is to be changed.
        changes: Whether it may change anything.
    """

    name: str
    run: Callable[[OperationContext, S3Request], S3Response]
    changes: bool = True


class PreparedOperation(NamedTuple):
    """An operation that has something to compute first.

    Attributes:
        name: AWS's.
        run: As that of any operation, with what was computed.
        prepare: Checks the request, and returns how to compute what `run` needs.
        changes: Whether it may change anything.
    """

    name: str
    run: Callable[[OperationContext, S3Request, Prepared], S3Response]
    prepare: Callable[[OperationContext, S3Request], Preparation]
    changes: bool = True


AnyOperation = RoutedOperation | PreparedOperation
Table = Mapping[tuple[str, str], AnyOperation]
"""Operations by method and subresource."""


def _document(context: OperationContext, call: S3Request) -> Preparation:
    return Preparation(partial(take_document, context, call))


def _reads(name: str, run: Callable[[OperationContext, S3Request], S3Response]) -> RoutedOperation:
    return RoutedOperation(name, run, changes=False)


_SERVICE: Final[Table] = {("GET", ""): _reads("ListBuckets", lists.list_buckets)}
_BUCKET: Final[Table] = {
    ("PUT", ""): PreparedOperation("CreateBucket", buckets.create_bucket, _document),
    ("HEAD", ""): _reads("HeadBucket", buckets.head_bucket),
    ("DELETE", ""): RoutedOperation("DeleteBucket", buckets.delete_bucket),
    ("GET", ""): _reads("ListObjects", lists.list_objects),
    ("GET", "list-type"): _reads("ListObjectsV2", lists.list_objects_v2),
    ("GET", "versions"): _reads("ListObjectVersions", lists.list_object_versions),
    ("GET", "uploads"): _reads("ListMultipartUploads", multipart_lists.list_uploads),
    ("GET", "location"): _reads("GetBucketLocation", buckets.get_location),
    ("GET", "versioning"): _reads("GetBucketVersioning", buckets.get_versioning),
    ("PUT", "versioning"): PreparedOperation("PutBucketVersioning", buckets.put_versioning, _document),
    ("GET", "notification"): _reads("GetBucketNotificationConfiguration", buckets.get_notifications),
    ("PUT", "notification"): PreparedOperation(
        "PutBucketNotificationConfiguration", buckets.put_notifications, _document
    ),
    ("GET", "tagging"): _reads("GetBucketTagging", tagging.get_bucket_tagging),
    ("PUT", "tagging"): PreparedOperation("PutBucketTagging", tagging.put_bucket_tagging, _document),
    ("DELETE", "tagging"): RoutedOperation("DeleteBucketTagging", tagging.delete_bucket_tagging),
    ("GET", "cors"): _reads("GetBucketCors", buckets.get_cors),
    ("PUT", "cors"): PreparedOperation("PutBucketCors", buckets.put_cors, _document),
    ("DELETE", "cors"): RoutedOperation("DeleteBucketCors", buckets.delete_cors),
    ("GET", "acl"): _reads("GetBucketAcl", buckets.get_acl),
    ("POST", "delete"): PreparedOperation("DeleteObjects", delete_objects, take_list),
    ("POST", ""): PreparedOperation("PostObject", post_object, take_form),
    **{("GET", name): _reads("GetBucketSetting", buckets.probe) for name in buckets.PROBES},
}
_OBJECT: Final[Table] = {
    ("PUT", ""): PreparedOperation("PutObject", put_object, take_body),
    ("GET", ""): _reads("GetObject", get_object),
    ("HEAD", ""): _reads("HeadObject", get_object),
    ("DELETE", ""): RoutedOperation("DeleteObject", delete_object),
    ("POST", "uploads"): RoutedOperation("CreateMultipartUpload", multipart_uploads.create_upload),
    ("PUT", "uploadId"): PreparedOperation("UploadPart", multipart_uploads.upload_part, take_body),
    ("POST", "uploadId"): PreparedOperation(
        "CompleteMultipartUpload", multipart_uploads.complete_upload, multipart_uploads.take_parts
    ),
    ("DELETE", "uploadId"): RoutedOperation("AbortMultipartUpload", multipart_uploads.abort_upload),
    ("GET", "uploadId"): _reads("ListParts", multipart_lists.list_parts),
    ("GET", "tagging"): _reads("GetObjectTagging", tagging.get_object_tagging),
    ("PUT", "tagging"): PreparedOperation("PutObjectTagging", tagging.put_object_tagging, _document),
    ("DELETE", "tagging"): RoutedOperation("DeleteObjectTagging", tagging.delete_object_tagging),
    ("GET", "acl"): _reads("GetObjectAcl", buckets.get_acl),
    ("GET", "attributes"): _reads("GetObjectAttributes", get_attributes),
}
_COPY: Final = PreparedOperation("CopyObject", copy_object, sum_source)
_COPY_PART: Final = PreparedOperation(
    "UploadPartCopy", multipart_uploads.copy_part, multipart_uploads.sum_part_source
)

_PREFLIGHT: Final = _reads("Preflight", buckets.preflight)

_SUBRESOURCES: Final = (
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

_FOR_PAGES: Final = {
    **dict.fromkeys(("GetObject", "GetObjectTagging", "GetObjectAttributes"), ("GET",)),
    **dict.fromkeys(("ListObjects", "ListObjectsV2", "ListObjectVersions"), ("GET",)),
    **dict.fromkeys(("ListParts", "ListMultipartUploads"), ("GET",)),
    "HeadObject": ("HEAD",),
    **dict.fromkeys(("PutObject", "CopyObject", "PutObjectTagging"), ("PUT",)),
    **dict.fromkeys(("UploadPart", "UploadPartCopy"), ("PUT",)),
    **dict.fromkeys(("PostObject", "CreateMultipartUpload", "CompleteMultipartUpload"), ("POST",)),
    **dict.fromkeys(("DeleteObject", "AbortMultipartUpload", "DeleteObjectTagging"), ("DELETE",)),
    "DeleteObjects": ("POST", "DELETE"),
}


def methods_for_pages(call: S3Request, method: str) -> tuple[str, ...]:
    """Which methods the CORS of a bucket must allow so that a page of another site may send `call`.

    `method` is that of `call`, or, if it is a preflight, that of the request that is to follow. Empty if CORS
    cannot open the operation: it is for objects, not for buckets and what is configured of them.
    """
    try:
        return _FOR_PAGES.get(find(call, method).name, ())
    except S3Error:
        return ()


def find(call: S3Request, method: str = "") -> AnyOperation:
    """The operation, or the one it would be with another `method`.

    Raises S3Error NotImplemented or MethodNotAllowed.
    """
    method = method or call.method
    if method == "OPTIONS" and call.bucket:
        return _PREFLIGHT
    table = _OBJECT if call.key else _BUCKET if call.bucket else _SERVICE
    subresource = next((name for name in _SUBRESOURCES if name in call.query), "") if call.query else ""
    found = table.get((method, subresource))
    if found is None:
        if method not in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS") or not subresource:
            details = {"Method": method, "ResourceType": "OBJECT" if call.key else "BUCKET"}
            raise S3Error("MethodNotAllowed", details=details)
        raise not_implemented(f"{method} ?{subresource}")
    if table is _OBJECT and method == "PUT" and "x-amz-copy-source" in call.headers:
        return _COPY_PART if subresource == "uploadId" else _COPY if not subresource else found
    if found.name == "UploadPart" and "partNumber" not in call.query:
        raise S3Error("InvalidArgument", "This operation requires a part number.")
    return found
