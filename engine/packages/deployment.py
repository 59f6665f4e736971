"""The seam between what stores functions and what runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from engine.core.function import Function

Routes = Mapping[str, Sequence[tuple[str, float]]]
"""Qualifier to the versions it stands for, each with its share of the calls; the shares add up to 1."""


class Readiness(NamedTuple):
    """Provisioned environments of a version: how many are initialised, and whether any fail to."""

    ready: int
    failing: bool


class Deployment(Protocol):
    """Changes which functions a running engine has. Called on the event loop; nothing here blocks."""

    async def put(self, function: Function) -> None:
        """Run `function.version` of `function.name`: once it is ready, new events go there.

        What ran under the same name and version before finishes what it took, then goes.

        Raises:
            EngineError: It cannot be run; nothing has changed.
        """

    def remove(self, name: str, version: str | None = None) -> None:
        """Take no more events for a version, or for the whole function; what was taken is finished."""

    def route(self, name: str, routes: Routes) -> None:
        """Set which versions the function's qualifiers stand for, in place of what was set before."""

    def reserve(self, name: str, reserved: int | None) -> None:
        """Set the function's reservation, which all of its versions share; None removes it."""

    def provision(self, name: str, version: str, count: int) -> None:
        """Set how many environments of a version are kept ready."""

    def readiness(self, name: str, version: str) -> Readiness:
        """How far the provisioned environments of a version are."""

    def on_gone(self, listener: Callable[[Function], None]) -> None:
        """Call `listener` whenever a version that was removed or replaced has ended for good."""
