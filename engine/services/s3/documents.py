"""Documents that requests bring and answers take: values of the shapes that AWS's model has for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final
from xml.etree.ElementTree import Element

from engine.protocols.aws.rest_xml import XmlWriter
from engine.protocols.aws.rest_xml_input import MalformedDocument, parse, read
from engine.protocols.aws.service_model import Node, ServiceModel, service_model
from engine.services.s3.checksums import ALGORITHMS, Checksum
from engine.services.s3.errors import S3Error
from engine.services.s3.events import ObjectEvent
from engine.services.s3.request import XML_HEAD, S3Response

_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_CHANGES: Final = {
    **{name: {"enum": ()} for name in ("BucketLocationConstraint", "Event", "FilterRuleName")},
    "GetBucketLocationOutput": {"payload": "LocationConstraint"},
    "AbacStatus": {"required": ("Status",)},
    "AccelerateConfiguration": {"required": ("Status",)},
    "AccessControlPolicy": {"required": ("Owner", "Grants")},
    "DefaultRetention": {"required": ("Mode",)},
    "Grant": {"required": ("Grantee", "Permission")},
    "ObjectLockConfiguration": {"required": ("ObjectLockEnabled",)},
    "ObjectLockLegalHold": {"required": ("Status",)},
    "ObjectLockRule": {"required": ("DefaultRetention",)},
}
"""What S3 does otherwise than its model says: some values have errors of their own, some members must be."""
_ROOTS: Final = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetBucketLocation": "LocationConstraint",
    "GetBucketPolicyStatus": "PolicyStatus",
    "UploadPartCopy": "CopyPartResult",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketIntelligentTieringConfigurations": "ListBucketIntelligentTieringConfigurationsOutput",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
}
"""Roots of documents that are not called as their operation with `Result` behind it: no model has them."""

Output = Mapping[str, Any] | Iterable[tuple[str, Any]] | str


@cache
def _model() -> ServiceModel:
    return service_model("s3").revised(_CHANGES)


@cache
def _writer() -> XmlWriter:
    return XmlWriter(_model(), _NAMESPACE)


def _payload(operation: str) -> Node:
    """The member of an operation's input that is its document."""
    shape = _model().input_of(operation)
    payload: Node = shape["members"][shape["payload"]]
    return payload


# --- requests


def root_of(operation: str, body: bytes, code: str = "MalformedXML") -> Element:
    """The root of the document that a request has in its body.

    Raises:
        S3Error: With `code`; MissingRequestBodyError instead of MalformedXML if there is no body at all.
    """
    if not body and code == "MalformedXML":
        raise S3Error("MissingRequestBodyError")
    try:
        return parse(body, _payload(operation)["locationName"])
    except MalformedDocument:
        raise S3Error(code) from None


def value_of(shape: str, found: Element, code: str = "MalformedXML") -> dict[str, Any]:
    """The value of an element of the shape of that name. Raises S3Error with `code`."""
    try:
        value: dict[str, Any] = read(_model(), _model().shapes[shape], found)
    except MalformedDocument:
        raise S3Error(code) from None
    return value


def payload_of(operation: str, body: bytes, code: str = "MalformedXML") -> dict[str, Any]:
    """The document that a request of an operation has in its body. Raises S3Error as `root_of`."""
    return value_of(_payload(operation)["shape"], root_of(operation, body, code), code)


# --- answers


def answer(
    operation: str, output: Output, head: bytes = b"", events: Sequence[ObjectEvent] = ()
) -> S3Response:
    """200 with `output` as the document of `operation`; members that are None are left out."""
    model = _model()
    shape = model.operations[operation]["output"]["shape"]
    payload = model.shapes[shape].get("payload")
    if payload is not None:
        shape = model.shapes[shape]["members"][payload]["shape"]
    return S3Response(200, XML_HEAD + head, _writer().document(_root(operation), shape, output), events)


@cache
def _root(operation: str) -> str:
    """The root of an answer's document: of what is put, it is that of the request that puts it."""
    if not operation.startswith("Get") or operation in _ROOTS:
        return _ROOTS.get(operation, f"{operation}Result")
    root: str = _payload(operation.replace("Get", "Put", 1))["locationName"]
    return root


def shown_checksum(checksum: Checksum | None) -> dict[str, str]:
    """A checksum and its type, as members of an answer."""
    if checksum is None:
        return {}
    return {ALGORITHMS[checksum.algorithm].member: checksum.value, "ChecksumType": checksum.kind}
