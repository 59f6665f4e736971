"""Operations on subscriptions: making, confirming, ending, listing, attributes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Any, Final

import orjson

from engine.protocols.aws.operation import Document, operation
from engine.services.sns.errors import INVALID_PARAMETER, invalid, sns_error
from engine.services.sns.message import check_arn
from engine.services.sns.operations.pages import page_of
from engine.services.sns.publisher import Publisher
from engine.services.sns.retry_policies import effective_subscription_policy
from engine.services.sns.subscription_attributes import read_attributes
from engine.services.sns.topic import Subscription
from engine.services.sns.topics import Topics

Params = Mapping[str, Any]
_TOKEN: Final = re.compile(r"(?:[0-9a-f]{2})+", re.ASCII | re.IGNORECASE)
"""What may be a token; how AWS tells is not on record."""


class Subscriptions:
    """The operations, on one engine's topics."""

    def __init__(self, topics: Topics, publisher: Publisher) -> None:
        self._topics = topics
        self._publisher = publisher

    @operation("Subscribe", writes=True)
    def subscribe(self, params: Params, _trace: str | None) -> Document:
        """Subscribe an endpoint; functions and queues need not confirm."""
        topic = self._topics.topic(params["TopicArn"])
        subscription, is_new = self._topics.subscribe(
            topic, params["Protocol"], params.get("Endpoint") or "", params.get("Attributes") or {}
        )
        if is_new or subscription.token is not None:
            self._publisher.ask_to_confirm(subscription)
        is_told = subscription.token is None or params.get("ReturnSubscriptionArn")
        return {"SubscriptionArn": subscription.arn if is_told else "pending confirmation"}

    @operation("ConfirmSubscription", writes=True)
    def confirm(self, params: Params, _trace: str | None) -> Document:
        """Confirm by the token that was sent to the endpoint, or restore. Again, it changes nothing."""
        arn, token = params["TopicArn"], params["Token"]
        check_arn(arn, "TopicArn")
        if _TOKEN.fullmatch(token) is None:
            raise sns_error(INVALID_PARAMETER, "Invalid token")
        topic = self._topics.by_arn.get(arn)
        if topic is None:
            raise invalid("Token")
        for one in topic.subscriptions.values():
            if one.token is not None and compare_digest(one.token.encode(), token.encode("utf-8", "replace")):
                one.token = None
                one.needs_login = params.get("AuthenticateOnUnsubscribe") == "true"
                topic.used_tokens[token] = one.arn
                return {"SubscriptionArn": one.arn}
        ended = topic.restorable.pop(token, None)
        if ended is not None:
            topic.used_tokens[token] = self._topics.restore(ended).arn
        if topic.used_tokens.get(token) in topic.subscriptions:
            return {"SubscriptionArn": topic.used_tokens[token]}
        raise invalid("Token")

    @operation("Unsubscribe", writes=True)
    def unsubscribe(self, params: Params, _trace: str | None) -> Document:
        """End a subscription; one that is not there does not matter."""
        arn = params["SubscriptionArn"]
        if len(arn.split(":")) < 6:
            self._topics.subscription(arn)
        ended = self._topics.unsubscribe(arn)
        if ended is not None and ended.protocol in ("http", "https") and ended.token is None:
            token = secrets.token_hex(128)
            ended.topic.keep_restorable(token, ended)
            self._publisher.tell_end(ended, token)
        return {}

    @operation("ListSubscriptions")
    def list_all(self, params: Params, _trace: str | None) -> Document:
        """All subscriptions, 100 a page."""
        return self._page(sorted(self._topics.subscriptions), params)

    @operation("ListSubscriptionsByTopic")
    def list_of_topic(self, params: Params, _trace: str | None) -> Document:
        """Those of one topic."""
        return self._page(sorted(self._topics.topic(params["TopicArn"]).subscriptions), params)

    @operation("GetSubscriptionAttributes")
    def attributes(self, params: Params, _trace: str | None) -> Document:
        """GetSubscriptionAttributes."""
        one = self._topics.subscription(params["SubscriptionArn"])
        account_id = self._topics.account.account_id
        own = dict(one.attributes.shown)
        scope = own.pop("FilterPolicyScope", "MessageAttributes")
        shown = {
            "SubscriptionArn": one.arn,
            "TopicArn": one.topic.arn,
            "Protocol": one.protocol,
            "Endpoint": one.endpoint,
            "Owner": account_id,
            "SubscriptionPrincipal": f"arn:aws:iam::{account_id}:user/local",
            "ConfirmationWasAuthenticated": _word(value=one.needs_login or one.protocol in ("lambda", "sqs")),
            "PendingConfirmation": _word(value=one.token is not None),
            "RawMessageDelivery": _word(value=one.attributes.raw),
        }
        own.pop("RawMessageDelivery", None)
        if one.protocol in ("http", "https"):
            policy = effective_subscription_policy(one.attributes.delivery_policy, one.topic.attributes)
            shown["EffectiveDeliveryPolicy"] = orjson.dumps(policy).decode()
        if one.attributes.policy is not None:
            shown["FilterPolicyScope"] = scope
        return {"Attributes": {**shown, **own}}

    @operation("SetSubscriptionAttributes", writes=True)
    def set_attribute(self, params: Params, _trace: str | None) -> Document:
        """Set one attribute; an empty policy takes it away."""
        one = self._topics.subscription(params["SubscriptionArn"])
        given = {**one.attributes.shown, params["AttributeName"]: params.get("AttributeValue") or ""}
        one.attributes = read_attributes(given, one.protocol, "", fifo=one.topic.fifo)
        return {}

    def _page(self, arns: Sequence[str], params: Params) -> Document:
        page, token = page_of(arns, params.get("NextToken"))
        return {"Subscriptions": [self._shown(self._topics.subscriptions[arn]) for arn in page], **token}

    def _shown(self, one: Subscription) -> Document:
        return {
            "SubscriptionArn": one.arn if one.token is None else "PendingConfirmation",
            "Owner": self._topics.account.account_id,
            "Protocol": one.protocol,
            "Endpoint": one.endpoint,
            "TopicArn": one.topic.arn,
        }


def _word(*, value: bool) -> str:
    return "true" if value else "false"
