"""The error objects that AWS, not the handler, makes of a failure: exact keys, in AWS's order.

Source: recorded answers of AWS Lambda (November 2025), and the Runtime Interface Emulator.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from engine.core.payload_limits import MAX_RESPONSE_BYTES, MAX_STREAMED_BYTES


class InitFailure(NamedTuple):
    """Why an environment did not come up.

    Attributes:
        error_type: `Runtime.ImportModuleError` and the like, or the class name of what the module raised.
        error_message: The text after it.
        stack_trace: Formatted frames, or None for an error of the platform (its payload has no such key).
        body: The payload as the runtime itself posted it, or None to make one of the above.
    """

    error_type: str
    error_message: str
    stack_trace: tuple[str, ...] | None = None
    body: bytes | None = None


def init_error_body(failure: InitFailure, request_id: str) -> bytes:
    """What the caller of the invocation that waited for the environment gets."""
    if failure.body is not None:
        return failure.body
    if failure.stack_trace is None:
        return platform_error_body(failure.error_type, request_id, failure.error_message)
    document = {
        "errorMessage": failure.error_message,
        "errorType": failure.error_type,
        "requestId": "",
        "stackTrace": failure.stack_trace,
    }
    # With spaces, as AWS's Python client posts it; a lone surrogate has no UTF-8, but it has an escape.
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")


def platform_error_body(error_type: str, request_id: str, text: str) -> bytes:
    """`{"errorType": ..., "errorMessage": "RequestId: <id> Error: <text>"}`."""
    return _json({"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {text}"})


def timeout_body(request_id: str, timeout_s: float) -> bytes:
    """The answer at the deadline, as AWS gives it since 2025."""
    return platform_error_body(
        "Sandbox.Timedout", request_id, f"Task timed out after {timeout_s:.2f} seconds"
    )


def response_too_large_body() -> bytes:
    """The answer when the handler's result is over the limit; its environment lives on."""
    message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
    return _json({"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"})


def stream_too_large_body() -> bytes:
    """The end of a streamed response that goes over its limit. AWS's words for it are not on record."""
    message = f"Response payload size exceeded maximum allowed payload size ({MAX_STREAMED_BYTES} bytes)."
    return _json({"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"})


def throttle_body(reason: str) -> bytes:
    """`TooManyRequestsException`, as the Invoke API words it."""
    return _json({"Type": "User", "message": "Rate Exceeded.", "Reason": reason})


def cancelled_body(request_id: str) -> bytes:
    """The answer when the engine stops first. AWS knows no such case; the shape is its own."""
    return platform_error_body(
        "Sandbox.Failure", request_id, "The engine stopped before the invocation ended"
    )


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
