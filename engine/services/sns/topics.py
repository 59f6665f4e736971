"""All topics and subscriptions of one engine.

Source: SNS API reference, "CreateTopic", "Subscribe"; recorded answers.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Final, cast, get_args

from engine.core.destinations import target_of
from engine.core.function import Account
from engine.protocols.aws.errors import ServiceError
from engine.services.sns.errors import invalid, no_resource, no_subscription, no_topic, unserved
from engine.services.sns.message import check_arn
from engine.services.sns.subscription_attributes import ON_SUBSCRIBE, read_attributes
from engine.services.sns.topic import Protocol, Subscription, Topic
from engine.services.sns.topic_attributes import (
    FIFO_SUFFIX,
    check_attributes,
    check_name,
    default_policy,
)

PROTOCOLS: Final[tuple[str, ...]] = get_args(Protocol)
_OTHER_PROTOCOLS: Final = frozenset({"email", "email-json", "sms", "application", "firehose"})
_URL: Final = re.compile(r"(https?)://[^/?#\s]+\S*")
_EXISTS: Final = "Attributes Reason: Topic already exists with different attributes"
_OTHER_TAGS: Final = "Tags Reason: Topic already exists with different tags"
_MAX_TAGS: Final = 50
_DEFAULTS: Final[Mapping[str, str]] = {
    "ContentBasedDeduplication": "false",
    "DisplayName": "",
    "FifoThroughputScope": "Topic",
    "FifoTopic": "false",
    "SignatureVersion": "1",
    "TracingConfig": "PassThrough",
}
"""What an attribute is that was not given, where that makes a difference to who makes the topic again."""
_DEFAULTS_OF_SUBSCRIPTIONS: Final[Mapping[str, str]] = {
    "FilterPolicyScope": "MessageAttributes",
    "RawMessageDelivery": "false",
}


class Topics:
    """Topics and subscriptions by ARN. There is one set, whatever region and account a caller signed for."""

    def __init__(self, account: Account, new_id: Callable[[], str]) -> None:
        self.account = account
        self.by_arn: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._new_id = new_id

    def arn(self, name: str) -> str:
        """The ARN that a topic of that name has."""
        return f"arn:aws:sns:{self.account.region}:{self.account.account_id}:{name}"

    def topic(self, arn: str, parameter: str = "TopicArn") -> Topic:
        """The topic of that ARN. Raises ServiceError."""
        check_arn(arn, parameter)
        found = self.by_arn.get(arn)
        if found is None:
            raise no_topic()
        return found

    def subscription(self, arn: str) -> Subscription:
        """The subscription of that ARN. Raises ServiceError."""
        if len(arn.split(":")) < 6:
            raise invalid(
                f"SubscriptionArn Reason: An ARN must have at least 6 elements, not {len(arn.split(':'))}"
            )
        found = self.subscriptions.get(arn)
        if found is None:
            raise no_subscription()
        return found

    def tagged(self, arn: str) -> Topic:
        """The topic whose tags are asked for. Raises ServiceError."""
        found = self.by_arn.get(arn)
        if found is None:
            raise no_resource()
        return found

    def create(self, name: str, attributes: Mapping[str, str], tags: Mapping[str, str]) -> Topic:
        """Make a topic, or return that of the same name. Raises ServiceError if it cannot be, or differs."""
        given = {key: value for key, value in attributes.items() if value or key != "Policy"}
        check_name(name, given)
        fifo = given.get("FifoTopic") == "true"
        check_attributes(given, ON_SUBSCRIBE, fifo=fifo)
        arn = self.arn(name)
        known = self.by_arn.get(arn)
        if known is not None:
            if any(self._shown(known, key) != value for key, value in given.items()):
                raise invalid(_EXISTS)
            if tags and dict(tags) != known.tags:
                raise invalid(_OTHER_TAGS)
            return known
        check_tags(tags)
        policy = given.pop("Policy", "") or default_policy(arn, self.account)
        topic = Topic(name=name, arn=arn, fifo=fifo, policy=policy, attributes=given, tags=dict(tags))
        self.by_arn[arn] = topic
        return topic

    def delete(self, arn: str) -> None:
        """Drop a topic with its subscriptions; one that is not there does not matter."""
        topic = self.by_arn.pop(arn, None)
        if topic is not None:
            for subscription in topic.subscriptions:
                self.subscriptions.pop(subscription, None)

    def subscribe(
        self, topic: Topic, protocol: str, endpoint: str, attributes: Mapping[str, str]
    ) -> tuple[Subscription, bool]:
        """Subscribe an endpoint; returns also whether it is new.

        Raises:
            ServiceError: The endpoint or an attribute is none, or it is subscribed otherwise.
        """
        _check_endpoint(topic, protocol, endpoint)
        read = read_attributes(attributes, protocol, ON_SUBSCRIBE, fifo=topic.fifo)
        for one in topic.subscriptions.values():
            if (one.protocol, one.endpoint) == (protocol, endpoint):
                if any(_differs(name, one.attributes.shown, read.shown) for name in attributes):
                    raise invalid("Attributes Reason: Subscription already exists with different attributes")
                return one, False
        subscription = Subscription(
            arn=f"{topic.arn}:{self._new_id()}",
            topic=topic,
            protocol=cast("Protocol", protocol),
            endpoint=endpoint,
            attributes=read,
            token=secrets.token_hex(128) if protocol in ("http", "https") else None,
        )
        topic.subscriptions[subscription.arn] = self.subscriptions[subscription.arn] = subscription
        return subscription, True

    def unsubscribe(self, arn: str) -> Subscription | None:
        """End a subscription; None if there is none."""
        found = self.subscriptions.pop(arn, None)
        if found is not None:
            del found.topic.subscriptions[arn]
            found.topic.deleted += 1
        return found

    def restore(self, subscription: Subscription) -> Subscription:
        """Have an ended subscription again, as it was; or the one that its endpoint has by now."""
        topic = subscription.topic
        for one in topic.subscriptions.values():
            if (one.protocol, one.endpoint) == (subscription.protocol, subscription.endpoint):
                return one
        topic.subscriptions[subscription.arn] = self.subscriptions[subscription.arn] = subscription
        topic.deleted -= 1
        return subscription

    @staticmethod
    def _shown(topic: Topic, name: str) -> str | None:
        if name == "Policy":
            return topic.policy
        return topic.attributes.get(name, _DEFAULTS.get(name))


def _differs(name: str, known: Mapping[str, str], given: Mapping[str, str]) -> bool:
    """Whether that attribute of a subscription is another one; without a value it is the default."""
    default = _DEFAULTS_OF_SUBSCRIPTIONS.get(name, "")
    return known.get(name, default) != given.get(name, default)


def tags_of(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a request, by key. Raises ServiceError if a key is there twice."""
    pairs = [(tag["Key"], tag["Value"]) for tag in given]
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise invalid("Duplicated keys are not allowed.")
    return tags


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises ServiceError if they are too many."""
    if len(tags) > _MAX_TAGS:
        message = "Could not complete request: tag quota of per resource exceeded"
        raise ServiceError(400, "TagLimitExceededException", message)


def _check_endpoint(topic: Topic, protocol: str, endpoint: str) -> None:
    if protocol in _OTHER_PROTOCOLS:
        raise unserved(f"Subscribing by {protocol}")
    if protocol not in PROTOCOLS:
        raise invalid(f"Amazon SNS does not support this protocol string: {protocol[:64]}")
    if not endpoint:
        raise invalid("Endpoint")
    if protocol in ("http", "https"):
        found = _URL.fullmatch(endpoint)
        if found is None or found[1] != protocol:
            raise invalid("Endpoint must match the specified protocol")
        if topic.fifo:
            raise invalid("Endpoint Reason: Please use SQS queues with FIFO topics")
        return
    target = target_of(endpoint)
    if target is None or target.service != protocol:
        raise invalid("SQS endpoint ARN" if protocol == "sqs" else "Lambda endpoint ARN")
    if protocol == "lambda" and topic.fifo:
        raise invalid("Endpoint Reason: Please use SQS queues with FIFO topics")
    if protocol == "sqs" and endpoint.endswith(FIFO_SUFFIX) and not topic.fifo:
        raise invalid(
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"
        )
