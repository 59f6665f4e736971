"""One batch: messages, receipts and records, which correspond by position."""

from __future__ import annotations

from collections.abc import Callable

from engine.core.outcome import Outcome
from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.services.sqs.message import Message
from engine.services.sqs.queue import Queue
from engine.sources.sqs.records import (
    EMPTY_BYTES,
    Record,
    fitting,
    max_size_of,
    size_of,
)


class Batch:
    """The messages of one invocation. It is the invocation's reply: called with the outcome.

    Attributes:
        queue: Where its messages are in flight.
        messages, receipts, records: Its content; a receipt is that of the receive that brought it here.
        until_s: Queue clock when its first messages are visible again: until then it may be tried.
        due_s: When it is to be sent though it is not full.
        size: Bytes of it as JSON text, at most.
        refusals: How often it was throttled.
        began_s: When it was sent.
        reply: Told of its outcome; set when it is sent.
        rest: What did not fit into one payload: sent when this has ended.
    """

    __slots__ = (
        "began_s",
        "due_s",
        "messages",
        "queue",
        "receipts",
        "records",
        "refusals",
        "reply",
        "rest",
        "size",
        "until_s",
    )

    reply: Callable[[Batch, Outcome], None]

    def __init__(
        self,
        queue: Queue,
        messages: list[Message],
        receipts: list[int],
        records: list[Record],
        until_s: float,
    ) -> None:
        self.queue = queue
        self.messages = messages
        self.receipts = receipts
        self.records = records
        self.until_s = until_s
        self.due_s = 0.0
        self.size = EMPTY_BYTES + sum(map(max_size_of, messages))
        self.refusals = 0
        self.began_s = 0.0
        self.rest: Batch | None = None

    def __call__(self, outcome: Outcome) -> None:
        """Pass the outcome of the invocation on to the delivery."""
        self.reply(self, outcome)

    def __len__(self) -> int:
        return len(self.messages)

    def add(self, other: Batch) -> None:
        """Add the messages of another batch."""
        self.messages += other.messages
        self.receipts += other.receipts
        self.records += other.records
        self.size += other.size - EMPTY_BYTES

    def too_large(self) -> bool:
        """Whether its records exceed one payload."""
        if self.size > MAX_EVENT_BYTES:
            self.size = size_of(self.records)
        return self.size > MAX_EVENT_BYTES

    def cut(self) -> Batch | None:
        """Keep what fits into one payload; the others, or None, are a batch of their own.

        A single message always fits: it is far smaller than a payload may be.
        """
        if not self.too_large():
            return None
        count = fitting(self.records)
        rest = Batch(
            self.queue, self.messages[count:], self.receipts[count:], self.records[count:], self.until_s
        )
        self._keep(range(count))
        self.size = size_of(self.records)
        return rest

    def drop(self, places: set[int]) -> None:
        """Remove the messages at these positions."""
        self._keep([place for place in range(len(self.messages)) if place not in places])

    def _keep(self, places: list[int] | range) -> None:
        self.messages = [self.messages[place] for place in places]
        self.receipts = [self.receipts[place] for place in places]
        self.records = [self.records[place] for place in places]
