"""The Lambda API's error envelope: status, code, and a body whose keys depend on the code.

Source: Lambda API reference, "Common errors" and the errors of Invoke; the API model of botocore.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import orjson

from engine.errors import EngineError
from engine.protocols.http.message import Request

_CAPITAL_MESSAGE: Final = frozenset(
    {"ResourceNotFoundException", "ServiceException", "AccessDeniedException"}
)
"""Codes whose text stands in `Message`; in all others it is `message`."""


class ApiError(EngineError):
    """A request that is answered by an AWS error.

    Attributes:
        status: HTTP status.
        code: What SDKs turn into an exception class, `ResourceNotFoundException` say.
        message: The text.
        kind: Whose fault it is: `User`, `Server`, or None where AWS sends null.
    """

    def __init__(
        self, status: int, code: str, message: str, kind: Literal["User", "Server"] | None = "User"
    ) -> None:
        super().__init__(status, code, message, kind)
        self.status, self.code, self.message, self.kind = status, code, message, kind

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

    @property
    def body(self) -> bytes:
        """The JSON body: `Type` and `Message` or `message`; ValidationException has no `Type`."""
        text = self.message.encode("utf-8", "replace").decode()  # lone surrogates have no UTF-8
        if self.code == "ValidationException":
            return orjson.dumps({"message": text})
        key = "Message" if self.code in _CAPITAL_MESSAGE else "message"
        return orjson.dumps({"Type": self.kind, key: text})


def error_head(code: str, request_id: str) -> bytes:
    """The header lines of an error."""
    return (
        f"Content-Type: application/json\r\nx-amzn-RequestId: {request_id}\r\nx-amzn-ErrorType: {code}\r\n"
    ).encode()


def answer_error(request: Request, error: ApiError, request_id: str) -> None:
    """Answer `request` with `error`."""
    request.respond(error.status, error_head(error.code, request_id), error.body)


def validation_error(*violations: str) -> ApiError:
    """What AWS says when members of a request break constraints of the API's model, all at once.

    `violations` come from `violation`.
    """
    count = len(violations)
    plural = "s" if count > 1 else ""
    message = f"{count} validation error{plural} detected: {'; '.join(violations)}"
    return ApiError(400, "ValidationException", message)


def violation(value: str, member: str, constraint: str) -> str:
    """`constraint` follows `Member must `."""
    return f"Value '{value}' at '{member}' failed to satisfy constraint: Member must {constraint}"


def not_in_set(value: str, member: str, allowed: Sequence[str]) -> ApiError:
    """An enumeration's member must be one of its values."""
    constraint = f"satisfy enum value set: [{', '.join(allowed)}]"
    return validation_error(violation(value, member, constraint))


def function_not_found(arn: str) -> ApiError:
    """404: no such function, version or alias."""
    return ApiError(404, "ResourceNotFoundException", f"Function not found: {arn}")


def invalid_parameter(message: str) -> ApiError:
    """400: a parameter is invalid."""
    return ApiError(400, "InvalidParameterValueException", message)


def conflict(message: str) -> ApiError:
    """409: the resource exists already, or is being changed."""
    return ApiError(409, "ResourceConflictException", message)


def not_found(message: str) -> ApiError:
    """404: no such resource other than a function."""
    return ApiError(404, "ResourceNotFoundException", message)


def precondition_failed() -> ApiError:
    """412: the revision is not the latest."""
    message = (
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API "
        "to retrieve the latest Revision Id"
    )
    return ApiError(412, "PreconditionFailedException", message)


def request_too_large(message: str) -> ApiError:
    """413, in the words of the control plane."""
    return ApiError(413, "RequestEntityTooLargeException", message)


def service_error(status: int, message: str) -> ApiError:
    """5xx: the engine failed or stops; SDKs try again."""
    return ApiError(status, "ServiceException", message, "Server")


def payload_too_large(size: int, invocation_type: str, limit: int) -> ApiError:
    """413, with the code seen on the wire; the API's model calls it RequestTooLargeException."""
    message = (
        f"{size} byte payload is too large for the {invocation_type} invocation type (limit {limit} bytes)"
    )
    return ApiError(413, "RequestEntityTooLargeException", message)
