"""Long polls: receives that wait for a message, each for as long as it was asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from engine.services.sqs.queue import Queue
from engine.services.sqs.request import SqsRequest


class LongPoll:
    """One receive that waits for a message of its queue, up to `wait_s` seconds.

    A client that has closed its connection receives nothing: the message stays for the next waiter. The
    answer is empty when the time is up.
    """

    __slots__ = ("_call", "_polls", "_queue", "_receive", "_timer")

    def __init__(
        self,
        call: SqsRequest,
        queue: Queue,
        receive: Callable[[float], list[dict[str, Any]]],
        polls: set[LongPoll],
        wait_s: float,
    ) -> None:
        """Start waiting. `receive` receives at a given time; `polls` holds all polls that wait."""
        self._call = call
        self._queue = queue
        self._receive = receive
        self._polls = polls
        self._timer = asyncio.get_running_loop().call_later(wait_s, self.end)
        polls.add(self)
        queue.wait(self)
        queue.wake_waiters(call.now_s)

    def __call__(self, now_s: float) -> None:
        """Receive and answer: a message is visible, and it is the turn of this poll."""
        if not self._call.request.awaited:
            self._leave()
            self._call.succeed({})  # it closed only its sending side: it still gets an answer
        elif messages := self._receive(now_s):
            self._leave()
            self._call.succeed({"Messages": messages})
        else:  # the message was moved to the dead-letter queue
            self._queue.wait(self)

    def end(self) -> None:
        """Answer without messages: the time is up, or the engine stops, or the queue was deleted."""
        self._queue.forget(self)
        self._leave()
        self._call.succeed({})

    def is_for(self, queue: Queue) -> bool:
        """Whether it waits for a message of `queue`."""
        return self._queue is queue

    def _leave(self) -> None:
        self._timer.cancel()
        self._polls.discard(self)
