"""The settings of a queue: `[queues.NAME]` in engine.toml.

Source of the bounds: SQS API reference, "CreateQueue"; SQS Developer Guide, "message quotas".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Final, Literal

import orjson

from engine.core.table import SettingsTable, fresh
from engine.core.table_rules import Bounds
from engine.services.sqs.limits import (
    DEFAULT_RETENTION_S,
    DEFAULT_VISIBILITY_S,
    MAX_DELAY_S,
    MAX_MESSAGE_BYTES,
    MAX_VISIBILITY_S,
    MAX_WAIT_S,
)

QUEUE_NAME: Final = re.compile(r"(?=.{1,80}\Z)[A-Za-z0-9_-]+(\.fifo)?", re.ASCII)
QUEUE_NAME_RULE: Final = (
    "must be 1 to 80 of the characters a-z A-Z 0-9 - _, and end in .fifo for a FIFO queue (AWS)"
)
FIFO_SUFFIX: Final = ".fifo"
MAX_OF_ONE_RECEIVE: Final = 10
"""Messages of one ReceiveMessage."""


class RedriveSettings(SettingsTable):
    """`redrive = { dead_letter_queue = "orders-dlq", max_receive_count = 3 }`.

    Attributes:
        dead_letter_queue: A queue of the same kind; it is made if it has no table of its own.
        max_receive_count: Receives after which the next one moves the message there.
    """

    dead_letter_queue: str
    max_receive_count: Annotated[int, Bounds(ge=1, le=1000)]


class QueueSettings(SettingsTable):
    """One queue. A name that ends in `.fifo` makes it a FIFO queue.

    Attributes:
        visibility_timeout_s: How long a received message is hidden.
        delay_s: How long a new message is hidden.
        retention_s: How long a message is kept.
        receive_wait_s: How long a receive waits by default.
        maximum_message_bytes: Body and attributes of one message.
        redrive: Where messages go that were received too often.
        content_based_deduplication, deduplication_scope, throughput_limit: Of FIFO queues.
        tags: Free labels.
    """

    visibility_timeout_s: Annotated[int, Bounds(ge=0, le=MAX_VISIBILITY_S)] = DEFAULT_VISIBILITY_S
    delay_s: Annotated[int, Bounds(ge=0, le=MAX_DELAY_S)] = 0
    retention_s: Annotated[int, Bounds(ge=60, le=1_209_600)] = DEFAULT_RETENTION_S
    receive_wait_s: Annotated[int, Bounds(ge=0, le=MAX_WAIT_S)] = 0
    maximum_message_bytes: Annotated[int, Bounds(ge=1_024, le=MAX_MESSAGE_BYTES)] = MAX_MESSAGE_BYTES
    redrive: RedriveSettings | None = None
    content_based_deduplication: bool = False
    deduplication_scope: Literal["queue", "messageGroup"] = "queue"
    throughput_limit: Literal["perQueue", "perMessageGroupId"] = "perQueue"
    tags: dict[str, str] = fresh(dict)

    def attributes(self, name: str, arn: Callable[[str], str]) -> dict[str, str]:
        """The attributes for CreateQueue of the queue `name`; `arn` returns the ARN of a queue's name."""
        attributes = {
            "VisibilityTimeout": str(self.visibility_timeout_s),
            "DelaySeconds": str(self.delay_s),
            "MessageRetentionPeriod": str(self.retention_s),
            "ReceiveMessageWaitTimeSeconds": str(self.receive_wait_s),
            "MaximumMessageSize": str(self.maximum_message_bytes),
        }
        if name.endswith(FIFO_SUFFIX):
            attributes["FifoQueue"] = "true"
            attributes["ContentBasedDeduplication"] = "true" if self.content_based_deduplication else "false"
            attributes["DeduplicationScope"] = self.deduplication_scope
            attributes["FifoThroughputLimit"] = self.throughput_limit
        if self.redrive is not None:
            target = arn(self.redrive.dead_letter_queue)
            policy = {"deadLetterTargetArn": target, "maxReceiveCount": self.redrive.max_receive_count}
            attributes["RedrivePolicy"] = orjson.dumps(policy).decode()
        return attributes


def queue_problems(tables: Mapping[str, QueueSettings]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Problems between tables that are valid one by one: keys below `queues`, and the end of a sentence."""
    for name, settings in tables.items():
        fifo = name.endswith(FIFO_SUFFIX)
        if QUEUE_NAME.fullmatch(name) is None:
            yield (name,), f"the name {QUEUE_NAME_RULE}"
        for key in ("content_based_deduplication", "deduplication_scope", "throughput_limit"):
            if key in settings.model_fields_set and not fifo:
                yield (name, key), "is for FIFO queues, whose names end in .fifo"
        if settings.throughput_limit == "perMessageGroupId" and settings.deduplication_scope == "queue":
            yield (name, "throughput_limit"), 'perMessageGroupId needs deduplication_scope = "messageGroup"'
        if settings.redrive is not None:
            target = settings.redrive.dead_letter_queue
            place = (name, "redrive", "dead_letter_queue")
            if QUEUE_NAME.fullmatch(target) is None:
                yield place, f"the name {QUEUE_NAME_RULE}"
            elif target.endswith(FIFO_SUFFIX) != fifo:
                yield place, f"{target!r} must be a {'FIFO' if fifo else 'standard'} queue, as its source is"
            elif target == name:
                yield place, "a queue cannot be its own dead-letter queue"


def with_targets(tables: Mapping[str, QueueSettings]) -> dict[str, QueueSettings]:
    """The tables, and one of defaults for each dead-letter queue that has none."""
    targets = [table.redrive.dead_letter_queue for table in tables.values() if table.redrive is not None]
    return {**{name: QueueSettings() for name in targets}, **tables}
