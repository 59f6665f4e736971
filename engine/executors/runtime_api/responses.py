"""The responses of the Runtime API, byte for byte, and the errors that a runtime posts.

Source: Lambda Developer Guide, "Using the Lambda runtime API", and its OpenAPI specification; texts and
states are those of AWS's Runtime Interface Emulator.
"""

from __future__ import annotations

import base64
import binascii
import json
from enum import StrEnum
from typing import Any, Final

import orjson

from engine.core.error_bodies import InitFailure
from engine.core.invocation import Invocation
from engine.core.payload_limits import MAX_RESPONSE_BYTES
from engine.protocols.http.server import Request, header_block

_JSON: Final = b"content-type: application/json\r\n"
_TEXT: Final = b"content-type: text/plain; charset=utf-8\r\n"
_TOO_LARGE: Final = f"Exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."


class PollState(StrEnum):
    """The state of a runtime, in the words of AWS's emulator."""

    STARTED = "Started"
    INIT_ERROR = "InitError"
    RESTORE_READY = "RestoreReady"
    RESTORE_ERROR = "RestoreError"
    READY = "Ready"
    RUNNING = "Running"
    INVOCATION_RESPONSE = "InvocationResponse"
    INVOCATION_ERROR_RESPONSE = "InvocationErrorResponse"
    RESPONSE_SENT = "ResponseSent"


def accept(request: Request) -> None:
    """202: taken."""
    request.respond(202, _JSON, b'{"status":"OK"}\n')


def empty(request: Request) -> None:
    """200 without a body: restored."""
    request.respond(200, _JSON, b"")


def refuse(request: Request, status: int, error_type: str, message: str) -> None:
    """Answer with an error document."""
    body = json.dumps({"errorMessage": message, "errorType": error_type}, separators=(",", ":"))
    request.respond(status, _JSON, body.encode() + b"\n")


def refuse_move(request: Request, state: PollState, wanted: PollState) -> None:
    """403: the runtime may not do that now."""
    text = f"State transition from {state} to {wanted} failed for runtime."
    refuse(request, 403, "InvalidStateTransition", f"{text} Error: State transition is not allowed")


def refuse_id(request: Request) -> None:
    """400: that invocation is not here."""
    refuse(request, 400, "InvalidRequestID", "Invalid request ID")


def refuse_mode(request: Request) -> None:
    """400: `streaming` is the only mode there is."""
    refuse(request, 400, "InvalidFunctionResponseMode", "Invalid function response mode")


def refuse_size(request: Request) -> None:
    """413."""
    refuse(request, 413, "RequestEntityTooLarge", _TOO_LARGE)


def not_found(request: Request) -> None:
    """404, or 405 where only the method is wrong."""
    request.respond(404, _TEXT, b"404 page not found\n")


def not_allowed(request: Request) -> None:
    """405."""
    request.respond(405, _TEXT, b"")


def respond_next(request: Request, invocation: Invocation, arn: str, deadline_ms: int) -> None:
    """Answer `next` with an invocation. What is not known is left out, never blank."""
    event = invocation.event
    headers = [
        ("Content-Type", "application/json"),
        ("Lambda-Runtime-Aws-Request-Id", event.request_id),
        ("Lambda-Runtime-Deadline-Ms", str(deadline_ms)),
        ("Lambda-Runtime-Invoked-Function-Arn", arn),
    ]
    if event.trace_id:
        headers.append(("Lambda-Runtime-Trace-Id", event.trace_id))
    if event.client_context:
        headers.append(("Lambda-Runtime-Client-Context", _one_line(event.client_context)))
    request.respond(200, header_block(headers), event.payload)


def is_json(body: bytes) -> bool:
    """Whether `body` can be taken for JSON; `NaN` and its like too, which AWS's Python client sends."""
    try:
        orjson.loads(body)
    except ValueError:
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            return False
    return True


def error_document(body: bytes, named: str | None) -> bytes:
    """What the caller is given for a posted error: the same bytes if they are a JSON object in UTF-8.

    AWS's Python client posts the errors of its initialisation in Latin-1; they are made UTF-8.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("latin-1")
        body = text.encode()
    try:
        if isinstance(json.loads(text), dict):
            return body
    except (ValueError, RecursionError):
        pass
    document = {"errorMessage": text, "errorType": named or "Function.Unknown"}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def init_failure(body: bytes, named: str | None) -> InitFailure:
    """Why a runtime says that its initialisation, or its restoring, failed."""
    payload = error_document(body, named or "Runtime.Unknown")
    document: Any = json.loads(payload)
    stack = document.get("stackTrace")
    lines = tuple(map(str, stack)) if isinstance(stack, list) else ()
    error_type = named or str(document.get("errorType") or "Runtime.Unknown")
    return InitFailure(error_type, str(document.get("errorMessage", "")), lines, payload)


def streamed_error(error_type: bytes, error_body: bytes) -> bytes:
    """What the caller is given for an error in the middle of a stream, told in trailers.

    One of them does; without a type, in the body neither, it is `Function.Unknown`.
    """
    try:
        body = base64.b64decode(error_body, validate=True)
    except (binascii.Error, ValueError):
        body = error_body
    return error_document(body, error_type.decode("latin-1"))


def _one_line(text: str) -> str:
    """JSON as a header can carry it: printable ASCII on one line."""
    if text.isascii() and text.isprintable():
        return text
    try:
        return json.dumps(json.loads(text))
    except (ValueError, RecursionError):
        return "".join(char if char.isascii() and char.isprintable() else " " for char in text)
