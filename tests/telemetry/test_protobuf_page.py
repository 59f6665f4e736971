"""The protobuf page says what the text page says, and has native histograms besides."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
from prometheus_client import CollectorRegistry, Counter, Summary
from prometheus_client.parser import text_string_to_metric_families as parse_text

from engine.telemetry.collector import StatsCollector
from engine.telemetry.exposition import Exposition
from engine.telemetry.fine_classes import LEAST_S
from engine.telemetry.page_formats import Format, choose_format

descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2", reason="protobuf is not installed")
descriptor_pool = pytest.importorskip("google.protobuf.descriptor_pool")
message_factory = pytest.importorskip("google.protobuf.message_factory")

ACCEPT = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus 2.42 sends when it stores native histograms."""

MESSAGES = {  # client_model's metrics.proto, what is used of it: name, number, type, and whether it repeats
    "LabelPair": ("name 1 string", "value 2 string"),
    "Number": ("value 1 double",),
    "Exemplar": ("label 1 LabelPair *", "value 2 double"),
    "Bucket": ("cumulative_count 1 uint64", "upper_bound 2 double", "exemplar 3 Exemplar"),
    "BucketSpan": ("offset 1 sint32", "length 2 uint32"),
    "Histogram": (
        *("sample_count 1 uint64", "sample_sum 2 double", "bucket 3 Bucket *", "schema 5 sint32"),
        *("zero_threshold 6 double", "zero_count 7 uint64", "positive_span 12 BucketSpan *"),
        "positive_delta 13 sint64 *",
    ),
    "Metric": (
        *("label 1 LabelPair *", "gauge 2 Number", "counter 3 Number", "untyped 5 Number"),
        "histogram 7 Histogram",
    ),
    "MetricFamily": ("name 1 string", "help 2 string", "type 3 uint64", "metric 4 Metric *"),
}


@pytest.fixture(scope="module")
def family_class():
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package="t", syntax="proto2")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields:
            field, number, kind, *repeated = text.split()
            made = message.field.add(name=field, number=int(number), label=3 if repeated else 1)
            if kind in MESSAGES:
                made.type, made.type_name = made.TYPE_MESSAGE, f".t.{kind}"
            else:
                made.type = getattr(made, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.MetricFamily"))


def families(page, family_class):
    """The messages, each behind its length."""
    at, found = 0, {}
    while at < len(page):
        length = shift = 0
        while True:
            byte = page[at]
            at, length, shift = at + 1, length | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        one = family_class.FromString(page[at : at + length])
        at += length
        assert one.name not in found
        found[one.name] = one
    return found


def series(found):
    """Name and labels to value, as a text page would have it."""
    numbers = {}
    for family in found.values():
        for metric in family.metric:
            labels = tuple(sorted((pair.name, pair.value) for pair in metric.label))
            if metric.HasField("histogram"):
                numbers[f"{family.name}_count", labels] = metric.histogram.sample_count
                numbers[f"{family.name}_sum", labels] = metric.histogram.sample_sum
                for bucket in metric.histogram.bucket:
                    key = tuple(sorted((*labels, ("le", f"{bucket.upper_bound:g}"))))
                    numbers[f"{family.name}_bucket", key] = bucket.cumulative_count
            else:
                for kind in ("gauge", "counter", "untyped"):
                    if metric.HasField(kind):
                        numbers[family.name, labels] = getattr(metric, kind).value
    return numbers


def shown(page):
    """The same of a text page."""
    return {
        (
            sample.name,
            tuple(sorted((k, f"{float(v):g}" if k == "le" else v) for k, v in sample.labels.items())),
        ): sample.value
        for family in parse_text(page.decode())
        for sample in family.samples
    }


@pytest.fixture
def exposition(new_bench):
    """Two functions with a label of their own, two that share one, and another's collectors."""
    bench = new_bench(2)
    registry = CollectorRegistry()
    collector = StatsCollector(bench.stats)
    registry.register(collector)
    Counter("mine_total", "Another's.", ["colour"], registry=registry).labels("grün\n").inc(2.5)
    Summary("theirs", "Another's.", registry=registry).observe(3)
    for number in range(4):
        bench.register(f"f{number}")
        bench.run(f"f{number}", duration_s=0.030)
    for duration_s in (0.0, 0.031, 0.045, 700.0):
        bench.run("f0", duration_s=duration_s, trace_id="Root=1-5759e988-bd862e3fe1be46a994272793")
    return Exposition(bench.stats, registry, collector)


def test_the_page_has_every_series_of_the_text_page(exposition, family_class):
    kind, page = exposition.page(ACCEPT)

    assert Format.PROTOBUF.value == kind
    expected = shown(exposition.page()[1])
    assert expected == series(families(page, family_class))
    assert ("mine_total", (("colour", "grün\n"),)) in expected


def test_native_buckets_are_the_fine_classes(exposition, family_class):
    """Decoded as Prometheus does: spans of adjacent buckets, each count as a difference from the last."""
    found = families(exposition.page(ACCEPT)[1], family_class)["engine_invocation_duration_seconds"]
    one = next(metric.histogram for metric in found.metric if "f0" in [pair.value for pair in metric.label])
    numbers, at = [], 0
    for span in one.positive_span:
        at += span.offset
        numbers += range(at, at + span.length)
        at += span.length
    counts = dict(zip(numbers, accumulate(one.positive_delta), strict=True))
    classes = [math.ceil(16 * math.log2(value)) for value in (0.030, 0.031, 0.045, 700.0)]

    assert (4, LEAST_S, 1) == (one.schema, one.zero_threshold, one.zero_count)
    assert {number: classes.count(number) for number in classes} == counts
    assert "request_id" in [pair.name for bucket in one.bucket for pair in bucket.exemplar.label]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (ACCEPT, Format.PROTOBUF),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            Format.TEXT,
        ),
        ("application/vnd.google.protobuf", Format.TEXT),
        (f"{ACCEPT.partition(',')[0]};q=0.3, text/plain", Format.TEXT),
    ],
)
def test_protobuf_is_for_those_who_like_that_message_best(accept, expected):
    assert expected is choose_format(accept)
