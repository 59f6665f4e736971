"""What happens to an execution, and how that is written down.

Each fact has an exact JSON form (`fact_document`, `fact_of`), so that a journal of an execution's facts is
the execution: handled in order they give an equal one, tokens and callback ids included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, get_args

from engine.core.durable.checkpoint_rules import OperationUpdate, read_update, update_document
from engine.core.durable.values import ErrorObject, InvocationEnd, OperationStatus
from engine.core.function import DurableConfig


class ExecutionStarted(NamedTuple):
    """The function was invoked, and this execution is what runs.

    Attributes:
        arn: Its ARN, made by the driver; function, version, name and id are read from it.
        config: The function's DurableConfig at this moment.
        input: JSON text of the event.
        is_synchronous: Whether the caller waits for its end.
        trace: X-Ray trace header, or None.
        parent: ARN of the execution and id of the operation that invoked it, or None.
    """

    now_s: float
    arn: str
    config: DurableConfig
    input: str
    is_synchronous: bool = True
    trace: str | None = None
    parent: tuple[str, str] | None = None


class InvocationStarted(NamedTuple):
    """The function is being run because of `Invoke`. `request_id` is shown in the history."""

    now_s: float
    request_id: str


class ChainedTarget(NamedTuple):
    """What the name in a CHAINED_INVOKE update leads to: a version, or the error that it leads nowhere.

    Attributes:
        executed_version: Number or `$LATEST`; shown in the history.
        execution_arn: ARN chosen for the child execution; None for a function that is not durable.
        error: Why nothing can be invoked; the operation is FAILED at once.
    """

    executed_version: str | None = None
    execution_arn: str | None = None
    error: ErrorObject | None = None


class Checkpointed(NamedTuple):
    """The handler sent CheckpointDurableExecution.

    Attributes:
        token: CheckpointToken of the request.
        client_token: ClientToken of the request, or None; with it a lost response is answered again.
        updates: In the order of the request; may be empty.
        resolved: For each CHAINED_INVOKE operation that `updates` start, what its target is. May lack those
            whose function name or options are malformed: they are refused before it is looked at.
    """

    now_s: float
    token: str
    client_token: str | None = None
    updates: tuple[OperationUpdate, ...] = ()
    resolved: Mapping[str, ChainedTarget] = {}


class InvocationEnded(NamedTuple):
    """The running invocation ended.

    Attributes:
        end: How.
        answer: What the handler returned, as JSON; None unless ANSWERED.
        error: What went wrong, for the history and perhaps the execution; None if ANSWERED.
    """

    now_s: float
    request_id: str
    end: InvocationEnd
    answer: bytes | None = None
    error: ErrorObject | None = None


class TimerDue(NamedTuple):
    """`Execution.next_due_s` has come. Told too early or once too often it changes nothing."""

    now_s: float


class CallbackSucceeded(NamedTuple):
    """SendDurableExecutionCallbackSuccess. `result` is the body as text, None if there was none."""

    now_s: float
    callback_id: str
    result: str | None = None


class CallbackFailed(NamedTuple):
    """SendDurableExecutionCallbackFailure with the ErrorObject of the body."""

    now_s: float
    callback_id: str
    error: ErrorObject


class CallbackHeartbeat(NamedTuple):
    """SendDurableExecutionCallbackHeartbeat: the heartbeat timeout begins anew."""

    now_s: float
    callback_id: str


class ChainedInvokeEnded(NamedTuple):
    """The target of a chained invoke ended: SUCCEEDED with `result`, else `error` says why."""

    now_s: float
    operation_id: str
    status: OperationStatus
    result: str | None = None
    error: ErrorObject | None = None


class StopRequested(NamedTuple):
    """StopDurableExecution. An `error` without members gets the service's default text."""

    now_s: float
    error: ErrorObject


class PauseRequested(NamedTuple):
    """PauseDurableExecution. With `pause_timeout` paused time does not count as execution time."""

    now_s: float
    reason: str | None = None
    pause_timeout: bool = True
    client_token: str | None = None


class ResumeRequested(NamedTuple):
    """ResumeDurableExecution."""

    now_s: float
    reason: str | None = None
    client_token: str | None = None


class DeleteRequested(NamedTuple):
    """DeleteDurableExecution."""

    now_s: float


Fact: TypeAlias = (
    InvocationStarted
    | Checkpointed
    | InvocationEnded
    | TimerDue
    | CallbackSucceeded
    | CallbackFailed
    | CallbackHeartbeat
    | ChainedInvokeEnded
    | StopRequested
    | PauseRequested
    | ResumeRequested
    | DeleteRequested
)
"""What `Execution.handle` takes; `ExecutionStarted` makes the execution."""


def fact_document(fact: ExecutionStarted | Fact) -> dict[str, Any]:
    """The fact as a JSON object of built-in types, from which `fact_of` makes an equal one."""
    document = {member: value for member, value in fact._asdict().items() if value is not None}
    document["fact"] = type(fact).__name__
    match fact:
        case ExecutionStarted(config=config):
            document["config"] = config._asdict()
        case Checkpointed(updates=updates, resolved=resolved):
            document["updates"] = [update_document(update) for update in updates]
            document["resolved"] = {key: target._asdict() for key, target in resolved.items()}
        case InvocationEnded(end=end, answer=answer):
            document["end"] = end.value
            if answer is not None:
                document["answer"] = answer.decode("latin-1")  # which takes any byte, UTF-8 or not
        case ChainedInvokeEnded(status=status):
            document["status"] = status.value
    return document


def fact_of(document: Mapping[str, Any]) -> ExecutionStarted | Fact:
    """The fact that `fact_document` wrote."""
    members = dict(document)
    kind = _KINDS[members.pop("fact")]
    if kind is ExecutionStarted:
        members["config"] = DurableConfig(**members["config"])
        if "parent" in members:
            members["parent"] = tuple(members["parent"])
    elif kind is Checkpointed:
        members["updates"] = tuple(map(read_update, members["updates"]))
        members["resolved"] = {key: ChainedTarget(**each) for key, each in members["resolved"].items()}
    elif kind is InvocationEnded:
        members["end"] = InvocationEnd(members["end"])
        if "answer" in members:
            members["answer"] = members["answer"].encode("latin-1")
    elif kind is ChainedInvokeEnded:
        members["status"] = OperationStatus(members["status"])
    return kind(**members)


_KINDS: Final[Mapping[str, Callable[..., ExecutionStarted | Fact]]] = {
    kind.__name__: kind for kind in (ExecutionStarted, *get_args(Fact))
}
