"""Function URLs on the listener for HTTP events: `/_url/<id>/...`, where AWS has a host name for each."""

from __future__ import annotations

from engine.core.function import Function
from engine.ports import Binding
from engine.protocols.http.cors import Cors
from engine.sources.http.event_handler import Route
from engine.sources.http.payload import GatewayIdentity
from engine.sources.http.payload_v2 import PayloadV2, TargetV2
from engine.sources.http.routes import Entry
from engine.sources.http.settings import ANY, HttpEvent


def prefix_of(url_id: str) -> str:
    """The path under which a URL is served. The function sees what comes after it."""
    return f"/_url/{url_id}"


class UrlPayload(PayloadV2):
    """Payload format 2.0 of one function URL: the path in the event is the one below the URL."""

    __slots__ = ()

    def __init__(self, url_id: str, function: str, gateway: GatewayIdentity) -> None:
        binding = Binding(function=Function(function, handler="-"), settings=HttpEvent())
        super().__init__(binding, HttpEvent(), gateway)
        self._api_id = url_id
        self._domain = f"{url_id}.lambda-url.{gateway.account.region}.on.aws"

    def target(self, path: str, query: str, parameters: dict[str, str]) -> TargetV2:
        """As sent, without the prefix, and no path parameters: a function URL has none."""
        below = path.split("/", 3)[3:]
        return super().target("/" + "".join(below), query, {})


def url_entries(
    url_id: str, function: str, qualifier: str | None, gateway: GatewayIdentity, cors: Cors | None = None
) -> list[Entry[Route]]:
    """The routes of one function URL: itself, and everything below it."""
    route = Route(function, UrlPayload(url_id, function, gateway), qualifier, cors)
    prefix = prefix_of(url_id)
    paths = (prefix, f"{prefix}/", f"{prefix}/{{below+}}")
    return [Entry(ANY, path, function, route) for path in paths]
