"""What a FIFO queue remembers for five minutes: accepted deduplication ids, and attempts to receive.

Source: SQS Developer Guide, "Exactly-once processing in Amazon SQS".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

WINDOW_S: Final = 300.0

T = TypeVar("T")


class Window(Generic[T]):
    """Values by key, each kept for five minutes. O(1) amortised."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[float, T]] = {}
        self._ends: deque[tuple[float, Hashable]] = deque()

    def get(self, key: Hashable, now_s: float) -> T | None:
        """The value of `key`; None if there is none, or its five minutes are over."""
        ends, kept = self._ends, self._kept
        while ends and ends[0][0] <= now_s:
            end_s, old = ends.popleft()
            if kept.get(old, (0.0,))[0] == end_s:
                del kept[old]
        found = kept.get(key)
        return found[1] if found is not None else None

    def keep(self, key: Hashable, value: T, now_s: float) -> None:
        """Keep `value` for five minutes from `now_s`."""
        end_s = now_s + WINDOW_S
        self._kept[key] = (end_s, value)
        self._ends.append((end_s, key))
