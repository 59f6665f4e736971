"""A timer that is moved lazily: setting it to a later time costs nothing, it looks again when it fires."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from engine.ports import Clock

_SHORTEST_S = 0.001
"""A timer that fired a hair early (uvloop counts whole milliseconds) is set again for this long."""


class Timer:
    """Calls `on_due(now_s)` when something is due; `on_due` returns when the next thing is, or None.

    `armed` says whether it is set. It fires after `longest_s` at the latest: a caller whose new dates are
    never sooner than that need not set it again while it is armed.
    """

    __slots__ = ("_clock", "_due_s", "_handle", "_longest_s", "_loop", "_on_due", "armed")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        on_due: Callable[[float], float | None],
        longest_s: float = math.inf,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._on_due = on_due
        self._longest_s = longest_s
        self._handle: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self.armed = False

    def at(self, due_s: float | None) -> None:
        """Fire at `due_s` (engine clock) or before; None changes nothing."""
        if due_s is None or (self._handle is not None and self._due_s <= due_s):
            return
        self.cancel()
        now_s = self._clock.now()
        self._due_s = min(max(due_s, now_s + _SHORTEST_S), now_s + self._longest_s)
        self._handle = self._loop.call_later(self._due_s - now_s, self._fire)
        self.armed = True

    def cancel(self) -> None:
        """Fire no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self.armed = False

    def _fire(self) -> None:
        self._handle = None
        self.armed = False
        self.at(self._on_due(self._clock.now()))
