"""Samples of HTTP events: a request is made, and the HTTP source makes the event of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, cast
from urllib.parse import quote, urlencode

from engine.core.function import Function
from engine.core.table import read_errors
from engine.ports import Binding, Host
from engine.protocols.http.server import Request
from engine.sources.http.event_handler import Router
from engine.sources.http.headers import Tracing
from engine.sources.http.settings import DEFAULT_PATH, HttpEvent
from engine.sources.http.source import LISTENER, HttpSource
from engine.sources.http.timestamps import Timestamps
from engine.sources.samples.common import ACCOUNT, EPOCH_S, PEER, SampleIds, StillClock, text_of

_PORT: Final = 3000

Query = Mapping[str, str] | Iterable[tuple[str, str]] | str
Headers = Mapping[str, str] | Iterable[tuple[str, str]]


def http_v2(
    method: str = "GET",
    path: str = "/",
    *,
    query: Query = (),
    headers: Headers = (),
    body: Any = b"",
    route: str | None = None,
    stage: str | None = None,
    stage_variables: Mapping[str, str] | None = None,
    function: str = "function",
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """A request in payload format 2.0: a Function URL's, or an HTTP API's if there is a route or stage.

    Args:
        method: `GET`, `POST`, ...
        path: Decoded: it is percent-encoded here.
        query: Names and values, or a query string as it is sent.
        headers: Names and values; a name may come several times.
        body: Bytes or text as they are; any other value as JSON, with its content type if none is given.
        route: `GET /pets/{id}`; variables of it are path parameters.
        stage: Name of the API's stage.
        stage_variables: Of that stage.
        function: Name of the function; the identifiers of the API are made of it.
        at_s: When it came.
        salt: Makes the ids others than those of another salt.

    Raises:
        ValueError: The route does not take the request, or is none.
    """
    settings = _route(route) | {"payload_format": "2.0", "stage": stage}
    settings["stage_variables"] = dict(stage_variables or {})
    return _http(settings, _Sent(method, path, query, headers, body), function, at_s, salt)


def http_v1(
    method: str = "GET",
    path: str = "/",
    *,
    query: Query = (),
    headers: Headers = (),
    body: Any = b"",
    route: str | None = None,
    stage: str | None = None,
    stage_variables: Mapping[str, str] | None = None,
    api: Literal["rest", "http"] = "rest",
    binary_media_types: Iterable[str] = (),
    function: str = "function",
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """A request in payload format 1.0: a REST API's, or an HTTP API's with that format.

    `api`: which of them. `binary_media_types`: the REST API's list. All else as in `http_v2`.

    Raises:
        ValueError: The route does not take the request, or is none.
    """
    settings = _route(route) | {"payload_format": "1.0", "stage": stage, "api": api}
    settings["stage_variables"] = dict(stage_variables or {})
    settings["binary_media_types"] = tuple(binary_media_types)
    return _http(settings, _Sent(method, path, query, headers, body), function, at_s, salt)


def alb(
    method: str = "GET",
    path: str = "/",
    *,
    query: Query = (),
    headers: Headers = (),
    body: Any = b"",
    multi_value_headers: bool = False,
    function: str = "function",
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """A request through an Application Load Balancer. All but `multi_value_headers` as in `http_v2`.

    `multi_value_headers`: the attribute `lambda.multi_value_headers.enabled` of the target group.
    """
    settings = {"payload_format": "alb", "multi_value_headers": multi_value_headers}
    return _http(settings, _Sent(method, path, query, headers, body), function, at_s, salt)


class _Sent(NamedTuple):
    """What a client sends."""

    method: str
    path: str
    query: Query
    headers: Headers
    body: Any

    def request(self, at_s: float) -> Request:
        """The request as the listener would have it."""
        query = self.query if isinstance(self.query, str) else urlencode(_pairs(self.query))
        target = quote(self.path, safe="/~!$&'()*+,;=:@") + (f"?{query}" if query else "")
        headers = _pairs(self.headers)
        body = self.body
        if not isinstance(body, bytes):
            if not isinstance(body, str) and not any(name.lower() == "content-type" for name, _ in headers):
                headers.append(("Content-Type", "application/json"))
            body = text_of(body).encode()
        if not any(name.lower() == "host" for name, _ in headers):
            headers.insert(0, ("Host", f"{PEER}:{_PORT}"))
        sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        if body:
            sent.append((b"Content-Length", b"%d" % len(body)))
        return Request(None, self.method, target.encode(), b"", sent, body, "1.1", PEER, at_s)


def _pairs(given: Headers) -> list[tuple[str, str]]:
    return list(given.items() if isinstance(given, Mapping) else given)


def _route(route: str | None) -> dict[str, Any]:
    """The keys of an HTTP event for `GET /pets/{id}`, `/pets/{id}`, or nothing."""
    if route is None or route == DEFAULT_PATH:
        return {}
    method, _, path = route.rpartition(" ")
    return {"method": method or "ANY", "path": path}


def _http(settings: dict[str, Any], sent: _Sent, function: str, at_s: float, salt: str) -> dict[str, Any]:
    request = sent.request(at_s)
    resolved = _router(function, json.dumps(settings)).resolve(request.method, request.target)
    if resolved is None:
        raise ValueError(f"the route {settings.get('path')} does not take {sent.method} {sent.path}")
    request_id = SampleIds(salt)("request", sent.method, sent.path)
    timestamp = Timestamps(StillClock(at_s)).now()
    trace = Tracing().header(request, timestamp, request_id)
    return resolved.route.payload.event(request, resolved.target, request_id, timestamp, trace)


@lru_cache(maxsize=16)  # of events that are made by the thousand, for a load test
def _router(function: str, settings: str) -> Router:
    """What finds the one route with these settings, JSON."""
    try:
        event = HttpEvent(**json.loads(settings))
    except ValueError as error:
        wrong = read_errors(error)[0]
        raise ValueError(f"{wrong['loc'][0]}: {wrong['msg'].removeprefix('Value error, ')}") from None
    binding = Binding(function=Function(function, handler="app.handler"), settings=event)
    listen = {LISTENER: (PEER, _PORT)}
    host = Host(account=ACCOUNT, clock=StillClock(EPOCH_S), new_request_id=SampleIds(), listen=listen)
    return cast("HttpSource", HttpSource.build([binding], host)).router
