"""Invocations as OpenTelemetry spans: `[engine] observers = ["otel"]`, with the extra `otel` installed.

Where they go, how many and with which name say OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`). Handlers that `opentelemetry-instrumentation-aws-lambda` patches
make a span of their own: with both, each invocation has two.

Source: OpenTelemetry semantic conventions 1.43, "Instrumenting AWS Lambda", "FaaS spans", "Function as a
Service" (resource), "Recording errors".
"""

from __future__ import annotations

import os
from threading import Timer
from typing import Any, Final, NamedTuple, Self

import orjson
from opentelemetry import trace
from opentelemetry.context import Context, create_key, set_value
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from engine.core.engine_events import EngineEvent
from engine.core.event import Event
from engine.core.function import Account
from engine.core.invocation import Invocation
from engine.core.outcome import Outcome
from engine.core.trace_context import TraceContext, xray_header
from engine.ports import Clock, Tracer
from engine.telemetry.span_details import Link, details_of
from engine.version import VERSION

_NS: Final = 1_000_000_000
_MAX_LINKS: Final = 10_000
"""Messages of the largest batch there is."""
_MAX_TRACERS: Final = 1_000
_LONGEST_ERROR: Final = 65_536
_LAST_SEND_S: Final = 3.0
_SERVER_ERRORS: Final = 500
_GIVEN: Final = create_key("the context that an event came with")


class OtelSpans(Tracer):
    """An `Observer` that makes a span of each invocation, from received to ended.

    Spans join the trace that the event came with, and what the handler makes joins them: it sees the span's
    id as the parent in `_X_AMZN_TRACE_ID`. They are made on the event loop (docs/operations.md says what
    that costs) and sent by a thread of the SDK's. Each function is a service of its own.
    """

    def __init__(
        self, processor: SpanProcessor, exporter: SpanExporter, account: Account, clock: Clock
    ) -> None:
        """`processor` takes all spans; `exporter` is given up if it does not end in time."""
        self._processor = processor
        self._exporter = exporter
        self._account = account
        self._clock = clock
        self._ids = _Ids()
        self._tracers: dict[str, trace.Tracer] = {}
        self._running: dict[Invocation, Span] = {}
        self._unanswered: dict[Event, _Ended | None] = {}

    @classmethod
    def build(cls, account: Account, clock: Clock) -> Self:
        """One that sends to a collector, by OTLP over HTTP."""
        exporter = OTLPSpanExporter()
        return cls(BatchSpanProcessor(exporter), exporter, account, clock)

    def close(self) -> None:
        """Send what is left. Blocks, some seconds at most if no collector answers: then it is lost."""
        giving_up = Timer(_LAST_SEND_S, self._exporter.shutdown)
        giving_up.start()
        try:
            self._processor.shutdown()
        finally:
            giving_up.cancel()
            giving_up.join()

    # ---------------------------------------------------------------- Observer

    def began(self, invocation: Invocation, /) -> None:
        """Begin its span, which becomes the parent of what the handler makes."""
        event = invocation.event
        self._running[invocation] = self._start(event, self._clock.now() - event.received_s)

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None:
        """End it, or leave that to `answered`."""
        event, span = invocation.event, self._running.pop(invocation, None)
        if span is None:
            span = self._start(event, outcome.queue_wait_s + outcome.duration_s)
        if span.is_recording():
            span.set_attributes(_facts(outcome))
            span.set_attribute("faas.version", event.version)
            if not outcome.ok:
                named, text = _error_of(outcome)
                _fail(span, error_type or named, text)
        self._end(event, span)

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None:
        """A span of its wait: it never ran."""
        span = self._start(event, outcome.queue_wait_s)
        span.set_attribute("engine.outcome", outcome.status.value)
        _fail(span, reason, "")
        self._end(event, span)

    def noticed(self, notice: EngineEvent, /) -> None:
        """Nothing: that is what logs and metrics are for."""

    # ---------------------------------------------------------------- Tracer

    def awaits_answer(self, event: Event, /) -> None:
        """Its span is held from its end until `answered`."""
        self._unanswered[event] = None

    def answered(self, event: Event, status: int, /) -> None:
        """End its span with this status; 5xx are errors."""
        held = self._unanswered.pop(event, None)
        if held is None:
            return
        span, ended_ns, is_error = held
        span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_ERRORS and not is_error:
            _fail(span, str(status), "")
        span.end(ended_ns)

    # ---------------------------------------------------------------- inside

    def _start(self, event: Event, ago_s: float) -> Span:
        """Start the span of an event that came `ago_s` seconds ago, and put it into the event's header."""
        details = details_of(event)
        span = self._tracer(event.function).start_span(
            details.name,
            context=self._ids.adopt(details.parent),
            kind=details.kind,
            attributes={**details.attributes, **self._identity(event)},
            links=[
                trace.Link(context)
                for link in details.links
                if (context := _span_context(link)).is_valid  # a root alone names no span
            ],
            start_time=int(self._clock.wall() * _NS) - int(ago_s * _NS),
        )
        made = span.get_span_context()
        if made.is_valid:  # not with OTEL_SDK_DISABLED
            own = TraceContext(made.trace_id, made.span_id, made.trace_flags.sampled)
            event.trace_id = xray_header(own, event.trace_id)
        return span

    def _end(self, event: Event, span: Span) -> None:
        ended_ns = int(self._clock.wall() * _NS)
        if event not in self._unanswered:
            span.end(ended_ns)
            return
        is_error = span.is_recording() and span.status.status_code is StatusCode.ERROR  # type: ignore[attr-defined]
        self._unanswered[event] = _Ended(span, ended_ns, is_error)

    def _identity(self, event: Event) -> dict[str, str]:
        arn = self._account.function_arn(event.function)
        return {
            "faas.invocation_id": event.request_id,
            "aws.lambda.invoked_arn": f"{arn}:{event.qualifier}" if event.qualifier else arn,
        }

    def _tracer(self, function: str) -> trace.Tracer:
        found = self._tracers.get(function)
        if found is None:
            if len(self._tracers) >= _MAX_TRACERS:  # functions may come and go over the Lambda API
                self._tracers.clear()
            provider = TracerProvider(
                resource=_resource(self._account, function),
                shutdown_on_exit=False,
                id_generator=self._ids,
                span_limits=None if "OTEL_SPAN_LINK_COUNT_LIMIT" in os.environ else _LIMITS,
            )
            provider.add_span_processor(self._processor)
            provider.sampler = _Adopting(provider.sampler)
            found = self._tracers[function] = provider.get_tracer("invocation-engine", VERSION)
        return found


class _Ended(NamedTuple):
    """A span that has ended but for its answer."""

    span: Span
    ended_ns: int
    is_error: bool


_LIMITS: Final = SpanLimits(max_links=_MAX_LINKS)


def _resource(account: Account, function: str) -> Resource:
    """A function is a service; what the environment says goes before."""
    own = {
        "service.name": function,
        "faas.name": function,
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": account.region,
        "cloud.account.id": account.account_id,
        "cloud.resource_id": account.function_arn(function),
    }
    return Resource.create(own).merge(OTELResourceDetector().detect())


def _span_context(link: Link) -> SpanContext:
    trace_id, span_id, sampled = link.context
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([link.state]) if link.state else None
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags, trace_state=state)


def _facts(outcome: Outcome) -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {
        "faas.coldstart": outcome.cold_start,
        "engine.outcome": outcome.status.value,
        "engine.queue_wait_s": outcome.queue_wait_s,
        "engine.duration_s": outcome.duration_s,
        "engine.billed_ms": outcome.billed_ms,
    }
    if outcome.init_s is not None:
        facts["engine.init_s"] = outcome.init_s
    return facts


def _fail(span: Span, error_type: str, text: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR, text or error_type))


def _error_of(outcome: Outcome) -> tuple[str, str]:
    """`errorType` and `errorMessage` of a handler's error; else the outcome."""
    named = outcome.status.value
    try:
        body = orjson.loads(outcome.body) if len(outcome.body) <= _LONGEST_ERROR else None
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return named, ""
    return str(body.get("errorType") or named), str(body.get("errorMessage") or "")


class _Ids(RandomIdGenerator):
    """Ids of spans, and of traces: the one that an event came with, if any."""

    def __init__(self) -> None:
        self._trace_id = 0

    def adopt(self, parent: Link | None) -> Context:
        """The context of the next span: with a parent, if the event came with one, or with its root."""
        self._trace_id = 0 if parent is None else parent.context.trace_id
        if parent is None:
            return Context()
        context = set_value(_GIVEN, parent.context, Context())
        if parent.context.span_id:
            return trace.set_span_in_context(NonRecordingSpan(_span_context(parent)), context)
        return context

    def generate_trace_id(self) -> int:
        """The adopted id, or 128 random bits."""
        return self._trace_id or super().generate_trace_id()

    def is_trace_id_random(self) -> bool:
        """Not known of an id that came from elsewhere, and X-Ray's begin with the time."""
        return False


class _Adopting(Sampler):
    """The configured sampler, for events too that come with less than a whole context.

    What a root alone says is followed by a sampler that follows parents; what says nothing (`Sampled=?`)
    is decided as if the trace began here.
    """

    def __init__(self, configured: Sampler) -> None:
        self._configured = configured

    def should_sample(self, parent_context: Context | None, *args: Any, **named: Any) -> SamplingResult:
        """As described."""
        given = None if parent_context is None else parent_context.get(_GIVEN)
        sampler = self._configured
        if isinstance(given, TraceContext):
            if given.sampled is None:
                parent_context = Context()
            elif not given.span_id and isinstance(sampler, ParentBased):
                sampler = ALWAYS_ON if given.sampled else ALWAYS_OFF
        return sampler.should_sample(parent_context, *args, **named)

    def get_description(self) -> str:
        """That of the configured sampler."""
        return self._configured.get_description()
