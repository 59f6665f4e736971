"""One mapping: receives messages of a queue in batches, and invokes a function for each batch.

It works by credit: a message is received when a batch for it may be sent, and not before. How many batches
may run at a time, a policy of `engine.core.scaling.pollers` says.

Source: Lambda Developer Guide, "Using Lambda with Amazon SQS", "Configuring scaling behavior for SQS event
source mappings".
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Final

from engine.core.recursion import RecursionGuard
from engine.ports import Clock, Sink
from engine.services.sqs.message import Message
from engine.services.sqs.queue import Queue
from engine.sources.sqs.batch import Batch
from engine.sources.sqs.batching_window import BatchingWindow
from engine.sources.sqs.concurrency import (
    DECIDE_EVERY_S,
    ConcurrencyController,
    MappingPlan,
    MappingStatistics,
)
from engine.sources.sqs.delivery import BatchDelivery
from engine.sources.sqs.mapping_counts import MappingCounts
from engine.sources.sqs.records import Records
from engine.sources.sqs.settings import EXTRA_VISIBILITY_S

_BATCHES_A_TURN: Final = 32
"""How many are taken before whatever else waits for the event loop gets its turn."""
_MAX_AT_ONCE: Final = 100
"""Messages one receive gives at the most, so that little more is received than fits into a payload."""


class MappingPoller:
    """Polls one queue for one function, until `stop`.

    Attributes:
        plan: How it works.
        counts: What it has done.
        idle: Set while nothing of it runs.
    """

    def __init__(
        self,
        plan: MappingPlan,
        sink: Sink,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        new_request_id: Callable[[], str],
        counts: MappingCounts,
        recursion: RecursionGuard,
    ) -> None:
        self.plan = plan
        self.counts = counts
        self._now = clock.now
        self._loop = loop
        self._controller = ConcurrencyController(plan.policy, plan.max_concurrency, clock.now())
        self._delivery = BatchDelivery(
            plan,
            self._controller,
            counts,
            sink,
            clock,
            loop,
            new_request_id,
            recursion,
            batch_ended=self._batch_ended,
            rejected=self.stop,
        )
        self.idle = self._delivery.idle
        self._queue: Queue | None = None
        self._records: Records | None = None  # of the queue
        self._open = True
        self._pumping = self._scheduled = self._waiting = False
        self._tick: asyncio.TimerHandle | None = None
        self._window = BatchingWindow(plan.batch_size, plan.window_s, loop, clock, self._pump)

    # --- from above

    def attach(self, queue: Queue, records: Records) -> None:
        """Poll `queue` from now on. Batches of an earlier queue are still completed there."""
        self._stop_waiting()
        self._window.end()  # what is gathered belongs to the earlier queue
        self._queue, self._records = queue, records
        self._schedule()

    def stop(self) -> None:
        """Stop receiving. Batches that run may end; messages not submitted yet are returned at once."""
        self._open = False
        self._stop_waiting()
        if self._tick is not None:
            self._tick.cancel()
        self._tick = None
        gathered = self._window.close()
        if gathered is not None:
            self._delivery.give_back(gathered)
        self._delivery.stop()

    def statistics(self) -> MappingStatistics:
        """The numbers now. Asks the policy too, because nothing else does while the queue is idle."""
        now_s = self._now()
        queue, controller, oldest_s = self._queue, self._controller, None
        if queue is not None:
            queue.messages.tick(now_s)
            oldest_s = queue.messages.statistics().oldest_s
        if self._open:
            self._decide(now_s)
        return MappingStatistics(
            running=controller.running,
            wanted=controller.wanted,
            reason=controller.reason,
            backlog=queue.messages.visible if queue is not None else 0,
            oldest_age_s=max(0.0, now_s - oldest_s) if oldest_s is not None else 0.0,
        )

    # --- when to look after the queue

    def _decide(self, now_s: float) -> None:
        queue = self._queue
        if queue is None or not queue.messages.visible:
            self._controller.decide(now_s)
        else:
            oldest_s = queue.messages.statistics().oldest_s or now_s
            self._controller.decide(
                now_s, math.ceil(queue.messages.visible / self.plan.batch_size), now_s - oldest_s
            )

    def _schedule(self) -> None:
        """Poll after this turn of the loop, so that messages sent within it share batches."""
        if not self._scheduled and self._open and self._queue is not None:
            self._scheduled = True
            self._loop.call_soon(self._scheduled_pump)

    def _scheduled_pump(self) -> None:
        self._scheduled = False
        self._pump()

    def _ticked(self) -> None:
        self._tick = None
        self._pump()

    def _batch_ended(self, queue: Queue, now_s: float) -> None:
        """A batch has ended."""
        if queue.waiting:
            queue.wake_waiters(now_s)
        self._pump()

    def _wait_for_messages(self, queue: Queue, now_s: float) -> None:
        if not self._waiting:
            self._waiting = True
            queue.wait(self._on_message)
            queue.wake_waiters(now_s)

    def _on_message(self, now_s: float) -> None:
        """Called by the queue when a message is visible and it is this poller's turn."""
        self._waiting = False
        if not self._open or self._queue is None:
            return
        self._controller.decide(
            now_s
        )  # there was nothing to do until now: what has just come is no reason to grow
        self._decide(now_s)
        if self._queue.waiting:  # others wait too: a turn that is not used now goes to them
            self._pump()
        else:
            self._schedule()

    def _stop_waiting(self) -> None:
        if self._waiting and self._queue is not None:
            self._queue.forget(self._on_message)
        self._waiting = False

    # --- receiving

    def _pump(self) -> None:
        """Receive and send batches while slots are free and messages are visible."""
        queue, controller = self._queue, self._controller
        if not self._open or self._pumping or queue is None:
            return
        self._pumping = True
        try:
            now_s = self._now()
            if now_s - controller.decided_s >= DECIDE_EVERY_S:
                queue.messages.tick(now_s)
                self._decide(now_s)
            turns = _BATCHES_A_TURN
            while controller.running < controller.allowed:
                if not turns:
                    self._schedule()
                    return
                turns -= 1
                if not self._serve(queue, now_s):
                    return
            if self._tick is None and self._open:
                if self._window.is_open or queue.ready():
                    self._tick = self._loop.call_later(DECIDE_EVERY_S, self._ticked)
                else:
                    self._wait_for_messages(queue, now_s)
        finally:
            self._pumping = False

    def _serve(self, queue: Queue, now_s: float) -> bool:
        """Use one free slot; False if there is nothing more to do now."""
        complete = self._window.take_complete(now_s)
        if complete is None:
            received = self._receive(queue, min(self._window.room, _MAX_AT_ONCE), now_s)
            if received is None:
                self._wait_for_messages(queue, now_s)
                return False
            if not received.messages:  # none of them passed the filters
                return True
            complete = self._window.gather(received, now_s)
        if complete is not None:
            self._delivery.send(complete, now_s)
        return self._open  # the engine may have stopped the mapping

    def _receive(self, queue: Queue, max_count: int, now_s: float) -> Batch | None:
        """Receive up to `max_count` messages; None if there are none. Deletes those no filter matches."""
        plan = self.plan
        held_s = plan.window_s + plan.busy_s()
        visibility_s: float = queue.policy.visibility_s
        extended_s = held_s + EXTRA_VISIBILITY_S if held_s > visibility_s else None
        messages, records = queue.receive(max_count, now_s, extended_s), self._records
        if not messages:
            return None
        assert records is not None  # they came with the queue
        self.counts.polled += len(messages)
        if plan.criteria:
            messages = self._passing(queue, records, messages, now_s)
        until_s = now_s + (visibility_s if extended_s is None else extended_s)
        receipts = [message.receipt for message in messages]
        return Batch(queue, messages, receipts, records.make(messages, now_s), until_s)

    def _passing(
        self, queue: Queue, records: Records, messages: list[Message], now_s: float
    ) -> list[Message]:
        """The messages that a filter matches; the others are deleted."""
        passes = self.plan.criteria.passes
        passing, dropped = [], []
        for message in messages:
            if passes(message.body, partial(records.one, message, now_s)):
                passing.append(message)
            else:
                dropped.append(message.receipt)
        self.counts.filtered += len(dropped)
        queue.delete_all(dropped, now_s)
        return passing
