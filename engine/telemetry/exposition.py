"""Writes the metrics page from pre-rendered lines: Prometheus text 0.0.4, or OpenMetrics 1.0 if asked.

A scrape runs on the event loop, so it must be short: everything but the numbers is rendered once, as
one template for the whole page, and again only when a function or a trigger comes or goes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics

from engine.telemetry.catalogue import CATALOGUE, Metric, Tree
from engine.telemetry.collector import StatsCollector
from engine.telemetry.samples import Labels, Snapshot, children, exemplar_labels, leaves, lines, shape
from engine.telemetry.stats import Stats, TracedHistogram


class Format(Enum):
    """The formats of the page; the value is its content type."""

    TEXT = CONTENT_TYPE_PLAIN_0_0_4
    OPENMETRICS = openmetrics.CONTENT_TYPE_LATEST


_MOST_TEXTS: Final = 20_000

_MEDIA_TYPES: Final = {
    "application/openmetrics-text": Format.OPENMETRICS,
    "text/plain": Format.TEXT,
    "text/*": Format.TEXT,
    "*/*": Format.TEXT,
}


def choose_format(accept: str | None) -> Format:
    """The format a scraper likes best, by the q of its Accept header; text if it names neither."""
    best, best_q = Format.TEXT, 0.0
    for item in (accept or "").lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        offered = _MEDIA_TYPES.get(media_type)
        q = _quality(parameters)
        if offered is not None and q > best_q:
            best, best_q = offered, q
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


class Exposition:
    """The `/metrics` page. Serve it from the event loop's thread.

    `registry` holds the collectors of others (process, garbage collector, the user's own) and may hold
    ours: a `StatsCollector` registered there is kept silent while the stock writer does the rest.
    """

    def __init__(self, stats: Stats, registry: CollectorRegistry, collector: StatsCollector) -> None:
        self._stats = stats
        self._registry = registry
        self._collector = collector
        self._templates = {chosen: _Template(chosen) for chosen in Format}

    def page(self, accept: str | None = None) -> tuple[str, bytes]:
        """Content type and body for a request with that Accept header."""
        chosen = choose_format(accept)
        others = self._others(chosen)  # first, so that its failure is counted on this very page
        return chosen.value, self._templates[chosen].filled(self._stats, others)

    def prepare(self) -> None:
        """Render what does not change. It takes tens of milliseconds with hundreds of functions.

        Call it before the engine says that it is ready; else the first scrape does it.
        """
        for chosen in Format:
            self.page(chosen.value)

    def _others(self, chosen: Format) -> bytes:
        write: Callable[[CollectorRegistry], bytes] = (
            openmetrics.generate_latest if chosen is Format.OPENMETRICS else generate_latest
        )
        self._collector.silent = True
        try:
            return write(self._registry)
        except Exception:  # noqa: BLE001 - another's collector may raise anything; our numbers must survive it
            self._stats.scrape_failures += 1
            return b"# EOF\n" if chosen is Format.OPENMETRICS else b""
        finally:
            self._collector.silent = False


class _Template:
    """The page with a place for each number: text at even, numbers at odd positions.

    Everything is bytes, joined once: the page is megabytes long, and each further copy of it costs as
    much as reading all the numbers.
    """

    def __init__(self, chosen: Format) -> None:
        self._format = chosen
        self._shape = (-1, -1)
        self._parts: list[bytes] = []
        self._end = b""
        self._texts = _Texts()
        self._traced: list[tuple[TracedHistogram, int]] = []  # with the place of its first number
        self._blocks: dict[tuple[str, str | None], tuple[int, list[bytes]]] = {}

    def filled(self, stats: Stats, others: bytes) -> bytes:
        """The page with the numbers of now, and then `others`."""
        snapshot = Snapshot(stats)
        current = shape(stats)
        if current != self._shape:
            if current[0] != self._shape[0]:  # a function came or went, or shows other labels
                self._blocks.clear()
            self._parts = self._render(snapshot)
            self._shape = current
        numbers: list[float] = []
        for metric in CATALOGUE:
            snapshot.numbers(metric, numbers)
        if len(self._texts) > _MOST_TEXTS:
            self._texts.clear()
        self._parts[1::2] = map(self._texts.__getitem__, numbers)
        for histogram, place in self._traced:
            for bucket, (value, request_id, trace_id) in histogram.exemplars.items():
                labels = _label_text(tuple(exemplar_labels(request_id, trace_id).items()))
                self._parts[place + 2 * bucket] += f" # {labels} {value!r}".encode()
        self._parts[-1] = self._end + others
        return b"".join(self._parts)

    def _render(self, snapshot: Snapshot) -> list[bytes]:
        parts: list[bytes] = []
        before = b""
        self._traced.clear()
        for metric in CATALOGUE:
            before += _head(metric, self._format)
            for function, tree in snapshot.trees(metric):
                if isinstance(tree, TracedHistogram) and self._format is Format.OPENMETRICS:
                    self._traced.append((tree, len(parts) + 1))
                for text in self._block(metric, function, tree):
                    parts += (before + text, b"")
                    before = b""
        self._end = before + b"\n"
        parts.append(self._end)
        parts[0] = parts[0].removeprefix(b"\n")
        return parts

    def _block(self, metric: Metric, function: str | None, tree: Tree) -> list[bytes]:
        """The lines of one metric of one function. Until functions change, they only become more."""
        size = leaves(tree)
        key = metric.name, function
        known = self._blocks.get(key)
        if known is None or known[0] != size:
            texts = [
                f"\n{name}{_label_text(pairs)} ".encode()
                for labels, leaf in children(metric, function, tree)
                for name, pairs in lines(metric, labels, leaf)
            ]
            known = self._blocks[key] = size, texts
        return known[1]


class _Texts(dict[float, bytes]):
    """Numbers as text, each made once.

    Few of a page's numbers differ: most are 0, and buckets in which nothing falls repeat the one before. From
    one page to the next, those of functions that did nothing stay the same.
    """

    def __missing__(self, number: float) -> bytes:
        text = self[number] = repr(number).encode()
        return text


def _head(metric: Metric, chosen: Format) -> bytes:
    name = metric.family if chosen is Format.OPENMETRICS else metric.name
    head = f"\n# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}"
    if chosen is Format.OPENMETRICS and metric.unit:
        head += f"\n# UNIT {name} {metric.unit}"
    return head.encode()


def _label_text(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join([f'{name}="{_escaped(value)}"' for name, value in labels]) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
