"""The event of a batch: one record for each message, as Lambda gives them to handlers.

Source: Lambda Developer Guide, "Using Lambda with Amazon SQS"; recorded events.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.services.sqs.digests import md5_of_attributes
from engine.services.sqs.message import Attribute, Message

EMPTY_BYTES: Final = len(b'{"Records":[]}')
"""What stands around the records."""

Record = dict[str, Any]

_new_md5: Final = hashlib.md5
_RECORD_BYTES: Final = 2_048
"""More than all of a record but its body and its attributes takes as JSON text."""
_MAX_PER_CHARACTER: Final = 6
"""Bytes of JSON text one character may take: escaped, or as UTF-8."""


class Records:
    """Makes the records of one queue's messages.

    Args:
        arn: Of the queue.
        handle: Makes the receipt handle of a receipt.
        epoch_ms: Turns the queue clock, seconds, into milliseconds since the Unix epoch.
        sender_id: The same for all messages: callers are not authenticated.
        windowed: The mapping has a batching window: then a message without attributes has a digest of
            them, null, as recorded.
    """

    __slots__ = ("_arn", "_epoch_ms", "_handle", "_region", "_sender_id", "_windowed")

    def __init__(
        self,
        arn: str,
        handle: Callable[[int], str],
        epoch_ms: Callable[[float], int],
        sender_id: str,
        *,
        windowed: bool,
    ) -> None:
        self._arn = arn
        self._region = arn.split(":")[3]
        self._handle = handle
        self._epoch_ms = epoch_ms
        self._sender_id = sender_id
        self._windowed = windowed

    def make(self, messages: Sequence[Message], now_s: float) -> list[Record]:
        """The records of `messages`, which were received at `now_s`."""
        arn, region, handle, sender_id = self._arn, self._region, self._handle, self._sender_id
        windowed, epoch_ms = self._windowed, self._epoch_ms
        now_ms = str(epoch_ms(now_s))
        records = []
        for message in messages:
            first_s = message.first_received_s
            first_ms = now_ms if first_s == now_s or first_s is None else str(epoch_ms(first_s))
            attributes = {
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(epoch_ms(message.sent_s)),
            }
            if message.group is None and message.trace is None and message.origin is None:
                attributes["SenderId"] = sender_id
                attributes["ApproximateFirstReceiveTimestamp"] = first_ms
            else:
                _add_rare(attributes, message, sender_id, first_ms)
            body = message.body
            record: Record = {
                "messageId": message.id,
                "receiptHandle": handle(message.receipt),
                "body": body,
                "attributes": attributes,
                "messageAttributes": {},
            }
            if message.attributes:
                record["messageAttributes"] = message_attributes(message.attributes)
                record["md5OfMessageAttributes"] = md5_of_attributes(message.attributes)
            elif windowed:
                record["md5OfMessageAttributes"] = None
            record["md5OfBody"] = _new_md5(body.encode(), usedforsecurity=False).hexdigest()
            record["eventSource"] = "aws:sqs"
            record["eventSourceARN"] = arn
            record["awsRegion"] = region
            records.append(record)
        return records

    def one(self, message: Message, now_s: float) -> Record:
        """The record of a single message."""
        return self.make((message,), now_s)[0]


def _add_rare(attributes: dict[str, str], message: Message, sender_id: str, first_ms: str) -> None:
    """Add the attributes that few messages have, in AWS's order."""
    if message.dedup_id:
        attributes["SequenceNumber"] = message.sequence_number
    if message.group is not None:
        attributes["MessageGroupId"] = message.group
    attributes["SenderId"] = sender_id
    if message.dedup_id:
        attributes["MessageDeduplicationId"] = message.dedup_id
    attributes["ApproximateFirstReceiveTimestamp"] = first_ms
    if message.trace is not None:
        attributes["AWSTraceHeader"] = message.trace
    if message.origin is not None:
        attributes["DeadLetterQueueSourceArn"] = message.origin.arn


def message_attributes(attributes: Mapping[str, Attribute]) -> dict[str, Any]:
    """The member `messageAttributes`: bytes are base64, and the list members are always empty."""
    found = {}
    for name, (data_type, value) in attributes.items():
        record: dict[str, Any] = {}
        if isinstance(value, bytes):
            record["binaryValue"] = base64.b64encode(value).decode()
        else:
            record["stringValue"] = value
        record["stringListValues"] = []
        record["binaryListValues"] = []
        record["dataType"] = data_type
        found[name] = record
    return found


def max_size_of(message: Message) -> int:
    """Upper bound, in bytes, of the record of `message` as JSON text: quick to compute, and generous."""
    size = _RECORD_BYTES + _MAX_PER_CHARACTER * len(message.body)
    if message.attributes:
        size += sum(
            256 + _MAX_PER_CHARACTER * (len(name) + len(data_type) + len(value))
            for name, (data_type, value) in message.attributes.items()
        )
    return size


def size_of(records: Iterable[Record]) -> int:
    """Bytes of an event with these records, as JSON text."""
    return EMPTY_BYTES + sum(map(_bytes_of, records))


def fitting(records: Sequence[Record]) -> int:
    """How many of the first records fit into one payload; at least one."""
    size = EMPTY_BYTES
    for count, record in enumerate(records):
        size += _bytes_of(record)
        if size > MAX_EVENT_BYTES and count:
            return count
    return len(records)


def _bytes_of(record: Record) -> int:
    """Bytes of a record as JSON text, with the comma after it."""
    return len(orjson.dumps(record)) + 1
