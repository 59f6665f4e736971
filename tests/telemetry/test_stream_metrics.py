"""Metrics of mappings of streams: what a live mapping counts is what the page has words for."""

from __future__ import annotations

from engine.telemetry.label_values import BATCH_OUTCOMES, DELIVERY_RESULTS, SHARD_STATES, STREAM_FATES
from engine.telemetry.mapping_readings import NO_BATCHES, MappingReading, Mappings, StreamReading
from tests.telemetry.test_mapping_metrics import page, reading


def of_stream(source="clicks:hello", *, age_s=0.5, first=1) -> MappingReading:
    """One whose numbers count up from `first`."""
    numbers = iter(range(first, first + 100))

    def counted(words):
        return {word: next(numbers) for word in words}

    stream = StreamReading(
        iterator_age_s=age_s,
        records=counted(STREAM_FATES),
        batches=counted(BATCH_OUTCOMES),
        bisects=next(numbers),
        shards=counted(SHARD_STATES),
        blocked=next(numbers),
        deliveries=counted(DELIVERY_RESULTS),
        lost_windows=next(numbers),
    )
    return MappingReading("hello", source, {"polled": 1}, NO_BATCHES, 0, stream=stream)


def test_a_mapping_of_a_stream_shows_what_it_counts(bench):
    """Beside what every mapping shows."""
    bench.stats.mappings.watch(lambda: [of_stream()])
    shown = page(bench)
    labels = (("function", "hello"), ("source", "clicks:hello"))

    def at(name, *more):
        return shown[name, tuple(sorted((*labels, *more)))]

    assert 0.5 == at("engine_stream_iterator_age_seconds")
    assert [1, 2, 3, 4, 5, 6] == [at("engine_stream_records_total", ("fate", one)) for one in STREAM_FATES]
    assert [7, 8, 9, 10] == [at("engine_stream_batches_total", ("outcome", one)) for one in BATCH_OUTCOMES]
    assert 11 == at("engine_stream_bisects_total")
    assert [12, 13, 14] == [at("engine_stream_shards", ("state", one)) for one in SHARD_STATES]
    assert 15 == at("engine_stream_blocked_shards")
    assert [16, 17] == [
        at("engine_stream_discard_deliveries_total", ("result", one)) for one in DELIVERY_RESULTS
    ]
    assert 18 == at("engine_stream_lost_windows_total")
    assert 1 == at("engine_source_records_total", ("result", "polled"))


def test_a_mapping_of_a_queue_has_nothing_of_it(bench):
    """No series at all."""
    bench.stats.mappings.watch(lambda: [reading()])

    assert [] == [name for name, _ in page(bench) if name.startswith("engine_stream_")]


def test_mappings_that_share_a_name_are_added_up():
    """Ages are the highest; one that reads no stream adds nothing."""
    mappings = Mappings()
    mappings.watch(lambda: [of_stream(age_s=3.0), of_stream(first=101), reading(source="clicks:hello")])
    both = mappings.read()["hello"]["clicks:hello"].stream

    assert (3.0, 11 + 111, 15 + 115) == (both.iterator_age_s, both.bisects, both.blocked)
    assert 18 + 118 == both.lost_windows
    assert {"delivered": 16 + 116, "failed": 17 + 117} == both.deliveries
