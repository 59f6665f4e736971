"""What is found while templates are read, in our words, and where each part of it stands in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, NamedTuple

from engine.config.problems import Place, Problem, dotted
from engine.config.templates.intrinsics import Resolver
from engine.config.templates.table import TemplateTable, UnreadKeys
from engine.core.function import Account
from engine.core.late_dataclass import dataclass

_FUNCTION = re.compile(r"(?:arn:[^:]*:lambda:[^:]*:[^:]*:function:)?([A-Za-z0-9_-]+)(?::([A-Za-z0-9_$-]+))?")
_NOT_OURS: Final = "left out: its function is none of this template that runs here"


@dataclass(slots=True)
class FunctionDraft:
    """One function so far.

    Attributes:
        table: `[functions.NAME]`.
        place: Its properties in the template.
        alias: By which its own events call it (AutoPublishAlias), or None.
    """

    name: str
    table: dict[str, Any]
    place: Place
    alias: str | None = None


@dataclass(slots=True)
class TemplateApi:
    """One API: what its stage says of all its routes. `settings` are keys of HTTP events.

    `preflights` has the CORS of those paths whose OPTIONS a mock integration answers.
    """

    rest: bool
    settings: dict[str, Any] = field(default_factory=dict)
    preflights: dict[Any, dict[str, Any]] = field(default_factory=dict)


class TemplateRoute(NamedTuple):
    """One route to a function, until it is known what its API says."""

    function: str
    qualifier: str | None
    method: Any  # as the template has it: not checked yet
    path: Any
    payload_format: str
    api: TemplateApi
    place: Place
    timeout_ms: Any = None
    streams: bool = False


class TemplateUrl(NamedTuple):
    """A Function URL."""

    function: str
    qualifier: str | None
    place: Place
    cors: Mapping[str, Any] | None
    streams: bool


@dataclass(slots=True)
class TemplateReading:
    """What was found in a template and in those it nests."""

    account: Account
    functions: dict[str, FunctionDraft] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "queues": {},
            "topics": {},
            "buses": {},
            "rules": {},
            "buckets": {},
            "streams": {},
            "tables": {},
        }
    )  # kind -> name -> table
    names_in_use: dict[tuple[str, str], Place] = field(
        default_factory=dict
    )  # service and name -> whose template's
    layers: dict[str, str] = field(default_factory=dict)  # ARN -> folder or archive
    routes: list[TemplateRoute] = field(default_factory=list)
    urls: list[TemplateUrl] = field(default_factory=list)
    places: dict[Place, Place] = field(default_factory=dict)  # of our document -> of the template
    expected: bool = (
        False  # whether there is what is a function, or what is no resource and may be meant as one
    )
    left_out: list[Place] = field(default_factory=list)  # what was told already, doubts and all
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def warn(self, place: Place, sentence: str) -> None:
        """Say that of what stands at `place`."""
        self.warnings.append(f"{dotted(place)}: {sentence}")

    def find(self, reference: Any, place: Place) -> tuple[FunctionDraft, str | None] | None:
        """The function that a name or ARN stands for, and the qualifier; None, with a warning, if none."""
        found = _FUNCTION.fullmatch(reference) if isinstance(reference, str) else None
        draft = self.functions.get(found[1]) if found is not None else None
        if found is None or draft is None:
            self.warn(place, _NOT_OURS)
            self.left_out.append(place)
            return None
        qualifier = found[2]
        return draft, None if qualifier is None or qualifier[0] == "$" or qualifier.isdecimal() else qualifier

    def add_event(
        self,
        draft: FunctionDraft,
        event: dict[str, Any],
        place: Place,
        qualifier: str | None,
        elsewhere: Mapping[str, Place] | None = None,
    ) -> None:
        """One more event of the function, called by `qualifier`; `elsewhere` has keys not at `place`."""
        events = draft.table.setdefault("events", [])
        ours: Place = ("functions", draft.name, "events", len(events))
        self.places[ours] = place
        self.places |= {(*ours, key): at for key, at in (elsewhere or {}).items()}
        events.append({**event, "qualifier": qualifier} if qualifier is not None else event)

    def add_alias(self, draft: FunctionDraft, alias: Any) -> None:
        """One more name by which the function is called."""
        aliases = draft.table.setdefault("aliases", [])
        if alias not in aliases:
            aliases.append(alias)


@dataclass(slots=True)
class Template:
    """One template file being read.

    Attributes:
        folder: What relative paths in it are relative to.
        prefix: Where it is nested.
        globals: The section `Globals`.
        apis: By logical id.
    """

    reading: TemplateReading
    resolver: Resolver
    ledger: UnreadKeys
    folder: str
    prefix: Place
    globals: TemplateTable
    resources: dict[str, TemplateTable] = field(default_factory=dict)
    apis: dict[str, TemplateApi] = field(default_factory=dict)

    def api(self, logical: str, *, rest: bool) -> TemplateApi:
        """The API of that logical id, whether it was read already or is to come."""
        return self.apis.setdefault(logical, TemplateApi(rest))

    def properties(self, logical: str) -> TemplateTable:
        """The properties of a resource, from the template; read by whoever asks."""
        found = self.resources[logical].get("Properties")
        if isinstance(found, TemplateTable):
            return found
        place = (*self.prefix, "Resources", logical, "Properties")
        if found is not None:
            self.reading.problems.append(Problem(place, "is not a table"))
        return self.ledger.table({}, place)

    def defaults(self, kind: str) -> TemplateTable | None:
        """`Globals.KIND`."""
        found = self.globals.get(kind)
        return found if isinstance(found, TemplateTable) else None

    def of_kind(self, logical: str, kind: str) -> TemplateTable | None:
        """The properties of that resource if it is of that type."""
        resource = self.resources.get(logical)
        return self.properties(logical) if resource is not None and resource.get("Type") == kind else None

    def function_ids(self) -> list[str]:
        """Logical ids of the functions in this file."""
        own = len(self.prefix) + 2
        places = [draft.place for draft in self.reading.functions.values()]
        return [str(place[own - 1]) for place in places if place[: own - 1] == (*self.prefix, "Resources")]

    def doubted(self, where: Place) -> bool:
        """Whether something at `where` or below could not be known."""
        return any(place[: len(where)] == where for place, _ in self.resolver.doubts)

    def leave_out(self, place: Place, why: str) -> None:
        """Say why the part at `place` is not read at all, and nothing more of it."""
        self.reading.warn(place, why)
        self.reading.left_out.append(place)
        self.ledger.mark_reported(place)
