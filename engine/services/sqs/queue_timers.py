"""Keeps the time of queues that somebody waits for, and of move tasks: the only place with timers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from engine.ports import Clock
from engine.services.sqs.indexes import Rubbish
from engine.services.sqs.queue import Queue
from engine.services.sqs.queues import Queues

_SHORTEST_S: Final = 0.001


_FREED_AT_ONCE: Final = 2_000


def let_go(rubbish: Rubbish) -> None:
    """Free what a purge left, a little at each turn of the running loop."""
    if rubbish.let_go(_FREED_AT_ONCE):
        asyncio.get_running_loop().call_soon(let_go, rubbish)


class QueueReminder:
    """One timer that calls `ring(now_s)` at the earliest time it was asked for."""

    __slots__ = ("_clock", "_due_s", "_handle", "_ring")

    def __init__(self, clock: Clock, ring: Callable[[float], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due_s = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def at(self, due_s: float | None) -> None:
        """Ring at `due_s` or before; None asks for nothing."""
        if due_s is None or (self._handle is not None and self._due_s <= due_s):
            return
        self.cancel()
        delay_s = max(due_s - self._clock.now(), _SHORTEST_S)
        self._due_s = due_s
        self._handle = asyncio.get_running_loop().call_later(delay_s, self._rung)

    def cancel(self) -> None:
        """Ring no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _rung(self) -> None:
        self._handle = None
        self._ring(self._clock.now())


class QueueTimers:
    """Wakes those who wait when a delay, a timeout or a move makes messages visible.

    A queue nobody waits for needs no timer: it is brought up to date when it is used.
    """

    def __init__(self, queues: Queues, clock: Clock) -> None:
        self._queues = queues
        self._clock = clock
        self._reminders: dict[Queue, QueueReminder] = {}
        self._moves = QueueReminder(clock, self._move)
        queues.added = self._add
        for queue in queues:
            self._add(queue)

    def moves_changed(self) -> None:
        """A move task was started."""
        self._moves.at(self._queues.moves.next_due_s())

    def forget(self, queue: Queue) -> None:
        """It is deleted."""
        reminder = self._reminders.pop(queue, None)
        if reminder is not None:
            reminder.cancel()

    def stop(self) -> None:
        """Cancel every timer."""
        self._moves.cancel()
        for reminder in self._reminders.values():
            reminder.cancel()

    def _add(self, queue: Queue) -> None:
        def ring(now_s: float) -> None:
            queue.tick(now_s)
            queue.settle(now_s)

        reminder = self._reminders[queue] = QueueReminder(self._clock, ring)
        queue.alarm = reminder.at

    def _move(self, now_s: float) -> None:
        self._queues.moves.tick(now_s)
        self.moves_changed()
