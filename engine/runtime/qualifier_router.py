"""Which version of a function an event is for: the qualifier its caller put, resolved through aliases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from engine.core.event import Event
from engine.core.invocation import Reply
from engine.errors import FunctionNotFound
from engine.runtime.driver import Driver

LATEST: Final = "$LATEST"

Entry = Callable[[Event, Reply], None]
"""Accepts an event, and calls the reply once."""

Share = Sequence[tuple[str, float]]
"""Versions, each with its share of the events; the shares add up to 1."""


class QualifierRouter:
    """Sends each event of one function to the right version.

    Args:
        draw: Gives numbers in [0, 1): chooses where an alias has two versions.

    Attributes:
        drivers: By version.
        entries: What takes the events of each version: its driver, or what starts durable executions.
        routes: Which versions the qualifiers stand for.
    """

    __slots__ = ("_draw", "drivers", "entries", "routes")

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self.drivers: dict[str, Driver] = {}
        self.entries: dict[str, Entry] = {}
        self.routes: Mapping[str, Share] = {}

    def submit(self, event: Event, reply: Reply) -> None:
        """Find the version and hand over. Raises FunctionNotFound for a qualifier that stands for nothing."""
        qualifier = event.qualifier
        version = LATEST if qualifier is None else self._version(qualifier)
        entry = self.entries.get(version)
        if entry is None:
            raise FunctionNotFound(event.function if qualifier is None else f"{event.function}:{qualifier}")
        event.version = version
        entry(event, reply)

    def entry(self) -> Entry:
        """What takes the events: that of the version itself where there is only one it could be."""
        if self.routes or self.entries.keys() != {LATEST}:
            return self.submit
        return self.entries[LATEST]

    def resolve(self, qualifier: str | None) -> str | None:
        """The version that it stands for; None if there is none. Draws where an alias has two."""
        version = LATEST if qualifier is None else self._version(qualifier)
        return version if version in self.drivers else None

    def _version(self, qualifier: str) -> str:
        share = self.routes.get(qualifier)
        if share is None:
            return qualifier
        if len(share) == 1:
            return share[0][0]
        drawn = self._draw()
        for version, weight in share:
            drawn -= weight
            if drawn < 0:
                return version
        return share[0][0]  # the shares, being floats, add up to a little less than 1
