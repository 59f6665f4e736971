"""Delivers to targets: tries again by the law of the service, and gives up to a dead-letter queue.

Theory of operation. A delivery is tried as soon as it comes. If the target has it, that is all. An error that
a retry can mend (a throttle, a server's error) makes it wait in a heap for its next attempt, which one timer
for all of them makes; there is no task for a delivery. Any other error, the end of the law, or no room among
those that wait gives it up: it goes to its dead-letter queue, else it is dropped.

| from    | to          | when                                                               |
|---------|-------------|--------------------------------------------------------------------|
| (new)   | trying      | `deliver`                                                          |
| trying  | DELIVERED   | the target took it                                                 |
| trying  | waiting     | a temporary error, the law has another attempt, and there is room  |
| waiting | trying      | its wait is over                                                   |
| trying  | DEAD_LETTER | given up, and the dead-letter queue took it                        |
| trying  | DROPPED     | given up, without a dead-letter queue or one that took it          |
| waiting | either      | the engine stops                                                   |
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from random import Random
from typing import Final

from engine.core.delivery_counts import DeliveryCounts, DeliveryOutcome, TargetKind
from engine.core.destinations import DeliveryError, DestinationSender
from engine.ports import Clock
from engine.services.deliveries.delivery import DELIVERY_BYTES, Delivery, GivenUp, TargetPort
from engine.services.deliveries.retry_law import Exhausted
from engine.services.deliveries.turns import Turns
from engine.timer import Timer

_log = logging.getLogger("engine.deliveries")

MAX_WAITING: Final = 10_000
MAX_WAITING_BYTES: Final = 64 << 20
_BATCH: Final = 128
"""How many attempts one turn of the loop makes, so that a long queue does not hold it."""
_MAX_TOLD: Final = 1000

_DELIVERED: Final = DeliveryOutcome.DELIVERED


class _Pending:
    """A delivery under way."""

    __slots__ = ("attempts", "began_s", "delivery", "size")

    def __init__(self, delivery: Delivery, began_s: float) -> None:
        self.delivery = delivery
        self.began_s = began_s
        self.attempts = 0
        self.size = len(delivery.record.body) + DELIVERY_BYTES


class Deliveries:
    """All deliveries of one engine's topics and event buses."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        random: Random,
        ports: Mapping[TargetKind, TargetPort],
        dead_letter_sender: DestinationSender,
        counts: DeliveryCounts,
        *,
        scale: float = 1.0,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        """Create it; nothing waits.

        Args:
            loop: For the timer.
            clock: The engine clock.
            random: Decides the jitter of waits.
            ports: How targets are reached, by kind; may grow later. What has none does not exist here.
            dead_letter_sender: Sends to dead-letter queues.
            counts: Counts what becomes of deliveries.
            scale: What all waits are multiplied with.
            max_waiting: Deliveries that wait for another attempt, at most; one more is given up.
            max_waiting_bytes: What they may take of memory, about.
        """
        self._clock = clock
        self._random = random
        self._ports = ports
        self._send_dead_letter = dead_letter_sender
        self._counts = counts
        self._scale = scale
        self._max_waiting, self._max_waiting_bytes = max_waiting, max_waiting_bytes
        self._timer = Timer(loop, clock, self._on_due)
        self._due: list[tuple[float, int, _Pending]] = []  # a heap
        self._due_bytes = 0
        self._order = itertools.count()
        self._turns: Turns[Delivery] = Turns(loop, self.deliver)
        self._told: set[str] = set()
        self._closed = False

    def deliver(self, delivery: Delivery) -> None:
        """Deliver, now or by retries. Never raises for a target that fails."""
        pending = _Pending(delivery, self._clock.now())
        if delivery.refusal is not None:
            self._give_up(pending, delivery.refusal, None)
        else:
            self._attempt(pending)

    def deliver_all(self, deliveries: Iterator[Delivery]) -> None:
        """Deliver what the iterator makes: many of them in several turns of the loop, in order."""
        self._turns.add(deliveries)

    @property
    def waiting(self) -> int:
        """Deliveries that wait for another attempt."""
        return len(self._due)

    def close(self) -> int:
        """Try once what was not tried yet, retry nothing more, and give up what waits: how many that were."""
        self._turns.finish()
        self._closed = True
        self._timer.cancel()
        waiting, self._due = self._due, []
        for _, _, pending in waiting:
            self._release(pending)
            error = DeliveryError(pending.delivery.target, "the engine stops", "INTERNAL_ERROR")
            self._give_up(pending, error, None)
        return len(waiting)

    # ---------------------------------------------------------------- attempts

    def _attempt(self, pending: _Pending) -> None:
        delivery = pending.delivery
        port = self._ports.get(delivery.kind)
        try:
            if port is None:
                raise DeliveryError(delivery.target, "the engine has no such target")
            port(delivery, partial(self._ended, pending))
        except DeliveryError as error:
            self._ended(pending, error)

    def _ended(self, pending: _Pending, error: DeliveryError | None) -> None:
        pending.attempts += 1
        delivery = pending.delivery
        if error is None:
            self._counts.count(delivery.service, delivery.kind, _DELIVERED)
            return
        if not error.is_temporary or self._closed:
            self._give_up(pending, error, None)
            return
        now_s = self._clock.now()
        wait = delivery.law.next_wait_s(
            pending.attempts, now_s - pending.began_s, self._random.random(), self._scale
        )
        if isinstance(wait, Exhausted):
            self._give_up(pending, error, wait)
        elif not self._has_room(pending.size):
            reason = f"too many deliveries wait for another attempt; the last: {error.reason}"
            self._give_up(pending, DeliveryError(delivery.target, reason, error.code), None)
        else:
            self._counts.count(delivery.service, delivery.kind, DeliveryOutcome.RETRIED)
            self._due_bytes += pending.size
            self._counts.hold(delivery.service, pending.size)
            heapq.heappush(self._due, (now_s + wait, next(self._order), pending))
            self._timer.at(now_s + wait)

    def _has_room(self, size: int) -> bool:
        return len(self._due) < self._max_waiting and self._due_bytes + size <= self._max_waiting_bytes

    def _release(self, pending: _Pending) -> None:
        self._due_bytes -= pending.size
        self._counts.release(pending.delivery.service, pending.size)

    def _on_due(self, now_s: float) -> float | None:
        for _ in range(_BATCH):
            if not self._due or self._due[0][0] > now_s:
                break
            pending = heapq.heappop(self._due)[2]
            self._release(pending)
            self._attempt(pending)
        return self._due[0][0] if self._due else None

    # ---------------------------------------------------------------- giving up

    def _give_up(self, pending: _Pending, error: DeliveryError, exhausted: Exhausted | None) -> None:
        delivery = pending.delivery
        outcome, reason = DeliveryOutcome.DROPPED, error.reason
        if delivery.dead_letter_queue is not None:
            try:
                letter = delivery.dead_letter(GivenUp(error, pending.attempts, exhausted))
                self._send_dead_letter(delivery.dead_letter_queue, letter)
            except DeliveryError as failure:
                reason = f"{reason}; nor could it go to its dead-letter queue {failure}"
            else:
                outcome = DeliveryOutcome.DEAD_LETTER
        self._counts.count(delivery.service, delivery.kind, outcome)
        if outcome is DeliveryOutcome.DROPPED:
            self._tell(delivery, reason)

    def _tell(self, delivery: Delivery, reason: str) -> None:
        """Log the first one that is dropped of each target; the metric counts all."""
        if delivery.target not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(delivery.target)
            _log.warning("a delivery of %s to %s was dropped: %s", delivery.service, delivery.target, reason)
