"""One queue as a state machine: it is told the time, does no I/O, and every step is O(log n) or better.

Source: SQS Developer Guide, "Amazon SQS visibility timeout", "dead-letter queues", "FIFO queue delivery
logic"; SQS API reference; recorded answers.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Final, NamedTuple

from engine.services.sqs.deduplication import Window
from engine.services.sqs.indexes import PurgedMessages
from engine.services.sqs.message import DELAYED, IN_FLIGHT, VISIBLE, Attribute, Message, Origin
from engine.services.sqs.message_store import MessageStore
from engine.services.sqs.queue_attributes import MAX_VISIBILITY_S, QueueAttributes
from engine.services.sqs.waiters import Waiter, Waiters

MAX_IN_FLIGHT: Final = 120_000
"""Messages in flight at a time, of either kind of queue (SQS Developer Guide, "message quotas")."""

_MAX_SUPERSEDED: Final = 100_000


class Sent(NamedTuple):
    """The result of a send. `sequence_number` is None on a standard queue."""

    message_id: str
    sequence_number: str | None


class ReceiptStatus(Enum):
    """The result of a step by receipt. Any other than DONE changed nothing.

    Attributes:
        DONE: The step was taken.
        GONE: The message has left the queue, or was received again.
        EXPIRED: FIFO queues: the message is visible again.
        TOO_LONG: The message would be invisible for more than 12 hours in all.
    """

    DONE = "done"
    GONE = "gone"
    EXPIRED = "expired"
    TOO_LONG = "too long"


class Queue(MessageStore):
    """Messages of one name.

    Methods that take `now_s` first let the timers run out that are due by then. They never call a waiter: the
    caller of a step calls `wake_waiters` afterwards, which does, and passes the next due time to `set_timer`.

    Attributes:
        name, arn: Its own.
        most_in_flight: Receives beyond it give nothing.
        set_timer: Called with the time at which `tick` and `wake_waiters` are due, while a waiter waits.
    """

    __slots__ = (
        "_attempts",
        "_dedup",
        "_resolve",
        "_superseded",
        "_waiters",
        "arn",
        "most_in_flight",
        "name",
        "set_timer",
    )

    def __init__(
        self,
        name: str,
        arn: str,
        policy: QueueAttributes,
        resolve: Callable[[str], Queue | None] = lambda _: None,
        most_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        """`resolve` finds the dead-letter queue by its ARN."""
        super().__init__(policy)
        self._superseded: OrderedDict[int, None] = OrderedDict()  # FIFO: receipts that newer ones replaced
        self._dedup: Window[Sent] = Window()
        self._attempts: Window[tuple[tuple[Message, int, int], ...]] = Window()
        self.name, self.arn = name, arn
        self.most_in_flight = most_in_flight
        self.set_timer: Callable[[float | None], None] = lambda _: None
        self._resolve = resolve
        self._waiters = Waiters()

    # --- sending

    def send(
        self,
        now_s: float,
        message_id: str,
        body: str,
        *,
        delay_s: float | None = None,
        group: str | None = None,
        dedup_id: str | None = None,
        attributes: dict[str, Attribute] | None = None,
        trace: str | None = None,
    ) -> Sent:
        """Accept a message; a FIFO queue may know it already, then nothing is added.

        A FIFO queue needs `group`, and `dedup_id` unless it deduplicates by content.
        """
        self.tick(now_s)
        policy = self.policy
        if not policy.fifo:
            self._seq = seq = self._seq + 1
            message = Message(message_id, body, now_s, seq, group, None, attributes, trace)
            self._enter(message, policy.delay_s if delay_s is None else delay_s)
            return Sent(message_id, None)
        if dedup_id is None:
            dedup_id = hashlib.sha256(body.encode()).hexdigest()
        key = (group, dedup_id) if policy.deduplication_scope == "messageGroup" else dedup_id
        known = self._dedup.get(key, now_s)
        if known is not None:
            return known
        self._seq += 1
        message = Message(message_id, body, now_s, self._seq, group, dedup_id, attributes, trace)
        self._enter(message, policy.delay_s)
        sent = Sent(message_id, message.sequence_number)
        self._dedup.keep(key, sent, now_s)
        return sent

    def accept_moved(
        self, now_s: float, old: Message, *, message_id: str | None = None, origin: str = ""
    ) -> None:
        """Accept a message of another queue: a dead letter from `origin`, or a moved one with a new id.

        Deduplication does not apply, so that no message that left another queue is lost here.
        """
        self._seq += 1
        message = old.copy(self._seq)
        if message_id is not None:  # a moved message counts as new
            message.id, message.sent_s, message.origin = message_id, now_s, None
            message.receives, message.first_received_s = 0, None
        else:
            message.origin = Origin(origin, message.receives)
            message.dedup_id = message.id if self.policy.fifo else None
        message.receipt, message.received_s = 0, 0.0
        if self.policy.fifo and message.group is None:
            message.group = message.id
        self._enter(message, 0)

    # --- receiving

    def receive(
        self, max_count: int, now_s: float, visibility_s: float | None = None, attempt_id: str | None = None
    ) -> list[Message]:
        """Up to `max_count` messages, which nobody else gets for `visibility_s` (or the queue's own timeout).

        What was received too often goes to the dead-letter queue instead. `attempt_id` is the
        `ReceiveRequestAttemptId` of a FIFO queue: asked again within five minutes, it gives the same
        messages with the same receipts if nothing has become of them.
        """
        self.tick(now_s)
        timeout_s = self.policy.visibility_s if visibility_s is None else visibility_s
        if attempt_id is not None and (again := self._again(attempt_id, now_s, timeout_s)):
            return again
        received: list[Message] = []
        max_count = min(max_count, self.most_in_flight - self.in_flight)
        redrive = self.policy.redrive
        while len(received) < max_count and (taken := self._take(max_count - len(received))):
            if redrive is not None:
                taken = [one for one in taken if not self._moved_to_dlq(one, now_s)]
            received += taken
        if received:
            self._deliver(received, now_s, timeout_s)
            if attempt_id is not None:
                tries = tuple((message, message.receipt, message.timer) for message in received)
                self._attempts.keep(attempt_id, tries, now_s)
        return received

    def _deliver(self, messages: Sequence[Message], now_s: float, timeout_s: float) -> None:
        due_s = now_s + timeout_s
        token, receipts, arm = self._tokens, self._receipts, self._timers.arm
        for message in messages:
            message.receives += 1
            message.received_s = now_s
            if message.first_received_s is None:
                message.first_received_s = now_s
            elif message.receipt:
                self._supersede(message.receipt)
            token += 1
            message.receipt = token
            receipts[token] = message
            if timeout_s > 0:
                arm(message, due_s, token)
        self._tokens = token
        if timeout_s <= 0:
            for message in messages:
                self._return(message)

    def _supersede(self, receipt: int) -> None:
        self._receipts.pop(receipt, None)
        if self.policy.fifo:
            self._superseded[receipt] = None
            if len(self._superseded) > _MAX_SUPERSEDED:
                self._superseded.popitem(last=False)

    def _again(self, attempt_id: str, now_s: float, timeout_s: float) -> list[Message]:
        tries = self._attempts.get(attempt_id, now_s) or ()
        for message, receipt, timer in tries:
            if (message.state, message.receipt, message.timer) != (IN_FLIGHT, receipt, timer):
                return []  # deleted, timed out or received again since
        again = []
        for message, receipt, _ in tries:
            self._tokens += 1
            self._timers.arm(message, now_s + timeout_s, self._tokens)
            again.append((message, receipt, message.timer))
        self._attempts.keep(attempt_id, tuple(again), now_s)
        return [message for message, *_ in again]

    def _moved_to_dlq(self, message: Message, now_s: float) -> bool:
        """Move a message that was received too often to the dead-letter queue; False if it stays."""
        redrive = self.policy.redrive
        received_before = message.origin.receives if message.origin is not None else 0
        if redrive is None or message.receives - received_before < redrive.most_receives:
            return False
        target = self._resolve(redrive.arn)
        if target is None or target is self:
            return False  # the dead-letter queue does not exist: deliver once more
        self._remove(message)
        target.tick(now_s)
        target.accept_moved(now_s, message, origin=self.arn)
        target.wake_waiters(now_s)
        return True

    # --- what becomes of a received message

    def delete(self, receipt: int, now_s: float) -> ReceiptStatus:
        """Delete the message of `receipt`. On standard queues an old receipt works too."""
        self.tick(now_s)
        message = self._receipts.get(receipt)
        if message is None:
            return ReceiptStatus.EXPIRED if receipt in self._superseded else ReceiptStatus.GONE
        if message.state is not IN_FLIGHT and self.policy.fifo:
            return ReceiptStatus.EXPIRED
        self._remove(message)
        return ReceiptStatus.DONE

    def delete_all(self, receipts: Iterable[int], now_s: float) -> None:
        """Delete the messages of `receipts`, ignoring those that `delete` would not."""
        for receipt in receipts:
            self.delete(receipt, now_s)

    def change_visibility(self, receipt: int, timeout_s: float, now_s: float) -> ReceiptStatus:
        """Hide the message of `receipt` for `timeout_s` from now on; 0 makes it visible at once."""
        self.tick(now_s)
        message = self._receipts.get(receipt)
        if message is None or (message.state is not IN_FLIGHT and self.policy.fifo):
            return ReceiptStatus.GONE
        if now_s + timeout_s - message.received_s > MAX_VISIBILITY_S:
            return ReceiptStatus.TOO_LONG
        if timeout_s <= 0:
            if message.state is IN_FLIGHT:
                self._timers.disarm(message)
                self._return(message)
            return ReceiptStatus.DONE
        if message.state is VISIBLE:
            message = self._hide(message)
        self._tokens += 1
        self._timers.arm(message, now_s + timeout_s, self._tokens)
        return ReceiptStatus.DONE

    # --- waiting

    @property
    def waiting(self) -> bool:
        """Whether any waiter waits; if not, `wake_waiters` need not be called."""
        return bool(self._waiters)

    def ready(self) -> bool:
        """Whether `receive` would return a message, as of the last `tick`."""
        return self.visible > 0 and self.in_flight < self.most_in_flight and self._order.ready()

    def wait(self, waiter: Waiter) -> None:
        """Put `waiter` at the end of those who wait for a message. Then call `wake_waiters`.

        It is called once, in turn. One that still wants messages waits again; not within its call,
        unless `ready` says no.
        """
        self._waiters.add(waiter)

    def forget(self, waiter: Waiter) -> None:
        """Remove a waiter, if it is there."""
        self._waiters.discard(waiter)

    def wake_waiters(self, now_s: float) -> None:
        """Call waiters in turn while messages can be received; call `set_timer` if waiters remain."""
        waiters = self._waiters
        if waiters:
            waiters.call(self.ready, now_s)
        if waiters:
            self.set_timer(self.next_due_s())

    # --- rare things

    def configure(self, policy: QueueAttributes, now_s: float) -> None:
        """Replace the attributes, except `fifo`. A FIFO queue applies a new delay to delayed messages."""
        self.tick(now_s)
        before, self.policy = self.policy, policy
        if policy.fifo and policy.delay_s != before.delay_s:
            for message in self._timers.messages():
                if message.state is DELAYED:
                    self._tokens += 1
                    self._timers.arm(message, message.sent_s + policy.delay_s, self._tokens)
        self.tick(now_s)

    def purge(self) -> PurgedMessages:
        """Forget all messages, in whatever state, and the ids of deduplication.

        Returns the messages: the caller frees them in steps, because freeing half a million takes long.
        """
        self._superseded, self._dedup, self._attempts = OrderedDict(), Window(), Window()
        return self.clear()

    def _more_is_due(self, now_s: float) -> None:
        self.set_timer(now_s)

    def take_visible(self, max_count: int, now_s: float) -> list[Message]:
        """Remove and return up to `max_count` visible messages; does not count as a receive."""
        self.tick(now_s)
        taken = self._take(max_count)
        for message in taken:
            self._remove(message)
        return taken

    def restore(self, message: Message, now_s: float) -> None:
        """Undo `take_visible` for one message: it has its place in the order again."""
        other = message.copy(message.seq)
        other.receipt = 0
        self.tick(now_s)
        self._enter(other, 0)

    def __str__(self) -> str:
        return f"{self.name}: {self.visible} visible, {self.in_flight} in flight, {self.delayed} delayed"
