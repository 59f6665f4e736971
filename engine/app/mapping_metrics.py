"""What the metrics page shows of mappings: telemetry and sources do not know one another."""

from __future__ import annotations

from collections.abc import Iterator

from engine.sources.sqs.remote_source import RemoteSqsSource
from engine.sources.sqs.source import SqsSource
from engine.telemetry.mapping_readings import MappingReading


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
