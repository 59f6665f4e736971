"""What S3 checks of settings beyond the forms that its model has, and how it completes them.

Each check takes the value that was sent, returns the one that is kept, and raises S3Error.
Source: Amazon S3 API Reference of each; answers recorded on AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.model import Bucket, Versioning
from engine.services.s3.operation_context import OperationContext
from engine.services.s3.request import header_line

Value = Mapping[str, Any]

_DAY_S: Final = 86_400
_MAX_YEARS: Final = 100
ALL_BLOCKED: Final = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
"""The public access block of a new bucket."""
AES256: Final = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
"""The encryption rule of a new bucket."""


def unchecked(_context: OperationContext, _bucket: Bucket, value: dict[str, Any]) -> Value:
    """Any value."""
    return value


def check_public_access(_context: OperationContext, _bucket: Bucket, value: dict[str, Any]) -> Value:
    """PutPublicAccessBlock: what is not said is off."""
    return {**dict.fromkeys(ALL_BLOCKED, False), **value}


def check_encryption(_context: OperationContext, _bucket: Bucket, value: dict[str, Any]) -> Value:
    """PutBucketEncryption."""
    if len(value["Rules"]) != 1 or not value["Rules"][0].keys() - {"BucketKeyEnabled"}:
        raise S3Error("MalformedXML")
    rule = {**AES256, **value["Rules"][0]}
    by_default = rule["ApplyServerSideEncryptionByDefault"]
    if by_default["SSEAlgorithm"] == "AES256" and "KMSMasterKeyID" in by_default:
        message = (
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        )
        raise invalid_argument(message, "ApplyServerSideEncryptionByDefault")
    header_line("x-amz-server-side-encryption-aws-kms-key-id", by_default.get("KMSMasterKeyID", ""))
    return {"Rules": [rule]}


def check_one_rule(_context: OperationContext, _bucket: Bucket, value: dict[str, Any]) -> Value:
    """PutBucketOwnershipControls."""
    if len(value["Rules"]) != 1:
        raise S3Error("MalformedXML")
    return value


def check_lifecycle(context: OperationContext, _bucket: Bucket, value: dict[str, Any]) -> Value:
    """PutBucketLifecycleConfiguration: rules without an id get one."""
    rules = [{"ID": context.new_rule_id(), **rule} for rule in value["Rules"]]
    if len({rule["ID"] for rule in rules}) < len(rules):
        message = "Rule ID must be unique. Found same ID for one or more rules"
        raise invalid_argument(message, "ID", "")
    for rule in rules:
        _check_lifecycle_rule(rule)
    return {"Rules": rules}


_ACTIONS: Final = (
    "Expiration",
    "Transitions",
    "NoncurrentVersionTransitions",
    "NoncurrentVersionExpiration",
    "AbortIncompleteMultipartUpload",
)


def _check_lifecycle_rule(rule: Value) -> None:
    expiration, rule_filter = rule.get("Expiration", {}), rule.get("Filter", {})
    if ("Filter" in rule) == ("Prefix" in rule) or len(rule_filter) > 1:
        raise S3Error("MalformedXML")
    if "Expiration" in rule and len(expiration) != 1:
        raise S3Error("MalformedXML")
    if rule.get("NoncurrentVersionExpiration") == {}:
        raise S3Error("MalformedXML")
    if not any(action in rule for action in _ACTIONS):
        raise S3Error("InvalidRequest", "At least one action needs to be specified in a rule")
    tags = [tag["Key"] for tag in rule_filter.get("And", {}).get("Tags", ())]
    if len(set(tags)) < len(tags):
        raise S3Error("InvalidRequest", "Duplicate Tag Keys are not allowed.")
    if "Days" in expiration and expiration["Days"] <= 0:
        message = "'Days' for Expiration action must be a positive integer"
        raise invalid_argument(message, "Days", str(expiration["Days"]))
    for action in (expiration, *rule.get("Transitions", ())):
        if action.get("Date", 0) % _DAY_S:
            raise invalid_argument("'Date' must be at midnight GMT", "Date", str(action["Date"]))


def check_website(_context: OperationContext, _bucket: Bucket, value: dict[str, Any]) -> Value:
    """PutBucketWebsite."""
    if "RedirectAllRequestsTo" in value:
        if len(value) > 1:
            message = "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules."
            raise invalid_argument(message, "RedirectAllRequestsTo", "not null")
        return value
    if "IndexDocument" not in value:
        message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty"
        raise invalid_argument(message, "IndexDocument", "null")
    suffix = value["IndexDocument"]["Suffix"]
    if not suffix or "/" in suffix:
        raise invalid_argument("The IndexDocument Suffix is not well formed", "IndexDocument", suffix)
    for rule in value.get("RoutingRules", ()):
        if {"ReplaceKeyPrefixWith", "ReplaceKeyWith"} <= rule["Redirect"].keys():
            message = "You can only define ReplaceKeyPrefix or ReplaceKey but not both."
            raise S3Error("InvalidRequest", message)
        if rule.get("Condition") == {}:
            message = (
                "Condition cannot be empty. To redirect all requests without a condition, the condition "
                "element shouldn't be present."
            )
            raise S3Error("InvalidRequest", message)
    return value


def check_logging(context: OperationContext, bucket: Bucket, value: dict[str, Any]) -> Value:
    """PutBucketLogging: the target is a bucket of the same region."""
    if "LoggingEnabled" not in value:
        return {}
    name = value["LoggingEnabled"]["TargetBucket"]
    target = context.store.buckets.get(name)
    if target is None:
        raise S3Error("InvalidTargetBucketForLogging", details={"TargetBucket": name})
    if target.region != bucket.region:
        raise S3Error("CrossLocationLoggingProhibitted", details={"TargetBucketLocation": target.region})
    return value


def check_replication(context: OperationContext, bucket: Bucket, value: dict[str, Any]) -> Value:
    """PutBucketReplication: both buckets have versions; rules without an id get one."""
    if bucket.versioning is not Versioning.ENABLED:
        message = "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
        raise S3Error("InvalidRequest", message)
    rules = []
    for rule in value["Rules"]:
        target = context.store.buckets.get(rule["Destination"]["Bucket"].rpartition(":")[2])
        if target is None or target.versioning is not Versioning.ENABLED:
            raise S3Error("InvalidRequest", "Destination bucket must have versioning enabled.")
        rules.append({"ID": context.new_rule_id(), **rule})
    return {**value, "Rules": rules}


def check_accelerate(_context: OperationContext, bucket: Bucket, value: dict[str, Any]) -> Value:
    """PutBucketAccelerateConfiguration."""
    if "." in bucket.name:
        message = "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names"
        raise S3Error("InvalidRequest", message)
    return value


def check_object_lock(_context: OperationContext, bucket: Bucket, value: dict[str, Any]) -> Value:
    """PutObjectLockConfiguration: for buckets with versions."""
    if bucket.versioning is not Versioning.ENABLED:
        raise S3Error("InvalidBucketState")
    if "Rule" in value:
        retention = value["Rule"]["DefaultRetention"]
        if ("Days" in retention) == ("Years" in retention):
            raise S3Error("MalformedXML")
        years = retention["Years"] if "Years" in retention else retention["Days"] / 365
        if years <= 0:
            raise S3Error("InvalidRetentionPeriod")
        if years > _MAX_YEARS:
            raise S3Error("InvalidRetentionPeriod", "Default retention period too large")
    return value
