"""The HTTP event source: one listener, a route table, and for each request one event and one answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, cast

import anyio
from anyio.abc import TaskStatus

from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.ports import Binding, ConfiguredUrl, EventSource, Finding, Host, SettingsModel, Sink
from engine.protocols.http.request_gate import RequestGate
from engine.protocols.http.server import HttpLimits, HttpServer, Request, named_listener
from engine.sources.http.error_responses import error_responses
from engine.sources.http.event_handler import HttpEventHandler, Route, Router
from engine.sources.http.function_urls import (
    PREFIX,
    UrlRouters,
    prefix_of,
    unknown_url_entries,
    url_config,
    url_routes,
)
from engine.sources.http.gate import HttpGate
from engine.sources.http.payload import GatewayIdentity, PayloadFormat, stable_id
from engine.sources.http.payload_alb import PayloadAlb
from engine.sources.http.payload_v1 import PayloadV1
from engine.sources.http.payload_v1_http_api import PayloadV1HttpApi
from engine.sources.http.payload_v2 import PayloadV2
from engine.sources.http.routes import Entry, duplicates
from engine.sources.http.settings import FrontDoor, HttpEvent
from engine.sources.http.streamed_answers import StreamForm

LISTENER: Final = "http"
_FORMATS: Final[dict[str, Callable[[Binding, HttpEvent, GatewayIdentity], PayloadFormat]]] = {
    "2.0": PayloadV2,
    "1.0": PayloadV1,
    "alb": PayloadAlb,
}


class HttpSource:
    """All HTTP events of an engine, on one listener named `http`.

    Routes of several functions and front doors may share it. Requests that no route takes get one rule
    for all (`error_responses.no_route`).
    """

    Settings: ClassVar[type[SettingsModel]] = HttpEvent

    def __init__(self, entries: Sequence[Entry[Route]], host: Host, gateway: GatewayIdentity) -> None:
        self._entries = entries
        self._urls: dict[str, list[Entry[Route]]] = {}
        self._hosts = UrlRouters()
        self._configured = {
            stable_id("url", entry.owner, 32): entry.endpoint
            for entry in entries
            if entry.endpoint.payload.front_door is FrontDoor.URL
        }
        for url_id, route in self._configured.items():
            self._hosts.add(url_id, route)
        self._router = self._new_router()
        self._event_handler: HttpEventHandler | None = None
        self._gate: HttpGate | None = None
        self._host = host
        self._gateway = gateway
        self._base = ""

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Compile the routes. Raises ConfigError with one line for each route claimed twice."""
        gateway = GatewayIdentity(host.account, host.listen[LISTENER][1], host.say)
        return cls([_entry(binding, gateway) for binding in bindings], host, gateway)

    @classmethod
    def examine(cls, bindings: Sequence[Binding], _wall_s: float) -> Iterator[Finding]:
        """Routes that are claimed twice."""
        routes = [(cast("HttpEvent", one.settings), one.function.name) for one in bindings]
        for number, sentence in duplicates([(event.method, event.path, owner) for event, owner in routes]):
            yield Finding(number, sentence)

    @property
    def router(self) -> Router:
        """Finds the route of a request."""
        return self._router

    # ---------------------------------------------------------------- function URLs

    def open(
        self,
        url_id: str,
        function: str,
        qualifier: str | None,
        cors: Mapping[str, Any] | None = None,
        invoke_mode: str = "BUFFERED",
    ) -> None:
        """Serve a function URL from now on; the last two are members of its configuration."""
        streams = invoke_mode == "RESPONSE_STREAM"
        route, entries = url_routes(url_id, function, qualifier, self._gateway, cors, streams=streams)
        self._hosts.add(url_id, route)
        self._urls[url_id] = entries
        self._reroute()

    def close(self, url_id: str) -> None:
        """Stop serving a function URL."""
        if self._urls.pop(url_id, None) is not None:
            self._hosts.remove(url_id)
            self._reroute()

    def configured(self) -> list[ConfiguredUrl]:
        """The catch-all of the listener, if it is a function URL."""
        return [
            ConfiguredUrl(url_id, route.function, route.qualifier, url_config(route))
            for url_id, route in self._configured.items()
        ]

    def address(self, url_id: str) -> str:
        """The URL as clients on this machine reach it."""
        if url_id in self._configured:
            return f"{self._base}/"
        return f"{self._base}{prefix_of(url_id)}/"

    def handle_url(self, request: Request) -> bool:
        """Answer what another listener got for the host name of a function URL; whether it was such."""
        return self._gate is not None and self._gate.handle_url(request)

    def _reroute(self) -> None:
        self._router = self._new_router()
        if self._event_handler is not None and self._gate is not None:
            self._event_handler.reroute(self._router)
            self._gate.reroute(self._router)

    def _new_router(self) -> Router:
        urls = [entry for entries in self._urls.values() for entry in entries]
        is_taken = any(entry.path.startswith(PREFIX) for entry in self._entries)
        return Router([*self._entries, *urls], () if is_taken else unknown_url_entries())

    # ---------------------------------------------------------------- serving

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Listen until `stopping`, then answer the requests that came before. Starts with `http://host:port`."""
        host = self._host
        event_handler = HttpEventHandler(self._router, sink, host, keeps_time_limits=True)
        self._event_handler = event_handler
        rule = RequestGate(
            host.listen[LISTENER][0],
            hosts=host.hosts,
            allowed_origins=host.allowed_origins,
            navigations=True,
        )
        gate = self._gate = HttpGate(
            rule, self._router, self._hosts, event_handler, host.reject, host.new_request_id
        )
        limits = HttpLimits(max_body_bytes=max(self._router.max_body, MAX_EVENT_BYTES))
        server = HttpServer(
            gate.handle,
            host.clock,
            limits,
            host.say,
            accepted_bytes=self._accepted_bytes,
        )
        try:
            with named_listener(f"engine.{LISTENER}"):
                address, port = await server.start(*host.listen[LISTENER])
            self._gateway.port = str(port)
            shown = f"[{address}]" if ":" in address else address
            self._base = f"http://{shown}:{port}"
            task_status.started(self._base)
            await stopping.wait()
            await server.drain()
        finally:
            server.close()
            event_handler.close()

    def _accepted_bytes(self, head: Request) -> int:
        router = self._hosts.of(head) or self._router
        return router.accepted_bytes(head.method, head.target)


def _entry(binding: Binding, gateway: GatewayIdentity) -> Entry[Route]:
    settings = binding.settings
    if not isinstance(settings, HttpEvent):
        raise TypeError(f"an HTTP event needs HttpEvent settings, not {type(settings).__name__}")
    payload_class = PayloadV1HttpApi if settings.api == "http" else _FORMATS[settings.payload_format]
    payload = payload_class(binding, settings, gateway)
    name = binding.function.name
    cors = settings.cors.rule() if settings.cors is not None else None
    form = None
    if settings.response_stream:
        is_rest = payload.front_door is FrontDoor.REST
        door = FrontDoor.REST if is_rest else FrontDoor.URL
        form = StreamForm(error_responses(door).saying(gateway.say), is_rest=is_rest)
    route = Route(name, payload, binding.qualifier, cors, settings.answer_within_s, form)
    return Entry(settings.method, settings.path, name, route)
