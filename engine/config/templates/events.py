"""The events of one SAM function as tables of `[[functions.NAME.events]]`, or as routes of their APIs.

Source: SAM developer guide, "EventSource", "Api", "HttpApi".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.config.problems import Place, Problem, show
from engine.config.templates.event_sources import EVENTS, missing
from engine.config.templates.reading import FunctionDraft, Template, TemplateRoute
from engine.config.templates.routes import implicit_api
from engine.config.templates.table import TemplateTable, is_table, plain
from engine.config.templates.topic_sources import sns_event

_DEFAULT_ROUTE: Final = "$default"
_API_KEYS: Final[Mapping[str, str]] = {"Api": "RestApiId", "HttpApi": "ApiId"}


def read_events(properties: TemplateTable, draft: FunctionDraft, template: Template) -> None:
    """Read `Events` of the function, whose properties these are."""
    events, place = properties.get("Events"), (*draft.place, "Events")
    if "Events" not in properties:
        return
    if not is_table(events):
        template.reading.problems.append(Problem(place, f"{show(events)} is not a table"))
        return
    for name in events:
        _read(events[name], (*place, name), draft, template)


def _read(event: object, place: Place, draft: FunctionDraft, template: Template) -> None:
    reading = template.reading
    kind = event.get("Type") if is_table(event) else None
    if not is_table(event) or not isinstance(kind, str):
        reading.problems.append(Problem((*place, "Type"), "is required"))
        return
    inner = (*place, "Properties")
    settings = event.get("Properties")
    if settings is None:
        settings = template.ledger.table({}, inner)
    if not is_table(settings):
        reading.problems.append(Problem(inner, f"{show(settings)} is not a table"))
    elif kind in _API_KEYS:
        _route(kind, settings, draft, template)
    elif kind == "SNS":
        sns_event(settings, str(place[-1]), draft, template)
    elif kind in EVENTS:
        found = EVENTS[kind](settings)
        if template.doubted(inner):
            reading.warn(place, "left out: it is from something that is known only once deployed")
            reading.left_out.append(inner)
            return
        reading.problems += missing(kind, settings)
        elsewhere = {"pattern": (*inner, "FilterPattern")} if kind == "CloudWatchLogs" else {}
        reading.add_event(draft, found, inner, draft.alias, elsewhere)
    else:
        template.leave_out(place, f"events of type {kind} are not supported, left out")


def _route(kind: str, settings: TemplateTable, draft: FunctionDraft, template: Template) -> None:
    """One route; its API is known by its id, or is the one that SAM makes."""
    rest, place = kind == "Api", settings.place
    missing = [key for key in ("Path", "Method") if rest and key not in settings]
    template.reading.problems += [Problem((*place, key), "is required") for key in missing]
    if missing:
        return
    logical = settings.identity(_API_KEYS[kind])
    api = template.api(logical, rest=rest) if logical else implicit_api(template, rest=rest)
    version = str(plain(settings.get("PayloadFormatVersion", "2.0")))
    template.reading.routes.append(
        TemplateRoute(
            draft.name,
            draft.alias,
            plain(settings.get("Method", "ANY")),
            plain(settings.get("Path", _DEFAULT_ROUTE)),
            "1.0" if rest else version,
            api,
            place,
            plain(settings.get("TimeoutInMillis")),
        )
    )
