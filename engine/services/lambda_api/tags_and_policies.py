"""Tags, resource policies, and settings of functions that are stored and have no effect.

Policies and recursion settings are stored and shown; no request is refused because of them.
Source: Lambda API reference, TagResource, AddPermission, GetFunctionCodeSigningConfig and their like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from engine.packages.records import LATEST, FunctionRecord, MappingRecord, Policy
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.errors import (
    conflict,
    invalid_parameter,
    not_found,
)
from engine.services.lambda_api.function_names import Addressed
from engine.services.lambda_api.function_registry import FoundFunction, FunctionRegistry, check_revision
from engine.services.lambda_api.routes import Call

_MAX_TAGS: Final = 50
_POLICY_BYTES: Final = 20_480
_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")
_NOTHING: Final = "The resource you requested does not exist."


class TagsAndPolicies:
    """Tags, policies and settings of all functions."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self._registry = registry

    # ---------------------------------------------------------------- tags

    @operation("TagResource", writes=True)
    async def tag(self, call: Call, body: bytes) -> Answer:
        """TagResource: adds tags, or replaces their values."""
        record = self._tagged(call)
        members = call.members["Tags"]
        if not members:
            raise invalid_parameter("An error occurred and the request cannot be processed.")
        if len(record.tags | members) > _MAX_TAGS:
            raise invalid_parameter("Number of tags exceeds resource tag limit.")
        record.tags = record.tags | members
        return Answer({})

    @operation("UntagResource", writes=True)
    async def untag(self, call: Call, _body: bytes) -> Answer:
        """UntagResource: removes tags; missing ones are ignored."""
        record = self._tagged(call)
        removed = set(call.parameters["TagKeys"])
        record.tags = {key: value for key, value in record.tags.items() if key not in removed}
        return Answer({})

    @operation("ListTags")
    def list_tags(self, call: Call) -> Document:
        """ListTags: of one function or mapping."""
        return {"Tags": dict(self._tagged(call).tags)}

    def _tagged(self, call: Call) -> FunctionRecord | MappingRecord:
        _, mark, uuid = call.name.partition(":event-source-mapping:")
        if mark:
            mapping = self._registry.state.mappings.get(uuid)
            if mapping is None:
                raise not_found(_NOTHING)
            return mapping
        return self._registry.function(call.name)

    # ---------------------------------------------------------------- policy

    @operation("AddPermission", writes=True, kept=True)
    async def add_permission(self, call: Call, body: bytes) -> Answer:
        """AddPermission: adds a statement to the policy."""
        members = call.members
        name, qualifier = self._registry.address(call)
        if qualifier == LATEST:
            raise invalid_parameter("We currently do not support adding policies for $LATEST.")
        self._registry.find(Addressed(name, None))
        found = self._registry.lookup_for_alias(call)
        policy = found.record.policies.get(found.qualifier)
        check_revision(members.get("RevisionId"), self._revision(found, policy), "GetPolicy")
        sid = members["StatementId"]
        if policy is not None and sid in policy.statements:
            raise conflict(
                f"The statement id ({sid}) provided already exists. Please provide a new statement id, or "
                "remove the existing statement."
            )
        statement = _statement(members, found.arn)
        statements = {**({} if policy is None else policy.statements), sid: statement}
        size = len(_policy_text(statements))
        if size > _POLICY_BYTES:
            raise invalid_parameter(
                f"The final policy size ({size}) is bigger than the limit ({_POLICY_BYTES})."
            )
        revision = self._registry.new_id()
        found.record.policies[found.qualifier] = Policy(statements=statements, revision=revision)
        return Answer({"Statement": _compact(statement)})

    @operation("RemovePermission", writes=True, kept=True)
    async def remove_permission(self, call: Call, _body: bytes) -> Answer:
        """RemovePermission: removes a statement from the policy."""
        name = self._registry.address(call).name
        if self._registry.record(name) is None:
            raise not_found(f"No policy found for: {self._registry.account.function_arn(name)}")
        found = self._registry.lookup_for_alias(call)
        policy = found.record.policies.get(found.qualifier)
        if policy is None:
            raise not_found("No policy is associated with the given resource.")
        if call.second not in policy.statements:
            raise not_found(f"Statement {call.second[:200]} is not found in resource policy.")
        check_revision(call.query.get("RevisionId"), policy.revision, "GetPolicy")
        del policy.statements[call.second]
        policy.revision = self._registry.new_id()
        if not policy.statements:
            del found.record.policies[found.qualifier]
        return Answer({})

    @operation("GetPolicy", kept=True)
    def get_policy(self, call: Call) -> Document:
        """GetPolicy: the policy as JSON text."""
        name, qualifier = self._registry.address(call)
        record = self._registry.record(name)
        policy = None if record is None else record.policies.get(qualifier or LATEST)
        if policy is None:
            raise not_found(_NOTHING)
        return {"Policy": _policy_text(policy.statements), "RevisionId": policy.revision}

    def _revision(self, found: FoundFunction, policy: Policy | None) -> str:
        """What AddPermission may be given: the policy's revision, or without one the resource's own."""
        if policy is not None:
            return policy.revision
        alias = found.record.aliases.get(found.qualifier)
        if alias is not None:
            return alias.revision
        version = self._registry.version(found.record, found.qualifier)
        return "" if version is None else version.revision

    # ---------------------------------------------------------------- settings

    @operation("GetFunctionCodeSigningConfig", kept=True)
    def code_signing(self, call: Call) -> Document:
        """GetFunctionCodeSigningConfig: always empty."""
        record = self._registry.function(call.name)
        return {"CodeSigningConfigArn": "", "FunctionName": record.name}

    @operation("GetFunctionRecursionConfig", kept=True)
    def recursion(self, call: Call) -> Document:
        """GetFunctionRecursionConfig. Recursive loops are not detected."""
        record = self._registry.function(call.name)
        return {"RecursiveLoop": record.recursion}

    @operation("PutFunctionRecursionConfig", writes=True, kept=True)
    async def put_recursion(self, call: Call, body: bytes) -> Answer:
        """PutFunctionRecursionConfig: stored and shown, without effect."""
        members = call.members
        record = self._registry.function(call.name)
        record.recursion = members["RecursiveLoop"]
        return Answer({"RecursiveLoop": record.recursion})

    @operation("GetRuntimeManagementConfig", kept=True)
    def runtime_management(self, call: Call) -> Document:
        """GetRuntimeManagementConfig: `Auto`, because the runtime is this interpreter."""
        found = self._registry.lookup(call)
        qualifier = None if found.qualifier == LATEST else found.qualifier
        return {"UpdateRuntimeOn": "Auto", "FunctionArn": self._registry.arn(found.record, qualifier)}


def _statement(members: Mapping[str, Any], arn: str) -> dict[str, Any]:
    principal: Any = members["Principal"]
    if _SERVICE.fullmatch(principal):
        principal = {"Service": principal}
    elif re.fullmatch(r"\d{12}", principal):
        principal = {"AWS": f"arn:aws:iam::{principal}:root"}
    elif principal.startswith("arn:"):
        principal = {"AWS": principal}
    elif principal != "*":
        raise invalid_parameter(
            "The provided principal was invalid. Please check the principal and try again."
        )
    conditions: dict[str, dict[str, Any]] = {}
    for member, operator, key in _CONDITIONS:
        if member in members:
            conditions.setdefault(operator, {})[key] = members[member]
    statement = {
        "Sid": members["StatementId"],
        "Effect": "Allow",
        "Principal": principal,
        "Action": members["Action"],
        "Resource": arn,
    }
    return {**statement, "Condition": conditions} if conditions else statement


_CONDITIONS: Final = (
    ("SourceAccount", "StringEquals", "AWS:SourceAccount"),
    ("SourceArn", "ArnLike", "AWS:SourceArn"),
    ("EventSourceToken", "StringEquals", "lambda:EventSourceToken"),
    ("PrincipalOrgID", "StringEquals", "aws:PrincipalOrgID"),
    ("FunctionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"),
    ("InvokedViaFunctionUrl", "Bool", "lambda:InvokedViaFunctionUrl"),
)


def _policy_text(statements: dict[str, dict[str, Any]]) -> str:
    return _compact({"Version": "2012-10-17", "Id": "default", "Statement": list(statements.values())})


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))
