"""EventBridge of a template in our words: events of functions, buses, and rules with their targets.

Source: SAM developer guide, "EventBridgeRule", "CloudWatchEvent"; CloudFormation reference,
"AWS::Events::Rule", "AWS::Events::EventBus".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.config.templates.picking import Table, at, constant_of, picked, tags_of
from engine.config.templates.table import TemplateTable, plain

BUS_EVENT_KEYS: Final[Mapping[str, str]] = {
    "pattern": "Pattern",
    "bus": "EventBusName",
    "input_path": "InputPath",
    "input_transformer": "InputTransformer",
    "maximum_event_age_s": "RetryPolicy.MaximumEventAgeInSeconds",
}
"""Our key of an event to the template's property, besides those that other events have."""
_TARGET_KEYS: Final[Mapping[str, str]] = {
    "input_path": "InputPath",
    "dead_letter_queue": "DeadLetterConfig.Arn",
    "maximum_retry_attempts": "RetryPolicy.MaximumRetryAttempts",
    "maximum_event_age_s": "RetryPolicy.MaximumEventAgeInSeconds",
}
RULE_KEYS: Final[Mapping[str, str]] = {
    "pattern": "EventPattern",
    "schedule": "ScheduleExpression",
    "bus": "EventBusName",
    "enabled": "State",
    "targets": "Targets",
    "tags": "Tags",
    **_TARGET_KEYS,
    "to": "Arn",
    "id": "Id",
    "message_group": "SqsParameters.MessageGroupId",
    "input": "Input",
    "input_transformer": "InputTransformer",
}
"""Of a rule, and of its targets."""
BUS_KEYS: Final[Mapping[str, str]] = {"description": "Description", "tags": "Tags"}


def bus_event(settings: Mapping[str, Any]) -> Table:
    """An event of type `eventbridge`."""
    keys = {"pattern": "Pattern", "bus": "EventBusName", "name": "RuleName", "enabled": "Enabled"}
    event: Table = {"type": "eventbridge", **picked(settings, keys), **_target(settings)}
    if settings.get("State", "ENABLED") == "DISABLED":
        event["enabled"] = False
    at(settings, "Target.Id")  # each rule has one target here
    made = at(settings, "DeadLetterConfig.Type")
    logical = at(settings, "DeadLetterConfig.QueueLogicalId")
    if made is not None and "dead_letter_queue" not in event and isinstance(settings, TemplateTable):
        place = settings.place  # …, Resources, FUNCTION, Properties, Events, NAME, Properties
        event["dead_letter_queue"] = plain(logical) or f"{place[-5]}{place[-2]}Queue"
    return event


def rule_target(target: Mapping[str, Any]) -> Table:
    """One of `[[rules.NAME.targets]]`."""
    at(target, "RoleArn")
    keys = {"to": "Arn", "id": "Id", "message_group": "SqsParameters.MessageGroupId"}
    return {**picked(target, keys), **_target(target)}


def rule_table(properties: Mapping[str, Any]) -> Table:
    """`[rules.NAME]` without its targets."""
    keys = {"pattern": "EventPattern", "schedule": "ScheduleExpression", "bus": "EventBusName"}
    table: Table = {**picked(properties, keys), **tags_of(properties)}
    at(properties, "RoleArn")
    if properties.get("State", "ENABLED") == "DISABLED":
        table["enabled"] = False
    return table


def bus_table(properties: Mapping[str, Any]) -> Table:
    """`[buses.NAME]`."""
    return {**picked(properties, {"description": "Description"}), **tags_of(properties)}


def _target(settings: Mapping[str, Any]) -> Table:
    found = picked(settings, _TARGET_KEYS)
    if "Input" in settings:
        found["input"] = constant_of(plain(settings["Input"]))
    transformer = picked(
        settings.get("InputTransformer"), {"paths": "InputPathsMap", "template": "InputTemplate"}
    )
    if transformer:
        found["input_transformer"] = transformer
    return found
