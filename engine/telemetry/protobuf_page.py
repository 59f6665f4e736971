"""The metrics page in protobuf, as Prometheus asks for it when it stores native histograms.

Messages are those of `io.prometheus.client` (client_model's metrics.proto), each with its length before it.
Histograms that count fine classes have them as native buckets of schema 4, beside the classic ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry

from engine.telemetry.fine_classes import SCHEMA, upper_bound
from engine.telemetry.histogram import FineHistogram, Histogram, TracedHistogram
from engine.telemetry.metric_catalogue import Metric
from engine.telemetry.samples import Labels, exemplar_labels

_COUNTER, _GAUGE, _UNTYPED, _HISTOGRAM = 0, 1, 3, 4  # of MetricType
_TYPES: Final = {"counter": _COUNTER, "gauge": _GAUGE, "histogram": _HISTOGRAM}
_VALUE_FIELDS: Final = {_COUNTER: 3, _GAUGE: 2, _UNTYPED: 5}  # of Metric
_VARINT, _FIXED64, _BYTES = 0, 1, 2  # wire types
_double: Final = struct.Struct("<d").pack


def family(metric: Metric, members: Iterable[bytes]) -> bytes:
    """A metric of the catalogue; `members` are made by `member`."""
    return _family(metric.name, metric.help, _TYPES[metric.kind], members)


def member(metric: Metric, labels: Labels, leaf: float | Histogram) -> bytes:
    """One child of a metric: its labels and what they have now."""
    if isinstance(leaf, Histogram):
        return b"".join([*_pairs(labels), _bytes(7, _histogram(leaf))])
    return _number(labels, _TYPES[metric.kind], leaf)


def families_of(registry: CollectorRegistry) -> bytes:
    """What the collectors of others say; of their histograms each sample is a series of its own."""
    return b"".join(_families_of(registry))


def _families_of(registry: CollectorRegistry) -> Iterator[bytes]:
    for found in registry.collect():
        kind = _TYPES.get(found.type, _UNTYPED)
        by_name: dict[str, list[bytes]] = {}
        for sample in found.samples:
            kind = _UNTYPED if kind == _HISTOGRAM or sample.name.endswith("_created") else kind
            members = by_name.setdefault(sample.name, [])
            members.append(_number(tuple(sample.labels.items()), kind, sample.value))
        for name, members in by_name.items():
            yield _family(name, found.documentation, kind, members)


def _family(name: str, text: str, kind: int, members: Iterable[bytes]) -> bytes:
    parts = [_bytes(1, name.encode()), _bytes(2, text.encode()), _integer(3, kind)]
    parts += [_bytes(4, one) for one in members]
    whole = b"".join(parts)
    return _varint(len(whole)) + whole


def _pairs(labels: Labels) -> list[bytes]:
    return [_bytes(1, _bytes(1, name.encode()) + _bytes(2, value.encode())) for name, value in labels]


def _number(labels: Labels, kind: int, value: float) -> bytes:
    return b"".join([*_pairs(labels), _bytes(_VALUE_FIELDS[kind], _real(1, value))])


def _histogram(leaf: Histogram) -> bytes:
    upto = list(accumulate(leaf.counts))
    parts = [_integer(1, upto[-1]), _real(2, leaf.sum)]
    traced = leaf.exemplars if isinstance(leaf, TracedHistogram) else {}
    for index, bound in enumerate((*leaf.bounds, float("inf"))):
        bucket = _integer(1, upto[index]) + _real(2, bound)
        if known := traced.get(index):
            value, request_id, trace_id = known
            pairs = tuple(exemplar_labels(request_id, trace_id).items())
            bucket += _bytes(3, b"".join([*_pairs(pairs), _real(2, value)]))
        parts.append(_bytes(3, bucket))
    if isinstance(leaf, FineHistogram):
        parts += _native(leaf)
    return b"".join(parts)


def _native(leaf: FineHistogram) -> Iterator[bytes]:
    """Schema, the lowest class as the zero bucket, and the others: runs of them, counts as differences."""
    classes = leaf.classes
    yield _signed(5, SCHEMA)
    yield _real(6, upper_bound(leaf.lowest))
    yield _integer(7, classes.pop(leaf.lowest, 0))
    for offset, length in _spans(sorted(classes)):
        yield _bytes(12, _signed(1, offset) + _integer(2, length))
    before = 0
    for number in sorted(classes):
        yield _signed(13, classes[number] - before)
        before = classes[number]


def _spans(numbers: list[int]) -> list[tuple[int, int]]:
    """Runs of adjacent classes: how far each is from the end of the run before, the first one from 0.

    Without any there is an empty one: it is what marks the histogram as a native one.
    """
    spans: list[tuple[int, int]] = []
    end = 0
    for number in numbers:
        if spans and number == end:
            spans[-1] = spans[-1][0], spans[-1][1] + 1
        else:
            spans.append((number - end, 1))
        end = number + 1
    return spans or [(0, 0)]


# -------------------------------------------------------------------- wire format


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    if number < 128:
        return bytes((number,))
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _tag(field: int, wire: int) -> bytes:
    return bytes((field << 3 | wire,))  # fields up to 15 alone are used


def _integer(field: int, number: int) -> bytes:
    return _tag(field, _VARINT) + _varint(number)


def _signed(field: int, number: int) -> bytes:
    """Zigzag: small numbers are short, negative ones too."""
    return _integer(field, number * 2 if number >= 0 else -2 * number - 1)


def _real(field: int, number: float) -> bytes:
    return _tag(field, _FIXED64) + _double(number)


def _bytes(field: int, content: bytes) -> bytes:
    return _tag(field, _BYTES) + _varint(len(content)) + content
