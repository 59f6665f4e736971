"""What executions that have ended may take of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from engine.runtime.durable.live_execution import LiveExecution

_OWN_BYTES: Final = 350
"""What the engine holds of an execution besides its state: itself, its names, its place here."""


class EndedExecutions:
    """Executions that have ended, in the order of their ends, and what they take of memory together."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` is what they may take; the one that ended last stays, however large it is."""
        self._most_bytes = most_bytes
        self._bytes_of: OrderedDict[LiveExecution, int] = OrderedDict()
        self._total = 0

    def add(self, live: LiveExecution) -> None:
        """It has ended."""
        size = live.execution.memory_bytes + _OWN_BYTES
        self._bytes_of[live] = size
        self._total += size

    def remove(self, live: LiveExecution) -> None:
        """It is gone."""
        self._total -= self._bytes_of.pop(live, 0)

    def surplus(self) -> Iterator[LiveExecution]:
        """The oldest one as long as they take too much; whoever iterates removes it before the next."""
        while self._total > self._most_bytes and len(self._bytes_of) > 1:
            yield next(iter(self._bytes_of))
