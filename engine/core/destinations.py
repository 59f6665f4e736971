"""Destinations of completed asynchronous events, and the records they get: AWS's, byte for byte.

Source: Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations", "Adding a
dead-letter queue"; recorded answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final, Literal, NamedTuple

from engine.core.event import Event
from engine.core.function import Account
from engine.core.json_document import NotJson, loads
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome
from engine.core.retry import Condition
from engine.errors import EngineError

Role = Literal["on_success", "on_failure", "dead_letter_queue"]

_ARN: Final = re.compile(r"arn:aws[a-z-]*:([a-z0-9-]+):([a-z0-9-]*):([0-9]{12}|):(\S+)")
_SHORT: Final = re.compile(r"(?:([a-z0-9]+):)?([^\s:]+(?::[^\s:]+)?)")
_SERVICES: Final[Mapping[Role, tuple[str, ...]]] = {
    "on_success": ("sqs", "sns", "lambda", "events"),
    "on_failure": ("sqs", "sns", "lambda", "events", "s3"),
    "dead_letter_queue": ("sqs", "sns"),
}
_ERROR_MESSAGE_BYTES: Final = 1024


class DeliveryError(EngineError):
    """A record could not be delivered: no such queue, function or bucket, or it refused the record.

    Attributes:
        arn: Where it was to go.
        reason: A sentence without its full stop.
        code: EventBridge's word for it (`ERROR_CODE` of a dead letter): `NO_RESOURCE`, `THROTTLING`, ...
        is_temporary: Whether another attempt may succeed: a throttle, or an error of the target's server.
    """

    def __init__(
        self,
        arn: str,
        reason: str,
        code: str = "NO_RESOURCE",
        is_temporary: bool = False,  # noqa: FBT001, FBT002  # errors take positional arguments only
    ) -> None:
        super().__init__(arn, reason, code, is_temporary)
        self.arn, self.reason, self.code, self.is_temporary = arn, reason, code, is_temporary

    def __str__(self) -> str:
        return f"{self.arn}: {self.reason}"


class ArnParts(NamedTuple):
    """An ARN in parts."""

    service: str
    region: str
    account_id: str
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRecord:
    """What a destination gets.

    Attributes:
        body: The record as JSON text, or the event itself for a dead-letter queue. For EventBridge the
            record in its envelope (`source`, `detail-type`, `resources`, `detail`).
        attributes: Message attributes by name, as `(data type, value)`; the value of a binary one is bytes.
        key: The object's key if the destination is a bucket.
        trace: The X-Ray header that goes with it.
        subject: That of a message to a topic.
        group, dedup_id: `MessageGroupId` and `MessageDeduplicationId` of a message; a FIFO queue takes none
            without a group.
    """

    body: bytes
    attributes: Mapping[str, tuple[str, str | bytes]] = field(default_factory=dict)
    key: str | None = None
    trace: str | None = None
    subject: str | None = None
    group: str | None = None
    dedup_id: str | None = None


DestinationSender = Callable[[str, DestinationRecord], None]
"""Sends a record to a destination, an ARN, or raises `DeliveryError`. It must not block."""


def target_of(arn: str) -> ArnParts | None:
    """The parts of an ARN, or None if it is none."""
    found = _ARN.fullmatch(arn)
    return ArnParts(*found.groups()) if found else None


def expanded(text: str, account: Account) -> str:
    """`text` if it is an ARN, else what it is short for in `account`: `SERVICE:NAME`, or a queue's `NAME`."""
    if text.startswith("arn:"):
        return text
    found = _SHORT.fullmatch(text)
    if found is None:
        return text
    service, name = found[1] or "sqs", found[2]
    if service == "lambda":
        return account.function_arn(name)
    if service == "s3":
        return f"arn:aws:s3:::{name}"
    resource = f"event-bus/{name}" if service == "events" else name
    return f"arn:aws:{service}:{account.region}:{account.account_id}:{resource}"


def problem(role: Role, arn: str) -> str | None:
    """Why AWS would not take `arn` in that role, or None."""
    target = target_of(arn)
    if target is None:
        return f"{arn!r} is neither an ARN nor a name"
    if target.service not in _SERVICES[role]:
        return f"{target.service!r} cannot be used here (can: {', '.join(_SERVICES[role])})"
    if target.service in ("sqs", "sns") and target.resource.endswith(".fifo"):
        return "a FIFO queue or topic cannot be used here (AWS)"
    if target.service == "lambda" and not target.resource.startswith("function:"):
        return f"{arn!r} names no function"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedEvent:
    """An asynchronous event for which no more is done.

    Attributes:
        event: The event.
        condition: Why no more is done.
        runs: Attempts that ran: `approximateInvokeCount`.
        last: The outcome of the last of them, or None.
        function_arn: Of the function, with a qualifier.
        timestamp: ISO 8601, UTC, milliseconds.
        record_id: Another UUID, for the key of an object.
    """

    event: Event
    condition: Condition
    runs: int
    last: Outcome | None
    function_arn: str
    timestamp: str
    record_id: str

    def record(self) -> bytes:
        """The record that destinations get."""
        request = {
            "requestId": self.event.request_id,
            "functionArn": self.function_arn,
            "condition": self.condition.value,
            "approximateInvokeCount": self.runs,
        }
        parts = [
            b'{"version":"1.0","timestamp":"%b"' % self.timestamp.encode(),
            b'"requestContext":' + _json(request),
            b'"requestPayload":' + _embedded(self.event.payload),
        ]
        if self.last is not None:
            response: dict[str, object] = {"statusCode": 200, "executedVersion": self.event.version}
            if not self.last.ok:
                response["functionError"] = "Unhandled"
            parts.append(b'"responseContext":' + _json(response))
            parts.append(b'"responsePayload":' + _embedded(self.last.body))
        return b",".join(parts) + b"}"

    def record_for(self, target: ArnParts, arn: str) -> DestinationRecord:
        """The record in the form that the service of `target` gets."""
        record = self.record()
        if target.service == "events":
            word = "Success" if self.condition is Condition.SUCCESS else "Failure"
            envelope = {
                "source": "lambda",
                "detail-type": f"Lambda Function Invocation Result - {word}",
                "resources": [arn, self.function_arn],
            }
            body = _json(envelope)[:-1] + b',"detail":' + record + b"}"
            return DestinationRecord(body=body, trace=self.event.trace_id)
        if target.service == "s3":
            day, second = self.timestamp[:10].replace("-", "/"), self.timestamp[:19].replace(":", ".")
            key = f"aws/lambda/async/{self.event.function}/{day}/{second}-{self.record_id}"
            return DestinationRecord(body=record, key=key, trace=self.event.trace_id)
        return DestinationRecord(body=record, trace=self.event.trace_id)

    def dead_letter(self) -> DestinationRecord:
        """The event as it came, with what went wrong in the attributes.

        What AWS writes for an event that never ran is not on record: here it is the throttle's status.
        """
        code, text = "429", "Rate Exceeded."
        if self.last is not None:
            code, text = "200", _error_message(self.last)
        cut = text.encode("utf-8", "replace")[:_ERROR_MESSAGE_BYTES].decode("utf-8", "ignore")
        attributes: dict[str, tuple[str, str | bytes]] = {
            "RequestID": ("String", self.event.request_id),
            "ErrorCode": ("Number", code),
        }
        if cut:  # SQS takes no empty values
            attributes["ErrorMessage"] = ("String", cut)
        return DestinationRecord(body=self.event.payload, attributes=attributes, trace=self.event.trace_id)


def _error_message(outcome: Outcome) -> str:
    try:
        document = loads(outcome.body)
    except NotJson:
        return ""
    message = document.get("errorMessage") if isinstance(document, dict) else None
    return message if isinstance(message, str) else ""


def _embedded(body: bytes) -> bytes:
    """JSON text as it is; anything else (bytes, `NaN`) as a string, so that the whole is JSON."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        loads(body)
    except NotJson:
        return _json(body.decode("utf-8", "replace"))
    return body


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
