"""One message of a queue, its states, and the queue it came from.

Theory of operation. A message is in exactly one state, and `MessageStore` counts the messages of each. Only
three things move a message: a call for it (receive, delete, change of visibility, move), its timer, and the
end of the retention period. A message has at most one timer: while it is DELAYED the timer ends the delay,
while it is IN_FLIGHT the timer ends the visibility timeout; a VISIBLE message has none. Whoever looks at the
queue first lets the timers run out that are due (`tick`), so that a state read afterwards is up to date.

| from      | to        | when                                                                            |
|-----------|-----------|---------------------------------------------------------------------------------|
| (new)     | VISIBLE   | sent without delay; accepted as a dead letter or by a move task                 |
| (new)     | DELAYED   | sent with a delay                                                               |
| DELAYED   | VISIBLE   | the delay is over                                                               |
| DELAYED   | GONE      | the retention period is over; the queue is purged or deleted                    |
| VISIBLE   | IN_FLIGHT | received                                                                        |
| VISIBLE   | GONE      | deleted by an old receipt (standard), taken by a move task, retention, purge    |
| IN_FLIGHT | VISIBLE   | the visibility timeout is over or set to 0; the visibility timeout was 0        |
| IN_FLIGHT | GONE      | deleted, moved to the dead-letter queue, taken by a move task, retention, purge |

GONE is final: a message that enters another queue, or comes back, is another object (`Message.copy`), because
indexes keep references to messages that have left and pass over those that are GONE. That a receive finds a
message too often received moves it from VISIBLE through IN_FLIGHT to GONE within the one call.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Final, NamedTuple

from engine.core.late_dataclass import dataclass


class MessageState(Enum):
    """Where a message is in its life. The names below are for the hot path, which compares by `is`."""

    DELAYED = "delayed"
    VISIBLE = "visible"
    IN_FLIGHT = "in flight"
    GONE = "gone"


DELAYED: Final = MessageState.DELAYED
VISIBLE: Final = MessageState.VISIBLE
IN_FLIGHT: Final = MessageState.IN_FLIGHT
GONE: Final = MessageState.GONE

FIRST_SEQUENCE_NUMBER: Final = 18_849_496_460_467_696_128  # 20 digits, as AWS's are


class Attribute(NamedTuple):
    """One message attribute: `String`, `Number` or `Binary`, with an optional `.label`."""

    data_type: str
    value: str | bytes


class Origin(NamedTuple):
    """How a message came into a dead-letter queue: from which queue, and with how many receives."""

    arn: str
    receives: int


@dataclass(slots=True, eq=False, repr=False)
class Message:
    """What a queue holds; small, because there may be a million.

    Attributes:
        id: Text of a UUID.
        body: As sent.
        sent_s: Queue clock; a dead-letter queue keeps the first one.
        seq: Rises with each message of the queue: its order.
        group: `MessageGroupId`: the tenant of a fair queue, the group of a FIFO queue.
        dedup_id: `MessageDeduplicationId` of a FIFO queue, given or computed.
        attributes: By name; None for none.
        trace: `AWSTraceHeader`.
        state: DELAYED, VISIBLE, IN_FLIGHT or GONE.
        receives: How often it was received, in all queues.
        receipt: Number of the last receive; 0 before the first.
        timer: Number of the timer that ends its delay or its invisibility; 0 for none.
        received_s: Queue clock of the last receive.
        first_received_s: The same of the first one; None before.
        origin: Set in a dead-letter queue.
    """

    id: str
    body: str
    sent_s: float
    seq: int
    group: str | None = None
    dedup_id: str | None = None
    attributes: dict[str, Attribute] | None = None
    trace: str | None = None
    state: MessageState = VISIBLE
    receives: int = 0
    receipt: int = 0
    timer: int = 0
    received_s: float = 0.0
    first_received_s: float | None = None
    origin: Origin | None = None

    @property
    def sequence_number(self) -> str:
        """`SequenceNumber`: 20 digits."""
        return str(FIRST_SEQUENCE_NUMBER + self.seq)

    def copy(self, seq: int) -> Message:
        """The same content and history as another object; this one becomes GONE."""
        return replace(self, seq=seq, state=VISIBLE, timer=0)

    def __repr__(self) -> str:
        return f"<Message {self.id} {self.state.value} seq={self.seq} receives={self.receives}>"
