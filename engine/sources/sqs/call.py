"""One request to the SQS API, from the moment it is understood until it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from engine.sources.sqs.errors import SqsError
from engine.wire.http_message import Request

Result = dict[str, Any]


class Wire(Protocol):
    """The protocol a request came in: it says how answers are written."""

    def succeed(self, call: Call, result: Mapping[str, Any]) -> None:
        """Answer with `result`, in the names of the API's model."""

    def fail(self, call: Call, error: SqsError) -> None:
        """Answer with `error`."""


class Call:
    """What an operation is given besides its parameters.

    Attributes:
        request: The HTTP request.
        wire: Its protocol.
        operation: AWS's name for what is asked.
        request_id: What `x-amzn-RequestId` says.
        now_s: When it came, by queue clock.
    """

    __slots__ = ("now_s", "operation", "request", "request_id", "wire")

    def __init__(self, request: Request, wire: Wire, operation: str, request_id: str) -> None:
        self.request = request
        self.wire = wire
        self.operation = operation
        self.request_id = request_id
        self.now_s = request.received_s

    def succeed(self, result: Mapping[str, Any]) -> None:
        """Answer, once."""
        self.wire.succeed(self, result)

    def fail(self, error: SqsError) -> None:
        """Answer, once."""
        self.wire.fail(self, error)
