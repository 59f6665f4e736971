"""What a span says of an event: name, kind, attributes, and the contexts that it joins or links to.

It is read from the event's document before a handler gets it. Documents of clients' own making are of any
shape: what does not fit is left out.

Source: OpenTelemetry semantic conventions 1.43, "Instrumenting AWS Lambda", "FaaS spans", "HTTP spans",
"Messaging spans".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.trace import SpanKind

from engine.core.event import Event
from engine.core.trace_context import TraceContext, from_traceparent, from_xray

_TRIGGERS: Final = {
    "http": "http",
    "sqs": "pubsub",
    "kinesis": "pubsub",
    "dynamodb": "datasource",
    "sns": "pubsub",
    "eventbridge": "pubsub",
    "logs": "pubsub",
    "s3": "datasource",
    "schedule": "timer",
}
"""Ours to OpenTelemetry's `faas.trigger`; any other is `other`."""
_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
_OPERATIONS: Final = {"ObjectCreated": "insert", "ObjectRemoved": "delete"}


class Link(NamedTuple):
    """The context of one message, and its `tracestate`."""

    context: TraceContext
    state: str = ""


class SpanDetails(NamedTuple):
    """What the document of an event says.

    Attributes:
        name: Of the span.
        kind: Of the span.
        attributes: Those of its trigger.
        parent: The context it joins, with its `tracestate`; None: it begins a trace.
        links: The contexts of a batch's messages, each once.
    """

    name: str
    kind: SpanKind
    attributes: dict[str, str | int]
    parent: Link | None
    links: tuple[Link, ...] = ()


def details_of(event: Event) -> SpanDetails:
    """The details of an event that was not given to a handler yet."""
    read = _READERS.get(event.trigger)
    document = event.document
    found = None
    if read is not None and isinstance(document, dict):
        try:
            found = read(event, document)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # of another shape
            found = None
    if found is None:
        found = SpanDetails(event.function, SpanKind.SERVER, {}, _parent(event))
    found.attributes["faas.trigger"] = _TRIGGERS.get(event.trigger, "other")
    return found


def _parent(event: Event) -> Link | None:
    context = from_xray(event.trace_id) if event.trace_id else None
    return None if context is None else Link(context)


# ---------------------------------------------------------------- HTTP


def _of_http(event: Event, document: dict[str, Any]) -> SpanDetails:
    """A request in any payload format. Query strings may hold secrets, and are left out."""
    context = document["requestContext"]
    request = context.get("http")
    if request is None:
        method, path, route = document["httpMethod"], document["path"], document.get("resource", "")
        peer, protocol = context.get("identity", {}).get("sourceIp"), context.get("protocol")
    else:
        method, path, protocol = request["method"], request["path"], request["protocol"]
        peer, route = request["sourceIp"], document["routeKey"].rpartition(" ")[2]
    header = _headers(document)
    attributes: dict[str, str | int] = {
        "http.request.method": method if method in _METHODS else "_OTHER",
        "url.path": path,
        "url.scheme": "http",
    }
    optional = {
        "http.route": route if route.startswith("/") else None,
        "client.address": peer,
        "user_agent.original": header("user-agent"),
        "network.protocol.version": protocol.partition("/")[2] if protocol else None,
    }
    attributes |= {name: value for name, value in optional.items() if value}
    name = str(attributes.get("http.route", event.function))
    return SpanDetails(name, SpanKind.SERVER, attributes, _with_state(_parent(event), header))


def _headers(document: dict[str, Any]) -> Callable[[str], str | None]:
    """Looks up a header by its name in lower case, in whichever map the document has."""
    single = document.get("headers")
    if single is None:
        single = {name: values[-1] for name, values in document.get("multiValueHeaders", {}).items()}
    lower = {name.lower(): value for name, value in single.items()}
    return lower.get


def _with_state(parent: Link | None, header: Callable[[str], str | None]) -> Link | None:
    """The parent with the `tracestate` that came with it."""
    state, sent = header("tracestate"), header("traceparent")
    if parent is None or not state or not sent or from_traceparent(sent) != parent.context:
        return parent
    return Link(parent.context, state)


# ---------------------------------------------------------------- SQS


def _of_batch(event: Event, document: dict[str, Any]) -> SpanDetails:
    """A batch. If all its messages are of one trace it joins that, else it begins one of its own."""
    records = document["Records"]
    queue = records[0]["eventSourceARN"].rpartition(":")[2]
    attributes: dict[str, str | int] = {
        "messaging.system": "aws_sqs",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": queue,
        "messaging.batch.message_count": len(records),
    }
    if len(records) == 1:
        attributes["messaging.message.id"] = records[0]["messageId"]
    found = [*map(_message_context, records)]
    links = tuple(dict.fromkeys(link for link in found if link is not None))
    traces = {link and link.context.trace_id for link in found}
    parent = links[0] if links and len(traces) == 1 else None
    return SpanDetails(f"{queue} process", SpanKind.CONSUMER, attributes, parent, links)


def _message_context(record: Any) -> Link | None:
    """A message attribute `traceparent` of its sender goes before the `AWSTraceHeader`."""
    sent = record.get("messageAttributes", {})
    traceparent = sent.get("traceparent", {}).get("stringValue")
    if isinstance(traceparent, str) and (context := from_traceparent(traceparent)) is not None:
        return Link(context, str(sent.get("tracestate", {}).get("stringValue") or ""))
    header = record.get("attributes", {}).get("AWSTraceHeader")
    context = from_xray(header) if isinstance(header, str) else None
    return None if context is None else Link(context)


# ---------------------------------------------------------------- S3


def _of_notification(event: Event, document: dict[str, Any]) -> SpanDetails:
    record = document["Records"][0]
    attributes: dict[str, str | int] = {
        "faas.document.collection": record["s3"]["bucket"]["name"],
        "faas.document.name": record["s3"]["object"]["key"],
        "faas.document.operation": _OPERATIONS.get(record["eventName"].partition(":")[0], "edit"),
        "faas.document.time": record["eventTime"],
    }
    return SpanDetails(event.function, SpanKind.SERVER, attributes, _parent(event))


_READERS: Final[Mapping[str, Callable[[Event, dict[str, Any]], SpanDetails]]] = {
    "http": _of_http,
    "sqs": _of_batch,
    "s3": _of_notification,
}
