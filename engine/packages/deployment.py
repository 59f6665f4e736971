"""The seam between those who keep packages and those who run them: what a running engine can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from engine.core.function import Function

Routes = Mapping[str, Sequence[tuple[str, float]]]
"""Qualifier to the versions it stands for, each with its share of the calls; the shares add up to 1."""


class Readiness(NamedTuple):
    """How far the provisioned environments of a version are: initialised ones, and whether some fail."""

    ready: int
    failing: bool


class Deployment(Protocol):
    """Changes what runs while it runs. Called on the event loop; nothing here blocks or waits."""

    async def put(self, function: Function) -> None:
        """Run `function.version` of `function.name`: once it is ready, new events go there.

        What ran under the same name and version before finishes what it took, then goes.

        Raises:
            EngineError: It cannot be run; nothing has changed.
        """

    def remove(self, name: str, version: str | None = None) -> None:
        """Take no more events for a version, or for the whole function; what was taken is finished."""

    def route(self, name: str, routes: Routes) -> None:
        """Which versions the function's qualifiers stand for; replaces what was said before."""

    def reserve(self, name: str, reserved: int | None) -> None:
        """The function's reservation, which all of its versions share; None for none."""

    def provision(self, name: str, version: str, count: int) -> None:
        """How many environments of a version are kept ready."""

    def readiness(self, name: str, version: str) -> Readiness:
        """How far the provisioned environments of a version are."""

    def on_gone(self, tell: Callable[[Function], None]) -> None:
        """Have `tell` called whenever something that was removed or replaced has ended for good."""
