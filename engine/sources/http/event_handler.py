"""From a request to its route, its event and its answer: the hot path of the HTTP source."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import orjson

from engine.core.event import MISSING, Event, StreamedEvent
from engine.core.invocation import Reply
from engine.core.json_pieces import LARGE_BYTES, Steps
from engine.core.outcome import Outcome
from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.core.trace_context import from_xray, xray_header
from engine.errors import ConfigError, FunctionNotFound, NotAccepting
from engine.ports import Host, Sink, Tracer
from engine.protocols.http.cors import Cors
from engine.protocols.http.server import Request
from engine.protocols.http.stepwise_answers import answer_in_turns
from engine.sources.http.answer_deadlines import AnswerDeadlines
from engine.sources.http.error_responses import no_route
from engine.sources.http.headers import AdoptedTracing, Tracing
from engine.sources.http.payload import PayloadFormat, RequestRefused
from engine.sources.http.responses import Answer, identified, parse_in_pieces
from engine.sources.http.routes import Entry, Found, RouteTable, conflicts
from engine.sources.http.settings import FrontDoor
from engine.sources.http.streamed_answers import HttpResponseStream, StreamForm
from engine.sources.http.target import split_target
from engine.sources.http.timestamps import Timestamps

_MAX_TARGETS: Final = 4096
_MAX_TARGET_BYTES: Final = 512
_FITS_UP_TO_BYTES: Final = 524_288
"""Bytes of body that, at six bytes of JSON each and with the headers, stay below `MAX_EVENT_BYTES`."""


class Route(NamedTuple):
    """Which function a request goes to, how it is put, and what pages of other origins may do.

    `answer_within_s`: how long the function is waited for; None is as long as it takes. `streams`: what is
    streamed is passed on, in that form; None: the client gets the whole of an answer.
    """

    function: str
    payload: PayloadFormat
    qualifier: str | None = None
    cors: Cors | None = None
    answer_within_s: float | None = None
    streams: StreamForm | None = None


class Resolved(NamedTuple):
    """What one request target means: the route, and the target as the route's format wants it."""

    route: Route
    target: Any


class Router:
    """Finds the route of a request, and remembers the targets it has seen: bounded in number and length."""

    __slots__ = ("_known", "_max_body", "_no_route_response", "_table")

    def __init__(self, entries: Sequence[Entry[Route]], fallbacks: Sequence[Entry[Route]] = ()) -> None:
        """`fallbacks`: routes that are no front door of their own."""
        problems = conflicts(entries)
        if problems:
            raise ConfigError(tuple(problems))
        payloads = [entry.endpoint.payload for entry in entries]
        doors = {payload.front_door for payload in payloads}
        self._max_body = max((payload.max_body for payload in payloads), default=0)
        self._no_route_response = no_route(rest_only=doors == {FrontDoor.REST})
        self._table = RouteTable([*entries, *fallbacks])
        self._known: dict[tuple[str, bytes], Resolved] = {}

    @property
    def no_route_response(self) -> Answer:
        """The answer to a request that no route takes."""
        return self._no_route_response

    @property
    def max_body(self) -> int:
        """Bytes of the largest request body any route takes."""
        return self._max_body

    def resolve(self, method: str, target: bytes) -> Resolved | None:
        """The route and the parsed target, or None if no route takes the request."""
        known = self._known.get((method, target))
        if known is not None:
            return known
        path, query = split_target(target)
        found = self._find(method, path)
        if found is None:
            return None
        route = found.endpoint
        resolved = Resolved(route, route.payload.target(path, query, found.parameters))
        if len(target) <= _MAX_TARGET_BYTES:
            if len(self._known) >= _MAX_TARGETS:
                self._known.clear()
            self._known[(method, target)] = resolved
        return resolved

    def accepted_bytes(self, method: str, target: bytes) -> int:
        """Bytes of the largest request body that the route of a request may take."""
        resolved = self.resolve(method, target)
        return self._max_body if resolved is None else min(resolved.route.payload.max_body, MAX_EVENT_BYTES)

    def _find(self, method: str, path: str) -> Found[Route] | None:
        """The route of a path. A REST API tells neither /pets/ nor //pets from /pets."""
        found = self._table.find(method, path)
        if found is not None and not _is_rest(found):
            return found
        plain = "/" + path.lstrip("/").removesuffix("/")
        if plain == path or not path.startswith("/"):
            return found
        other = self._table.find(method, plain)
        return other if other is not None and _is_rest(other) else found


def _is_rest(found: Found[Route]) -> bool:
    return found.endpoint.payload.front_door is FrontDoor.REST


class HttpEventHandler:
    """Takes requests from the server, hands events to the sink, and gives the answers back."""

    __slots__ = (
        "_deadlines",
        "_new_request_id",
        "_reject",
        "_router",
        "_submit",
        "_timestamps",
        "_tracer",
        "_tracing",
    )

    def __init__(self, router: Router, sink: Sink, host: Host, *, keeps_time_limits: bool = False) -> None:
        """`keeps_time_limits`: routes wait no longer for a function than `answer_within_s`. Needs a loop."""
        self._deadlines = AnswerDeadlines(host.clock, self._answer_late) if keeps_time_limits else None
        self._router = router
        self._submit = sink.submit
        self._timestamps = Timestamps(host.clock)
        self._tracer = host.tracer
        self._tracing = Tracing() if host.tracer is None else AdoptedTracing()
        self._new_request_id = host.new_request_id
        self._reject = host.reject

    def reroute(self, router: Router) -> None:
        """Use `router` from now on."""
        self._router = router

    def handle(self, request: Request, router: Router | None = None) -> None:
        """Answer now what cannot become an event; submit the rest. Never raises for a bad request.

        `router`: that of another host.
        """
        request_id = self._new_request_id()
        if router is None:
            router = self._router
        resolved = router.resolve(request.method, request.target)
        if resolved is None:
            self._reject("unknown_function")
            _refuse(request, router.no_route_response, request_id)
            return
        route, target = resolved
        payload = route.payload
        if request.too_large or len(request.body) > payload.max_body:
            self._reject("payload_too_large")
            _refuse(request, payload.error_responses.too_large, request_id)
            return
        timestamp = self._timestamps.now()
        trace = self._tracing.header(request, timestamp, request_id)
        try:
            document = payload.event(request, target, request_id, timestamp, trace)
        except RequestRefused as refused:
            self._reject(refused.reason)
            _refuse(request, refused.response, request_id)
            return
        text: bytes | None = None
        if len(request.body) > _FITS_UP_TO_BYTES:
            text = orjson.dumps(document)
            if len(text) > MAX_EVENT_BYTES:
                self._reject("payload_too_large")
                _refuse(request, payload.error_responses.too_large, request_id)
                return
        event = Event(
            route.function,
            text,
            request_id,
            request.received_s,
            "http",
            document,
            trace,
            None,
            route.qualifier,
        )
        if route.streams is not None:
            self._stream(request, event, text, document, payload, route.streams)
            return
        answers: Answers = payload
        if self._tracer is not None:
            answers = TracedAnswers(payload, self._tracer, event)
        reply = partial(_answer, request, answers)
        limit_s, deadlines = route.answer_within_s, self._deadlines
        if limit_s is not None and deadlines is not None:
            due, due_s = deadlines[limit_s], request.received_s + limit_s
            due.waiting[request] = (due_s, payload, event)
            if not due.timer.armed:
                due.timer.at(due_s)
            reply = partial(_answer_in_time, due.waiting, request, answers)
        self._submit_event(event, reply, request, payload)

    def _stream(
        self,
        request: Request,
        event: Event,
        text: bytes | None,
        document: Any,
        payload: PayloadFormat,
        form: StreamForm,
    ) -> None:
        """Submit it as one whose response is passed on as it comes."""
        streamed = StreamedEvent.of(event, text, document)
        answers: Answers = form
        traced: TracedAnswers | None = None
        if self._tracer is not None:
            answers = traced = TracedAnswers(form, self._tracer, streamed)
        streamed.stream = stream = HttpResponseStream(request, form, event.request_id, traced)
        self._submit_event(streamed, partial(_answer_stream, stream, request, answers), request, payload)

    def _submit_event(self, event: Event, reply: Reply, request: Request, payload: PayloadFormat) -> None:
        try:
            self._submit(event, reply)
        except NotAccepting:
            self._reject("not_accepting")
            self._refuse_event(request, payload.error_responses.unavailable, event)
        except FunctionNotFound:  # taken away since the table was built
            self._reject("unknown_function")
            gone = payload.error_responses.gone or payload.error_responses.failed
            self._refuse_event(request, gone, event)

    def close(self) -> None:
        """Wait for functions as long as it takes, from now on."""
        if self._deadlines is not None:
            self._deadlines.close()

    def _answer_late(self, request: Request, payload: PayloadFormat, event: Event) -> None:
        """Answer for a function that has not: it runs on."""
        if payload.error_responses.timed_out is not None:
            self._refuse_event(request, payload.error_responses.timed_out, event)

    def _refuse_event(self, request: Request, answer: Answer, event: Event) -> None:
        if self._deadlines is not None:
            self._deadlines.forget(request)
        if self._tracer is not None:
            self._tracer.answered(event, answer[0])
        _refuse(request, answer, event.request_id)


class Answers(Protocol):
    """Turns outcomes into answers."""

    def answer(self, outcome: Outcome, request: Request, result: Any = MISSING) -> Answer:
        """As `PayloadFormat.answer`."""


class TracedAnswers:
    """Tells the tracer the status of the answer, and the client, as AWS does, in which trace it is."""

    __slots__ = ("_event", "_payload", "_tracer")

    def __init__(self, payload: Answers, tracer: Tracer, event: Event) -> None:
        self._payload = payload
        self._tracer = tracer
        self._event = event
        tracer.awaits_answer(event)

    def answer(self, outcome: Outcome, request: Request, result: Any = MISSING) -> Answer:
        """That of the payload format, with the trace."""
        return self.answered(self._payload.answer(outcome, request, result))

    def answered(self, answer: Answer) -> Answer:
        """That answer, with the trace."""
        status, head, body = answer
        self._tracer.answered(self._event, status)
        return status, b"%bx-amzn-trace-id: %b\r\n" % (head, _shown(self._event.trace_id)), body


def _shown(trace_id: str | None) -> bytes:
    """As much of a header as no client can have put a control character into: the context."""
    context = from_xray(trace_id or "")
    return b"" if context is None else xray_header(context).encode()


def _answer(request: Request, payload: Answers, outcome: Outcome) -> None:
    if len(outcome.body) > LARGE_BYTES:
        answer_in_turns(request, _read_and_answer(request, payload, outcome))
        return
    status, head, body = payload.answer(outcome, request)
    request.respond(status, head, body)


def _answer_stream(stream: HttpResponseStream, request: Request, answers: Answers, outcome: Outcome) -> None:
    """End a streamed answer, or give one of which nothing was streamed."""
    if not stream.finish(outcome):
        request.respond(*answers.answer(outcome, request))


def _answer_in_time(
    waiting: dict[Request, Any], request: Request, payload: Answers, outcome: Outcome
) -> None:
    """`_answer`, unless the request was given up. It does not call that: this is the hot path."""
    if waiting.pop(request, None) is None:
        return
    if len(outcome.body) > LARGE_BYTES:
        answer_in_turns(request, _read_and_answer(request, payload, outcome))
        return
    status, head, body = payload.answer(outcome, request)
    request.respond(status, head, body)


def _read_and_answer(request: Request, payload: Answers, outcome: Outcome) -> Steps[None]:
    try:
        result = yield from parse_in_pieces(outcome.body)
    except ValueError:
        result = MISSING  # the format finds out again, and answers accordingly
    request.respond(*payload.answer(outcome, request, result))


def _refuse(request: Request, answer: Answer, request_id: str) -> None:
    status, head, body = answer
    request.respond(status, identified(head, request_id), body)
