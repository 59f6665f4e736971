"""Layers: published once, never changed, and merged into the code of functions that name them.

Source: Lambda API reference, PublishLayerVersion and the other operations on layers; recorded answers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from engine.packages.layers import unfit_runtimes, unused_modules
from engine.packages.records import LayerRecord, LayerVersion, Version
from engine.packages.store import PackageStore
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.code_packages import CodePackages
from engine.services.lambda_api.configured_functions import iso
from engine.services.lambda_api.errors import invalid_parameter, not_found
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call

MAX_LAYERS: Final = 5
_VERSION_ARN: Final = re.compile(
    r"arn:[a-zA-Z0-9-]+:lambda:([a-zA-Z0-9-]+):(\d{12}):layer:([a-zA-Z0-9\-_]+):([0-9]+)", re.ASCII
)
_MISSING: Final = "The resource you requested does not exist."


def folders_of(registry: FunctionRegistry, arns: Sequence[str]) -> list[str]:
    """The folders of the layer versions that a function names. Raises ServiceError if one does not exist."""
    if len(arns) > MAX_LAYERS:
        raise invalid_parameter("Cannot reference more than 5 layers.")
    folders = []
    seen: dict[str, str] = {}
    for arn in arns:
        found = _VERSION_ARN.fullmatch(arn)
        if found is None:
            raise invalid_parameter(f"Layer version {arn} does not exist.")  # one of AWS's own
        region, account, name, number = found.groups()
        if region != registry.account.region:
            raise invalid_parameter(
                "Layers are not in the same region as the function. "
                f"Layers are expected to be in region {registry.account.region}."
            )
        is_own = account == registry.account.account_id
        version = registry.state.layer_version(name, number) if is_own else None
        if version is None:
            raise invalid_parameter(f"Layer version {arn} does not exist.")
        if name in seen:
            raise invalid_parameter(
                "Two different versions of the same layer are not allowed to be referenced "
                f"in the same function. {seen[name]} and {arn} are versions of the same layer."
            )
        seen[name] = arn
        folders.append(version.folder)
    return folders


def layer_warnings(
    registry: FunctionRegistry, package_store: PackageStore, version: Version
) -> Iterator[str]:
    """Sentences on layers whose modules the version does not find, or that may not fit what runs."""
    declared = version.settings["Runtime"]
    if not declared.startswith("python"):
        return
    for arn in version.settings.get("Layers", []):
        name, number = arn.split(":")[-2:]
        layer = registry.state.layer_version(name, number)
        if layer is not None:
            found = _listed(package_store.opt(layer.folder) / "python" / "lib")
            unused = unused_modules([f"python/lib/{entry}" for entry in found], declared)
            if reason := unused or unfit_runtimes(layer.runtimes or ()):
                yield f"layer {arn}: {reason}"


def _listed(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


class Layers:
    """All layers."""

    def __init__(self, registry: FunctionRegistry, packages: CodePackages) -> None:
        self._registry = registry
        self._packages = packages

    @operation("PublishLayerVersion", writes=True)
    async def publish(self, call: Call) -> Answer:
        """PublishLayerVersion: the next version of a layer, or the first of a new one."""
        name = self._name(call)
        members = call.members
        packed = await self._packages.pack_layer(members["Content"])
        layer = self._registry.state.layers.setdefault(name, LayerRecord(name=name))
        version = LayerVersion(
            version=layer.next_version,
            folder=packed.folder,
            size=packed.size,
            sha256=packed.sha256,
            created_s=self._registry.now_s(),
            description=members.get("Description", ""),
            runtimes=members.get("CompatibleRuntimes"),
            architectures=members.get("CompatibleArchitectures"),
            license=members.get("LicenseInfo", ""),
        )
        layer.versions[str(version.version)] = version
        layer.next_version += 1
        return Answer(self._document(call, name, version))

    @operation("DeleteLayerVersion", writes=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteLayerVersion: functions that use it keep it. A missing version is no error."""
        layer, number = self._registry.state.layers.get(self._name(call)), self._number(call)
        if layer is not None and number in layer.versions:
            version = layer.versions.pop(number)
            layer.deleted[number] = version.size
            self._packages.remove_unused(version.folder)
        return Answer({})

    @operation("GetLayerVersion")
    def get(self, call: Call) -> Document:
        """GetLayerVersion."""
        return self._shown(call, self._name(call), self._number(call))

    @operation("GetLayerVersionByArn")
    def get_by_arn(self, call: Call) -> Document:
        """GetLayerVersionByArn."""
        found = _VERSION_ARN.fullmatch(call.parameters["Arn"])
        if found is None:
            raise not_found(_MISSING)
        return self._shown(call, found[3], found[4])

    def _shown(self, call: Call, name: str, number: str) -> Document:
        version = self._registry.state.layer_version(name, number)
        if version is None:
            raise not_found(_MISSING)
        return self._document(call, name, version)

    @operation("ListLayers")
    def list_all(self, call: Call) -> Document:
        """ListLayers: each with its latest version that suits the request."""
        latest = {
            layer.name: versions[-1]
            for layer in self._registry.state.layers.values()
            if (versions := [v for v in layer.versions.values() if _suits(v, call)])
        }
        return list_document(
            "Layers",
            latest,
            call.parameters,
            lambda name: {
                "LayerName": name,
                "LayerArn": self._registry.resource_arn("layer", name),
                "LatestMatchingVersion": self._summary(name, latest[name]),
            },
        )

    @operation("ListLayerVersions")
    def list_versions(self, call: Call) -> Document:
        """ListLayerVersions: the newest first."""
        name = self._name(call)
        layer = self._registry.state.layers.get(name, LayerRecord(name=name))
        by_key = {f"{10**12 - v.version:013d}": v for v in layer.versions.values() if _suits(v, call)}
        return list_document(
            "LayerVersions", by_key, call.parameters, lambda key: self._summary(name, by_key[key])
        )

    def _name(self, call: Call) -> str:
        return call.name.rpartition(":")[2]

    def _number(self, call: Call) -> str:
        number: int = call.parameters["VersionNumber"]
        if number < 1:
            raise invalid_parameter("Layer Version Cannot be less than 1")
        return str(number)

    def _summary(self, name: str, version: LayerVersion) -> Document:
        document: Document = {
            "LayerVersionArn": f"{self._registry.resource_arn('layer', name)}:{version.version}",
            "Version": version.version,
            "Description": version.description,
            "CreatedDate": iso(version.created_s),
        }
        if version.runtimes is not None:
            document["CompatibleRuntimes"] = version.runtimes
        if version.architectures is not None:
            document["CompatibleArchitectures"] = version.architectures
        if version.license:
            document["LicenseInfo"] = version.license
        return document

    def _document(self, call: Call, name: str, version: LayerVersion) -> Document:
        place = self._packages.location(call, version.folder)
        content = {"Location": place, "CodeSha256": version.sha256, "CodeSize": version.size}
        return {
            "Content": content,
            "LayerArn": self._registry.resource_arn("layer", name),
            **self._summary(name, version),
        }


def _suits(version: LayerVersion, call: Call) -> bool:
    runtime = call.parameters.get("CompatibleRuntime")
    architecture = call.parameters.get("CompatibleArchitecture")
    return (not runtime or runtime in (version.runtimes or ())) and (
        not architecture or architecture in (version.architectures or ())
    )
