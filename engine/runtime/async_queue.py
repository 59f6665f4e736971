"""Asynchronous invocation: the queue between whoever waits for no answer and the functions.

Source: Lambda Developer Guide, "Asynchronous invocation"; what is AWS's and what is ours:
docs/decisions/0011-asynchronous-invocation.md.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import field
from decimal import Decimal
from functools import partial
from typing import Final

from engine.core.destinations import DestinationSender
from engine.core.engine_events import EngineEvent, EventDropped, EventsAbandoned
from engine.core.error_bodies import cancelled_body
from engine.core.event import Event
from engine.core.function import Account
from engine.core.invocation import Reply
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.core.recursion import RecursionGuard
from engine.core.retry import AsyncCounts, AsyncInvokeConfig, Condition, after_error, async_backoff_s
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Clock, Sink
from engine.runtime.destinations import DestinationDelivery, End
from engine.runtime.function_queue import FunctionQueue, PendingEvent
from engine.runtime.waits import await_outcome
from engine.timer import Timer

_THROTTLED: Final = Status.THROTTLED
_CANCELLED: Final = Status.CANCELLED
_NO_RATE: Final = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))
_STOPPED: Final = "EngineStopped"
_BATCH: Final = 256
"""How many held events one turn of the loop tries, so that a long queue does not hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncParts:
    """What the queue is built with besides the sink it feeds.

    Attributes:
        loop: For timers.
        clock: The engine clock.
        account: For ARNs, and for how long events wait for another attempt.
        config_of: The config that applies to an event now, also of a function that is gone.
        counts: The counters of a function. Raises KeyError if there is no such function.
        senders: The destinations that exist here, by service (`sqs`, `sns`, `events`, `s3`). `lambda`
            always does.
        new_request_id: For events that records become.
        notify: Takes the operational events.
        recursion: Says which events are one call too many of a loop.
    """

    loop: asyncio.AbstractEventLoop
    clock: Clock
    account: Account
    config_of: Callable[[Event], AsyncInvokeConfig]
    counts: Callable[[str], AsyncCounts]
    senders: Mapping[str, DestinationSender]
    new_request_id: Callable[[], str]
    notify: Callable[[EngineEvent], None]
    recursion: RecursionGuard = field(default_factory=RecursionGuard)


class AsyncQueue:
    """Takes events whose callers wait for nothing, and runs each until it ends well or is given up.

    A `Sink`: `submit` returns once the event is accepted. `reply` is called once, when no more is done for
    the event, with the outcome of its last attempt. Events run at least once: none is lost between attempts,
    and one may run more than once. The request id is the same in all attempts.
    """

    def __init__(self, sink: Sink, parts: AsyncParts) -> None:
        self._sink = sink
        self._parts = parts
        self._loop = parts.loop
        self._now = parts.clock.now
        self._wait_s = parts.account.retry_wait_s
        self._timer = Timer(parts.loop, parts.clock, self._on_due)
        self._due: list[tuple[float, int, PendingEvent | FunctionQueue]] = []  # a heap: retries and probes
        self._queues: dict[tuple[str, str | None], FunctionQueue] = {}
        self._queues_of: dict[str, dict[FunctionQueue, None]] = {}  # by function; none that is empty
        self._order = itertools.count()
        self._closed = False
        self._destinations = DestinationDelivery(
            self.submit,
            parts.clock,
            parts.account,
            senders=parts.senders,
            new_request_id=parts.new_request_id,
            notify=parts.notify,
        )

    # ---------------------------------------------------------------- Sink

    def submit(self, event: Event, reply: Reply, /) -> None:
        """Accept `event`. Raises FunctionNotFound or NotAccepting, and then it was not accepted."""
        if self._closed:
            raise NotAccepting("draining")
        key = (event.function, event.qualifier)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._new_queue(key)
        event.freeze_payload()  # for further attempts: the handler gets, and may change, its document
        now_s = self._now()
        pending = PendingEvent(event, reply, queue, now_s, next(self._order))
        queue.open[pending] = None
        queue.counts.accepted += 1
        if event.trace_id is not None and self._parts.recursion.stops(event.function, event.trace_id):
            self._give_up(pending, Condition.RECURSIVE_INVOCATION)
            return
        if queue.held:
            self._hold_and_probe(pending)
            return
        queue.counts.aged(0.0)
        try:
            self._sink.submit(event, partial(self._attempt_ended, pending))
        except (FunctionNotFound, NotAccepting):
            queue.counts.accepted -= 1
            self._forget(pending)
            raise

    def send_records(self, event: Event, outcome: Outcome) -> None:
        """Send the records of a durable execution that has ended: it was started for an event of type Event.

        Such an event never was in the queue; nothing is done again for it.
        """
        key = (event.function, event.qualifier)
        try:
            queue = self._queues.get(key) or self._new_queue(key)
        except FunctionNotFound:
            return  # nothing says any more where it goes
        pending = PendingEvent(event, _ignore, queue, self._now(), next(self._order))
        queue.open[pending] = None
        queue.counts.accepted += 1
        pending.runs, pending.last = 1, outcome
        if outcome.ok:
            self._succeeded(pending, outcome)
        elif outcome.status is _CANCELLED:
            self._abandon(pending, _STOPPED)
        else:
            self._give_up(pending, Condition.RETRIES_EXHAUSTED)

    async def invoke(self, event: Event, /) -> Outcome:
        """Submit `event` and wait until no more is done for it, retries included."""
        return await await_outcome(self._loop, self.submit, event)

    # ---------------------------------------------------------------- life

    def close(self) -> int:
        """Take nothing new, and give up what waits for another attempt: how many events that were.

        Failure destinations get their records, as far as they still take any. What runs now may end; if it
        fails it is given up too. To be called before the sink is drained.
        """
        if self._closed:
            return 0
        self._closed = True
        self._timer.cancel()
        self._due.clear()
        abandoned = 0
        for queue in list(self._queues.values()):
            queue.held.clear()
            abandoned += self._abandon_waiting(queue)
        return abandoned

    @property
    def waiting(self) -> int:
        """Events that wait for their next attempt."""
        return sum(pending.waiting for queue in self._queues.values() for pending in queue.open)

    @property
    def unfinished(self) -> int:
        """Events that are not done with: those that wait, and those that run."""
        return sum(len(queue.open) for queue in self._queues.values())

    # ---------------------------------------------------------------- results of attempts

    def _attempt_ended(self, pending: PendingEvent, outcome: Outcome) -> None:
        status = outcome.status
        if status is _THROTTLED or status is _CANCELLED:
            self._refused(pending, outcome)
            return
        queue = pending.queue
        pending.runs += 1
        pending.last = outcome
        queue.refusals = 0
        if outcome.ok:
            self._succeeded(pending, outcome)
        else:
            self._failed(pending)
        if queue.held:
            queue.credits += 1
            self._release_soon(queue)

    def _succeeded(self, pending: PendingEvent, outcome: Outcome) -> None:
        pending.queue.counts.delivered += 1
        on_success = self._parts.config_of(pending.event).on_success
        if on_success is not None:
            end = End(pending.event, Condition.SUCCESS, pending.runs, outcome)
            self._destinations.succeeded(end, on_success, pending.queue.counts)
        self._forget(pending)
        pending.reply(outcome)

    def _failed(self, pending: PendingEvent) -> None:
        if self._closed:
            self._abandon(pending, _STOPPED)
            return
        age_s = self._now() - pending.accepted_s
        decision = after_error(pending.runs, age_s, self._parts.config_of(pending.event), self._wait_s)
        if isinstance(decision, Condition):
            self._give_up(pending, decision)
            return
        pending.queue.counts.retried += 1
        self._wait(pending)
        self._set_due(self._now() + decision, pending)

    def _refused(self, pending: PendingEvent, outcome: Outcome) -> None:
        """Hold an event that was throttled, or whose driver was replaced before it could run."""
        queue = pending.queue
        pending.refusal = outcome
        if self._closed:
            self._abandon(pending, _STOPPED)
            return
        config = self._parts.config_of(pending.event)
        if config.disabled:
            self._give_up(pending, Condition.ZERO_RESERVED_CONCURRENCY)
            return
        self._hold(pending)
        if queue.probe_s is None:
            self._schedule_probe(queue, config)

    def _schedule_probe(self, queue: FunctionQueue, config: AsyncInvokeConfig) -> None:
        """Try again later whether there is concurrency; give up events that will be too old by then."""
        queue.refusals += 1
        queue.probe_s = self._now() + async_backoff_s(queue.refusals, self._wait_s)
        self._set_due(queue.probe_s, queue)
        while queue.held and queue.held[0][1].accepted_s + config.maximum_event_age_s < queue.probe_s:
            _, pending = heapq.heappop(queue.held)
            self._give_up(pending, Condition.EVENT_AGE_EXCEEDED)

    # ---------------------------------------------------------------- attempts

    def _hold(self, pending: PendingEvent) -> None:
        queue = pending.queue
        self._wait(pending)
        heapq.heappush(queue.held, (pending.number, pending))

    def _wait(self, pending: PendingEvent) -> None:
        if not pending.waiting:
            pending.waiting = True
            pending.queue.counts.waiting += 1

    def _set_due(self, due_s: float, what: PendingEvent | FunctionQueue) -> None:
        heapq.heappush(self._due, (due_s, next(self._order), what))
        self._timer.at(due_s)

    def _on_due(self, now_s: float) -> float | None:
        while self._due and self._due[0][0] <= now_s:
            _, _, what = heapq.heappop(self._due)
            if isinstance(what, PendingEvent):
                self._retry(what)
            elif what.probe_s is not None and what.probe_s <= now_s:  # else the probe was moved
                what.probe_s = None
                self._release(what, _BATCH)
        return self._due[0][0] if self._due else None

    def _retry(self, pending: PendingEvent) -> None:
        if pending.queue.held:
            self._hold_and_probe(pending)
        else:
            self._attempt(pending)

    def _hold_and_probe(self, pending: PendingEvent) -> None:
        """Hold it with the others, and try soon: its own back-off has only begun."""
        queue = pending.queue
        self._hold(pending)
        soon_s = self._now() + async_backoff_s(1, self._wait_s)
        if queue.probe_s is None or queue.probe_s > soon_s:
            queue.probe_s = soon_s
            self._set_due(soon_s, queue)

    def _release_soon(self, queue: FunctionQueue) -> None:
        """Use the credits at the next turn of the loop: the driver is not done with its last invocation."""
        if not queue.is_release_scheduled:
            queue.is_release_scheduled = True
            self._loop.call_soon(self._use_credits, queue)

    def _use_credits(self, queue: FunctionQueue) -> None:
        queue.is_release_scheduled = False
        count, queue.credits = queue.credits, 0
        self._release(queue, count)

    def _release(self, queue: FunctionQueue, count: int) -> None:
        """Try up to `count` of those that are held, oldest first, until one is throttled."""
        for _ in range(count):
            if not queue.held:
                return
            _, pending = heapq.heappop(queue.held)
            self._attempt(pending)
            if pending.waiting:
                return
            queue.refusals = 0
        if queue.held and count == _BATCH:
            queue.credits += _BATCH
            self._release_soon(queue)

    def _attempt(self, pending: PendingEvent) -> None:
        now_s = self._now()
        pending.waiting = False
        counts = pending.queue.counts
        counts.waiting -= 1
        counts.aged(now_s - pending.accepted_s)
        event = pending.event = _for_retry(pending.event, pending.trace_id, now_s)
        try:
            self._sink.submit(event, partial(self._attempt_ended, pending))
        except (FunctionNotFound, NotAccepting) as error:
            self._abandon(pending, str(error))

    # ---------------------------------------------------------------- ends

    def _give_up(self, pending: PendingEvent, condition: Condition) -> None:
        """Drop it as AWS would."""
        counts = pending.queue.counts
        match condition:
            case Condition.EVENT_AGE_EXCEEDED:
                counts.expired += 1
            case Condition.ZERO_RESERVED_CONCURRENCY:
                counts.refused += 1
            case Condition.RECURSIVE_INVOCATION:
                counts.recursive += 1
            case _:
                counts.exhausted += 1
        self._notify_dropped(pending, condition.value, handed_over=self._send_failure(pending, condition))
        self._finish(pending)

    def _abandon(self, pending: PendingEvent, reason: str) -> None:
        """Drop it because its function is gone, or the engine stops."""
        pending.queue.counts.abandoned += 1
        handed_over = self._send_failure(pending, Condition.EVENT_AGE_EXCEEDED)
        self._notify_dropped(pending, reason, handed_over=handed_over)
        self._finish(pending)

    def _abandon_waiting(self, queue: FunctionQueue) -> int:
        """Drop all that wait, since the engine stops, with one notice; returns how many."""
        waiting = [pending for pending in queue.open if pending.waiting]
        if not waiting:
            return 0
        counts, handed_over = queue.counts, 0
        for pending in waiting:
            counts.abandoned += 1
            handed_over += self._send_failure(pending, Condition.EVENT_AGE_EXCEEDED)
            self._finish(pending)
        self._parts.notify(
            EventsAbandoned(function=queue.key[0], count=len(waiting), handed_over=handed_over)
        )
        return len(waiting)

    def _send_failure(self, pending: PendingEvent, condition: Condition) -> bool:
        """Send the record or the event to its destinations; returns whether any has it now."""
        end = End(pending.event, condition, pending.runs, pending.last)
        return self._destinations.failed(end, self._parts.config_of(pending.event), pending.queue.counts)

    def _notify_dropped(self, pending: PendingEvent, reason: str, *, handed_over: bool) -> None:
        event = pending.event
        self._parts.notify(
            EventDropped(
                function=event.function,
                request_id=event.request_id,
                reason=reason,
                runs=pending.runs,
                handed_over=handed_over,
            )
        )

    def _finish(self, pending: PendingEvent) -> None:
        """Forget it, and reply to whoever waits for it."""
        self._forget(pending)
        pending.reply(pending.last or pending.refusal or _not_run_outcome(pending.event.request_id))

    # ---------------------------------------------------------------- queues

    def _new_queue(self, key: tuple[str, str | None]) -> FunctionQueue:
        try:
            counts = self._parts.counts(key[0])
        except KeyError:
            raise FunctionNotFound(key[0]) from None
        queue = self._queues[key] = FunctionQueue(key, counts)
        queues = self._queues_of.setdefault(key[0], {})
        queues[queue] = None
        counts.oldest_age_s = partial(self._oldest_age_s, queues)
        return queue

    def _forget(self, pending: PendingEvent) -> None:
        queue = pending.queue
        del queue.open[pending]
        if pending.waiting:
            pending.waiting = False
            queue.counts.waiting -= 1
        if not queue.open:
            del self._queues[queue.key]
            queues = self._queues_of[queue.key[0]]
            del queues[queue]
            if not queues:
                del self._queues_of[queue.key[0]]

    def _oldest_age_s(self, queues: dict[FunctionQueue, None]) -> float:
        """Age of the oldest event in the queues of one function, seconds. Called at each scrape."""
        oldest = [next(iter(queue.open)).accepted_s for queue in queues if queue.open]
        return self._now() - min(oldest) if oldest else 0.0


def _ignore(_outcome: Outcome) -> None:
    """Nobody waits for it."""


def _for_retry(event: Event, trace_id: str | None, now_s: float) -> Event:
    """The same event for another attempt: its wait begins now, and its document is decoded anew."""
    again = Event(
        event.function,
        event.payload,
        event.request_id,
        now_s,
        event.trigger,
        trace_id=trace_id,
        client_context=event.client_context,
        qualifier=event.qualifier,
    )
    again.version = event.version
    return again


def _not_run_outcome(request_id: str) -> Outcome:
    return Outcome(_CANCELLED, cancelled_body(request_id), request_id, _NO_RATE)
