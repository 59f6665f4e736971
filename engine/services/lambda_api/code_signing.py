"""Code-signing configurations. They are kept and shown; no code is refused because of them.

Source: Lambda API reference, CreateCodeSigningConfig, PutFunctionCodeSigningConfig and their like; recorded
answers.
"""

from __future__ import annotations

from typing import Any, Final

from engine.packages.records import KeptResource
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.configured_functions import iso
from engine.services.lambda_api.errors import conflict
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.tags_and_settings import check_tags

_ID_CHARACTERS: Final = 17


def check_exists(registry: FunctionRegistry, arn: str) -> None:
    """Raise ServiceError (404), in the words of operations on functions, if there is none of that ARN."""
    if arn not in registry.state.code_signing:
        message = (
            "The code signing configuration cannot be found. "
            f"Check that the provided configuration is not deleted: {arn}."
        )
        raise ServiceError(404, "CodeSigningConfigNotFoundException", message)


class CodeSigning:
    """All configurations, and which functions have one."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self._registry = registry

    # ---------------------------------------------------------------- configurations

    @operation("CreateCodeSigningConfig", writes=True, kept=True)
    async def create(self, call: Call) -> Answer:
        """CreateCodeSigningConfig."""
        members = dict(call.members)
        check_tags(tags := members.pop("Tags", {}))
        members["CodeSigningPolicies"] = {
            "UntrustedArtifactOnDeployment": "Warn",
            **members.get("CodeSigningPolicies", {}),
        }
        id_ = f"csc-{self._registry.new_id().replace('-', '')[-_ID_CHARACTERS:]}"
        arn = self._registry.resource_arn("code-signing-config", id_)
        self._registry.state.code_signing[arn] = KeptResource(
            config=members, tags=tags, modified_s=self._registry.now_s()
        )
        return Answer({"CodeSigningConfig": self._document(arn)})

    @operation("UpdateCodeSigningConfig", writes=True, kept=True)
    async def update(self, call: Call) -> Answer:
        """UpdateCodeSigningConfig: members that are not given stay."""
        arn, kept = self._found(call)
        changed = {**kept.config, **call.members}
        if changed != kept.config:
            kept.config, kept.modified_s = changed, self._registry.now_s()
        return Answer({"CodeSigningConfig": self._document(arn)})

    @operation("DeleteCodeSigningConfig", writes=True, kept=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteCodeSigningConfig. Raises ServiceError (409) if a function has it."""
        arn, _ = self._found(call)
        if self._users(arn):
            raise conflict(f"The code signing configuration {arn} is used by functions.")
        del self._registry.state.code_signing[arn]
        return Answer({})

    @operation("GetCodeSigningConfig", kept=True)
    def get(self, call: Call) -> Document:
        """GetCodeSigningConfig."""
        arn, _ = self._found(call)
        return {"CodeSigningConfig": self._document(arn)}

    @operation("ListCodeSigningConfigs", kept=True)
    def list_all(self, call: Call) -> Document:
        """ListCodeSigningConfigs: sorted by ARN."""
        configs = self._registry.state.code_signing
        return list_document("CodeSigningConfigs", configs, call.parameters, self._document)

    @operation("ListFunctionsByCodeSigningConfig", kept=True)
    def list_functions(self, call: Call) -> Document:
        """ListFunctionsByCodeSigningConfig: ARNs of functions."""
        arn, _ = self._found(call)
        return list_document(
            "FunctionArns", self._users(arn), call.parameters, self._registry.account.function_arn
        )

    # ---------------------------------------------------------------- functions

    @operation("PutFunctionCodeSigningConfig", writes=True, kept=True)
    async def put_of_function(self, call: Call) -> Answer:
        """PutFunctionCodeSigningConfig: a missing configuration is told before a missing function."""
        arn = call.members["CodeSigningConfigArn"]
        check_exists(self._registry, arn)
        record = self._registry.function(call.name)
        record.code_signing = arn
        return Answer({"CodeSigningConfigArn": arn, "FunctionName": record.name})

    @operation("GetFunctionCodeSigningConfig", kept=True)
    def get_of_function(self, call: Call) -> Document:
        """GetFunctionCodeSigningConfig: empty for a function that has none."""
        record = self._registry.function(call.name)
        if not record.code_signing:
            return {}
        return {"CodeSigningConfigArn": record.code_signing, "FunctionName": record.name}

    @operation("DeleteFunctionCodeSigningConfig", writes=True, kept=True)
    async def delete_of_function(self, call: Call) -> Answer:
        """DeleteFunctionCodeSigningConfig. To have none is no error."""
        self._registry.function(call.name).code_signing = ""
        return Answer({})

    # ---------------------------------------------------------------- inside

    def _found(self, call: Call) -> tuple[str, KeptResource]:
        arn: str = call.parameters["CodeSigningConfigArn"]
        kept = self._registry.state.code_signing.get(arn)
        if kept is None:
            message = f"The Lambda code signing configuration {arn} can not be found."
            raise ServiceError(404, "ResourceNotFoundException", message, has_type=False)
        return arn, kept

    def _users(self, arn: str) -> list[str]:
        return [record.name for record in self._registry.records() if record.code_signing == arn]

    def _document(self, arn: str) -> dict[str, Any]:
        kept = self._registry.state.code_signing[arn]
        return {
            "CodeSigningConfigId": arn.rpartition(":")[2],
            "CodeSigningConfigArn": arn,
            **kept.config,
            "LastModified": iso(kept.modified_s),
        }
