"""Event-loop timers of queues that have waiters. Others need none: they are brought up to date when used."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from engine.ports import Clock
from engine.services.sqs.indexes import PurgedMessages
from engine.services.sqs.queue import Queue
from engine.timer import Timer

_FREED_AT_ONCE: Final = 2_000


def free(purged: PurgedMessages) -> None:
    """Free the messages of a purged queue, some at each turn of the running loop."""
    if purged.free(_FREED_AT_ONCE):
        asyncio.get_running_loop().call_soon(free, purged)


class QueueTimers:
    """Wakes waiters when a delay, a visibility timeout or a retention period of their queue ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timers: dict[Queue, Timer] = {}

    def set(self, queue: Queue, due_s: float | None) -> None:
        """Update `queue` and wake its waiters at `due_s` or before; None changes nothing."""
        timer = self._timers.get(queue)
        if timer is None:
            loop = asyncio.get_running_loop()
            timer = self._timers[queue] = Timer(loop, self._clock, partial(_update, queue))
        timer.at(due_s)

    def forget(self, queue: Queue) -> None:
        """Cancel the timer of a deleted queue."""
        timer = self._timers.pop(queue, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Cancel every timer."""
        for timer in self._timers.values():
            timer.cancel()


def _update(queue: Queue, now_s: float) -> None:
    queue.messages.tick(now_s)
    queue.wake_waiters(now_s)  # sets the timer again if anybody still waits
