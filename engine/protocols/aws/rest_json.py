"""The REST-JSON protocol: errors as status, headers and a JSON body.

Source: AWS restJson1 protocol (Smithy); the API models of botocore; answers recorded on AWS.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.service_model import ServiceModel
from engine.protocols.http.message import Request

_CAPITAL: Final = "Message"
_UNMODELLED_CAPITAL: Final = frozenset({"AccessDeniedException"})
"""Codes that the models do not have, and whose text is in `Message` on AWS. Others have `message`."""
_UNTYPED: Final = "ValidationException"


def error_head(code: str, request_id: str) -> bytes:
    """The header lines of an error."""
    return (
        f"Content-Type: application/json\r\nx-amzn-RequestId: {request_id}\r\nx-amzn-ErrorType: {code}\r\n"
    ).encode()


def error_body(model: ServiceModel, error: ServiceError) -> bytes:
    """The JSON body: the text under the name that the error's shape has for it, `Type`, other members."""
    text = error.message.encode("utf-8", "replace").decode()  # lone surrogates have no UTF-8
    shape = model.shapes.get(error.code)
    if shape is None:
        key = _CAPITAL if error.code in _UNMODELLED_CAPITAL else "message"
    else:
        key = _CAPITAL if _CAPITAL in shape["members"] else "message"
    body: dict[str, Any] = {}
    if error.has_type and error.code != _UNTYPED:
        body["Type"] = error.fault
    return orjson.dumps(body | error.members | {key: text})


def answer_error(model: ServiceModel, request: Request, error: ServiceError, request_id: str) -> None:
    """Answer `request` with `error`."""
    request.respond(error.status, error_head(error.code, request_id), error_body(model, error))
