"""AWS JSON 1.0 and 1.1: `X-Amz-Target` names the operation, one object comes in, and one goes out.

Source: Smithy, "AWS JSON 1.0 protocol", "AWS JSON 1.1 protocol", "AWS Query compatible"; recorded answers.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.core.json_document import NotJson
from engine.core.json_pieces import Steps, loads_in_pieces
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_values import read_value, unreadable
from engine.protocols.aws.service_model import ServiceModel
from engine.protocols.http.message import Request

_NOT_JSON: Final = "The request body is not valid JSON."
_NO_OBJECT: Final = "The request body is not a JSON object."
_dumps = orjson.dumps


class JsonRpc:
    """Reads the requests to one service, and writes its answers.

    Attributes:
        operations: Names of operations by the value of `X-Amz-Target`.
    """

    def __init__(self, model: ServiceModel) -> None:
        metadata = model.metadata
        self.operations = {f"{metadata['targetPrefix']}.{name}".encode(): name for name in model.operations}
        self._model = model
        self._head = f"Content-Type: application/x-amz-json-{metadata['jsonVersion']}\r\nx-amzn-RequestId: "
        self._service = metadata["serviceId"].lower()
        self._was_query = "awsQueryCompatible" in metadata

    # --- reading

    def parameters(self, operation: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """The members of the operation's input that `document` has, with the model's types.

        Raises:
            ServiceError: One has a type that AWS does not take for it.
        """
        read: dict[str, Any] = read_value(self._model, self._model.input_of(operation), document)
        return read

    def asked(self, target: bytes) -> str:
        """The operation that the client means, if the service has it or not."""
        return target.decode("latin-1").rpartition(".")[2]

    # --- answering

    def succeed(self, request: Request, request_id: str, _operation: str, result: Mapping[str, Any]) -> None:
        """Answer with 200. `result` is in the names of the model; bytes are written as base64."""
        request.respond(200, f"{self._head}{request_id}\r\n".encode(), _dumps(result, _plain))

    def fail(self, request: Request, request_id: str, error: ServiceError) -> None:
        """Answer with the error's name in the body; services that once spoke Query add its old code."""
        head = f"{self._head}{request_id}\r\n"
        name = error.code
        if self._was_query:
            known = name in self._model.shapes
            namespace = f"com.amazonaws.{self._service}" if known else "com.amazon.coral.service"
            fault = "Sender" if error.status < 500 else "Receiver"
            head += f"x-amzn-query-error: {self._model.query_code(name)};{fault}\r\n"
            name = f"{namespace}#{name}"
        text = error.message.encode("utf-8", "replace").decode()  # a lone surrogate has no UTF-8
        request.respond(
            error.status, head.encode(), _dumps({"__type": name, "message": text, **error.members}, _plain)
        )


def read_object(request: Request) -> dict[str, Any]:
    """The object in the body. Raises ServiceError."""
    try:
        document = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError:
        raise unreadable(_NOT_JSON) from None
    if not isinstance(document, dict):
        raise unreadable(_NO_OBJECT)
    return document


def read_large_object(request: Request) -> Steps[dict[str, Any]]:
    """The same of a large body, in steps. Raises ServiceError."""
    try:
        document = yield from loads_in_pieces(request.body)
    except NotJson:
        raise unreadable(_NOT_JSON) from None
    if not isinstance(document, dict):
        raise unreadable(_NO_OBJECT)
    return document


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{value!r} has no form in JSON")
