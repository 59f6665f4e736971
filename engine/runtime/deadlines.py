"""The one deadline mechanism, for every executor: running invocations in the order they fall due.

All invocations of a function have the same timeout, so the order of arrival is the order of deadlines:
an ordered dict and one timer for its head replace a timer per invocation (0.2 µs instead of 1.3 µs).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
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
        self._running: OrderedDict[Invocation, None] = OrderedDict()
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
        while self._running:
            invocation = next(iter(self._running))
            if invocation.deadline_s > now_s:
                return invocation.deadline_s
            del self._running[invocation]
            self._time_out(invocation, now_s)
        return None
