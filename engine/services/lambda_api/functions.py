"""CreateFunction, its updates and its end, and the questions about functions.

Source: Lambda API reference, the operations of these names; recorded answers.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

from engine.packages.deployment import Deployment
from engine.packages.records import FunctionRecord, Version
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api import durable_config
from engine.services.lambda_api.apply_record import apply_aliases, apply_concurrency
from engine.services.lambda_api.code_packages import CodePackage, CodePackages
from engine.services.lambda_api.code_signing import check_exists
from engine.services.lambda_api.create_function_checks import CreateFunctionChecks
from engine.services.lambda_api.errors import invalid_parameter
from engine.services.lambda_api.function_documents import (
    defaults,
    logging_config,
    set_pending,
    version_document,
    with_state,
)
from engine.services.lambda_api.function_names import Addressed
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.function_runner import FunctionRunner
from engine.services.lambda_api.function_urls import FunctionUrls
from engine.services.lambda_api.layers import folders_of
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.versions import Versions, check_deletable

_NOT_SETTINGS: Final = frozenset(
    {"FunctionName", "Code", "CodeSigningConfigArn", "Publish", "PackageType", "Tags", "RevisionId"}
)


class Functions:
    """Operations on functions: code and configuration."""

    def __init__(
        self,
        registry: FunctionRegistry,
        packages: CodePackages,
        runner: FunctionRunner,
        deployment: Deployment,
        versions: Versions,
        urls: FunctionUrls,
    ) -> None:
        self._registry = registry
        self._packages = packages
        self._runner = runner
        self._deployment = deployment
        self._versions = versions
        self._urls = urls
        self._checks = CreateFunctionChecks(registry)

    async def restore(self) -> None:
        """Start the functions that came over the API before."""
        for record in self._registry.restored():
            for version in record.all_versions():
                await self._runner.run(record, version)
            apply_aliases(self._deployment, record)
            apply_concurrency(self._deployment, record)

    # ---------------------------------------------------------------- create

    @operation("CreateFunction", writes=True)
    async def create(self, call: Call) -> Answer:
        """CreateFunction: unpacks the archive, answers Pending, then starts the function."""
        members = call.members
        name = self._checks.name_of(members["FunctionName"])
        if members.get("PackageType", "Zip") != "Zip":
            raise invalid_parameter("This engine runs packages of type Zip only, no container images.")
        missing = [member for member in ("Runtime", "Handler") if member not in members]
        if missing:
            what = " and ".join(missing) + (
                " is mandatory" if len(missing) == 1 else " are mandatory parameters"
            )
            raise invalid_parameter(f"{what} for functions created with deployment packages.")
        durable = durable_config.created(members)
        layers = self._checks.check(name, members)
        if "CodeSigningConfigArn" in members:
            check_exists(self._registry, members["CodeSigningConfigArn"])
        self._checks.not_taken(name)
        with self._registry.begin_change(name):
            packed = await self._packages.pack(members["Code"], layers, members["Runtime"])
        settings = defaults(name) | {key: members[key] for key in members.keys() - _NOT_SETTINGS} | durable
        settings["LoggingConfig"] = logging_config(settings["LoggingConfig"], defaults(name)["LoggingConfig"])
        record = FunctionRecord(
            name=name,
            latest=self._version(settings, packed),
            tags=members.get("Tags", {}),
            code_signing=members.get("CodeSigningConfigArn", ""),
        )
        latest = record.latest
        assert latest is not None
        self._registry.state.functions[name] = record
        published = self._versions.add(record, "") if members.get("Publish") else None
        document = version_document(self._registry, record, published or latest, None)
        return Answer(with_state(document, published or latest), partial(self._start, record, published))

    def _version(self, settings: dict[str, Any], packed: CodePackage) -> Version:
        version = Version(
            settings=settings,
            folder=packed.folder,
            size=packed.size,
            sha256=packed.sha256,
            modified_s=self._registry.now_s(),
            revision=self._registry.new_id(),
        )
        set_pending(version)
        return version

    async def _start(self, record: FunctionRecord, published: Version | None) -> None:
        """Start the version published with `$LATEST`, and then that: once it is there, it can be changed."""
        try:
            assert record.latest is not None
            for version in (published, record.latest):
                if version is not None:
                    await self._runner.run(record, version)
                    version.revision = self._registry.new_id()
            apply_aliases(self._deployment, record)
        finally:
            self._registry.end_change(record.name)

    # ---------------------------------------------------------------- update

    @operation("UpdateFunctionCode", writes=True)
    async def update_code(self, call: Call) -> Answer:
        """UpdateFunctionCode: unpacks the archive, answers InProgress, then sends invocations there."""
        members = call.members
        record, latest = self._changeable(call, members.get("RevisionId"))
        if "ImageUri" in members:
            raise invalid_parameter(
                "Please don't provide ImageUri when updating a function with packageType Zip."
            )
        if members.get("DryRun"):
            return Answer(with_state(version_document(self._registry, record, latest, None), latest))
        layers = folders_of(self._registry, latest.settings.get("Layers", []))
        with self._registry.begin_change(record.name):
            packed = await self._packages.pack(members, layers, latest.settings["Runtime"])
        settings = dict(latest.settings)
        if "Architectures" in members:
            settings["Architectures"] = members["Architectures"]
        return self._updated(record, latest, settings, packed, publish=members.get("Publish", False))

    @operation("UpdateFunctionConfiguration", writes=True)
    async def update_configuration(self, call: Call) -> Answer:
        """UpdateFunctionConfiguration: answers InProgress, then starts environments with the new settings."""
        members = call.members
        record, latest = self._changeable(call, members.get("RevisionId"))
        layers = self._checks.check(record.name, members)
        durable = durable_config.updated(members, latest.settings)
        settings = latest.settings | {key: members[key] for key in members.keys() - _NOT_SETTINGS} | durable
        if "LoggingConfig" in members:
            settings["LoggingConfig"] = logging_config(
                members["LoggingConfig"], latest.settings["LoggingConfig"]
            )
        packed = CodePackage(latest.folder, latest.size, latest.sha256)
        with self._registry.begin_change(record.name):
            if "Layers" in members and members["Layers"] != latest.settings.get("Layers", []):
                packed = await self._packages.repack(latest.folder, layers, settings["Runtime"])
            elif settings["Runtime"] != latest.settings["Runtime"] and settings.get("Layers"):
                # Its own folder has them merged; one of them may be deleted by now.
                packed = await self._packages.repack(latest.folder, [latest.folder], settings["Runtime"])
        return self._updated(record, latest, settings, packed, publish=False)

    def _changeable(self, call: Call, revision: str | None) -> tuple[FunctionRecord, Version]:
        record, latest = self._registry.packaged_function(self._registry.address(call))
        self._registry.check_changeable(record, latest, revision)
        return record, latest

    def _updated(
        self,
        record: FunctionRecord,
        latest: Version,
        settings: dict[str, Any],
        packed: CodePackage,
        *,
        publish: bool,
    ) -> Answer:
        old_folder = latest.folder
        latest.settings = settings
        latest.folder, latest.size, latest.sha256 = packed
        latest.modified_s = self._registry.now_s()
        latest.revision = self._registry.new_id()
        latest.updating = True
        published = again = None
        if publish and (again := self._versions.published(record)) is None:
            published = self._versions.add(record, "")
        answered = published or again or latest
        document = version_document(
            self._registry, record, answered, None if answered is latest else answered.version
        )
        with_state(document, answered)
        return Answer(document, partial(self._replace, record, published, old_folder))

    async def _replace(self, record: FunctionRecord, published: Version | None, old_folder: str) -> None:
        await self._start(record, published)
        if record.latest is not None and record.latest.folder != old_folder:
            self._packages.remove_unused(old_folder)

    # ---------------------------------------------------------------- delete

    @operation("DeleteFunction", writes=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteFunction: invocations that run are finished. With a qualifier, one published version.

        A function that is being created or changed is deleted once that is over.
        """
        name, qualifier = self._registry.address(call)
        if qualifier is not None:
            check_deletable(qualifier)
        await self._registry.wait_until_unchanging(name)
        record, _ = self._registry.packaged(Addressed(name, None))
        if qualifier is not None:
            self._versions.delete(record, qualifier)
            return Answer({"StatusCode": 204})
        del self._registry.state.functions[record.name]
        for url in record.urls.values():
            self._urls.close(url)
        if any(version.state == "Active" for version in record.all_versions()):
            self._deployment.remove(record.name)
        for version in record.all_versions():
            self._packages.remove_unused(version.folder)
        return Answer({"StatusCode": 204})

    # ---------------------------------------------------------------- questions

    @operation("GetFunction")
    def get(self, call: Call) -> Document:
        """GetFunction: configuration, location of the code, tags and reservation."""
        record, qualifier, _ = self._registry.lookup(call)
        version = self._registry.version(record, qualifier)
        if version is None:
            place = Path(self._registry.configured[record.name].code).absolute().as_uri()
            code = {"RepositoryType": "FileSystem", "Location": place}
        else:
            code = {"RepositoryType": "S3", "Location": self._packages.location(call, version.folder)}
        answer: Document = {"Configuration": self.get_configuration(call), "Code": code}
        if record.tags:
            answer["Tags"] = dict(record.tags)
        if record.reserved is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": record.reserved}
        return answer

    @operation("GetFunctionConfiguration")
    def get_configuration(self, call: Call) -> Document:
        """GetFunctionConfiguration."""
        address = self._registry.address(call)
        found = self._registry.find(address)
        version = self._registry.version(found.record, found.qualifier)
        return with_state(version_document(self._registry, found.record, version, address.qualifier), version)

    @operation("ListFunctions")
    def list_all(self, call: Call) -> Document:
        """ListFunctions: one page sorted by name; with `FunctionVersion=ALL` every version of each."""
        listed = self._each_version if call.parameters.get("FunctionVersion") else self._latest
        document = list_document("Functions", self._registry.names(), call.parameters, listed)
        return document | {"Functions": [*chain.from_iterable(document["Functions"])]}

    def _each_version(self, name: str) -> list[Document]:
        record = self._registry.function(name)
        return [
            version_document(self._registry, record, version, number)
            for number, version in record.numbered().items()
        ]

    def _latest(self, name: str) -> list[Document]:
        record = self._registry.function(name)
        return [version_document(self._registry, record, record.latest, None)]
