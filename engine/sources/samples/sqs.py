"""Samples of batches of a queue, made by what makes the records of real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from engine.core.late_dataclass import dataclass
from engine.services.sqs.message import Attribute, Message
from engine.services.sqs.receipt_handles import ReceiptHandles
from engine.sources.samples.common import ACCOUNT, EPOCH_S, MOST_RECORDS, SampleIds, text_of
from engine.sources.sqs.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsMessage:
    """One message of a batch.

    Attributes:
        body: Text as it is; any other value as JSON.
        attributes: Message attributes by name: text is a `String`, a number a `Number`, bytes a `Binary`.
        message_id: Text of a UUID; None for one made of its position.
        group_id: `MessageGroupId`.
        deduplication_id: `MessageDeduplicationId`, FIFO only; None for the digest of the body.
        receive_count: How often it has been received, this time included.
        sent_s: When it was sent, seconds since the Unix epoch; None: when the batch came.
    """

    body: Any
    attributes: Mapping[str, str | int | float | bytes] = field(default_factory=dict)
    message_id: str | None = None
    group_id: str | None = None
    deduplication_id: str | None = None
    receive_count: int = 1
    sent_s: float | None = None


def sqs(
    *messages: Any, queue: str = "queue", at_s: float = EPOCH_S, salt: str = "", number: int = 0
) -> dict[str, Any]:
    """A batch of messages of a queue.

    Args:
        messages: `SqsMessage`, or only the body: text as it is, any other value as JSON.
        queue: Its name; one that ends in `.fifo` is a FIFO queue.
        at_s: When they were received.
        salt: Makes the ids others than those of another salt.
        number: Of the batch: messages of a higher one have higher sequence numbers, FIFO.

    Raises:
        ValueError: A message of a FIFO queue has no `group_id`.
    """
    ids = SampleIds(salt)
    arn = f"arn:aws:sqs:{ACCOUNT.region}:{ACCOUNT.account_id}:{queue}"
    handle = ReceiptHandles(ids("queue", queue)).encode
    records = Records(arn, handle, lambda at: int(at * 1000), ACCOUNT.account_id, windowed=False)
    given = [one if isinstance(one, SqsMessage) else SqsMessage(body=one) for one in messages]
    batch = [_message(one, queue, place, number, at_s, ids) for place, one in enumerate(given, start=1)]
    return {"Records": records.make(batch, at_s)}


def _message(given: SqsMessage, queue: str, place: int, number: int, at_s: float, ids: SampleIds) -> Message:
    body, dedup_id = text_of(given.body), given.deduplication_id
    if queue.endswith(".fifo"):
        if given.group_id is None:
            raise ValueError(f"a message of the FIFO queue {queue} needs a group_id")
        dedup_id = dedup_id or hashlib.sha256(body.encode()).hexdigest()
    message = Message(
        given.message_id or ids("message", queue, place),
        body,
        at_s if given.sent_s is None else given.sent_s,
        number * MOST_RECORDS + place,
        given.group_id,
        dedup_id,
        {name: _attribute(value) for name, value in given.attributes.items()} or None,
    )
    message.receives, message.receipt, message.first_received_s = given.receive_count, place, at_s
    return message


def _attribute(value: str | float | bytes) -> Attribute:
    if isinstance(value, bytes):
        return Attribute("Binary", value)
    return Attribute("String" if isinstance(value, str) else "Number", str(value))
