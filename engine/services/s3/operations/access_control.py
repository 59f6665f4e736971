"""ACLs and policies of buckets: kept and shown, never applied.

Source: Amazon S3 API Reference of each; User Guide, "Blocking public access" (what makes a policy public).
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from engine.protocols.aws.operation import operation
from engine.services.s3.acl import ACL, PRIVATE, acl_asked
from engine.services.s3.documents import answer
from engine.services.s3.errors import S3Error
from engine.services.s3.operation_context import OperationContext
from engine.services.s3.request import S3Request, S3Response

_POLICY: Final = "BucketPolicy"
_NOT_JSON: Final = "Policies must be valid JSON and the first byte must be '{'"
_NARROWS: Final = frozenset(
    {
        "aws:principalarn",
        "aws:principalaccount",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
"""Keys of conditions that make a statement for everybody one for some."""


@operation("GetBucketAcl", kept=True)
def get_bucket_acl(context: OperationContext, call: S3Request) -> S3Response:
    return answer("GetBucketAcl", context.bucket(call).settings.get(ACL, PRIVATE))


@operation("PutBucketAcl", writes=True, kept=True)
def put_bucket_acl(context: OperationContext, call: S3Request) -> S3Response:
    """By a name, by grants in headers, or by a document."""
    context.store.set_setting(context.bucket(call), ACL, acl_asked(call))
    return S3Response()


# --- policies


@operation("GetBucketPolicy", kept=True)
def get_policy(context: OperationContext, call: S3Request) -> S3Response:
    """The text that was put."""
    policy = _policy(context, call)
    return S3Response(200, b"content-type: application/json\r\n", policy.encode())


@operation("PutBucketPolicy", writes=True, kept=True)
def put_policy(context: OperationContext, call: S3Request) -> S3Response:
    bucket = context.bucket(call)
    try:
        text = call.document.decode()
        policy = orjson.loads(text)
    except ValueError:
        raise S3Error("MalformedPolicy", _NOT_JSON) from None
    if not text.startswith("{"):
        raise S3Error("MalformedPolicy", _NOT_JSON)
    if not policy.get("Statement"):
        raise S3Error("MalformedPolicy", "Missing required field Statement")
    for statement in _listed(policy["Statement"]):
        for field in ("Effect", "Principal", "Action", "Resource"):
            if not isinstance(statement, dict) or not {field, f"Not{field}"} & statement.keys():
                raise S3Error("MalformedPolicy", f"Missing required field {field}")
    context.store.set_setting(bucket, _POLICY, text)
    return S3Response(204)


@operation("DeleteBucketPolicy", writes=True, kept=True)
def delete_policy(context: OperationContext, call: S3Request) -> S3Response:
    """Nothing happens if there is none."""
    context.store.set_setting(context.bucket(call), _POLICY, None)
    return S3Response(204)


@operation("GetBucketPolicyStatus", kept=True)
def get_policy_status(context: OperationContext, call: S3Request) -> S3Response:
    """Whether the policy allows anything to everybody."""
    statements = _listed(orjson.loads(_policy(context, call))["Statement"])
    is_public = any(_is_public(statement) for statement in statements)
    return answer("GetBucketPolicyStatus", {"IsPublic": is_public})


def _policy(context: OperationContext, call: S3Request) -> str:
    bucket = context.bucket(call)
    policy: str | None = bucket.settings.get(_POLICY)
    if policy is None:
        raise S3Error("NoSuchBucketPolicy", details={"BucketName": bucket.name})
    return policy


def _is_public(statement: dict[str, Any]) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    principal = statement.get("Principal")
    named = [principal] if isinstance(principal, str) else _listed((principal or {}).get("AWS"))
    keys = {key.lower() for test in statement.get("Condition", {}).values() for key in test}
    return ("*" in named or "NotPrincipal" in statement) and not keys & _NARROWS


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
