"""OpenTelemetry spans: names, kinds, attributes, and the trace they join."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from engine.core.event import Event
from engine.core.function import Account
from engine.core.invocation import Invocation
from engine.core.outcome import Status
from engine.telemetry.spans import OtelSpans, span_context

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
TRACE_ID = 0x5759E988BD862E3FE1BE46A994272793


class Desk:
    """Spans that are kept."""

    def __init__(self, clock) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.spans = OtelSpans(provider, self._kept, Account(), clock)

    @property
    def made(self):
        return self._kept.get_finished_spans()


@pytest.fixture
def desk(clock) -> Desk:
    return Desk(clock)


def test_an_invocation_is_a_server_span_of_its_whole_time(desk, ended):
    """From received to ended, waiting included, with OpenTelemetry's names for what it was."""
    invocation, outcome = ended(duration_s=0.5, queue_wait_s=0.25, init_s=0.1, cold_start=True)
    desk.spans.began(invocation)
    desk.spans.ended(invocation, outcome, None)
    (span,) = desk.made

    assert (span.name, span.kind, span.parent) == ("hello", SpanKind.SERVER, None)
    assert 750_000_000 == span.end_time - span.start_time
    assert 1_767_225_600_122_999 == span.end_time // 1000  # the clock's wall time, as near as a float is
    assert span.status.status_code is StatusCode.UNSET
    assert {
        "faas.name": "hello",
        "faas.version": "$LATEST",
        "faas.invocation_id": "6f1b2d9e-0000-4000-8000-000000000000",
        "faas.trigger": "other",
        "faas.coldstart": True,
        "cloud.resource_id": "arn:aws:lambda:us-east-1:000000000000:function:hello",
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


def test_a_batch_links_to_the_traces_of_its_messages(desk, ended):
    """One consumer span, one link for each message that came with a header."""
    _, outcome = ended()
    records = [
        {"attributes": {"AWSTraceHeader": TRACE}},
        {"attributes": {}},
        {},
        {"attributes": {"AWSTraceHeader": 1}},
    ]
    event = Event("hello", json.dumps({"Records": records}).encode(), outcome.request_id, 0.0, "sqs")
    desk.spans.ended(Invocation(event, lambda _: None), outcome, None)
    (span,) = desk.made

    assert (span.name, span.kind) == ("hello process", SpanKind.CONSUMER)
    assert [TRACE_ID] == [link.context.trace_id for link in span.links]
    assert "pubsub" == span.attributes["faas.trigger"]


@pytest.mark.parametrize("body", [b"[]", b'{"Records": 1}', b'{"Records": [1]}', b"nonsense", None])
def test_a_batch_of_another_shape_has_no_links(desk, ended, body):
    """A trace is no reason to fail."""
    _, outcome = ended()
    event = Event("hello", body, outcome.request_id, 0.0, "sqs")
    desk.spans.ended(Invocation(event, lambda _: None), outcome, None)

    assert [0] == [len(span.links) for span in desk.made]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        "Root=1-5759e988-bd862e3fe1be46a994272793",
        "Parent=53995c3f42cd8ad8",
        "Root=1-5759e988-bd862e3fe1be46a9942727930;Parent=53995c3f42cd8ad8",
        "Root=1-00000000-000000000000000000000000;Parent=53995c3f42cd8ad8",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=0000000000000000",
    ],
)
def test_a_header_that_is_none_begins_a_trace_of_its_own(header):
    """Ids of zeros are no ids."""
    assert span_context(header) is None


def test_what_was_not_sent_yet_is_sent_at_the_end(clock, ended):
    """The SDK sends in batches, from a thread of its own."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(kept, schedule_delay_millis=60_000))
    spans = OtelSpans(provider, kept, Account(), clock)
    invocation, outcome = ended()
    spans.ended(invocation, outcome, None)
    spans.close()

    assert ["hello"] == [span.name for span in kept.get_finished_spans()]
