"""Functions, layers and mappings that came over the Lambda API: the content of the state file.

Members of AWS documents keep AWS's names; everything the engine made itself is spelled its own way.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, dataclass_transform

import orjson

from engine.core.table import TypedTable, fresh
from engine.core.table_rules import Check
from engine.packages.state_folder import is_package_name

FORMAT: Final = 1
"""Of the state file. It changes when an older engine could not make sense of a newer file."""

LATEST: Final = "$LATEST"


def _package_name(name: str) -> str:
    if not is_package_name(name):
        message = "is not the name of a package"
        raise ValueError(message)
    return name


FolderName = Annotated[str, Check(_package_name)]
"""One that the engine gives: nothing that could lead to what is not a package."""


@dataclass_transform(kw_only_default=True)
class Record(TypedTable):
    """Base of all records: no unknown members, no conversion of types."""

    def model_dump_json(self) -> str:
        """As the state file has it."""
        return orjson.dumps(self, default=vars, option=orjson.OPT_INDENT_2).decode()


class Version(Record):
    """One version of a function, `$LATEST` among them.

    Attributes:
        version: `$LATEST`, or a number as text.
        settings: Members of FunctionConfiguration that the caller chose, all with their defaults filled in.
        folder: Name of the folder its code lies in, unique and never used again.
        size: Bytes of the archive.
        sha256: Base64 of the archive's SHA-256.
        modified_s: Wall time of the last change, seconds.
        revision: UUID, another after each change.
        state, reason, code: `StoredState`, `StateReason`, `StateReasonCode`.
        updating: An update has not taken effect yet.
        update_failed: Why the last update did not take effect, or empty.
        latest_description: The description `$LATEST` had when this version was made of it; None in `$LATEST`.
    """

    version: str = LATEST
    settings: dict[str, Any]
    folder: FolderName
    size: int
    sha256: str
    modified_s: float
    revision: str
    state: Literal["Pending", "Active", "Failed"] = "Pending"
    reason: str = ""
    code: str = ""
    updating: bool = False
    update_failed: str = ""
    latest_description: str | None = None


class Alias(Record):
    """A name for a version; `weights` sends a share of the calls to another one."""

    name: str
    version: str
    description: str = ""
    weights: dict[str, float] = fresh(dict)
    revision: str


class ProvisionedConfig(Record):
    """Environments asked for, for one version or alias."""

    requested: int
    modified_s: float


class Url(Record):
    """A function URL; `config` holds the members the caller chose."""

    id: str
    config: dict[str, Any]
    created_s: float
    modified_s: float


class StoredInvokeConfig(Record):
    """An event-invoke config; `config` holds the members the caller chose."""

    config: dict[str, Any]
    modified_s: float


class Policy(Record):
    """A resource policy: statements by their id; `envelope` has what stands beside them."""

    statements: dict[str, dict[str, Any]] = fresh(dict)
    envelope: dict[str, Any] = fresh(lambda: {"Version": "2012-10-17", "Id": "default"})
    revision: str


class KeptResource(Record):
    """A resource that is kept and shown, and has no effect; `config` holds the members the caller chose."""

    config: dict[str, Any]
    tags: dict[str, str] = fresh(dict)
    modified_s: float


class FunctionRecord(Record):
    """One function and everything configured of it; maps are keyed by qualifier, `$LATEST` for none."""

    name: str
    latest: Version | None = None
    versions: dict[str, Version] = fresh(dict)
    next_version: int = 1
    aliases: dict[str, Alias] = fresh(dict)
    tags: dict[str, str] = fresh(dict)
    reserved: int | None = None
    provisioned: dict[str, ProvisionedConfig] = fresh(dict)
    invoking: dict[str, StoredInvokeConfig] = fresh(dict)
    urls: dict[str, Url] = fresh(dict)
    policies: dict[str, Policy] = fresh(dict)
    recursion: str = "Terminate"
    code_signing: str = ""
    """ARN of its code-signing configuration."""
    runtime_management: dict[str, dict[str, Any]] = fresh(dict)
    scaling: dict[str, dict[str, Any]] = fresh(dict)

    def forget(self, qualifier: str) -> None:
        """Drop what hangs on a version or an alias."""
        hangs: tuple[dict[str, Any], ...] = (
            self.provisioned,
            self.invoking,
            self.policies,
            self.runtime_management,
            self.scaling,
        )
        for configs in hangs:
            configs.pop(qualifier, None)

    def all_versions(self) -> list[Version]:
        """`$LATEST` first, then in the order of publication."""
        return ([self.latest] if self.latest is not None else []) + list(self.versions.values())

    def numbered(self) -> dict[str, Version | None]:
        """The same by number; `$LATEST` is None in a function of the configuration."""
        return {LATEST: self.latest, **self.versions}


class LayerVersion(Record):
    """One version of a layer. It cannot be changed, only deleted. Lists are None where none was given."""

    version: int
    folder: FolderName
    size: int
    sha256: str
    created_s: float
    description: str = ""
    runtimes: list[str] | None = None
    architectures: list[str] | None = None
    license: str = ""
    policy: Policy | None = None


class LayerRecord(Record):
    """A layer: versions by number as text; numbers are never used again.

    `deleted` has the sizes of those that were deleted: functions may still use them.
    """

    name: str
    versions: dict[str, LayerVersion] = fresh(dict)
    deleted: dict[str, int] = fresh(dict)
    next_version: int = 1


class MappingRecord(Record):
    """An event source mapping; `config` holds the members the caller chose."""

    function: str
    qualifier: str | None = None
    config: dict[str, Any]
    tags: dict[str, str] = fresh(dict)
    modified_s: float


class StoredState(Record):
    """Everything that came over the API; `state_folder` is the id of the folder that keeps it."""

    format: Literal[1] = FORMAT
    state_folder: str = ""
    functions: dict[str, FunctionRecord] = fresh(dict)
    layers: dict[str, LayerRecord] = fresh(dict)
    mappings: dict[str, MappingRecord] = fresh(dict)
    """By UUID."""
    code_signing: dict[str, KeptResource] = fresh(dict)
    """By ARN."""
    capacity_providers: dict[str, KeptResource] = fresh(dict)
    """By name."""

    def layer_version(self, name: str, number: str) -> LayerVersion | None:
        """A version of a layer; None if there is none."""
        layer = self.layers.get(name)
        return layer.versions.get(number) if layer is not None else None

    def folders(self) -> set[str]:
        """Every folder that is still needed: by a version, or a layer."""
        code = {v.folder for f in self.functions.values() for v in f.all_versions()}
        return code | {v.folder for layer in self.layers.values() for v in layer.versions.values()}
