"""How the parts of a simulation have something done later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

TimedCallback = Callable[[float, int, int], None]
"""Called with its time, in seconds of the run, and two numbers of its own."""


class Schedule(Protocol):
    """The schedule of a run."""

    def __call__(self, when_s: float, what: TimedCallback, a: int = 0, b: int = 0, /) -> None:
        """Call `what(when_s, a, b)` at `when_s`, seconds of the run."""
