"""One durable execution: facts in, commands out."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.core.durable.commands import Command
from engine.core.durable.execution_arn import ExecutionArn
from engine.core.durable.facts import ExecutionStarted, Fact
from engine.core.durable.history import HistoryPage
from engine.core.durable.operation import DurableOperation
from engine.core.durable.values import DurableConfig, ErrorObject, ExecutionStatus


class CheckpointAnswer(NamedTuple):
    """Answer of CheckpointDurableExecution.

    Attributes:
        token: The next CheckpointToken; None tells the handler to end (paused or terminal).
        operations: Documents, times in seconds, of what the handler has not seen.
    """

    token: str | None
    operations: list[dict[str, Any]]


class StatePage(NamedTuple):
    """Answer of GetDurableExecutionState: documents, times in seconds. `next_marker` is None at the end."""

    operations: list[dict[str, Any]]
    next_marker: str | None


class PauseDetails(NamedTuple):
    """Of an execution that is PAUSING or PAUSED."""

    requested_s: float
    timeout_paused: bool
    reason: str | None


class Execution:
    """A durable execution. A new one wants an invocation at once: `outstanding()` is `[Invoke()]`.

    Attributes (read only):
        arn: Its ARN as text; `parts` has it parsed.
        config: DurableConfig it started with.
        input: JSON text of the event.
        is_synchronous, trace, parent: As in `ExecutionStarted`.
        started_s, ended_s: Seconds since the Unix epoch; `ended_s` is None until it is terminal.
        status: ExecutionStatus.
        result: JSON text of a SUCCEEDED execution, which may be None or empty.
        error: ErrorObject of a FAILED, TIMED_OUT or STOPPED one, else None.
        pause: PauseDetails while PAUSING or PAUSED, else None.
        operations: By id, in the order in which they started; without the EXECUTION operation.
        operation_count: Operations as AWS counts them: each once, and once more for each retry of a step.
        bytes_written: UTF-8 bytes of input, results, errors and payloads as stored.
        running_request_id: Of the invocation that runs, else None.
        checkpoint_answer: What to answer to the `Checkpointed` that was handled last.
    """

    def __init__(self, started: ExecutionStarted) -> None:
        raise NotImplementedError

    arn: str
    parts: ExecutionArn
    config: DurableConfig
    input: str
    is_synchronous: bool
    trace: str | None
    parent: tuple[str, str] | None
    started_s: float
    ended_s: float | None
    status: ExecutionStatus
    result: str | None
    error: ErrorObject | None
    pause: PauseDetails | None
    operations: dict[str, DurableOperation]
    operation_count: int
    bytes_written: int
    running_request_id: str | None
    checkpoint_answer: CheckpointAnswer

    def handle(self, fact: Fact) -> list[Command]:
        """Change state by one fact; return what is to be done about it, in order.

        Raises:
            DurableRefusal: The fact is a request that AWS refuses. Nothing has changed; do not journal it.
            IllegalMove: The driver told what cannot be, such as a second invocation. A bug of ours.
        """
        raise NotImplementedError

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will change any more, but for deletion."""
        raise NotImplementedError

    @property
    def wants_invocation(self) -> bool:
        """Whether `Invoke` was commanded, and neither begun nor made void by a stop or pause."""
        raise NotImplementedError

    @property
    def next_due_s(self) -> float | None:
        """When `TimerDue` is to be told: one timer per execution. None if nothing waits for time.

        The earliest of waits, retries of steps, callback and heartbeat timeouts, the retry of a failed
        invocation and the execution timeout. While an invocation runs only the last counts. May change
        with each fact, in both directions.
        """
        raise NotImplementedError

    @property
    def expires_s(self) -> float | None:
        """When its retention is over and it is to be dropped; None until it is terminal."""
        raise NotImplementedError

    @property
    def expected_timeout_s(self) -> float | None:
        """ExpectedExecutionTimeoutTimestamp; None for a terminal execution."""
        raise NotImplementedError

    def outstanding(self) -> list[Command]:
        """What was commanded and has not ended, for a driver that lost it: after a start, or after replay.

        Contains `Invoke` while `wants_invocation`, and each chained invoke that is open. An invocation that
        ran when the engine went down is not among it: tell its `InvocationEnded` as LOST instead.
        """
        raise NotImplementedError

    def invocation_input(self) -> dict[str, Any]:
        """The event for the handler of the invocation that was just told started, times in milliseconds."""
        raise NotImplementedError

    def state_page(self, token: str, marker: str | None = None, max_items: int = 0) -> StatePage:
        """Answer of GetDurableExecutionState. Raises `CheckpointRefused` for a bad token or marker."""
        raise NotImplementedError

    def history_page(
        self,
        marker: str | None = None,
        max_items: int = 0,
        *,
        include_data: bool = True,
        reverse: bool = False,
    ) -> HistoryPage:
        """Answer of GetDurableExecutionHistory, oldest first unless `reverse`; 0 items means 100.

        Raises:
            CheckpointRefused: `Invalid marker`.
        """
        raise NotImplementedError
