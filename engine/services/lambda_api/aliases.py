"""Aliases: names for versions, which may share the invocations of two.

Source: Lambda API reference, CreateAlias and the other operations on aliases; recorded answers.
"""

from __future__ import annotations

from typing import Any

from engine.packages.deployment import Deployment
from engine.packages.records import LATEST, Alias, FunctionRecord
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.apply_record import apply_aliases, apply_concurrency
from engine.services.lambda_api.errors import conflict, invalid_parameter, not_found
from engine.services.lambda_api.function_names import Addressed
from engine.services.lambda_api.function_registry import FunctionRegistry, check_revision
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call


class Aliases:
    """Aliases of all functions."""

    def __init__(self, registry: FunctionRegistry, deployment: Deployment) -> None:
        self._registry = registry
        self._deployment = deployment

    @operation("CreateAlias", writes=True)
    async def create(self, call: Call) -> Answer:
        """CreateAlias."""
        members = call.members
        named = Addressed(self._registry.unqualified(call.name), members["FunctionVersion"])
        record, name = self._registry.find(named).record, members["Name"]
        if name in record.aliases:
            raise conflict(f"Alias already exists: {self._registry.arn(record, name)}")
        weights = self._weights(record, members["FunctionVersion"], members.get("RoutingConfig"))
        alias = Alias(
            name=name,
            version=members["FunctionVersion"],
            description=members.get("Description", ""),
            weights=weights,
            revision=self._registry.new_id(),
        )
        record.aliases[name] = alias
        apply_aliases(self._deployment, record)
        return Answer(self._document(record, alias))

    @operation("UpdateAlias", writes=True)
    async def update(self, call: Call) -> Answer:
        """UpdateAlias: members that are not given stay; provisioned environments follow the alias."""
        members = call.members
        record, alias = self._alias(call, "Alias not found")
        check_revision(members.get("RevisionId"), alias.revision)
        version = members.get("FunctionVersion", alias.version)
        routing = members.get("RoutingConfig", {"AdditionalVersionWeights": alias.weights})
        alias.weights = self._weights(record, version, routing)
        alias.version = version
        alias.description = members.get("Description", alias.description)
        alias.revision = self._registry.new_id()
        apply_aliases(self._deployment, record)
        if alias.name in record.provisioned:
            apply_concurrency(self._deployment, record)
        return Answer(self._document(record, alias))

    @operation("DeleteAlias", writes=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteAlias. A missing alias is no error.

        Its function URL stays, and refuses access until the alias is there again.
        """
        record, name = self._registry.function(call.name), call.parameters["Name"]
        if record.aliases.pop(name, None) is None:
            return Answer({})
        was_provisioned = name in record.provisioned
        record.forget(name)
        apply_aliases(self._deployment, record)
        if was_provisioned:
            apply_concurrency(self._deployment, record)
        return Answer({})

    @operation("GetAlias")
    def get(self, call: Call) -> Document:
        """GetAlias."""
        return self._document(*self._alias(call, "Cannot find alias arn"))

    @operation("ListAliases")
    def list_all(self, call: Call) -> Document:
        """ListAliases: sorted by name; of one version if `FunctionVersion` is given."""
        record = self._registry.function(call.name)
        version = call.parameters.get("FunctionVersion")
        aliases = {
            alias.name: alias
            for alias in record.aliases.values()
            if not version or version in (alias.version, *alias.weights)
        }
        return list_document(
            "Aliases", aliases, call.parameters, lambda name: self._document(record, aliases[name])
        )

    def _alias(self, call: Call, missing: str) -> tuple[FunctionRecord, Alias]:
        record = self._registry.function(call.name)
        name = call.parameters["Name"]
        alias = record.aliases.get(name)
        if alias is None:
            raise not_found(f"{missing}: {self._registry.arn(record, name)}")
        return record, alias

    def _weights(
        self, record: FunctionRecord, version: str, routing: dict[str, Any] | None
    ) -> dict[str, float]:
        """The additional version with its share. Raises ServiceError for what cannot be routed so."""
        weights: dict[str, float] = (routing or {}).get("AdditionalVersionWeights", {})
        if len(weights) > 1:
            raise invalid_parameter("Number of items in AdditionalVersionWeights cannot be greater than 1")
        if weights and version == LATEST:
            message = "$LATEST is not supported for an alias pointing to more than 1 version"
            raise invalid_parameter(message, has_type=False)
        if version in weights:
            message = (
                f"Invalid function version {version}. Function version {version} is already included in "
                "routing configuration."
            )
            raise invalid_parameter(message)
        for number in (version, *weights):
            self._registry.find(Addressed(record.name, number))
        return dict(weights)

    def _document(self, record: FunctionRecord, alias: Alias) -> Document:
        document: Document = {
            "AliasArn": self._registry.arn(record, alias.name),
            "Name": alias.name,
            "FunctionVersion": alias.version,
            "Description": alias.description,
            "RevisionId": alias.revision,
        }
        if alias.weights:
            document["RoutingConfig"] = {"AdditionalVersionWeights": dict(alias.weights)}
        return document
