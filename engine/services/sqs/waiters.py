"""Who waits for a message of a queue: a line in which each is called once, in turn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

Waiter = Callable[[float], None]
"""Called once, with `now_s`, when a message may be received; it receives, or leaves it to the next."""


class Waiters:
    """`line` holds them, the longest waiting first."""

    __slots__ = ("_calling", "line")

    def __init__(self) -> None:
        self.line: OrderedDict[Waiter, None] = OrderedDict()
        self._calling = False

    def call(self, ready: Callable[[], bool], now_s: float) -> None:
        """Call each at most once while `ready` says that there is something. Within a call, does nothing."""
        if self._calling:
            return
        self._calling = True
        line = self.line
        try:
            turns = len(line)
            while turns and line and ready():
                turns -= 1
                line.popitem(last=False)[0](now_s)
        finally:
            self._calling = False
