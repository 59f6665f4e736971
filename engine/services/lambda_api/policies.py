"""Resource policies: of functions, versions and aliases, and of layer versions. They are kept and shown.

No request is refused because of them.
Source: Lambda API reference, AddPermission, PutResourcePolicy, AddLayerVersionPermission and their like;
recorded answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.packages.records import LATEST, LayerVersion, Policy
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.errors import conflict, invalid_parameter, not_found
from engine.services.lambda_api.function_names import Addressed, addressed
from engine.services.lambda_api.function_registry import FoundFunction, FunctionRegistry, check_revision
from engine.services.lambda_api.routes import Call

_POLICY_BYTES: Final = 20_480
_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")
_NOTHING: Final = "The resource you requested does not exist."
_NO_POLICY: Final = "No policy is associated with the given resource."
_CONDITIONS: Final = (
    ("SourceAccount", "StringEquals", "AWS:SourceAccount"),
    ("SourceArn", "ArnLike", "AWS:SourceArn"),
    ("EventSourceToken", "StringEquals", "lambda:EventSourceToken"),
    ("PrincipalOrgID", "StringEquals", "aws:PrincipalOrgID"),
    ("OrganizationId", "StringEquals", "aws:PrincipalOrgID"),
    ("FunctionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"),
    ("InvokedViaFunctionUrl", "Bool", "lambda:InvokedViaFunctionUrl"),
)


class Policies:
    """The policies of all functions and layers."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self._registry = registry

    # ---------------------------------------------------------------- functions, statement by statement

    @operation("AddPermission", writes=True, kept=True)
    async def add_permission(self, call: Call) -> Answer:
        """AddPermission: adds a statement to the policy."""
        name, qualifier = self._registry.address(call)
        if qualifier == LATEST:
            raise invalid_parameter("We currently do not support adding policies for $LATEST.")
        self._registry.find(Addressed(name, None))
        found = self._registry.lookup_for_alias(call)
        policy = _policy_of(found)
        check_revision(call.members.get("RevisionId"), self._revision(found, policy), "GetPolicy")
        statement = _statement(call.members, found.arn)
        self._keep(found, self._extended(policy, statement))
        return Answer({"Statement": _compact(statement)})

    @operation("RemovePermission", writes=True, kept=True)
    async def remove_permission(self, call: Call) -> Answer:
        """RemovePermission: removes a statement from the policy."""
        name = self._registry.address(call).name
        missing = f"No policy found for: {self._registry.account.function_arn(name)}"
        self._registry.find(Addressed(name, None), missing)
        found = self._registry.lookup_for_alias(call)
        self._keep(found, self._reduced(_policy_of(found), call, "GetPolicy"))
        return Answer({})

    @operation("GetPolicy", kept=True)
    def get_policy(self, call: Call) -> Document:
        """GetPolicy: the policy as JSON text."""
        found = self._registry.find(self._registry.address(call), _NOTHING)
        return _document(_policy_of(found), _NOTHING)

    def _revision(self, found: FoundFunction, policy: Policy | None) -> str:
        """What AddPermission may be given: the policy's revision, or without one the resource's own."""
        if policy is not None:
            return policy.revision
        alias = found.record.aliases.get(found.qualifier)
        if alias is not None:
            return alias.revision
        version = self._registry.version(found.record, found.qualifier)
        return "" if version is None else version.revision

    def _keep(self, found: FoundFunction, policy: Policy | None) -> None:
        """Keep a policy, or none. A function itself has its policy's revision from then on."""
        if policy is None:
            del found.record.policies[found.qualifier]
        else:
            found.record.policies[found.qualifier] = policy
        latest = found.record.latest
        if found.qualifier == LATEST and latest is not None:
            latest.revision = self._registry.new_id() if policy is None else policy.revision

    # ---------------------------------------------------------------- functions, the whole policy

    @operation("PutResourcePolicy", writes=True, kept=True)
    async def put(self, call: Call) -> Answer:
        """PutResourcePolicy: replaces the policy, or creates it."""
        found = self._resource(call)
        check_revision(call.members.get("RevisionId"), _revision(_policy_of(found)), "GetResourcePolicy")
        policy = _parsed(call.members["Policy"], self._registry.new_id())
        self._keep(found, policy)
        return Answer(_document(policy, _NOTHING))

    @operation("GetResourcePolicy", kept=True)
    def get(self, call: Call) -> Document:
        """GetResourcePolicy: what GetPolicy shows, by the resource's ARN."""
        found = self._resource(call)
        return _document(_policy_of(found), _NOTHING)

    @operation("DeleteResourcePolicy", writes=True, kept=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteResourcePolicy. Raises ServiceError (404) if there is none."""
        found = self._resource(call)
        policy = _policy_of(found)
        if policy is None:
            raise not_found(_NOTHING)
        check_revision(call.parameters.get("RevisionId"), policy.revision, "GetResourcePolicy")
        self._keep(found, None)
        return Answer({})

    def _resource(self, call: Call) -> FoundFunction:
        """The function, version or alias of an ARN; there are no other resources with policies here."""
        arn = call.parameters["ResourceArn"]
        if ":function:" not in arn:
            raise not_found(_NOTHING)
        return self._registry.find(addressed(arn, None, self._registry.account))

    # ---------------------------------------------------------------- layers

    @operation("AddLayerVersionPermission", writes=True, kept=True)
    async def add_layer_permission(self, call: Call) -> Answer:
        """AddLayerVersionPermission: adds a statement to the policy of a layer version."""
        arn, version = self._layer_version(call)
        policy = version.policy
        statement = _statement(call.members, arn)
        extended = self._extended(policy, statement)
        check_revision(call.parameters.get("RevisionId"), _revision(policy), "GetLayerPolicy")
        version.policy = extended
        return Answer({"Statement": _compact(statement), "RevisionId": extended.revision})

    @operation("RemoveLayerVersionPermission", writes=True, kept=True)
    async def remove_layer_permission(self, call: Call) -> Answer:
        """RemoveLayerVersionPermission: removes a statement from the policy of a layer version."""
        _, version = self._layer_version(call)
        version.policy = self._reduced(version.policy, call, "GetLayerPolicy")
        return Answer({})

    @operation("GetLayerVersionPolicy", kept=True)
    def get_layer_policy(self, call: Call) -> Document:
        """GetLayerVersionPolicy: the policy as JSON text."""
        _, version = self._layer_version(call)
        return _document(version.policy, _NO_POLICY)

    def _layer_version(self, call: Call) -> tuple[str, LayerVersion]:
        """The ARN of a layer version, and the version itself. Raises ServiceError (404)."""
        given, number = call.parameters["LayerName"], str(call.parameters["VersionNumber"])
        name = given.rpartition(":")[2]
        own = self._registry.resource_arn("layer", name)
        arn = given if given.startswith("arn:") else own
        version = self._registry.state.layer_version(name, number) if arn == own else None
        if version is None:
            raise not_found(f"Layer version {arn}:{number} does not exist.")
        return f"{arn}:{number}", version

    # ---------------------------------------------------------------- statements

    def _extended(self, policy: Policy | None, statement: Document) -> Policy:
        """`policy` with one more statement, as a new revision. Raises ServiceError."""
        statements = {} if policy is None else policy.statements
        sid = statement["Sid"]
        if sid in statements:
            raise conflict(
                f"The statement id ({sid}) provided already exists. Please provide a new statement id, or "
                "remove the existing statement."
            )
        extended = Policy(statements={**statements, sid: statement}, revision=self._registry.new_id())
        if policy is not None:
            extended.envelope = policy.envelope
        size = len(_text(extended))
        if size > _POLICY_BYTES:
            message = f"The final policy size ({size}) is bigger than the limit ({_POLICY_BYTES})."
            raise ServiceError(400, "PolicyLengthExceededException", message)
        return extended

    def _reduced(self, policy: Policy | None, call: Call, operation: str) -> Policy | None:
        """`policy` without a statement, as a new revision; None if none is left. Raises ServiceError."""
        if policy is None:
            raise not_found(_NO_POLICY)
        sid = call.parameters["StatementId"]
        if sid not in policy.statements:
            raise not_found(f"Statement {sid} is not found in resource policy.")
        check_revision(call.parameters.get("RevisionId"), policy.revision, operation)
        rest = {key: statement for key, statement in policy.statements.items() if key != sid}
        revision = self._registry.new_id()
        return Policy(statements=rest, envelope=policy.envelope, revision=revision) if rest else None


def _policy_of(found: FoundFunction) -> Policy | None:
    return found.record.policies.get(found.qualifier)


def _revision(policy: Policy | None) -> str:
    """The revision that a caller may give; none, if there is no policy."""
    return "" if policy is None else policy.revision


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


def _parsed(text: str, revision: str) -> Policy:
    """The policy of a JSON text; a statement without an id is kept by its number. Raises ServiceError."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        document = None
    given = document.get("Statement") if isinstance(document, dict) else None
    listed = [given] if isinstance(given, dict) else given
    if not (isinstance(listed, list) and listed and all(isinstance(one, dict) for one in listed)):
        raise invalid_parameter("The policy is not a JSON object with statements.")
    statements = {str(one.get("Sid", number)): one for number, one in enumerate(listed)}
    if len(statements) < len(listed):
        raise invalid_parameter("Two statements of the policy have the same Sid.")
    return Policy(
        statements=statements,
        envelope={key: value for key, value in document.items() if key != "Statement"},
        revision=revision,
    )


def _document(policy: Policy | None, missing: str) -> Document:
    if policy is None:
        raise not_found(missing)
    return {"Policy": _text(policy), "RevisionId": policy.revision}


def _text(policy: Policy) -> str:
    return _compact({**policy.envelope, "Statement": list(policy.statements.values())})


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))
