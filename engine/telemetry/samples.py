"""Reads the catalogue's trees flat: the children of a metric with their labels, and their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any, Final, cast

from prometheus_client.utils import floatToGoString

from engine.telemetry.function_stats import FunctionStats
from engine.telemetry.histogram import FineHistogram, Histogram
from engine.telemetry.label_values import OVERFLOW_LABEL
from engine.telemetry.metric_catalogue import Metric, Tree
from engine.telemetry.stats import Stats

Labels = tuple[tuple[str, str], ...]
"""Label names and values, in the order of the page."""

_ROOT: Final = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?![0-9a-f])")
_branches: Final[Callable[[dict[str, Tree]], Iterable[Tree]]] = dict.values
"""Of dicts alone, and so twice as fast as asking any mapping."""


class Snapshot:
    """The stats at one moment: every function with the levels it had when this was made."""

    def __init__(self, stats: Stats) -> None:
        stats.refresh()
        self._stats = stats
        self._labelled = stats.labelled
        self._folded = stats.folded

    def trees(self, metric: Metric) -> Iterator[tuple[str | None, Tree]]:
        """What the metric reads as, for each function label; None for what is the engine's own."""
        if read := metric.of_function:
            for one in self._labelled:
                yield one.function.name, read(one)
            if self._folded and metric.folds:
                yield OVERFLOW_LABEL, total(list(map(read, self._folded)))
        if metric.of_engine:
            yield None, metric.of_engine(self._stats)


def leaves(metric: Metric, functions: Iterable[FunctionStats]) -> list[Any]:
    """All numbers or histograms of a metric of `functions`: the part of a scrape that is done every time.

    A page has some hundred of them for each function: a call for each is what a scrape cannot afford.
    """
    trees: Iterable[Any] = map(metric.of_function, functions)  # type: ignore[arg-type]  # it has one
    for _ in metric.labels[1:]:
        trees = chain.from_iterable(map(_branches, trees))
    # An empty mapping in the place of a histogram, or of a number: there is nothing to show yet.
    if metric.kind == "histogram":
        return [*filter(None, trees)]
    return [tree for tree in trees if tree != {}] if metric.sparse else [*trees]


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


def values(leaf: float | Histogram) -> list[float]:
    """The numbers of one child."""
    if not isinstance(leaf, Histogram):
        return [leaf]
    numbers: list[float] = [*accumulate(leaf.counts)]
    numbers += (numbers[-1], leaf.sum)
    return numbers


def exemplar_labels(request_id: str, trace_id: str | None) -> dict[str, str]:
    """What leads from a bucket to one request of it: at most 128 characters, as OpenMetrics wants it.

    `trace_id` is the header's: only its `Root` is shown, and only if it is one.
    """
    found = _ROOT.search(trace_id) if trace_id else None
    labels = {"request_id": request_id[:64]}
    return {"trace_id": found[1], **labels} if found else labels


def _leaves(tree: Tree, names: tuple[str, ...], labels: Labels) -> Iterator[tuple[Labels, float | Histogram]]:
    if not isinstance(tree, Mapping):
        yield labels, tree
        return
    for value, branch in tree.items():
        label = ((names[0], str(value)),) if names else ()
        yield from _leaves(branch, names[1:], (*labels, *label))


def total(trees: Sequence[Tree]) -> Tree:
    """Sum trees leaf by leaf; a branch that only some have counts as 0 in the others."""
    first = next((tree for tree in trees if tree or not isinstance(tree, Mapping)), None)
    if first is None:
        return {}
    if isinstance(first, FineHistogram):
        added = FineHistogram(first.bounds, first.lowest)
        for one in cast("Sequence[FineHistogram]", trees):
            added.add(one)
        return added
    if isinstance(first, Histogram):
        histograms = cast("Sequence[Histogram]", [tree for tree in trees if tree])
        columns = zip(*[one.counts for one in histograms], strict=True)
        return Histogram.of(first.bounds, [*map(sum, columns)], sum([one.sum for one in histograms]))
    if isinstance(first, Mapping):
        levels = cast("Sequence[Mapping[str, Tree]]", [tree for tree in trees if tree])
        keys = dict.fromkeys(chain.from_iterable(levels))
        return {key: total([level[key] for level in levels if key in level]) for key in keys}
    return sum(cast("Sequence[float]", trees))
