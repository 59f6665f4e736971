"""What is known of the nodes of a cluster, as values: each runs environments by its own agent."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from operator import add
from typing import NamedTuple

from engine.core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDescription:
    """What an agent said of its node when it joined.

    Attributes:
        name: Unique among the nodes that are there; "" is the engine's own machine, which is no node.
        address: Where its connection comes from, `host:port`.
        cores: CPUs that its environments may use; a container's share need not be whole.
        memory_mb: Megabytes that its environments may use.
        python: Version of the agent's Python.
        version: Version of the engine that the agent is of.
        own_tmp: Each environment has a `/tmp` of its own there.
    """

    name: str
    address: str
    cores: float
    memory_mb: int
    python: str
    version: str
    own_tmp: bool

    @property
    def host(self) -> str:
        """The address without its port, which is another one each time it joins."""
        return self.address.rpartition(":")[0]


class NodeReading(NamedTuple):
    """A node that is there, at one moment.

    Attributes:
        description: What it said when it joined.
        silent_s: Seconds since its last frame.
        round_trip_s: Of the last heartbeat, seconds; None before the first answer.
        load: CPUs that are at work on it, by its last heartbeat.
        free_memory_mb: By its last heartbeat.
    """

    description: NodeDescription
    silent_s: float
    round_trip_s: float | None
    load: float
    free_memory_mb: int


class NodeLoss(Enum):
    """Why a node is not there any more. The value is the metric label."""

    LEFT = "left"  # its agent was told to end, and said so
    DISCONNECTED = "disconnected"  # its connection ended without a word
    SILENT = "silent"  # no frame came for too long
    REPLACED = "replaced"  # another agent came by the same name
    PROTOCOL = "protocol"  # it sent what no agent sends


class NodeEnvironments(NamedTuple):
    """How many environments a node has, by state."""

    starting: int = 0
    idle: int = 0
    busy: int = 0


def add_environments(
    total: dict[str, NodeEnvironments], more: Mapping[str, NodeEnvironments]
) -> dict[str, NodeEnvironments]:
    """Add what is on each node to `total`, and return that."""
    for node, counts in more.items():
        total[node] = NodeEnvironments(*map(add, total.get(node, NodeEnvironments()), counts))
    return total
