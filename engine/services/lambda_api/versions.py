"""Published versions, and the aliases that stand for them.

Source: Lambda API reference, PublishVersion, ListVersionsByFunction, CreateAlias and the other operations
on aliases; recorded answers.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from engine.packages.records import LATEST, Alias, FunctionRecord, Version
from engine.services.lambda_api import request_shapes
from engine.services.lambda_api.configured_functions import active, configuration
from engine.services.lambda_api.control_plane import ControlPlane
from engine.services.lambda_api.errors import (
    conflict,
    function_not_found,
    invalid_parameter,
    not_found,
    validation_error,
)
from engine.services.lambda_api.function_documents import described, with_state
from engine.services.lambda_api.function_registry import agreed, in_progress
from engine.services.lambda_api.operation import Answer, Document, ReadOperations, WriteOperations
from engine.services.lambda_api.paging import page_of
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.validation import checked_text, read

_UNDELETABLE: Final = "$LATEST version cannot be deleted without deleting the function."


class Versions:
    """Versions and aliases of all functions."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._registry = control_plane.registry

    @property
    def read_operations(self) -> ReadOperations:
        """Operations that change nothing, by name."""
        return {
            "ListVersionsByFunction": self.list_all,
            "GetAlias": self.get_alias,
            "ListAliases": self.list_aliases,
        }

    @property
    def write_operations(self) -> WriteOperations:
        """Operations that change something, by name."""
        return {
            "PublishVersion": self.publish,
            "CreateAlias": self.create_alias,
            "UpdateAlias": self.update_alias,
            "DeleteAlias": self.delete_alias,
        }

    # ---------------------------------------------------------------- versions

    async def publish(self, call: Call, body: bytes) -> Answer:
        """PublishVersion: a version of the present `$LATEST`; the last one again if nothing changed since."""
        wanted = read(request_shapes.PUBLISH_VERSION, body)
        record, latest = self._registry.packaged(self._registry.address(call.name, call.query))
        arn = self._registry.arn(record)
        self._registry.still(latest, arn)
        if record.name in self._control_plane.busy:
            raise in_progress(arn)
        agreed(wanted.get("RevisionId"), latest.revision)
        expected = wanted.get("CodeSha256")
        if expected and expected != latest.sha256:
            message = (
                f"CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST ({latest.sha256}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
            raise invalid_parameter(message)
        known = record.versions.get(str(record.next_version - 1))
        if known is not None and _same(known, latest, wanted.get("Description")):
            return Answer(self._document(record, known))
        version = self.add(record, wanted.get("Description", ""))
        document = self._document(record, version)
        return Answer(document, partial(self._run, record, version))

    def add(self, record: FunctionRecord, description: str) -> Version:
        """Create the next version, without starting it."""
        latest = record.latest
        assert latest is not None
        number = str(record.next_version)
        version = latest.model_copy(
            deep=True, update={"version": number, "revision": self._registry.new_id(), "updating": False}
        )
        if description:
            version.settings["Description"] = description
        version.state, version.reason, version.code = "Pending", _CREATING, "Creating"
        version.modified_s = self._registry.now_s()
        record.versions[number] = version
        record.next_version += 1
        return version

    def delete(self, record: FunctionRecord, qualifier: str) -> Answer:
        """Delete one version; invocations that run are finished."""
        if qualifier == LATEST:
            raise invalid_parameter(_UNDELETABLE)
        version = record.versions.get(qualifier)
        if version is None:
            raise invalid_parameter("Deletion of aliases is not currently supported.")
        aliases = [a.name for a in record.aliases.values() if qualifier in (a.version, *a.weights)]
        if aliases:
            raise conflict(f"Unable to delete version because the following aliases reference it: {aliases}")
        del record.versions[qualifier]
        record.provisioned.pop(qualifier, None)
        record.invoking.pop(qualifier, None)
        record.policies.pop(qualifier, None)
        if version.state == "Active":
            self._control_plane.deployment.remove(record.name, qualifier)
        self._control_plane.drop(version.folder)
        return Answer({})

    def list_all(self, call: Call) -> Document:
        """`$LATEST` first, then numbers in their order."""
        record = self._registry.whole(self._registry.address(call.name, call.query))
        if record.latest is None:
            registry = self._registry
            fixed = registry.configured[record.name]
            one = active(configuration(fixed, registry.account, registry.since_s, LATEST))
            return {"NextMarker": None, "Versions": [one]}
        by_key = {_key(version): version for version in record.all_versions()}
        page = page_of(sorted(by_key), call.query)
        documents = [self._document(record, by_key[key]) for key in page.keys]
        return {"NextMarker": page.next_marker, "Versions": documents}

    async def _run(self, record: FunctionRecord, version: Version) -> None:
        self._control_plane.busy.add(record.name)
        try:
            await self._control_plane.run(record, version)
        finally:
            self._control_plane.busy.discard(record.name)

    def _document(self, record: FunctionRecord, version: Version) -> Document:
        return with_state(described(self._registry, record, version, version.version), version)

    # ---------------------------------------------------------------- aliases

    async def create_alias(self, call: Call, body: bytes) -> Answer:
        """CreateAlias."""
        wanted = read(request_shapes.CREATE_ALIAS, body)
        record = self._registry.whole(self._registry.address(call.name, call.query))
        name = wanted["Name"]
        if name in record.aliases:
            raise conflict(f"Alias already exists: {self._registry.arn(record, name)}")
        weights = self._weights(record, wanted["FunctionVersion"], wanted.get("RoutingConfig"))
        alias = Alias(
            name=name,
            version=wanted["FunctionVersion"],
            description=wanted.get("Description", ""),
            weights=weights,
            revision=self._registry.new_id(),
        )
        record.aliases[name] = alias
        self._control_plane.route(record)
        return Answer(self._alias_document(record, alias))

    async def update_alias(self, call: Call, body: bytes) -> Answer:
        """UpdateAlias: members that are not given stay; provisioned environments follow the alias."""
        wanted = read(request_shapes.UPDATE_ALIAS, body)
        record, alias = self._alias(call)
        agreed(wanted.get("RevisionId"), alias.revision)
        version = wanted.get("FunctionVersion", alias.version)
        routing = wanted.get("RoutingConfig", {"AdditionalVersionWeights": alias.weights})
        alias.weights = self._weights(record, version, routing)
        alias.version = version
        alias.description = wanted.get("Description", alias.description)
        alias.revision = self._registry.new_id()
        self._control_plane.route(record)
        if alias.name in record.provisioned:
            self._control_plane.share(record)
        return Answer(self._alias_document(record, alias))

    async def delete_alias(self, call: Call, _body: bytes) -> Answer:
        """DeleteAlias. A missing alias is no error."""
        record = self._registry.whole(self._registry.address(call.name, call.query))
        if record.aliases.pop(call.second, None) is None:
            return Answer({})
        url = record.urls.pop(call.second, None)
        if url is not None:
            self._control_plane.function_urls.close(url.id)
        record.invoking.pop(call.second, None)
        record.policies.pop(call.second, None)
        self._control_plane.route(record)
        if record.provisioned.pop(call.second, None) is not None:
            self._control_plane.share(record)
        return Answer({})

    def get_alias(self, call: Call) -> Document:
        """GetAlias."""
        return self._alias_document(*self._alias(call))

    def list_aliases(self, call: Call) -> Document:
        """ListAliases: sorted by name; of one version if `FunctionVersion` is given."""
        record = self._registry.whole(self._registry.address(call.name, {}))
        version = call.query.get("FunctionVersion")
        names = sorted(
            alias.name
            for alias in record.aliases.values()
            if not version or version in (alias.version, *alias.weights)
        )
        page = page_of(names, call.query)
        documents = [self._alias_document(record, record.aliases[name]) for name in page.keys]
        return {"NextMarker": page.next_marker, "Aliases": documents}

    def _alias(self, call: Call) -> tuple[FunctionRecord, Alias]:
        violations = checked_text(request_shapes.ALIAS_NAME, call.second, "name")
        if violations:
            raise validation_error(*violations)
        record = self._registry.whole(self._registry.address(call.name, call.query))
        alias = record.aliases.get(call.second)
        if alias is None:
            raise not_found(f"Cannot find alias arn: {self._registry.arn(record, call.second)}")
        return record, alias

    def _weights(
        self, record: FunctionRecord, version: str, routing: dict[str, Any] | None
    ) -> dict[str, float]:
        """The additional version with its share. Raises ApiError for what cannot be routed so."""
        weights: dict[str, float] = (routing or {}).get("AdditionalVersionWeights", {})
        if len(weights) > 1:
            raise invalid_parameter("Number of items in AdditionalVersionWeights cannot be greater than 1")
        if weights and version == LATEST:
            raise invalid_parameter("$LATEST is not supported for an alias pointing to more than 1 version")
        if version in weights:
            message = (
                f"Invalid function version {version}. Function version {version} is already included in "
                "routing configuration."
            )
            raise invalid_parameter(message)
        for number in (version, *weights):
            if number != LATEST and number not in record.versions:
                raise function_not_found(self._registry.arn(record, number))
        return dict(weights)

    def _alias_document(self, record: FunctionRecord, alias: Alias) -> Document:
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


_CREATING: Final = "The function is being created."


def _same(published: Version, latest: Version, description: str | None) -> bool:
    """Whether `latest` is what was published: code, settings, and the description if one was given."""

    def documented(version: Version) -> dict[str, Any]:
        return {key: value for key, value in version.settings.items() if key != "Description"}

    alike = (published.folder, documented(published)) == (latest.folder, documented(latest))
    wanted = description or latest.settings["Description"]
    return alike and (not description or wanted == published.settings["Description"])


def _key(version: Version) -> str:
    """Sorts versions as text: `$LATEST`, then numbers by their value."""
    return "" if version.version == LATEST else version.version.rjust(12, "0")
