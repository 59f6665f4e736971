"""Tags, and settings of functions that are kept and shown, and have no effect.

Source: Lambda API reference, TagResource, PutFunctionRecursionConfig and their like; recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.packages.records import LATEST, FunctionRecord, KeptResource, MappingRecord
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.errors import invalid_parameter, not_found
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.routes import Call

_MAX_TAGS: Final = 50
_NOTHING: Final = "The resource you requested does not exist."
_NO_PARTS: Final = "Tags on function aliases and versions are not supported. Please specify a function ARN."


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise ServiceError (400) if a resource would have more tags than it can, or one of AWS's own."""
    if any(key.startswith("aws:") for key in tags):
        raise invalid_parameter("aws: prefixed tag key names are not allowed for external use.")
    if len(tags) > _MAX_TAGS:
        raise invalid_parameter("Number of tags exceeds resource tag limit.")


class TagsAndSettings:
    """Tags of all that has some, and settings of all functions."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self._registry = registry

    # ---------------------------------------------------------------- tags

    @operation("TagResource", writes=True)
    async def tag(self, call: Call) -> Answer:
        """TagResource: adds tags, or replaces their values."""
        record = self._tagged(call)
        members = call.members["Tags"]
        if not members:
            raise invalid_parameter("An error occurred and the request cannot be processed.")
        check_tags(record.tags | members)
        return self._retagged(record, record.tags | members)

    @operation("UntagResource", writes=True)
    async def untag(self, call: Call) -> Answer:
        """UntagResource: removes tags; missing ones are ignored."""
        record = self._tagged(call)
        removed = set(call.parameters["TagKeys"])
        return self._retagged(
            record, {key: value for key, value in record.tags.items() if key not in removed}
        )

    def _retagged(
        self, record: FunctionRecord | MappingRecord | KeptResource, tags: dict[str, str]
    ) -> Answer:
        """Tags are part of a function: it has another revision then."""
        record.tags = tags
        if isinstance(record, FunctionRecord) and record.latest is not None:
            record.latest.revision = self._registry.new_id()
        return Answer({})

    @operation("ListTags")
    def list_tags(self, call: Call) -> Document:
        """ListTags."""
        return {"Tags": dict(self._tagged(call).tags)}

    def _tagged(self, call: Call) -> FunctionRecord | MappingRecord | KeptResource:
        """What an ARN names. Raises ServiceError: 404 in the words of its kind, 400 for a function's part."""
        arn: str = call.parameters["Resource"]
        *_, region, account, resource = arn.split(":", 5)
        kind, _, name = resource.partition(":")
        state, own = self._registry.state, self._registry.account
        found: MappingRecord | KeptResource | None = None
        match kind:
            case "function":
                if ":" in name:
                    raise invalid_parameter(_NO_PARTS)
                return self._registry.function(arn)
            case "event-source-mapping":
                found, missing = state.mappings.get(name), f"Event source mapping not found: {arn}"
            case "code-signing-config":
                found, missing = state.code_signing.get(arn), f"Code signing config not found: {arn}"
            case "capacity-provider":
                found, missing = state.capacity_providers.get(name), f"Capacity provider not found: {arn}"
            case _:
                missing = _NOTHING
        if found is None or (region, account) != (own.region, own.account_id):
            raise not_found(missing)
        return found

    # ---------------------------------------------------------------- settings

    @operation("GetFunctionRecursionConfig")
    def recursion(self, call: Call) -> Document:
        """GetFunctionRecursionConfig."""
        record = self._registry.function(call.name)
        return {"RecursiveLoop": record.recursion}

    @operation("PutFunctionRecursionConfig", writes=True)
    async def put_recursion(self, call: Call) -> Answer:
        """PutFunctionRecursionConfig: `Allow` lets the function call itself without end."""
        members = call.members
        record = self._registry.function(call.name)
        record.recursion = members["RecursiveLoop"]
        return Answer({"RecursiveLoop": record.recursion})

    @operation("PutRuntimeManagementConfig", writes=True, kept=True)
    async def put_runtime_management(self, call: Call) -> Answer:
        """PutRuntimeManagementConfig: of one version. The runtime is this interpreter, whatever it says."""
        found = self._registry.lookup(call)
        config = dict(call.members)
        if ("RuntimeVersionArn" in config) != (config["UpdateRuntimeOn"] == "Manual"):
            raise invalid_parameter("RuntimeVersionArn belongs to the runtime update mode Manual.")
        found.record.runtime_management[found.qualifier] = config
        return Answer(self.runtime_management(call))

    @operation("GetRuntimeManagementConfig", kept=True)
    def runtime_management(self, call: Call) -> Document:
        """GetRuntimeManagementConfig: `Auto` unless something else was put."""
        found = self._registry.lookup(call)
        qualifier = None if found.qualifier == LATEST else found.qualifier
        config = found.record.runtime_management.get(found.qualifier, {"UpdateRuntimeOn": "Auto"})
        return {**config, "FunctionArn": self._registry.arn(found.record, qualifier)}
