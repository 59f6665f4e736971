"""Our metrics as a prometheus_client Collector, for any registry and any exposition that wants one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from engine.telemetry.histogram import TracedHistogram
from engine.telemetry.metric_catalogue import CATALOGUE, Metric
from engine.telemetry.samples import Snapshot, children, exemplar_labels, lines, values
from engine.telemetry.stats import Stats


class StatsCollector(Collector):
    """Snapshots `Stats` when it is collected. Call it on the event loop's thread only.

    The stock writer takes tens of milliseconds for what it yields at 200 functions, and the loop stands
    still meanwhile: serve pages with `telemetry.exposition.Exposition`, which silences it while it
    lets the stock writer add everybody else's metrics.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._is_silent = False

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Between `with` and its end, `collect` yields nothing."""
        self._is_silent = True
        try:
            yield
        finally:
            self._is_silent = False

    def describe(self) -> Iterator[Family]:
        """The families without samples: how a registry finds name clashes."""
        return map(_family, CATALOGUE)

    def collect(self) -> Iterator[Family]:
        """Every family with its samples of this moment."""
        if self._is_silent:
            return
        snapshot = Snapshot(self._stats)
        for metric in CATALOGUE:
            family = _family(metric)
            for function, tree in snapshot.trees(metric):
                for labels, leaf in children(metric, function, tree):
                    traced = leaf.exemplars if isinstance(leaf, TracedHistogram) else {}
                    rows = zip(lines(metric, labels, leaf), values(leaf), strict=True)
                    for index, ((name, pairs), number) in enumerate(rows):
                        family.add_sample(name, dict(pairs), number, exemplar=_exemplar(traced.get(index)))
            yield family


def _exemplar(known: tuple[float, str, str | None] | None) -> Exemplar | None:
    if known is None:
        return None
    value, request_id, trace_id = known
    return Exemplar(exemplar_labels(request_id, trace_id), value)


def _family(metric: Metric) -> Family:
    return Family(metric.family, metric.help, metric.kind, metric.unit)
