"""Tables of a template as their readers see them: evaluated key by key, and each knows what nobody asked for.

That is the one rule by which no part of a template vanishes: what a reader took is read, whatever else
stands in a table that was read is a warning with its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard

from engine.config.problems import Place, dotted
from engine.config.templates.intrinsics import NO_VALUE, Resolver

UNREAD: Final = "not supported here, ignored"
_WHY: Final[Mapping[str, str]] = {
    "Auth": "not checked here, every request is let in",
    "AuthType": "not checked here, every request is let in",
    "AuthorizationType": "not checked here, every request is let in",
    "Authorizers": "not checked here, every request is let in",
    "AuthorizerId": "not checked here, every request is let in",
    "ApiKeyRequired": "not checked here, every request is let in",
    "security": "not checked here, every request is let in",
    "Policies": "not checked here: handlers may do everything",
    "Role": "not checked here: handlers may do everything",
    "PermissionsBoundary": "not checked here: handlers may do everything",
}
"""Why a key is not read, where there is more to say."""

_NO_EFFECT: Final = frozenset({"Description"})
"""Text for people, wherever it stands."""


class UnreadKeys:
    """All tables of a template that were opened, and the places about which enough has been said."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self._tables: list[TemplateTable] = []
        self._reported: list[Place] = []

    def table(self, raw: Mapping[Any, Any], place: Place, base: TemplateTable | None = None) -> TemplateTable:
        """A table of the template, to be read. `base` has what it does not say itself."""
        table = TemplateTable(raw, place, self, base)
        self._tables.append(table)
        return table

    def over(self, table: TemplateTable, base: TemplateTable, without: frozenset[str]) -> TemplateTable:
        """`table` on a `base`: tables are merged key by key, lists are joined, anything else is replaced.

        `without` names keys of the base that do not count. Source: SAM developer guide, "Globals section".
        """
        table.read_all()
        merged = TemplateTable(table.source, table.place, self, base, without)
        self._tables.append(merged)
        return merged

    def mark_reported(self, place: Place) -> None:
        """Nothing more is to be said of what stands at `place` or below: a warning or problem names it."""
        self._reported.append(place)

    def is_reported(self, place: Place) -> bool:
        """Whether that was said of `place`, or of something it stands in."""
        return any(place[: len(reported)] == reported for reported in self._reported)

    def wrapped(self, raw: Any, place: Place) -> Any:
        """`raw` for a reader: a table if it is one, a list of such, or the value itself."""
        head = self.resolver.head(raw, place)
        if isinstance(head, Mapping):
            return self.table(head, place)
        if isinstance(head, list):
            items = [self.wrapped(item, (*place, number)) for number, item in enumerate(head)]
            return [item for item in items if item is not NO_VALUE]
        return head

    def unread(self) -> list[str]:
        """One warning for each key of a table that nobody asked for, in the order of their tables."""
        places = [place for table in self._tables for place in table.unread() if not self.is_reported(place)]
        return [f"{dotted(place)}: {_WHY.get(str(place[-1]), UNREAD)}" for place in places]


class TemplateTable(Mapping[str, Any]):
    """One table. Looking a key up evaluates it and makes it read; asking whether it is there does not."""

    def __init__(
        self,
        raw: Mapping[Any, Any],
        place: Place,
        ledger: UnreadKeys,
        base: TemplateTable | None = None,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._raw = {str(key): value for key, value in ledger.resolver.unrolled(raw, place).items()}
        self.place = place
        self._ledger = ledger
        self._base = base
        self._without = without
        self._known: dict[str, Any] = {}
        self._read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        if key not in self._known:
            self._known[key] = self._evaluated(key)
        value = self._known[key]
        if value is NO_VALUE:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        if key in self._raw:
            return not self._ledger.resolver.is_absent(self._raw[str(key)], (*self.place, str(key)))
        return self._is_below(key)

    def __iter__(self) -> Iterator[str]:
        keys = dict.fromkeys((*(self._base or ()), *self._raw))
        return (key for key in keys if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def source(self) -> Mapping[str, Any]:
        """Its own keys, not evaluated."""
        return self._raw

    def identity(self, key: str) -> str:
        """Which resource stands there, by its logical id; read from now on. Empty if there is none."""
        self._read.add(key)
        raw = self._raw.get(key)
        return "" if raw is None else self._ledger.resolver.identity(raw, (*self.place, key))

    def plain(self, key: str, default: Any = None) -> Any:
        """What stands there with all below it, as plain values: for tables whose keys are the user's own."""
        return plain(self[key]) if key in self else default

    def read(self, *keys: str) -> None:
        """Whatever they say makes no difference here, or is said elsewhere."""
        for key in keys:
            self._read.add(key)
            if self._base is not None and self._is_below(key):
                self._base.read(key)

    def read_all(self) -> None:
        """All of it, and what it stands on."""
        self.read(*self)

    def unread(self) -> Iterator[Place]:
        """Places of the keys nobody asked for. Those of the base are the base's."""
        for key in self._raw:
            if key not in self._known and key not in self._read and key not in _NO_EFFECT and key in self:
                yield (*self.place, key)

    def _is_below(self, key: object) -> bool:
        return self._base is not None and key not in self._without and key in self._base

    def _evaluated(self, key: str) -> Any:
        if key not in self:
            return NO_VALUE
        if self._base is None or not self._is_below(key):
            return self._ledger.wrapped(self._raw[key], (*self.place, key))
        if key not in self._raw:
            return self._base[key]
        below, place = self._base[key], (*self.place, key)
        own = self._ledger.resolver.head(self._raw[key], place)
        if isinstance(own, Mapping) and is_table(below):
            return self._ledger.table(own, place, below)
        above = self._ledger.wrapped(own, place)
        return [*below, *above] if isinstance(above, list) and isinstance(below, list) else above


def is_table(value: Any) -> TypeGuard[TemplateTable]:
    """Whether `value` is a table of a template."""
    return isinstance(value, TemplateTable)


def plain(value: Any) -> Any:
    """`value` with every table in it as a dict; all of it is read."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
