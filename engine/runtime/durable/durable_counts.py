"""What the durable executions of one function did and do: plain numbers, read at each scrape."""

from __future__ import annotations

from collections.abc import Callable
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
        "_open_since_s",
        "_wall",
        "byte_seconds",
        "bytes_written",
        "ended",
        "now",
        "operations",
        "started",
        "took",
    )

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._open_since_s: dict[str, float] = {}  # by execution id, the oldest first
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
        for started_s in self._open_since_s.values():
            return max(0.0, self._wall() - started_s)
        return 0.0

    def add(self, execution: Execution) -> None:
        """It is there: started, or found in the journal."""
        state = standing(execution).state
        if state is not None:
            self.now[state] += 1
            self._open_since_s[execution.execution_id] = execution.started_s

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
        del self._open_since_s[execution.execution_id]
        self.ended[execution.status.value.lower()] += 1
        took_s = (execution.ended_s or execution.started_s) - execution.started_s
        self.took(took_s)
        kept_s = took_s + execution.config.retention_days * DAY_S
        self.byte_seconds += round(bytes_written * kept_s)

    def forget(self, execution: Execution) -> None:
        """It is there no more."""
        if self._open_since_s.pop(execution.execution_id, None) is not None:
            self.now[standing(execution).state or "suspended"] -= 1
