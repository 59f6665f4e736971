"""The notification configuration of a bucket as S3's API reads and writes it.

Source: Amazon S3 API Reference, PutBucketNotificationConfiguration and GetBucketNotificationConfiguration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final
from xml.etree.ElementTree import Element

from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.notification_rules import (
    EVENT_TYPES,
    NotificationConfiguration,
    NotificationRule,
    NotificationTarget,
    TargetKind,
    overlap,
)
from engine.services.s3.xml import element
from engine.services.s3.xml_input import children, parse, text_of

ROOT: Final = "NotificationConfiguration"
_MAX_RULES: Final = 100
_LONGEST_VALUE: Final = 1024
_KINDS: Final[dict[str, tuple[TargetKind, str, re.Pattern[str]]]] = {
    "TopicConfiguration": ("topic", "Topic", re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w.-]+")),
    "QueueConfiguration": ("queue", "Queue", re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[\w.-]+")),
    "CloudFunctionConfiguration": (
        "lambda",
        "CloudFunction",
        re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+(:[\w$-]+)?"),
    ),
}
_LEGACY: Final = {"LambdaFunctionConfiguration": "CloudFunctionConfiguration"}


def parsed(body: bytes, new_id: Callable[[], str]) -> NotificationConfiguration:
    """Read the XML; rules without an id get one.

    Raises:
        S3Error: In AWS's words. Whether the targets exist is not looked at here.
    """
    root = parse(body, ROOT)
    rules: list[NotificationRule] = []
    eventbridge = False
    for child in root:
        if child.tag == "EventBridgeConfiguration":
            eventbridge = True
        elif (tag := _LEGACY.get(child.tag, child.tag)) in _KINDS:
            rules.append(_rule(child, *_KINDS[tag], new_id))
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


def _rule(
    node: Element, kind: TargetKind, tag: str, pattern: re.Pattern[str], new_id: Callable[[], str]
) -> NotificationRule:
    arn = text_of(node, tag)
    events = tuple(child.text or "" for child in children(node, "Event"))
    if arn is None or not events:
        raise S3Error("MalformedXML")
    if not pattern.fullmatch(arn):
        raise invalid_argument("The ARN could not be parsed", tag, arn)
    for event in events:
        if event not in EVENT_TYPES:
            raise invalid_argument("The event is not supported for notifications", "Event", event)
    if kind == "queue" and arn.endswith(".fifo"):
        raise unreachable([(NotificationTarget(kind, arn), "FIFO queues are not supported as a destination")])
    filters = _filters(node)
    return NotificationRule(
        id=text_of(node, "Id") or new_id(),
        target=NotificationTarget(kind, arn),
        events=events,
        prefix=filters.get("prefix"),
        suffix=filters.get("suffix"),
    )


def _filters(node: Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for rule in node.iterfind("Filter/S3Key/FilterRule"):
        name, value = text_of(rule, "Name") or "", text_of(rule, "Value") or ""
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


def rendered(configuration: NotificationConfiguration) -> str:
    """The content of the document GetBucketNotificationConfiguration answers."""
    tags = {kind: (outer, inner) for outer, (kind, inner, _) in _KINDS.items()}
    parts = []
    for rule in configuration.rules:
        outer, inner = tags[rule.target.kind]
        filters = "".join(
            f"<FilterRule>{element('Name', name)}{element('Value', value)}</FilterRule>"
            for name, value in (("Prefix", rule.prefix), ("Suffix", rule.suffix))
            if value is not None
        )
        body = element("Id", rule.id) + element(inner, rule.target.arn)
        body += "".join(element("Event", event) for event in rule.events)
        if filters:
            body += f"<Filter><S3Key>{filters}</S3Key></Filter>"
        parts.append(f"<{outer}>{body}</{outer}>")
    if configuration.eventbridge:
        parts.append("<EventBridgeConfiguration></EventBridgeConfiguration>")
    return "".join(parts)
