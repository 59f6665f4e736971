"""Samples of messages of a topic, as functions get them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from engine.services.sns.envelopes import Envelopes
from engine.services.sns.message import MessageAttribute, PublishedMessage
from engine.services.sns.subscription_attributes import SubscriptionAttributes
from engine.services.sns.topic import Subscription, Topic
from engine.sources.samples.common import ACCOUNT, EPOCH_S, SampleIds, text_of


def sns(
    message: Any,
    *,
    subject: str | None = None,
    attributes: Mapping[str, str | int | float | bytes] | None = None,
    topic: str = "topic",
    function: str = "function",
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """A message that was published to a topic.

    Args:
        message: Text as it is; any other value as JSON.
        subject: For people.
        attributes: Message attributes by name: text is a `String`, a number a `Number`, bytes a `Binary`.
        topic: Its name.
        function: Name of the function that subscribes.
        at_s: When it was published, seconds since the Unix epoch.
        salt: Makes the ids others than those of another salt.
    """
    ids = SampleIds(salt)
    arn = f"arn:aws:sns:{ACCOUNT.region}:{ACCOUNT.account_id}:{topic}"
    published = PublishedMessage(
        ids("message", topic),
        text_of(message),
        subject=subject,
        attributes={name: _attribute(value) for name, value in (attributes or {}).items()},
    )
    subscription = Subscription(
        arn=f"{arn}:{SampleIds()('subscription', topic, function)}",
        topic=Topic(name=topic, arn=arn, fifo=False, policy=""),
        protocol="lambda",
        endpoint=ACCOUNT.function_arn(function),
        attributes=SubscriptionAttributes(shown={}),
    )
    made = Envelopes(ACCOUNT, None).event(published, subscription, at_s)
    return cast("dict[str, Any]", json.loads(made))


def _attribute(value: str | float | bytes) -> MessageAttribute:
    if isinstance(value, bytes):
        return MessageAttribute("Binary", value)
    return MessageAttribute("String" if isinstance(value, str) else "Number", str(value))
