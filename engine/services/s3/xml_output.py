"""Answers with documents: values of the shapes that AWS's model has for the output of an operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from engine.protocols.aws.rest_xml import XmlWriter
from engine.protocols.aws.service_model import ServiceModel, service_model
from engine.services.s3.checksums import ALGORITHMS, Checksum
from engine.services.s3.events import ObjectEvent
from engine.services.s3.request import XML_HEAD, S3Response
from engine.services.s3.xml import NAMESPACE

_ROOTS: Final = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetBucketPolicyStatus": "PolicyStatus",
    "UploadPartCopy": "CopyPartResult",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketIntelligentTieringConfigurations": "ListBucketIntelligentTieringConfigurationsOutput",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
}
"""Roots of documents that are not called as their operation with `Result` behind it: no model has them."""

Output = Mapping[str, Any] | Iterable[tuple[str, Any]]


def answer(
    operation: str, output: Output, head: bytes = b"", events: Sequence[ObjectEvent] = ()
) -> S3Response:
    """200 with `output` as the document of `operation`; members that are None are left out."""
    model, writer = _model_and_writer()
    shape = model.operations[operation]["output"]["shape"]
    payload = model.shapes[shape].get("payload")
    if payload is not None:
        shape = model.shapes[shape]["members"][payload]["shape"]
    return S3Response(200, XML_HEAD + head, writer.document(_root(operation), shape, output), events)


@cache
def _root(operation: str) -> str:
    """The root of an answer's document: of what is put, it is that of the request that puts it."""
    put = operation.replace("Get", "Put", 1)
    if not operation.startswith("Get") or operation in _ROOTS:
        return _ROOTS.get(operation, f"{operation}Result")
    shape = service_model("s3").input_of(put)
    root: str = shape["members"][shape["payload"]]["locationName"]
    return root


def shown_checksum(checksum: Checksum | None) -> dict[str, str]:
    """A checksum and its type, as members of an answer."""
    if checksum is None:
        return {}
    return {ALGORITHMS[checksum.algorithm].member: checksum.value, "ChecksumType": checksum.kind}


@cache
def _model_and_writer() -> tuple[ServiceModel, XmlWriter]:
    model = service_model("s3")
    return model, XmlWriter(model, NAMESPACE)
