"""The callbacks that wait for a message of a queue: each is called once, in turn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

Waiter = Callable[[float], None]
"""Called once, with `now_s`, when a message may be received; it receives, or leaves it to the next."""


class Waiters:
    """The waiters of one queue, the longest waiting first."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()
        self._calling = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, waiter: Waiter) -> None:
        """Add a waiter at the end, or leave it where it is."""
        self._waiting[waiter] = None

    def discard(self, waiter: Waiter) -> None:
        """Remove a waiter, if it is there."""
        self._waiting.pop(waiter, None)

    def call(self, ready: Callable[[], bool], now_s: float) -> None:
        """Call each waiter at most once while `ready` is true. Does nothing within such a call."""
        if self._calling:
            return
        self._calling = True
        waiting = self._waiting
        try:
            turns = len(waiting)
            while turns and waiting and ready():
                turns -= 1
                waiting.popitem(last=False)[0](now_s)
        finally:
            self._calling = False
