"""Long polls: receives that wait for a message, each for as long as it was asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from engine.services.sqs.queue import Queue
from engine.services.sqs.request import SqsRequest


class LongPoll:
    """One receive that waits in its queue's line.

    A client that has gone receives nothing: the message stays for the next in line. An empty answer is
    given when time is up.
    """

    __slots__ = ("_all", "_call", "_queue", "_receive", "_timer")

    def __init__(
        self,
        call: SqsRequest,
        queue: Queue,
        receive: Callable[[float], list[dict[str, Any]]],
        every: set[LongPoll],
    ) -> None:
        """`receive` is the receive itself; `every` holds all polls that wait."""
        self._call = call
        self._queue = queue
        self._receive = receive
        self._all = every

    def begin(self, wait_s: float) -> None:
        """Join the line."""
        self._timer = asyncio.get_running_loop().call_later(wait_s, self.end)
        self._all.add(self)
        self._queue.wait(self)
        self._queue.settle(self._call.now_s)

    def __call__(self, now_s: float) -> None:
        """A message is there, and it is this one's turn."""
        if not self._call.request.awaited:
            self._leave()
            self._call.succeed({})  # one that only sends no more is still owed an answer
        elif messages := self._receive(now_s):
            self._leave()
            self._call.succeed({"Messages": messages})
        else:  # what was there has become a dead letter
            self._queue.wait(self)

    def end(self) -> None:
        """Answer with nothing: time is up, or the engine or the queue ends."""
        self._queue.forget(self)
        self._leave()
        self._call.succeed({})

    def of(self, queue: Queue) -> bool:
        """Whether it waits for this queue."""
        return self._queue is queue

    def _leave(self) -> None:
        self._timer.cancel()
        self._all.discard(self)
