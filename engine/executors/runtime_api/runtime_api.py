"""The Runtime API of one environment: gives invocations to the runtime that polls, and takes its responses.

Source: Lambda Developer Guide, "Using the Lambda runtime API".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from engine.core.error_bodies import InitFailure, platform_error_body, response_too_large_body
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.executors.runtime_api import responses
from engine.executors.runtime_api.responses import PollState
from engine.executors.runtime_api.streamed_body import ERROR_TYPE, StreamedBody, StreamListener
from engine.protocols.http.server import Request

_PREFIX: Final = b"/2018-06-01/runtime/"
_KNOWN: Final = frozenset((b"invocation/next", b"init/error", b"restore/next", b"restore/error"))
_INITIALISING: Final = frozenset(
    (PollState.STARTED, PollState.INIT_ERROR, PollState.RESTORE_READY, PollState.RESTORE_ERROR)
)
_MODE: Final = b"lambda-runtime-function-response-mode"


class RuntimeApiListener(StreamListener, Protocol):
    """Told what the runtime does."""

    def ready(self) -> None:
        """The runtime asked for its first invocation."""

    def failed(self, failure: InitFailure) -> None:
        """The runtime cannot serve."""

    def flush_output(self) -> None:
        """Read what the runtime has written so far: it is about to take or to answer an invocation."""

    def ended(self, invocation: Invocation, result: Result) -> None:
        """The runtime has answered the invocation."""

    def truncated(self, invocation: Invocation, result: Result) -> None:
        """The connection by which it was answered was lost: nothing more is expected of the runtime."""

    def arn(self, invocation: Invocation) -> str:
        """The ARN that the invocation's caller used."""

    def deadline_ms(self, invocation: Invocation) -> int:
        """Milliseconds since the Unix epoch."""


class RuntimeApi:
    """Serves one runtime, one invocation at a time or, if `shared`, as many as it polls for.

    A runtime that polls again while a poll waits has given up the first one, unless it is shared.
    """

    __slots__ = (
        "_answered",
        "_in_flight",
        "_listener",
        "_polls",
        "_refused",
        "_shared",
        "_state",
        "_streaming",
        "_waiting",
    )

    def __init__(self, listener: RuntimeApiListener, *, shared: bool) -> None:
        self._listener = listener
        self._shared = shared
        self._state = PollState.STARTED
        self._polls: list[Request] = []
        self._waiting: deque[Invocation] = deque()  # not polled for yet
        self._in_flight: dict[str, Invocation] = {}
        self._streaming: dict[str, StreamedBody] = {}  # of those in flight
        self._answered = ""  # the request id answered last
        self._refused = False  # its answer was too large

    def submit(self, invocation: Invocation) -> None:
        """Answer a poll with it, or keep it until there is one."""
        self._waiting.append(invocation)
        self._dispatch()

    def current(self) -> Invocation | None:
        """The only invocation the runtime works on; None if there is none, or more than one."""
        if len(self._in_flight) != 1:
            return None
        return next(iter(self._in_flight.values()))

    def writer_of(self, line: str) -> Invocation | None:
        """The invocation that wrote `line`: of several, the one whose request id is in it."""
        if len(self._in_flight) < 2:
            return self.current()
        return next((one for request_id, one in self._in_flight.items() if request_id in line), None)

    def restart(self) -> bool:
        """After the runtime has exited: True if another one may continue, since no invocation was lost.

        It may if invocations wait that never reached it, or if it was told that its last answer was too
        large, which AWS's clients do not survive, though the environment does.
        """
        if self._in_flight or not (self._waiting or self._refused) or self.initialising:
            return False
        self._state = PollState.STARTED
        self._refused = False
        self._polls.clear()
        return True

    @property
    def streams(self) -> bool:
        """Whether a response is being received."""
        return bool(self._streaming)

    @property
    def initialising(self) -> bool:
        """Whether the runtime has not asked for an invocation yet."""
        return self._state in _INITIALISING

    def unanswered(self) -> list[Invocation]:
        """The invocations that were submitted and not answered."""
        return [*self._in_flight.values(), *self._waiting]

    def handle(self, request: Request) -> None:
        """Answer a request of the runtime, a poll as soon as there is an invocation."""
        path = request.target.partition(b"?")[0]
        if not path.startswith(_PREFIX):
            responses.not_found(request)
            return
        match request.method, path.removeprefix(_PREFIX).split(b"/"):
            case "GET", [b"invocation", b"next"]:
                self._next(request)
            case "POST", [b"invocation", request_id, b"response"]:
                self._response(request, request_id.decode("latin-1"))
            case "POST", [b"invocation", request_id, b"error"]:
                self._error(request, request_id.decode("latin-1"))
            case "POST", [b"init", b"error"]:
                self._init_error(request, PollState.INIT_ERROR)
            case "POST", [b"restore", b"error"]:
                self._init_error(request, PollState.RESTORE_ERROR)
            case "GET", [b"restore", b"next"]:
                self._restore(request)
            case _, [b"invocation", _, b"response" | b"error"]:
                responses.not_allowed(request)
            case _ if path.removeprefix(_PREFIX) in _KNOWN:
                responses.not_allowed(request)
            case _:
                responses.not_found(request)

    def receive(self, request: Request, resume: Callable[[], None]) -> StreamedBody | None:
        """What takes the body of a request as it comes: of a response that is streamed, to what runs here."""
        path = request.target.partition(b"?")[0]
        match request.method, path.removeprefix(_PREFIX).split(b"/"), request.header(_MODE):
            case "POST", [b"invocation", named, b"response"], bytes(mode) if _streams(mode):
                request_id = named.decode("latin-1")
            case _:
                return None
        if request_id not in self._in_flight or request_id in self._streaming:
            return None  # it is refused when it is complete
        self._listener.flush_output()
        return self._stream(request, request_id, resume)

    def _stream(self, request: Request, request_id: str, resume: Callable[[], None]) -> StreamedBody:
        invocation = self._in_flight[request_id]
        self._state = PollState.INVOCATION_RESPONSE
        body = StreamedBody(request, invocation, self._listener, resume, self._stream_ended)
        self._streaming[request_id] = body
        return body

    def _stream_ended(self, body: StreamedBody, result: Result) -> None:
        invocation = body.invocation
        request_id = invocation.event.request_id
        if self._streaming.pop(request_id, None) is None:
            return
        self._listener.flush_output()
        if result.ends_environment:
            self._listener.truncated(invocation, result)
            return
        self._in_flight.pop(request_id, None)
        self._answered = request_id
        self._state = PollState.RESPONSE_SENT
        responses.accept(body.request)
        self._end(invocation, result)

    def _next(self, request: Request) -> None:
        if self._state in (PollState.INIT_ERROR, PollState.RESTORE_ERROR):
            responses.refuse_move(request, self._state, PollState.READY)
            return
        if not self._shared:
            if self._in_flight:
                responses.refuse_move(request, PollState.RUNNING, PollState.READY)
                return
            self._polls.clear()
        self._listener.flush_output()
        first = self._state in (PollState.STARTED, PollState.RESTORE_READY)
        self._state = PollState.READY
        self._refused = False
        self._polls.append(request)
        if first:
            self._listener.ready()
        self._dispatch()

    def _dispatch(self) -> None:
        waiting, polls = self._waiting, self._polls
        while waiting and polls:
            poll = polls.pop()
            if not poll.awaited:
                continue  # its client has gone
            invocation = waiting[0]
            request_id = invocation.event.request_id
            if request_id in self._in_flight:  # an earlier attempt of the same event still runs
                polls.append(poll)
                return
            waiting.popleft()
            self._listener.flush_output()
            self._in_flight[request_id] = invocation
            self._state = PollState.RUNNING
            listener = self._listener
            arn, deadline_ms = listener.arn(invocation), listener.deadline_ms(invocation)
            responses.respond_next(poll, invocation, arn, deadline_ms)

    def _response(self, request: Request, request_id: str) -> None:
        invocation = self._take(request, request_id, PollState.INVOCATION_RESPONSE)
        if invocation is None:
            return
        if request.too_large:
            self._too_large(request, invocation)
            return
        mode = request.header(_MODE)
        if mode is not None and not _streams(mode):
            responses.refuse_mode(request)
            error_type = "Runtime.InvalidResponseModeHeader"
            text = f"Invalid response mode: {mode.decode('latin-1')}"
            body = platform_error_body(error_type, request_id, text)
            self._end(invocation, Result(Status.ERROR, body, error_type=error_type))
            return
        if mode is not None:  # it came as a whole
            self._in_flight[request_id] = invocation
            stream = self._stream(request, request_id, _nothing)
            if request.body:
                stream.data(request.body)
            stream.end(request.trailers)
            return
        responses.accept(request)
        self._end(invocation, _returned(request))

    def _error(self, request: Request, request_id: str) -> None:
        invocation = self._take(request, request_id, PollState.INVOCATION_ERROR_RESPONSE)
        if invocation is None:
            return
        if request.too_large:
            self._too_large(request, invocation)
            return
        responses.accept(request)
        self._end(
            invocation, Result(Status.ERROR, responses.error_document(request.body, _error_type(request)))
        )

    def _too_large(self, request: Request, invocation: Invocation) -> None:
        responses.refuse_size(request)
        self._refused = True
        self._end(invocation, Result(Status.ERROR, response_too_large_body()))

    def _take(self, request: Request, request_id: str, wanted: PollState) -> Invocation | None:
        """The invocation that is answered; None, after an error response, if it does not run here."""
        self._listener.flush_output()  # while the invocation that wrote it is still known
        if request_id in self._streaming:
            responses.refuse_move(request, self._state, wanted)
            return None
        invocation = self._in_flight.pop(request_id, None)
        if invocation is not None:
            self._answered = request_id
            self._state = PollState.RESPONSE_SENT
        elif request_id and request_id == self._answered:
            responses.refuse_move(request, self._state, wanted)
        else:
            responses.refuse_id(request)
        return invocation

    def _end(self, invocation: Invocation, result: Result) -> None:
        self._listener.ended(invocation, result)
        if self._waiting:
            self._dispatch()  # an attempt of the same event may have waited for it

    def _init_error(self, request: Request, state: PollState) -> None:
        if self._state not in (PollState.STARTED, PollState.RESTORE_READY):
            responses.refuse_move(request, self._state, state)
            return
        self._listener.flush_output()
        self._state = state
        responses.accept(request)
        named = _error_type(request)
        if named is None and state is PollState.RESTORE_ERROR:
            named = "Runtime.RestoreError"
        self._listener.failed(responses.init_failure(request.body, named))

    def _restore(self, request: Request) -> None:
        """Answer at once: there is no snapshot to be restored from."""
        if self._state is not PollState.STARTED:
            responses.refuse_move(request, self._state, PollState.RESTORE_READY)
            return
        self._state = PollState.RESTORE_READY
        responses.empty(request)


def _returned(request: Request) -> Result:
    return Result(Status.SUCCESS, request.body, raw=not responses.is_json(request.body))


def _streams(mode: bytes) -> bool:
    return mode.lower() == b"streaming"


def _nothing() -> None:
    """There is nothing to go on with: the whole of it was there."""


def _error_type(request: Request) -> str | None:
    value = request.header(ERROR_TYPE)
    return value.decode("latin-1") if value else None
