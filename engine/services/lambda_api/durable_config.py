"""`DurableConfig`: what makes a function of the API a durable one.

Source: Lambda API reference, DurableConfig; Lambda Developer Guide, "Configure durable functions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.core.function import DurableConfig
from engine.services.lambda_api.errors import invalid_parameter

MEMBER = "DurableConfig"


def created(members: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a new function: its DurableConfig in full, or none.

    Raises:
        ServiceError: It has no ExecutionTimeout (the words are ours: AWS's are not on record).
    """
    given = members.get(MEMBER)
    if given is None:
        return {}
    if "ExecutionTimeout" not in given:
        raise invalid_parameter("ExecutionTimeout is required in DurableConfig.")
    return {MEMBER: {"RetentionPeriodInDays": DurableConfig(1).retention_days, **given}}


def updated(members: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a changed function: its numbers may change, but it stays what it was created as.

    Raises:
        ServiceError: It is no durable function (the words are ours: AWS's are not on record).
    """
    given = members.get(MEMBER)
    if given is None:
        return {}
    if MEMBER not in settings:
        raise invalid_parameter(
            "Durable execution can be enabled only when a function is created: "
            "create another one with DurableConfig."
        )
    return {MEMBER: {**settings[MEMBER], **given}}


def document_of(config: DurableConfig) -> dict[str, Any]:
    """A config as AWS has it."""
    document: dict[str, Any] = {
        "RetentionPeriodInDays": config.retention_days,
        "ExecutionTimeout": config.execution_timeout_s,
    }
    if config.kms_key_arn is not None:
        document["KMSKeyArn"] = config.kms_key_arn
    return document


def config_of(settings: Mapping[str, Any]) -> DurableConfig | None:
    """The config in the settings of a version; None if it is no durable function."""
    kept = settings.get(MEMBER)
    if kept is None:
        return None
    return DurableConfig(
        execution_timeout_s=kept["ExecutionTimeout"],
        retention_days=kept["RetentionPeriodInDays"],
        kms_key_arn=kept.get("KMSKeyArn"),
    )
