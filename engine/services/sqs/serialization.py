"""How a message is shown to a client: which of its attributes, and in which words.

Source: SQS API reference, "ReceiveMessage".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from engine.ports import Clock
from engine.services.sqs.digests import md5_of_attributes, md5_of_body
from engine.services.sqs.message import Attribute, Message

_STEP_S: Final = 1.0
_EVERYTHING: Final = frozenset({"All", ".*", "*"})


class Epoch:
    """Turns the queue clock, which knows no dates, into Unix time.

    A wall clock that was set, or a machine that slept, is followed: ages stay right, dates move.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s = clock.wall() - clock.now()

    def ms(self, at_s: float) -> int:
        """Milliseconds since the Unix epoch."""
        offset_s = self._clock.wall() - self._clock.now()
        if abs(offset_s - self._offset_s) > _STEP_S:
            self._offset_s = offset_s
        return round((at_s + self._offset_s) * 1000)

    def text_s(self, at_s: float) -> str:
        """Whole seconds since the Unix epoch, as text."""
        return str(self.ms(at_s) // 1000)


class SystemAttributes:
    """The `Attributes` of a received message: all values are text, absent ones are left out."""

    def __init__(self, epoch: Epoch, sender_id: str) -> None:
        """`sender_id` is the same for all messages: callers are not authenticated."""
        self._epoch = epoch
        self._readers: Mapping[str, Callable[[Message], str | None]] = {
            "SenderId": lambda _: sender_id,
            "SentTimestamp": lambda message: str(epoch.ms(message.sent_s)),
            "ApproximateReceiveCount": lambda message: str(message.receives),
            "ApproximateFirstReceiveTimestamp": self._first_received,
            "SequenceNumber": lambda message: message.sequence_number if message.dedup_id else None,
            "MessageDeduplicationId": lambda message: message.dedup_id,
            "MessageGroupId": lambda message: message.group,
            "AWSTraceHeader": lambda message: message.trace,
            "DeadLetterQueueSourceArn": lambda message: message.origin.arn if message.origin else None,
        }

    def all(self, message: Message) -> dict[str, str]:
        """All system attributes that the message has."""
        return self.some(message, list(self._readers))

    def some(self, message: Message, names: Sequence[str]) -> dict[str, str]:
        """The system attributes of these names; `All` stands for all."""
        if "All" in names:
            return self.all(message)
        found = {}
        for name in names:
            show = self._readers.get(name)
            value = show(message) if show is not None else None
            if value is not None:
                found[name] = value
        return found

    def _first_received(self, message: Message) -> str | None:
        at_s = message.first_received_s
        return str(self._epoch.ms(at_s)) if at_s is not None else None


def chosen(attributes: Mapping[str, Attribute], names: Sequence[str]) -> dict[str, Attribute]:
    """The message attributes that `MessageAttributeNames` asks for."""
    if not _EVERYTHING.isdisjoint(names):
        return dict(attributes)
    prefixes = tuple(name[:-2] for name in names if name.endswith(".*"))
    return {
        name: value
        for name, value in attributes.items()
        if name in names or (prefixes and name.startswith(prefixes))
    }


def attribute_json(attribute: Attribute) -> dict[str, str]:
    """The attribute as in the API's model; bytes are base64."""
    value = attribute.value
    if isinstance(value, bytes):
        return {"BinaryValue": base64.b64encode(value).decode(), "DataType": attribute.data_type}
    return {"StringValue": value, "DataType": attribute.data_type}


def message_json(
    message: Message,
    handle: str,
    system: SystemAttributes,
    system_names: Sequence[str],
    attribute_names: Sequence[str],
) -> dict[str, Any]:
    """One member of `Messages` in the answer of ReceiveMessage."""
    document: dict[str, Any] = {
        "MessageId": message.id,
        "ReceiptHandle": handle,
        "MD5OfBody": md5_of_body(message.body),
        "Body": message.body,
    }
    if system_names:
        document["Attributes"] = system.some(message, system_names)
    if attribute_names and message.attributes is not None:
        attributes = chosen(message.attributes, attribute_names)
        if attributes:
            document["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
            document["MessageAttributes"] = {
                name: attribute_json(value) for name, value in attributes.items()
            }
    return document
