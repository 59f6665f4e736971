"""Published versions of functions.

Source: Lambda API reference, PublishVersion, ListVersionsByFunction; recorded answers.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from engine.packages.deployment import Deployment
from engine.packages.records import LATEST, FunctionRecord, Version
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api import request_shapes
from engine.services.lambda_api.code_packages import CodePackages
from engine.services.lambda_api.configured_functions import active, configuration
from engine.services.lambda_api.errors import conflict, invalid_parameter
from engine.services.lambda_api.function_documents import set_pending, version_document, with_state
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.function_runner import FunctionRunner
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.validation import read

_UNDELETABLE: Final = "$LATEST version cannot be deleted without deleting the function."


class Versions:
    """Versions of all functions."""

    def __init__(
        self,
        registry: FunctionRegistry,
        packages: CodePackages,
        runner: FunctionRunner,
        deployment: Deployment,
    ) -> None:
        self._registry = registry
        self._packages = packages
        self._runner = runner
        self._deployment = deployment

    @operation("PublishVersion", writes=True)
    async def publish(self, call: Call, body: bytes) -> Answer:
        """PublishVersion: a version of the present `$LATEST`; the last one again if nothing changed since."""
        members = read(request_shapes.PUBLISH_VERSION, body)
        record, latest = self._registry.packaged(self._registry.address(call))
        self._registry.check_changeable(record, latest, members.get("RevisionId"))
        expected = members.get("CodeSha256")
        if expected and expected != latest.sha256:
            message = (
                f"CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST ({latest.sha256}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
            raise invalid_parameter(message)
        known = record.versions.get(str(record.next_version - 1))
        if known is not None and _is_unchanged(known, latest, members.get("Description")):
            return Answer(self._document(record, known))
        version = self.add(record, members.get("Description", ""))
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
        set_pending(version)
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
            self._deployment.remove(record.name, qualifier)
        self._packages.remove_unused(version.folder)
        return Answer({})

    @operation("ListVersionsByFunction")
    def list_all(self, call: Call) -> Document:
        """ListVersionsByFunction: `$LATEST` first, then numbers in their order."""
        record = self._registry.function(call.name, call.query)
        if record.latest is None:
            registry = self._registry
            fixed = registry.configured[record.name]
            latest = active(configuration(fixed, registry.account, registry.since_s, LATEST))
            return {"NextMarker": None, "Versions": [latest]}
        by_key = {_key(version): version for version in record.all_versions()}
        return list_document("Versions", by_key, call.query, lambda key: self._document(record, by_key[key]))

    async def _run(self, record: FunctionRecord, version: Version) -> None:
        with self._registry.begin_change(record.name):
            await self._runner.run(record, version)
        self._registry.end_change(record.name)

    def _document(self, record: FunctionRecord, version: Version) -> Document:
        return with_state(version_document(self._registry, record, version, version.version), version)


def _is_unchanged(published: Version, latest: Version, description: str | None) -> bool:
    """Whether `latest` is what was published: code, settings, and the description if one was given."""

    def documented(version: Version) -> dict[str, Any]:
        return {key: value for key, value in version.settings.items() if key != "Description"}

    alike = (published.folder, documented(published)) == (latest.folder, documented(latest))
    wanted = description or latest.settings["Description"]
    return alike and (not description or wanted == published.settings["Description"])


def _key(version: Version) -> str:
    """Sorts versions as text: `$LATEST`, then numbers by their value."""
    return "" if version.version == LATEST else version.version.rjust(12, "0")
