"""Checks requests before they are routed: refuses pages of other sites, and applies the CORS of routes.

Source: API Gateway Developer Guide, "Configure CORS for HTTP APIs" (preflights are answered without the
function; the function's own CORS headers are ignored) and "Enable CORS on a REST API" (its answers are the
function's); Lambda Developer Guide, "Function URLs", CORS (its headers stand beside those of the function).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from engine.protocols.http.cors import Cors, Preflight, preflight_of
from engine.protocols.http.request_gate import GateRefusal, RequestGate, marks_of
from engine.protocols.http.server import Request, header_block
from engine.sources.http.event_handler import HttpEventHandler, Route, Router
from engine.sources.http.function_urls import UrlRouters
from engine.sources.http.responses import JSON_TYPE, identified
from engine.sources.http.settings import FrontDoor

_HEAD: Final = header_block([("content-type", JSON_TYPE), ("x-amzn-errortype", "ForbiddenException")])


class HttpGate:
    """The handler of the http listener: checks each request, and passes it to `handler`."""

    def __init__(
        self,
        gate: RequestGate,
        router: Router,
        urls: UrlRouters,
        handler: HttpEventHandler,
        reject: Callable[[str], None],
        new_request_id: Callable[[], str],
    ) -> None:
        self._gate = gate
        self._passed = gate.passed
        self._router = router
        self._urls = urls
        self._handle = handler.handle
        self._reject = reject
        self._new_request_id = new_request_id

    def reroute(self, router: Router) -> None:
        """Use `router` from now on."""
        self._router = router

    def handle(self, request: Request) -> None:
        """Answer `request`, now or later. Never raises for a bad one."""
        if self._passed(request.head):  # and so it is not to the host name of a function URL
            self._handle(request)
        elif self.handle_url(request):
            pass
        elif self._gate.is_plain(request):
            self._handle(request)
        else:
            self._check(request, self._router)

    def handle_url(self, request: Request) -> bool:
        """Answer a request to the host name of a function URL; whether it was one."""
        router = self._urls.of(request)
        if router is not None:
            self._check(request, router)
        return router is not None

    def _check(self, request: Request, router: Router) -> None:
        marks = marks_of(request)
        refusal = self._gate.judge(marks)
        preflight = preflight_of(request)
        route = _route(request, preflight, router)
        cors = route.cors if route is not None else None
        if refusal is not None and not _is_allowed_by_cors(request, refusal, cors):
            self._refuse(request, refusal)
        elif route is None or cors is None or not marks.origins:
            self._handle(request, router)
        elif preflight is not None:
            is_url = route.payload.front_door is FrontDoor.URL
            granted = cors.takes(preflight.origin, preflight.method, preflight.headers)
            head = cors.preflight_head(preflight) if granted else b""
            request.respond(200 if is_url else 204, identified(head, self._new_request_id()), b"")
        else:
            self._share(request, route, cors, marks.origins[0])
            self._handle(request, router)

    def _share(self, request: Request, route: Route, cors: Cors, origin: str) -> None:
        """Let the page read the answer, where the front door sees to that."""
        door = route.payload.front_door
        if door is FrontDoor.REST or not cors.takes(origin, request.method):
            return
        own = b"" if door is FrontDoor.URL else b"access-control-"
        request.add_to_answer(cors.head(origin), instead_of=own)

    def _refuse(self, request: Request, refusal: GateRefusal) -> None:
        self._reject("forbidden")
        body = orjson.dumps({"message": refusal.message})
        request.respond(refusal.status, identified(_HEAD, self._new_request_id()), body)


def _is_allowed_by_cors(request: Request, refusal: GateRefusal, cors: Cors | None) -> bool:
    """Whether the CORS of its route names the origin, and takes the method. Preflights are only answered."""
    origin = refusal.origin
    if refusal.final or origin is None or cors is None or not cors.names(origin):
        return False
    return preflight_of(request) is not None or cors.takes(origin, request.method)


def _route(request: Request, preflight: Preflight | None, router: Router) -> Route | None:
    """The route it is for: of a preflight, the one of the request that is to follow, if that has CORS."""
    if preflight is not None:
        asked = router.resolve(preflight.method, request.target)
        if asked is not None and asked.route.cors is not None:
            return asked.route
    found = router.resolve(request.method, request.target)
    return found.route if found is not None else None
