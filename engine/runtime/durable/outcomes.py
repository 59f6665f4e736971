"""What an execution is told of the end of an invocation, and whoever waits for it of its own end."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

from engine.core.durable.execution import Execution
from engine.core.durable.facts import InvocationEnded
from engine.core.durable.values import ErrorObject, ExecutionStatus, InvocationEnd, encodable
from engine.core.error_bodies import cancelled_body
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate

NO_RATE: Final = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))
_ENDS: Final = {
    Status.SUCCESS: InvocationEnd.ANSWERED,
    Status.TIMEOUT: InvocationEnd.TIMED_OUT,
    Status.THROTTLED: InvocationEnd.THROTTLED,
    Status.CANCELLED: InvocationEnd.THROTTLED,  # refused by a driver that makes way for another
}


def invocation_ended(now_s: float, request_id: str, outcome: Outcome) -> InvocationEnded:
    """The end of one invocation, as its execution is told of it."""
    end = _ENDS.get(outcome.status, InvocationEnd.FUNCTION_ERROR)
    if end is InvocationEnd.ANSWERED:
        return InvocationEnded(now_s, request_id, end, outcome.body)
    return InvocationEnded(now_s, request_id, end, None, error_of(outcome.body))


def error_of(body: bytes) -> ErrorObject:
    """The ErrorObject in the payload of a function error, as far as that has its members."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return {"ErrorMessage": body.decode("utf-8", "replace")}
    error: ErrorObject = {}
    if isinstance(message := document.get("errorMessage"), str):
        error["ErrorMessage"] = encodable(message)
    if isinstance(kind := document.get("errorType"), str):
        error["ErrorType"] = encodable(kind)
    if isinstance(data := document.get("errorData"), str):
        error["ErrorData"] = encodable(data)
    trace = document.get("stackTrace")
    if isinstance(trace, list) and all(isinstance(line, str) for line in trace):
        error["StackTrace"] = [encodable(line) for line in trace]
    return error


def outcome_of(execution: Execution, request_id: str, rate: Rate) -> Outcome:
    """What whoever waited for a terminal execution gets: its result, or its error as a function error.

    The text of a result is the payload, byte for byte; where there is none it is `null`. That a failure
    looks like a function error is not confirmed by AWS's documents.
    """
    if execution.status is ExecutionStatus.SUCCEEDED:
        result = execution.result
        return Outcome(Status.SUCCESS, b"null" if result is None else result.encode(), request_id, rate)
    error = execution.error or {}
    body = {"errorMessage": error.get("ErrorMessage", ""), "errorType": error.get("ErrorType", "")}
    more = {"errorData": error.get("ErrorData"), "stackTrace": error.get("StackTrace")}
    document = body | {key: value for key, value in more.items() if value is not None}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    status = Status.TIMEOUT if execution.status is ExecutionStatus.TIMED_OUT else Status.ERROR
    return Outcome(status, text.encode("utf-8", "backslashreplace"), request_id, rate)


def cancelled(request_id: str) -> Outcome:
    """What whoever waits gets when the engine stops first."""
    return Outcome(Status.CANCELLED, cancelled_body(request_id), request_id, NO_RATE)
