"""What a durable function's handler answers: `{"Status": …, "Result": …, "Error": …}`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from engine.core.durable.values import ErrorObject, encodable, error_object
from engine.core.json_document import NotJson, loads
from engine.errors import EngineError


class AnswerStatus(StrEnum):
    """What the handler says of the execution."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    PENDING = "PENDING"


_STATUSES: Final[Mapping[str, AnswerStatus]] = {status.value: status for status in AnswerStatus}


class InvocationAnswer(NamedTuple):
    """An answer that can be followed."""

    status: AnswerStatus
    result: str | None
    error: ErrorObject | None


class InvalidAnswer(EngineError):
    """An answer that fails the execution. `message` is AWS's text."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def read_answer(answer: bytes) -> InvocationAnswer:
    """What the handler answered.

    Raises:
        InvalidAnswer: It is not a JSON object with a known Status, or has members that contradict it.
    """
    try:
        document: Any = loads(answer)
    except NotJson as not_json:
        raise _invalid(not_json.reason) from None
    if not isinstance(document, dict):
        raise _invalid("it is not an object")
    word, result, error = document.get("Status"), document.get("Result"), document.get("Error")
    status = _STATUSES.get(word) if isinstance(word, str) else None
    if status is None:
        raise _invalid(f"{word!r} is not a valid InvocationStatus")
    if not isinstance(result, str | None):
        raise _invalid("Result is not a string")
    if not isinstance(error, dict | None):
        raise _invalid("Error is not an object")
    if status is AnswerStatus.FAILED and result is not None:
        raise InvalidAnswer("Cannot provide a Result for FAILED status.")
    if status is AnswerStatus.SUCCEEDED and error is not None:
        raise InvalidAnswer("Cannot provide an Error for SUCCEEDED status.")
    try:
        read_error = None if error is None else error_object(error)
    except ValueError as invalid:
        raise _invalid(str(invalid)) from None
    return InvocationAnswer(status, None if result is None else encodable(result), read_error)


def _invalid(reason: str) -> InvalidAnswer:
    return InvalidAnswer(f"Invalid invocation output: {reason}")
