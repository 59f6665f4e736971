"""Event-loop timers of queues that have waiters, and of move tasks: the only timers of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from engine.ports import Clock
from engine.services.sqs.indexes import PurgedMessages
from engine.services.sqs.queue import Queue
from engine.services.sqs.queues import Queues

_SHORTEST_S: Final = 0.001


_FREED_AT_ONCE: Final = 2_000


def free(purged: PurgedMessages) -> None:
    """Free the messages of a purged queue, some at each turn of the running loop."""
    if purged.free(_FREED_AT_ONCE):
        asyncio.get_running_loop().call_soon(free, purged)


class QueueReminder:
    """One timer that calls `callback(now_s)` at the earliest time it was asked for."""

    __slots__ = ("_callback", "_clock", "_due_s", "_handle")

    def __init__(self, clock: Clock, callback: Callable[[float], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._due_s = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def at(self, due_s: float | None) -> None:
        """Call back at `due_s` or before; None changes nothing."""
        if due_s is None or (self._handle is not None and self._due_s <= due_s):
            return
        self.cancel()
        delay_s = max(due_s - self._clock.now(), _SHORTEST_S)
        self._due_s = due_s
        self._handle = asyncio.get_running_loop().call_later(delay_s, self._fire)

    def cancel(self) -> None:
        """Cancel the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._callback(self._clock.now())


class QueueTimers:
    """Wakes those who wait when a delay, a timeout or a move makes messages visible.

    A queue without waiters needs no timer: it is brought up to date when it is used.
    """

    def __init__(self, queues: Queues, clock: Clock) -> None:
        self._queues = queues
        self._clock = clock
        self._reminders: dict[Queue, QueueReminder] = {}
        self._move_timer = QueueReminder(clock, self._move)
        queues.on_created = self._add
        for queue in queues:
            self._add(queue)

    def move_tasks_changed(self) -> None:
        """Set the timer for the next step of a move task."""
        self._move_timer.at(self._queues.move_tasks.next_due_s())

    def forget(self, queue: Queue) -> None:
        """Cancel the timer of a deleted queue."""
        reminder = self._reminders.pop(queue, None)
        if reminder is not None:
            reminder.cancel()

    def stop(self) -> None:
        """Cancel every timer."""
        self._move_timer.cancel()
        for reminder in self._reminders.values():
            reminder.cancel()

    def _add(self, queue: Queue) -> None:
        def callback(now_s: float) -> None:
            queue.tick(now_s)
            queue.wake_waiters(now_s)

        reminder = self._reminders[queue] = QueueReminder(self._clock, callback)
        queue.set_timer = reminder.at

    def _move(self, now_s: float) -> None:
        self._queues.move_tasks.tick(now_s)
        self.move_tasks_changed()
