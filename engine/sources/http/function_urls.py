"""Function URLs on the listener for HTTP events: by host name as on AWS, and as `/_url/<id>/...`.

Sources: Lambda Developer Guide, "Creating and managing Lambda function URLs"; recorded answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine.core.event import MISSING
from engine.core.function import Function
from engine.core.outcome import Outcome
from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.ports import Binding
from engine.protocols.http.cors import Cors
from engine.protocols.http.server import Request
from engine.sources.http.error_responses import error_responses, unknown_url
from engine.sources.http.event_handler import Route, Router
from engine.sources.http.payload import GatewayIdentity, RequestRefused
from engine.sources.http.payload_v2 import PayloadV2, SentV2, TargetV2
from engine.sources.http.responses import Answer
from engine.sources.http.routes import Entry
from engine.sources.http.settings import ANY, DEFAULT_PATH, FrontDoor, HttpEvent
from engine.sources.http.streamed_answers import StreamForm
from engine.sources.http.timestamps import Timestamp

PREFIX: Final = "/_url/"
_HOST: Final = re.compile(rb"([a-z0-9]+)\.lambda-url\.[a-z0-9-]+\.[^:]+(?::[0-9]*)?", re.IGNORECASE)


def prefix_of(url_id: str) -> str:
    """The path under which a URL is served. The function sees what comes after it."""
    return f"{PREFIX}{url_id}"


def url_id_of(request: Request) -> str | None:
    """The id of the function URL whose host name the request is sent to; None if it is another host."""
    if request.head and b".lambda-url." not in request.lower_head:
        return None
    found = _HOST.fullmatch(request.header(b"host") or b"")
    return None if found is None else found[1].decode().lower()


class UrlPayload(PayloadV2):
    """Payload format 2.0 of one function URL, reached by its host name.

    The event's domain name is the host that the request names.
    """

    __slots__ = ()

    def __init__(self, url_id: str, function: str, gateway: GatewayIdentity) -> None:
        binding = Binding(function=Function(function, handler="-"), settings=HttpEvent())
        super().__init__(binding, HttpEvent(), gateway)
        self._api_id = url_id
        self._domain = f"{url_id}.lambda-url.{gateway.account.region}.on.aws"


class PathUrlPayload(UrlPayload):
    """The same, reached by `/_url/<id>/...`: its events are those of a request to the host name.

    Slashes that a client joins the URL and a path with count as one.
    """

    __slots__ = ()

    def target(self, path: str, query: str, parameters: dict[str, str]) -> TargetV2:
        """As sent, without the prefix, and no path parameters: a function URL has none."""
        below = path.removeprefix(prefix_of(self._api_id)).lstrip("/")
        return super().target(f"/{below}", query, {})

    def _sent(self, request: Request) -> SentV2:
        sent = super()._sent(request)
        host = f"{self._api_id}.lambda-url.{self._gateway.account.region}.localhost:{self._gateway.port}"
        context = {**sent.context, "domainName": host}
        return sent._replace(headers={**sent.headers, "host": host}, context=context)


class UnknownUrl:
    """Refuses what is sent to a function URL that nobody has."""

    __slots__ = ("error_responses", "front_door", "max_body")

    def __init__(self) -> None:
        self.front_door = FrontDoor.URL
        self.max_body = MAX_EVENT_BYTES
        self.error_responses = error_responses(FrontDoor.URL)

    def target(self, path: str, query: str, parameters: dict[str, str]) -> None:
        """Nothing of it matters."""

    def event(
        self, request: Request, target: Any, request_id: str, timestamp: Timestamp, trace: str
    ) -> dict[str, Any]:
        """Raises RequestRefused."""
        raise RequestRefused("unknown_function", unknown_url())

    def answer(self, outcome: Outcome, request: Request, result: Any = MISSING) -> Answer:
        """As to a failure: there are no outcomes."""
        return self.error_responses.of(outcome)


class UrlRouters:
    """The routers of function URLs by host name: each has one route."""

    __slots__ = ("_by_id", "_unknown")

    def __init__(self) -> None:
        self._by_id: dict[str, Router] = {}
        self._unknown = Router([Entry(ANY, DEFAULT_PATH, "", Route("", UnknownUrl()))])

    def add(self, url_id: str, route: Route) -> None:
        """Have requests to the host name of `url_id` take `route`."""
        self._by_id[url_id] = Router([Entry(ANY, DEFAULT_PATH, route.function, route)])

    def remove(self, url_id: str) -> None:
        """Refuse them from now on."""
        self._by_id.pop(url_id, None)

    def of(self, request: Request) -> Router | None:
        """What routes a request to the host name of a function URL; None if it is to another host."""
        url_id = url_id_of(request)
        return None if url_id is None else self._by_id.get(url_id, self._unknown)


def url_routes(
    url_id: str,
    function: str,
    qualifier: str | None,
    gateway: GatewayIdentity,
    cors: Mapping[str, Any] | None,
    *,
    streams: bool,
) -> tuple[Route, list[Entry[Route]]]:
    """The route of one function URL by its host name, and those by path: itself, and everything below it."""
    rule = _cors(cors)
    by_path, by_host = PathUrlPayload(url_id, function, gateway), UrlPayload(url_id, function, gateway)
    form = StreamForm(by_host.error_responses, is_rest=False) if streams else None
    entries = _entries_below(
        prefix_of(url_id), function, Route(function, by_path, qualifier, rule, None, form)
    )
    return Route(function, by_host, qualifier, rule, None, form), entries


def unknown_url_entries() -> list[Entry[Route]]:
    """The routes of all URLs by path that nobody has."""
    return _entries_below(f"{PREFIX}{{url_id}}", "", Route("", UnknownUrl()))


def _entries_below(prefix: str, function: str, route: Route) -> list[Entry[Route]]:
    paths = (prefix, f"{prefix}/", f"{prefix}/{{below+}}")
    return [Entry(ANY, path, function, route) for path in paths]


def url_config(route: Route) -> dict[str, Any]:
    """The members of a URL's configuration that make its route what it is."""
    mode = "BUFFERED" if route.streams is None else "RESPONSE_STREAM"
    config: dict[str, Any] = {"AuthType": "NONE", "InvokeMode": mode}
    rule = route.cors
    if rule is not None:
        members = {
            "AllowCredentials": rule.credentials,
            "AllowHeaders": list(rule.headers),
            "AllowMethods": list(rule.methods),
            "AllowOrigins": list(rule.origins),
            "ExposeHeaders": list(rule.expose),
            "MaxAge": rule.max_age_s,
        }
        config["Cors"] = {name: value for name, value in members.items() if value}
    return config


def _cors(document: Mapping[str, Any] | None) -> Cors | None:
    if not document or not document.get("AllowOrigins"):
        return None
    return Cors(
        origins=tuple(document["AllowOrigins"]),
        methods=tuple(document.get("AllowMethods") or ()),
        headers=tuple(document.get("AllowHeaders") or ()),
        expose=tuple(document.get("ExposeHeaders") or ()),
        max_age_s=document.get("MaxAge"),
        credentials=bool(document.get("AllowCredentials")),
    )
