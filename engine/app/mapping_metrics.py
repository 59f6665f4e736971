"""What the metrics page shows of mappings: telemetry and sources do not know one another."""

from __future__ import annotations

from collections.abc import Iterator

from engine.sources.sqs.remote_source import RemoteSqsSource
from engine.sources.sqs.source import SqsSource
from engine.sources.streams.mappings import LiveStreamMappings
from engine.telemetry.mapping_readings import MappingReading, StreamReading


def mapping_readings(source: SqsSource | RemoteSqsSource) -> Iterator[MappingReading]:
    """The mappings that serve, at this moment."""
    for entry, now in source.statistics():
        counts = entry.counts
        yield MappingReading(
            function=entry.function,
            source=entry.name,
            records=dict(counts.by_result()),
            batches=counts.batches,
            batched=counts.batched,
            backlog=now.backlog,
            oldest_age_s=now.oldest_age_s,
            pollers=now.wanted,
            running=now.running,
        )


def stream_readings(mappings: LiveStreamMappings) -> Iterator[MappingReading]:
    """The stream mappings that read, at this moment."""
    for entry, now in mappings.statistics():
        counts = entry.counts
        yield MappingReading(
            function=entry.function,
            source=entry.name,
            records={
                "polled": counts.polled,
                "delivered": counts.invoked,
                "filtered": counts.filtered,
                "failed": counts.failed,
                "dropped": counts.dropped,
                "deleted": counts.succeeded,
            },
            batches=entry.sizes.batches,
            batched=entry.sizes.batched,
            backlog=now.waiting,
            oldest_age_s=now.oldest_age_s,
            pollers=now.shards * entry.settings.parallelization_factor,
            running=now.in_flight,
            stream=StreamReading(
                iterator_age_s=counts.iterator_age_s,
                records={
                    "read": counts.polled,
                    "filtered": counts.filtered,
                    "succeeded": counts.succeeded,
                    "exhausted": counts.exhausted,
                    "expired": counts.expired,
                    "given_back": counts.given_back,
                },
                batches={
                    "succeeded": counts.batches - counts.failed_batches,
                    "failed": counts.failed_batches - counts.partial_failures,
                    "partial": counts.partial_failures,
                    "throttled": counts.throttles,
                },
                bisects=counts.bisects,
                shards={"open": now.shards, "held": now.held_shards, "finished": now.finished_shards},
                blocked=now.blocked,
                deliveries={"delivered": entry.destination_deliveries, "failed": entry.destination_failures},
            ),
        )
