"""What was read of templates as tables of our document, and where the templates say what stands in those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.config.problems import Place, dotted
from engine.config.templates.bus_sources import BUS_KEYS, RULE_KEYS
from engine.config.templates.event_sources import BUCKET_KEYS, EVENT_KEYS, QUEUE_KEYS
from engine.config.templates.functions import KEYS
from engine.config.templates.reading import TemplateReading, TemplateRoute
from engine.config.templates.stream_sources import STREAM_KEYS, TABLE_KEYS
from engine.config.templates.topic_sources import SNS_EVENT_KEYS, TOPIC_KEYS

_EVENT_KEYS: Final[Mapping[str, str]] = {
    "method": "Method",
    "path": "Path",
    "payload_format": "PayloadFormatVersion",
    **EVENT_KEYS,
    **SNS_EVENT_KEYS,
}
_OUR_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "functions": KEYS,
    "queues": QUEUE_KEYS,
    "topics": TOPIC_KEYS,
    "buckets": BUCKET_KEYS,
    "buses": BUS_KEYS,
    "rules": RULE_KEYS,
    "streams": STREAM_KEYS,
    "tables": TABLE_KEYS,
}


def place_routes(reading: TemplateReading) -> None:
    """Give functions their routes, with what their APIs say; one that is said twice counts once."""
    seen: set[tuple[int, str, str, str]] = set()
    for route in reading.routes:
        key = (id(route.api), route.function, str(route.method).upper(), str(route.path))
        if key not in seen:
            seen.add(key)
            event, draft = _http_event(route), reading.functions[route.function]
            reading.add_event(draft, event, route.place, route.qualifier)


def _http_event(route: TemplateRoute) -> dict[str, Any]:
    method, path = route.method, route.path
    if path == "$default" or method == "x-amazon-apigateway-any-method":
        method = "ANY"
    settings = {"stage": "Prod" if route.api.rest else "$default", **route.api.settings}
    if route.path in route.api.preflights:
        settings["cors"] = route.api.preflights[route.path]
    if not route.api.rest:
        settings.pop("binary_media_types", None)
        settings |= {"api": "http"} if route.payload_format == "1.0" else {}
    elif settings.get("stage") == "$default":
        del settings["stage"]
    method = method.upper() if isinstance(method, str) else method
    if route.timeout_ms is not None:
        settings["timeout_s"] = _seconds(route.timeout_ms)
    if route.streams:
        settings["response_stream"] = True
    event = {"type": "http", "method": method, "path": path, "payload_format": route.payload_format}
    return {**event, **settings}


def _seconds(milliseconds: Any) -> Any:
    """What is no number is left for the check of the key to refuse."""
    is_number = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool)
    return milliseconds / 1000 if is_number else milliseconds


def place_urls(reading: TemplateReading) -> None:
    """A Function URL has a host of its own; here it is the catch-all, below every route that is named.

    Unless it is not alone in wanting that: then it is `/NAME` and everything below it.
    """
    events = [event for draft in reading.functions.values() for event in draft.table.get("events", ())]
    alone = len(reading.urls) == 1 and all(event.get("path") != "$default" for event in events)
    for url in reading.urls:
        paths = ["$default"] if alone else [f"/{url.function}", f"/{url.function}/{{proxy+}}"]
        for path in paths:
            event: dict[str, Any] = {"type": "http", "method": "ANY", "path": path, "payload_format": "2.0"}
            event |= {"cors": url.cors} if url.cors is not None else {}
            event |= {"response_stream": True} if url.streams else {}
            reading.add_event(reading.functions[url.function], event, url.place, url.qualifier)
        if not alone:
            reading.warn(url.place, f"served at /{url.function} (one listener, several catch-alls)")


def spell(place: Place, places: Mapping[Place, Place]) -> str:
    """Where the template says what stands at `place` of our document."""
    for length in range(len(place), 1, -1):
        found = places.get(place[:length])
        if found:
            rest, keys = place[length:], _OUR_KEYS.get(str(place[0]), {})
            if place[2:3] == ("events",) and length >= 4:
                keys = _EVENT_KEYS
            elif length == len(place) == 2 and place[0] == "functions":
                rest = ("FunctionName",)
            spelled = [keys.get(part, part) if isinstance(part, str) else part for part in rest[:1]]
            return ".".join(filter(None, [dotted(found), _tail((*spelled, *rest[1:]))]))
    return dotted(place)


def _tail(place: Place) -> str:
    return ".".join(map(str, place))
