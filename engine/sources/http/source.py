"""The HTTP event source: one listener, a route table, and for each request one event and one answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple

import anyio
import orjson
from anyio.abc import TaskStatus
from pydantic import BaseModel

from engine.core.event import Event
from engine.core.outcome import Outcome
from engine.errors import ConfigError, FunctionNotFound, NotAccepting
from engine.ports import Binding, EventSource, Host, Sink
from engine.sources.http.answers import Answer, identified
from engine.sources.http.inbound import trace_header
from engine.sources.http.payload import MAX_EVENT_BYTES, Edge, PayloadFormat
from engine.sources.http.payload_alb import PayloadAlb
from engine.sources.http.payload_v1 import PayloadV1
from engine.sources.http.payload_v2 import PayloadV2
from engine.sources.http.refusals import no_route
from engine.sources.http.routes import Entry, RouteTable, conflicts
from engine.sources.http.settings import FrontDoor, HttpEvent
from engine.sources.http.stamps import Stamps
from engine.sources.http.target import split_target
from engine.wire.http import HttpLimits, HttpServer, Request

LISTENER: Final = "http"
_MOST_TARGETS: Final = 4096
_LONGEST_TARGET: Final = 512
_SURELY_FITS: Final = 524_288
"""Bytes of body that, at six bytes of JSON each and with the headers, stay below `MAX_EVENT_BYTES`."""
_FORMATS: Final[dict[str, Callable[[Binding, HttpEvent, Edge], PayloadFormat]]] = {
    "2.0": PayloadV2,
    "1.0": PayloadV1,
    "alb": PayloadAlb,
}


class Route(NamedTuple):
    """Which function a request goes to, and how it is put."""

    function: str
    payload: PayloadFormat


class Resolved(NamedTuple):
    """What one request target means: the route, and the target as the route's format wants it."""

    route: Route
    target: Any


class Router:
    """Finds the route of a request, and remembers the targets it has seen: bounded in number and length."""

    __slots__ = ("_known", "_max_body", "_nowhere", "_table")

    def __init__(self, entries: Sequence[Entry[Route]]) -> None:
        problems = conflicts(entries)
        if problems:
            raise ConfigError(tuple(problems))
        payloads = [entry.endpoint.payload for entry in entries]
        doors = {payload.front_door for payload in payloads}
        self._max_body = max((payload.max_body for payload in payloads), default=0)
        self._nowhere = no_route(rest_only=doors == {FrontDoor.REST})
        self._table = RouteTable(entries)
        self._known: dict[tuple[str, bytes], Resolved] = {}

    @property
    def nowhere(self) -> Answer:
        """The answer to a request that no route takes."""
        return self._nowhere

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
        found = self._table.find(method, path)
        if found is None and path.endswith("/"):  # a REST API does not tell /pets/ from /pets
            found = self._table.find(method, path[:-1])
            if found is not None and found.endpoint.payload.front_door is not FrontDoor.REST:
                found = None
        if found is None:
            return None
        route = found.endpoint
        resolved = Resolved(route, route.payload.target(path, query, found.parameters))
        if len(target) <= _LONGEST_TARGET:
            if len(self._known) >= _MOST_TARGETS:
                self._known.clear()
            self._known[(method, target)] = resolved
        return resolved


class Desk:
    """Takes requests from the server, hands events to the sink, and gives the answers back."""

    __slots__ = ("_new_request_id", "_reject", "_router", "_stamps", "_submit")

    def __init__(self, router: Router, sink: Sink, host: Host) -> None:
        self._router = router
        self._submit = sink.submit
        self._stamps = Stamps(host.clock)
        self._new_request_id = host.new_request_id
        self._reject = host.reject

    def take(self, request: Request) -> None:
        """Answer now what cannot become an event; submit the rest. Never raises for a bad request."""
        request_id = self._new_request_id()
        resolved = self._router.resolve(request.method, request.target)
        if resolved is None:
            self._reject("unknown_function")
            _refuse(request, self._router.nowhere, request_id)
            return
        route, target = resolved
        payload = route.payload
        if request.too_large or len(request.body) > payload.max_body:
            self._reject("payload_too_large")
            _refuse(request, payload.refusals.too_large, request_id)
            return
        stamp = self._stamps.now()
        trace = trace_header(request, stamp, request_id)
        document = payload.event(request, target, request_id, stamp, trace)
        text: bytes | None = None
        if len(request.body) > _SURELY_FITS:
            text = orjson.dumps(document)
            if len(text) > MAX_EVENT_BYTES:
                self._reject("payload_too_large")
                _refuse(request, payload.refusals.too_large, request_id)
                return
        event = Event(route.function, text, request_id, request.received_s, "http", document, trace)
        try:
            self._submit(event, partial(_answer, request, payload))
        except NotAccepting:
            self._reject("not_accepting")
            _refuse(request, payload.refusals.unavailable, request_id)
        except FunctionNotFound:  # taken away since the table was built
            self._reject("unknown_function")
            _refuse(request, payload.refusals.failed, request_id)


def _answer(request: Request, payload: PayloadFormat, outcome: Outcome) -> None:
    status, head, body = payload.answer(outcome, request)
    request.respond(status, head, body)


def _refuse(request: Request, answer: Answer, request_id: str) -> None:
    status, head, body = answer
    request.respond(status, identified(head, request_id), body)


class HttpSource:
    """All HTTP events of an engine, on one listener named `http`.

    Routes of several functions and front doors may share it. Requests that no route takes get one rule
    for all (`refusals.no_route`). The time limits of API Gateway itself (29 s for a REST API, 30 s for an
    HTTP API) are not imitated: the function's own timeout alone ends a request.
    """

    Settings: ClassVar[type[BaseModel]] = HttpEvent

    def __init__(self, router: Router, host: Host, edge: Edge) -> None:
        self._router = router
        self._host = host
        self._edge = edge

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Compile the routes. Raises ConfigError with one line for each route claimed twice."""
        edge = Edge(host.account, host.listen[LISTENER][1])
        return cls(Router([_entry(binding, edge) for binding in bindings]), host, edge)

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Listen until `stopping`, then answer what was taken. Starts with `http://host:port`."""
        desk = Desk(self._router, sink, self._host)
        limits = HttpLimits(max_body_bytes=self._router.max_body)
        server = HttpServer(desk.take, self._host.clock, limits)
        try:
            address, port = await server.start(*self._host.listen[LISTENER])
            self._edge.port = str(port)
            shown = f"[{address}]" if ":" in address else address
            task_status.started(f"http://{shown}:{port}")
            await stopping.wait()
            await server.drain()
        finally:
            server.close()


def _entry(binding: Binding, edge: Edge) -> Entry[Route]:
    settings = binding.settings
    if not isinstance(settings, HttpEvent):
        raise TypeError(f"an HTTP event needs HttpEvent settings, not {type(settings).__name__}")
    payload = _FORMATS[settings.payload_format](binding, settings, edge)
    name = binding.function.name
    return Entry(settings.method, settings.path, name, Route(name, payload))
