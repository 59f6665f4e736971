"""Publish and PublishBatch.

Source: SNS API reference, "Publish", "PublishBatch"; recorded answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import Document, operation
from engine.services.sns.errors import invalid, sns_error, unserved
from engine.services.sns.message import PublishedMessage, read_message, topic_arn_of
from engine.services.sns.publisher import Publisher
from engine.services.sns.topic import Topic
from engine.services.sns.topics import Topics

Params = Mapping[str, Any]
_MAX_ENTRIES: Final = 10
_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_TEXTS: Final[Mapping[str, str]] = {
    "EmptyBatchRequest": "The batch request doesn't contain any entries.",
    "TooManyEntriesInBatchRequest": "The batch request contains more entries than permissible.",
    "BatchEntryIdsNotDistinct": "Two or more batch entries in the request have the same Id.",
    "BatchRequestTooLong": "The length of all the messages put together is more than the limit.",
    "InvalidBatchEntryId": "The Id of a batch entry in a batch request doesn't abide by the specification.",
}


class Publishing:
    """The operations, on one engine's topics."""

    def __init__(self, topics: Topics, publisher: Publisher, new_id: Callable[[], str]) -> None:
        self._topics = topics
        self._publisher = publisher
        self._new_id = new_id

    @operation("Publish", writes=True)
    def publish(self, params: Params, trace: str | None) -> Document:
        """Deliver one message to the subscribers of a topic."""
        if params.get("PhoneNumber"):
            raise unserved("Publishing to a phone number")
        topic = self._topics.topic(topic_arn_of(params))
        message, size = self._read(topic, params, trace)
        if size > topic.max_message_bytes:
            raise invalid("Message too long")
        return self._accepted(topic, message)

    @operation("PublishBatch", writes=True)
    def publish_batch(self, params: Params, trace: str | None) -> Document:
        """Deliver up to 10 messages: all of them, or none if one is refused."""
        topic = self._topics.topic(params["TopicArn"])
        entries = params["PublishBatchRequestEntries"]
        _check_entries(entries)
        read = [self._read(topic, entry, trace) for entry in entries]
        if sum(size for _, size in read) > topic.max_message_bytes:
            raise _batch_error("BatchRequestTooLong")
        successful = [
            {"Id": entry["Id"], **self._accepted(topic, message)}
            for entry, (message, _) in zip(entries, read, strict=True)
        ]
        return {"Successful": successful, "Failed": []}

    def _read(self, topic: Topic, params: Params, trace: str | None) -> tuple[PublishedMessage, int]:
        return read_message(
            params, self._new_id(), trace, fifo=topic.fifo, has_content_ids=topic.has_content_ids
        )

    def _accepted(self, topic: Topic, message: PublishedMessage) -> Document:
        accepted = self._publisher.publish(topic, message)
        answer = {"MessageId": accepted.message_id}
        if accepted.sequence_number is not None:
            answer["SequenceNumber"] = accepted.sequence_number
        return answer


def _check_entries(entries: list[dict[str, Any]]) -> None:
    if not entries:
        raise _batch_error("EmptyBatchRequest")
    if len(entries) > _MAX_ENTRIES:
        raise _batch_error("TooManyEntriesInBatchRequest")
    ids = [entry.get("Id") or "" for entry in entries]
    if any(_ENTRY_ID.fullmatch(one) is None for one in ids):
        raise _batch_error("InvalidBatchEntryId")
    if len(set(ids)) != len(ids):
        raise _batch_error("BatchEntryIdsNotDistinct")


def _batch_error(code: str) -> ServiceError:
    return sns_error(f"{code}Exception", _TEXTS[code])
