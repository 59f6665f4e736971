"""Operations on buckets, and what is set of them for itself: tags, versioning, notifications, CORS.

Source: Amazon S3 API Reference of each; answers of S3 (localstack's snapshots).
"""

from __future__ import annotations

import re
from typing import Any, Final

from engine.protocols.aws.operation import operation
from engine.services.s3 import cors
from engine.services.s3.acl import ACL, Acl, acl_of
from engine.services.s3.bucket_names import bucket_problem
from engine.services.s3.documents import answer, payload_of
from engine.services.s3.errors import S3Error, invalid_argument, not_implemented
from engine.services.s3.model import Bucket, Versioning
from engine.services.s3.notification_configuration import parsed, shown, unreachable
from engine.services.s3.operation_context import HOST_ID, SHOWN_OWNER, OperationContext
from engine.services.s3.operations.lists import from_token, token_of
from engine.services.s3.operations.settings import OBJECT_LOCK, OWNERSHIP
from engine.services.s3.parameters import whole_number
from engine.services.s3.request import XML_HEAD, S3Request, S3Response
from engine.services.s3.tags import MAX_BUCKET_TAGS, shown_tags, tags_in

_MAX_BUCKETS: Final = 10_000
_PAGES: Final = frozenset({"max-buckets", "continuation-token", "prefix", "bucket-region"})
"""Parameters of calls that page or filter: their answers say more of each bucket."""

_REGIONS: Final = """
    af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2
    ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7
    ca-central-1 ca-west-1 cn-north-1 cn-northwest-1 eu-central-1 eu-central-2 eu-isoe-west-1 eu-north-1
    eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 eusc-de-east-1 il-central-1 me-central-1 me-south-1
    mx-central-1 sa-east-1 us-east-1 us-east-2 us-gov-east-1 us-gov-west-1 us-iso-east-1 us-iso-west-1
    us-isob-east-1 us-isob-west-1 us-isof-east-1 us-isof-south-1 us-west-1 us-west-2
"""
REGIONS: Final = frozenset(_REGIONS.split())
"""AWS's, as botocore has them."""
_CLASSIC: Final = "us-east-1"
_EUROPE: Final = "EU"
_SIGNED: Final = re.compile(r"/\d{8}/([a-z0-9-]+)/s3/aws4_request")
_OWNERSHIP: Final = "x-amz-object-ownership"


@operation("CreateBucket", writes=True)
def create_bucket(context: OperationContext, call: S3Request) -> S3Response:
    """A bucket that exists is an error, except in us-east-1, if it is not to have tags."""
    name, region = call.bucket, context.account.region
    if bucket_problem(name) is not None:
        raise S3Error("InvalidBucketName", details={"BucketName": name})
    configuration = payload_of("CreateBucket", call.document) if call.document.strip() else {}
    _check_endpoint(call, configuration.get("LocationConstraint"))
    constraint = _checked_region(configuration.get("LocationConstraint"), region)
    existing = context.store.buckets.get(name)
    tags = tags_in(configuration.get("Tags", ()), MAX_BUCKET_TAGS)
    if existing is None:
        acl = acl_of(call.headers)
        ownership = call.headers.get(_OWNERSHIP)
        if ownership not in (None, "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"):
            raise invalid_argument(f"Invalid {_OWNERSHIP} header: {ownership}", _OWNERSHIP, ownership or "")
        bucket = context.store.create(name, constraint or region)
        _set_up(context, call, bucket, acl, tags)
    elif {region, existing.region, constraint or _CLASSIC} != {_CLASSIC} or tags:
        raise S3Error("BucketAlreadyOwnedByYou", details={"BucketName": name})
    return S3Response(200, f"location: /{name}\r\nx-amz-bucket-arn: arn:aws:s3:::{name}\r\n".encode())


def _set_up(
    context: OperationContext, call: S3Request, bucket: Bucket, acl: Acl | None, tags: dict[str, str]
) -> None:
    """Give a new bucket what was asked for with it."""
    if acl is not None:
        context.store.set_setting(bucket, ACL, acl)
    if tags:
        context.store.set_bucket_tags(bucket, tags)
    ownership = call.headers.get(_OWNERSHIP)
    if ownership is not None:
        context.store.set_setting(bucket, OWNERSHIP.name, {"Rules": [{"ObjectOwnership": ownership}]})
    if call.headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true":
        context.store.set_versioning(bucket, Versioning.ENABLED)
        context.store.set_setting(bucket, OBJECT_LOCK.name, {"ObjectLockEnabled": "Enabled"})


def _check_endpoint(call: S3Request, asked: str | None) -> None:
    """Raise S3Error if the region that the request is signed for makes no buckets in the one asked for.

    That of us-east-1 makes them everywhere.
    """
    signed = _SIGNED.search(call.headers.get("authorization") or call.headers.get("x-amz-credential", ""))
    region = asked or "unspecified"
    if signed is None or signed[1] in (_CLASSIC, region) or signed[1] not in REGIONS:
        return
    message = f"The {region} location constraint is incompatible for the region specific endpoint this "
    raise S3Error("IllegalLocationConstraintException", message + "request was sent to.")


def _checked_region(asked: str | None, own: str) -> str | None:
    """`LocationConstraint`: any region of AWS but the one that is named by leaving it out, or our own."""
    if asked and (asked == _CLASSIC or asked not in {*REGIONS, _EUROPE, own}):
        raise S3Error("InvalidLocationConstraint", details={"LocationConstraint": asked})
    return "eu-west-1" if asked == _EUROPE else asked


@operation("ListBuckets")
def list_buckets(context: OperationContext, call: S3Request) -> S3Response:
    query = call.query
    max_buckets = whole_number(call, "max-buckets", _MAX_BUCKETS)
    if not 1 <= max_buckets <= _MAX_BUCKETS:
        message = f"Argument max-buckets must be an integer between 1 and {_MAX_BUCKETS}"
        raise invalid_argument(message, "max-buckets", str(max_buckets))
    prefix, region = query.get("prefix"), query.get("bucket-region")
    if region is not None:
        _check_region(context, region)
    token = query.get("continuation-token", "")
    after = from_token(token, "continuation-token") if token else ""
    found = [
        bucket
        for name, bucket in sorted(context.store.buckets.items())
        if name > after and name.startswith(prefix or "") and region in (None, bucket.region)
    ]
    more = not _PAGES.isdisjoint(query)
    cut = found[max_buckets - 1].name if len(found) > max_buckets else None
    output = {
        "Owner": SHOWN_OWNER,
        "Buckets": [_shown(bucket, more=more) for bucket in found[:max_buckets]],
        "ContinuationToken": None if cut is None else token_of(cut),
        "Prefix": prefix or None,
    }
    return answer("ListBuckets", output)


def _shown(bucket: Bucket, *, more: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"Name": bucket.name, "CreationDate": bucket.created_s}
    if more:
        shown |= {"BucketRegion": bucket.region, "BucketArn": f"arn:aws:s3:::{bucket.name}"}
    return shown


def _check_region(context: OperationContext, region: str) -> None:
    """Raise S3Error InvalidArgument for a region that neither AWS nor a bucket here has."""
    own = {context.account.region, *(bucket.region for bucket in context.store.buckets.values())}
    if region not in REGIONS | own:
        raise invalid_argument(f"Argument value {region} is not a valid AWS Region", "bucket-region")


@operation("HeadBucket")
def head_bucket(context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    head = (
        f"x-amz-bucket-region: {bucket.region}\r\nx-amz-bucket-arn: arn:aws:s3:::{bucket.name}\r\n"
        "x-amz-access-point-alias: false\r\n"
    )
    return S3Response(200, head.encode() + XML_HEAD)


@operation("DeleteBucket", writes=True)
def delete_bucket(context: OperationContext, call: S3Request) -> S3Response:
    context.store.remove(context.bucket(call))
    return S3Response(204)


@operation("GetBucketLocation")
def get_location(context: OperationContext, call: S3Request) -> S3Response:
    """Empty for us-east-1, as on AWS."""
    region = context.bucket(call).region
    return answer("GetBucketLocation", "" if region == _CLASSIC else region)


# --- tags


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


# --- versioning


@operation("GetBucketVersioning")
def get_versioning(context: OperationContext, call: S3Request) -> S3Response:
    versioning = context.bucket(call).versioning
    return answer("GetBucketVersioning", {"Status": versioning or None})


@operation("PutBucketVersioning", writes=True)
def put_versioning(context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    asked = payload_of("PutBucketVersioning", call.document)
    if asked.get("MFADelete", "Disabled") != "Disabled":
        raise not_implemented("MFA delete")
    if "Status" not in asked:
        raise S3Error("IllegalVersioningConfigurationException")
    status = Versioning(asked["Status"])
    if bucket.settings.get(OBJECT_LOCK.name) and status is Versioning.SUSPENDED:
        message = (
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be "
            "changed."
        )
        raise S3Error("InvalidBucketState", message)
    context.store.set_versioning(bucket, status)
    return S3Response()


# --- notifications


@operation("GetBucketNotificationConfiguration")
def get_notifications(context: OperationContext, call: S3Request) -> S3Response:
    return answer("GetBucketNotificationConfiguration", shown(context.bucket(call).notifications))


@operation("PutBucketNotificationConfiguration", writes=True)
def put_notifications(context: OperationContext, call: S3Request) -> S3Response:
    """Replaces all that was configured by this call before."""
    bucket = context.bucket(call)
    configuration = parsed(call.document, context.new_rule_id)
    if call.headers.get("x-amz-skip-destination-validation", "").lower() != "true":
        reasons = ((rule.target, context.notifier.refusal(rule.target)) for rule in configuration.rules)
        refused = [(target, reason) for target, reason in reasons if reason is not None]
        if refused:
            raise unreachable(refused)
        context.notifier.test(bucket, configuration.rules, call.request_id, HOST_ID)
    context.store.set_notifications(bucket, configuration)
    return S3Response()


# --- CORS


@operation("GetBucketCors")
def get_cors(context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    if not bucket.cors:
        raise S3Error("NoSuchCORSConfiguration", details={"BucketName": bucket.name})
    return answer("GetBucketCors", cors.shown(bucket.cors))


@operation("PutBucketCors", writes=True)
def put_cors(context: OperationContext, call: S3Request) -> S3Response:
    """Replaces all rules."""
    context.store.set_cors(context.bucket(call), cors.parsed(call.document))
    return S3Response()


@operation("DeleteBucketCors", writes=True)
def delete_cors(context: OperationContext, call: S3Request) -> S3Response:
    """Nothing happens if there is none."""
    context.store.set_cors(context.bucket(call), ())
    return S3Response(204)


def preflight(context: OperationContext, call: S3Request) -> S3Response:
    """OPTIONS of a bucket or an object, which need not exist."""
    bucket = context.store.buckets.get(call.bucket)
    return cors.answer_preflight(call, bucket.cors if bucket is not None else None)
