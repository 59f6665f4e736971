"""AWS JSON 1.0, the protocol of today's SDKs: one object in, one object out.

Source: Smithy, "AWS JSON 1.0 protocol", "AWS Query compatible" errors; recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.core.json_document import NotJson
from engine.core.json_pieces import Steps, loads_in_pieces
from engine.protocols.http.message import Request
from engine.services.sqs.errors import SqsError, malformed
from engine.services.sqs.request import SqsRequest

TARGET_PREFIX: Final = b"AmazonSQS."
_HEAD: Final = "Content-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: "
_NOT_JSON: Final = "The request body is not valid JSON."
_NO_OBJECT: Final = "The request body is not a JSON object."
_dumps = orjson.dumps


class JsonProtocol:
    """Writes answers."""

    def succeed(self, call: SqsRequest, result: Mapping[str, Any]) -> None:
        """200."""
        call.request.respond(200, f"{_HEAD}{call.request_id}\r\n".encode(), _dumps(result))

    def fail(self, call: SqsRequest, error: SqsError) -> None:
        """The shape's name in the body, the legacy code in a header: SDKs need both."""
        head = f"{_HEAD}{call.request_id}\r\nx-amzn-query-error: {error.code};Sender\r\n"
        text = error.message.encode("utf-8", "replace").decode()  # a lone surrogate has no UTF-8
        body = orjson.dumps({"__type": error.type, "message": text})
        call.request.respond(error.status, head.encode(), body)


def read_params(request: Request) -> dict[str, Any]:
    """The object in the body. Raises SqsError."""
    try:
        params = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError:
        raise malformed(_NOT_JSON) from None
    if not isinstance(params, dict):
        raise malformed(_NO_OBJECT)
    return params


def read_large_params(request: Request) -> Steps[dict[str, Any]]:
    """The same of a large body, in steps. Raises SqsError."""
    try:
        params = yield from loads_in_pieces(request.body)
    except NotJson:
        raise malformed(_NOT_JSON) from None
    if not isinstance(params, dict):
        raise malformed(_NO_OBJECT)
    return params
