"""Events for durable functions that say more than others, by what only the Lambda API takes."""

from __future__ import annotations

from collections.abc import Callable

from engine.core.event import Event


class StartEvent(Event):
    """Starts a durable execution whose caller names it, wants its ARN, or waits for nothing.

    Attributes:
        execution_name: The name that the caller gave it, or None.
        waits: Whether the caller waits for its end; else nothing is replied.
        arn: Of the execution that was started or that had the name; empty before.
        started: Called once it is started and kept as safely as everything of it: None, or why it cannot be.
    """

    __slots__ = ("arn", "execution_name", "started", "waits")

    execution_name: str | None
    waits: bool
    arn: str
    started: Callable[[OSError | None], None]


class ReplayEvent(Event):
    """Runs the handler of a durable function for one of its executions: `of_execution` is its ARN."""

    __slots__ = ("of_execution",)

    of_execution: str

    @property
    def execution_arn(self) -> str:
        """The execution."""
        return self.of_execution


class HandlerEvent(Event):
    """Runs the handler of a durable function as it is: no execution is started for it."""

    __slots__ = ()
