"""Asynchronous invocation: the queue between whoever waits for no answer and the functions.

Source: Lambda Developer Guide, "Asynchronous invocation"; what is AWS's and what is ours:
docs/decisions/0011-asynchronous-invocation.md.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from engine.core.billing import Rate
from engine.core.destinations import DestinationSender
from engine.core.engine_events import EngineEvent, EventDropped, EventsAbandoned
from engine.core.event import Event
from engine.core.failure import cancelled_body
from engine.core.function import Account
from engine.core.invocation import Reply
from engine.core.outcome import Outcome, Status
from engine.core.retry import AsyncCounts, AsyncInvokeConfig, Condition, after_error, backoff_s
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Clock, Sink
from engine.runtime.destinations import DestinationDelivery, End
from engine.runtime.function_queue import FunctionQueue, PendingEvent
from engine.runtime.invoke import invoke
from engine.timer import Timer

_THROTTLED: Final = Status.THROTTLED
_CANCELLED: Final = Status.CANCELLED
_FREE: Final = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))
_SOON_S: Final = backoff_s(1)
_STOPPED: Final = "EngineStopped"
_AT_ONCE: Final = 256
"""How many events one turn of the loop tries, so that a long queue does not hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncParts:
    """What the queue is built with besides the sink it feeds.

    Attributes:
        loop: For timers.
        clock: Age is told by it.
        account: For ARNs.
        terms: What applies to an event now; it knows every function, those that are gone too.
        counts: The counters of a function. Raises KeyError if there is no such function.
        senders: By service (`sqs`, `sns`, `events`, `s3`): those destinations that exist here. `lambda`
            always does.
        new_request_id: For events that records become.
        notify: Told what an operator should know.
    """

    loop: asyncio.AbstractEventLoop
    clock: Clock
    account: Account
    terms: Callable[[Event], AsyncInvokeConfig]
    counts: Callable[[str], AsyncCounts]
    senders: Mapping[str, DestinationSender]
    new_request_id: Callable[[], str]
    notify: Callable[[EngineEvent], None]


class AsyncQueue:
    """Takes events whose callers wait for nothing, and runs each until it ends well or is given up.

    A `Sink`: `submit` returns once the event is taken. `reply` is called once, when the event is done
    with, with the outcome of its last attempt. At least once: an event is never lost between attempts, and
    may run more than once. The request id is the same in all attempts.
    """

    def __init__(self, sink: Sink, parts: AsyncParts) -> None:
        self._sink = sink
        self._parts = parts
        self._loop = parts.loop
        self._now = parts.clock.now
        self._alarm = Timer(parts.loop, parts.clock, self._ring)
        self._agenda: list[tuple[float, int, PendingEvent | FunctionQueue]] = []  # a heap: retries and probes
        self._lanes: dict[tuple[str, str | None], FunctionQueue] = {}
        self._lanes_of: dict[str, dict[FunctionQueue, None]] = {}  # by function; none that is empty
        self._order = itertools.count()
        self._closed = False
        self._handover = DestinationDelivery(
            self.submit,
            parts.clock,
            parts.account,
            senders=parts.senders,
            new_request_id=parts.new_request_id,
            notify=parts.notify,
        )

    # ---------------------------------------------------------------- Sink

    def submit(self, event: Event, reply: Reply, /) -> None:
        """Take `event`. Raises FunctionNotFound or NotAccepting, and then it was not taken."""
        if self._closed:
            raise NotAccepting("draining")
        key = (event.function, event.qualifier)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._new_lane(key)
        event.payload  # noqa: B018  # its document goes to the handler: the text is made while it is there
        now_s = self._now()
        delivery = PendingEvent(event, reply, lane, now_s, next(self._order))
        lane.open[delivery] = None
        lane.counts.accepted += 1
        if lane.held:
            self._join(delivery)
            return
        lane.counts.aged(0.0)
        try:
            self._sink.submit(event, partial(self._ended, delivery))
        except (FunctionNotFound, NotAccepting):
            lane.counts.accepted -= 1
            self._forget(delivery)
            raise

    async def invoke(self, event: Event, /) -> Outcome:
        """The same; waits until the event is done with, retries and all."""
        return await invoke(self.submit, event)

    # ---------------------------------------------------------------- life

    def close(self) -> int:
        """Take nothing new, and give up what waits for another attempt: how many events that were.

        Failure destinations get their records, as far as they still take any. What runs now may end; if it
        fails it is given up too. To be called before the sink is drained.
        """
        if self._closed:
            return 0
        self._closed = True
        self._alarm.cancel()
        self._agenda.clear()
        abandoned = 0
        for lane in list(self._lanes.values()):
            lane.held.clear()
            abandoned += self._abandon_waiting(lane)
        return abandoned

    @property
    def waiting(self) -> int:
        """Events that wait for their next attempt."""
        return sum(delivery.waiting for lane in self._lanes.values() for delivery in lane.open)

    @property
    def unfinished(self) -> int:
        """Events that are not done with: those that wait, and those that run."""
        return sum(len(lane.open) for lane in self._lanes.values())

    # ---------------------------------------------------------------- what an attempt came to

    def _ended(self, delivery: PendingEvent, outcome: Outcome) -> None:
        status = outcome.status
        if status is _THROTTLED or status is _CANCELLED:
            self._not_run(delivery, outcome)
            return
        lane = delivery.lane
        delivery.runs += 1
        delivery.last = outcome
        lane.refusals = 0
        if outcome.ok:
            self._succeeded(delivery, outcome)
        else:
            self._failed(delivery)
        if lane.held:
            lane.credits += 1
            self._schedule(lane)

    def _succeeded(self, delivery: PendingEvent, outcome: Outcome) -> None:
        delivery.lane.counts.delivered += 1
        on_success = self._parts.terms(delivery.event).on_success
        if on_success is not None:
            end = End(delivery.event, Condition.SUCCESS, delivery.runs, outcome)
            self._handover.succeeded(end, on_success, delivery.lane.counts)
        self._forget(delivery)
        delivery.reply(outcome)

    def _failed(self, delivery: PendingEvent) -> None:
        if self._closed:
            self._abandon(delivery, _STOPPED)
            return
        age_s = self._now() - delivery.accepted_s
        verdict = after_error(delivery.runs, age_s, self._parts.terms(delivery.event))
        if isinstance(verdict, Condition):
            self._give_up(delivery, verdict)
            return
        delivery.lane.counts.retried += 1
        self._wait(delivery)
        self._put_on_agenda(self._now() + verdict, delivery)

    def _not_run(self, delivery: PendingEvent, outcome: Outcome) -> None:
        """A throttle; or what took it was replaced before it could run."""
        lane = delivery.lane
        delivery.refused = outcome
        if self._closed:
            self._abandon(delivery, _STOPPED)
            return
        terms = self._parts.terms(delivery.event)
        if terms.disabled:
            self._give_up(delivery, Condition.ZERO_RESERVED_CONCURRENCY)
            return
        self._hold(delivery)
        if lane.probe_s is None:
            self._back_off(lane, terms)

    def _back_off(self, lane: FunctionQueue, terms: AsyncInvokeConfig) -> None:
        """There is no concurrency: look again later, and give up those that will be too old by then."""
        lane.refusals += 1
        lane.probe_s = self._now() + backoff_s(lane.refusals)
        self._put_on_agenda(lane.probe_s, lane)
        while lane.held and lane.held[0][1].accepted_s + terms.maximum_event_age_s < lane.probe_s:
            _, delivery = heapq.heappop(lane.held)
            self._give_up(delivery, Condition.EVENT_AGE_EXCEEDED)

    # ---------------------------------------------------------------- attempts

    def _hold(self, delivery: PendingEvent) -> None:
        lane = delivery.lane
        self._wait(delivery)
        heapq.heappush(lane.held, (delivery.number, delivery))

    def _wait(self, delivery: PendingEvent) -> None:
        if not delivery.waiting:
            delivery.waiting = True
            delivery.lane.counts.waiting += 1

    def _put_on_agenda(self, due_s: float, what: PendingEvent | FunctionQueue) -> None:
        heapq.heappush(self._agenda, (due_s, next(self._order), what))
        self._alarm.at(due_s)

    def _ring(self, now_s: float) -> float | None:
        while self._agenda and self._agenda[0][0] <= now_s:
            _, _, what = heapq.heappop(self._agenda)
            if isinstance(what, PendingEvent):
                self._retry(what)
            elif what.probe_s is not None and what.probe_s <= now_s:  # else it was moved
                what.probe_s = None
                self._release(what, _AT_ONCE)
        return self._agenda[0][0] if self._agenda else None

    def _retry(self, delivery: PendingEvent) -> None:
        if delivery.lane.held:
            self._join(delivery)
        else:
            self._try(delivery)

    def _join(self, delivery: PendingEvent) -> None:
        """Wait with the others, and have it tried soon: its own back-off has only begun."""
        lane = delivery.lane
        self._hold(delivery)
        soon_s = self._now() + _SOON_S
        if lane.probe_s is None or lane.probe_s > soon_s:
            lane.probe_s = soon_s
            self._put_on_agenda(soon_s, lane)

    def _schedule(self, lane: FunctionQueue) -> None:
        """Let some of those that are held go, but not now: the driver is still about its last invocation."""
        if not lane.scheduled:
            lane.scheduled = True
            self._loop.call_soon(self._spend, lane)

    def _spend(self, lane: FunctionQueue) -> None:
        lane.scheduled = False
        count, lane.credits = lane.credits, 0
        self._release(lane, count)

    def _release(self, lane: FunctionQueue, count: int) -> None:
        """Try up to `count` of those that are held, oldest first, until one is refused."""
        for _ in range(count):
            if not lane.held:
                return
            _, delivery = heapq.heappop(lane.held)
            self._try(delivery)
            if delivery.waiting:
                return
            lane.refusals = 0
        if lane.held and count == _AT_ONCE:
            lane.credits += _AT_ONCE
            self._schedule(lane)

    def _try(self, delivery: PendingEvent) -> None:
        now_s = self._now()
        delivery.waiting = False
        counts = delivery.lane.counts
        counts.waiting -= 1
        counts.aged(now_s - delivery.accepted_s)
        event = delivery.event = _again(delivery.event, now_s)
        try:
            self._sink.submit(event, partial(self._ended, delivery))
        except (FunctionNotFound, NotAccepting) as error:
            self._abandon(delivery, str(error))

    # ---------------------------------------------------------------- ends

    def _give_up(self, delivery: PendingEvent, condition: Condition) -> None:
        """AWS would give it up too."""
        counts = delivery.lane.counts
        match condition:
            case Condition.EVENT_AGE_EXCEEDED:
                counts.expired += 1
            case Condition.ZERO_RESERVED_CONCURRENCY:
                counts.refused += 1
            case _:
                counts.exhausted += 1
        self._tell_dropped(delivery, condition.value, handed_over=self._hand_over(delivery, condition))
        self._finish(delivery)

    def _abandon(self, delivery: PendingEvent, reason: str) -> None:
        """Its function is gone, or the engine stops: no time is left for it."""
        delivery.lane.counts.abandoned += 1
        handed_over = self._hand_over(delivery, Condition.EVENT_AGE_EXCEEDED)
        self._tell_dropped(delivery, reason, handed_over=handed_over)
        self._finish(delivery)

    def _abandon_waiting(self, lane: FunctionQueue) -> int:
        """The engine stops: one notice for all of them, which may be many. Returns how many."""
        waiting = [delivery for delivery in lane.open if delivery.waiting]
        if not waiting:
            return 0
        counts, handed_over = lane.counts, 0
        for delivery in waiting:
            counts.abandoned += 1
            handed_over += self._hand_over(delivery, Condition.EVENT_AGE_EXCEEDED)
            self._finish(delivery)
        self._parts.notify(EventsAbandoned(function=lane.key[0], count=len(waiting), handed_over=handed_over))
        return len(waiting)

    def _hand_over(self, delivery: PendingEvent, condition: Condition) -> bool:
        """Whether somebody else has it now."""
        end = End(delivery.event, condition, delivery.runs, delivery.last)
        return self._handover.failed(end, self._parts.terms(delivery.event), delivery.lane.counts)

    def _tell_dropped(self, delivery: PendingEvent, reason: str, *, handed_over: bool) -> None:
        event = delivery.event
        self._parts.notify(
            EventDropped(
                function=event.function,
                request_id=event.request_id,
                reason=reason,
                runs=delivery.runs,
                handed_over=handed_over,
            )
        )

    def _finish(self, delivery: PendingEvent) -> None:
        """Forget it, and tell whoever waits for it all the same."""
        self._forget(delivery)
        delivery.reply(delivery.last or delivery.refused or _never_run(delivery.event.request_id))

    # ---------------------------------------------------------------- lanes

    def _new_lane(self, key: tuple[str, str | None]) -> FunctionQueue:
        try:
            counts = self._parts.counts(key[0])
        except KeyError:
            raise FunctionNotFound(key[0]) from None
        lane = self._lanes[key] = FunctionQueue(key, counts)
        lanes = self._lanes_of.setdefault(key[0], {})
        lanes[lane] = None
        counts.oldest_age_s = partial(self._oldest_age_s, lanes)
        return lane

    def _forget(self, delivery: PendingEvent) -> None:
        lane = delivery.lane
        del lane.open[delivery]
        if delivery.waiting:
            delivery.waiting = False
            lane.counts.waiting -= 1
        if not lane.open:
            del self._lanes[lane.key]
            lanes = self._lanes_of[lane.key[0]]
            del lanes[lane]
            if not lanes:
                del self._lanes_of[lane.key[0]]

    def _oldest_age_s(self, lanes: dict[FunctionQueue, None]) -> float:
        """Of the events in the lanes of one function. Read at each scrape only."""
        oldest = [next(iter(lane.open)).accepted_s for lane in lanes if lane.open]
        return self._now() - min(oldest) if oldest else 0.0


def _again(event: Event, now_s: float) -> Event:
    """The same event for another attempt: its wait begins now, and its document is decoded afresh."""
    again = Event(
        event.function,
        event.payload,
        event.request_id,
        now_s,
        event.trigger,
        trace_id=event.trace_id,
        client_context=event.client_context,
        qualifier=event.qualifier,
    )
    again.version = event.version
    return again


def _never_run(request_id: str) -> Outcome:
    return Outcome(_CANCELLED, cancelled_body(request_id), request_id, _FREE)
