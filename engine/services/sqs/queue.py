"""One queue as a state machine: time is passed in, it does no I/O, and every step is O(log n) or better.

Source: SQS Developer Guide, "Amazon SQS visibility timeout", "dead-letter queues", "FIFO queue delivery
logic"; SQS API reference; recorded answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, NamedTuple

from engine.services.sqs.deduplication import Window
from engine.services.sqs.indexes import PurgedMessages
from engine.services.sqs.limits import MAX_VISIBILITY_S
from engine.services.sqs.message import IN_FLIGHT, Attribute, Message, Origin
from engine.services.sqs.message_store import MessageStore
from engine.services.sqs.queue_attributes import QueueAttributes
from engine.services.sqs.waiters import Waiter, Waiters

MAX_IN_FLIGHT: Final = 120_000
"""Messages in flight at a time, of either kind of queue (SQS Developer Guide, "message quotas")."""


class SendResult(NamedTuple):
    """The result of a send. `sequence_number` is None on a standard queue."""

    message_id: str
    sequence_number: str | None


class ReceiptStatus(Enum):
    """The result of a step by receipt. Any other than DONE changed nothing.

    Attributes:
        DONE: The step was taken.
        GONE: The message has left the queue, or was received again.
        EXPIRED: The message is visible again. A FIFO queue's: or was received again.
        TOO_LONG: The message would be invisible for more than 12 hours in all.
    """

    DONE = "done"
    GONE = "gone"
    EXPIRED = "expired"
    TOO_LONG = "too long"


DONE: Final = ReceiptStatus.DONE
"""For the hot path: reading a member of an enumeration off its class is a call (CPython 3.11)."""


def _set_no_timer(_queue: Queue, _due_s: float | None) -> None:
    """Does nothing: for a queue without waiters."""


class Queue:
    """Messages of one name.

    Methods that take `now_s` first let the timers run out that are due by then. They never call a waiter: the
    caller of a step calls `wake_waiters` afterwards, which does, and passes the next due time to `set_timer`.

    Attributes:
        name, arn: Its own.
        policy: Its attributes.
        messages: Its messages by state.
        max_in_flight: Receives beyond it give nothing.
    """

    def __init__(
        self,
        name: str,
        arn: str,
        policy: QueueAttributes,
        resolve: Callable[[str], Queue | None] = lambda _: None,
        max_in_flight: int = MAX_IN_FLIGHT,
        set_timer: Callable[[Queue, float | None], None] = _set_no_timer,
    ) -> None:
        """Create an empty queue.

        `resolve` finds the dead-letter queue by its ARN. While a waiter waits, `set_timer` is called with the
        queue and the time at which `messages.tick` and `wake_waiters` are due, None for no such time.
        """
        self.name, self.arn = name, arn
        self.policy = policy
        self.max_in_flight = max_in_flight
        self.messages = MessageStore(
            fifo=policy.fifo,
            retention_s=policy.retention_s,
            more_is_due=lambda now_s: set_timer(self, now_s),
        )
        self._seq = 0  # of the last message that was accepted
        self._dedup: Window[SendResult] = Window()
        # As AWS (recorded): a scope that is set later is shown, and duplicates are judged as before.
        self._dedup_by_group = policy.deduplication_scope == "messageGroup"
        self._attempts: Window[tuple[tuple[Message, int, int], ...]] = Window()
        self._set_timer = set_timer
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
    ) -> SendResult:
        """Accept a message; a FIFO queue may know it already, then nothing is added.

        A FIFO queue needs `group`, and `dedup_id` unless it deduplicates by content.
        """
        messages, policy = self.messages, self.policy
        messages.tick(now_s)
        if not policy.fifo:
            self._seq = seq = self._seq + 1
            message = Message(message_id, body, now_s, seq, group, None, attributes, trace)
            messages.add(message, policy.delay_s if delay_s is None else delay_s)
            return SendResult(message_id, None)
        if dedup_id is None:
            dedup_id = hashlib.sha256(body.encode()).hexdigest()
        key = (group, dedup_id) if self._dedup_by_group else dedup_id
        known = self._dedup.get(key, now_s)
        if known is not None:
            return known
        self._seq += 1
        message = Message(message_id, body, now_s, self._seq, group, dedup_id, attributes, trace)
        messages.add(message, policy.delay_s)
        sent = SendResult(message_id, message.sequence_number)
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
        self.messages.add(message, 0)

    # --- receiving

    def receive(
        self, max_count: int, now_s: float, visibility_s: float | None = None, attempt_id: str | None = None
    ) -> list[Message]:
        """Up to `max_count` messages, hidden from others for `visibility_s` (or the queue's own timeout).

        What was received too often goes to the dead-letter queue instead. `attempt_id` is the
        `ReceiveRequestAttemptId` of a FIFO queue: asked again within five minutes, it gives the same
        messages with the same receipts if nothing has become of them.
        """
        messages = self.messages
        messages.tick(now_s)
        timeout_s = self.policy.visibility_s if visibility_s is None else visibility_s
        if attempt_id is not None and (again := self._again(attempt_id, now_s, timeout_s)):
            return again
        received: list[Message] = []
        max_count = min(max_count, self.max_in_flight - messages.in_flight)
        redrive = self.policy.redrive
        while len(received) < max_count and (taken := messages.take(max_count - len(received))):
            if redrive is not None:
                taken = [message for message in taken if not self._moved_to_dlq(message, now_s)]
            received += taken
        if received:
            messages.deliver(received, now_s, timeout_s)
            if attempt_id is not None:
                tries = tuple((message, message.receipt, message.timer) for message in received)
                self._attempts.keep(attempt_id, tries, now_s)
        return received

    def _again(self, attempt_id: str, now_s: float, timeout_s: float) -> list[Message]:
        tries = self._attempts.get(attempt_id, now_s) or ()
        for message, receipt, timer in tries:
            if (message.state, message.receipt, message.timer) != (IN_FLIGHT, receipt, timer):
                return []  # deleted, timed out or received again since
        again = []
        for message, receipt, _ in tries:
            self.messages.set_timer(message, now_s + timeout_s)
            again.append((message, receipt, message.timer))
        self._attempts.keep(attempt_id, tuple(again), now_s)
        return [message for message, *_ in again]

    def _moved_to_dlq(self, message: Message, now_s: float) -> bool:
        """Move a message that was received too often to the dead-letter queue; False if it stays."""
        redrive = self.policy.redrive
        received_before = message.origin.receives if message.origin is not None else 0
        if redrive is None or message.receives - received_before < redrive.max_receives:
            return False
        target = self._resolve(redrive.arn)
        if target is None or target is self:
            return False  # the dead-letter queue does not exist: deliver once more
        self.messages.remove(message)
        target.messages.tick(now_s)
        target.accept_moved(now_s, message, origin=self.arn)
        target.wake_waiters(now_s)
        return True

    # --- what becomes of a received message

    def delete(self, receipt: int, now_s: float) -> ReceiptStatus:
        """Delete the message of `receipt`, its last one: on standard queues if it is visible, too."""
        messages = self.messages
        messages.tick(now_s)
        message = messages.receipts.get(receipt)
        if message is None:
            expired = self.policy.fifo and messages.is_superseded(receipt)
            return ReceiptStatus.EXPIRED if expired else ReceiptStatus.GONE
        if message.state is not IN_FLIGHT and self.policy.fifo:
            return ReceiptStatus.EXPIRED
        messages.remove(message)
        return DONE

    def delete_all(self, receipts: Iterable[int], now_s: float) -> None:
        """Delete the messages of `receipts`, ignoring those that `delete` would not."""
        for receipt in receipts:
            self.delete(receipt, now_s)

    def change_visibility(self, receipt: int, timeout_s: float, now_s: float) -> ReceiptStatus:
        """Hide the message of `receipt` for `timeout_s` from now on; 0 makes it visible at once.

        One that is visible again stays so: somebody else may have it by now (recorded).
        """
        messages = self.messages
        messages.tick(now_s)
        message = messages.receipts.get(receipt)
        if message is None:
            return ReceiptStatus.GONE
        if message.state is not IN_FLIGHT:
            return ReceiptStatus.EXPIRED
        if now_s + timeout_s - message.received_s > MAX_VISIBILITY_S:
            return ReceiptStatus.TOO_LONG
        if timeout_s <= 0:
            messages.make_visible(message)
        else:
            messages.set_timer(message, now_s + timeout_s)
        return DONE

    # --- waiting

    @property
    def waiting(self) -> bool:
        """Whether any waiter waits; if not, `wake_waiters` need not be called."""
        return bool(self._waiters)

    def ready(self) -> bool:
        """Whether `receive` would return a message, as of the last `tick`."""
        messages = self.messages
        return messages.visible > 0 and messages.in_flight < self.max_in_flight and messages.can_deliver()

    def wait(self, waiter: Waiter) -> None:
        """Add `waiter` behind all others. Call `wake_waiters` afterwards.

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
        if not waiters:
            return
        waiters.call(self.ready, now_s)
        if waiters:
            self._set_timer(self, self.messages.next_due_s())

    # --- rare things

    def configure(self, policy: QueueAttributes, now_s: float) -> None:
        """Replace the attributes, except `fifo`. A FIFO queue applies a new delay to delayed messages."""
        messages = self.messages
        messages.tick(now_s)
        before, self.policy = self.policy, policy
        messages.set_retention(policy.retention_s)
        if policy.fifo and policy.delay_s != before.delay_s:
            for message in messages.all_delayed():
                messages.set_timer(message, message.sent_s + policy.delay_s)
        messages.tick(now_s)

    def purge(self) -> PurgedMessages:
        """Forget all messages, in whatever state, and the ids of deduplication.

        Returns the messages: the caller frees them in steps, because freeing half a million takes long.
        """
        self._dedup, self._attempts = Window(), Window()
        return self.messages.clear()

    def take_visible(self, max_count: int, now_s: float) -> list[Message]:
        """Remove and return up to `max_count` visible messages; does not count as a receive."""
        messages = self.messages
        messages.tick(now_s)
        taken = messages.take(max_count)
        for message in taken:
            messages.remove(message)
        return taken

    def restore(self, message: Message, now_s: float) -> None:
        """Undo `take_visible` for one message: it has its place in the order again."""
        copy = message.copy(message.seq)
        copy.receipt = 0
        self.messages.tick(now_s)
        self.messages.add(copy, 0)

    def __str__(self) -> str:
        counts = self.messages
        return (
            f"{self.name}: {counts.visible} visible, {counts.in_flight} in flight, {counts.delayed} delayed"
        )
