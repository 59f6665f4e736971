"""The settings of a mapping as its kernel takes them."""

from __future__ import annotations

from typing import Final

from engine.core.streams.records import PositionType
from engine.core.streams.settings import (
    DYNAMODB_POLL_INTERVAL_S,
    KINESIS_POLL_INTERVAL_S,
    StreamSettings,
)
from engine.sources.streams import dynamodb, kinesis
from engine.sources.streams.filters import record_filter
from engine.sources.streams.port import StreamClient
from engine.sources.streams.settings import AT_AWS, KinesisEvent, StreamEvent

_LISTED_EVERY_S: Final = 1.0
_LISTED_AT_AWS_EVERY_S: Final = 10.0


def kernel_settings(settings: StreamEvent, client: StreamClient) -> StreamSettings:
    """Both in one. A stream that is not there yet is looked for as often as shards are listed."""
    of_kinesis = isinstance(settings, KinesisEvent)
    interval_s = KINESIS_POLL_INTERVAL_S if of_kinesis else DYNAMODB_POLL_INTERVAL_S
    return StreamSettings(
        batch_size=settings.batch_size,
        batching_window_s=settings.maximum_batching_window_s,
        parallelization_factor=settings.parallelization_factor,
        maximum_retry_attempts=settings.maximum_retry_attempts,
        maximum_record_age_s=settings.maximum_record_age_s,
        bisect=settings.bisect_batch_on_function_error,
        tumbling_window_s=settings.tumbling_window_s,
        report_batch_item_failures=settings.report_batch_item_failures,
        starting_position=PositionType(settings.starting_position),
        timestamp_s=settings.starting_position_timestamp_s if isinstance(settings, KinesisEvent) else None,
        record_filter=record_filter(settings.type, settings.filters),
        on_failure=settings.on_failure is not None,
        poll_interval_s=settings.poll_interval_s or interval_s,
        list_interval_s=_LISTED_AT_AWS_EVERY_S if settings.endpoint_url == AT_AWS else _LISTED_EVERY_S,
        read_limit=kinesis.READ_LIMIT if of_kinesis else dynamodb.READ_LIMIT,
        closed_shards_grow=client.closed_shards_grow,
    )
