"""Invocations as OpenTelemetry spans: `[engine] observers = ["otel"]`, with the extra `otel` installed.

Where they go, how many and with which name say OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`). Handlers that `opentelemetry-instrumentation-aws-lambda` patches
make a span of their own: with both, each invocation has two.

Source: OpenTelemetry, "Instrumenting AWS Lambda" and "Semantic conventions for FaaS spans".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from threading import Timer
from typing import Any, Final, Self

import orjson
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from engine.core.engine_events import EngineEvent
from engine.core.event import Event
from engine.core.function import Account
from engine.core.invocation import Invocation
from engine.core.outcome import Outcome
from engine.ports import Clock

_NS: Final = 1_000_000_000
_ROOT: Final = re.compile(r"Root=1-([0-9a-f]{8})-([0-9a-f]{24})(?![0-9a-f])")
_PARENT: Final = re.compile(r"Parent=([0-9a-f]{16})(?![0-9a-f])")
_TRIGGERS: Final = {
    "invoke": "other",
    "http": "http",
    "direct": "other",
    "event": "pubsub",
    "sqs": "pubsub",
    "s3": "datasource",
    "schedule": "timer",
}
"""Ours to OpenTelemetry's `faas.trigger`."""
_ANSWERED: Final = ("invoke", "http", "direct")
_MAX_LINKS: Final = 100
_LAST_SEND_S: Final = 3.0


class OtelSpans:
    """An `Observer` that makes a span of each invocation when it has ended.

    Spans join the trace that the event's X-Ray header names, beside those that the handler makes. They are
    made on the event loop (some 30 µs each) and sent by a thread of the SDK's.
    """

    def __init__(
        self, provider: TracerProvider, exporter: SpanExporter, account: Account, clock: Clock
    ) -> None:
        self._provider = provider
        self._exporter = exporter
        self._tracer = provider.get_tracer("invocation-engine")
        self._account = account
        self._clock = clock

    @classmethod
    def build(cls, account: Account, clock: Clock) -> Self:
        """One that sends to a collector, by OTLP over HTTP."""
        resource = Resource.create(
            {
                "service.name": "invocation-engine",
                "cloud.region": account.region,
                "cloud.account.id": account.account_id,
            }
        ).merge(Resource.create())  # what the environment says goes before
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter()
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider, exporter, account, clock)

    def close(self) -> None:
        """Send what is left. Blocks, some seconds at most if no collector answers: then it is lost."""
        giving_up = Timer(_LAST_SEND_S, self._exporter.shutdown)
        giving_up.start()
        try:
            self._provider.shutdown()
        finally:
            giving_up.cancel()
            giving_up.join()

    # ---------------------------------------------------------------- Observer

    def began(self, invocation: Invocation, /) -> None:
        """Nothing: a span that is made at the end needs no place to be kept."""

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None:
        """A span from received to ended."""
        event = invocation.event
        error = None if outcome.ok else error_type or outcome.status.value
        attributes = {
            "faas.coldstart": outcome.cold_start,
            "engine.outcome": outcome.status.value,
            "engine.queue_wait_s": outcome.queue_wait_s,
            "engine.duration_s": outcome.duration_s,
            "engine.billed_ms": outcome.billed_ms,
        }
        if outcome.init_s is not None:
            attributes["engine.init_s"] = outcome.init_s
        self._span(event, outcome.queue_wait_s + outcome.duration_s, attributes, error)

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None:
        """A span without a length: it never ran."""
        self._span(event, 0.0, {"engine.outcome": outcome.status.value}, reason)

    def noticed(self, notice: EngineEvent, /) -> None:
        """Nothing: that is what logs and metrics are for."""

    # ---------------------------------------------------------------- inside

    def _span(self, event: Event, took_s: float, attributes: dict[str, Any], error: str | None) -> None:
        ended_ns = int(self._clock.wall() * _NS)
        waits = event.trigger in _ANSWERED
        parent = span_context(event.trace_id)
        arn = self._account.function_arn(event.function)
        span = self._tracer.start_span(
            event.function if waits else f"{event.function} process",
            context=None if parent is None else set_span_in_context(NonRecordingSpan(parent)),
            kind=SpanKind.SERVER if waits else SpanKind.CONSUMER,
            attributes={
                "faas.name": event.function,
                "faas.version": event.version,
                "faas.invocation_id": event.request_id,
                "faas.trigger": _TRIGGERS.get(event.trigger, "other"),
                "cloud.resource_id": arn,
                "aws.lambda.invoked_arn": f"{arn}:{event.qualifier}" if event.qualifier else arn,
                **attributes,
            },
            links=list(_links(event)) if event.trigger == "sqs" else None,
            start_time=ended_ns - int(took_s * _NS),
        )
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(ended_ns)


def span_context(header: str | None) -> SpanContext | None:
    """The trace and the parent of an X-Ray header (`Root=...;Parent=...;Sampled=...`), if it has both."""
    root = _ROOT.search(header) if header else None
    parent = _PARENT.search(header) if header else None
    if header is None or root is None or parent is None:
        return None
    flags = TraceFlags.SAMPLED if "Sampled=1" in header else TraceFlags.DEFAULT
    found = SpanContext(
        int(root[1] + root[2], 16), int(parent[1], 16), is_remote=True, trace_flags=TraceFlags(flags)
    )
    return found if found.is_valid else None


def _links(event: Event) -> Iterator[Link]:
    """One for each message of a batch that came with a trace header."""
    try:
        records = orjson.loads(event.payload)["Records"][:_MAX_LINKS]
    except (ValueError, KeyError, TypeError):  # the document went to a handler, or is of another shape
        return
    for record in records:
        attributes = record.get("attributes") if isinstance(record, dict) else None
        header = attributes.get("AWSTraceHeader") if isinstance(attributes, dict) else None
        context = span_context(header) if isinstance(header, str) else None
        if context is not None:
            yield Link(context)
