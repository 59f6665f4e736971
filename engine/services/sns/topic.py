"""One topic and its subscriptions: values, no I/O; time is passed in.

Source: SNS Developer Guide, "Message ordering and deduplication (FIFO topics)"; SNS API reference; recorded
answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Final, Literal, NamedTuple

from engine.core.late_dataclass import dataclass
from engine.services.sns.message import PublishedMessage
from engine.services.sns.subscription_attributes import SubscriptionAttributes
from engine.services.sns.topic_attributes import MAX_MESSAGE_BYTES
from engine.services.sqs.deduplication import Window

Protocol = Literal["lambda", "sqs", "http", "https"]

_FIRST_SEQUENCE_NUMBER: Final = 10_000_000_000_000_000_000
_SEQUENCE_STEP: Final = 1_000
_MAX_RESTORABLE: Final = 100


class Accepted(NamedTuple):
    """What the publisher of a message is told. `sequence_number` is None on a standard topic."""

    message_id: str
    sequence_number: str | None


@dataclass(slots=True, kw_only=True, eq=False)
class Subscription:
    """Who gets what is published to a topic.

    Attributes:
        arn: Its own.
        topic: What it is to.
        protocol, endpoint: Where messages go.
        attributes: How.
        token: What confirms it; None once it is confirmed.
        needs_login: Confirmed in such a way that only its owner may end it: shown, not checked.
    """

    arn: str
    topic: Topic
    protocol: Protocol
    endpoint: str
    attributes: SubscriptionAttributes
    token: str | None = None
    needs_login: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Topic:
    """One topic.

    Attributes:
        name, arn: Its own.
        fifo: Whether it keeps order and drops duplicates.
        attributes: As given, by AWS's names.
        policy: JSON of its access policy, which is not enforced.
        tags: Free labels.
        subscriptions: By ARN, in the order in which they came.
        deleted: How many subscriptions were ended.
        restorable: Subscriptions that ended, by the token that restores each; the last 100 of them.
        used_tokens: Tokens that confirmed a subscription, to its ARN.
    """

    name: str
    arn: str
    fifo: bool
    policy: str
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    deleted: int = 0
    restorable: dict[str, Subscription] = field(default_factory=dict)
    used_tokens: dict[str, str] = field(default_factory=dict)
    _count: int = 0
    _known: Window[Accepted] = field(default_factory=Window)

    @property
    def max_message_bytes(self) -> int:
        """Largest message it takes."""
        return int(self.attributes.get("MaximumMessageSize", MAX_MESSAGE_BYTES))

    @property
    def has_content_ids(self) -> bool:
        """Whether the content of a message is its deduplication id if it has none."""
        return self.attributes.get("ContentBasedDeduplication") == "true"

    def confirmed(self) -> Iterator[Subscription]:
        """The subscriptions that messages go to."""
        return (one for one in tuple(self.subscriptions.values()) if one.token is None)

    def keep_restorable(self, token: str, subscription: Subscription) -> None:
        """Keep a subscription that ended, for who shows that token."""
        self.restorable[token] = subscription
        if len(self.restorable) > _MAX_RESTORABLE:
            del self.restorable[next(iter(self.restorable))]

    def accept(self, message: PublishedMessage, now_s: float) -> tuple[Accepted, bool]:
        """Number a message, and tell whether it is new: a duplicate within five minutes is not delivered."""
        if not self.fifo:
            return Accepted(message.message_id, None), True
        assert message.dedup_id is not None
        by_group = self.attributes.get("FifoThroughputScope") == "MessageGroup"
        key = (message.group, message.dedup_id) if by_group else message.dedup_id
        known = self._known.get(key, now_s)
        if known is not None:
            return known, False
        number = str(_FIRST_SEQUENCE_NUMBER + self._count * _SEQUENCE_STEP)
        self._count += 1
        accepted = Accepted(message.message_id, number)
        self._known.keep(key, accepted, now_s)
        return accepted, True
