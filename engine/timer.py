"""A timer that is moved lazily: setting it to a later time costs nothing, it looks again when it rings."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from engine.ports import Clock

_SHORTEST_S = 0.001
"""A timer that fired a hair early (uvloop counts whole milliseconds) is set again for this long."""


class Timer:
    """Calls `ring(now_s)` when something is due; `ring` returns when the next thing is, or None.

    `armed` says whether it will ring by itself. It never sleeps for more than `longest_s`: whoever knows
    that nothing new falls due sooner than that after it comes up need not say so while it is armed.
    """

    __slots__ = ("_clock", "_due_s", "_handle", "_longest_s", "_loop", "_ring", "armed")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        ring: Callable[[float], float | None],
        longest_s: float = math.inf,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._ring = ring
        self._longest_s = longest_s
        self._handle: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self.armed = False

    def at(self, due_s: float | None) -> None:
        """Ring at `due_s` (engine clock) or before; None asks for nothing."""
        if due_s is None or (self._handle is not None and self._due_s <= due_s):
            return
        self.cancel()
        now_s = self._clock.now()
        self._due_s = min(max(due_s, now_s + _SHORTEST_S), now_s + self._longest_s)
        self._handle = self._loop.call_later(self._due_s - now_s, self._rung)
        self.armed = True

    def cancel(self) -> None:
        """Ring no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self.armed = False

    def _rung(self) -> None:
        self._handle = None
        self.armed = False
        self.at(self._ring(self._clock.now()))
