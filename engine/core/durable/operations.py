"""The operations of one execution: updates applied, time and outside endings let in, and what is yet unseen.

Endings from outside (callbacks, chained invokes) that come while the handler runs are held, and so is what
time has ended, until `complete`: at the next checkpoint or after the invocation. That keeps the order of
events that AWS's histories have, and what one invocation sees from changing behind its back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Final, NamedTuple

from engine.core.durable.checkpoint_rules import OperationUpdate
from engine.core.durable.commands import StartChainedInvoke
from engine.core.durable.facts import ChainedTarget
from engine.core.durable.history import EventType, History, RetryData
from engine.core.durable.operation import (
    NEVER,
    CallbackOperation,
    ChainedInvokeOperation,
    ContextOperation,
    DurableOperation,
    StepOperation,
    WaitOperation,
    error_length,
)
from engine.core.durable.values import (
    ErrorObject,
    OperationAction,
    OperationStatus,
    OperationType,
    TimeUnit,
    utf8_length,
)

_START: Final = OperationAction.START
_RETRY: Final = OperationAction.RETRY
_SUCCEED: Final = OperationAction.SUCCEED
_CANCEL: Final = OperationAction.CANCEL

_STARTED: Final = OperationStatus.STARTED
_PENDING: Final = OperationStatus.PENDING
_READY: Final = OperationStatus.READY
_SUCCEEDED: Final = OperationStatus.SUCCEEDED
_FAILED: Final = OperationStatus.FAILED
_TIMED_OUT: Final = OperationStatus.TIMED_OUT
_COMPLETED: Final = frozenset({_SUCCEEDED, _FAILED})

_SECONDS: Final = TimeUnit.SECONDS

_CLASSES: Final[Mapping[str, type[DurableOperation]]] = {
    OperationType.CONTEXT: ContextOperation,
    OperationType.STEP: StepOperation,
    OperationType.WAIT: WaitOperation,
    OperationType.CHAINED_INVOKE: ChainedInvokeOperation,
}
"""By type; a callback needs more than its update."""

_STARTED_EVENTS: Final[Mapping[str, EventType]] = {
    OperationType.CONTEXT: EventType.CONTEXT_STARTED,
    OperationType.STEP: EventType.STEP_STARTED,
    OperationType.WAIT: EventType.WAIT_STARTED,
    OperationType.CALLBACK: EventType.CALLBACK_STARTED,
    OperationType.CHAINED_INVOKE: EventType.CHAINED_INVOKE_STARTED,
}

_ENDED_EVENTS: Final[Mapping[str, Mapping[str, EventType]]] = {
    OperationType.CONTEXT: {_SUCCEEDED: EventType.CONTEXT_SUCCEEDED, _FAILED: EventType.CONTEXT_FAILED},
    OperationType.STEP: {_SUCCEEDED: EventType.STEP_SUCCEEDED, _FAILED: EventType.STEP_FAILED},
    OperationType.WAIT: {
        _SUCCEEDED: EventType.WAIT_SUCCEEDED,
        OperationStatus.CANCELLED: EventType.WAIT_CANCELLED,
    },
    OperationType.CALLBACK: {
        _SUCCEEDED: EventType.CALLBACK_SUCCEEDED,
        _FAILED: EventType.CALLBACK_FAILED,
        _TIMED_OUT: EventType.CALLBACK_TIMED_OUT,
    },
    OperationType.CHAINED_INVOKE: {
        _SUCCEEDED: EventType.CHAINED_INVOKE_SUCCEEDED,
        _FAILED: EventType.CHAINED_INVOKE_FAILED,
        _TIMED_OUT: EventType.CHAINED_INVOKE_TIMED_OUT,
        OperationStatus.STOPPED: EventType.CHAINED_INVOKE_STOPPED,
    },
}


class _Ending(NamedTuple):
    """What ends an operation from outside, and when it came."""

    at_s: float
    position: int
    operation: DurableOperation
    status: OperationStatus
    result: str | None
    error: ErrorObject | None


class Operations:
    """All operations of one execution.

    Attributes:
        by_id: In the order in which they started.
        count: As AWS counts them: each once, and once more for each retry of a step.
        bytes_written: UTF-8 bytes of payloads, results and errors as they were written.
        earliest_s: The earliest `due_s`; NEVER if time ends nothing.
    """

    __slots__ = (
        "_delta",
        "_execution_id",
        "_held",
        "_history",
        "_unseen",
        "by_id",
        "bytes_written",
        "count",
        "earliest_s",
    )

    def __init__(self, execution_id: str, history: History) -> None:
        self._execution_id = execution_id
        self._history = history
        self.by_id: dict[str, DurableOperation] = {}
        self.count = 0
        self.bytes_written = 0
        self.earliest_s = NEVER
        # None instead of empty: most executions are suspended, and an empty container is not small.
        self._unseen: list[DurableOperation] | None = None
        self._delta: dict[str, DurableOperation] | None = None
        self._held: dict[str, _Ending] | None = None

    def apply(
        self, updates: Sequence[OperationUpdate], resolved: Mapping[str, ChainedTarget], now_s: float
    ) -> list[StartChainedInvoke]:
        """Write down a batch that keeps the rules; an EXECUTION update is the execution's business.

        Returns the chained invokes to start. One whose target is not in `resolved` has a plain target.
        """
        commands: list[StartChainedInvoke] = []
        for update in updates:
            if update.type is OperationType.EXECUTION:
                continue
            operation = self.by_id.get(update.id)
            if operation is None:
                operation = self._create(update, now_s)
            action = update.action
            if action is _START:
                if isinstance(operation, ChainedInvokeOperation):
                    commands += self._start_chained(operation, update, resolved, now_s)
                    continue
                self._start(operation, now_s)
            elif isinstance(operation, StepOperation):
                self._end_attempt(operation, update, now_s)
            elif action is _CANCEL:
                self._end(operation, OperationStatus.CANCELLED, now_s, None, update.error)
            else:
                self._end_context(operation, update, now_s)
            self._touch(operation)
        return commands

    def hold(
        self,
        operation: DurableOperation,
        status: OperationStatus,
        now_s: float,
        result: str | None,
        error: ErrorObject | None,
    ) -> None:
        """Keep an ending from outside until `complete`. Time does not end the operation any more."""
        self._set_due(operation, NEVER)
        if self._held is None:
            self._held = {}
        self._held[operation.id] = _Ending(now_s, operation.position, operation, status, result, error)

    def is_closed(self, operation: DurableOperation, now_s: float) -> bool:
        """Whether an ending from outside comes too late: it has ended, or is about to."""
        is_held = self._held is not None and operation.id in self._held
        return is_held or operation.status is not _STARTED or operation.due_s <= now_s

    def heard(self, callback: CallbackOperation, now_s: float) -> None:
        """A heartbeat: its heartbeat timeout begins anew."""
        before_s = callback.due_s
        callback.heard(now_s)
        if before_s == self.earliest_s:
            self._find_earliest()

    def complete(self, now_s: float) -> None:
        """End what time has ended and what was held, in the order in which it happened."""
        if self._held is None and self.earliest_s > now_s:
            return
        endings = list(self._held.values()) if self._held else []
        self._held = None
        is_due = self.earliest_s <= now_s
        if is_due:
            endings += (_by_time(each) for each in self.by_id.values() if each.due_s <= now_s)
        endings.sort(key=_time_and_position)
        if self._unseen is None:
            self._unseen = []
        for _, _, operation, status, result, error in endings:
            operation.due_s = NEVER
            if status is _READY:
                operation.status = _READY
            else:
                self._end(operation, status, now_s, result, error)
            self._touch(operation)
            self._unseen.append(operation)
        if is_due:
            self._find_earliest()

    def at(self, position: int) -> DurableOperation | None:
        """The operation that was the `position`-th to start, from 0; None if there is none."""
        return next(islice(self.by_id.values(), position, None), None)

    def has_open(self) -> bool:
        """Whether anything is under way that will wake the handler."""
        return any(each.is_open for each in reversed(self.by_id.values()))

    @property
    def has_unseen(self) -> bool:
        """Whether anything ended outside or by time that the handler has not seen."""
        return self._unseen is not None

    def take_unseen(self) -> list[str]:
        """Ids of what ended outside or by time and was not seen, in the order of starts; now it is."""
        ids = [each.id for each in sorted(self._unseen or (), key=_position)]
        self._unseen = None
        return ids

    def take_delta(self) -> list[dict[str, Any]]:
        """Documents of what was touched since the last time, in the order of starts; now they are seen."""
        delta, self._delta, self._unseen = self._delta, None, None
        if delta is None:
            return []
        return [operation.document(_SECONDS) for operation in sorted(delta.values(), key=_position)]

    def visible(self) -> list[DurableOperation]:
        """Those that the handler needs for a replay, in the order of starts.

        What is inside a completed context is left out unless its body runs again (model, ReplayChildren).
        """
        hidden: set[str] = set()
        shown: list[DurableOperation] = []
        for operation in self.by_id.values():
            is_hidden = operation.parent_id in hidden
            if not is_hidden:
                shown.append(operation)
            if isinstance(operation, ContextOperation) and (
                is_hidden or (operation.status in _COMPLETED and not operation.replay_children)
            ):
                hidden.add(operation.id)
        return shown

    def _create(self, update: OperationUpdate, now_s: float) -> DurableOperation:
        position = len(self.by_id)
        operation: DurableOperation
        if update.type is OperationType.CALLBACK:
            operation = CallbackOperation(update, position, now_s, self._execution_id)
        else:
            operation = _CLASSES[update.type](update, position, now_s)
        self.by_id[operation.id] = operation
        self.count += 1
        return operation

    def _start(self, operation: DurableOperation, now_s: float) -> None:
        """Begin it, or the next attempt of a step. What a poll left stays: a crash must not lose it."""
        operation.status = _STARTED
        operation.error = None
        self.earliest_s = min(self.earliest_s, operation.due_s)
        self._history.add(_STARTED_EVENTS[operation.type], now_s, operation)

    def _start_chained(
        self,
        operation: ChainedInvokeOperation,
        update: OperationUpdate,
        resolved: Mapping[str, ChainedTarget],
        now_s: float,
    ) -> list[StartChainedInvoke]:
        """Begin a chained invoke, or fail it at once, without its input, if its target does not exist."""
        target = resolved.get(update.id, ChainedTarget())
        operation.executed_version = target.executed_version
        operation.execution_arn = target.execution_arn
        if target.error is None:
            operation.input = update.payload
            self.bytes_written += utf8_length(update.payload)
        self._start(operation, now_s)
        self._touch(operation)
        if target.error is not None:
            self._end(operation, _FAILED, now_s, None, target.error)
            return []
        return [chained_command(operation)]

    def _end_attempt(self, step: StepOperation, update: OperationUpdate, now_s: float) -> None:
        """An attempt of a step is over: for good, or to be followed by another one."""
        step.attempt += 1
        step.result, step.error = update.payload, update.error
        self.bytes_written += utf8_length(update.payload) + error_length(update.error)
        failed = update.error is not None if update.action is _RETRY else update.action is not _SUCCEED
        event = EventType.STEP_FAILED if failed else EventType.STEP_SUCCEEDED
        if update.action is not _RETRY:
            step.status = _FAILED if failed else _SUCCEEDED
            step.ended_s = now_s
            self._history.add(event, now_s, step)
            return
        delay_s = update.option("NextAttemptDelaySeconds", 0)
        step.status = _PENDING
        step.due_s = now_s + delay_s
        self.earliest_s = min(self.earliest_s, step.due_s)
        self.count += 1
        self._history.add(event, now_s, RetryData(step, step.result, step.error, step.attempt, delay_s))

    def _end_context(self, context: DurableOperation, update: OperationUpdate, now_s: float) -> None:
        if isinstance(context, ContextOperation):
            context.replay_children = bool(update.option("ReplayChildren", None))
        status = _SUCCEEDED if update.action is _SUCCEED else _FAILED
        self._end(context, status, now_s, update.payload, update.error)

    def _end(
        self,
        operation: DurableOperation,
        status: OperationStatus,
        now_s: float,
        result: str | None,
        error: ErrorObject | None,
    ) -> None:
        self._set_due(operation, NEVER)
        operation.status = status
        operation.ended_s = now_s
        operation.result, operation.error = result, error
        self.bytes_written += utf8_length(result) + error_length(error)
        self._history.add(_ENDED_EVENTS[operation.type][status], now_s, operation)

    def _touch(self, operation: DurableOperation) -> None:
        if self._delta is None:
            self._delta = {}
        self._delta[operation.id] = operation

    def _set_due(self, operation: DurableOperation, due_s: float) -> None:
        was_earliest = operation.due_s != NEVER and operation.due_s == self.earliest_s
        operation.due_s = due_s
        if was_earliest:
            self._find_earliest()

    def _find_earliest(self) -> None:
        self.earliest_s = min(map(_due, self.by_id.values()), default=NEVER)


_position: Final = attrgetter("position")
_time_and_position: Final = attrgetter("at_s", "position")
_due: Final = attrgetter("due_s")


def _by_time(operation: DurableOperation) -> _Ending:
    """How time ends it: a wait is over, a callback was not answered, a step may be tried again."""
    status, error = _SUCCEEDED, None
    if isinstance(operation, CallbackOperation):
        status, error = _TIMED_OUT, operation.time_out_error()
    elif isinstance(operation, StepOperation):
        status = _READY
    return _Ending(operation.due_s, operation.position, operation, status, None, error)


def chained_command(operation: ChainedInvokeOperation) -> StartChainedInvoke:
    """What the driver is asked to do for it."""
    return StartChainedInvoke(
        operation.id,
        operation.function,
        operation.input,
        operation.tenant_id,
        operation.trace,
        operation.execution_arn,
    )
