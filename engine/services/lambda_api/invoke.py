"""From an Invoke request to an event, and from its outcome to the answer: the hot path of the Lambda API.

Source: Lambda API reference, Invoke and InvokeWithResponseStream.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from engine.core.durable_event import HandlerEvent, StartEvent
from engine.core.event import MISSING, Event, StreamedEvent
from engine.core.function import Account
from engine.core.invocation import Reply
from engine.core.json_pieces import LARGE_BYTES, Steps
from engine.core.outcome import Outcome, Status
from engine.core.payload_limits import MAX_ASYNC_EVENT_BYTES, MAX_EVENT_BYTES
from engine.core.throttling import ThrottleReason, request_bucket
from engine.errors import EngineError, ExecutionAlreadyStarted, FunctionNotFound, NotAccepting
from engine.packages.records import LATEST
from engine.ports import Host, Sink
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.rest_json import error_head
from engine.protocols.http.header_cache import HeaderCache
from engine.protocols.http.message import Request
from engine.protocols.http.stepwise_answers import answer_in_turns
from engine.services.lambda_api import event_stream
from engine.services.lambda_api.errors import (
    RETRY_AFTER_S,
    answer_error,
    function_not_found,
    invalid_parameter,
    payload_too_large,
    recursive_invocation,
    service_error,
    too_many_requests,
)
from engine.services.lambda_api.invoke_headers import (
    ALL_TYPES,
    STREAMING_TYPES,
    InvocationType,
    InvokeHeaders,
    option_names,
    read_durable_options,
    read_options,
)
from engine.services.lambda_api.invoke_payload import (
    document_in_pieces,
    document_of,
)
from engine.services.lambda_api.streamed_answer import StreamedAnswer
from engine.services.lambda_api.trace_header import AdoptedTraces, Traces

THROTTLED: Final = "TooManyRequestsException"
_JSON: Final = "application/json"
_BYTES: Final = "application/octet-stream"
_REQUEST_RESPONSE: Final = InvocationType.REQUEST_RESPONSE
_SUCCESS: Final = Status.SUCCESS
_RESERVATION_FULL: Final = ThrottleReason.FUNCTION_LIMIT.aws_reason
_UNQUALIFIED: Final = (
    "You cannot invoke a durable function using an unqualified ARN: name a version, an alias or $LATEST."
)
"""Source of the rule: Lambda Developer Guide, "Durable functions". The words are not on record."""
_RETRY_AFTER: Final = f"Retry-After: {RETRY_AFTER_S}\r\n".encode()


class InvokeTarget(NamedTuple):
    """What the path of an invocation says.

    Attributes:
        function: A name that exists.
        qualifier: As the caller put it, or None.
        streaming: The answer is an event stream.
        asynchronous: The legacy `invoke-async`: of type Event whatever the headers say.
        durable: It is a durable function: what is invoked is an execution.
        is_rare: Its headers are read each time: `streaming` or `durable`.
    """

    function: str
    qualifier: str | None
    streaming: bool = False
    asynchronous: bool = False
    durable: bool = False
    is_rare: bool = False


class Invoker:
    """Submits events and answers their callers."""

    __slots__ = (
        "_account",
        "_callers",
        "_is_traced",
        "_names",
        "_options",
        "_recursion",
        "_refuse",
        "_submit",
        "_submit_event",
        "_traces",
    )

    def __init__(
        self,
        host: Host,
        sink: Sink,
        asynchronous: Sink,
        refuse: Callable[[Request, ServiceError, str], object],
    ) -> None:
        """`asynchronous` takes events of type Event; `refuse` answers what is refused later than at once."""
        self._account: Account = host.account
        self._callers = request_bucket(host.account.caller_requests_per_s)
        self._recursion = host.recursion
        self._submit = sink.submit
        self._submit_event = asynchronous.submit
        self._refuse = refuse
        self._is_traced = host.tracer is not None
        self._traces = AdoptedTraces(host.clock) if self._is_traced else Traces(host.clock)
        self._names = option_names(traceparent=self._is_traced)
        self._options = HeaderCache[InvokeHeaders]()

    def invoke(
        self, request: Request, target: InvokeTarget, request_id: str, document: Any = MISSING
    ) -> None:
        """Submit it and answer, now or later. Raises ServiceError for what is refused before it is an event.

        `document` is what the body holds, if it has been read.
        """
        options = self._options.get(request.head)
        if options is None or target.is_rare:
            if target.durable:
                options = read_durable_options(request.headers, self._names)
                self._invoke_durable(request, target, options, request_id, document)
                return
            allowed = STREAMING_TYPES if target.streaming else ALL_TYPES
            options = read_options(request.headers, self._names, allowed)
            self._options.keep(request.head, options)
        sent = options.trace
        if sent is None:
            trace = self._traces.new(request_id)
        else:
            trace = self._recursion.enter(target.function, self._traces.complete(sent, request_id))
        if target.asynchronous or options.kind is not _REQUEST_RESPONSE:
            self._answer_at_once(request, target, options, request_id, trace, document)
            return
        if self._callers is not None and document is MISSING and not self._callers.take(request.received_s):
            raise too_many_requests("CallerRateLimitExceeded")
        if sent is not None and document is MISSING and self._recursion.stops(target.function, trace):
            raise recursive_invocation()
        body = request.body
        if request.too_large or len(body) > MAX_EVENT_BYTES:
            size = request.too_large or len(body)
            raise payload_too_large(size, _REQUEST_RESPONSE, MAX_EVENT_BYTES)
        body = body or b"{}"
        if document is MISSING:
            if len(body) > LARGE_BYTES:
                answer_in_turns(request, self._read_and_invoke(request, target, request_id))
                return
            document = document_of(body)
        event = Event(
            target.function,
            body,
            request_id,
            request.received_s,
            "invoke",
            document,
            trace,
            options.client_context,
            target.qualifier,
            options.wants_log,
        )
        if target.streaming:
            event, reply = _streamed(request, event, document)
        elif target.qualifier is not None or self._is_traced:
            reply = partial(_answer_version, request, event)
        else:
            reply = partial(_answer, request, trace)
        try:
            self._submit(event, reply)
        except (NotAccepting, FunctionNotFound) as error:
            raise self._not_taken(event, error) from None

    def _invoke_durable(
        self,
        request: Request,
        target: InvokeTarget,
        options: InvokeHeaders,
        request_id: str,
        document: Any,
    ) -> None:
        """Start an execution, and answer at its end; or at its start, of type Event."""
        # AWS's local runner leaves `$LATEST` away where it has a handler run.
        if target.qualifier is None and not options.is_raw:
            raise invalid_parameter(_UNQUALIFIED)
        trace = self._traces.new(request_id)
        if options.trace is not None:
            completed = self._traces.complete(options.trace, request_id)
            trace = self._recursion.enter(target.function, completed)
        if options.kind is InvocationType.DRY_RUN:
            self._answer_at_once(request, target, options, request_id, trace, document)
            return
        waits = options.kind is _REQUEST_RESPONSE and not target.asynchronous
        limit = MAX_EVENT_BYTES if waits else MAX_ASYNC_EVENT_BYTES
        body = request.body
        if request.too_large or len(body) > limit:
            kind = _REQUEST_RESPONSE if waits else InvocationType.EVENT
            raise payload_too_large(request.too_large or len(body), kind, limit)
        body = body or b"{}"
        if document is MISSING:
            if len(body) > LARGE_BYTES:
                answer_in_turns(request, self._read_and_invoke(request, target, request_id))
                return
            document_of(body)  # what is no JSON starts nothing
        if self._recursion.stops(target.function, trace):
            raise recursive_invocation()
        received_s = request.received_s
        where = (target.function, body, request_id, received_s, "invoke" if waits else "event")
        event: Event
        if options.is_raw:
            event = HandlerEvent(*where, trace_id=trace, qualifier=target.qualifier)
            reply: Reply = partial(_answer_version, request, event) if waits else _ignore
        else:
            event = StartEvent(*where, trace_id=trace, qualifier=target.qualifier)
            event.execution_name, event.waits = options.execution_name, waits
            event.started = _ignore_start if waits else partial(_answer_started, request, event)
            reply = partial(_answer_stream if target.streaming else _answer_execution, request, event)
        try:
            self._submit(event, reply)
        except (NotAccepting, FunctionNotFound) as error:
            raise self._not_taken(event, error) from None
        except ExecutionAlreadyStarted as error:
            raise ServiceError(409, "DurableExecutionAlreadyStartedException", str(error)) from None
        if options.is_raw and not waits:
            request.respond(202, _head_at_once(request_id, trace), b"")

    def _read_and_invoke(self, request: Request, target: InvokeTarget, request_id: str) -> Steps[None]:
        try:
            document = yield from document_in_pieces(request.body)
            self.invoke(request, target, request_id, document)
        except ServiceError as error:
            self._refuse(request, error, request_id)

    def _not_taken(self, event: Event, error: EngineError) -> ServiceError:
        if isinstance(error, NotAccepting):
            return service_error(503, f"Service is unavailable: {error}")
        return function_not_found(self._account.function_arn(event.function, event.qualifier or LATEST))

    def _answer_at_once(
        self,
        request: Request,
        target: InvokeTarget,
        options: InvokeHeaders,
        request_id: str,
        trace: str,
        document: Any,
    ) -> None:
        """DryRun looks no further than the function's name; Event ends with its acceptance."""
        head = _head_at_once(request_id, trace)
        if options.kind is InvocationType.DRY_RUN and not target.asynchronous:
            request.respond(204, head, b"")
            return
        body = request.body
        if request.too_large or len(body) > MAX_ASYNC_EVENT_BYTES:
            size = request.too_large or len(body)
            raise payload_too_large(size, InvocationType.EVENT, MAX_ASYNC_EVENT_BYTES)
        body = body or b"{}"
        if document is MISSING:
            if len(body) > LARGE_BYTES:
                answer_in_turns(request, self._read_and_invoke(request, target, request_id))
                return
            document = document_of(body)
        event = Event(
            target.function,
            body,
            request_id,
            request.received_s,
            "event",
            document=document,
            trace_id=trace,
            qualifier=target.qualifier,
        )
        try:
            self._submit_event(event, _ignore)
        except (NotAccepting, FunctionNotFound) as error:
            raise self._not_taken(event, error) from None
        request.respond(202, head, b"")


def _head_at_once(request_id: str, trace: str) -> bytes:
    return (
        f"Content-Type: {_JSON}\r\nx-amzn-RequestId: {request_id}\r\nX-Amzn-Trace-Id: {trace}\r\n"
    ).encode()


def _answer_started(request: Request, event: StartEvent, error: OSError | None) -> None:
    """The answer of an Event invocation of a durable function: its execution has begun, and is kept."""
    if error is not None:
        failed = service_error(500, f"The execution could not be kept: {error.strerror or error}")
        answer_error(request, failed, event.request_id)
        return
    head = _head_at_once(event.request_id, event.trace_id or "")
    request.respond(202, head + _execution_arn(event).encode(), b"")


def _answer_execution(request: Request, event: StartEvent, outcome: Outcome) -> None:
    """The answer of a RequestResponse invocation of a durable function: how its execution ended."""
    _answer_fully(request, event.trace_id or "", event.version, outcome, _execution_arn(event))


def _execution_arn(event: StartEvent) -> str:
    return f"X-Amz-Durable-Execution-Arn: {event.arn}\r\n"


def _answer(request: Request, trace: str, outcome: Outcome) -> None:
    """The answer of a RequestResponse invocation of `$LATEST`."""
    if outcome.status is _SUCCESS and outcome.log_tail is None and not outcome.raw:
        head = (
            "Content-Type: application/json\r\nX-Amz-Executed-Version: $LATEST\r\n"
            f"x-amzn-RequestId: {outcome.request_id}\r\nX-Amzn-Trace-Id: {trace}\r\n"
        )
        request.respond(200, head.encode(), outcome.body)
    else:
        _answer_fully(request, trace, LATEST, outcome)


def _answer_version(request: Request, event: Event, outcome: Outcome) -> None:
    """The answer of a RequestResponse invocation of a version, of what an alias stood for, or with a span."""
    _answer_fully(request, event.trace_id or "", event.version, outcome)


def _answer_fully(request: Request, trace: str, version: str, outcome: Outcome, more: str = "") -> None:
    """Bytes that a handler returned are sent as application/octet-stream; AWS's name is not on record."""
    if not outcome.ran:
        _answer_refusal(request, outcome)
        return
    lines = _lines(_BYTES if outcome.raw else _JSON, outcome.request_id, trace, version) + more
    if outcome.status is not _SUCCESS:
        lines += "X-Amz-Function-Error: Unhandled\r\n"
    if outcome.log_tail is not None:
        lines += f"X-Amz-Log-Result: {_base64(outcome.log_tail)}\r\n"
    request.respond(200, lines.encode(), outcome.body)


def _streamed(request: Request, event: Event, document: Any) -> tuple[Event, Reply]:
    """An InvokeWithResponseStream: answered piece by piece if the handler streams, else at its end."""
    streamed = StreamedEvent.of(event, event.payload, document)
    streamed.stream = answer = StreamedAnswer(request, partial(_stream_head, streamed))
    return streamed, partial(_finish_stream, answer, request, streamed)


def _stream_head(event: Event) -> bytes:
    lines = _lines(event_stream.CONTENT_TYPE, event.request_id, event.trace_id or "", event.version)
    return lines.encode()


def _finish_stream(answer: StreamedAnswer, request: Request, event: Event, outcome: Outcome) -> None:
    log_result = None if outcome.log_tail is None else _base64(outcome.log_tail)
    if not answer.finish(outcome, log_result):
        _answer_stream(request, event, outcome)


def _answer_stream(request: Request, event: Event, outcome: Outcome) -> None:
    """The answer of an InvokeWithResponseStream: 200 once it ran, however it ended."""
    if not outcome.ran:
        _answer_refusal(request, outcome)
        return
    log_result = None if outcome.log_tail is None else _base64(outcome.log_tail)
    request.respond(200, _stream_head(event), event_stream.stream_of(outcome, log_result))


def _lines(content_type: str, request_id: str, trace: str, version: str) -> str:
    return (
        f"Content-Type: {content_type}\r\nX-Amz-Executed-Version: {version}\r\n"
        f"x-amzn-RequestId: {request_id}\r\nX-Amzn-Trace-Id: {trace}\r\n"
    )


def _answer_refusal(request: Request, outcome: Outcome) -> None:
    """Answer an invocation that never ran, or that the engine stopped."""
    if outcome.status is Status.THROTTLED:
        # its body is AWS's for this very answer; recorded: nobody is told when a reservation has room again
        head = error_head(THROTTLED, outcome.request_id)
        if outcome.reason != _RESERVATION_FULL:
            head += _RETRY_AFTER
        request.respond(429, head, outcome.body)
        return
    error = service_error(500, "The engine stopped before the invocation ended.")
    answer_error(request, error, outcome.request_id)


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def _ignore_start(_error: OSError | None) -> None:
    """Say nothing yet: the caller waits for the end."""


def _ignore(_outcome: Outcome) -> None:
    """Ignore the outcome: an asynchronous caller has its answer already."""
