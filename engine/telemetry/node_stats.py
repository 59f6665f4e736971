"""All counters of the nodes of a cluster, and what they say of themselves at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from engine.core.cluster_nodes import (
    NodeDescription,
    NodeEnvironments,
    NodeLoss,
    NodeReading,
    add_environments,
)
from engine.core.engine_events import NodeJoined, NodeLost
from engine.core.outcome import Status
from engine.telemetry.function_stats import FunctionStats
from engine.telemetry.label_values import NODE_LOSSES, OUTCOMES, OVERFLOW_LABEL

NODE_LABEL_CAP: Final = 200
"""How many nodes have a value of the label `node` of their own; the others share `__other__`."""

_REMEMBERED_S: Final = 3600.0
"""How long a node that is lost is shown: an alert sees it, and names that never come back do not pile up."""

T = TypeVar("T")


class NodeStats:
    """The counts of one node. They go on when it comes back by the same name.

    Attributes:
        description: What it said when it joined; None while it is not there.
        reading: What it is like at the last scrape; None while it is not there.
        lost_s: Since when it is not there; None while it is.
        joins: Times it joined.
        losses: Times it was lost, by reason.
        ended: Invocations that ended there, by outcome.
        cold_starts: Those that waited for an environment to initialise.
        up: 1 while it is there, 0 when it is lost; None if it has left in good order.
    """

    __slots__ = ("cold_starts", "description", "ended", "joins", "losses", "lost_s", "reading", "up")

    def __init__(self) -> None:
        self.description: NodeDescription | None = None
        self.reading: NodeReading | None = None
        self.lost_s: float | None = None
        self.joins = 0
        self.losses = dict.fromkeys(NODE_LOSSES, 0)
        self.ended: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
        self.cold_starts = 0
        self.up: int | None = None

    @property
    def state(self) -> str:
        """`up`, `lost`, or `left` in good order."""
        return {1: "up", 0: "lost", None: "left"}[self.up]


class Nodes:
    """The nodes of a cluster: those that are there, and for an hour those that were.

    Attributes:
        known: Those with a label value of their own, by name. Empty on one machine.
    """

    def __init__(self, now: Callable[[], float], cap: int = NODE_LABEL_CAP) -> None:
        self._now = now
        self._cap = cap
        self._read: Callable[[], Sequence[NodeReading]] = tuple
        self.known: dict[str, NodeStats] = {}
        self._others: NodeStats | None = None  # of all that came when every label value was taken

    def watch(self, read: Callable[[], Sequence[NodeReading]]) -> None:
        """Have `read` called at each scrape for the nodes that are there; it must be quick."""
        self._read = read

    # ---------------------------------------------------------------- facts

    def noticed(self, notice: NodeJoined | NodeLost) -> None:
        """A node came or went."""
        match notice:
            case NodeJoined(node=description):
                stats = self._stats(description.name)
                stats.joins += 1
                if stats is not self._others:
                    stats.description, stats.lost_s, stats.up = description, None, 1
            case NodeLost(node=name, reason=reason):
                stats = self._stats(name)
                stats.losses[reason.value] += 1
                if reason is not NodeLoss.REPLACED and stats is not self._others:
                    stats.description, stats.reading, stats.lost_s = None, None, self._now()
                    stats.up = None if reason is NodeLoss.LEFT else 0

    def ended(self, name: str, status: Status, *, cold_start: bool) -> None:
        """An invocation ended on that node."""
        stats = self._stats(name)
        stats.ended[status] += 1
        stats.cold_starts += cold_start

    def _stats(self, name: str) -> NodeStats:
        stats = self.known.get(name)
        if stats is not None:
            return stats
        if len(self.known) >= self._cap:
            self._forget_lost(0.0)
        if len(self.known) < self._cap:
            stats = self.known[name] = NodeStats()
            stats.lost_s = self._now()  # until it joins
            return stats
        if self._others is None:
            self._others = NodeStats()
        return self._others

    def _forget_lost(self, after_s: float) -> None:
        before_s = self._now() - after_s
        gone = [n for n, one in self.known.items() if one.lost_s is not None and one.lost_s <= before_s]
        for name in gone:
            del self.known[name]

    # ---------------------------------------------------------------- for the page

    def refresh(self) -> None:
        """Take over what the nodes are like now. Done at each scrape."""
        if not self.known:
            return
        self._forget_lost(_REMEMBERED_S)
        for reading in self._read():
            stats = self.known.get(reading.description.name)
            if stats is not None:
                stats.reading = reading

    @property
    def shown(self) -> dict[str, NodeStats]:
        """By label value."""
        return self.known if self._others is None else {**self.known, OVERFLOW_LABEL: self._others}

    @property
    def overflowed(self) -> int:
        """How many of those that are there have no label value of their own."""
        return sum(reading.description.name not in self.known for reading in self._read())

    def described(self, read: Callable[[NodeDescription], T]) -> dict[str, T]:
        """What `read` finds in the descriptions of those that are there."""
        return {name: read(one.description) for name, one in self.known.items() if one.description}

    def read(self, read: Callable[[NodeReading], float | None]) -> dict[str, float]:
        """What `read` finds in the readings of those that are there, where it finds something."""
        found = {name: read(one.reading) for name, one in self.known.items() if one.reading}
        return {name: number for name, number in found.items() if number is not None}

    def environments(self, functions: Iterable[FunctionStats]) -> dict[str, dict[str, int]]:
        """What all functions together have on each node, by state, at the last scrape."""
        if not self.known:
            return {}
        total = dict.fromkeys(self.shown, NodeEnvironments())
        for one in functions:
            for node, counts in one.now.nodes.items():
                add_environments(total, {node if node in self.known else OVERFLOW_LABEL: counts})
        return {node: counts._asdict() for node, counts in total.items()}
