"""Fires the rules that have a schedule, on one timer.

Source: EventBridge User Guide, "Creating a scheduled rule (legacy)"; recorded answers (what is refused).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC
from typing import Final

from engine.ports import Clock
from engine.services.eventbridge.rules import BusRule
from engine.services.schedules.expression import At, parse
from engine.services.schedules.ticks import Ticks
from engine.timer import Timer

_LONGEST_S: Final = 60.0
"""Wall time may be set, and machines sleep: how late that is noticed."""


def is_schedule(text: str) -> bool:
    """Whether EventBridge takes the expression for a rule: `at` is for EventBridge Scheduler only."""
    try:
        return not isinstance(parse(text), At)
    except ValueError:
        return False


class RuleSchedules:
    """The rules with a schedule that are enabled, and their next moments."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, fire: Callable[[BusRule, float], None]
    ) -> None:
        """`fire` gets a rule and the moment it fires for, wall time in seconds; it must not raise."""
        self._clock = clock
        self._fire = fire
        self._ticks: dict[BusRule, tuple[str, Ticks]] = {}
        self._timer = Timer(loop, clock, self._on_due, _LONGEST_S)

    def watch(self, rule: BusRule) -> None:
        """Fire it from now on by its schedule; not any more if it is disabled or has none.

        One whose schedule has not changed goes on as it was.
        """
        if rule.schedule is None or not rule.is_enabled:
            self.forget(rule)
            return
        known = self._ticks.get(rule)
        if known is None or known[0] != rule.schedule:
            self._ticks[rule] = (rule.schedule, Ticks(parse(rule.schedule), UTC, self._clock))
        self._timer.at(self._next_s())

    def forget(self, rule: BusRule) -> None:
        """Fire it no more."""
        if self._ticks.pop(rule, None) is not None and not self._ticks:
            self._timer.cancel()

    def close(self) -> None:
        """Fire nothing more."""
        self._ticks.clear()
        self._timer.cancel()

    def _on_due(self, _now_s: float) -> float | None:
        for rule, (_, ticks) in list(self._ticks.items()):
            if ticks.left_s() <= 0 and (moment_s := ticks.take()) is not None:
                self._fire(rule, moment_s)
        return self._next_s()

    def _next_s(self) -> float | None:
        left_s = min((ticks.left_s() for _, ticks in self._ticks.values()), default=math.inf)
        return None if left_s == math.inf else self._clock.now() + left_s
