"""The messages of a queue by state: visible, in flight, delayed; and what time alone makes of them.

Source: SQS Developer Guide, "Amazon SQS visibility timeout", "delay queues", "message quotas".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from engine.core.late_dataclass import dataclass
from engine.services.sqs.delivery_order import DeliveryOrder, FairDeliveryOrder, FifoDeliveryOrder
from engine.services.sqs.indexes import Ages, PurgedMessages, Timers
from engine.services.sqs.message import DELAYED, GONE, IN_FLIGHT, VISIBLE, Message

MAX_AT_ONCE: Final = 5_000
"""Changes that one `tick` makes of each kind: 10 to 20 ms of a core. What is left is due at once."""
_MAX_SUPERSEDED: Final = 100_000


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
        visible, in_flight, delayed: Numbers of messages, up to date after `tick`.
        receipts: Messages by the number of their last receipt.
    """

    def __init__(
        self, *, fifo: bool, retention_s: float, more_is_due: Callable[[float], None] = lambda _: None
    ) -> None:
        """`more_is_due` arranges that `tick` is called again, at the time it is given."""
        self._fifo = fifo
        self._retention_s = retention_s
        self._more_is_due = more_is_due
        self._tokens = 0  # never used twice: numbers of receipts and timers
        self._order = _empty_order(fifo=fifo)
        self._timers, self._ages = Timers(), Ages()
        self._superseded: OrderedDict[int, int] = OrderedDict()  # receipts, and those that replaced them
        self.receipts: dict[int, Message] = {}
        self.visible = self.in_flight = self.delayed = 0

    def clear(self) -> PurgedMessages:
        """Remove all messages, in whatever state, and return them to be freed."""
        purged = PurgedMessages(self._ages, self._timers)
        self._order = _empty_order(fifo=self._fifo)
        self._timers, self._ages = Timers(), Ages()
        self._superseded, self.receipts = OrderedDict(), {}
        self.visible = self.in_flight = self.delayed = 0
        return purged

    # --- time

    def tick(self, now_s: float) -> None:
        """Let delays, timeouts and retention run out. Calls before other methods cost next to nothing.

        Where more than `MAX_AT_ONCE` run out together, the rest is left to the calls that `more_is_due`
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
        until_s = now_s - self._retention_s
        oldest_s = self._ages.oldest_s()
        if oldest_s is not None and oldest_s <= until_s:
            has_changed = True
            for message in islice(self._ages.sent_until(until_s), MAX_AT_ONCE):
                self.remove(message)
        if has_changed:
            due_s = self.next_due_s()
            if due_s is not None and due_s <= now_s:
                self._more_is_due(now_s)

    def next_due_s(self) -> float | None:
        """When the next timer or retention period ends; None if none does."""
        due_s, oldest_s = self._timers.next_due_s(), self._ages.oldest_s()
        if oldest_s is None:
            return due_s
        expires_s = oldest_s + self._retention_s
        return expires_s if due_s is None else min(due_s, expires_s)

    def set_retention(self, retention_s: float) -> None:
        """Change the retention period; it applies to messages that are here already, too."""
        self._retention_s = retention_s

    def set_timer(self, message: Message, due_s: float) -> None:
        """End the delay or the visibility timeout of a message at `due_s`, in place of when it would end."""
        self._tokens += 1
        self._timers.arm(message, due_s, self._tokens)

    # --- looking

    def statistics(self) -> QueueStatistics:
        """The counts as of the last `tick`."""
        return QueueStatistics(
            visible=self.visible,
            in_flight=self.in_flight,
            delayed=self.delayed,
            receipts=len(self.receipts),
            oldest_s=self._ages.oldest_s(),
        )

    def can_deliver(self) -> bool:
        """Whether `take` would return a message."""
        return self._order.ready()

    def is_superseded(self, receipt: int) -> bool:
        """Whether a newer receipt has replaced it."""
        return receipt in self._superseded

    def newest(self, receipt: int) -> int:
        """The receipt that has replaced `receipt`, or itself."""
        while (newer := self._superseded.get(receipt)) is not None:
            receipt = newer
        return receipt

    def all_delayed(self) -> list[Message]:
        """The messages that are delayed, in no order."""
        return [message for message in self._timers.messages() if message.state is DELAYED]

    def all(self) -> list[Message]:
        """All messages, in no order."""
        return self._ages.messages()

    # --- changes of state

    def add(self, message: Message, delay_s: float) -> None:
        """Add a new message: delayed, or visible at once."""
        self._ages.add(message)
        if delay_s > 0:
            message.state = DELAYED
            self.delayed += 1
            self.set_timer(message, message.sent_s + delay_s)
        else:
            self.visible += 1
            self._order.put(message)

    def take(self, max_count: int) -> list[Message]:
        """Up to `max_count` visible messages, now in flight. Sets no timer and gives no receipt."""
        taken = self._order.take(max_count)
        self.visible -= len(taken)
        self.in_flight += len(taken)
        return taken

    def deliver(self, messages: Sequence[Message], now_s: float, timeout_s: float) -> None:
        """Give receipts to messages that were taken; they are visible again after `timeout_s`, or at once."""
        due_s = now_s + timeout_s
        token, receipts, arm = self._tokens, self.receipts, self._timers.arm
        for message in messages:
            message.receives += 1
            message.received_s = now_s
            token += 1
            if message.first_received_s is None:
                message.first_received_s = now_s
            elif message.receipt:
                self._supersede(message.receipt, token)
            message.receipt = token
            receipts[token] = message
            if timeout_s > 0:
                arm(message, due_s, token)
        self._tokens = token
        if timeout_s <= 0:
            for message in messages:
                self._return(message)

    def _supersede(self, receipt: int, newer: int) -> None:
        self.receipts.pop(receipt, None)
        self._superseded[receipt] = newer
        if len(self._superseded) > _MAX_SUPERSEDED:
            self._superseded.popitem(last=False)

    def make_visible(self, message: Message) -> None:
        """End the visibility timeout of a message in flight."""
        self._timers.disarm(message)
        self._return(message)

    def _return(self, message: Message) -> None:
        """Make a message in flight visible. Its timer must not be set."""
        message.state = VISIBLE
        self.in_flight -= 1
        self.visible += 1
        self._order.mark_not_in_flight(message)
        self._order.put(message)

    def remove(self, message: Message) -> None:
        """Remove a message in any state."""
        state, message.state = message.state, GONE
        if state is IN_FLIGHT:
            self.in_flight -= 1
            self._timers.disarm(message)
            self._order.mark_not_in_flight(message)
        elif state is VISIBLE:
            self.visible -= 1
            self._order.mark_gone(message)
        else:
            self.delayed -= 1
            self._timers.disarm(message)
        if message.receipt:
            self.receipts.pop(message.receipt, None)
        self._ages.trim(self.visible + self.in_flight + self.delayed)


def _empty_order(*, fifo: bool) -> DeliveryOrder:
    return FifoDeliveryOrder() if fifo else FairDeliveryOrder()
