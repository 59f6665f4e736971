"""One message of a queue, and where it came from."""

from __future__ import annotations

from typing import Final, NamedTuple

DELAYED: Final = 0
VISIBLE: Final = 1
IN_FLIGHT: Final = 2
GONE: Final = 3
"""States. A message that is GONE may still be met in an index; whoever meets it passes over it."""

FIRST_SEQUENCE_NUMBER: Final = 18_849_496_460_467_696_128  # 20 digits, as AWS's are


class Attribute(NamedTuple):
    """One message attribute: `String`, `Number` or `Binary`, with an optional `.label`."""

    data_type: str
    value: str | bytes


class Origin(NamedTuple):
    """How a message came into a dead-letter queue: from which queue, and with how many receives."""

    arn: str
    receives: int


class Message:
    """What a queue holds; small, because there may be a million.

    Attributes:
        id: Text of a UUID.
        body: As sent.
        sent_s: Queue clock; a dead-letter queue keeps the first one.
        seq: Rises with each message of the queue: its order.
        state: DELAYED, VISIBLE, IN_FLIGHT or GONE.
        receives: How often it was received, in all queues.
        receipt: Number of the last receive; 0 before the first.
        timer: Number of the timer that ends its delay or its invisibility; 0 for none.
        received_s: Queue clock of the last receive.
        first_received_s: The same of the first one; None before.
        group: `MessageGroupId`: the tenant of a fair queue, the group of a FIFO queue.
        dedup_id: `MessageDeduplicationId` of a FIFO queue, given or computed.
        attributes: By name; None for none.
        trace: `AWSTraceHeader`.
        origin: Set in a dead-letter queue.
    """

    __slots__ = (
        "attributes",
        "body",
        "dedup_id",
        "first_received_s",
        "group",
        "id",
        "origin",
        "receipt",
        "received_s",
        "receives",
        "sent_s",
        "seq",
        "state",
        "timer",
        "trace",
    )

    def __init__(
        self,
        message_id: str,
        body: str,
        sent_s: float,
        seq: int,
        group: str | None = None,
        dedup_id: str | None = None,
        attributes: dict[str, Attribute] | None = None,
        trace: str | None = None,
    ) -> None:
        self.id = message_id
        self.body = body
        self.sent_s = sent_s
        self.seq = seq
        self.state = VISIBLE
        self.receives = self.receipt = self.timer = 0
        self.received_s = 0.0
        self.first_received_s: float | None = None
        self.group = group
        self.dedup_id = dedup_id
        self.attributes = attributes
        self.trace = trace
        self.origin: Origin | None = None

    @property
    def sequence_number(self) -> str:
        """`SequenceNumber`: 20 digits."""
        return str(FIRST_SEQUENCE_NUMBER + self.seq)

    def copy(self, seq: int) -> Message:
        """The same content and history as another object: this one is to be GONE."""
        other = Message(
            self.id, self.body, self.sent_s, seq, self.group, self.dedup_id, self.attributes, self.trace
        )
        other.receives, other.first_received_s = self.receives, self.first_received_s
        other.receipt, other.received_s, other.origin = self.receipt, self.received_s, self.origin
        return other

    def __repr__(self) -> str:
        state = ("delayed", "visible", "in flight", "gone")[self.state]
        return f"<Message {self.id} {state} seq={self.seq} receives={self.receives}>"
