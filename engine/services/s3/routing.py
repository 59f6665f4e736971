"""Which operation a request asks for, and which function answers it.

The operation is found by AWS's model of S3. What the model has and this store has not is refused by its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final, NamedTuple

from engine.protocols.aws.operation import Operation, operations_of
from engine.protocols.aws.rest_routes import RestRoutes
from engine.protocols.aws.service_model import service_model
from engine.services.s3.errors import S3Error, invalid_argument, not_implemented
from engine.services.s3.operation_context import OperationContext, take_document
from engine.services.s3.operations import (
    access_control,
    buckets,
    control,
    copies,
    deletes,
    lists,
    multipart_lists,
    multipart_uploads,
    object_settings,
    objects,
    settings,
)
from engine.services.s3.operations.post_object import post_object, take_form
from engine.services.s3.request import Preparation, S3Request, S3Response


class S3Operation(NamedTuple):
    """One operation.

    Attributes:
        name: AWS's.
        run: Answers, in one synchronous step, from what is in memory; changes what is to be changed.
        changes: Whether it may change anything.
        kept: Whether what it sets is kept and shown, and has no other effect.
        prepare: Checks the request, and returns how to compute what `run` finds in `S3Request.prepared`;
            None if that is nothing.
    """

    name: str
    run: Callable[[OperationContext, S3Request], S3Response]
    changes: bool = True
    kept: bool = False
    prepare: Callable[[OperationContext, S3Request], Preparation] | None = None


def _document(context: OperationContext, call: S3Request) -> Preparation:
    return Preparation(partial(take_document, context, call))


_PARTS: Final = (
    *(access_control, buckets, copies, deletes, lists, multipart_lists, multipart_uploads),
    *(object_settings, objects),
)
_PREPARES: Final = {
    "CreateBucket": _document,
    "RestoreObject": _document,
    "DeleteObjects": deletes.take_list,
    "PutObject": objects.take_body,
    "CopyObject": copies.sum_source,
    "UploadPart": objects.take_body,
    "UploadPartCopy": multipart_uploads.sum_part_source,
    "CompleteMultipartUpload": multipart_uploads.take_parts,
}


def _prepared(found: Operation) -> S3Operation:
    """All others that put something take a document."""
    prepare = _PREPARES.get(found.name, _document if found.name.startswith("Put") else None)
    return S3Operation(found.name, found.function, found.writes, found.kept, prepare)


SERVED: Final[Mapping[str, S3Operation]] = {
    name: _prepared(found) for name, found in {**operations_of(_PARTS), **settings.OPERATIONS}.items()
}
"""The operations of S3 that are here, by AWS's names."""

_FORM: Final = S3Operation("PostObject", post_object, prepare=take_form)
_PREFLIGHT: Final = S3Operation("Preflight", buckets.preflight, changes=False)
"""Two that S3 has, and its model has not."""
_CONTROL: Final = {
    "GET": S3Operation("ListTagsForResource", control.list_tags, changes=False),
    "POST": S3Operation("TagResource", control.tag_resource, prepare=_document),
    "DELETE": S3Operation("UntagResource", control.untag_resource),
}
_NO_CONTROL: Final = S3Operation("S3Control", control.not_served, changes=False)
"""Those of S3 Control, which is signed as S3 is."""

_PLAIN: Final = {
    "PUT": SERVED["PutObject"],
    "GET": SERVED["GetObject"],
    "HEAD": SERVED["HeadObject"],
    "DELETE": SERVED["DeleteObject"],
}
"""What a request for an object is if no parameter of it names an operation, and it copies nothing."""

_METHODS: Final = ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")
_WORD: Final = re.compile(r"(?<=[a-z])([A-Z])")
_RESOURCE_TYPES: Final = {
    "abac": "BUCKET_ABAC",
    "annotation": "OBJECT_ANNOTATIONS",
    "attributes": "OBJECT_ATTRIBUTES",
    "delete": "MULTI_OBJECT_DELETE",
    "legal-hold": "OBJECT_LOCK_LEGALHOLD",
    "logging": "LOGGING_STATUS",
    "metadataConfiguration": "BUCKET_METADATA_CONFIGURATION",
    "metadataTable": "BUCKET_METADATA_TABLE_CONFIGURATION",
    "object-lock": "OBJECT_LOCK_CONFIGURATION",
    "policy": "BUCKETPOLICY",
    "retention": "OBJECT_LOCK_RETENTION",
    "uploadId": "UPLOAD",
    "versions": "BUCKETVERSIONS",
}
"""What S3 calls the part of it that a parameter names, where that is not the name in capitals."""

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


def find(call: S3Request, method: str = "") -> S3Operation:
    """The operation, or the one it would be with another `method`.

    Raises S3Error: NotImplemented for an operation that is not here, else what S3 says of a request that is
    for none.
    """
    method = method or call.method
    if control.ACCOUNT_HEADER in call.headers:
        return _CONTROL.get(method, _NO_CONTROL) if control.is_for_tags(call) else _NO_CONTROL
    if (
        call.key
        and method in _PLAIN
        and "x-amz-copy-source" not in call.headers
        and (not call.query or _routes().telling.isdisjoint(call.query))
    ):
        return _PLAIN[method]
    if method == "OPTIONS" and call.bucket:
        return _PREFLIGHT
    routes, query = _routes(), call.query
    if query.get("list-type", "2") != "2":  # whatever else it is, S3 lists as it did before
        query = {name: value for name, value in query.items() if name != "list-type"}
    name = routes.choose(method, _uri(call), query, call.headers)
    if name == "ListBuckets" and call.headers.get("host", "").startswith("s3express-control."):
        name = "ListDirectoryBuckets"
    if name is None:
        if method == "POST" and call.bucket and not call.key and routes.telling.isdisjoint(query):
            return _FORM
        raise _no_operation(call, method, sorted(routes.telling & query.keys()))
    operation = SERVED.get(name)
    if operation is None:
        raise not_implemented(name)
    return operation


@cache
def _routes() -> RestRoutes:
    return RestRoutes(service_model("s3"))


def _uri(call: S3Request) -> str:
    """As the model writes it."""
    if "x-amz-request-route" in call.headers:
        return "/WriteGetObjectResponse"
    return "/{Bucket}/{Key+}" if call.key else "/{Bucket}" if call.bucket else "/"


def _no_operation(call: S3Request, method: str, telling: list[str]) -> S3Error:
    """What is wrong with a request for no operation; `telling` are its parameters that name one.

    Source: answers of S3, measured in September 2026 (brekkylab/backlot).
    """
    if method not in _METHODS:
        return S3Error("BadRequest", "An error occurred when parsing the HTTP request.")
    if len(telling) > 1:
        message = f"Conflicting query string parameters: {', '.join(telling)}"
        return invalid_argument(message, "ResourceType", telling[0])
    if telling == ["uploadId"] and method == "PUT":
        return S3Error("InvalidArgument", "This operation requires a part number.")
    routes, uri = _routes(), _uri(call)
    allowed = [name for name in _METHODS if routes.choose(name, uri, call.query, call.headers) is not None]
    allow = f"allow: {', '.join(allowed)}\r\n".encode() if allowed else b""
    details = {"Method": method, "ResourceType": _resource_type(call, telling)}
    return S3Error("MethodNotAllowed", details=details, headers=allow)


def _resource_type(call: S3Request, telling: list[str]) -> str:
    if not call.bucket:
        return "SERVICE"
    if not telling:
        return "OBJECT" if call.key else "BUCKET"
    name = telling[0]
    if call.key and name == "tagging":
        return "OBJECT_TAGGING"
    return _RESOURCE_TYPES.get(name) or _WORD.sub(r"_\1", name).replace("-", "_").upper()
