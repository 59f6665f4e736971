"""What the durable executions of one function did and do: plain numbers, read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from engine.core.durable.execution import Execution
from engine.core.durable.values import DAY_S, ExecutionStatus

_PAUSED: Final = ExecutionStatus.PAUSED


class ExecutionStanding(NamedTuple):
    """Of an execution: `running` (an invocation runs), `suspended` or `paused`; None once it has ended."""

    state: str | None
    operations: int
    bytes_written: int


def standing(execution: Execution) -> ExecutionStanding:
    """How it stands now."""
    if execution.is_terminal:
        state = None
    elif execution.status is _PAUSED:
        state = "paused"
    else:
        state = "suspended" if execution.running_request_id is None else "running"
    return ExecutionStanding(state, execution.operation_count, execution.bytes_written)


class DurableCounts:
    """Counters since the engine started, and how many executions there are now.

    Attributes:
        started: Executions that were started.
        ended: Those that ended, by status in lower case.
        now: Executions that have not ended, by `ExecutionStanding.state`.
        operations: As AWS counts them: each once, and once more for each retry.
        bytes_written: UTF-8 bytes of inputs, payloads, results and errors.
        byte_seconds: Bytes written, times the seconds that they are kept: for an execution and its whole
            retention, counted at its end.
        took: Told the seconds that each took, at its end.
    """

    __slots__ = (
        "_executions",
        "_oldest",
        "_wall",
        "byte_seconds",
        "bytes_written",
        "ended",
        "now",
        "operations",
        "started",
        "took",
    )

    def __init__(self, wall: Callable[[], float], executions: Callable[[], Iterable[Execution]]) -> None:
        """`executions` returns those of the function, the oldest first."""
        self._wall = wall
        self._executions = executions
        self._oldest: Execution | None = None  # of those that have not ended, as it was when last asked
        self.started = 0
        self.ended = {"succeeded": 0, "failed": 0, "timed_out": 0, "stopped": 0}
        self.now = {"running": 0, "suspended": 0, "paused": 0}
        self.operations = 0
        self.bytes_written = 0
        self.byte_seconds = 0
        self.took: Callable[[float], None] = lambda _took_s: None

    @property
    def oldest_age_s(self) -> float:
        """How long ago the oldest execution started that has not ended, seconds; 0 if there is none."""
        oldest = self._oldest
        if oldest is None or oldest.is_terminal:
            oldest = next((one for one in self._executions() if not one.is_terminal), None)
            self._oldest = oldest
        return 0.0 if oldest is None else max(0.0, self._wall() - oldest.started_s)

    def add(self, execution: Execution) -> None:
        """It is there: started, or found in the journal."""
        state = standing(execution).state
        if state is not None:
            self.now[state] += 1

    def start(self, execution: Execution) -> None:
        """It was started, with its input written."""
        self.started += 1
        self.bytes_written += execution.bytes_written

    def moved(self, was: ExecutionStanding, execution: Execution) -> None:
        """Something happened to it."""
        state, operations, bytes_written = standing(execution)
        self.operations += operations - was.operations
        self.bytes_written += bytes_written - was.bytes_written
        if state == was.state or was.state is None:
            return
        self.now[was.state] -= 1
        if state is not None:
            self.now[state] += 1
            return
        self.ended[execution.status.value.lower()] += 1
        took_s = (execution.ended_s or execution.started_s) - execution.started_s
        self.took(took_s)
        kept_s = took_s + execution.config.retention_days * DAY_S
        self.byte_seconds += round(bytes_written * kept_s)

    def forget(self, execution: Execution) -> None:
        """It is there no more."""
        state = standing(execution).state
        if state is not None:
            self.now[state] -= 1
        if execution is self._oldest:
            self._oldest = None
