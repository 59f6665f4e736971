"""How long a front door waits for a function: then it answers the client, and the function runs on.

What comes of the function later is counted and billed as ever, and reaches nobody.
Source: API Gateway Developer Guide, "Quotas" (integration timeout).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from engine.core.outcome import Outcome
from engine.ports import Clock
from engine.protocols.http.server import Request
from engine.timer import Timer


class AnswerDue(NamedTuple):
    """A request that a function is to answer: until when, and what happens if it does not."""

    due_s: float
    give_up: Callable[[Request], None]


class AnswerDeadlines:
    """The requests of front doors with a limit. One timer for all that have the same one."""

    __slots__ = ("_clock", "_lines")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[float, _Line] = {}

    def until(
        self,
        limit_s: float,
        request: Request,
        answer: Callable[[Outcome], None],
        give_up: Callable[[Request], None],
    ) -> Callable[[Outcome], None]:
        """What takes the outcome for `request`: it calls `answer`, unless `give_up` was called before.

        That is called `limit_s` seconds after the request came.
        """
        line = self._lines.get(limit_s)
        if line is None:
            line = self._lines[limit_s] = _Line(self._clock)
        due_s = request.received_s + limit_s
        line.waiting[request] = AnswerDue(due_s, give_up)
        if not line.timer.armed:
            line.timer.at(due_s)
        return partial(line.end, request, answer)

    def forget(self, request: Request) -> None:
        """Do not give it up: it is answered."""
        for line in self._lines.values():
            line.waiting.pop(request, None)

    def close(self) -> None:
        """Give up nothing more."""
        for line in self._lines.values():
            line.timer.cancel()


class _Line:
    """Requests with one limit, in the order of their deadlines."""

    __slots__ = ("timer", "waiting")

    def __init__(self, clock: Clock) -> None:
        self.waiting: dict[Request, AnswerDue] = {}
        self.timer = Timer(asyncio.get_running_loop(), clock, self._give_up)

    def end(self, request: Request, answer: Callable[[Outcome], None], outcome: Outcome) -> None:
        if self.waiting.pop(request, None) is not None:
            answer(outcome)

    def _give_up(self, now_s: float) -> float | None:
        while self.waiting:
            request, due = next(iter(self.waiting.items()))
            if due.due_s > now_s:
                return due.due_s
            del self.waiting[request]
            due.give_up(request)
        return None
