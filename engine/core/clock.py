"""What a clock is. Where it comes from is for those who may know the time."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The only way to know the time."""

    def now(self) -> float:
        """Monotonic seconds; the origin means nothing."""

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
