"""Writes the metrics page from pre-rendered lines: Prometheus text 0.0.4, or OpenMetrics 1.0 or protobuf.

A scrape runs on the event loop, so it must be short: everything but the numbers is rendered once, and again
only when a function or a trigger comes or goes; and a page is put together in steps, a group of functions
each.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.openmetrics import exposition as openmetrics

from engine.telemetry import protobuf_page
from engine.telemetry.collector import StatsCollector
from engine.telemetry.function_stats import FunctionStats
from engine.telemetry.histogram import Histogram, TracedHistogram
from engine.telemetry.label_values import OVERFLOW_LABEL
from engine.telemetry.mapping_readings import Readings
from engine.telemetry.metric_catalogue import CATALOGUE, Metric, Tree
from engine.telemetry.page_formats import Format, choose_format
from engine.telemetry.samples import (
    Labels,
    children,
    exemplar_labels,
    leaves,
    lines,
    total,
    values,
)
from engine.telemetry.stats import Stats
from engine.telemetry.stepwise_pages import Pieces, at_once

_MAX_TEXTS: Final = 50_000
_MAX_PATTERNS: Final = 10_000
GROUP: Final = 20
"""Functions that are shown in one step: up to 16 ms when they are rendered first, and 0.5 ms later."""
_PROTOBUF_STEP: Final = 4
"""Functions that are shown in one step of the protobuf page: about 8 ms."""
_WRITERS: Final[Mapping[Format, Callable[[CollectorRegistry], bytes]]] = {
    Format.TEXT: generate_latest,
    Format.OPENMETRICS: openmetrics.generate_latest,
    Format.PROTOBUF: protobuf_page.families_of,
}
_FOLDED: Final = [metric for metric in CATALOGUE if metric.of_function and metric.folds]


class Exposition:
    """The `/metrics` page. Serve it from the event loop's thread.

    `registry` holds the collectors of others (process, garbage collector, the user's own) and may hold
    ours: a `StatsCollector` registered there is kept silent while the stock writer does the rest.
    """

    def __init__(self, stats: Stats, registry: CollectorRegistry, collector: StatsCollector) -> None:
        self._stats = stats
        self._registry = registry
        self._collector = collector
        self._templates = {chosen: _Template(chosen) for chosen in (Format.TEXT, Format.OPENMETRICS)}

    def page(self, accept: str | None = None) -> tuple[str, bytes]:
        """Content type and body for a request with that Accept header, made in one go."""
        chosen = choose_format(accept)
        return chosen.value, at_once(self.pieces(chosen))

    def pieces(self, chosen: Format) -> Pieces:
        """The body in steps of some milliseconds. Only one may be under way for each format."""
        others = self._others(chosen)  # first, so that its failure is counted on this very page
        if chosen is Format.PROTOBUF:
            return (yield from _protobuf_pieces(self._stats, others))
        return (yield from self._templates[chosen].pieces(self._stats, self._stats.folded, others))

    def prepare(self) -> None:
        """Render what does not change, in tens of milliseconds however many functions there are.

        Else the first page does it, in steps that are longer.
        """
        some = self._stats.folded[:GROUP]  # they look as all that share the label do
        for template in self._templates.values():
            at_once(template.pieces(self._stats, some, b""))

    def _others(self, chosen: Format) -> bytes:
        write = _WRITERS[chosen]
        try:
            with self._collector.silenced():
                return write(self._registry)
        except Exception:  # noqa: BLE001 - another's collector may raise anything; our numbers must survive it
            self._stats.scrape_failures += 1
            return b"# EOF\n" if chosen is Format.OPENMETRICS else b""


def _protobuf_pieces(stats: Stats, others: bytes) -> Pieces:
    """The same in protobuf, of which nothing is kept: it takes longer, a millisecond or more for a function.

    A step shows some functions, or writes one metric of all.
    """
    readings = stats.readings()
    members: dict[str, list[bytes]] = {metric.name: [] for metric in CATALOGUE}

    def show(metric: Metric, function: str | None, tree: Tree) -> None:
        members[metric.name] += [
            protobuf_page.member(metric, labels, leaf) for labels, leaf in children(metric, function, tree)
        ]

    for count, one in enumerate(stats.labelled, 1):
        stats.refresh_one(one, readings)
        for metric in CATALOGUE:
            if metric.of_function:
                show(metric, one.function.name, metric.of_function(one))
        if count % _PROTOBUF_STEP == 0:
            yield
    totals = yield from _totals(stats, stats.folded, readings)
    for metric in CATALOGUE:
        if metric.name in totals:
            show(metric, OVERFLOW_LABEL, totals[metric.name])
        if metric.of_engine:
            show(metric, None, metric.of_engine(stats))
    written = []
    for metric in CATALOGUE:
        written.append(protobuf_page.family(metric, members.pop(metric.name)))
        yield
    return b"".join([*written, others])


def _totals(
    stats: Stats, sharing: list[FunctionStats], readings: Readings
) -> Generator[None, None, dict[str, Tree]]:
    """What functions that share a label have together, by metric, a group of them in each step."""
    totals: dict[str, Tree] = {}
    for group in _grouped(sharing):
        for one in group:
            stats.refresh_one(one, readings)
        for metric in _FOLDED:
            trees = map(metric.of_function, group)  # type: ignore[arg-type]  # these have one
            before = [totals[metric.name]] if metric.name in totals else []
            totals[metric.name] = total([*before, *trees])
        yield
    return totals


def exposition_of(stats: Stats) -> Exposition:
    """The page of an engine: its own metrics, and those of the process and of Python; prepared."""
    registry = CollectorRegistry(auto_describe=True)
    for others in (ProcessCollector, PlatformCollector, GCCollector):
        others(registry=registry)
    collector = StatsCollector(stats)
    registry.register(collector)
    exposition = Exposition(stats, registry, collector)
    exposition.prepare()
    return exposition


class _Template:
    """The page of one format: a column of sections for each group of functions, and a row for each metric.

    Everything is bytes, joined as seldom as can be: the page is megabytes long, and each further copy of it
    costs as much as reading all the numbers.
    """

    def __init__(self, chosen: Format) -> None:
        self._heads = [_head(metric, chosen) for metric in CATALOGUE]
        self._heads[0] = self._heads[0].removeprefix(b"\n")
        self._format = chosen
        self._texts = _Texts()
        self._patterns: _Patterns = {}
        self._groups: list[_Column] = []
        self._overflow, self._engine = _Column(chosen, self._patterns), _Column(chosen, self._patterns)

    def pieces(self, stats: Stats, sharing: list[FunctionStats], others: bytes) -> Pieces:
        """The page, and then `others`. All lines of a function are of one moment.

        `sharing`: the functions that are added up under one label.
        """
        readings = stats.readings()
        labelled = _grouped(stats.labelled)
        if len(self._patterns) > _MAX_PATTERNS:
            self._patterns.clear()
        del self._groups[len(labelled) :]
        for index, group in enumerate(labelled):
            if index == len(self._groups):
                self._groups.append(_Column(self._format, self._patterns))
            for one in group:
                stats.refresh_one(one, readings)
            self._groups[index].show(group, self._text_of())
            yield
        totals = yield from _totals(stats, sharing, readings)
        self._overflow.show_trees(OVERFLOW_LABEL, totals, self._text_of())
        own = {metric.name: metric.of_engine(stats) for metric in CATALOGUE if metric.of_engine}
        self._engine.show_trees(None, own, self._text_of())
        columns = [self._heads]
        columns += [column.texts for column in (*self._groups, self._overflow, self._engine)]
        return b"".join([*chain.from_iterable(zip(*columns, strict=True)), b"\n", others])

    def _text_of(self) -> Callable[[float], bytes]:
        if len(self._texts) > _MAX_TEXTS:
            self._texts.clear()
        return self._texts.__getitem__


def _grouped(functions: list[FunctionStats]) -> list[list[FunctionStats]]:
    return [functions[start : start + GROUP] for start in range(0, len(functions), GROUP)]


class _Column:
    """All metrics of some functions, of the label they share, or of the engine.

    Attributes:
        texts: What its sections said last, one for each metric.
    """

    def __init__(self, chosen: Format, patterns: _Patterns) -> None:
        """`patterns` keeps those of all columns."""
        self._format = chosen
        self._patterns = patterns
        self._described: object = None
        self._shape: object = None
        self._sections: list[_Section | None] = []
        self._blocks: dict[tuple[str, str | None], _Block] = {}
        self.texts = [b""] * len(CATALOGUE)

    def show(self, functions: list[FunctionStats], text_of: Callable[[float], bytes]) -> None:
        """Show the numbers of `functions` as they are now."""
        described = [(one, one.function, tuple(one.mappings)) for one in functions]
        if described != self._described:  # one came or went, or shows other labels
            self._blocks.clear()
            self._described, self._sections = described, []
        if not self._fill(functions, text_of):
            self._render(
                [
                    [(one.function.name, read(one)) for one in functions]
                    if (read := metric.of_function)
                    else []
                    for metric in CATALOGUE
                ]
            )
            self._fill(functions, text_of)

    def _fill(self, functions: list[FunctionStats], text_of: Callable[[float], bytes]) -> bool:
        """Show the numbers in what is rendered. False: something of them is shown for the first time."""
        if not self._sections:
            return False
        for index, (metric, section) in enumerate(zip(CATALOGUE, self._sections, strict=True)):
            if section is not None and not (metric.fixed and section.text):
                numbers = leaves(metric, functions)
                if len(numbers) != section.size:  # until functions change, they only become more
                    return False
                self.texts[index] = section.filled(numbers, text_of)
        return True

    def show_trees(
        self, label: str | None, trees: Mapping[str, Tree], text_of: Callable[[float], bytes]
    ) -> None:
        """Show what was read or added up by metric: of the function label `label`, or the engine's own."""
        found = [[(label, trees[metric.name])] if metric.name in trees else [] for metric in CATALOGUE]
        shown = [
            [leaf for function, tree in of_metric for leaf in children(metric, function, tree)]
            for metric, of_metric in zip(CATALOGUE, found, strict=True)
        ]
        shape = [[labels for labels, _ in of_metric] for of_metric in shown]
        if shape != self._shape:
            self._blocks.clear()
            self._render(found)
            self._shape = shape
        for index, (section, of_metric) in enumerate(zip(self._sections, shown, strict=True)):
            if section is not None:
                self.texts[index] = section.filled([number for _, number in of_metric], text_of)

    def _render(self, trees: Sequence[Sequence[tuple[str | None, Tree]]]) -> None:
        self._sections = [
            _Section([self._block(metric, function, tree) for function, tree in of_metric])
            if of_metric
            else None
            for metric, of_metric in zip(CATALOGUE, trees, strict=True)
        ]
        self.texts = [b""] * len(CATALOGUE)

    def _block(self, metric: Metric, function: str | None, tree: Tree) -> _Block:
        """One metric of one function. Until functions change, it only becomes longer."""
        found = list(children(metric, function, tree))
        key = metric.name, function
        known = self._blocks.get(key)
        if known is None or len(known.texts) != len(found):
            name = b"" if function is None else _escaped(function).encode()
            patterns = [self._pattern(metric, function, labels, leaf) for labels, leaf in found]
            if metric.kind == "histogram":
                traced = self._format is Format.OPENMETRICS
                bodies = [_Body(pattern, name, traced=traced) for pattern in patterns]
                known = _Block([b""] * len(found), bodies)
            else:
                known = _Block([name.join(line) for pattern in patterns for line in pattern.lines], [])
            self._blocks[key] = known
        return known

    def _pattern(
        self, metric: Metric, function: str | None, labels: Labels, leaf: float | Histogram
    ) -> _Pattern:
        """How the lines of a child read: made once for all functions that have it."""
        others = labels if function is None else labels[1:]
        key = metric.name, function is None, others, leaf.bounds if isinstance(leaf, Histogram) else ()
        known = self._patterns.get(key)
        if known is None:
            known = self._patterns[key] = _Pattern(
                [
                    _split_line(name, pairs, has_function=function is not None)
                    for name, pairs in lines(metric, labels, leaf)
                ]
            )
        return known


class _Block(NamedTuple):
    """One metric of one function: what stands before each value, and the bodies of histograms."""

    texts: list[bytes]
    bodies: list[_Body]


class _Section:
    """All lines of one metric in a column.

    Attributes:
        size: How many numbers, or histograms, they show.
        text: What they were on the last page.
    """

    __slots__ = ("_bodies", "_parts", "_seen", "size", "text")

    def __init__(self, blocks: Sequence[_Block]) -> None:
        before = [text for block in blocks for text in block.texts]
        self.size = len(before)
        self._bodies = [body for block in blocks for body in block.bodies]
        self._parts = [b""] * (2 * len(before))  # text and value in turn
        self._parts[::2] = before
        self._seen: list[Any] | None = None
        self.text = b""

    def filled(self, leaves: list[Any], text_of: Callable[[float], bytes]) -> bytes:
        """The lines with these numbers, or histograms."""
        if self._bodies:
            leaves = [
                body.text
                if body.counts == histogram.counts and body.sum == histogram.sum
                else body.filled(histogram)
                for body, histogram in zip(self._bodies, leaves, strict=True)
            ]
        if leaves != self._seen:
            self._seen = leaves
            self._parts[1::2] = leaves if self._bodies else map(text_of, leaves)
            self.text = b"".join(self._parts)
        return self.text


class _Pattern:
    """The lines of one child before their values, cut where the function's name stands.

    Attributes:
        lines: Each line's parts; joined by the name, they are the line.
        template: Of all lines with places for their numbers, `%` doubled; to be joined the same way.
    """

    __slots__ = ("lines", "template")

    def __init__(self, lines: list[list[bytes]]) -> None:
        self.lines = lines
        self.template = [b""]
        for number, line in enumerate(lines, 1):
            first, *rest = [part.replace(b"%", b"%%") for part in line]
            self.template[-1] += first
            self.template += rest
            self.template[-1] += b"%d" if number < len(lines) else b"%a"


_Patterns = dict[tuple[str, bool, Labels, tuple[float, ...]], _Pattern]
"""By metric, whether it is the engine's own, labels besides the function, and bounds of a histogram."""


class _Body:
    """All lines of one histogram, kept until it changes: most have not since the last page.

    Attributes:
        counts, sum: What `text` says.
        text: The lines.
    """

    __slots__ = ("_name", "_pattern", "_template", "_traced", "counts", "sum", "text")

    def __init__(self, pattern: _Pattern, name: bytes, *, traced: bool) -> None:
        self._pattern, self._name = pattern, name
        self._template = name.replace(b"%", b"%%").join(pattern.template)
        self._traced = traced
        self.counts: list[int] = []
        self.sum = 0.0
        self.text = b""

    def filled(self, histogram: Histogram) -> bytes:
        """The lines with the numbers of now."""
        self.counts, self.sum = histogram.counts.copy(), histogram.sum
        template = self._template
        if self._traced and isinstance(histogram, TracedHistogram):
            template = self._with_exemplars(histogram)
        self.text = template % tuple(values(histogram))
        return self.text

    def _with_exemplars(self, histogram: TracedHistogram) -> bytes:
        texts = [self._name.join(line).replace(b"%", b"%%") for line in self._pattern.lines]
        for bucket, (value, request_id, trace_id) in histogram.exemplars.items():
            labels = _label_text(tuple(exemplar_labels(request_id, trace_id).items()))
            # Behind the number of its own line is before the next one.
            texts[bucket + 1] = f" # {labels} {value!r}".replace("%", "%%").encode() + texts[bucket + 1]
        return b"%d".join(texts) + b"%a"


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


def _split_line(name: str, labels: Labels, *, has_function: bool) -> list[bytes]:
    """A line before its value; in two parts around the value of the first label, if that is the function."""
    if not has_function:
        return [f"\n{name}{_label_text(labels)} ".encode()]
    (label, _), *others = labels
    rest = "".join([f',{name}="{_escaped(value)}"' for name, value in others])
    return [f'\n{name}{{{label}="'.encode(), f'"{rest}}} '.encode()]


def _label_text(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join([f'{name}="{_escaped(value)}"' for name, value in labels]) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
