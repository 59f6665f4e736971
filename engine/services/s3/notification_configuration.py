"""The notification configuration of a bucket as S3's API reads and writes it.

Source: Amazon S3 API Reference, PutBucketNotificationConfiguration and GetBucketNotificationConfiguration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import Element

from engine.services.s3.documents import root_of, value_of
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.notification_rules import (
    EVENT_TYPES,
    NotificationConfiguration,
    NotificationRule,
    NotificationTarget,
    TargetKind,
    overlap,
)

_MAX_RULES: Final = 100
_LONGEST_VALUE: Final = 1024


class _Kind(NamedTuple):
    """How the model calls configurations for targets of a kind, and their ARNs; how these look."""

    kind: TargetKind
    shape: str
    arn: str
    pattern: re.Pattern[str]


_KINDS: Final = {
    "TopicConfiguration": _Kind(
        "topic", "TopicConfiguration", "TopicArn", re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w.-]+")
    ),
    "QueueConfiguration": _Kind(
        "queue", "QueueConfiguration", "QueueArn", re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[\w.-]+")
    ),
    "CloudFunctionConfiguration": _Kind(
        "lambda",
        "LambdaFunctionConfiguration",
        "LambdaFunctionArn",
        re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+(:[\w$-]+)?"),
    ),
}
_LEGACY: Final = {"LambdaFunctionConfiguration": "CloudFunctionConfiguration"}


def parsed(body: bytes, new_id: Callable[[], str]) -> NotificationConfiguration:
    """Read the XML; rules without an id get one.

    Raises:
        S3Error: In AWS's words. Whether the targets exist is not looked at here.
    """
    root = root_of("PutBucketNotificationConfiguration", body)
    rules: list[NotificationRule] = []
    eventbridge = False
    for child in root:
        if child.tag == "EventBridgeConfiguration":
            eventbridge = True
        elif (tag := _LEGACY.get(child.tag, child.tag)) in _KINDS:
            rules.append(_rule(child, tag, new_id))
        else:
            raise S3Error("MalformedXML")
    if len(rules) > _MAX_RULES or len({rule.id for rule in rules}) != len(rules):
        raise invalid_argument("Same ID used for multiple configurations. IDs must be unique", "Id", "")
    for first, second in combinations(rules, 2):
        if overlap(first, second):
            raise _ambiguous(first, second)
    return NotificationConfiguration(rules=tuple(rules), eventbridge=eventbridge)


def _ambiguous(first: NotificationRule, second: NotificationRule) -> S3Error:
    """The error for two that may match one event of one key, as AWS tells it with filters and without."""
    if any(value is not None for rule in (first, second) for value in (rule.prefix, rule.suffix)):
        return S3Error(
            "InvalidArgument",
            "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the "
            "prefixes are overlapping for the same event type.",
        )
    message = "Configurations overlap. Configurations on the same bucket cannot share a common event type."
    return invalid_argument(message, "Event", ", ".join((*first.events, *second.events)))


def _rule(node: Element, tag: str, new_id: Callable[[], str]) -> NotificationRule:
    of = _KINDS[tag]
    value = value_of(of.shape, node)
    arn, kind = value[of.arn], of.kind
    if not of.pattern.fullmatch(arn):
        raise invalid_argument("The ARN could not be parsed", tag.removesuffix("Configuration"), arn)
    for event in value["Events"]:
        if event not in EVENT_TYPES:
            raise invalid_argument("The event is not supported for notifications", "Event", event)
    if kind in ("queue", "topic") and arn.endswith(".fifo"):
        reason = f"FIFO {kind}s are not supported as a destination"
        raise unreachable([(NotificationTarget(kind, arn), reason)])
    filters = _filters(value.get("Filter", {}).get("Key", {}).get("FilterRules", ()))
    return NotificationRule(
        id=value.get("Id") or new_id(),
        target=NotificationTarget(kind, arn),
        events=tuple(value["Events"]),
        prefix=filters.get("prefix"),
        suffix=filters.get("suffix"),
    )


def _filters(rules: Iterable[Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for rule in rules:
        name, value = rule.get("Name", ""), rule.get("Value", "")
        key = name.lower()
        if key not in ("prefix", "suffix"):
            message = "filter rule name must be either prefix or suffix"
            raise invalid_argument(message, "FilterRule.Name", name)
        if key in found:
            message = f"Cannot specify more than one {key} rule in a filter."
            raise invalid_argument(message, "FilterRule.Name", name)
        if len(value) > _LONGEST_VALUE:
            message = "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation"
            raise invalid_argument(message, "FilterRule.Value", value[:100])
        found[key] = value
    return found


def unreachable(refused: Sequence[tuple[NotificationTarget, str]]) -> S3Error:
    """The error for targets that nothing can be delivered to, each with its reason; counted from 1."""
    details: dict[str, str] = {}
    for number, (target, reason) in enumerate(refused, 1):
        details[f"ArgumentName{number}"] = target.arn + (", null" if target.kind == "lambda" else "")
        details[f"ArgumentValue{number}"] = reason
    message = "Unable to validate the following destination configurations"
    return S3Error("InvalidArgument", message, details)


def shown(configuration: NotificationConfiguration) -> Iterator[tuple[str, Any]]:
    """The members of what GetBucketNotificationConfiguration answers, in the order of the rules."""
    named = {of.kind: of for of in _KINDS.values()}
    for rule in configuration.rules:
        of, sides = named[rule.target.kind], (("Prefix", rule.prefix), ("Suffix", rule.suffix))
        filters = [{"Name": name, "Value": value} for name, value in sides if value is not None]
        value: dict[str, Any] = {"Id": rule.id, of.arn: rule.target.arn, "Events": rule.events}
        if filters:
            value["Filter"] = {"Key": {"FilterRules": filters}}
        yield f"{of.shape}s", [value]
    if configuration.eventbridge:
        yield "EventBridgeConfiguration", {}
