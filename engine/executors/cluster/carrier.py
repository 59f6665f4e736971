"""Who starts the agents of a cluster: the seam, and the carrier of those that were started by hand."""

from __future__ import annotations

from typing import Protocol


class Carrier(Protocol):
    """Has agents started on nodes. Which nodes there are, the engine knows from the agents that connect.

    Everything is called on the engine's event loop, and nothing may block it.
    """

    async def open(self, listener: tuple[str, int], secret: bytes) -> None:
        """Begin to have one agent on each node, also on nodes that come later.

        Args:
            listener: Host and port that agents are to connect to.
            secret: What they prove to know.

        Raises:
            EngineError: Agents cannot be started this way; the text is one sentence for people.
        """

    def wish(self, agents: int) -> None:
        """Say how many agents would be of use; 0: none is asked for. Called often, also without a change."""

    async def close(self) -> None:
        """End what it has started. Called once, also after an `open` that failed."""


class PlainCarrier:
    """Starts nothing: agents are started by hand, by systemd or by a DaemonSet, and connect by themselves."""

    async def open(self, listener: tuple[str, int], secret: bytes) -> None:
        """Nothing is to be begun."""

    def wish(self, agents: int) -> None:
        """Nobody can be asked."""

    async def close(self) -> None:
        """Nothing is to be ended."""
