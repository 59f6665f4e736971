"""When executions are due: one heap and one timer for all of them."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from typing import Final, Generic, Protocol, Self, TypeVar

from engine.ports import Clock
from engine.timer import Timer

_SPARE: Final = 1024
"""Entries of the heap that may be outdated, however few there are that are not."""


class Sleeper(Protocol):
    """What is woken."""

    queued_s: float
    """When the heap looks at it next; infinite if it does not. For `Wakeups` alone."""

    def __lt__(self, other: Self, /) -> bool:
        """Who is first of those that are due at one moment."""

    @property
    def due_s(self) -> float | None:
        """Seconds since the Unix epoch at which it is due; None if it waits for no time."""


One = TypeVar("One", bound=Sleeper)


class Wakeups(Generic[One]):
    """Calls `on_due` with each sleeper that is due, in the order of their times.

    A sleeper that is due later than before is left where it is, and looked at then: moving its time costs
    nothing. One that is due sooner gets another entry; the old one is passed over, and cleared away when
    there are more of those than of the others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, on_due: Callable[[One], None]) -> None:
        self._clock = clock
        self._on_due = on_due
        self._timer = Timer(loop, clock, self._fire)
        self._heap: list[tuple[float, One]] = []
        self._sleepers = 0

    def look(self, sleeper: One) -> None:
        """Its time has changed, perhaps."""
        due_s = sleeper.due_s
        if due_s is None or due_s >= sleeper.queued_s:
            return
        self._sleepers += sleeper.queued_s == math.inf
        self._push(due_s, sleeper)
        if len(self._heap) > 2 * self._sleepers + _SPARE:
            self._heap = [entry for entry in self._heap if entry[0] == entry[1].queued_s]
            heapq.heapify(self._heap)
        if self._heap[0][1] is sleeper:
            self._timer.at(self._clock.now() + (due_s - self._clock.wall()))

    def forget(self, sleeper: One) -> None:
        """Never wake it."""
        self._sleepers -= sleeper.queued_s != math.inf
        sleeper.queued_s = math.inf

    def cancel(self) -> None:
        """Wake nobody any more."""
        self._timer.cancel()
        self._heap.clear()

    def _push(self, due_s: float, sleeper: One) -> None:
        sleeper.queued_s = due_s
        heapq.heappush(self._heap, (due_s, sleeper))

    def _fire(self, now_s: float) -> float | None:
        wall_s = self._clock.wall()
        while self._heap and self._heap[0][0] <= wall_s:
            queued_s, sleeper = heapq.heappop(self._heap)
            if queued_s != sleeper.queued_s:
                continue  # another entry took its place
            due_s = sleeper.due_s
            if due_s is not None and due_s > wall_s:
                self._push(due_s, sleeper)
                continue
            self.forget(sleeper)
            if due_s is not None:
                self._on_due(sleeper)
        return now_s + (self._heap[0][0] - wall_s) if self._heap else None
