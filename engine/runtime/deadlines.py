"""The one deadline mechanism, for every executor: running invocations in the order they fall due.

All invocations of a function have the same timeout, so the order of arrival is the order of deadlines:
a dict and one timer for its head replace a timer per invocation (0.1 µs instead of 1.3 µs).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.core.invocation import Invocation
from engine.ports import Clock
from engine.timer import Timer


class Deadlines:
    """Calls `time_out(invocation, now_s)` for each invocation that is still here at its deadline."""

    __slots__ = ("_running", "_time_out", "_timer")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        time_out: Callable[[Invocation, float], None],
    ) -> None:
        self._running: dict[Invocation, None] = {}
        self._time_out = time_out
        self._timer = Timer(loop, clock, self._on_due)

    def add(self, invocation: Invocation) -> None:
        """Watch an invocation, whose `deadline_s` is not before that of any other."""
        self._running[invocation] = None
        if not self._timer.armed:
            self._timer.at(invocation.deadline_s)

    def remove(self, invocation: Invocation) -> None:
        """Stop watching an invocation that ended."""
        del self._running[invocation]

    def clear(self) -> list[Invocation]:
        """Stop watching all; returns the invocations that were running."""
        running = list(self._running)
        self._running.clear()
        self._timer.cancel()
        return running

    def __len__(self) -> int:
        return len(self._running)

    def _on_due(self, now_s: float) -> float | None:
        """In one pass: to find the head of a dict anew after each deletion would step over all of them."""
        due = []
        for invocation in self._running:
            if invocation.deadline_s > now_s:
                break
            due.append(invocation)
        for invocation in due:
            if invocation in self._running:  # it may have ended with one before it
                del self._running[invocation]
                self._time_out(invocation, now_s)
        head = next(iter(self._running), None)
        return None if head is None else head.deadline_s
