"""Settings of buckets that are kept and shown; of these, object lock alone is applied.

Terraform, CDK and the console write them with every bucket. What a document may hold is in AWS's model.
Source: Amazon S3 API Reference of each; answers recorded on AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from engine.protocols.aws.operation import Operation
from engine.services.s3.documents import answer, payload_of
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.model import Bucket
from engine.services.s3.object_lock import CONFIGURATION
from engine.services.s3.operation_context import OperationContext
from engine.services.s3.request import S3Request, S3Response
from engine.services.s3.setting_checks import (
    AES256,
    ALL_BLOCKED,
    Value,
    check_accelerate,
    check_encryption,
    check_lifecycle,
    check_logging,
    check_object_lock,
    check_one_rule,
    check_public_access,
    check_replication,
    check_website,
    unchecked,
)

Check = Callable[[OperationContext, Bucket, dict[str, Any]], Value]
"""Checks a value, and completes it as S3 does. Raises S3Error."""

_MAX_LISTED: Final = 100
_MAX_KEPT: Final = 1000


# --- the settings


class Setting(NamedTuple):
    """One setting of buckets.

    Attributes:
        name: What its operations have after Put and Get.
        check: What S3 checks beyond the model.
        missing: Code of the error of a bucket that has none.
        initial: The value of a bucket that was given none.
        deletes: Whether there is an operation that deletes it.
        resets: Whether a deletion brings the initial value back.
    """

    name: str
    check: Check = unchecked
    missing: str = ""
    initial: Value | None = None
    deletes: bool = False
    resets: bool = False

    def of(self, bucket: Bucket) -> Value:
        """The value. Raises S3Error if there is none."""
        value: Value | None = bucket.settings.get(self.name, self.initial)
        if value is None:
            raise S3Error(self.missing, details={"BucketName": bucket.name})
        return value


_ENFORCED: Final = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
OBJECT_LOCK: Final = Setting(CONFIGURATION, check_object_lock, "ObjectLockConfigurationNotFoundError")
OWNERSHIP: Final = Setting(
    "BucketOwnershipControls", check_one_rule, "OwnershipControlsNotFoundError", _ENFORCED, deletes=True
)
_BLOCKED: Final = Setting(
    "PublicAccessBlock",
    check_public_access,
    "NoSuchPublicAccessBlockConfiguration",
    ALL_BLOCKED,
    deletes=True,
)
BUCKET_SETTINGS: Final = (
    OBJECT_LOCK,
    OWNERSHIP,
    _BLOCKED,
    Setting("BucketEncryption", check_encryption, initial={"Rules": [AES256]}, deletes=True, resets=True),
    Setting("BucketLifecycleConfiguration", check_lifecycle, "NoSuchLifecycleConfiguration", deletes=True),
    Setting("BucketWebsite", check_website, "NoSuchWebsiteConfiguration", deletes=True),
    Setting("BucketReplication", check_replication, "ReplicationConfigurationNotFoundError", deletes=True),
    Setting("BucketLogging", check_logging, initial={}),
    Setting("BucketAccelerateConfiguration", check_accelerate, initial={}),
    Setting("BucketRequestPayment", initial={"Payer": "BucketOwner"}),
    Setting("BucketAbac", initial={"Status": "Disabled"}),
)
_LISTED: Final = ("BucketAnalytics", "BucketIntelligentTiering", "BucketInventory", "BucketMetrics")
"""Configurations of which a bucket has many, by their ids."""


# --- operations


def _put(setting: Setting, context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    value = setting.check(context, bucket, payload_of(f"Put{setting.name}", call.document))
    head = b""
    if setting.name == "BucketLifecycleConfiguration":
        size = call.headers.get(_SMALLEST, "all_storage_classes_128K")
        if size not in ("all_storage_classes_128K", "varies_by_storage_class"):
            raise invalid_argument("Invalid value for TransitionDefaultMinimumObjectSize", _SMALLEST, size)
        value = {**value, _SMALLEST: size}
        head = _smallest_head(value)
    context.store.set_setting(bucket, setting.name, value)
    return S3Response(200, head)


def _get(setting: Setting, context: OperationContext, call: S3Request) -> S3Response:
    value = setting.of(context.bucket(call))
    document = {name: member for name, member in value.items() if name != _SMALLEST}
    return answer(f"Get{setting.name}", document, _smallest_head(value))


_SMALLEST: Final = "x-amz-transition-default-minimum-object-size"
"""The one header that a setting has; it is kept beside the members of its document."""


def _smallest_head(value: Value) -> bytes:
    return f"{_SMALLEST}: {value[_SMALLEST]}\r\n".encode() if _SMALLEST in value else b""


def _delete(setting: Setting, context: OperationContext, call: S3Request) -> S3Response:
    context.store.set_setting(context.bucket(call), setting.name, setting.initial if setting.resets else None)
    return S3Response(204)


def _all(bucket: Bucket, name: str) -> dict[str, Value]:
    return bucket.settings.get(name) or {}


def _put_one(name: str, context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    value = payload_of(f"Put{name}Configuration", call.document)
    if value["Id"] != call.query["id"]:
        raise S3Error("IdMismatch" if name == "BucketInventory" else "MalformedXML")
    if name == "BucketInventory":
        target = value["Destination"]["S3BucketDestination"]["Bucket"]
        if not target.startswith("arn:"):
            raise S3Error("InvalidS3DestinationBucket")
    kept = {**_all(bucket, name), value["Id"]: value}
    if len(kept) > _MAX_KEPT:
        raise S3Error("TooManyConfigurations")
    context.store.set_setting(bucket, name, kept)
    return S3Response()


def _get_one(name: str, context: OperationContext, call: S3Request) -> S3Response:
    value = _all(context.bucket(call), name).get(call.query["id"])
    if value is None:
        raise S3Error("NoSuchConfiguration")
    return answer(f"Get{name}Configuration", value)


def _delete_one(name: str, context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    kept = dict(_all(bucket, name))
    if kept.pop(call.query["id"], None) is None:
        raise S3Error("NoSuchConfiguration")
    context.store.set_setting(bucket, name, kept)
    return S3Response(204)


def _list(name: str, context: OperationContext, call: S3Request) -> S3Response:
    """Up to 100 in the order of their ids; the token is the last id of the page before."""
    kept = _all(context.bucket(call), name)
    token = call.query.get("continuation-token")
    ids = sorted(one for one in kept if token is None or one > token)
    shown = ids[:_MAX_LISTED]
    is_cut = len(ids) > len(shown)
    value = {
        "IsTruncated": is_cut,
        "ContinuationToken": token,
        "NextContinuationToken": shown[-1] if is_cut else None,
        f"{name.removeprefix('Bucket')}ConfigurationList": [kept[one] for one in shown],
    }
    return answer(f"List{name}Configurations", value)


def _operations() -> Iterator[tuple[str, Callable[[OperationContext, S3Request], S3Response]]]:
    for setting in BUCKET_SETTINGS:
        yield f"Put{setting.name}", partial(_put, setting)
        yield f"Get{setting.name}", partial(_get, setting)
        if setting.deletes:
            yield f"Delete{setting.name.removesuffix('Configuration')}", partial(_delete, setting)
    for name in _LISTED:
        yield f"Put{name}Configuration", partial(_put_one, name)
        yield f"Get{name}Configuration", partial(_get_one, name)
        yield f"Delete{name}Configuration", partial(_delete_one, name)
        yield f"List{name}Configurations", partial(_list, name)


OPERATIONS: Final[Mapping[str, Operation]] = {
    name: Operation(name, run, writes=name.startswith(("Put", "Delete")), kept=True)
    for name, run in _operations()
}
"""Those on settings, by AWS's names."""
