"""The settings of SNS: `[topics.NAME]`, and `[[functions.NAME.events]]` with `type = "sns"`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import orjson

from engine.core.destinations import expanded
from engine.core.event_patterns.errors import PatternError
from engine.core.event_patterns.pattern import pattern_text
from engine.core.event_patterns.sns_policy import FilterPolicy, PolicyScope
from engine.core.function import Account
from engine.core.table import SettingsTable, fresh
from engine.core.table_rules import Array, Bounds, Check, Length, Pattern
from engine.services.sns.topic_attributes import (
    FIFO_NAME,
    FIFO_SUFFIX,
    LARGEST_MESSAGE_BYTES,
    MAX_MESSAGE_BYTES,
    TOPIC_NAME,
    TOPIC_NAME_RULE,
)

_ARN: Final = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:(?P<name>[^:]+)", re.ASCII)


def topic_name(text: str) -> str:
    """The name of a topic that is given by name or ARN. Raises ValueError if it is none."""
    found = _ARN.fullmatch(text)
    name = text if found is None else found["name"]
    if TOPIC_NAME.fullmatch(name) is None and FIFO_NAME.fullmatch(name) is None:
        raise ValueError(f"the name of a topic {TOPIC_NAME_RULE} (AWS)")
    return name


def _topic_of_functions(text: str) -> str:
    name = topic_name(text)
    if name.endswith(FIFO_SUFFIX):
        raise ValueError("a FIFO topic cannot invoke a function: subscribe a queue (AWS)")
    return name


class SubscriptionSettings(SettingsTable):
    """What of a topic a subscriber gets, and how.

    Attributes:
        filter_policy: Which messages, as JSON text or a table; all without one.
        filter_policy_scope: What it is held against.
        dead_letter_queue: Name or ARN of the queue that has what could not be delivered.
    """

    filter_policy: str | dict[str, Any] | None = None
    filter_policy_scope: Literal["MessageAttributes", "MessageBody"] = "MessageAttributes"
    dead_letter_queue: Annotated[str, Length(1, 256)] | None = None

    def check_keys_together(self) -> None:
        """The policy is one of that scope."""
        if self.filter_policy is None:
            return
        text = ""
        try:
            text = pattern_text(self.filter_policy)
            FilterPolicy(text, PolicyScope(self.filter_policy_scope))
        except PatternError as error:
            raise ValueError(f"filter_policy: {error.located(text)}") from None

    def attributes(self, account: Account) -> dict[str, str]:
        """The attributes for Subscribe."""
        found: dict[str, str] = {}
        if self.filter_policy is not None:
            found["FilterPolicyScope"] = self.filter_policy_scope
            found["FilterPolicy"] = pattern_text(self.filter_policy)
        if self.dead_letter_queue is not None:
            policy = {"deadLetterTargetArn": expanded(self.dead_letter_queue, account)}
            found["RedrivePolicy"] = orjson.dumps(policy).decode()
        return found

    def wrong_dead_letter_queue(self, *, fifo: bool) -> str | None:
        """Why it takes no dead letters of a topic that is FIFO or not, or None."""
        queue = self.dead_letter_queue
        if queue is None or queue.endswith(FIFO_SUFFIX) is fifo:
            return None
        if fifo:
            return "must be a FIFO queue, as its topic is FIFO (AWS)"
        return "must not be a FIFO queue: the messages of a standard topic have no group (AWS)"


class SnsEvent(SubscriptionSettings):
    """A topic that invokes a function. `topic` is its name or ARN; it is made if it is not there."""

    type: Literal["sns"] = "sns"
    topic: Annotated[str, Check(_topic_of_functions)]

    def check_keys_together(self) -> None:
        """A policy that is one, and a queue that takes dead letters of a standard topic."""
        super().check_keys_together()
        problem = self.wrong_dead_letter_queue(fifo=False)
        if problem is not None:
            raise ValueError(f"dead_letter_queue: {problem}")


class TopicSubscription(SubscriptionSettings):
    """One entry of `[[topics.NAME.subscriptions]]`: a queue or an HTTP endpoint.

    Attributes:
        queue: Name of a queue; it is made if it has no table.
        url: `http://` or `https://`; it is asked to confirm.
        raw_message_delivery: The message alone, without its envelope.
    """

    queue: Annotated[str, Pattern(r"^[A-Za-z0-9_-]{1,80}(\.fifo)?$")] | None = None
    url: Annotated[str, Pattern(r"^https?://[^/?#\s]+\S*$")] | None = None
    raw_message_delivery: bool = False

    def check_keys_together(self) -> None:
        """One endpoint, and a policy that is one."""
        super().check_keys_together()
        if (self.queue is None) is (self.url is None):
            raise ValueError("needs one of queue and url")

    def target(self, account: Account) -> tuple[str, str]:
        """Protocol and endpoint."""
        if self.queue is not None:
            return "sqs", expanded(self.queue, account)
        assert self.url is not None
        return self.url.partition(":")[0], self.url

    def attributes(self, account: Account) -> dict[str, str]:
        """The attributes for Subscribe."""
        raw = {"RawMessageDelivery": "true"} if self.raw_message_delivery else {}
        return {**super().attributes(account), **raw}


class TopicSettings(SettingsTable):
    """One topic. A name that ends in `.fifo` makes it a FIFO topic.

    Attributes:
        display_name: For people.
        content_based_deduplication: Of FIFO topics: the content is the deduplication id.
        throughput_scope: Of FIFO topics: whether duplicates are those of the topic, or of a group.
        maximum_message_bytes: Largest message, with its attributes.
        subscriptions: Queues and HTTP endpoints. Functions have event tables of their own.
        tags: Free labels.
    """

    display_name: Annotated[str, Length(most=100)] = ""
    content_based_deduplication: bool = False
    throughput_scope: Literal["Topic", "MessageGroup"] = "Topic"
    maximum_message_bytes: Annotated[int, Bounds(ge=1_024, le=LARGEST_MESSAGE_BYTES)] = MAX_MESSAGE_BYTES
    subscriptions: Array[TopicSubscription] = ()
    tags: dict[str, str] = fresh(dict)

    def attributes(self, name: str) -> dict[str, str]:
        """The attributes for CreateTopic."""
        found: dict[str, str] = {}
        if self.display_name:
            found["DisplayName"] = self.display_name
        if self.maximum_message_bytes != MAX_MESSAGE_BYTES:
            found["MaximumMessageSize"] = str(self.maximum_message_bytes)
        if name.endswith(FIFO_SUFFIX):
            found["FifoTopic"] = "true"
            found["ContentBasedDeduplication"] = "true" if self.content_based_deduplication else "false"
            found["FifoThroughputScope"] = self.throughput_scope
        return found


def topic_problems(tables: Mapping[str, TopicSettings]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong with names and tables together: keys below `topics`, and the end of a sentence."""
    for name, settings in tables.items():
        fifo = name.endswith(FIFO_SUFFIX)
        if TOPIC_NAME.fullmatch(name) is None and FIFO_NAME.fullmatch(name) is None:
            yield (name,), f"the name of a topic {TOPIC_NAME_RULE} (AWS)"
        for key in ("content_based_deduplication", "throughput_scope"):
            if key in settings.model_fields_set and not fifo:
                yield (name, key), "is for FIFO topics, whose names end in .fifo"
        known: set[str | None] = set()
        for number, one in enumerate(settings.subscriptions):
            place = (name, "subscriptions", number)
            if (one.queue or one.url) in known:
                yield place, "is there already: an endpoint subscribes to a topic once (AWS)"
            known.add(one.queue or one.url)
            problem = one.wrong_dead_letter_queue(fifo=fifo)
            if problem is not None:
                yield (*place, "dead_letter_queue"), problem
            if one.url is not None and fifo:
                yield (*place, "url"), "a FIFO topic delivers to queues only (AWS)"
            elif one.queue is not None and one.queue.endswith(FIFO_SUFFIX) and not fifo:
                yield (*place, "queue"), "a FIFO queue cannot subscribe to a standard topic (AWS)"
