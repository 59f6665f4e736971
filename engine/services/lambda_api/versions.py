"""Published versions of functions.

Source: Lambda API reference, PublishVersion, ListVersionsByFunction; recorded answers.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from engine.packages.deployment import Deployment
from engine.packages.records import LATEST, FunctionRecord, Version
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.code_packages import CodePackages
from engine.services.lambda_api.errors import conflict, invalid_parameter
from engine.services.lambda_api.function_documents import set_pending, version_document, with_state
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.function_runner import FunctionRunner
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call


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
    async def publish(self, call: Call) -> Answer:
        """PublishVersion: a version of the present `$LATEST`; the last one again if nothing changed since."""
        members = call.members
        record, latest = self._registry.packaged(self._registry.address(call))
        self._registry.check_changeable(record, latest, members.get("RevisionId"))
        expected = members.get("CodeSha256")
        if expected and expected != latest.sha256:
            message = (
                f"CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST ({latest.sha256}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
            raise invalid_parameter(message)
        version = self.published(record)
        if version is None:
            version = self.add(record, members.get("Description", ""))
            with self._registry.begin_change(record.name):
                await self._runner.run(record, version)
            self._registry.end_change(record.name)
        return Answer(self._document(record, version))

    def published(self, record: FunctionRecord) -> Version | None:
        """The last version, if `$LATEST` is still what that was made of; else None."""
        latest, known = record.latest, record.versions.get(str(record.next_version - 1))
        assert latest is not None
        return known if known is not None and _source(known) == _source(latest) else None

    def add(self, record: FunctionRecord, description: str) -> Version:
        """Create the next version, without starting it. `$LATEST` gets a new revision too."""
        latest = record.latest
        assert latest is not None
        number = str(record.next_version)
        version = deepcopy(latest)
        version.version, version.revision, version.updating = number, self._registry.new_id(), False
        version.latest_description = latest.settings["Description"]
        latest.revision = self._registry.new_id()
        if description:
            version.settings["Description"] = description
        set_pending(version)
        version.modified_s = self._registry.now_s()
        record.versions[number] = version
        record.next_version += 1
        return version

    def delete(self, record: FunctionRecord, qualifier: str) -> None:
        """Delete one version; invocations that run are finished. A missing version is no error."""
        version = record.versions.get(qualifier)
        if version is None:
            return
        aliases = [a.name for a in record.aliases.values() if qualifier in (a.version, *a.weights)]
        if aliases:
            named = ", ".join(aliases)
            raise conflict(f"Unable to delete version because the following aliases reference it: [{named}]")
        del record.versions[qualifier]
        record.forget(qualifier)
        if version.state == "Active":
            self._deployment.remove(record.name, qualifier)
        self._packages.remove_unused(version.folder)

    @operation("ListVersionsByFunction")
    def list_all(self, call: Call) -> Document:
        """ListVersionsByFunction: `$LATEST` first, then numbers in their order."""
        record = self._registry.function(call.name)
        by_key = {_key(number): (version, number) for number, version in record.numbered().items()}
        return list_document(
            "Versions",
            by_key,
            call.parameters,
            lambda key: version_document(self._registry, record, *by_key[key]),
        )

    def _document(self, record: FunctionRecord, version: Version) -> Document:
        return with_state(version_document(self._registry, record, version, version.version), version)


def check_deletable(qualifier: str) -> None:
    """Raise ServiceError if no function can lose what the qualifier stands for, there or not."""
    if qualifier == LATEST:
        raise invalid_parameter("$LATEST version cannot be deleted without deleting the function.")
    if not qualifier.isdecimal():
        raise invalid_parameter("Deletion of aliases is not currently supported.")


def _source(version: Version) -> tuple[str, dict[str, Any]]:
    """What `$LATEST` was when the version was made of it; what it is now, of `$LATEST`: code and settings."""
    own = version.latest_description
    description = version.settings["Description"] if own is None else own
    return version.sha256, {**version.settings, "Description": description}


def _key(number: str) -> str:
    """Sorts versions as text: `$LATEST`, then numbers by their value."""
    return "" if number == LATEST else number.rjust(12, "0")
