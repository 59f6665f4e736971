"""One durable execution as a state machine: facts in, commands out, no clock and no I/O.

Theory of operation
-------------------
A durable function is run again and again until it is done. Each run, an *invocation*, gets all that is known
of the execution so far, replays it, and goes on from there. What it does, it writes down by *checkpoints*;
when it can only wait (for time, for a callback, for another function), it answers PENDING and is gone: a
suspended execution holds nothing but this object. Whatever it waited for wakes it: the next invocation.

So there are two machines in one. The *status* is what AWS shows:

    status     becomes                                  by
    RUNNING    SUCCEEDED, FAILED                        the handler's answer or its EXECUTION update; a limit
               TIMED_OUT                                the execution timeout
               STOPPED                                  StopRequested
               PAUSING                                  PauseRequested while an invocation runs
               PAUSED                                   PauseRequested while none runs
    PAUSING    PAUSED                                   the next checkpoint or end of the invocation
               RUNNING                                  ResumeRequested
               SUCCEEDED, FAILED, TIMED_OUT, STOPPED    as from RUNNING
    PAUSED     RUNNING                                  ResumeRequested
               SUCCEEDED, FAILED                        the answer of an invocation that the pause cut off
               TIMED_OUT, STOPPED                       as from RUNNING
    terminal   DELETING                                 DeleteRequested

The *phase* says what is with the invocation, of which there is one at most:

    phase        becomes       by
    SUSPENDED    WANTED        a wake-up (none while PAUSED: then an invocation is owed, and resuming pays it)
    WANTED       RUNNING       InvocationStarted
                 SUSPENDED     a pause (it is owed) or the end of the execution
    RUNNING      SUSPENDED     InvocationEnded: PENDING with nothing new, or the execution ended
                 WANTED        InvocationEnded: PENDING, and something happened that the handler has not seen;
                               LOST with the engine that ran it
                 BACKING_OFF   InvocationEnded: the function failed, or was throttled
    BACKING_OFF  WANTED        TimerDue, five seconds later
                 SUSPENDED     the same while PAUSED (it is owed); the end of the execution

A new execution is RUNNING and WANTED. `Invoke` is commanded whenever the phase becomes WANTED.

A wake-up is an operation ended by time or from outside. While the handler runs none is let in: time that has
passed and endings that have come wait for its next checkpoint, whose answer tells it, or for its end, after
which it is invoked once more (`operations.py`). So no wake-up is lost, none is served twice, and the events
have AWS's order: `InvocationCompleted` stands before what woke the next invocation.

A checkpoint consumes its token and returns the next; a batch of updates is refused as a whole or applied as a
whole. Tokens die with their invocation. The answer of the last checkpoint is kept while the invocation runs,
for a client that lost it. A pause cuts the invocation off at its next checkpoint: the updates are kept, the
answer has no token, the SDK then answers PENDING, and resuming invokes it anew.

An invocation that outlives its execution (stopped, timed out, or ended by an EXECUTION update) is recorded
when it ends, behind the execution's last event, and its answer is ignored.

Everything that happens is a fact with a time; handling the same facts again gives an equal execution. The
driver keeps one timer, for `next_due_s`, journals each fact that was not refused, and does what is commanded.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from sys import intern
from typing import Any, Final, NamedTuple

from engine.core.durable.callback_ids import read_callback_id
from engine.core.durable.checkpoint_rules import (
    CHAINED_OUTPUT_TOO_LARGE,
    CHILD_OUTPUT_TOO_LARGE,
    INVALID_TOKEN,
    OperationUpdate,
    check_updates,
)
from engine.core.durable.commands import Command, Finish, Invoke
from engine.core.durable.execution_arn import ExecutionArn, parse_execution_arn
from engine.core.durable.facts import (
    CallbackFailed,
    CallbackHeartbeat,
    CallbackSucceeded,
    ChainedInvokeEnded,
    Checkpointed,
    DeleteRequested,
    ExecutionStarted,
    Fact,
    InvocationEnded,
    InvocationStarted,
    PauseRequested,
    ResumeRequested,
    StopRequested,
    TimerDue,
)
from engine.core.durable.history import (
    EndedData,
    EventType,
    ExecutionSummary,
    History,
    HistoryPage,
    InvocationData,
    PausedData,
    ResumedData,
    event_document,
    short_request_id,
)
from engine.core.durable.invocation_answer import AnswerStatus, InvalidAnswer, InvocationAnswer, read_answer
from engine.core.durable.markers import make_marker, make_token, read_marker
from engine.core.durable.operation import (
    CallbackOperation,
    ChainedInvokeOperation,
    DurableOperation,
    error_length,
    timestamp,
)
from engine.core.durable.operations import Operations, chained_command
from engine.core.durable.refusals import CallbackClosed, CallbackUnknown, CheckpointRefused, StatusConflict
from engine.core.durable.values import (
    DAY_S,
    DEFAULT_PAGE_ITEMS,
    IDEMPOTENCY_WINDOW_S,
    MAX_BYTES_WRITTEN,
    MAX_EXECUTION_S,
    MAX_OPERATION_PAYLOAD,
    MAX_OPERATIONS,
    MAX_PAGE_BYTES,
    MAX_PAGE_ITEMS,
    ErrorObject,
    ExecutionStatus,
    InvocationEnd,
    OperationAction,
    OperationStatus,
    OperationType,
    TimeUnit,
    utf8_length,
)
from engine.errors import IllegalMove

RETRY_WAIT_S: Final = 5.0
"""Seconds until a failed invocation is tried again (AWS's testing package)."""

MAX_FAILURES: Final = 5
MAX_IDLE_ANSWERS: Final = 3
"""How many failed invocations in a row, and answers PENDING with nothing to wait for, fail the execution
(AWS's testing package)."""

_EXECUTION_BYTES: Final = 1_000
_OPERATION_BYTES: Final = 250
_EVENT_BYTES: Final = 60
"""Memory of one, its texts left out, as `tests.bench.durable_memory` measures it."""

_ARN_MIDDLE: Final = "/durable-execution/"

_INVOKE: Final = Invoke()
_FINISH: Final = Finish()

_RUNNING: Final = ExecutionStatus.RUNNING
_PAUSING: Final = ExecutionStatus.PAUSING
_PAUSED: Final = ExecutionStatus.PAUSED
_SUCCEEDED: Final = ExecutionStatus.SUCCEEDED
_FAILED: Final = ExecutionStatus.FAILED
_TERMINAL: Final = frozenset(
    {
        _SUCCEEDED,
        _FAILED,
        ExecutionStatus.TIMED_OUT,
        ExecutionStatus.STOPPED,
        ExecutionStatus.DELETING,
    }
)

_END_EVENTS: Final = {
    _SUCCEEDED: EventType.EXECUTION_SUCCEEDED,
    _FAILED: EventType.EXECUTION_FAILED,
    ExecutionStatus.TIMED_OUT: EventType.EXECUTION_TIMED_OUT,
    ExecutionStatus.STOPPED: EventType.EXECUTION_STOPPED,
}

_PARENT_STATUSES: Final = {
    _SUCCEEDED: OperationStatus.SUCCEEDED,
    ExecutionStatus.TIMED_OUT: OperationStatus.TIMED_OUT,
    ExecutionStatus.STOPPED: OperationStatus.STOPPED,
}


class InvocationPhase(Enum):
    """Where the invocation of an execution stands; the table is above."""

    SUSPENDED = "suspended"
    WANTED = "wanted"
    RUNNING = "running"
    BACKING_OFF = "backing off"


_PHASE_SUSPENDED: Final = InvocationPhase.SUSPENDED
_PHASE_WANTED: Final = InvocationPhase.WANTED
_PHASE_RUNNING: Final = InvocationPhase.RUNNING
_PHASE_BACKING_OFF: Final = InvocationPhase.BACKING_OFF


class CheckpointAnswer(NamedTuple):
    """Answer of CheckpointDurableExecution.

    Attributes:
        token: The next CheckpointToken; None tells the handler to end (paused or terminal).
        operations: Documents, times in seconds, of what the handler has not seen.
    """

    token: str | None
    operations: list[dict[str, Any]]


_NO_ANSWER: Final = CheckpointAnswer(None, [])


class StatePage(NamedTuple):
    """Answer of GetDurableExecutionState: documents, times in seconds. `next_marker` is None at the end."""

    operations: list[dict[str, Any]]
    next_marker: str | None


class PauseDetails(NamedTuple):
    """Of an execution that is PAUSING or PAUSED.

    Attributes:
        requested_s: When it was asked for.
        timeout_paused: Whether paused time does not count as execution time.
        reason: As it was given, or None.
        since_s: When it became PAUSED; None while PAUSING.
    """

    requested_s: float
    timeout_paused: bool
    reason: str | None
    since_s: float | None = None


class _Request(NamedTuple):
    """A request that may be repeated: of a checkpoint `token` is its CheckpointToken, else it is empty."""

    client_token: str
    token: str
    now_s: float


class _RunningInvocation:
    """The invocation that runs.

    Attributes:
        token: CheckpointToken that is taken next; None once nothing is taken any more.
        updated_ids: UpdatedOperationIds of its event.
        is_cut_off: A pause has ended it: whatever it answers, it is to be invoked again.
        answer: Of its last checkpoint.
        last_checkpoint: That checkpoint, if it may be repeated.
    """

    __slots__ = ("answer", "is_cut_off", "last_checkpoint", "request_id", "started_s", "token", "updated_ids")

    def __init__(self, request_id: str, started_s: float, token: str, updated_ids: list[str]) -> None:
        self.request_id = request_id
        self.started_s = started_s
        self.token: str | None = token
        self.updated_ids = updated_ids
        self.is_cut_off = False
        self.answer = _NO_ANSWER
        self.last_checkpoint: _Request | None = None

    def close(self) -> None:
        """Take no checkpoint any more."""
        self.token = None
        self.last_checkpoint = None
        self.answer = _NO_ANSWER


class Execution:
    """A durable execution. A new one wants an invocation at once: `outstanding()` is `[Invoke()]`.

    Attributes (read only):
        function_arn: ARN of the version of the function that is executed.
        name: Its name, given or generated.
        execution_id: Last part of its ARN: unique, and the Id of its EXECUTION operation.
        config, input, is_synchronous, trace, parent: As in `ExecutionStarted`.
        started_s, ended_s: Seconds since the Unix epoch; `ended_s` is None until it is terminal.
        status: ExecutionStatus.
        phase: InvocationPhase.
        result: JSON text of a SUCCEEDED execution, which may be None or empty.
        error: ErrorObject of a FAILED, TIMED_OUT or STOPPED one, else None.
        pause: PauseDetails while PAUSING or PAUSED, else None.
        history: Its events.
    """

    __slots__ = (
        "_failures",
        "_invocation",
        "_is_owed",
        "_last_pause",
        "_last_resume",
        "_operations",
        "_paused_s",
        "_retry_s",
        "_token_sequence",
        "config",
        "ended_s",
        "error",
        "execution_id",
        "function_arn",
        "history",
        "input",
        "is_synchronous",
        "name",
        "parent",
        "pause",
        "phase",
        "result",
        "started_s",
        "status",
        "trace",
    )

    def __init__(self, started: ExecutionStarted) -> None:
        # The parts of the ARN, of which one is shared by all, instead of the ARN: it is the largest text.
        function_arn, _, rest = started.arn.partition(_ARN_MIDDLE)
        name, _, execution_id = rest.partition("/")
        self.function_arn = intern(function_arn)
        self.execution_id = execution_id
        self.name = execution_id if name == execution_id else name
        self.config = started.config
        self.input = started.input
        self.is_synchronous = started.is_synchronous
        self.trace = started.trace
        self.parent = started.parent
        self.started_s = started.now_s
        self.ended_s: float | None = None
        self.status = _RUNNING
        self.phase = _PHASE_WANTED
        self.result: str | None = None
        self.error: ErrorObject | None = None
        self.pause: PauseDetails | None = None
        self.history = History()
        self.history.add(EventType.EXECUTION_STARTED, started.now_s, None)
        self._operations = Operations(execution_id, self.history)
        self._operations.bytes_written = utf8_length(started.input)
        self._invocation: _RunningInvocation | None = None
        self._token_sequence = 0
        self._paused_s = 0.0
        self._is_owed = False
        self._failures = 0
        self._retry_s = 0.0
        self._last_pause: _Request | None = None
        self._last_resume: _Request | None = None

    @property
    def arn(self) -> str:
        """Its ARN as text."""
        return f"{self.function_arn}{_ARN_MIDDLE}{self.name}/{self.execution_id}"

    @property
    def function(self) -> str:
        """Name of the function that is executed."""
        return self.function_arn.split(":")[6]

    @property
    def version(self) -> str:
        """The version that is executed."""
        return self.function_arn.rpartition(":")[2]

    @property
    def parts(self) -> ExecutionArn:
        """Its ARN, parsed."""
        parts = parse_execution_arn(self.arn)
        assert parts is not None
        return parts

    @property
    def running_request_id(self) -> str | None:
        """Of the invocation that runs; None while none does."""
        return None if self._invocation is None else self._invocation.request_id

    @property
    def checkpoint_answer(self) -> CheckpointAnswer:
        """What to answer to the `Checkpointed` that was handled last; take it at once."""
        return _NO_ANSWER if self._invocation is None else self._invocation.answer

    @property
    def operations(self) -> dict[str, DurableOperation]:
        """By id, in the order in which they started; without the EXECUTION operation."""
        return self._operations.by_id

    @property
    def operation_count(self) -> int:
        """Operations as AWS counts them: each once, and once more for each retry of a step."""
        return self._operations.count

    @property
    def bytes_written(self) -> int:
        """UTF-8 bytes of input, payloads, results and errors as they were written."""
        return self._operations.bytes_written

    @property
    def memory_bytes(self) -> int:
        """What it takes of memory, about: texts as they were written, and so much for each object."""
        return (
            self.bytes_written
            + _EXECUTION_BYTES
            + _OPERATION_BYTES * len(self.operations)
            + _EVENT_BYTES * len(self.history)
        )

    @property
    def token(self) -> str | None:
        """CheckpointToken that the running invocation is to send next; None while none runs."""
        return None if self._invocation is None else self._invocation.token

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended; all that may follow is the end of its invocation, and its deletion."""
        return self.status in _TERMINAL

    @property
    def wants_invocation(self) -> bool:
        """Whether `Invoke` was commanded, and neither begun nor made void by a stop or pause."""
        return self.phase is _PHASE_WANTED

    @property
    def next_due_s(self) -> float | None:
        """When `TimerDue` is to be told: one timer per execution. None if nothing waits for time.

        The earliest of waits, retries of steps, callback and heartbeat timeouts, the retry of a failed
        invocation and the execution timeout. While an invocation runs only the last counts. May change
        with each fact, in both directions.
        """
        due_s = self.expected_timeout_s
        if due_s is None or self.phase is _PHASE_RUNNING:
            return due_s
        if self.phase is _PHASE_BACKING_OFF and self._retry_s < due_s:
            due_s = self._retry_s
        return min(due_s, self._operations.earliest_s)

    @property
    def expires_s(self) -> float | None:
        """When its retention is over and it is to be dropped; None until it is terminal."""
        return None if self.ended_s is None else self.ended_s + self.config.retention_days * DAY_S

    @property
    def expected_timeout_s(self) -> float | None:
        """ExpectedExecutionTimeoutTimestamp; None for a terminal execution."""
        if self.ended_s is not None:
            return None
        pause, hard_end_s = self.pause, self.started_s + MAX_EXECUTION_S
        if pause is not None and pause.timeout_paused and pause.since_s is not None:
            return hard_end_s
        return min(self.started_s + self.config.execution_timeout_s + self._paused_s, hard_end_s)

    def handle(self, fact: Fact) -> list[Command]:
        """Change state by one fact; return what is to be done about it, in order.

        Raises:
            DurableRefusal: The fact is a request that AWS refuses. Nothing has changed; do not journal it.
            IllegalMove: The driver told what cannot be, such as a second invocation. A bug of ours.
        """
        return _HANDLERS[type(fact)](self, fact)

    def outstanding(self) -> list[Command]:
        """What was commanded and has not ended, for a driver that lost it: after a start, or after replay.

        Contains `Invoke` while `wants_invocation`, and each chained invoke that is open. An invocation that
        ran when the engine went down is not among it: tell its `InvocationEnded` as LOST instead.
        """
        commands: list[Command] = [_INVOKE] if self.wants_invocation else []
        if not self.is_terminal:
            commands += [
                chained_command(each)
                for each in self.operations.values()
                if isinstance(each, ChainedInvokeOperation) and not self._operations.is_closed(each, 0)
            ]
        return commands

    def ending_for_parent(self, now_s: float) -> ChainedInvokeEnded | None:
        """What `parent` is to be told at `now_s` about the end of this execution; None if there is none."""
        if self.parent is None or self.ended_s is None:
            return None
        status = _PARENT_STATUSES.get(self.status, OperationStatus.FAILED)
        error = self.error
        if status is OperationStatus.TIMED_OUT:
            seconds = self.config.execution_timeout_s
            error = {
                "ErrorMessage": f"CHAINED_INVOKE timed out after {seconds} seconds.",
                "ErrorType": "ChainedInvoke.Timeout",
            }
        return ChainedInvokeEnded(now_s, self.parent[1], status, self.result, error)

    def invocation_input(self) -> dict[str, Any]:
        """The event for the handler of the invocation that was just told started, times in milliseconds."""
        invocation = self._invocation
        assert invocation is not None
        operations, next_position = self._page(0, None, TimeUnit.MILLISECONDS)
        return {
            "DurableExecutionArn": self.arn,
            "CheckpointToken": invocation.token,
            "InitialExecutionState": {
                "Operations": operations,
                "NextMarker": self._marker("state", next_position) or "",
            },
            "UpdatedOperationIds": invocation.updated_ids,
        }

    def state_page(self, token: str, marker: str | None = None, max_items: int = 0) -> StatePage:
        """Answer of GetDurableExecutionState; 0 items means 100.

        Raises:
            CheckpointRefused: For a bad token or marker.
        """
        if self._invocation is None or token != self._invocation.token:
            raise CheckpointRefused(INVALID_TOKEN)
        position = read_marker("state", self.execution_id, marker)
        documents, next_position = self._page(position, page_items(max_items), TimeUnit.SECONDS)
        return StatePage(documents, self._marker("state", next_position))

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
        kind = "history-reversed" if reverse else "history"
        count = len(self.history)
        # A marker has the index of the next event, plus one: newer events do not move a page of older ones.
        start = read_marker(kind, self.execution_id, marker) - 1
        if start < 0:
            start = count - 1 if reverse else 0
        start = min(start, count - 1)
        step = -1 if reverse else 1
        indexes = range(start, -1 if reverse else count, step)
        wanted = indexes[: page_items(max_items)]
        summary = ExecutionSummary(self.execution_id, self.name, self.input, self.config.execution_timeout_s)
        counts_bytes = include_data and self.memory_bytes > MAX_PAGE_BYTES
        left = MAX_PAGE_BYTES
        events: list[dict[str, Any]] = []
        for index in wanted:
            event = self.history[index]
            if counts_bytes:
                left -= event.payload_bytes(summary)
                if events and left < 0:
                    break
            events.append(event_document(event, summary, include_data=include_data))
        is_end = len(events) == len(indexes)
        return HistoryPage(events, None if is_end else self._marker(kind, indexes[len(events)] + 1))

    # Facts: one method each.

    def _invocation_started(self, fact: InvocationStarted) -> list[Command]:
        if self.phase is not _PHASE_WANTED:
            raise IllegalMove(self.arn, f"InvocationStarted while {self.phase.value}")
        self.phase = _PHASE_RUNNING
        updated_ids = self._operations.take_unseen()
        self._invocation = _RunningInvocation(fact.request_id, fact.now_s, self._new_token(), updated_ids)
        return []

    def _checkpointed(self, fact: Checkpointed) -> list[Command]:
        invocation = self._invocation
        if invocation is None:
            raise CheckpointRefused(INVALID_TOKEN)
        if _is_repeated(invocation.last_checkpoint, fact.client_token, fact.token, fact.now_s):
            return []
        if fact.token != invocation.token:
            raise CheckpointRefused(INVALID_TOKEN)
        updates, operations, now_s = fact.updates, self._operations, fact.now_s
        commands: list[Command] = []
        if updates:
            check_updates(updates, operations.by_id, self.function_arn, is_child=self.parent is not None)
            commands += operations.apply(updates, fact.resolved, now_s)
            if updates[-1].type is OperationType.EXECUTION:
                return commands + self._end_by_update(updates[-1], fact, invocation)
        operations.complete(now_s)
        if self._is_over_limit():
            return self._end_over_limit(now_s)  # nothing is begun for it any more
        if self.status is _PAUSING:
            invocation.close()
            invocation.is_cut_off = True
            self._become_paused(now_s)
            return commands
        invocation.token = self._new_token()
        self._answer_checkpoint(fact, invocation)
        return commands

    def _invocation_ended(self, fact: InvocationEnded) -> list[Command]:
        invocation = self._invocation
        if invocation is None or fact.request_id != invocation.request_id:
            raise IllegalMove(self.arn, f"InvocationEnded of {fact.request_id}")
        now_s, end = fact.now_s, fact.end
        self.phase = _PHASE_SUSPENDED
        self._invocation = None
        if end is not InvocationEnd.THROTTLED and end is not InvocationEnd.FUNCTION_GONE:
            data = InvocationData(invocation.started_s, short_request_id(invocation.request_id), fact.error)
            self.history.add(EventType.INVOCATION_COMPLETED, now_s, data)
        if self.ended_s is not None:
            return []
        if end is InvocationEnd.ANSWERED:
            return self._answered(fact.answer or b"", now_s, was_cut_off=invocation.is_cut_off)
        if end is InvocationEnd.FUNCTION_GONE:
            return self._end(_FAILED, now_s, error=fact.error)
        if end is InvocationEnd.LOST:
            return self._go_on(now_s, is_wanted=True)
        if end is not InvocationEnd.THROTTLED:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                return self._end(_FAILED, now_s, error=fact.error)
        return self._back_off(now_s)

    def _timer_due(self, fact: TimerDue) -> list[Command]:
        now_s, timeout_s = fact.now_s, self.expected_timeout_s
        if timeout_s is None:
            return []
        if timeout_s <= now_s:
            seconds = self.config.execution_timeout_s
            error: ErrorObject = {"ErrorMessage": f"Execution timed out after {seconds} seconds."}
            return self._end(ExecutionStatus.TIMED_OUT, now_s, error=error)
        if self.phase is _PHASE_RUNNING:
            return []
        self._operations.complete(now_s)
        if self.phase is _PHASE_BACKING_OFF:
            if self._retry_s > now_s:
                return []
            self.phase = _PHASE_SUSPENDED
            return self._wake()
        return self._wake() if self._operations.has_unseen else []

    def _callback_succeeded(self, fact: CallbackSucceeded) -> list[Command]:
        callback = self._open_callback(fact.callback_id, fact.now_s)
        return self._ended_outside(callback, OperationStatus.SUCCEEDED, fact.now_s, fact.result, None)

    def _callback_failed(self, fact: CallbackFailed) -> list[Command]:
        callback = self._open_callback(fact.callback_id, fact.now_s)
        return self._ended_outside(callback, OperationStatus.FAILED, fact.now_s, None, fact.error)

    def _callback_heartbeat(self, fact: CallbackHeartbeat) -> list[Command]:
        self._operations.heard(self._open_callback(fact.callback_id, fact.now_s), fact.now_s)
        return []

    def _chained_invoke_ended(self, fact: ChainedInvokeEnded) -> list[Command]:
        operation = self.operations.get(fact.operation_id)
        if not isinstance(operation, ChainedInvokeOperation):
            raise IllegalMove(self.arn, f"ChainedInvokeEnded of {fact.operation_id}")
        if self.ended_s is not None or self._operations.is_closed(operation, fact.now_s):
            return []
        status, result, error = fact.status, fact.result, fact.error
        if utf8_length(result) > MAX_OPERATION_PAYLOAD:
            status, result = OperationStatus.FAILED, None
            error = {"ErrorMessage": CHAINED_OUTPUT_TOO_LARGE}
        return self._ended_outside(operation, status, fact.now_s, result, error)

    def _stop_requested(self, fact: StopRequested) -> list[Command]:
        if self.ended_s is not None:
            return []
        error = fact.error or {"ErrorMessage": "Execution stopped by user request"}
        return self._end(ExecutionStatus.STOPPED, fact.now_s, error=error)

    def _pause_requested(self, fact: PauseRequested) -> list[Command]:
        if _is_repeated(self._last_pause, fact.client_token, "", fact.now_s):
            return []
        if self.status is not _RUNNING:
            raise StatusConflict(f"The execution is {self.status} and cannot be paused.")
        self._last_pause = _request(fact.client_token, fact.now_s)
        self.pause = PauseDetails(fact.now_s, fact.pause_timeout, fact.reason)
        if self.phase is _PHASE_RUNNING:
            self.status = _PAUSING
            return []
        self._is_owed = self.phase is _PHASE_WANTED
        if self._is_owed:
            self.phase = _PHASE_SUSPENDED
        self._become_paused(fact.now_s)
        return []

    def _resume_requested(self, fact: ResumeRequested) -> list[Command]:
        if _is_repeated(self._last_resume, fact.client_token, "", fact.now_s):
            return []
        pause = self.pause
        if pause is None:
            raise StatusConflict(f"The execution is {self.status} and cannot be resumed.")
        self._last_resume = _request(fact.client_token, fact.now_s)
        self.pause = None
        self.status = _RUNNING
        if pause.since_s is None:
            return []
        if pause.timeout_paused:
            self._paused_s += fact.now_s - pause.since_s
        self.history.add(EventType.EXECUTION_RESUMED, fact.now_s, ResumedData(fact.now_s, fact.reason))
        is_owed, self._is_owed = self._is_owed, False
        return self._wake() if is_owed else []

    def _delete_requested(self, fact: DeleteRequested) -> list[Command]:
        if self.ended_s is None:
            raise StatusConflict(f"The execution is {self.status} and cannot be deleted.")
        self.status = ExecutionStatus.DELETING
        return []

    # Parts of the above.

    def _answered(self, answer: bytes, now_s: float, *, was_cut_off: bool) -> list[Command]:
        """Follow what the handler answered."""
        try:
            read = read_answer(answer)
        except InvalidAnswer as invalid:
            return self._end(_FAILED, now_s, error=_invalid_parameter(invalid.message))
        if read.status is AnswerStatus.PENDING:
            return self._pending(now_s, was_cut_off=was_cut_off)
        return self._end_by_answer(read, now_s)

    def _pending(self, now_s: float, *, was_cut_off: bool) -> list[Command]:
        """The handler waits: for something that is under way, or for the next invocation."""
        has_open = self._operations.has_open()
        self._operations.complete(now_s)
        is_wanted = was_cut_off or self._operations.has_unseen
        if has_open or is_wanted:
            self._failures = 0
            return self._go_on(now_s, is_wanted=is_wanted)
        self._failures += 1
        if self._failures >= MAX_IDLE_ANSWERS:
            error = _invalid_parameter("Cannot return PENDING status with no pending operations.")
            return self._end(_FAILED, now_s, error=error)
        return self._back_off(now_s)

    def _go_on(self, now_s: float, *, is_wanted: bool) -> list[Command]:
        """After an invocation: become paused if that was asked for, invoke again, or stay suspended."""
        self._operations.complete(now_s)
        if self._is_over_limit():
            return self._end_over_limit(now_s)
        if self.status is _PAUSING:
            self._become_paused(now_s)
        return self._wake() if is_wanted else []

    def _back_off(self, now_s: float) -> list[Command]:
        """After a failed invocation: the next one is in a while."""
        self.phase = _PHASE_BACKING_OFF
        self._retry_s = now_s + RETRY_WAIT_S
        return self._go_on(now_s, is_wanted=False)

    def _wake(self) -> list[Command]:
        """The handler has something to see."""
        if self.phase is not _PHASE_SUSPENDED:
            return []
        if self.status is _PAUSED:
            self._is_owed = True
            return []
        self.phase = _PHASE_WANTED
        return [_INVOKE]

    def _ended_outside(
        self,
        operation: DurableOperation,
        status: OperationStatus,
        now_s: float,
        result: str | None,
        error: ErrorObject | None,
    ) -> list[Command]:
        """Somebody outside ended an operation: seen at once, or after what the handler is doing."""
        self._operations.hold(operation, status, now_s, result, error)
        if self.phase is _PHASE_RUNNING:
            return []
        self._operations.complete(now_s)
        return self._end_over_limit(now_s) if self._is_over_limit() else self._wake()

    def _open_callback(self, callback_id: str, now_s: float) -> CallbackOperation:
        """The callback, which can still be ended. Raises `CallbackUnknown` or `CallbackClosed`."""
        address = read_callback_id(callback_id)
        operation = None
        if address is not None and address.execution_id == self.execution_id:
            operation = self._operations.at(address.position)
        if not isinstance(operation, CallbackOperation):
            raise CallbackUnknown("Callback does not exist")
        if self.ended_s is not None or self._operations.is_closed(operation, now_s):
            raise CallbackClosed("Callback has already been completed or has timed out")
        return operation

    def _become_paused(self, now_s: float) -> None:
        assert self.pause is not None
        requested_s, timeout_paused, reason, _ = self.pause
        self.pause = PauseDetails(requested_s, timeout_paused, reason, now_s)
        self.status = _PAUSED
        data = PausedData(requested_s, timeout_paused, reason)
        self.history.add(EventType.EXECUTION_PAUSED, now_s, data)

    def _end_by_update(
        self, update: OperationUpdate, fact: Checkpointed, invocation: _RunningInvocation
    ) -> list[Command]:
        """The handler checkpointed the end of the execution, whose result is too large for an answer."""
        if update.action is OperationAction.SUCCEED:
            commands = self._end(_SUCCEEDED, fact.now_s, result=update.payload)
        else:
            commands = self._end(_FAILED, fact.now_s, error=update.error)
        self._answer_checkpoint(fact, invocation)
        return commands

    def _answer_checkpoint(self, fact: Checkpointed, invocation: _RunningInvocation) -> None:
        """Answer with all that is not seen, and be ready to answer the same request again."""
        invocation.answer = CheckpointAnswer(invocation.token, self._operations.take_delta())
        client_token = fact.client_token
        invocation.last_checkpoint = (
            None if client_token is None else _Request(client_token, fact.token, fact.now_s)
        )

    def _end_by_answer(self, answer: InvocationAnswer, now_s: float) -> list[Command]:
        if answer.status is AnswerStatus.FAILED:
            return self._end(_FAILED, now_s, error=answer.error)
        if self.parent is not None and utf8_length(answer.result) > MAX_OPERATION_PAYLOAD:
            return self._end(_FAILED, now_s, error={"ErrorMessage": CHILD_OUTPUT_TOO_LARGE})
        return self._end(_SUCCEEDED, now_s, result=answer.result)

    def _is_over_limit(self) -> bool:
        operations = self._operations
        return operations.count > MAX_OPERATIONS or operations.bytes_written > MAX_BYTES_WRITTEN

    def _end_over_limit(self, now_s: float) -> list[Command]:
        """Fail an execution that is too large; AWS's text is not known."""
        if self._operations.count > MAX_OPERATIONS:
            message = f"Execution exceeded the limit of {MAX_OPERATIONS} operations."
        else:
            message = f"Execution exceeded the limit of {MAX_BYTES_WRITTEN} bytes written."
        return self._end(_FAILED, now_s, error={"ErrorMessage": message})

    def _end(
        self,
        status: ExecutionStatus,
        now_s: float,
        *,
        result: str | None = None,
        error: ErrorObject | None = None,
    ) -> list[Command]:
        """The execution is terminal. Open operations stay as they are."""
        if status is not _SUCCEEDED and error is None:
            error = {}
        self.status, self.ended_s = status, now_s
        self.result, self.error = result, error
        self.pause = None
        self._operations.bytes_written += utf8_length(result) + error_length(error)
        self._is_owed = False
        if self._invocation is None:
            self.phase = _PHASE_SUSPENDED
        else:
            self._invocation.close()
        self.history.add(_END_EVENTS[status], now_s, EndedData(result, error))
        return [_FINISH]

    def _new_token(self) -> str:
        self._token_sequence += 1
        return make_token(self.execution_id, self._token_sequence)

    def _page(
        self, position: int, max_items: int | None, unit: TimeUnit
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Documents of the operations from `position` on, and where the next page begins; None at the end.

        The EXECUTION operation stands before the others, so that a position is that of its operation plus
        one. A page ends after `max_items`, or before its payload exceeds 5 MiB.
        """
        documents: list[dict[str, Any]] = []
        left = MAX_PAGE_BYTES
        if position == 0:
            documents.append(self._execution_document(unit))
            left -= utf8_length(self.input)
        counts_bytes = self._operations.bytes_written > MAX_PAGE_BYTES
        for operation in self._operations.visible():
            if operation.position + 1 < position:
                continue
            if counts_bytes:
                left -= operation.payload_bytes
            if documents and (left < 0 or len(documents) == max_items):
                return documents, operation.position + 1
            documents.append(operation.document(unit))
        return documents, None

    def _execution_document(self, unit: TimeUnit) -> dict[str, Any]:
        """The EXECUTION operation, by which the handler gets its input."""
        return {
            "Id": self.execution_id,
            "Type": "EXECUTION",
            "Status": "STARTED",
            "Name": self.name,
            "StartTimestamp": timestamp(self.started_s, unit),
            "ExecutionDetails": {"InputPayload": self.input},
        }

    def _marker(self, kind: str, position: int | None) -> str | None:
        return None if position is None else make_marker(kind, self.execution_id, position)


_HANDLERS: Final[dict[type, Callable[[Execution, Any], list[Command]]]] = {
    InvocationStarted: Execution._invocation_started,
    Checkpointed: Execution._checkpointed,
    InvocationEnded: Execution._invocation_ended,
    TimerDue: Execution._timer_due,
    CallbackSucceeded: Execution._callback_succeeded,
    CallbackFailed: Execution._callback_failed,
    CallbackHeartbeat: Execution._callback_heartbeat,
    ChainedInvokeEnded: Execution._chained_invoke_ended,
    StopRequested: Execution._stop_requested,
    PauseRequested: Execution._pause_requested,
    ResumeRequested: Execution._resume_requested,
    DeleteRequested: Execution._delete_requested,
}


def page_items(max_items: int) -> int:
    """MaxItems as the API takes it: 0 stands for 100, and 1,000 is the most."""
    return min(max_items or DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS)


def _request(client_token: str | None, now_s: float) -> _Request | None:
    return None if client_token is None else _Request(client_token, "", now_s)


def _is_repeated(last: _Request | None, client_token: str | None, token: str, now_s: float) -> bool:
    """Whether a request is the last one again, whose answer was lost."""
    return (
        last is not None
        and client_token == last.client_token
        and token == last.token
        and now_s - last.now_s <= IDEMPOTENCY_WINDOW_S
    )


def _invalid_parameter(message: str) -> ErrorObject:
    return {"ErrorMessage": message, "ErrorType": "InvalidParameterValueException"}
