"""OpenTelemetry spans: names, kinds, attributes, and the trace they join."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from engine.core.event import MISSING, Event
from engine.core.function import Account
from engine.core.invocation import Invocation
from engine.core.outcome import Status
from engine.telemetry.spans import OtelSpans

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
TRACE_ID = 0x5759E988BD862E3FE1BE46A994272793


class Desk:
    """Spans that are kept."""

    def __init__(self, clock) -> None:
        self._kept = InMemorySpanExporter()
        self.spans = OtelSpans(SimpleSpanProcessor(self._kept), self._kept, Account(), clock)

    @property
    def made(self):
        return self._kept.get_finished_spans()


@pytest.fixture
def desk(clock) -> Desk:
    return Desk(clock)


def test_an_invocation_is_a_server_span_of_its_whole_time(desk, ended):
    """From received to ended, waiting included, with OpenTelemetry's names for what it was."""
    invocation, outcome = ended(duration_s=0.5, queue_wait_s=0.25, init_s=0.1, cold_start=True)
    invocation.event.received_s = 4.25  # the clock stands at 5
    desk.spans.began(invocation)
    desk.spans.ended(invocation, outcome, None)
    (span,) = desk.made

    assert (span.name, span.kind, span.parent) == ("hello", SpanKind.SERVER, None)
    assert 750_000_000 == span.end_time - span.start_time
    assert 1_767_225_600_122_999 == span.end_time // 1000  # the clock's wall time, as near as a float is
    assert span.status.status_code is StatusCode.UNSET
    assert {
        "faas.version": "$LATEST",
        "faas.invocation_id": "6f1b2d9e-0000-4000-8000-000000000000",
        "faas.trigger": "other",
        "faas.coldstart": True,
        "aws.lambda.invoked_arn": "arn:aws:lambda:us-east-1:000000000000:function:hello",
        "engine.outcome": "success",
        "engine.queue_wait_s": 0.25,
        "engine.duration_s": 0.5,
        "engine.billed_ms": 600,
        "engine.init_s": 0.1,
    } == dict(span.attributes)


def test_a_span_joins_the_trace_of_the_header(desk, ended):
    """X-Ray's root is OpenTelemetry's trace id, its parent the span's."""
    invocation, outcome = ended(trace_id=TRACE)
    desk.spans.ended(invocation, outcome, None)
    (span,) = desk.made

    assert (span.context.trace_id, span.parent.span_id) == (TRACE_ID, 0x53995C3F42CD8AD8)
    assert span.parent.is_remote


def test_what_the_caller_does_not_sample_is_not_sampled(desk, ended):
    """The decision of a trace is made once, by who began it."""
    invocation, outcome = ended(trace_id=TRACE.replace("Sampled=1", "Sampled=0"))
    desk.spans.ended(invocation, outcome, None)

    assert () == desk.made


@pytest.mark.parametrize(
    ("status", "error_type", "expected"),
    [(Status.ERROR, None, "error"), (Status.TIMEOUT, "Sandbox.Timedout", "Sandbox.Timedout")],
)
def test_a_failure_is_an_error_with_its_type(desk, ended, status, error_type, expected):
    """The platform's name for it where there is one."""
    invocation, outcome = ended(status=status)
    desk.spans.ended(invocation, outcome, error_type)
    (span,) = desk.made

    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, expected)


def test_a_throttle_is_a_span_without_a_length(desk, ended):
    """It never ran, and its caller's trace should say why."""
    invocation, outcome = ended(status=Status.THROTTLED)
    desk.spans.refused(invocation.event, outcome, "function_limit")
    (span,) = desk.made

    assert ("function_limit", 0) == (span.attributes["error.type"], span.end_time - span.start_time)


QUEUE = "arn:aws:sqs:us-east-1:000000000000:orders"
OTHER = "Root=1-00000001-000000000000000000000002;Parent=0000000000000003;Sampled=1"
PARENT = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"


def batch(*records) -> Event:
    records = [{"messageId": "m", "eventSourceARN": QUEUE, **record} for record in records]
    return Event("hello", None, "6f1b2d9e", 0.0, "sqs", {"Records": records})


def run(desk, ended, event, **facts):
    """The span of an event whose document the handler has taken."""
    _, outcome = ended(**facts)
    invocation = Invocation(event, lambda _: None)
    desk.spans.began(invocation)
    event.document = MISSING
    desk.spans.ended(invocation, outcome, None)
    return desk.made[-1]


def test_a_batch_links_to_the_context_of_every_message(desk, ended):
    """Of several traces it joins none: it is one of its own. A handler may have taken the document."""
    by_attribute = {"traceparent": {"stringValue": PARENT}, "tracestate": {"stringValue": "a=1"}}
    event = batch(
        {"attributes": {"AWSTraceHeader": OTHER}},
        {"attributes": {"AWSTraceHeader": OTHER}, "messageAttributes": by_attribute},
        {"attributes": {"AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793"}},
        {"attributes": {}, "messageAttributes": {"traceparent": {"stringValue": "00-nonsense"}}},
        {},
        {"attributes": {"AWSTraceHeader": 1}},
    )
    span = run(desk, ended, event)

    assert [(1 << 96 | 2, 3), (TRACE_ID, 0x53995C3F42CD8AD8)] == [
        (link.context.trace_id, link.context.span_id) for link in span.links
    ]
    assert {"a": "1"} == dict(span.links[1].context.trace_state)
    assert (None, False) == (span.parent, span.context.trace_id in (TRACE_ID, 1 << 96 | 2))
    assert ("orders process", SpanKind.CONSUMER) == (span.name, span.kind)
    assert {
        "faas.trigger": "pubsub",
        "messaging.system": "aws_sqs",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "messaging.batch.message_count": 6,
    }.items() <= dict(span.attributes).items()


def test_a_batch_of_one_trace_joins_it(desk, ended):
    """Two messages of two spans of it: the first is the parent, both are links."""
    second = TRACE.replace("Parent=5", "Parent=6")
    event = batch({"attributes": {"AWSTraceHeader": TRACE}}, {"attributes": {"AWSTraceHeader": second}})
    span = run(desk, ended, event)

    assert (TRACE_ID, 0x53995C3F42CD8AD8, 2) == (
        span.context.trace_id,
        span.parent.span_id,
        len(span.links),
    )


def test_a_large_batch_has_a_link_to_each_message(desk, ended):
    """The SDK's own limit is 128."""
    headers = [TRACE.replace("53995c3f42cd8ad8", f"{number:016x}") for number in range(1, 301)]
    span = run(desk, ended, batch(*({"attributes": {"AWSTraceHeader": header}} for header in headers)))

    assert 300 == len(span.links)


@pytest.mark.parametrize("document", [MISSING, [], {"Records": 1}, {"Records": []}, {"Records": [1]}, {}])
@pytest.mark.parametrize("trigger", ["sqs", "http", "s3"])
def test_a_document_of_another_shape_is_no_reason_to_fail(desk, ended, trigger, document):
    """It is a span all the same."""
    span = run(desk, ended, Event("hello", b"", "6f1b2d9e", 0.0, trigger, document))

    assert ((), "hello") == (span.links, span.name.partition(" ")[0])


@pytest.mark.parametrize(
    ("trigger", "expected"), [("schedule", "timer"), ("s3", "datasource"), ("event", "other")]
)
def test_any_other_event_is_a_server_span_with_the_functions_name(desk, ended, trigger, expected):
    """By the conventions for Lambda, batches alone are consumer spans."""
    span = run(desk, ended, Event("hello", b"", "6f1b2d9e", 0.0, trigger))

    assert ("hello", SpanKind.SERVER, expected) == (span.name, span.kind, span.attributes["faas.trigger"])


HEADERS = {"user-agent": "shop/1", "traceparent": PARENT, "tracestate": "congo=t61,rojo=00f"}
V2 = {
    "version": "2.0",
    "routeKey": "GET /pets/{id}",
    "rawPath": "/pets/7",
    "headers": HEADERS,
    "requestContext": {
        "http": {"method": "GET", "path": "/pets/7", "protocol": "HTTP/1.1", "sourceIp": "10.0.0.1"}
    },
}
V1 = {
    "resource": "/pets/{id}",
    "path": "/pets/7",
    "httpMethod": "GET",
    "headers": {name.title(): value for name, value in HEADERS.items()},
    "requestContext": {"identity": {"sourceIp": "10.0.0.1"}, "protocol": "HTTP/1.1"},
}
ALB = {
    "requestContext": {"elb": {}},
    "httpMethod": "GET",
    "path": "/pets/7",
    "multiValueHeaders": {name: [value] for name, value in HEADERS.items()},
}


@pytest.mark.parametrize(
    ("document", "name", "of_the_gateway"),
    [
        (V2, "/pets/{id}", {"http.route": "/pets/{id}", "client.address": "10.0.0.1"}),
        (V1, "/pets/{id}", {"http.route": "/pets/{id}", "network.protocol.version": "1.1"}),
        (V2 | {"routeKey": "$default"}, "hello", {"network.protocol.version": "1.1"}),
        (ALB, "hello", {}),
    ],
)
def test_a_request_has_the_attributes_of_http(desk, ended, document, name, of_the_gateway):
    """In every payload format; the route is the name where there is one, and `tracestate` is kept."""
    event = Event("hello", None, "6f1b2d9e", 0.0, "http", document, TRACE)
    span = run(desk, ended, event)
    attributes = {
        "faas.trigger": "http",
        "http.request.method": "GET",
        "url.path": "/pets/7",
        "url.scheme": "http",
        "user_agent.original": "shop/1",
    }

    assert (name, SpanKind.SERVER) == (span.name, span.kind)
    assert (attributes | of_the_gateway).items() <= dict(span.attributes).items()
    assert {"congo": "t61", "rojo": "00f"} == dict(span.context.trace_state)


def test_a_method_of_a_clients_own_making_is_no_attribute_of_its_own(desk, ended):
    """Methods are few, so that they can be counted."""
    span = run(desk, ended, Event("hello", None, "6f1b2d9e", 0.0, "http", ALB | {"httpMethod": "BREW"}))

    assert "_OTHER" == span.attributes["http.request.method"]


@pytest.mark.parametrize(("status", "error_type"), [(201, None), (404, None), (503, "503")])
def test_a_span_of_a_request_has_the_status_of_its_answer(desk, ended, status, error_type):
    """It is kept until that is known; what the server is to blame for is an error."""
    invocation, outcome = ended(trigger="http")
    desk.spans.awaits_answer(invocation.event)
    desk.spans.began(invocation)
    desk.spans.ended(invocation, outcome, None)
    before = desk.made
    desk.spans.answered(invocation.event, status)
    (span,) = desk.made

    assert () == before
    assert status == span.attributes["http.response.status_code"]
    assert error_type == span.attributes.get("error.type")
    assert (error_type is not None) is (span.status.status_code is StatusCode.ERROR)


def test_the_error_of_a_handler_stays_when_the_answer_is_one_of_the_server(desk, ended):
    """502 says less than the exception."""
    body = b'{"errorMessage": "out of stock", "errorType": "LookupError"}'
    invocation, outcome = ended(trigger="http", status=Status.ERROR, body=body)
    desk.spans.awaits_answer(invocation.event)
    desk.spans.began(invocation)
    desk.spans.ended(invocation, outcome, None)
    desk.spans.answered(invocation.event, 502)
    (span,) = desk.made

    assert ("LookupError", "out of stock") == (span.attributes["error.type"], span.status.description)


def test_a_request_that_was_not_taken_has_no_span(desk, ended):
    invocation, _ = ended(trigger="http")
    desk.spans.awaits_answer(invocation.event)
    desk.spans.answered(invocation.event, 503)

    assert () == desk.made


# ---------------------------------------------------------------- contexts


def test_what_a_handler_sees_has_the_span_as_parent(desk, ended):
    """So that what it makes stands below it; other fields stay."""
    invocation, outcome = ended(trace_id=f"{TRACE};Lineage=1:a:0")
    desk.spans.began(invocation)
    seen = invocation.event.trace_id
    desk.spans.ended(invocation, outcome, None)
    (span,) = desk.made
    root = "Root=1-5759e988-bd862e3fe1be46a994272793"

    assert f"{root};Parent={span.context.span_id:016x};Sampled=1;Lineage=1:a:0" == seen


@pytest.mark.parametrize(
    ("sampler", "header", "expected"),
    [
        ("parentbased_always_on", "", True),
        ("parentbased_always_on", ";Sampled=1", True),
        ("parentbased_always_on", ";Sampled=0", False),
        ("parentbased_always_on", ";Sampled=?", True),
        ("parentbased_always_off", "", False),
        ("parentbased_always_off", ";Sampled=1", True),
        ("parentbased_always_off", ";Parent=53995c3f42cd8ad8", False),
        ("parentbased_always_off", ";Parent=53995c3f42cd8ad8;Sampled=1", True),
        ("parentbased_always_on", ";Parent=53995c3f42cd8ad8", True),
        ("parentbased_always_on", ";Parent=53995c3f42cd8ad8;Sampled=0", False),
        ("always_on", ";Sampled=0", True),
        ("always_off", ";Sampled=1", False),
    ],
)
def test_a_root_alone_is_adopted_and_its_decision_followed(
    monkeypatch, desk, ended, sampler, header, expected
):
    """By a sampler that follows parents; what decides nothing is decided here, as any trace that begins."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    invocation, outcome = ended(trace_id=f"Root=1-5759e988-bd862e3fe1be46a994272793{header}")
    desk.spans.began(invocation)
    desk.spans.ended(invocation, outcome, None)

    assert expected is bool(desk.made)
    assert invocation.event.trace_id.startswith("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=")
    assert invocation.event.trace_id.endswith(f"Sampled={expected:d}")
    assert [TRACE_ID] * expected == [span.context.trace_id for span in desk.made]


@pytest.mark.parametrize("header", [None, "", "nonsense", "Root=1-0-0;Parent=1;Sampled=0"])
def test_a_header_that_is_none_begins_a_trace_of_its_own(desk, ended, header):
    """Which the handler sees."""
    invocation, outcome = ended(trace_id=header)
    desk.spans.began(invocation)
    desk.spans.ended(invocation, outcome, None)
    (span,) = desk.made

    assert None is span.parent
    assert f"Root=1-{span.context.trace_id >> 96:08x}-" in invocation.event.trace_id


def test_with_the_sdk_disabled_the_header_stays_as_it_came(monkeypatch, desk, ended):
    """`OTEL_SDK_DISABLED` is OpenTelemetry's own way to switch it off."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    invocation, outcome = ended(trace_id="Root=1-5759e988-bd862e3fe1be46a994272793")
    desk.spans.began(invocation)
    desk.spans.ended(invocation, outcome, None)

    assert () == desk.made
    assert "Root=1-5759e988-bd862e3fe1be46a994272793" == invocation.event.trace_id


def test_a_function_is_a_service(desk, ended):
    """What the environment says goes before; who is told apart by `faas.name` then."""
    invocation, outcome = ended()
    desk.spans.ended(invocation, outcome, None)
    (span,) = desk.made

    assert {
        "service.name": "hello",
        "faas.name": "hello",
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": "us-east-1",
        "cloud.account.id": "000000000000",
        "cloud.resource_id": "arn:aws:lambda:us-east-1:000000000000:function:hello",
    }.items() <= dict(span.resource.attributes).items()


def test_the_environment_names_the_service(monkeypatch, desk, ended):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,cloud.region=eu")
    invocation, outcome = ended()
    desk.spans.ended(invocation, outcome, None)
    found = desk.made[0].resource.attributes

    assert ("shop", "hello", "test", "eu") == (
        found["service.name"],
        found["faas.name"],
        found["deployment.environment.name"],
        found["cloud.region"],
    )


def test_what_was_not_sent_yet_is_sent_at_the_end(clock, ended):
    """The SDK sends in batches, from a thread of its own."""
    kept = InMemorySpanExporter()
    processor = BatchSpanProcessor(kept, schedule_delay_millis=60_000)
    spans = OtelSpans(processor, kept, Account(), clock)
    invocation, outcome = ended()
    spans.ended(invocation, outcome, None)
    spans.close()

    assert ["hello"] == [span.name for span in kept.get_finished_spans()]
