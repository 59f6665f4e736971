"""Tags of buckets by S3 Control, a service of its own: TagResource, UntagResource and ListTagsForResource.

Source: Amazon S3 Control API Reference of each (version 2018-08-20); texts: localstack, pull request
13435.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final
from urllib.parse import parse_qsl, unquote

from engine.protocols.aws.rest_xml import XmlWriter
from engine.protocols.aws.rest_xml_input import MalformedDocument, parse
from engine.protocols.aws.service_model import service_model
from engine.services.s3.documents import value_of
from engine.services.s3.errors import S3Error, not_implemented
from engine.services.s3.model import Bucket
from engine.services.s3.operation_context import OperationContext
from engine.services.s3.request import XML_HEAD, S3Request, S3Response
from engine.services.s3.tags import MAX_BUCKET_TAGS, TAG, shown_tags

ACCOUNT_HEADER: Final = "x-amz-account-id"
"""What all requests to S3 Control have, and none to S3."""
_TARGET: Final = re.compile(r"/v20180820/tags/([^?]+)")
_BUCKET_ARN: Final = re.compile(r"arn:[a-z-]+:s3:::([^:/]+)")
_SHAPE: Final = "CreateBucketConfiguration"
"""S3's shape of a document that has `Tags`, as those of S3 Control have."""
_TWICE: Final = "There are duplicate tag keys in your request. Remove the duplicate tag keys and try again."
_OWN: Final = (
    'User-defined tag keys can\'t start with "aws:". This prefix is reserved for system tags. Remove "aws:" '
    "from your tag keys and try again."
)
_INVALID: Final = (
    "This request contains a tag key or value that isn't valid. Valid characters include the following: "
    "[a-zA-Z+-=._:/]. Tag keys can contain up to 128 characters. Tag values can contain up to 256 characters."
)


def list_tags(context: OperationContext, call: S3Request) -> S3Response:
    """ListTagsForResource."""
    tags = shown_tags(_bucket(context, call).tags)["TagSet"]
    body = _writer().document("ListTagsForResourceResult", _SHAPE, {"Tags": tags})
    return S3Response(200, XML_HEAD, body)


def tag_resource(context: OperationContext, call: S3Request) -> S3Response:
    """TagResource: adds tags, and replaces those of equal keys."""
    bucket = _bucket(context, call)
    try:
        root = parse(call.document, "TagResourceRequest")
    except MalformedDocument:
        raise S3Error("MalformedXML") from None
    tags = {**bucket.tags, **_checked(value_of(_SHAPE, root).get("Tags", ()))}
    if len(tags) > MAX_BUCKET_TAGS:
        raise S3Error("BadRequest", f"Bucket tag count cannot be greater than {MAX_BUCKET_TAGS}")
    context.store.set_bucket_tags(bucket, tags)
    return S3Response(204)


def untag_resource(context: OperationContext, call: S3Request) -> S3Response:
    """UntagResource: keys that no tag has are nothing to it."""
    bucket = _bucket(context, call)
    query = call.request.target.partition(b"?")[2].decode("latin-1")
    gone = {value for name, value in parse_qsl(query, keep_blank_values=True) if name == "tagKeys"}
    kept = {name: value for name, value in bucket.tags.items() if name not in gone}
    context.store.set_bucket_tags(bucket, kept)
    return S3Response(204)


def not_served(_context: OperationContext, _call: S3Request) -> S3Response:
    """All other operations of S3 Control."""
    raise not_implemented("S3 Control but tags of buckets")


def is_for_tags(call: S3Request) -> bool:
    """Whether the request is for tags of a resource."""
    return _TARGET.match(call.request.target.decode("latin-1")) is not None


@cache
def _writer() -> XmlWriter:
    return XmlWriter(service_model("s3"), "http://awss3control.amazonaws.com/doc/2018-08-20/")


def _checked(listed: Iterable[Mapping[str, str]]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for tag in listed:
        name, value = tag["Key"], tag["Value"]
        if name in tags:
            raise S3Error("InvalidTag", _TWICE, {"TagKey": name[:128]})
        if name.startswith("aws:"):
            raise S3Error("InvalidTag", _OWN)
        if not 1 <= len(name) <= 128 or len(value) > 256 or not TAG.fullmatch(name + value):
            raise S3Error("InvalidTag", _INVALID, {"TagKey": name[:128]})
        tags[name] = value
    return tags


def _bucket(context: OperationContext, call: S3Request) -> Bucket:
    """The bucket that the request names by its ARN. Raises S3Error if it names none."""
    target = _TARGET.match(call.request.target.decode("latin-1"))
    found = _BUCKET_ARN.fullmatch(unquote(target[1])) if target is not None else None
    if found is None:
        raise not_implemented("tags of other resources than buckets")
    bucket = context.store.buckets.get(found[1])
    if bucket is None:
        raise S3Error("NoSuchResource")
    return bucket
