"""One execution and what the engine has to know of it besides its state."""

from __future__ import annotations

import math

from engine.core.durable.execution import Execution
from engine.core.invocation import Reply
from engine.core.rate import Rate
from engine.runtime.durable.outcomes import NO_RATE


class LiveExecution:
    """An execution of this engine.

    Attributes:
        execution: Its state.
        trigger: What its invocations are counted under.
        is_unattended: Nobody waits for it, and its end is for destinations: an event of type Event.
        rate: What its invocations cost, once one has ended.
        waiters: Who waits for its end: request ids and replies; None for nobody.
        queued_s: See `Wakeups`.
    """

    __slots__ = ("execution", "is_unattended", "queued_s", "rate", "trigger", "waiters")

    def __init__(self, execution: Execution, trigger: str, *, is_unattended: bool) -> None:
        self.execution = execution
        self.trigger = trigger
        self.is_unattended = is_unattended
        self.rate: Rate = NO_RATE
        self.waiters: list[tuple[str, Reply]] | None = None
        self.queued_s = math.inf

    @property
    def due_s(self) -> float | None:
        """When it is due: by its own timer, or to be dropped."""
        execution = self.execution
        return execution.expires_s if execution.is_terminal else execution.next_due_s

    def wait(self, request_id: str, reply: Reply) -> None:
        """Call `reply` with its outcome at its end."""
        if self.waiters is None:
            self.waiters = []
        self.waiters.append((request_id, reply))

    def take_waiters(self) -> list[tuple[str, Reply]]:
        """Who waits for its end, and is told now."""
        waiters, self.waiters = self.waiters, None
        return waiters or []
