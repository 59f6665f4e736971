"""Runs a function for batches of one mapping, and deletes or returns their messages.

Source: Lambda Developer Guide, "Using Lambda with Amazon SQS", "Handling errors for an SQS event source in
Lambda".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import getrandbits
from typing import Final

from engine.core.event import Event
from engine.core.outcome import Outcome, Status
from engine.core.recursion import RecursionGuard, calls_in
from engine.core.retry import FIRST_BATCH_BACKOFF_S, LONGEST_BATCH_BACKOFF_S, backoff_s
from engine.core.trace_context import ROOT_BITS, new_root
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Clock, Sink
from engine.services.sqs.queue import Queue, ReceiptStatus
from engine.sources.sqs.batch import Batch
from engine.sources.sqs.batch_failures import failed_items, in_order
from engine.sources.sqs.concurrency import (
    ConcurrencyController,
    MappingPlan,
)
from engine.sources.sqs.mapping_counts import MappingCounts
from engine.sources.sqs.settings import EXTRA_VISIBILITY_S

_SUCCESS: Final = Status.SUCCESS
_NOTHING: Final = (b"null", b"{}", b"")


class BatchDelivery:
    """Submits batches, and decides whether their messages are deleted or redelivered.

    Args:
        batch_ended: Called with a batch's queue and the time when its slot is free.
        rejected: Called when the engine takes nothing any more.

    Attributes:
        idle: Set while nothing runs.
    """

    def __init__(
        self,
        plan: MappingPlan,
        controller: ConcurrencyController,
        counts: MappingCounts,
        sink: Sink,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        new_request_id: Callable[[], str],
        recursion: RecursionGuard,
        *,
        batch_ended: Callable[[Queue, float], None],
        rejected: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._controller = controller
        self._counts = counts
        self._sink = sink
        self._now, self._wall = clock.now, clock.wall
        self._loop = loop
        self._new_request_id = new_request_id
        self._recursion = recursion
        self._batch_ended = batch_ended
        self._rejected = rejected
        self._open = True
        self._refused: dict[Batch, asyncio.TimerHandle] = {}
        self.idle = asyncio.Event()
        self.idle.set()

    def send(self, batch: Batch, now_s: float) -> None:
        """Submit a batch; it has a slot until `batch_ended` is called."""
        self._controller.began()
        self.idle.clear()
        self._begin(batch, now_s)

    def stop(self) -> None:
        """Return batches that wait for another attempt to the queue. Batches that run may end."""
        self._open = False
        for batch, timer in tuple(self._refused.items()):
            timer.cancel()
            self._give_up(batch)
        self._refused.clear()

    def give_back(self, batch: Batch) -> None:
        """Make the messages of a batch visible again at once, in order."""
        now_s, queue = self._now(), batch.queue
        self._counts.returned += len(batch.messages)
        for receipt in batch.receipts:
            queue.change_visibility(receipt, 0, now_s)
        if queue.waiting:
            queue.wake_waiters(now_s)

    # --- one attempt

    def _begin(self, batch: Batch, now_s: float) -> None:
        if self._extend_visibility(batch, now_s):
            batch.rest = batch.cut()
            self._submit(batch, now_s)
        else:
            self._done(batch, now_s)

    def _submit(self, batch: Batch, now_s: float) -> None:
        plan, trace = self._plan, self._trace_of(batch)
        if self._recursion.stops(plan.function, trace):
            self._drop(batch, now_s)
            return
        batch.began_s = now_s
        document = {"Records": batch.records}
        request_id = self._new_request_id()
        event = Event(plan.function, None, request_id, now_s, "sqs", document, trace, None, plan.qualifier)
        batch.reply = self._answered
        try:
            self._sink.submit(event, batch)
        except FunctionNotFound:
            self._throttled(batch, now_s)
        except NotAccepting:
            self._rejected()
            self._give_up(batch)

    def _trace_of(self, batch: Batch) -> str:
        """The trace of the message that came the longest way, with this call; a new one if none has one."""
        traces = [message.trace for message in batch.messages if message.trace is not None]
        if traces:
            return self._recursion.enter(self._plan.function, max(traces, key=calls_in))
        return new_root(int(self._wall()), getrandbits(ROOT_BITS))

    def _drop(self, batch: Batch, now_s: float) -> None:
        """Delete the messages of a batch that no function gets."""
        self._counts.deleted += len(batch.messages)
        batch.queue.delete_all(batch.receipts, now_s)
        self._done(batch, now_s)

    def _extend_visibility(self, batch: Batch, now_s: float) -> bool:
        """Hide the messages for as long as the function may take; False if all are gone, or visible again."""
        busy_s = self._plan.busy_s()
        if now_s + busy_s <= batch.until_s:
            return True
        change = batch.queue.change_visibility
        gone = {
            place
            for place, receipt in enumerate(batch.receipts)
            if change(receipt, busy_s + EXTRA_VISIBILITY_S, now_s)
            in (ReceiptStatus.GONE, ReceiptStatus.EXPIRED)
        }
        if gone:
            batch.drop(gone)
        return bool(batch.messages)

    # --- its outcome

    def _answered(self, batch: Batch, outcome: Outcome) -> None:
        now_s = self._now()
        status = outcome.status
        if status is Status.THROTTLED:
            self._counts.throttled += 1
            self._throttled(batch, now_s)
            return
        if status is Status.CANCELLED:  # the engine stops: how far the handler got is unknown
            self._counts.returned += len(batch.messages)
            self._done(batch, now_s)
            return
        plan, counts, size = self._plan, self._counts, len(batch.messages)
        counts.sent(size)
        counts.delivered += size
        self._controller.ran(now_s - batch.began_s)
        if status is _SUCCESS and (not plan.reporting or (outcome.body in _NOTHING and not outcome.raw)):
            counts.deleted += size
            batch.queue.delete_all(batch.receipts, now_s)
        else:
            if status is not _SUCCESS and not plan.reporting:  # with it, AWS does not poll less
                self._controller.failed()
            self._delete_successful(batch, outcome, now_s)
        self._done(batch, now_s)

    def _delete_successful(self, batch: Batch, outcome: Outcome, now_s: float) -> None:
        """Delete messages that did not fail; the others become visible when their timeout is over."""
        ids = [message.id for message in batch.messages]
        failed = failed_items(outcome, ids, reporting=self._plan.reporting)
        if self._plan.keep_group_order:
            failed = in_order(failed, [(message.id, message.group) for message in batch.messages])
        failed = set(failed)
        receipts = [receipt for receipt, one in zip(batch.receipts, ids, strict=True) if one not in failed]
        self._counts.failed += len(ids) - len(receipts)
        self._counts.deleted += len(receipts)
        batch.queue.delete_all(receipts, now_s)
        rest = batch.rest
        if failed and rest is not None and batch.queue.policy.fifo:
            batch.rest = None  # it may hold what comes after a message that failed
            self.give_back(rest)

    def _throttled(self, batch: Batch, now_s: float) -> None:
        """Try again later, unless the messages become visible before: at the end of their first timeout."""
        self._controller.throttled()
        batch.refusals += 1
        delay_s = backoff_s(batch.refusals, FIRST_BATCH_BACKOFF_S, LONGEST_BATCH_BACKOFF_S)
        if now_s + delay_s >= batch.until_s:
            self._counts.returned += len(batch.messages)
            for receipt in batch.receipts:  # an attempt before may have hidden them for longer
                batch.queue.change_visibility(receipt, batch.until_s - now_s, now_s)
            self._return_rest(batch)
            self._done(batch, now_s)
        elif self._open:
            self._refused[batch] = self._loop.call_later(delay_s, self._try_again, batch)
        else:
            self._give_up(batch)

    def _try_again(self, batch: Batch) -> None:
        now_s = self._now()
        del self._refused[batch]
        if self._extend_visibility(batch, now_s):
            self._submit(batch, now_s)
        else:
            self._done(batch, now_s)

    def _give_up(self, batch: Batch) -> None:
        """Return the batch to the queue, and free its slot."""
        self.give_back(batch)
        self._return_rest(batch)
        self._done(batch, self._now())

    def _return_rest(self, batch: Batch) -> None:
        rest, batch.rest = batch.rest, None
        if rest is not None:
            self.give_back(rest)

    def _done(self, batch: Batch, now_s: float) -> None:
        """Free the slot, or use it for the rest of the batch."""
        if batch.rest is not None:
            if self._open:
                rest, batch.rest = batch.rest, None
                self._begin(rest, now_s)
                return
            self._return_rest(batch)
        controller = self._controller
        controller.done()
        if not controller.running:
            self.idle.set()
        self._batch_ended(batch.queue, now_s)
