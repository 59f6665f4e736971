"""The events of an execution, in the order in which they were accepted: 26 types, by the Lambda model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

from engine.core.durable.operation import (
    CallbackOperation,
    ChainedInvokeOperation,
    DurableOperation,
    StepOperation,
    WaitOperation,
    error_length,
    timestamp,
)
from engine.core.durable.values import ErrorObject, TimeUnit, utf8_length

_SECONDS: Final = TimeUnit.SECONDS
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class EventType(StrEnum):
    """What an event says."""

    EXECUTION_STARTED = "ExecutionStarted"
    EXECUTION_SUCCEEDED = "ExecutionSucceeded"
    EXECUTION_FAILED = "ExecutionFailed"
    EXECUTION_TIMED_OUT = "ExecutionTimedOut"
    EXECUTION_STOPPED = "ExecutionStopped"
    EXECUTION_PAUSED = "ExecutionPaused"
    EXECUTION_RESUMED = "ExecutionResumed"
    INVOCATION_COMPLETED = "InvocationCompleted"
    CONTEXT_STARTED = "ContextStarted"
    CONTEXT_SUCCEEDED = "ContextSucceeded"
    CONTEXT_FAILED = "ContextFailed"
    STEP_STARTED = "StepStarted"
    STEP_SUCCEEDED = "StepSucceeded"
    STEP_FAILED = "StepFailed"
    WAIT_STARTED = "WaitStarted"
    WAIT_SUCCEEDED = "WaitSucceeded"
    WAIT_CANCELLED = "WaitCancelled"
    CALLBACK_STARTED = "CallbackStarted"
    CALLBACK_SUCCEEDED = "CallbackSucceeded"
    CALLBACK_FAILED = "CallbackFailed"
    CALLBACK_TIMED_OUT = "CallbackTimedOut"
    CHAINED_INVOKE_STARTED = "ChainedInvokeStarted"
    CHAINED_INVOKE_SUCCEEDED = "ChainedInvokeSucceeded"
    CHAINED_INVOKE_FAILED = "ChainedInvokeFailed"
    CHAINED_INVOKE_TIMED_OUT = "ChainedInvokeTimedOut"
    CHAINED_INVOKE_STOPPED = "ChainedInvokeStopped"


class ExecutionSummary(NamedTuple):
    """What the events of the execution itself show."""

    execution_id: str
    name: str
    input: str
    execution_timeout_s: int


class EndedData(NamedTuple):
    """Of the end of an execution: what it left."""

    result: str | None
    error: ErrorObject | None


class RetryData(NamedTuple):
    """Of an attempt of a step that another one follows: its number, from 1, and the seconds until then."""

    step: StepOperation
    result: str | None
    error: ErrorObject | None
    attempt: int
    next_delay_s: int


class PausedData(NamedTuple):
    """Of ExecutionPaused."""

    requested_s: float
    timeout_paused: bool
    reason: str | None


class ResumedData(NamedTuple):
    """Of ExecutionResumed."""

    requested_s: float
    reason: str | None


class InvocationData(NamedTuple):
    """Of InvocationCompleted, which is written when it ends. `short_id` is by `short_request_id`."""

    started_s: float
    short_id: bytes | str
    error: ErrorObject | None


def short_request_id(request_id: str) -> bytes | str:
    """A request id in a third of its memory if it is a UUID as the engine makes them, else as it is."""
    if _UUID.fullmatch(request_id) is None:
        return request_id
    return bytes.fromhex(request_id.replace("-", ""))


def _request_id(short: bytes | str) -> str:
    if isinstance(short, str):
        return short
    text = short.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


EventSubject: TypeAlias = (
    DurableOperation | RetryData | EndedData | PausedData | ResumedData | InvocationData | None
)
"""What an event is about; None for ExecutionStarted.

What an operation started with and ended with never changes, so that its events are read from it; only an
attempt that was not the last has data of its own."""


class HistoryEvent(NamedTuple):
    """One event."""

    id: int
    type: EventType
    now_s: float
    subject: EventSubject

    @property
    def operation(self) -> DurableOperation | None:
        """The operation it is about; None for those of the execution and its invocations."""
        subject = self.subject
        if isinstance(subject, RetryData):
            return subject.step
        return subject if isinstance(subject, DurableOperation) else None

    def payload_bytes(self, summary: ExecutionSummary) -> int:
        """Bytes of what a page carries for it, or a little more: texts of its subject, shown or not."""
        subject = self.subject
        if subject is None:
            return utf8_length(summary.input)
        size = 0
        if isinstance(subject, ChainedInvokeOperation):
            size += utf8_length(subject.input)
        if isinstance(subject, EndedData | RetryData | DurableOperation):
            size += utf8_length(subject.result)
        if isinstance(subject, EndedData | RetryData | DurableOperation | InvocationData):
            size += error_length(subject.error)
        return size


class HistoryPage(NamedTuple):
    """Some events as the API's documents. `next_marker` is None at the end."""

    events: list[dict[str, Any]]
    next_marker: str | None


class History:
    """Events, kept as cells of one sequence, three words each.

    A short one is a tuple, with nothing spare, for all that only wait. A long one is a list: a tuple is
    copied for each event, which thousands of them do not bear.
    """

    __slots__ = ("_cells",)
    _WIDTH: Final = 3
    _MOST_COPIED: Final = 120

    def __init__(self) -> None:
        self._cells: tuple[Any, ...] | list[Any] = ()

    def __len__(self) -> int:
        return len(self._cells) // self._WIDTH

    def __getitem__(self, index: int) -> HistoryEvent:
        """The event `index`, from 0 below the length; its EventId is one more."""
        at = index * self._WIDTH
        return HistoryEvent(index + 1, *self._cells[at : at + self._WIDTH])

    def add(self, type: EventType, now_s: float, subject: EventSubject) -> None:  # noqa: A002
        """Write down what was accepted at `now_s`."""
        cells = self._cells
        if isinstance(cells, tuple):
            cells += (type, now_s, subject)
            self._cells = cells if len(cells) <= self._MOST_COPIED else list(cells)
        else:
            cells += (type, now_s, subject)


def event_document(event: HistoryEvent, summary: ExecutionSummary, *, include_data: bool) -> dict[str, Any]:
    """The API's Event. Without `include_data` payloads are left out and said to be truncated."""
    document: dict[str, Any] = {
        "EventType": event.type.value,
        "EventTimestamp": timestamp(event.now_s, _SECONDS),
        "EventId": event.id,
    }
    operation = event.operation
    if operation is not None:
        members = {
            "SubType": operation.sub_type,
            "Id": operation.id,
            "Name": operation.name,
            "ParentId": operation.parent_id,
        }
        document.update((member, value) for member, value in members.items() if value is not None)
    elif event.type is not EventType.INVOCATION_COMPLETED:
        document["Id"], document["Name"] = summary.execution_id, summary.name
    if event.type is EventType.EXECUTION_STARTED:
        details = {"Input": _payload(summary.input), "ExecutionTimeout": summary.execution_timeout_s}
    else:
        details = _DETAILS.get(event.type, _no_details)(event)
    if not include_data:
        details = {member: _without_payload(value) for member, value in details.items()}
    document[f"{event.type}Details"] = details
    return document


def _no_details(event: HistoryEvent) -> dict[str, Any]:
    return {}


def _without_payload(value: Any) -> Any:
    """What is left of a member where no data was asked for."""
    return {"Truncated": True} if isinstance(value, dict) and "Truncated" in value else value


def _payload(value: object) -> dict[str, Any]:
    """An Input, Result, Reason or Error as the model wraps it."""
    return {"Truncated": False} if value is None else {"Truncated": False, "Payload": value}


def _ending(event: HistoryEvent) -> dict[str, Any]:
    """Result or Error of what ended: an execution, an operation, an attempt."""
    subject = event.subject
    assert isinstance(subject, EndedData | RetryData | DurableOperation)
    if event.type.endswith("Succeeded"):
        return {"Result": _payload(subject.result)}
    return {"Error": _payload(subject.error or {})}


def _attempt(event: HistoryEvent) -> dict[str, Any]:
    subject = event.subject
    assert isinstance(subject, RetryData | StepOperation)
    retry = {"CurrentAttempt": subject.attempt}
    if isinstance(subject, RetryData):
        retry["NextAttemptDelaySeconds"] = subject.next_delay_s
    return {**_ending(event), "RetryDetails": retry}


def _execution_paused(event: HistoryEvent) -> dict[str, Any]:
    data = event.subject
    assert isinstance(data, PausedData)
    return {
        "PauseRequestTimestamp": timestamp(data.requested_s, _SECONDS),
        "ExecutionTimeoutPaused": data.timeout_paused,
        **_reason(data.reason),
    }


def _execution_resumed(event: HistoryEvent) -> dict[str, Any]:
    data = event.subject
    assert isinstance(data, ResumedData)
    return {
        "ResumeRequestTimestamp": timestamp(data.requested_s, _SECONDS),
        **_reason(data.reason),
    }


def _reason(reason: str | None) -> dict[str, Any]:
    return {} if reason is None else {"Reason": _payload(reason)}


def _invocation_completed(event: HistoryEvent) -> dict[str, Any]:
    data = event.subject
    assert isinstance(data, InvocationData)
    details: dict[str, Any] = {
        "StartTimestamp": timestamp(data.started_s, _SECONDS),
        "EndTimestamp": timestamp(event.now_s, _SECONDS),
        "RequestId": _request_id(data.short_id),
    }
    if data.error is not None:
        details["Error"] = _payload(data.error)
    return details


def _wait_started(event: HistoryEvent) -> dict[str, Any]:
    wait = event.subject
    assert isinstance(wait, WaitOperation)
    return {
        "Duration": wait.duration_s,
        "ScheduledEndTimestamp": timestamp(wait.scheduled_end_s, _SECONDS),
    }


def _wait_succeeded(event: HistoryEvent) -> dict[str, Any]:
    wait = event.subject
    assert isinstance(wait, WaitOperation)
    return {"Duration": wait.duration_s}


def _wait_cancelled(event: HistoryEvent) -> dict[str, Any]:
    wait = event.subject
    assert isinstance(wait, WaitOperation)
    return {} if wait.error is None else {"Error": _payload(wait.error)}


def _callback_started(event: HistoryEvent) -> dict[str, Any]:
    callback = event.subject
    assert isinstance(callback, CallbackOperation)
    details: dict[str, Any] = {"CallbackId": callback.callback_id}
    if callback.timeout_s:
        details["Timeout"] = callback.timeout_s
    if callback.heartbeat_timeout_s:
        details["HeartbeatTimeout"] = callback.heartbeat_timeout_s
    return details


def _chained_invoke_started(event: HistoryEvent) -> dict[str, Any]:
    invoke = event.subject
    assert isinstance(invoke, ChainedInvokeOperation)
    details: dict[str, Any] = {"FunctionName": invoke.function}
    if invoke.tenant_id is not None:
        details["TenantId"] = invoke.tenant_id
    if invoke.input is not None:
        details["Input"] = _payload(invoke.input)
    if invoke.executed_version is not None:
        details["ExecutedVersion"] = invoke.executed_version
    if invoke.execution_arn is not None:
        details["DurableExecutionArn"] = invoke.execution_arn
    return details


_DETAILS: Final[Mapping[EventType, Callable[[HistoryEvent], dict[str, Any]]]] = {
    EventType.EXECUTION_SUCCEEDED: _ending,
    EventType.EXECUTION_FAILED: _ending,
    EventType.EXECUTION_TIMED_OUT: _ending,
    EventType.EXECUTION_STOPPED: _ending,
    EventType.EXECUTION_PAUSED: _execution_paused,
    EventType.EXECUTION_RESUMED: _execution_resumed,
    EventType.INVOCATION_COMPLETED: _invocation_completed,
    EventType.CONTEXT_SUCCEEDED: _ending,
    EventType.CONTEXT_FAILED: _ending,
    EventType.STEP_SUCCEEDED: _attempt,
    EventType.STEP_FAILED: _attempt,
    EventType.WAIT_STARTED: _wait_started,
    EventType.WAIT_SUCCEEDED: _wait_succeeded,
    EventType.WAIT_CANCELLED: _wait_cancelled,
    EventType.CALLBACK_STARTED: _callback_started,
    EventType.CALLBACK_SUCCEEDED: _ending,
    EventType.CALLBACK_FAILED: _ending,
    EventType.CALLBACK_TIMED_OUT: _ending,
    EventType.CHAINED_INVOKE_STARTED: _chained_invoke_started,
    EventType.CHAINED_INVOKE_SUCCEEDED: _ending,
    EventType.CHAINED_INVOKE_FAILED: _ending,
    EventType.CHAINED_INVOKE_TIMED_OUT: _ending,
    EventType.CHAINED_INVOKE_STOPPED: _ending,
}
"""What each type shows but ExecutionStarted; ContextStarted and StepStarted show nothing."""
