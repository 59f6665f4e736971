"""What live mappings of streams give to the metrics page."""

from __future__ import annotations

from types import SimpleNamespace

from engine.app.streams import stream_readings
from engine.core.streams.counts import StreamCounts, StreamReport
from engine.sources.streams.batch_sizes import BatchSizes
from engine.sources.streams.settings import KinesisEvent
from engine.telemetry.label_values import (
    BATCH_OUTCOMES,
    DELIVERY_RESULTS,
    RECORD_RESULTS,
    SHARD_STATES,
    STREAM_FATES,
)


def test_what_a_mapping_of_a_stream_counts_has_the_words_of_the_page():
    """Telemetry and sources do not know one another: this is what holds them together."""
    counts, sizes = StreamCounts(), BatchSizes()
    counts.batches, counts.failed_batches, counts.partial_failures, counts.throttles = 10, 4, 1, 2
    sizes.sent(100)
    entry = SimpleNamespace(
        function="work",
        name="s:work",
        counts=counts,
        sizes=sizes,
        settings=KinesisEvent(stream="s", parallelization_factor=4),
        destination_deliveries=1,
        destination_failures=2,
        earlier={},
    )
    report = StreamReport(
        shards=3,
        held_shards=1,
        finished_shards=2,
        in_flight=5,
        blocked=1,
        waiting=7,
        oldest_age_s=1.5,
    )
    [shown] = stream_readings(SimpleNamespace(statistics=lambda: iter([(entry, report)])))

    assert ("work", "s:work", 7, 1.5, 12, 5, 100) == (
        shown.function,
        shown.source,
        shown.backlog,
        shown.oldest_age_s,
        shown.pollers,
        shown.running,
        shown.batched,
    )
    assert set(RECORD_RESULTS) - {"deleted"} == set(shown.records)
    assert 100 == shown.records["delivered"]
    assert set(STREAM_FATES) == set(shown.stream.records)
    assert dict(zip(BATCH_OUTCOMES, (6, 3, 1, 2), strict=True)) == shown.stream.batches
    assert dict(zip(SHARD_STATES, (3, 1, 2), strict=True)) == shown.stream.shards
    assert dict(zip(DELIVERY_RESULTS, (1, 2), strict=True)) == shown.stream.deliveries
