"""The messages of a queue by state: visible, in flight, delayed; and what time alone makes of them.

Source: SQS Developer Guide, "Amazon SQS visibility timeout", "delay queues", "message quotas".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from engine.services.sqs.delivery_order import FairDeliveryOrder, FifoDeliveryOrder
from engine.services.sqs.indexes import Ages, PurgedMessages, Timers
from engine.services.sqs.message import DELAYED, GONE, IN_FLIGHT, VISIBLE, Message
from engine.services.sqs.queue_attributes import QueueAttributes

MAX_AT_ONCE: Final = 5_000
"""Changes that one `tick` makes of each kind: 10 to 20 ms of a core. What is left is due at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    """Counts of one queue, `receipts` of the receipt handles that are known.

    `oldest_s` is when the oldest message was sent; None if there is none.
    """

    visible: int
    in_flight: int
    delayed: int
    receipts: int
    oldest_s: float | None


class MessageStore:
    """Every message is in one state, and in the indexes of that state; each step is O(log n) or better.

    Attributes:
        policy: What the queue is set to.
        visible, in_flight, delayed: Numbers of messages, up to date after `tick`.
    """

    __slots__ = (
        "_ages",
        "_order",
        "_receipts",
        "_seq",
        "_timers",
        "_tokens",
        "delayed",
        "in_flight",
        "policy",
        "visible",
    )

    def __init__(self, policy: QueueAttributes) -> None:
        self.policy = policy
        self._seq = self._tokens = 0  # never used twice: numbers of messages, of receipts and timers
        self._order = _empty_order(policy)
        self._timers, self._ages = Timers(), Ages()
        self._receipts: dict[int, Message] = {}
        self.visible = self.in_flight = self.delayed = 0

    def messages(self) -> list[Message]:
        """All that are there, in whatever state. O(n)."""
        return self._ages.messages()

    def clear(self) -> PurgedMessages:
        """Remove all messages, in whatever state, and return them to be freed."""
        purged = PurgedMessages(self._ages, self._timers)
        self._order = _empty_order(self.policy)
        self._timers, self._ages = Timers(), Ages()
        self._receipts = {}
        self.visible = self.in_flight = self.delayed = 0
        return purged

    # --- time

    def tick(self, now_s: float) -> None:
        """Let delays, timeouts and retention run out. Calls before other methods cost next to nothing.

        Where more than `MAX_AT_ONCE` run out together, the rest is left to the calls that `_more_is_due`
        asks for: the numbers of a queue are approximate, as on AWS, and nobody waits for them.
        """
        timers, has_changed = self._timers, False
        due_s = timers.next_due_s()
        if due_s is not None and due_s <= now_s:
            has_changed = True
            for message in islice(timers.due(now_s), MAX_AT_ONCE):
                if message.state is DELAYED:
                    self.delayed -= 1
                    self.visible += 1
                    message.state = VISIBLE
                    self._order.put(message)
                else:
                    self._return(message)
        until_s = now_s - self.policy.retention_s
        oldest_s = self._ages.oldest_s()
        if oldest_s is not None and oldest_s <= until_s:
            has_changed = True
            for message in islice(self._ages.sent_until(until_s), MAX_AT_ONCE):
                self._remove(message)
        if has_changed:
            due_s = self.next_due_s()
            if due_s is not None and due_s <= now_s:
                self._more_is_due(now_s)

    def _more_is_due(self, now_s: float) -> None:
        """Arrange that `tick` is called again soon. Does nothing here; `Queue` overrides it."""

    def next_due_s(self) -> float | None:
        """When the next timer or retention period ends; None if none does."""
        due_s, oldest_s = self._timers.next_due_s(), self._ages.oldest_s()
        if oldest_s is None:
            return due_s
        expires_s = oldest_s + self.policy.retention_s
        return expires_s if due_s is None else min(due_s, expires_s)

    def statistics(self) -> QueueStatistics:
        """The counts as of the last `tick`."""
        return QueueStatistics(
            visible=self.visible,
            in_flight=self.in_flight,
            delayed=self.delayed,
            receipts=len(self._receipts),
            oldest_s=self._ages.oldest_s(),
        )

    # --- changes of state

    def _enter(self, message: Message, delay_s: float) -> None:
        """Add a new message: delayed, or visible at once."""
        self._ages.add(message)
        if delay_s > 0:
            message.state = DELAYED
            self.delayed += 1
            self._tokens += 1
            self._timers.arm(message, message.sent_s + delay_s, self._tokens)
        else:
            self.visible += 1
            self._order.put(message)

    def _take(self, max_count: int) -> list[Message]:
        """Up to `max_count` visible messages, now in flight. Sets no timer and gives no receipt."""
        taken = self._order.take(max_count)
        self.visible -= len(taken)
        self.in_flight += len(taken)
        return taken

    def _return(self, message: Message) -> None:
        """Make a message in flight visible. Its timer must not be set."""
        message.state = VISIBLE
        self.in_flight -= 1
        self.visible += 1
        self._order.released(message)
        self._order.put(message)

    def _hide(self, message: Message) -> Message:
        """Put a copy of a visible message in flight: a delivery order cannot remove one. Returns it."""
        self._seq += 1
        other = message.copy(self._seq)
        self._remove(message)
        other.state = IN_FLIGHT
        self._receipts[other.receipt] = other
        self._ages.add(other)
        self.in_flight += 1
        self._order.took(other)
        return other

    def _remove(self, message: Message) -> None:
        """Remove a message in any state."""
        state, message.state = message.state, GONE
        if state is IN_FLIGHT:
            self.in_flight -= 1
            self._timers.disarm(message)
            self._order.released(message)
        elif state is VISIBLE:
            self.visible -= 1
            self._order.dropped(message)
        else:
            self.delayed -= 1
            self._timers.disarm(message)
        if message.receipt:
            self._receipts.pop(message.receipt, None)
        self._ages.trim(self.visible + self.in_flight + self.delayed)


def _empty_order(policy: QueueAttributes) -> FairDeliveryOrder | FifoDeliveryOrder:
    return FifoDeliveryOrder() if policy.fifo else FairDeliveryOrder()
