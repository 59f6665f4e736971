"""How long a front door waits for a function: then it answers the client, and the function runs on.

What comes of the function later is counted and billed as ever, and reaches nobody.
Source: API Gateway Developer Guide, "Quotas" (integration timeout).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.core.event import Event
from engine.ports import Clock
from engine.protocols.http.server import Request
from engine.sources.http.payload import PayloadFormat
from engine.timer import Timer

GiveUp = Callable[[Request, PayloadFormat, Event], None]
"""Answers a request in place of its function."""


class AnswersDue:
    """Requests with one limit that a function is to answer, in the order of their deadlines.

    Attributes:
        waiting: Request -> when it is given up, how its front door answers, its event. Whoever answers it
            takes it out: one that is not there is answered.
        timer: To be set to the deadline of a request that is put in, unless it is armed.
    """

    __slots__ = ("_give_up", "timer", "waiting")

    def __init__(self, clock: Clock, give_up: GiveUp) -> None:
        self.waiting: dict[Request, tuple[float, PayloadFormat, Event]] = {}
        self.timer = Timer(asyncio.get_running_loop(), clock, self._on_due)
        self._give_up = give_up

    def _on_due(self, now_s: float) -> float | None:
        while self.waiting:
            request, (due_s, payload, event) = next(iter(self.waiting.items()))
            if due_s > now_s:
                return due_s
            del self.waiting[request]
            self._give_up(request, payload, event)
        return None


class AnswerDeadlines(dict[float, AnswersDue]):
    """Those of all front doors, by their limits in seconds. Needs a running loop."""

    def __init__(self, clock: Clock, give_up: GiveUp) -> None:
        super().__init__()
        self._clock = clock
        self._give_up = give_up

    def __missing__(self, limit_s: float) -> AnswersDue:
        due = self[limit_s] = AnswersDue(self._clock, self._give_up)
        return due

    def forget(self, request: Request) -> None:
        """Do not give it up: it is answered."""
        for due in self.values():
            due.waiting.pop(request, None)

    def close(self) -> None:
        """Give up nothing more."""
        for due in self.values():
            due.timer.cancel()
