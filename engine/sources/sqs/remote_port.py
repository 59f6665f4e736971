"""What a queue elsewhere must do for a mapping, and the record of a message as it gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from engine.errors import EngineError
from engine.services.sqs.message import Attribute
from engine.sources.sqs.records import Record, message_attributes

LONGEST_WAIT_S: Final = 20
"""Seconds one receive may wait."""
RemoteMessage = dict[str, Any]
"""A message in the members of the SQS API."""


class RemoteError(EngineError):
    """The queue cannot be reached, or rejected a request."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class RemoteQueue(Protocol):
    """A queue at another server. Every method may raise `RemoteError`."""

    arn: str
    visibility_s: float

    async def receive(
        self, max_count: int, wait_s: int, visibility_s: float | None, /
    ) -> list[RemoteMessage]:
        """Up to `max_count` messages (1 to 10), waiting for the first up to `wait_s` (0 to 20)."""

    async def delete(self, handles: Sequence[str], /) -> None:
        """Delete messages by their receipt handles."""

    async def hide(self, handles: Sequence[str], visibility_s: float, /) -> None:
        """Hide messages for `visibility_s` from now on; 0 makes them visible at once."""


def record_of(message: RemoteMessage, arn: str, *, windowed: bool) -> Record:
    """The record of a message as handlers get it; `arn` is the queue's. See `Records` for `windowed`."""
    attributes = {
        name: Attribute(value["DataType"], value.get("StringValue", value.get("BinaryValue", "")))
        for name, value in message.get("MessageAttributes", {}).items()
    }
    record: Record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": message_attributes(attributes),
    }
    if attributes or windowed:
        record["md5OfMessageAttributes"] = message.get("MD5OfMessageAttributes")
    record["md5OfBody"] = message["MD5OfBody"]
    record["eventSource"] = "aws:sqs"
    record["eventSourceARN"] = arn
    record["awsRegion"] = arn.split(":")[3]
    return record
