"""FunctionConfiguration documents of functions that came as packages, and the defaults they start from.

Source: Lambda API reference, FunctionConfiguration; recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.packages.records import LATEST, FunctionRecord, Version
from engine.services.lambda_api.configured_functions import configuration, iso, runtime_version
from engine.services.lambda_api.function_registry import FunctionRegistry

_CREATING: Final = "The function is being created."


def defaults(name: str) -> dict[str, Any]:
    """Members of a configuration that the caller left out."""
    return {
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "TracingConfig": {"Mode": "PassThrough"},
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
    }


def logging_config(given: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """`before` with the members `given`: levels belong to the format JSON, and are INFO where none was given.

    A request that names the format chooses anew; one that does not keeps the other level.
    """
    format_ = given.get("LogFormat", before["LogFormat"])
    config = {"LogFormat": format_, "LogGroup": given.get("LogGroup", before["LogGroup"])}
    if format_ == "JSON":
        kept = {} if "LogFormat" in given else before
        for level in ("ApplicationLogLevel", "SystemLogLevel"):
            config[level] = given.get(level, kept.get(level, "INFO"))
    return config


def version_document(
    registry: FunctionRegistry, record: FunctionRecord, version: Version | None, qualifier: str | None
) -> dict[str, Any]:
    """The document of one version without its state, as lists have it.

    `version` is None for a function of the configuration, `qualifier` is as the caller gave it.
    """
    if version is None:
        return configuration(registry.configured[record.name], registry.account, registry.since_s, qualifier)
    settings = version.settings
    document: dict[str, Any] = {
        "FunctionName": record.name,
        "FunctionArn": registry.arn(record, qualifier),
        **{key: settings[key] for key in _COPIED if key in settings},
        "CodeSize": version.size,
        "CodeSha256": version.sha256,
        "LastModified": iso(version.modified_s),
        "Version": version.version,
        "RevisionId": version.revision,
        "PackageType": "Zip",
        "SnapStart": {
            **settings["SnapStart"],
            "OptimizationStatus": "On" if is_snapshot(version) else "Off",
        },
    }
    if "Environment" in settings:
        document["Environment"] = {"Variables": {}, **settings["Environment"]}
    if settings.get("KMSKeyArn"):
        document["KMSKeyArn"] = settings["KMSKeyArn"]
    if settings.get("DeadLetterConfig", {}).get("TargetArn"):
        document["DeadLetterConfig"] = settings["DeadLetterConfig"]
    if settings.get("Layers"):
        document["Layers"] = [
            {"Arn": arn, "CodeSize": _layer_size(registry, arn)} for arn in settings["Layers"]
        ]
    if settings.get("VpcConfig"):
        document["VpcConfig"] = {
            "SubnetIds": [],
            "SecurityGroupIds": [],
            "VpcId": "",
            "Ipv6AllowedForDualStack": False,
            **settings["VpcConfig"],
        }
    return document


def provider_of(settings: Mapping[str, Any]) -> str:
    """ARN of the capacity provider that a function is declared for; empty for none."""
    config = settings.get("CapacityProviderConfig", {}).get(
        "LambdaManagedInstancesCapacityProviderConfig", {}
    )
    arn: str = config.get("CapacityProviderArn", "")
    return arn


def is_snapshot(version: Version) -> bool:
    """Whether SnapStart applies: to published versions alone."""
    return version.version != LATEST and version.settings["SnapStart"]["ApplyOn"] == "PublishedVersions"


def with_state(document: dict[str, Any], version: Version | None) -> dict[str, Any]:
    """`document` with what lists leave out: the runtime's version, and the state of `version`."""
    region = document["FunctionArn"].split(":")[3]
    document["RuntimeVersionConfig"] = runtime_version(region, document["Runtime"])
    if version is None:
        return document | {"State": "Active", "LastUpdateStatus": "Successful"}
    document["State"] = version.state
    if version.reason:
        document["StateReason"] = version.reason
        document["StateReasonCode"] = version.code
    if version.state == "Pending":
        return document
    if version.updating:
        document["LastUpdateStatus"] = "InProgress"
        document["LastUpdateStatusReason"] = _CREATING
        document["LastUpdateStatusReasonCode"] = "Creating"
    elif version.update_failed:
        document["LastUpdateStatus"] = "Failed"
        document["LastUpdateStatusReason"] = version.update_failed
        document["LastUpdateStatusReasonCode"] = "InternalError"
    else:
        document["LastUpdateStatus"] = "Successful"
    return document


def set_pending(version: Version) -> None:
    """Mark a version as being created."""
    version.state, version.reason, version.code = "Pending", _CREATING, "Creating"


_COPIED: Final = (
    "Runtime",
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "TracingConfig",
    "Architectures",
    "EphemeralStorage",
    "LoggingConfig",
    "FileSystemConfigs",
    "CapacityProviderConfig",
    "DurableConfig",
)


def _layer_size(registry: FunctionRegistry, arn: str) -> int:
    name, number = arn.split(":")[-2:]
    layer = registry.state.layers[name]
    return layer.versions[number].size if number in layer.versions else layer.deleted.get(number, 0)
