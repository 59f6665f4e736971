"""Work of many steps, shared out over turns of the loop, so that none of them holds it for long.

A topic may have thousands of subscribers, and an event may be for a thousand targets of rules.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

Step = TypeVar("Step")

STEPS_PER_TURN: Final = 128
MAX_WAITING: Final = 100
"""Pieces of work that wait for a turn. One more has all of them done at once: who brings it waits."""


class Turns(Generic[Step]):
    """Does pieces of work in the order in which they come, each step by step.

    The first steps of a turn are done within `add`: work of few steps is done when that returns.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, do: Callable[[Step], None]) -> None:
        """`do` does a step. It may add work, which is done after what it is a step of."""
        self._loop, self._do = loop, do
        self._work: deque[Iterator[Step]] = deque()
        self._left = STEPS_PER_TURN
        self._is_working = self._is_turn_due = False

    def add(self, steps: Iterator[Step]) -> None:
        """Do these steps, now or in turns to come. What one raises is raised here, or told to the loop."""
        self._work.append(steps)
        if self._is_working:
            return
        if len(self._work) > MAX_WAITING:
            self.finish()
        elif self._left > 0:
            self._go_on()

    def finish(self) -> None:
        """Do all that is left, now."""
        while self._work and not self._is_working:
            self._left = STEPS_PER_TURN
            self._go_on()

    def _go_on(self) -> None:
        self._is_working = True
        try:
            while self._work and self._left > 0:
                for step in self._work[0]:
                    self._left -= 1
                    self._do(step)
                    if self._left <= 0:
                        break
                else:
                    self._work.popleft()
        finally:
            self._is_working = False
            if self._left < STEPS_PER_TURN and not self._is_turn_due:
                self._is_turn_due = True
                self._loop.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._is_turn_due = False
        self._left = STEPS_PER_TURN
        self._go_on()
