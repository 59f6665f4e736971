"""Metrics of mappings and of asynchronous events: read at the scrape, sorted by function, bounded."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families as parse

from engine.core.retry import AsyncCounts
from engine.sources.sqs.mapping_counts import BATCH_BOUNDS as COUNTED_BOUNDS
from engine.sources.sqs.mapping_counts import MappingCounts
from engine.telemetry.collector import StatsCollector
from engine.telemetry.exposition import Exposition
from engine.telemetry.histogram import BATCH_BOUNDS
from engine.telemetry.label_values import ASYNC_RESULTS, RECORD_RESULTS
from engine.telemetry.mapping_readings import MappingReading, Mappings


def reading(function="hello", source="jobs:hello", *, polled=0, batches=(), **levels) -> MappingReading:
    counts = MappingCounts()
    counts.polled = polled
    for size in batches:
        counts.sent(size)
    return MappingReading(
        function, source, dict(counts.by_result()), counts.batches, counts.batched, **levels
    )


def page(bench) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    registry = CollectorRegistry()
    collector = StatsCollector(bench.stats)
    registry.register(collector)
    text = Exposition(bench.stats, registry, collector).page()[1].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_the_vocabulary_is_that_of_the_counters():
    """Telemetry and sources do not know one another: this is what holds them together."""
    assert set(RECORD_RESULTS) == set(MappingCounts().by_result())
    assert COUNTED_BOUNDS == BATCH_BOUNDS
    assert set(ASYNC_RESULTS) <= set(AsyncCounts.__slots__)


def test_a_mapping_shows_what_it_counts(bench):
    """Records by result, the sizes of batches, and its levels."""
    one = reading(polled=12, batches=(1, 10), backlog=40, oldest_age_s=2.5, pollers=5, running=2)
    bench.stats.mappings.watch(lambda: [one])
    shown = page(bench)
    source, hello = ("source", "jobs:hello"), ("function", "hello")

    assert 12 == shown["engine_source_records_total", (hello, ("result", "polled"), source)]
    assert 2 == shown["engine_source_batch_records_count", (hello, source)]
    assert 11 == shown["engine_source_batch_records_sum", (hello, source)]
    assert 1 == shown["engine_source_batch_records_bucket", (hello, ("le", "5.0"), source)]
    assert 5 == shown["engine_source_pollers", (hello, source)]
    assert 2 == shown["engine_source_batches_running", (hello, source)]
    assert 2.5 == shown["engine_source_oldest_age_seconds", (hello, source)]
    assert 40 == shown["engine_queue_depth", (hello, ("queue", "source"))]
    assert 2.5 == shown["engine_queue_oldest_age_seconds", (hello, ("queue", "source"))]


def test_mappings_come_and_go_with_their_series(bench):
    """Another one in the place of the first: as many lines, other labels."""
    now = [reading(source="first:hello", polled=1)]
    bench.stats.mappings.watch(lambda: now)
    registry = CollectorRegistry()
    collector = StatsCollector(bench.stats)
    registry.register(collector)
    exposition = Exposition(bench.stats, registry, collector)
    first = exposition.page()[1]
    now[:] = [reading(source="second:hello", polled=2)]
    second = exposition.page()[1]
    now.clear()
    none = exposition.page()[1]

    assert (True, False) == (b'source="first:hello"' in first, b'source="first:hello"' in second)
    assert b'source="second:hello"' in second
    assert b"source=" not in none


def test_a_mapping_of_a_function_that_is_gone_is_left_out(bench):
    """Its series ended with the function's."""
    bench.stats.mappings.watch(lambda: [reading("gone")])

    assert [] == [key for key in page(bench) if ("function", "gone") in key[1]]


def test_mappings_of_one_name_and_those_above_the_cap_are_added_up():
    """Series are bounded, nothing is lost, and the overflow is counted."""
    mappings = Mappings(cap=2)
    mappings.watch(lambda: [reading(polled=1, backlog=2), reading(polled=2, oldest_age_s=3.0)])
    mappings.watch(lambda: [reading(source=f"{n}:hello", polled=10, batches=(3,)) for n in range(3)])
    hello = mappings.read()["hello"]

    assert {
        "jobs:hello": 3,
        "__other__": 30,
    } == {source: one.records["polled"] for source, one in hello.items()}
    assert (2, 3.0) == (hello["jobs:hello"].backlog, hello["jobs:hello"].oldest_age_s)
    assert (9, 3) == (hello["__other__"].batched, sum(hello["__other__"].batches))
    assert 3 == mappings.overflowed


def test_asynchronous_events_are_shown_once_there_are_any(bench):
    """Until then they would be lines of zeros for each function."""
    assert not [name for name, _ in page(bench) if name.startswith("engine_async")]
    counts = bench.stats.async_counts("hello")
    counts.accepted, counts.delivered, counts.waiting, counts.dead_letters_failed = 5, 3, 2, 1
    counts.aged(61.0)
    counts.oldest_age_s = lambda: 7.0
    shown = page(bench)
    hello = ("function", "hello")

    assert 5 == shown["engine_async_events_total", (hello, ("result", "accepted"))]
    assert 0 == shown["engine_async_events_total", (hello, ("result", "expired"))]
    assert 1 == shown["engine_dead_letters_total", (hello, ("result", "failed"))]
    assert 0 == shown["engine_destination_deliveries_total", (hello, ("result", "delivered"))]
    assert 1 == shown["engine_async_event_age_seconds_bucket", (hello, ("le", "120.0"))]
    assert 2 == shown["engine_queue_depth", (hello, ("queue", "async"))]
    assert 7.0 == shown["engine_queue_oldest_age_seconds", (hello, ("queue", "async"))]
    assert not [
        labels for _, labels in shown if ("queue", "async") in labels and ("function", "orders") in labels
    ]
