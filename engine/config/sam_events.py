"""The events of one SAM function: `Events` and `FunctionUrlConfig` as tables of `[[functions.NAME.events]]`.

Source: SAM developer guide, "EventSource", "Api", "HttpApi", "FunctionUrlConfig".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.config.problems import Place, Problem, dotted, show
from engine.config.sam_sources import EVENTS, READ

_ANY_METHOD: Final = "x-amazon-apigateway-any-method"  # HttpApi's long way to say ANY
_DEFAULT_ROUTE: Final = "$default"
_READ: Final = frozenset({"Path", "Method", "PayloadFormatVersion"}) | READ


@dataclass(slots=True)
class SamEvents:
    """Tables of events, each with the place in the template it comes from; and what was left out.

    `url` is where the function asks for a Function URL; `url_events` makes events of that.
    """

    events: list[tuple[Place, dict[str, Any]]] = field(default_factory=list)
    url: Place | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def worth_evaluating(events: Any) -> Any:
    """`Events` (raw) without what is not read here, so that nobody is told of doubts about it."""
    if not isinstance(events, Mapping):
        return events
    return {name: _pruned(event) for name, event in events.items()}


def _pruned(event: Any) -> Any:
    settings = event.get("Properties") if isinstance(event, Mapping) else None
    if not isinstance(settings, Mapping):
        return event
    kept = {key: value for key, value in settings.items() if key in _READ}
    return {**event, "Properties": {**kept, "Auth": True} if "Auth" in settings else kept}


def events_of(properties: Mapping[str, Any], place: Place) -> SamEvents:
    """Read `properties` (intrinsics evaluated) of the function; `place` is where they stand."""
    found = SamEvents()
    events = properties.get("Events", {})
    if not isinstance(events, Mapping):
        found.problems.append(Problem((*place, "Events"), f"{show(events)} is not a table"))
        events = {}
    for name, event in events.items():
        _read(str(name), event, (*place, "Events", str(name)), found)
    if "FunctionUrlConfig" in properties:
        _url(properties["FunctionUrlConfig"], (*place, "FunctionUrlConfig"), found)
    return found


def _read(name: str, event: Any, place: Place, found: SamEvents) -> None:
    kind = event.get("Type") if isinstance(event, Mapping) else None
    if not isinstance(kind, str):
        found.problems.append(Problem((*place, "Type"), "is required"))
        return
    settings = event.get("Properties", {})
    if not isinstance(settings, Mapping):
        found.problems.append(Problem((*place, "Properties"), f"{show(settings)} is not a table"))
        return
    inner = (*place, "Properties")
    if kind == "Api":
        missing = [key for key in ("Path", "Method") if key not in settings]
        found.problems += [Problem((*inner, key), "is required") for key in missing]
        if not missing:
            _add(settings, "1.0", inner, found)
    elif kind == "HttpApi":
        _add(settings, str(settings.get("PayloadFormatVersion", "2.0")), inner, found)
    elif kind in EVENTS:
        found.events.append((inner, EVENTS[kind](settings)))
    else:
        found.warnings.append(f"{dotted(place)}: events of type {kind} are not supported, left out")


def _add(settings: Mapping[str, Any], payload_format: str, place: Place, found: SamEvents) -> None:
    if "Auth" in settings:
        found.warnings.append(f"{dotted((*place, 'Auth'))}: not checked here, every request is let in")
    path, method = settings.get("Path", _DEFAULT_ROUTE), settings.get("Method", "ANY")
    if method == _ANY_METHOD or path == _DEFAULT_ROUTE:
        method = "ANY"
    event = {
        "type": "http",
        "method": method.upper() if isinstance(method, str) else method,
        "path": path,
        "payload_format": payload_format,
    }
    found.events.append((place, event))


def _url(config: Any, place: Place, found: SamEvents) -> None:
    if not isinstance(config, Mapping):
        found.problems.append(Problem(place, f"{show(config)} is not a table"))
        return
    if config.get("AuthType") == "AWS_IAM":
        found.warnings.append(f"{dotted((*place, 'AuthType'))}: not checked here, every request is let in")
    if config.get("InvokeMode") == "RESPONSE_STREAM":
        found.warnings.append(f"{dotted((*place, 'InvokeMode'))}: not supported here, answers are buffered")
    found.url = place


def url_events(function: str, *, alone: bool) -> list[dict[str, Any]]:
    """A Function URL has a host of its own; here it is the catch-all, below every route that is named.

    Unless it is not `alone` in wanting that: then it is `/NAME` and everything below it.
    """
    paths = [_DEFAULT_ROUTE] if alone else [f"/{function}", f"/{function}/{{proxy+}}"]
    return [{"type": "http", "method": "ANY", "path": path, "payload_format": "2.0"} for path in paths]
