"""Attributes of a subscription, checked, and what they make of it.

Source: SNS API reference, "Subscribe", "SetSubscriptionAttributes"; recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from engine.core.destinations import target_of
from engine.core.event_patterns.errors import PatternError
from engine.core.event_patterns.sns_policy import FilterPolicy, PolicyScope
from engine.core.late_dataclass import dataclass
from engine.services.sns.errors import bad_policy, invalid, unserved
from engine.services.sns.retry_policies import check_delivery_policy
from engine.services.sns.topic_attributes import FIFO_SUFFIX

ON_SUBSCRIBE: Final = "Attributes Reason: "
"""What Subscribe says before the attribute; SetSubscriptionAttributes does not."""
_RAW_PROTOCOLS: Final = ("sqs", "http", "https")
_NAMES: Final = frozenset(
    {
        "DeliveryPolicy",
        "FilterPolicy",
        "FilterPolicyScope",
        "RawMessageDelivery",
        "RedrivePolicy",
        "SubscriptionRoleArn",
        "ReplayPolicy",
    }
)
_REPLACED: Final = ("FilterPolicy", "DeliveryPolicy", "RedrivePolicy")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionAttributes:
    """What a subscription was told.

    Attributes:
        shown: As given, by AWS's names; what was emptied is not there.
        policy: The filter policy, None for none.
        raw: Whether the message is delivered without an envelope.
        dead_letter_queue: ARN of the queue that has what could not be delivered, or None.
        delivery_policy: JSON of how HTTP is tried again, or None.
    """

    shown: Mapping[str, str]
    policy: FilterPolicy | None = None
    raw: bool = False
    dead_letter_queue: str | None = None
    delivery_policy: str | None = None


def read_attributes(
    given: Mapping[str, str], protocol: str, prefix: str, *, fifo: bool
) -> SubscriptionAttributes:
    """Check `given` and compile them.

    Args:
        given: By AWS's names.
        protocol: Of the subscription.
        prefix: What errors say before the attribute.
        fifo: Whether the topic is FIFO.

    Raises:
        ServiceError: In AWS's words.
    """
    for name in given:
        if name not in _NAMES:
            raise invalid(f"{prefix}Unknown attribute: {name[:256]}" if prefix else "AttributeName")
    if given.get("ReplayPolicy"):
        raise unserved("ReplayPolicy")
    raw = given.get("RawMessageDelivery", "false").lower()
    if raw not in ("true", "false"):
        text = f"Invalid value [{given['RawMessageDelivery']}]. Must be true or false."
        raise invalid(f"{prefix}RawMessageDelivery: {text}")
    if raw == "true" and protocol not in _RAW_PROTOCOLS:
        text = f"Delivery protocol [{protocol}] does not support raw message delivery."
        raise invalid(f"{prefix}RawMessageDelivery: {text}")
    policy = _policy(given, prefix)
    redrive = given.get("RedrivePolicy")
    delivery_policy = given.get("DeliveryPolicy")
    if delivery_policy:
        check_delivery_policy(delivery_policy, prefix)
    kept = {name: value for name, value in given.items() if value or name not in _REPLACED}
    if policy is None:
        kept.pop("FilterPolicy", None)
    return SubscriptionAttributes(
        shown=kept,
        policy=policy,
        raw=raw == "true",
        dead_letter_queue=_dead_letter_queue(redrive, prefix, fifo=fifo) if redrive else None,
        delivery_policy=delivery_policy or None,
    )


def _policy(given: Mapping[str, str], prefix: str) -> FilterPolicy | None:
    name = given.get("FilterPolicyScope", PolicyScope.ATTRIBUTES.value)
    try:
        scope = PolicyScope(name)
    except ValueError:
        text = f"Invalid value [{name}]. Please use either MessageBody or MessageAttributes"
        raise invalid(f"{prefix}FilterPolicyScope: {text}") from None
    text = given.get("FilterPolicy", "").strip()
    if text in ("", "{}"):
        return None
    try:
        return FilterPolicy(text, scope)
    except PatternError as error:
        raise bad_policy(error, text, prefix) from None


def _dead_letter_queue(text: str, prefix: str, *, fifo: bool) -> str:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise invalid(f"{prefix}RedrivePolicy: failed to parse JSON.") from None
    arn = document.get("deadLetterTargetArn") if isinstance(document, dict) else None
    target = target_of(arn) if isinstance(arn, str) else None
    if target is None or target.service != "sqs":
        raise invalid(f"{prefix}RedrivePolicy: deadLetterTargetArn is an invalid arn")
    assert isinstance(arn, str)
    if fifo and not arn.endswith(FIFO_SUFFIX):
        raise invalid(
            f"{prefix}RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."
        )
    return arn
