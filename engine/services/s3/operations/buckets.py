"""Operations on buckets, and small settings of theirs: versioning, notifications, probes.

Source: Amazon S3 API Reference of each.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from engine.services.s3 import cors
from engine.services.s3.bucket_names import bucket_problem
from engine.services.s3.errors import S3Error
from engine.services.s3.model import Versioning
from engine.services.s3.notification_configuration import ROOT, parsed, rendered, unreachable
from engine.services.s3.operation_context import (
    HOST_ID,
    OWNER,
    OWNER_XML,
    OperationContext,
)
from engine.services.s3.request import XML_HEAD, Prepared, S3Request, S3Response, xml_answer
from engine.services.s3.xml import document, element
from engine.services.s3.xml_input import parse, text_of

_CLASSIC: Final = "us-east-1"
_MAX_BUCKET_TAGS: Final = 50
_XSI: Final = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"'


def create_bucket(context: OperationContext, call: S3Request, prepared: Prepared) -> S3Response:
    """CreateBucket. A bucket that exists is an error, except in us-east-1."""
    name, region = call.bucket, context.account.region
    if bucket_problem(name) is not None:
        raise S3Error("InvalidBucketName", details={"BucketName": name})
    constraint = _constraint(prepared.document)
    if call.headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true":
        raise S3Error("NotImplemented", "This object store does not implement object lock.")
    existing = context.store.buckets.get(name)
    if existing is None:
        context.store.create(name, constraint or region)
    elif region != _CLASSIC or (constraint or _CLASSIC) != _CLASSIC:
        raise S3Error("BucketAlreadyOwnedByYou", details={"BucketName": name})
    return S3Response(200, f"location: /{name}\r\nx-amz-bucket-arn: arn:aws:s3:::{name}\r\n".encode())


def _constraint(body: bytes) -> str | None:
    """`LocationConstraint`; any region is accepted."""
    if not body.strip():
        return None
    root = parse(body, "CreateBucketConfiguration")
    return text_of(root, "LocationConstraint") or None


def head_bucket(context: OperationContext, call: S3Request) -> S3Response:
    """HeadBucket."""
    bucket = context.bucket(call)
    head = (
        f"x-amz-bucket-region: {bucket.region}\r\nx-amz-bucket-arn: arn:aws:s3:::{bucket.name}\r\n"
        "x-amz-access-point-alias: false\r\n"
    )
    return S3Response(200, head.encode() + XML_HEAD)


def delete_bucket(context: OperationContext, call: S3Request) -> S3Response:
    """DeleteBucket."""
    context.store.remove(context.bucket(call))
    return S3Response(204)


def get_location(context: OperationContext, call: S3Request) -> S3Response:
    """GetBucketLocation: empty for us-east-1, as on AWS."""
    region = context.bucket(call).region
    return S3Response(200, XML_HEAD, document("LocationConstraint", "" if region == _CLASSIC else region))


# --- versioning


def get_versioning(context: OperationContext, call: S3Request) -> S3Response:
    """GetBucketVersioning."""
    versioning = context.bucket(call).versioning
    return xml_answer("VersioningConfiguration", element("Status", versioning) if versioning else "")


def put_versioning(context: OperationContext, call: S3Request, prepared: Prepared) -> S3Response:
    """PutBucketVersioning."""
    bucket = context.bucket(call)
    root = parse(prepared.document, "VersioningConfiguration")
    if (text_of(root, "MfaDelete") or "Disabled") != "Disabled":
        raise S3Error("NotImplemented", "This object store does not implement MFA delete.")
    status = text_of(root, "Status")
    if status is None:
        raise S3Error("IllegalVersioningConfigurationException")
    if status not in (Versioning.ENABLED, Versioning.SUSPENDED):
        raise S3Error("MalformedXML")
    context.store.set_versioning(bucket, Versioning(status))
    return S3Response()


# --- notifications


def get_notifications(context: OperationContext, call: S3Request) -> S3Response:
    """GetBucketNotificationConfiguration."""
    return xml_answer(ROOT, rendered(context.bucket(call).notifications))


def put_notifications(context: OperationContext, call: S3Request, prepared: Prepared) -> S3Response:
    """PutBucketNotificationConfiguration: replaces all that was configured by this call before."""
    bucket = context.bucket(call)
    configuration = parsed(prepared.document, context.new_rule_id)
    if call.headers.get("x-amz-skip-destination-validation", "").lower() != "true":
        for rule in configuration.rules:
            reason = context.notifier.refusal(rule.target)
            if reason is not None:
                raise unreachable(rule.target, reason)
        context.notifier.test(bucket, configuration.rules, call.request_id, HOST_ID)
    context.store.set_notifications(bucket, configuration)
    return S3Response()


# --- CORS


def get_cors(context: OperationContext, call: S3Request) -> S3Response:
    """GetBucketCors."""
    bucket = context.bucket(call)
    if not bucket.cors:
        raise S3Error("NoSuchCORSConfiguration", details={"BucketName": bucket.name})
    return cors.rendered(bucket.cors)


def put_cors(context: OperationContext, call: S3Request, prepared: Prepared) -> S3Response:
    """PutBucketCors: replaces all rules."""
    context.store.set_cors(context.bucket(call), cors.parsed(prepared.document))
    return S3Response()


def delete_cors(context: OperationContext, call: S3Request) -> S3Response:
    """DeleteBucketCors: nothing happens if there is none."""
    context.store.set_cors(context.bucket(call), ())
    return S3Response(204)


def preflight(context: OperationContext, call: S3Request) -> S3Response:
    """OPTIONS of a bucket or an object, which need not exist."""
    bucket = context.store.buckets.get(call.bucket)
    return cors.answer_preflight(call, bucket.cors if bucket is not None else ())


# --- what clients ask on the way


def get_acl(context: OperationContext, call: S3Request) -> S3Response:
    """GetBucketAcl and GetObjectAcl: the owner has full control; callers are not authenticated."""
    if call.key:
        context.version(call)
    else:
        context.bucket(call)
    grantee = f"<Grantee {_XSI}><ID>{OWNER}</ID></Grantee>"
    grant = f"<Grant>{grantee}<Permission>FULL_CONTROL</Permission></Grant>"
    return xml_answer("AccessControlPolicy", f"{OWNER_XML}<AccessControlList>{grant}</AccessControlList>")


_ABSENT: Final = {
    "GetBucketPolicy": "NoSuchBucketPolicy",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "GetPublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "GetBucketOwnershipControls": "OwnershipControlsNotFoundError",
}
_EMPTY: Final = {
    "GetBucketAccelerateConfiguration": ("AccelerateConfiguration", ""),
    "GetBucketLogging": ("BucketLoggingStatus", ""),
    "GetBucketRequestPayment": ("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
}


def _absent(code: str, context: OperationContext, call: S3Request) -> S3Response:
    raise S3Error(code, details={"BucketName": context.bucket(call).name})


def _empty(root: str, content: str, context: OperationContext, call: S3Request) -> S3Response:
    context.bucket(call)
    return xml_answer(root, content)


PROBES: Final = {
    **{name: partial(_absent, code) for name, code in _ABSENT.items()},
    **{name: partial(_empty, *answer) for name, answer in _EMPTY.items()},
}
"""Reads of settings that clients ask for, and that no bucket here has."""
