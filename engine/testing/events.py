"""Events as each source makes them, for tests of handlers: made by the code that the sources use themselves.

    outcome = engine_sync.invoke("orders", events.sqs({"id": 1}, {"id": 2}, queue="orders"))

Every factory returns a new JSON value that the test may change. Two calls with the same arguments return the
same: ids are fixed, and the time is `at_s`, seconds since the Unix epoch, by default 2026-01-01 UTC, when
virtual time begins. What the factories do not take has the value that it has on the engine; addresses are
127.0.0.1, and the account is that of `Account()`.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, Final, Literal, NamedTuple, cast
from urllib.parse import quote, urlencode

from engine.core.billing import rate
from engine.core.destinations import ArnParts, CompletedEvent, DestinationRecord
from engine.core.event import Event
from engine.core.function import Account, Function
from engine.core.lambda_prices import fallback_sheet
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome, Status
from engine.core.retry import Condition
from engine.ports import Binding, Host
from engine.protocols.http.server import Request
from engine.services.s3.events import ObjectEvent
from engine.services.s3.notification_records import NotificationRecords, iso_ms
from engine.services.sqs.message import Attribute, Message
from engine.services.sqs.receipt_handles import ReceiptHandles
from engine.sources.http.headers import Tracing
from engine.sources.http.settings import DEFAULT_PATH, HttpEvent
from engine.sources.http.source import LISTENER, HttpSource
from engine.sources.http.timestamps import Timestamps
from engine.sources.schedule.source import ScheduledPayload, ScheduleEvent
from engine.sources.sqs.records import Records

__all__ = [
    "EPOCH_S",
    "SqsMessage",
    "alb",
    "dead_letter",
    "destination",
    "http_v1",
    "http_v2",
    "s3",
    "s3_eventbridge",
    "schedule",
    "sqs",
]

EPOCH_S: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z, in seconds since the Unix epoch."""

_ACCOUNT: Final = Account()
_PEER: Final = "127.0.0.1"
_PORT: Final = 3000

Query = Mapping[str, str] | Iterable[tuple[str, str]] | str
Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class _At(NamedTuple):
    """A clock that stands still."""

    wall_s: float

    def now(self) -> float:
        return self.wall_s

    def wall(self) -> float:
        return self.wall_s


def _id(*parts: object) -> str:
    """Text of a UUID: another one for other parts, the same on every run."""
    return str(uuid.UUID(bytes=hashlib.sha256(repr(parts).encode()).digest()[:16], version=4))


def _text(value: Any) -> str:
    """Text as it is, any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


# ---------------------------------------------------------------- HTTP


def http_v2(
    method: str = "GET",
    path: str = "/",
    *,
    query: Query = (),
    headers: Headers = (),
    body: Any = b"",
    route: str | None = None,
    stage: str | None = None,
    stage_variables: Mapping[str, str] | None = None,
    function: str = "function",
    at_s: float = EPOCH_S,
) -> dict[str, Any]:
    """A request in payload format 2.0: a Function URL's, or an HTTP API's if there is a route or stage.

    Args:
        method: `GET`, `POST`, ...
        path: Decoded: it is percent-encoded here.
        query: Names and values, or a query string as it is sent.
        headers: Names and values; a name may come several times.
        body: Bytes or text as they are; any other value as JSON, with its content type if none is given.
        route: `GET /pets/{id}`; variables of it are path parameters.
        stage: Name of the API's stage.
        stage_variables: Of that stage.
        function: Name of the function; the identifiers of the API are made of it.
        at_s: When it came.

    Raises:
        ValueError: The route does not take the request, or is none.
    """
    settings = _route(route) | {"payload_format": "2.0", "stage": stage}
    settings["stage_variables"] = dict(stage_variables or {})
    return _http(settings, _Sent(method, path, query, headers, body), function, at_s)


def http_v1(
    method: str = "GET",
    path: str = "/",
    *,
    query: Query = (),
    headers: Headers = (),
    body: Any = b"",
    route: str | None = None,
    stage: str | None = None,
    stage_variables: Mapping[str, str] | None = None,
    api: Literal["rest", "http"] = "rest",
    binary_media_types: Iterable[str] = (),
    function: str = "function",
    at_s: float = EPOCH_S,
) -> dict[str, Any]:
    """A request in payload format 1.0: a REST API's, or an HTTP API's with that format.

    `api`: which of them. `binary_media_types`: the REST API's list. All else as in `http_v2`.

    Raises:
        ValueError: The route does not take the request, or is none.
    """
    settings = _route(route) | {"payload_format": "1.0", "stage": stage, "api": api}
    settings["stage_variables"] = dict(stage_variables or {})
    settings["binary_media_types"] = tuple(binary_media_types)
    return _http(settings, _Sent(method, path, query, headers, body), function, at_s)


def alb(
    method: str = "GET",
    path: str = "/",
    *,
    query: Query = (),
    headers: Headers = (),
    body: Any = b"",
    multi_value_headers: bool = False,
    function: str = "function",
    at_s: float = EPOCH_S,
) -> dict[str, Any]:
    """A request through an Application Load Balancer. All but `multi_value_headers` as in `http_v2`.

    `multi_value_headers`: the attribute `lambda.multi_value_headers.enabled` of the target group.
    """
    settings = {"payload_format": "alb", "multi_value_headers": multi_value_headers}
    return _http(settings, _Sent(method, path, query, headers, body), function, at_s)


class _Sent(NamedTuple):
    """What a client sends."""

    method: str
    path: str
    query: Query
    headers: Headers
    body: Any

    def request(self, at_s: float) -> Request:
        """The request as the listener would have it."""
        query = self.query if isinstance(self.query, str) else urlencode(_pairs(self.query))
        target = quote(self.path, safe="/~!$&'()*+,;=:@") + (f"?{query}" if query else "")
        headers = _pairs(self.headers)
        body = self.body
        if not isinstance(body, bytes):
            if not isinstance(body, str) and not any(name.lower() == "content-type" for name, _ in headers):
                headers.append(("Content-Type", "application/json"))
            body = _text(body).encode()
        if not any(name.lower() == "host" for name, _ in headers):
            headers.insert(0, ("Host", f"{_PEER}:{_PORT}"))
        sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        if body:
            sent.append((b"Content-Length", b"%d" % len(body)))
        return Request(None, self.method, target.encode(), b"", sent, body, "1.1", _PEER, at_s)


def _pairs(given: Headers) -> list[tuple[str, str]]:
    return list(given.items() if isinstance(given, Mapping) else given)


def _route(route: str | None) -> dict[str, Any]:
    """The keys of an HTTP event for `GET /pets/{id}`, `/pets/{id}`, or nothing."""
    if route is None or route == DEFAULT_PATH:
        return {}
    method, _, path = route.rpartition(" ")
    return {"method": method or "ANY", "path": path}


def _http(settings: dict[str, Any], sent: _Sent, function: str, at_s: float) -> dict[str, Any]:
    clock, request = _At(at_s), sent.request(at_s)
    binding = Binding(function=Function(function, handler="app.handler"), settings=HttpEvent(**settings))
    host = Host(account=_ACCOUNT, clock=clock, new_request_id=_id, listen={LISTENER: (_PEER, _PORT)})
    source = cast("HttpSource", HttpSource.build([binding], host))
    resolved = source.router.resolve(request.method, request.target)
    if resolved is None:
        raise ValueError(f"the route {settings.get('path')} does not take {sent.method} {sent.path}")
    request_id, timestamp = _id("request", sent.method, sent.path), Timestamps(clock).now()
    trace = Tracing().header(request, timestamp, request_id)
    return resolved.route.payload.event(request, resolved.target, request_id, timestamp, trace)


# ---------------------------------------------------------------- SQS


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsMessage:
    """One message of a batch.

    Attributes:
        body: Text as it is; any other value as JSON.
        attributes: Message attributes by name: text is a `String`, a number a `Number`, bytes a `Binary`.
        message_id: Text of a UUID; None for one made of its position.
        group_id: `MessageGroupId`.
        deduplication_id: `MessageDeduplicationId`, FIFO only; None for the digest of the body.
        receive_count: How often it has been received, this time included.
        sent_s: When it was sent, seconds since the Unix epoch; None: when the batch came.
    """

    body: Any
    attributes: Mapping[str, str | int | float | bytes] = field(default_factory=dict)
    message_id: str | None = None
    group_id: str | None = None
    deduplication_id: str | None = None
    receive_count: int = 1
    sent_s: float | None = None


def sqs(*messages: Any, queue: str = "queue", at_s: float = EPOCH_S) -> dict[str, Any]:
    """A batch of messages of a queue.

    Args:
        messages: `SqsMessage`, or only the body: text as it is, any other value as JSON.
        queue: Its name; one that ends in `.fifo` is a FIFO queue.
        at_s: When they were received.

    Raises:
        ValueError: A message of a FIFO queue has no `group_id`.
    """
    arn = f"arn:aws:sqs:{_ACCOUNT.region}:{_ACCOUNT.account_id}:{queue}"
    handle = ReceiptHandles(_id("queue", queue)).encode
    records = Records(arn, handle, lambda at: int(at * 1000), _ACCOUNT.account_id, windowed=False)
    given = [one if isinstance(one, SqsMessage) else SqsMessage(body=one) for one in messages]
    batch = [_message(one, queue, number, at_s) for number, one in enumerate(given, start=1)]
    return {"Records": records.make(batch, at_s)}


def _message(given: SqsMessage, queue: str, number: int, at_s: float) -> Message:
    body, dedup_id = _text(given.body), given.deduplication_id
    if queue.endswith(".fifo"):
        if given.group_id is None:
            raise ValueError(f"a message of the FIFO queue {queue} needs a group_id")
        dedup_id = dedup_id or hashlib.sha256(body.encode()).hexdigest()
    message = Message(
        given.message_id or _id("message", queue, number),
        body,
        at_s if given.sent_s is None else given.sent_s,
        number,
        given.group_id,
        dedup_id,
        {name: _attribute(value) for name, value in given.attributes.items()} or None,
    )
    message.receives, message.receipt, message.first_received_s = given.receive_count, number, at_s
    return message


def _attribute(value: str | float | bytes) -> Attribute:
    if isinstance(value, bytes):
        return Attribute("Binary", value)
    return Attribute("String" if isinstance(value, str) else "Number", str(value))


# ---------------------------------------------------------------- S3


def s3(
    key: str,
    *,
    bucket: str = "bucket",
    event: str = "ObjectCreated:Put",
    body: bytes = b"",
    version_id: str | None = None,
    at_s: float = EPOCH_S,
) -> dict[str, Any]:
    """A notification of a bucket: one record.

    Args:
        key: As stored, not encoded.
        bucket: Its name.
        event: `ObjectCreated:Copy`, `ObjectRemoved:Delete`, ...: without `s3:`.
        body: Of the object: gives the size and the ETag of an object that was created.
        version_id: None where the bucket is not versioned.
        at_s: When it happened.
    """
    records = NotificationRecords(_ACCOUNT, _At(at_s), _id)
    object_event = _object_event(key, bucket, event, body, version_id)
    return records.record(object_event, "rule", records.sequencer())


def s3_eventbridge(
    key: str,
    *,
    bucket: str = "bucket",
    event: str = "ObjectCreated:Put",
    body: bytes = b"",
    version_id: str | None = None,
    at_s: float = EPOCH_S,
) -> dict[str, Any]:
    """The same happening as EventBridge tells of it. Arguments as in `s3`.

    Raises:
        ValueError: EventBridge has no such event.
    """
    records = NotificationRecords(_ACCOUNT, _At(at_s), _id)
    made = records.bridge_event(_object_event(key, bucket, event, body, version_id), records.sequencer())
    if made is None:
        raise ValueError(f"EventBridge has no event for {event}")
    return made


def _object_event(key: str, bucket: str, event: str, body: bytes, version_id: str | None) -> ObjectEvent:
    created = event.startswith("ObjectCreated")
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest() if created else None
    size = len(body) if created else None
    request_id, host_id = _id("s3", key).replace("-", "")[:16].upper(), _id("host")
    region = _ACCOUNT.region
    return ObjectEvent(event, bucket, region, key, version_id, size, etag, _PEER, request_id, host_id)


# ---------------------------------------------------------------- schedules


def schedule(
    *,
    name: str | None = None,
    service: Literal["rule", "scheduler"] = "rule",
    function: str = "function",
    at_s: float = EPOCH_S,
) -> dict[str, Any]:
    """The event of a rule of EventBridge, or of a schedule of EventBridge Scheduler, that has no `input`.

    `name` is the rule's or schedule's, by default `FUNCTION-schedule`; `at_s` the moment it is for.
    """
    settings = ScheduleEvent(schedule="rate(1 minute)", name=name, service=service)
    text = ScheduledPayload(settings, function, _ACCOUNT).render(_id("schedule", function, at_s), at_s)
    return cast("dict[str, Any]", json.loads(text))


# ---------------------------------------------------------------- destinations of asynchronous events


def destination(
    payload: Any = None,
    *,
    result: Any = None,
    error: tuple[str, str] | None = None,
    condition: Literal["Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency"]
    | None = None,
    runs: int | None = None,
    via: Literal["lambda", "eventbridge"] = "lambda",
    function: str = "function",
    at_s: float = EPOCH_S,
) -> dict[str, Any]:
    """The record of an asynchronous event that is done with, as a destination of it gets it.

    A function gets it as its event; a queue as the body of a message: `sqs(destination(...))`.

    Args:
        payload: Of the event, any JSON value.
        result: What the function returned; it counts where there is no `error`.
        error: Type and message of the error that the last attempt ended with.
        condition: Why no more is done; None: `Success`, or `RetriesExhausted` with an error.
        runs: Attempts that ran; None: 1, 3 with an error, 0 for an event that never ran.
        via: Who gets it: `eventbridge` has it in an envelope.
        function: Name of the function that ran.
        at_s: When it was done with.
    """
    word = condition or ("Success" if error is None else "RetriesExhausted")
    never = error is None and word != "Success"
    count = runs if runs is not None else 0 if never else 1 if error is None else 3
    completed = _completed(payload, result, error, Condition(word), count, function, at_s)
    service = "events" if via == "eventbridge" else "lambda"
    region, account_id = _ACCOUNT.region, _ACCOUNT.account_id
    resource = "event-bus/default" if via == "eventbridge" else "function:destination"
    arn = f"arn:aws:{service}:{region}:{account_id}:{resource}"
    record = completed.record_for(ArnParts(service, region, account_id, resource), arn)
    return cast("dict[str, Any]", json.loads(record.body))


def dead_letter(
    payload: Any = None,
    *,
    error: tuple[str, str] = ("Exception", "failed"),
    function: str = "function",
    at_s: float = EPOCH_S,
) -> SqsMessage:
    """The message that a dead-letter queue of a function gets, for `sqs`. Arguments as in `destination`."""
    completed = _completed(payload, None, error, Condition.RETRIES_EXHAUSTED, 3, function, at_s)
    record: DestinationRecord = completed.dead_letter()
    attributes: dict[str, str | int | float | bytes] = {
        name: int(value) if data_type == "Number" else value
        for name, (data_type, value) in record.attributes.items()
    }
    return SqsMessage(body=record.body.decode(), attributes=attributes)


def _completed(
    payload: Any,
    result: Any,
    error: tuple[str, str] | None,
    condition: Condition,
    runs: int,
    function: str,
    at_s: float,
) -> CompletedEvent:
    request_id = _id("asynchronous", function)
    status = Status.SUCCESS if error is None else Status.ERROR
    said = result if error is None else {"errorMessage": error[1], "errorType": error[0], "stackTrace": []}
    price = rate(fallback_sheet(_ACCOUNT.region), 128, "x86_64")
    return CompletedEvent(
        event=Event(function, json.dumps(payload).encode(), request_id, at_s),
        condition=condition,
        runs=runs,
        last=Outcome(status, json.dumps(said).encode(), request_id, price) if runs else None,
        function_arn=_ACCOUNT.function_arn(function, "$LATEST"),
        timestamp=iso_ms(at_s),
        record_id=_id("record", function),
    )
