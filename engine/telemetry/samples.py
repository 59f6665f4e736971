"""Reads the catalogue's trees flat: the children of a metric with their labels, and their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any, Final, cast

from prometheus_client.utils import floatToGoString

from engine.telemetry.catalogue import Metric, Tree
from engine.telemetry.stats import FunctionStats, Histogram, Levels, Stats
from engine.telemetry.vocabulary import OVERFLOW_FUNCTION

Labels = tuple[tuple[str, str], ...]
"""Label names and values, in the order of the page."""

_ROOT: Final = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?![0-9a-f])")

_Row = tuple[FunctionStats, Levels]


class Snapshot:
    """The stats at one moment: every function with the levels it had when this was made."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._rows = _with_levels(stats.labelled)
        self._folded = _with_levels(stats.folded)

    def trees(self, metric: Metric) -> Iterator[tuple[str | None, Tree]]:
        """What the metric reads as, for each function label; None for what is the engine's own."""
        if read := metric.of_function:
            for one, now in self._rows:
                yield one.function.name, read(one, now)
            if self._folded and metric.folds:
                yield OVERFLOW_FUNCTION, _sum([read(one, now) for one, now in self._folded])
        if metric.of_engine:
            yield None, metric.of_engine(self._stats)

    def numbers(self, metric: Metric, into: list[float]) -> None:
        """Append all numbers of `trees`, in its order: the part of a scrape that is done every time."""
        if read := metric.of_function:
            form = metric.kind == "histogram", len(metric.labels) - 1
            _APPENDERS.get(form, _append_any)(read, self._rows, into)
            if self._folded and metric.folds:
                values(_sum([read(one, now) for one, now in self._folded]), into)
        if metric.of_engine:
            values(metric.of_engine(self._stats), into)


def children(metric: Metric, function: str | None, tree: Tree) -> Iterator[tuple[Labels, float | Histogram]]:
    """The leaves of what was read for a function label, each with its labels."""
    if function is None:
        return _leaves(tree, tuple(label for label in metric.labels if label != "function"), ())
    return _leaves(tree, metric.labels[1:], (("function", function),))


def lines(metric: Metric, labels: Labels, leaf: float | Histogram) -> Iterator[tuple[str, Labels]]:
    """The sample names and labels of one child, in the order in which `values` gives its numbers."""
    if not isinstance(leaf, Histogram):
        yield metric.name, labels
        return
    for bound in (*map(floatToGoString, leaf.bounds), "+Inf"):
        yield f"{metric.name}_bucket", (*labels, ("le", bound))
    yield f"{metric.name}_count", labels
    yield f"{metric.name}_sum", labels


def exemplar_labels(request_id: str, trace_id: str | None) -> dict[str, str]:
    """What leads from a bucket to one request of it: at most 128 characters, as OpenMetrics wants it.

    `trace_id` is the header's: only its `Root` is shown, and only if it is one.
    """
    found = _ROOT.search(trace_id) if trace_id else None
    labels = {"request_id": request_id[:64]}
    return {"trace_id": found[1], **labels} if found else labels


def values(tree: Tree, into: list[float]) -> None:
    """Append the numbers of a tree, leaf by leaf."""
    if isinstance(tree, (int, float)):
        into.append(tree)
    elif isinstance(tree, Histogram):
        into += accumulate(tree.counts)
        into.append(into[-1])
        into.append(tree.sum)
    else:
        for branch in tree.values():
            values(branch, into)


def _append_any(read: Any, rows: Sequence[_Row], into: list[float]) -> None:
    for one, now in rows:
        values(read(one, now), into)


def _append_plain(read: Any, rows: Sequence[_Row], into: list[float]) -> None:
    into += [read(one, now) for one, now in rows]


def _append_mappings(read: Any, rows: Sequence[_Row], into: list[float]) -> None:
    for one, now in rows:
        into += read(one, now).values()


def _append_nested(read: Any, rows: Sequence[_Row], into: list[float]) -> None:
    for one, now in rows:
        for level in read(one, now).values():
            into += level.values()


def _append_histograms(read: Any, rows: Sequence[_Row], into: list[float]) -> None:
    for one, now in rows:
        histogram = read(one, now)
        if histogram:  # an empty mapping: nothing was observed, and nothing is shown
            into += accumulate(histogram.counts)
            into.append(into[-1])
            into.append(histogram.sum)


def _append_histogram_mappings(read: Any, rows: Sequence[_Row], into: list[float]) -> None:
    for one, now in rows:
        for histogram in read(one, now).values():
            into += accumulate(histogram.counts)
            into.append(into[-1])
            into.append(histogram.sum)


_APPENDERS: Final = {
    (True, 0): _append_histograms,
    (True, 1): _append_histogram_mappings,
    (False, 0): _append_plain,
    (False, 1): _append_mappings,
    (False, 2): _append_nested,
}
"""`values` over many functions for the shapes that are frequent: whether histograms, labels after `function`.

A page has some hundred numbers for each function: a call for each of them is what a scrape cannot afford.
"""


def leaves(tree: Tree) -> int:
    """How many children a tree has."""
    return sum(map(leaves, tree.values())) if isinstance(tree, Mapping) else 1


def shape(stats: Stats) -> tuple[int, int]:
    """Changes whenever a child comes or goes: what was rendered for another shape is stale."""
    return stats.registrations, sum([one.children for one in stats.functions.values()])


def _with_levels(functions: Sequence[FunctionStats]) -> list[_Row]:
    return [(one, one.levels()) for one in functions]


def _sum(trees: Sequence[Tree]) -> Tree:
    """Sum trees leaf by leaf; a branch that only some have counts as 0 in the others."""
    trees = [tree for tree in trees if tree or not isinstance(tree, Mapping)]
    if not trees:
        return {}
    first = trees[0]
    if isinstance(first, Histogram):
        histograms = cast("Sequence[Histogram]", trees)
        total = Histogram(first.bounds)
        total.counts = [sum(column) for column in zip(*[one.counts for one in histograms], strict=True)]
        total.sum = sum([one.sum for one in histograms])
        return total
    if isinstance(first, Mapping):
        levels = cast("Sequence[Mapping[str, Tree]]", trees)
        keys = dict.fromkeys(chain.from_iterable(levels))
        return {key: _sum([level[key] for level in levels if key in level]) for key in keys}
    return sum(cast("Sequence[float]", trees))


def _leaves(tree: Tree, names: tuple[str, ...], labels: Labels) -> Iterator[tuple[Labels, float | Histogram]]:
    if not isinstance(tree, Mapping):
        yield labels, tree
        return
    for value, branch in tree.items():
        yield from _leaves(branch, names[1:], (*labels, (names[0], str(value))))
