"""Operations on tags of objects and of buckets.

Source: Amazon S3 API Reference of each.
"""

from __future__ import annotations

from dataclasses import replace

from engine.protocols.aws.operation import operation
from engine.services.s3.errors import S3Error
from engine.services.s3.model import Bucket, ObjectVersion
from engine.services.s3.operation_context import OperationContext, event_of, version_header
from engine.services.s3.request import S3Request, S3Response
from engine.services.s3.store import is_a_marker
from engine.services.s3.tags import MAX_BUCKET_TAGS, shown_tags, tags_in
from engine.services.s3.xml_input import payload_of
from engine.services.s3.xml_output import answer


@operation("GetObjectTagging")
def get_object_tagging(context: OperationContext, call: S3Request) -> S3Response:
    bucket, version = _tagged(context, call)
    tags = shown_tags(version.object_metadata.tags)
    return answer("GetObjectTagging", tags, version_header(bucket, version))


@operation("PutObjectTagging", writes=True)
def put_object_tagging(context: OperationContext, call: S3Request) -> S3Response:
    bucket, version = _tagged(context, call)
    tags = tags_in(payload_of("PutObjectTagging", call.document)["TagSet"])
    context.store.set_metadata(bucket, version, replace(version.object_metadata, tags=tags))
    events = event_of(call, bucket, version, "ObjectTagging:Put", sized=False)
    return S3Response(200, version_header(bucket, version), b"", (events,))


@operation("DeleteObjectTagging", writes=True)
def delete_object_tagging(context: OperationContext, call: S3Request) -> S3Response:
    bucket, version = _tagged(context, call)
    context.store.set_metadata(bucket, version, replace(version.object_metadata, tags={}))
    events = event_of(call, bucket, version, "ObjectTagging:Delete", sized=False)
    return S3Response(204, version_header(bucket, version), b"", (events,))


def _tagged(context: OperationContext, call: S3Request) -> tuple[Bucket, ObjectVersion]:
    """The version a call is for. Raises S3Error: MethodNotAllowed also if the newest is a delete marker."""
    newest = context.bucket(call).latest(call.key)
    if "versionId" not in call.query and newest is not None and newest.is_marker:
        raise is_a_marker(newest, call.method)
    return context.version(call)


@operation("GetBucketTagging")
def get_bucket_tagging(context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    if not bucket.tags:
        raise S3Error("NoSuchTagSet", details={"BucketName": bucket.name})
    return answer("GetBucketTagging", shown_tags(bucket.tags))


@operation("PutBucketTagging", writes=True)
def put_bucket_tagging(context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    tag_set = payload_of("PutBucketTagging", call.document)["TagSet"]
    context.store.set_bucket_tags(bucket, tags_in(tag_set, MAX_BUCKET_TAGS))
    return S3Response(204)


@operation("DeleteBucketTagging", writes=True)
def delete_bucket_tagging(context: OperationContext, call: S3Request) -> S3Response:
    context.store.set_bucket_tags(context.bucket(call), {})
    return S3Response(204)
