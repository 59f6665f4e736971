"""Our metrics as a prometheus_client Collector, for any registry and any exposition that wants one."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

from engine.telemetry.catalogue import CATALOGUE, Metric
from engine.telemetry.samples import Snapshot, children, lines, values
from engine.telemetry.stats import Stats


class StatsCollector(Collector):
    """Snapshots `Stats` when it is collected. Call it on the event loop's thread only.

    The stock writer takes tens of milliseconds for what it yields at 200 functions, and the loop stands
    still meanwhile: serve pages with `telemetry.exposition.Exposition`, which sets `silent` while it
    lets the stock writer add everybody else's metrics.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self.silent = False

    def describe(self) -> Iterator[Family]:
        """The families without samples: how a registry finds name clashes."""
        return map(_family, CATALOGUE)

    def collect(self) -> Iterator[Family]:
        """Every family with its samples of this moment."""
        if self.silent:
            return
        snapshot = Snapshot(self._stats)
        for metric in CATALOGUE:
            family = _family(metric)
            for function, tree in snapshot.trees(metric):
                for labels, leaf in children(metric, function, tree):
                    numbers: list[float] = []
                    values(leaf, numbers)
                    for (name, pairs), number in zip(lines(metric, labels, leaf), numbers, strict=True):
                        family.add_sample(name, dict(pairs), number)
            yield family


def _family(metric: Metric) -> Family:
    return Family(metric.family, metric.help, metric.kind, metric.unit)
