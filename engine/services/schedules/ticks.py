"""The moments of one rule or schedule as time goes by: each once, in order."""

from __future__ import annotations

import math
from datetime import tzinfo
from typing import Final

from engine.ports import Clock
from engine.services.schedules.expression import Expression, RateExpression, moments

_LONGEST_LOOK_BACK_S: Final = 86_400.0
"""Moments that passed longer ago are not counted as missed."""


class Ticks:
    """The moments at which one rule fires: each once, in order, as engine time.

    A rate counts from the start and goes by the monotonic clock: it first fires one period later, or
    `at_once`. cron and at go by wall time. Moments that passed while nobody could look (the machine slept,
    the loop was held) are not made up: the latest of them fires late, those before it are `missed`.
    """

    def __init__(self, expression: Expression, where: tzinfo, clock: Clock, *, at_once: bool = False) -> None:
        self.missed = 0
        self._expression = expression
        self._where = where
        self._clock = clock
        self._began_s = clock.now()
        self._last = -1 if at_once else 0  # of a rate: how many periods are over
        self._seen_s = clock.wall()  # of the others: everything up to here has fired, or never will
        self._next_s = self._first_after(self._seen_s)

    def left_s(self) -> float:
        """Seconds until the next moment; 0 or less when it is due, infinity if there is none."""
        if isinstance(self._expression, RateExpression):
            due_s = self._began_s + (self._last + 1) * self._expression.period_s
            return due_s - self._clock.now()
        return self._next_s - self._clock.wall()

    def take(self) -> float | None:
        """The moment that is due, as wall time in seconds; None if it is too long ago."""
        if isinstance(self._expression, RateExpression):
            over = int((self._clock.now() - self._began_s) / self._expression.period_s)
            over = max(over, self._last + 1)
            self.missed += over - self._last - 1
            self._last = over
            late_s = self._clock.now() - self._began_s - over * self._expression.period_s
            return self._clock.wall() - late_s
        wall_s = self._clock.wall()
        since_s = max(self._seen_s, wall_s - _LONGEST_LOOK_BACK_S)
        self._seen_s = wall_s
        latest = None
        for moment_s in moments(self._expression, since_s, self._where):
            if moment_s > wall_s:
                break
            self.missed += latest is not None
            latest = moment_s
        self._next_s = self._first_after(wall_s)
        return latest

    def _first_after(self, wall_s: float) -> float:
        if isinstance(self._expression, RateExpression):
            return math.inf
        return next(moments(self._expression, wall_s, self._where), math.inf)
