"""Operations on topics: making, listing, attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.protocols.aws.operation import Document, operation
from engine.services.sns.errors import invalid
from engine.services.sns.operations.pages import page_of
from engine.services.sns.topic import Topic
from engine.services.sns.topic_attributes import check_attributes, default_policy, effective_delivery_policy
from engine.services.sns.topics import Topics, tags_of

Params = Mapping[str, Any]
_FIXED: Final = frozenset({"FifoTopic", "TopicArn", "Owner"})


class TopicOperations:
    """The operations, on one engine's topics."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    @operation("CreateTopic", writes=True)
    def create(self, params: Params, _trace: str | None) -> Document:
        """Make a topic; one of that name that is there already is as good."""
        tags = tags_of(params.get("Tags") or ())
        topic = self._topics.create(params["Name"], params.get("Attributes") or {}, tags)
        return {"TopicArn": topic.arn}

    @operation("DeleteTopic", writes=True)
    def delete(self, params: Params, _trace: str | None) -> Document:
        """Drop a topic with its subscriptions."""
        self._topics.delete(params["TopicArn"])
        return {}

    @operation("ListTopics")
    def list_topics(self, params: Params, _trace: str | None) -> Document:
        """All topics, 100 a page."""
        page, token = page_of(sorted(self._topics.by_arn), params.get("NextToken"))
        return {"Topics": [{"TopicArn": arn} for arn in page], **token}

    @operation("GetTopicAttributes")
    def attributes(self, params: Params, _trace: str | None) -> Document:
        """GetTopicAttributes."""
        topic = self._topics.topic(params["TopicArn"])
        return {"Attributes": self._shown(topic)}

    @operation("SetTopicAttributes", writes=True)
    def set_attribute(self, params: Params, _trace: str | None) -> Document:
        """Set one attribute; an empty value takes it away."""
        topic = self._topics.topic(params["TopicArn"])
        name, value = params["AttributeName"], params.get("AttributeValue") or ""
        if name in _FIXED:
            raise invalid("AttributeName")
        if value:
            check_attributes({name: value}, "", fifo=topic.fifo)
        if name == "Policy":
            topic.policy = value or default_policy(topic.arn, self._topics.account)
        elif value:
            topic.attributes[name] = value
        else:
            topic.attributes.pop(name, None)
        return {}

    def _shown(self, topic: Topic) -> dict[str, str]:
        own = {name: value for name, value in topic.attributes.items() if name != "FifoTopic"}
        pending = sum(one.token is not None for one in topic.subscriptions.values())
        shown = {
            "TopicArn": topic.arn,
            "Owner": self._topics.account.account_id,
            "Policy": topic.policy,
            "DisplayName": topic.attributes.get("DisplayName", ""),
            "SubscriptionsConfirmed": str(len(topic.subscriptions) - pending),
            "SubscriptionsPending": str(pending),
            "SubscriptionsDeleted": str(topic.deleted),
            "EffectiveDeliveryPolicy": orjson.dumps(effective_delivery_policy(topic.attributes)).decode(),
        }
        if topic.fifo:
            shown |= {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
        return {**shown, **own}
