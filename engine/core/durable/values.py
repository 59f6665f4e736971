"""The words and numbers of durable executions, by the Lambda model `2015-03-31`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, Final, TypedDict

MAX_OPERATIONS: Final = 3_000
"""Operations of one execution, attempts included (Developer Guide, table of metrics)."""

MAX_UPDATES: Final = 2 * MAX_OPERATIONS + 1
"""Updates of one checkpoint: no operation has more than two of a batch, and the execution has one."""

MAX_BYTES_WRITTEN: Final = 100 * 1024 * 1024
"""Bytes one execution may write (Developer Guide, table of metrics)."""

MAX_EXECUTION_S: Final = 31_622_400
"""366 days: the longest execution, paused time included."""

MAX_OPERATION_PAYLOAD: Final = 1_048_576
"""Bytes of a chained invoke's input and result."""

MAX_ERROR_BYTES: Final = 1_048_576
"""Bytes of an ErrorObject as JSON (model; AWS's testing package refuses more than 32,768)."""

DEFAULT_PAGE_ITEMS: Final = 100
MAX_PAGE_ITEMS: Final = 1_000
MAX_PAGE_BYTES: Final = 5 * 1024 * 1024
"""Payload on one page of state, of which each has one operation at least (AWS's testing package)."""

IDEMPOTENCY_WINDOW_S: Final = 900.0
"""Seconds for which a call repeated with its ClientToken is answered as before."""

DAY_S: Final = 86_400


class OperationType(StrEnum):
    """What an operation is."""

    EXECUTION = "EXECUTION"
    CONTEXT = "CONTEXT"
    STEP = "STEP"
    WAIT = "WAIT"
    CALLBACK = "CALLBACK"
    CHAINED_INVOKE = "CHAINED_INVOKE"


class OperationAction(StrEnum):
    """What an update does to its operation."""

    START = "START"
    SUCCEED = "SUCCEED"
    FAIL = "FAIL"
    RETRY = "RETRY"
    CANCEL = "CANCEL"


class OperationStatus(StrEnum):
    """Where an operation stands. The last five are terminal."""

    STARTED = "STARTED"
    PENDING = "PENDING"
    READY = "READY"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    STOPPED = "STOPPED"


class ExecutionStatus(StrEnum):
    """Where an execution stands. SUCCEEDED, FAILED, TIMED_OUT, STOPPED and DELETING are terminal."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    STOPPED = "STOPPED"
    DELETING = "DELETING"
    PAUSING = "PAUSING"
    PAUSED = "PAUSED"


class InvocationEnd(StrEnum):
    """How one invocation of the function ended.

    ANSWERED: the handler returned, whatever it returned. FUNCTION_ERROR: it raised or its process died.
    TIMED_OUT: the function's timeout. LOST: the engine went down meanwhile. THROTTLED: it never began.
    FUNCTION_GONE: there is no such function or version any more.
    """

    ANSWERED = "ANSWERED"
    FUNCTION_ERROR = "FUNCTION_ERROR"
    TIMED_OUT = "TIMED_OUT"
    LOST = "LOST"
    THROTTLED = "THROTTLED"
    FUNCTION_GONE = "FUNCTION_GONE"


class TimeUnit(Enum):
    """How a document writes times: for the handler in milliseconds, in API answers in seconds."""

    MILLISECONDS = "ms"
    SECONDS = "s"


class ErrorObject(TypedDict, total=False):
    """An error, with only the members that were given."""

    ErrorMessage: str
    ErrorType: str
    ErrorData: str
    StackTrace: list[str]


def error_object(document: Mapping[str, Any]) -> ErrorObject:
    """The members of an ErrorObject that `document` has; others, and nulls, are left out.

    Raises:
        ValueError: A member is no text, or StackTrace no list of texts; it says which.
    """
    error: ErrorObject = {}
    for member in ("ErrorMessage", "ErrorType", "ErrorData"):
        if (value := document.get(member)) is not None:
            if not isinstance(value, str):
                raise ValueError(f"{member} is not a string")
            error[member] = encodable(value)
    if (lines := document.get("StackTrace")) is not None:
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise ValueError("StackTrace is not a list of strings")
        error["StackTrace"] = [encodable(line) for line in lines]
    return error


def encodable(text: str) -> str:
    """The text; lone surrogates, which neither journal nor answers can hold, written as escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def utf8_length(text: str | None) -> int:
    """Bytes of `text` in UTF-8, lone surrogates as three; 0 of None."""
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
