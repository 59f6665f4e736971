"""One execution and what the engine has to know of it besides its state."""

from __future__ import annotations

import asyncio
import math

from engine.core.durable.execution import Execution
from engine.core.durable.service import RemoteHandler
from engine.core.invocation import Reply
from engine.core.rate import Rate
from engine.runtime.durable.durable_counts import DurableCounts
from engine.runtime.durable.outcomes import NO_RATE


class Waiter:
    """Who waits for the end of an execution.

    Attributes:
        request_id: Of the call.
        reply: Takes the outcome.
        timer: Ends the wait before the execution does; None: nothing does.
    """

    __slots__ = ("reply", "request_id", "timer")

    def __init__(self, request_id: str, reply: Reply) -> None:
        self.request_id = request_id
        self.reply = reply
        self.timer: asyncio.TimerHandle | None = None


class LiveExecution:
    """An execution of this engine.

    Attributes:
        execution: Its state.
        counts: Of its function.
        remote: What runs its handler, if that is no function of this engine.
        trigger: What its invocations are counted under.
        is_unattended: Nobody waits for it, and its end is for destinations: an event of type Event.
        rate: What its invocations cost, once one has ended.
        waiters: Who waits for its end; None for nobody.
        queued_s: See `Wakeups`.
    """

    __slots__ = ("counts", "execution", "is_unattended", "queued_s", "rate", "remote", "trigger", "waiters")

    def __init__(
        self, execution: Execution, counts: DurableCounts, trigger: str, *, is_unattended: bool
    ) -> None:
        self.execution = execution
        self.counts = counts
        self.remote: RemoteHandler | None = None
        self.trigger = trigger
        self.is_unattended = is_unattended
        self.rate: Rate = NO_RATE
        self.waiters: list[Waiter] | None = None
        self.queued_s = math.inf

    @property
    def due_s(self) -> float | None:
        """When it is due: by its own timer, or to be dropped."""
        execution = self.execution
        return execution.expires_s if execution.is_terminal else execution.next_due_s

    def __lt__(self, other: LiveExecution, /) -> bool:
        return self.execution.started_s < other.execution.started_s

    def wait(self, waiter: Waiter) -> None:
        """Have it told of the end."""
        if self.waiters is None:
            self.waiters = []
        self.waiters.append(waiter)

    def take_waiters(self) -> list[tuple[str, Reply]]:
        """Request ids and replies of those who wait for its end, and are told now."""
        waiters, self.waiters = self.waiters or [], None
        for waiter in waiters:
            if waiter.timer is not None:
                waiter.timer.cancel()
        return [(waiter.request_id, waiter.reply) for waiter in waiters]
