"""One request to the SQS API, from the moment it is understood until it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_rpc import JsonRpc
from engine.protocols.aws.query import Query
from engine.protocols.http.message import Request

Result = dict[str, Any]


class SqsRequest:
    """What an operation is given besides its parameters.

    Attributes:
        request: The HTTP request.
        protocol: Its protocol, which writes the answer.
        operation: AWS's name for what is asked.
        request_id: Value of `x-amzn-RequestId`.
        now_s: When it came, by queue clock.
    """

    __slots__ = ("now_s", "operation", "protocol", "request", "request_id")

    def __init__(self, request: Request, protocol: JsonRpc | Query, operation: str, request_id: str) -> None:
        self.request = request
        self.protocol = protocol
        self.operation = operation
        self.request_id = request_id
        self.now_s = request.received_s

    def succeed(self, result: Mapping[str, Any]) -> None:
        """Send the answer. Called once."""
        self.protocol.succeed(self.request, self.request_id, self.operation, result)

    def fail(self, error: ServiceError) -> None:
        """Send the answer. Called once."""
        self.protocol.fail(self.request, self.request_id, error)
