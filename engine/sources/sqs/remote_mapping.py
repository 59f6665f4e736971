"""One mapping from a queue elsewhere: polls it over the network, and invokes a function for each batch.

It has as many pollers as batches may run; each receives one, runs it and is done with it before the next.
Source: Lambda Developer Guide, "Using Lambda with Amazon SQS", "Handling errors for an SQS event source in
Lambda".
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import anyio

from engine.core.event import Event
from engine.core.outcome import Outcome, Status
from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.core.retry import FIRST_BATCH_BACKOFF_S, LONGEST_BATCH_BACKOFF_S, backoff_s
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Clock, Sink
from engine.services.sqs.settings import FIFO_SUFFIX, MAX_OF_ONE_RECEIVE
from engine.sources.sqs.batch_failures import failed_items, in_order
from engine.sources.sqs.concurrency import (
    DECIDE_EVERY_S,
    ConcurrencyController,
    MappingPlan,
    MappingStatistics,
)
from engine.sources.sqs.mapping_counts import MappingCounts
from engine.sources.sqs.records import Record, fitting, size_of
from engine.sources.sqs.remote_port import (
    LONGEST_WAIT_S,
    RemoteError,
    RemoteMessage,
    RemoteQueue,
    record_of,
)
from engine.sources.sqs.settings import EXTRA_VISIBILITY_S

_log = logging.getLogger("engine.sqs")

_LONGEST_PAUSE_S: Final = 30.0
_LATENCY_S: Final = 1.0
"""A timeout that ends so shortly before its time is not worth a call."""


class _Key(NamedTuple):
    """The members of a record that are needed after the run: a handler may change its event."""

    message_id: str
    group: str | None
    handle: str


class _Batch(NamedTuple):
    """Records, and until when they are invisible elsewhere."""

    records: list[Record]
    keys: list[_Key]
    until_s: float

    @property
    def handles(self) -> list[str]:
        return [key.handle for key in self.keys]


class RemoteMapping:
    """Polls one queue for one function, from `run` until it is told to stop.

    What cannot be deleted because the queue is out of reach comes again: a message runs at least once.
    """

    def __init__(
        self,
        plan: MappingPlan,
        queue: RemoteQueue,
        sink: Sink,
        clock: Clock,
        new_request_id: Callable[[], str],
        counts: MappingCounts,
        say: Callable[[str], None],
    ) -> None:
        """`say` logs a line for the operator."""
        self._plan = plan
        self._queue = queue
        self._fifo = queue.arn.endswith(FIFO_SUFFIX)
        self._sink = sink
        self._now = clock.now
        self._new_request_id = new_request_id
        self._counts = counts
        self._say = say
        self._controller = ConcurrencyController(plan.policy, plan.max_concurrency, clock.now())
        self._open = True
        self._polls: set[anyio.CancelScope] = set()
        self._pollers = 0
        self._full = False
        self._troubles = 0

    async def run(self, stopping: anyio.Event) -> None:
        """Poll until `stopping`; then let batches that run end, and return all others to the queue."""
        async with anyio.create_task_group() as group:
            while self._open and not stopping.is_set():
                # The backlog is unknown. If the last receive was full, it is taken to be what is in work.
                self._controller.decide(self._now(), max(self._controller.running, 1) if self._full else 0)
                for _ in range(self._controller.allowed - self._pollers):
                    self._pollers += 1
                    group.start_soon(self._poll)
                with anyio.move_on_after(DECIDE_EVERY_S):
                    await stopping.wait()
            self._open = False
            for scope in self._polls:
                scope.cancel()

    def statistics(self) -> MappingStatistics:
        """The numbers now. The queue's own are not asked for: that would be a call each time."""
        controller = self._controller
        return MappingStatistics(
            running=controller.running,
            wanted=controller.wanted,
            reason=controller.reason,
            backlog=0,
            oldest_age_s=0.0,
        )

    # --- receiving

    async def _poll(self) -> None:
        """Run one poller, until there are more pollers than wanted."""
        while self._open and self._pollers <= self._controller.allowed:
            try:
                await self._serve_one()
            except Exception:  # a bug of ours: it must not end the others, and the engine  # noqa: BLE001
                _log.exception("the mapping of %s to %s failed", self._queue.arn, self._plan.function)
                await self._pause(_LONGEST_PAUSE_S)  # what it had received comes again
        self._pollers -= 1

    async def _serve_one(self) -> None:
        batch = await self._gather()
        if batch is not None:
            self._controller.began()
            try:
                await self._deliver(batch)
            finally:
                self._controller.done()

    async def _gather(self) -> _Batch | None:
        """A batch: what one receive gave, or all of a window."""
        plan = self._plan
        batch = await self._receive(plan.batch_size, LONGEST_WAIT_S)
        due_s = self._now() + plan.window_s
        while batch is not None and self._open:
            left_s, room = due_s - self._now(), plan.batch_size - len(batch.records)
            if left_s <= 0 or room <= 0 or size_of(batch.records) >= MAX_EVENT_BYTES:
                break
            if left_s < 1:  # a receive waits for whole seconds
                await self._pause(left_s)
                break
            more = await self._receive(room, min(int(left_s), LONGEST_WAIT_S))
            if more is not None:
                batch.records.extend(more.records)
                batch.keys.extend(more.keys)
        if batch is not None and not self._open:
            await self._give_back(batch)
            return None
        return batch

    async def _receive(self, room: int, wait_s: int) -> _Batch | None:
        """One receive; None if it gave nothing that passes. Ended at once when the mapping is."""
        plan = self._plan
        held_s, visibility_s = plan.window_s + plan.busy_s(), self._queue.visibility_s
        extended_s = held_s + EXTRA_VISIBILITY_S if held_s > visibility_s else None
        max_count = min(room, MAX_OF_ONE_RECEIVE)
        messages: list[RemoteMessage] = []
        with anyio.CancelScope() as scope:
            self._polls.add(scope)
            try:
                messages = await self._queue.receive(max_count, wait_s, extended_s)
                if self._troubles:
                    self._say(f"{self._queue.arn}: answers again")
                self._troubles = 0
            except RemoteError as error:
                await self._recover(error)
            finally:
                self._polls.discard(scope)
        self._full = len(messages) == max_count
        self._counts.polled += len(messages)
        until_s = self._now() + (visibility_s if extended_s is None else extended_s)
        arn, windowed = self._queue.arn, bool(plan.window_s)
        passing = await self._passing([record_of(message, arn, windowed=windowed) for message in messages])
        return _Batch(passing, list(map(_key, passing)), until_s) if passing else None

    async def _recover(self, error: RemoteError) -> None:
        """Log the first of several failures, and wait longer after each."""
        if not self._troubles:
            self._say(f"{self._queue.arn}: {error}; it is tried again")
        self._troubles += 1
        await anyio.sleep(min(2.0 ** min(self._troubles - 1, 10), _LONGEST_PAUSE_S))

    async def _pause(self, seconds: float) -> None:
        """Wait for `pause_s` seconds, or until the mapping is stopped."""
        if not self._open:
            return
        with anyio.CancelScope() as scope:
            self._polls.add(scope)
            try:
                await anyio.sleep(seconds)
            finally:
                self._polls.discard(scope)

    async def _passing(self, records: list[Record]) -> list[Record]:
        criteria = self._plan.criteria
        if not criteria:
            return records
        passing: list[Record] = []
        dropped: list[str] = []
        for record in records:
            if criteria.passes(record["body"], partial(_identity, record)):
                passing.append(record)
            else:
                dropped.append(record["receiptHandle"])
        self._counts.filtered += len(dropped)
        await self._delete(dropped)
        return passing

    # --- delivering

    async def _deliver(self, batch: _Batch) -> None:
        """Deliver a batch in as many invocations as its payload needs."""
        rest = batch
        while rest.records:
            count = fitting(rest.records)
            part = _Batch(rest.records[:count], rest.keys[:count], rest.until_s)
            rest = _Batch(rest.records[count:], rest.keys[count:], rest.until_s)
            outcome = await self._outcome(part)
            failed = await self._finish(part, outcome)
            if rest.records and (outcome is None or (failed and self._fifo)):
                await self._give_back(rest)  # it may hold what comes after a message that failed
                return

    async def _outcome(self, part: _Batch) -> Outcome | None:
        """The outcome of an invocation; None if the function could not be run."""
        plan, refusals, extended = self._plan, 0, False
        while True:
            now_s = self._now()
            if now_s + plan.busy_s() > part.until_s + _LATENCY_S:
                await self._hide(part, plan.busy_s() + EXTRA_VISIBILITY_S)
                extended = True
            document, request_id = {"Records": part.records}, self._new_request_id()
            event = Event(plan.function, None, request_id, now_s, "sqs", document, qualifier=plan.qualifier)
            try:
                outcome = await self._sink.invoke(event)
            except FunctionNotFound:
                pass
            except NotAccepting:
                self._open = False
                await self._give_back(part)
                return None
            else:
                if outcome.status is not Status.THROTTLED:
                    self._controller.ran(self._now() - now_s)
                    return outcome
                self._counts.throttled += 1
            refusals += 1
            self._controller.throttled()
            delay_s = backoff_s(refusals, FIRST_BATCH_BACKOFF_S, LONGEST_BATCH_BACKOFF_S)
            if self._now() + delay_s >= part.until_s:
                self._counts.returned += len(part.keys)
                if extended:  # what no function gets is hidden for its first timeout only
                    await self._hide(part, max(0.0, part.until_s - self._now()))
                return None
            await self._pause(delay_s)
            if not self._open:
                await self._give_back(part)
                return None

    async def _finish(self, part: _Batch, outcome: Outcome | None) -> bool:
        """Delete the messages that did not fail. Returns whether any failed: those are redelivered."""
        plan, counts, size = self._plan, self._counts, len(part.keys)
        if outcome is None:
            return True
        if outcome.status is Status.CANCELLED:  # the engine stops: how far the handler got is unknown
            counts.returned += size
            return True
        counts.sent(size)
        counts.delivered += size
        if not outcome.ok and not plan.reporting:  # with it, AWS does not poll less
            self._controller.failed()
        failed = failed_items(outcome, [key.message_id for key in part.keys], reporting=plan.reporting)
        if plan.keep_group_order:
            failed = in_order(failed, [key[:2] for key in part.keys])
        failed = set(failed)
        done = [key.handle for key in part.keys if key.message_id not in failed]
        counts.failed += size - len(done)
        counts.deleted += len(done)
        await self._delete(done)
        return bool(failed)

    async def _delete(self, handles: Sequence[str]) -> None:
        try:
            await self._queue.delete(handles)
        except RemoteError as error:
            self._say(f"{self._queue.arn}: messages could not be deleted, and come again: {error}")

    async def _give_back(self, batch: _Batch) -> None:
        self._counts.returned += len(batch.keys)
        await self._hide(batch, 0)

    async def _hide(self, batch: _Batch, visibility_s: float) -> None:
        try:
            await self._queue.hide(batch.handles, math.ceil(visibility_s))
        except RemoteError as error:
            self._say(f"{self._queue.arn}: the timeout of messages could not be changed: {error}")


def _identity(record: Record) -> Record:
    return record


def _key(record: Record) -> _Key:
    return _Key(record["messageId"], record["attributes"].get("MessageGroupId"), record["receiptHandle"])
