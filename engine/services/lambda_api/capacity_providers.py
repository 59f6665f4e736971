"""Capacity providers, and the scaling of functions on them. They are kept and shown, without instances.

Source: Lambda API reference, CreateCapacityProvider, PutFunctionScalingConfig and their like.
"""

from __future__ import annotations

from engine.packages.records import FunctionRecord, KeptResource
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.configured_functions import iso
from engine.services.lambda_api.errors import conflict, function_not_found, not_found
from engine.services.lambda_api.function_documents import provider_of
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.tags_and_settings import check_tags


class CapacityProviders:
    """All capacity providers, and the scaling configs of all functions."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self._registry = registry

    @operation("CreateCapacityProvider", writes=True, kept=True)
    async def create(self, call: Call) -> Answer:
        """CreateCapacityProvider: answers Pending, and is Active from then on."""
        members = dict(call.members)
        name = _name(members.pop("CapacityProviderName"))
        if name in self._registry.state.capacity_providers:
            raise conflict(f"Capacity provider already exists: {self._arn(name)}")
        check_tags(tags := members.pop("Tags", {}))
        self._registry.state.capacity_providers[name] = KeptResource(
            config=members, tags=tags, modified_s=self._registry.now_s()
        )
        return Answer({"CapacityProvider": self._document(name, "Pending")})

    @operation("UpdateCapacityProvider", writes=True, kept=True)
    async def update(self, call: Call) -> Answer:
        """UpdateCapacityProvider: members that are not given stay."""
        name, kept = self._found(call)
        kept.config, kept.modified_s = {**kept.config, **call.members}, self._registry.now_s()
        return Answer({"CapacityProvider": self._document(name)})

    @operation("DeleteCapacityProvider", writes=True, kept=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteCapacityProvider: answers Deleting, and is gone."""
        name, _ = self._found(call)
        document = self._document(name, "Deleting")
        del self._registry.state.capacity_providers[name]
        return Answer({"CapacityProvider": document})

    @operation("GetCapacityProvider", kept=True)
    def get(self, call: Call) -> Document:
        """GetCapacityProvider."""
        name, _ = self._found(call)
        return {"CapacityProvider": self._document(name)}

    @operation("ListCapacityProviders", kept=True)
    def list_all(self, call: Call) -> Document:
        """ListCapacityProviders: sorted by name; all are Active."""
        providers = self._registry.state.capacity_providers
        wanted = providers if call.parameters.get("State", "Active") == "Active" else {}
        return list_document("CapacityProviders", wanted, call.parameters, self._document)

    @operation("ListFunctionVersionsByCapacityProvider", kept=True)
    def list_versions(self, call: Call) -> Document:
        """ListFunctionVersionsByCapacityProvider: those that are declared for it. They run like any other."""
        name, _ = self._found(call)
        declared = {
            self._registry.arn(record, number): version.state
            for record in self._registry.records()
            for number, version in record.versions.items()
            if provider_of(version.settings) == self._arn(name)
        }
        listed = list_document(
            "FunctionVersions",
            declared,
            call.parameters,
            lambda arn: {"FunctionArn": arn, "State": declared[arn]},
        )
        return {"CapacityProviderArn": self._arn(name), **listed}

    # ---------------------------------------------------------------- scaling of functions

    @operation("PutFunctionScalingConfig", writes=True, kept=True)
    async def put_scaling(self, call: Call) -> Answer:
        """PutFunctionScalingConfig: of one version; without a config the last one goes."""
        record, qualifier, _ = self._scaled(call)
        config = call.members.get("FunctionScalingConfig")
        if config is None:
            record.scaling.pop(qualifier, None)
        else:
            record.scaling[qualifier] = config
        return Answer({"FunctionState": "Active"})

    @operation("GetFunctionScalingConfig", kept=True)
    def get_scaling(self, call: Call) -> Document:
        """GetFunctionScalingConfig: what was requested is what is applied."""
        record, qualifier, arn = self._scaled(call)
        document: Document = {"FunctionArn": arn}
        if qualifier in record.scaling:
            config = record.scaling[qualifier]
            document |= {"AppliedFunctionScalingConfig": config, "RequestedFunctionScalingConfig": config}
        return document

    # ---------------------------------------------------------------- inside

    def _found(self, call: Call) -> tuple[str, KeptResource]:
        given: str = call.parameters["CapacityProviderName"]
        name = _name(given)
        arn = given if given.startswith("arn:") else self._arn(name)
        kept = self._registry.state.capacity_providers.get(name)
        if kept is None or arn != self._arn(name):
            raise not_found(f"Capacity provider not found: {arn}")
        return name, kept

    def _scaled(self, call: Call) -> tuple[FunctionRecord, str, str]:
        """A function, its version or `$LATEST.PUBLISHED`, and the ARN of that. Raises ServiceError (404)."""
        record, qualifier = self._registry.function(call.name), call.parameters["Qualifier"]
        arn = self._registry.arn(record, qualifier)
        if qualifier.isdecimal() and qualifier not in record.versions:
            raise function_not_found(arn)
        return record, qualifier, arn

    def _arn(self, name: str) -> str:
        return self._registry.resource_arn("capacity-provider", name)

    def _document(self, name: str, state: str = "Active") -> Document:
        kept = self._registry.state.capacity_providers[name]
        return {
            "CapacityProviderArn": self._arn(name),
            "State": state,
            **kept.config,
            "LastModified": iso(kept.modified_s),
        }


def _name(text: str) -> str:
    """The name in a name or an ARN."""
    return text.rpartition(":")[2]
