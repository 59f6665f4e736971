"""Delivers what is published to the subscribers whose filter policy takes it.

Source: SNS Developer Guide, "Amazon SNS message filtering", "raw message delivery", "dead-letter queues",
"message delivery retries"; recorded answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.core.event_patterns.sns_policy import FilterPolicy, PolicyScope
from engine.core.late_dataclass import dataclass
from engine.ports import Clock
from engine.services.deliveries.delivery import Delivery, GivenUp
from engine.services.deliveries.retry_law import SNS_LAW
from engine.services.sns.envelopes import Envelopes
from engine.services.sns.message import PublishedMessage
from engine.services.sns.retry_policies import DEFAULT_CONTENT_TYPE, http_rules
from engine.services.sns.topic import Accepted, Subscription, Topic

MAX_RAW_ATTRIBUTES: Final = 10
"""More of them than a queue takes: the delivery fails, and is not tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpDelivery(Delivery):
    """A delivery to an HTTP endpoint, with what goes into its headers."""

    headers: Mapping[str, str]


class Publisher:
    """Numbers messages, and hands deliveries on."""

    def __init__(
        self,
        envelopes: Envelopes,
        deliver: Callable[[Iterator[Delivery]], None],
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._envelopes = envelopes
        self._deliver = deliver
        self._clock = clock
        self._new_id = new_id

    def publish(self, topic: Topic, message: PublishedMessage) -> Accepted:
        """Deliver to whom it concerns, now or by retries. A duplicate on a FIFO topic goes to nobody."""
        accepted, is_new = topic.accept(message, self._clock.now())
        if is_new:
            wall_s = self._clock.wall()
            self._deliver(
                self._delivery(subscription, message, wall_s, accepted.sequence_number)
                for subscription in topic.confirmed()
                if _takes(subscription.attributes.policy, message)
            )
        return accepted

    def ask_to_confirm(self, subscription: Subscription) -> None:
        """Have an HTTP endpoint confirm its subscription."""
        if subscription.token is not None:
            self._ask(subscription, subscription.token, ends=False)

    def tell_end(self, subscription: Subscription, token: str) -> None:
        """Tell an HTTP endpoint that its subscription has ended; `token` restores it."""
        self._ask(subscription, token, ends=True)

    def _ask(self, subscription: Subscription, token: str, *, ends: bool) -> None:
        message_id = self._new_id()
        body = self._envelopes.confirmation(subscription, message_id, token, self._clock.wall(), ends=ends)
        kind = "UnsubscribeConfirmation" if ends else "SubscriptionConfirmation"
        record = DestinationRecord(body=body)
        delivery = self._http(subscription, record, _headers(subscription, kind, message_id), None)
        self._deliver(iter((delivery,)))

    def _delivery(
        self, subscription: Subscription, message: PublishedMessage, wall_s: float, number: str | None
    ) -> Delivery:
        attributes = subscription.attributes
        if attributes.raw:
            record = _raw(message, message.for_protocol(subscription.protocol))
            if subscription.protocol != "sqs":
                record = DestinationRecord(body=record.body)
        elif subscription.protocol == "lambda":
            body = self._envelopes.event(message, subscription, wall_s)
            record = DestinationRecord(body=body, trace=message.trace)
        else:
            record = self._enveloped(subscription, message, wall_s, number)
        letter = partial(self._dead_letter, subscription, message, wall_s, number)
        if subscription.protocol in ("http", "https"):
            headers = _headers(subscription, "Notification", message.message_id)
            if attributes.raw:
                headers["x-amz-sns-rawdelivery"] = "true"
            return self._http(subscription, record, headers, letter)
        return Delivery(
            service="sns",
            kind="lambda" if subscription.protocol == "lambda" else "sqs",
            target=subscription.endpoint,
            record=record,
            law=SNS_LAW,
            dead_letter_queue=attributes.dead_letter_queue,
            dead_letter=letter,
            refusal=_refusal(subscription, record),
        )

    def _http(
        self,
        subscription: Subscription,
        record: DestinationRecord,
        headers: Mapping[str, str],
        letter: Callable[[GivenUp], DestinationRecord] | None,
    ) -> HttpDelivery:
        attributes = subscription.attributes
        rules = http_rules(attributes.delivery_policy, subscription.topic.attributes)
        content_type = rules.content_type if letter is not None else DEFAULT_CONTENT_TYPE
        return HttpDelivery(
            service="sns",
            kind="http",
            target=subscription.endpoint,
            record=record,
            law=rules.law,
            dead_letter_queue=attributes.dead_letter_queue if letter is not None else None,
            dead_letter=letter or (lambda _: record),
            headers={"Content-Type": content_type, **headers},
        )

    def _enveloped(
        self, subscription: Subscription, message: PublishedMessage, wall_s: float, number: str | None
    ) -> DestinationRecord:
        return DestinationRecord(
            body=self._envelopes.notification(message, subscription, wall_s, number),
            trace=message.trace,
            group=message.group,
            dedup_id=message.dedup_id,
        )

    def _dead_letter(
        self,
        subscription: Subscription,
        message: PublishedMessage,
        wall_s: float,
        number: str | None,
        _given_up: GivenUp,
    ) -> DestinationRecord:
        """The body that a queue gets, for functions too."""
        if subscription.attributes.raw:
            return _raw(message, message.for_protocol(subscription.protocol), MAX_RAW_ATTRIBUTES)
        return self._enveloped(subscription, message, wall_s, number)


def _takes(policy: FilterPolicy | None, message: PublishedMessage) -> bool:
    """Whether a subscription with that policy gets the message. Of structured ones the default counts."""
    if policy is None:
        return True
    if policy.scope is PolicyScope.ATTRIBUTES:
        return policy.matches_attributes(message.filterable)
    return policy.matches_body(message.for_protocol(""))


def _raw(message: PublishedMessage, text: str, most: int | None = None) -> DestinationRecord:
    """The message alone, with its attributes, of which a dead letter has at `most` so many."""
    return DestinationRecord(
        body=text.encode("utf-8", "replace"),
        attributes=dict(list(message.attributes.items())[:most]),
        trace=message.trace,
        group=message.group,
        dedup_id=message.dedup_id,
    )


def _refusal(subscription: Subscription, record: DestinationRecord) -> DeliveryError | None:
    """Why a queue would not take it, which nobody else looks at."""
    if len(record.attributes) <= MAX_RAW_ATTRIBUTES:
        return None
    reason = f"{len(record.attributes)} message attributes are more than a queue takes"
    return DeliveryError(subscription.endpoint, reason, "INVALID_PARAMETER")


def _headers(subscription: Subscription, kind: str, message_id: str) -> dict[str, str]:
    headers = {
        "User-Agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": kind,
        "x-amz-sns-message-id": message_id,
        "x-amz-sns-topic-arn": subscription.topic.arn,
    }
    if kind != "SubscriptionConfirmation":
        headers["x-amz-sns-subscription-arn"] = subscription.arn
    return headers
