"""An execution with a clock, a handler in few words, and a journal of what was told."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from engine.core.durable.checkpoint_rules import read_update
from engine.core.durable.commands import Command
from engine.core.durable.execution import Execution
from engine.core.durable.facts import (
    CallbackFailed,
    CallbackHeartbeat,
    CallbackSucceeded,
    ChainedInvokeEnded,
    ChainedTarget,
    Checkpointed,
    ExecutionStarted,
    Fact,
    InvocationEnded,
    InvocationStarted,
    TimerDue,
    fact_document,
    fact_of,
)
from engine.core.durable.operation import CallbackOperation
from engine.core.durable.values import ErrorObject, InvocationEnd, OperationStatus
from engine.core.function import DurableConfig

FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:orders:7"
START_S = 1764547200.0
BOOM: ErrorObject = {"ErrorMessage": "boom", "ErrorType": "ValueError"}


class Player:
    """Handles facts at `now_s`, and keeps each that was not refused.

    Attributes:
        execution: What is played.
        now_s: Set it to let time pass.
        token: CheckpointToken that the handler holds.
        event: What the invocation that was begun last was given.
        journal: Those facts.
    """

    def __init__(
        self,
        *,
        execution_id: str = "e1",
        timeout_s: int = 3600,
        payload: str = "{}",
        parent: tuple[str, str] | None = None,
    ) -> None:
        self.now_s = START_S
        arn = f"{FUNCTION_ARN}/durable-execution/order-1/{execution_id}"
        started = ExecutionStarted(self.now_s, arn, DurableConfig(timeout_s), payload, parent=parent)
        self.execution = Execution(started)
        self.journal: list[ExecutionStarted | Fact] = [started]
        self.token = ""
        self.event: dict[str, Any] = {}
        self._request_ids = count(1)

    def tell(self, fact: Fact) -> list[Command]:
        commands = self.execution.handle(fact)
        self.journal.append(fact)
        return commands

    def begin(self) -> dict[str, Any]:
        """The wanted invocation begins; returns its event."""
        self.tell(InvocationStarted(self.now_s, f"request-{next(self._request_ids)}"))
        self.event = self.execution.invocation_input()
        self.token = self.event["CheckpointToken"]
        return self.event

    def checkpoint(
        self,
        *updates: dict[str, Any],
        client_token: str | None = None,
        resolved: dict[str, ChainedTarget] | None = None,
    ) -> list[Command]:
        """The handler checkpoints; its answer is in `execution.checkpoint_answer`, its token is taken."""
        read = tuple(map(read_update, updates))
        commands = self.tell(Checkpointed(self.now_s, self.token, client_token, read, resolved or {}))
        self.token = self.execution.checkpoint_answer.token or ""
        return commands

    def delta(self) -> list[str]:
        """Ids of the operations in the answer of the last checkpoint."""
        return [each["Id"] for each in self.execution.checkpoint_answer.operations]

    def end(
        self,
        answer: Any = None,
        *,
        end: InvocationEnd = InvocationEnd.ANSWERED,
        error: ErrorObject | None = None,
    ) -> list[Command]:
        """The invocation that runs ends: `answer` is what the handler returned, or bytes of it."""
        body = None
        if end is InvocationEnd.ANSWERED:
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        request_id = self.execution.running_request_id or ""
        return self.tell(InvocationEnded(self.now_s, request_id, end, body, error))

    def succeed(self, result: str | None = "1") -> list[Command]:
        return self.end({"Status": "SUCCEEDED", "Result": result})

    def suspend(self) -> list[Command]:
        return self.end({"Status": "PENDING"})

    def crash(self) -> list[Command]:
        return self.end(end=InvocationEnd.FUNCTION_ERROR, error=BOOM)

    def wait(self, seconds: float | None = None) -> list[Command]:
        """Let `seconds` pass, or as many as it waits, and tell that the timer is due."""
        due_s = self.execution.next_due_s
        assert due_s is not None
        self.now_s = due_s if seconds is None else self.now_s + seconds
        return self.tell(TimerDue(self.now_s))

    def callback_id(self, operation_id: str) -> str:
        operation = self.execution.operations[operation_id]
        assert isinstance(operation, CallbackOperation)
        return operation.callback_id

    def tell_callback(self, callback_id: str, result: str | None = None) -> list[Command]:
        return self.tell(CallbackSucceeded(self.now_s, callback_id, result))

    def call_back(self, operation_id: str, result: str | None = None) -> list[Command]:
        return self.tell_callback(self.callback_id(operation_id), result)

    def fail_callback(self, operation_id: str, error: ErrorObject) -> list[Command]:
        return self.tell(CallbackFailed(self.now_s, self.callback_id(operation_id), error))

    def heartbeat(self, operation_id: str) -> list[Command]:
        return self.tell(CallbackHeartbeat(self.now_s, self.callback_id(operation_id)))

    def end_chained(
        self,
        operation_id: str,
        status: OperationStatus = OperationStatus.SUCCEEDED,
        result: str | None = None,
        error: ErrorObject | None = None,
    ) -> list[Command]:
        return self.tell(ChainedInvokeEnded(self.now_s, operation_id, status, result, error))

    def events(self) -> list[str]:
        """Types of the events, with the name of the operation: `StepStarted a`."""
        return [
            f"{event['EventType']} {event['Id']}" if self._is_of_operation(event) else event["EventType"]
            for event in self.documents()
        ]

    def documents(self) -> list[dict[str, Any]]:
        return self.execution.history_page(max_items=1000).events

    def statuses(self) -> dict[str, str]:
        return {each.id: each.status.value for each in self.execution.operations.values()}

    def replayed(self) -> Execution:
        """The execution that the journal makes, written as JSON and read again."""
        lines = [json.dumps(fact_document(fact)) for fact in self.journal]
        started, *facts = (fact_of(json.loads(line)) for line in lines)
        assert self.journal == [started, *facts]
        assert list(map(type, self.journal)) == [type(started), *map(type, facts)]
        assert isinstance(started, ExecutionStarted)
        execution = Execution(started)
        for fact in facts:
            execution.handle(fact)  # type: ignore[arg-type]
        return execution

    def _is_of_operation(self, event: dict[str, Any]) -> bool:
        return "Id" in event and event["Id"] != self.execution.execution_id


def state_of(value: Any) -> Any:
    """Everything an object has in its slots, in depth, as values that can be compared."""
    slots = [name for base in type(value).__mro__ for name in getattr(base, "__slots__", ())]
    if slots and not isinstance(value, tuple):
        return type(value), {name: state_of(getattr(value, name)) for name in slots}
    if isinstance(value, dict):
        return [(key, state_of(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [state_of(item) for item in value]
    return value


def update(id: str, type: str, action: str, **members: Any) -> dict[str, Any]:  # noqa: A002 - the API's words
    return {"Id": id, "Type": type, "Action": action, **members}


def started(id: str, **members: Any) -> dict[str, Any]:  # noqa: A002
    return update(id, "STEP", "START", **members)


def succeeded(id: str, payload: str = "1", **members: Any) -> dict[str, Any]:  # noqa: A002
    return update(id, "STEP", "SUCCEED", Payload=payload, **members)


def retried(id: str, delay_s: int = 1, **members: Any) -> dict[str, Any]:  # noqa: A002
    options = {"NextAttemptDelaySeconds": delay_s}
    return update(id, "STEP", "RETRY", StepOptions=options, **(members or {"Error": BOOM}))


def waiting(id: str, seconds: int = 1, **members: Any) -> dict[str, Any]:  # noqa: A002
    return update(id, "WAIT", "START", WaitOptions={"WaitSeconds": seconds}, **members)


def called_back(id: str, timeout_s: int = 0, heartbeat_s: int = 0, **members: Any) -> dict[str, Any]:  # noqa: A002
    options = {"TimeoutSeconds": timeout_s, "HeartbeatTimeoutSeconds": heartbeat_s}
    return update(id, "CALLBACK", "START", CallbackOptions=options, **members)


def chained(id: str, function: str = "child:1", **members: Any) -> dict[str, Any]:  # noqa: A002
    return update(id, "CHAINED_INVOKE", "START", ChainedInvokeOptions={"FunctionName": function}, **members)


def opened(id: str, **members: Any) -> dict[str, Any]:  # noqa: A002
    return update(id, "CONTEXT", "START", **members)


def closed(id: str, payload: str = "1", *, replay: bool = False, **members: Any) -> dict[str, Any]:  # noqa: A002
    options = {"ReplayChildren": replay}
    return update(id, "CONTEXT", "SUCCEED", Payload=payload, ContextOptions=options, **members)
