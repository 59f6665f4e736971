"""What an event source mapping on a stream was told: AWS's settings, and those of its reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.core.late_dataclass import dataclass
from engine.core.streams.records import PositionType, StreamRecord

MAX_PAYLOAD_BYTES: Final = 6_291_456
"""Bytes of event JSON in one batch. Source: Lambda Developer Guide, "Lambda quotas"."""

MAX_STATE_BYTES: Final = 1_048_576
"""State of a tumbling window, for each shard. Source: the same guide, "Tumbling windows"."""

KINESIS_POLL_INTERVAL_S: Final = 1.0
DYNAMODB_POLL_INTERVAL_S: Final = 0.25
"""Base rates: once a second, and four times a second. Source: the same guide, "Polling"."""

RETENTION_S: Final = 86_400.0
"""How long Kinesis (by default) and DynamoDB Streams keep a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Settings of one mapping. Bounds are the API's to check (CreateEventSourceMapping).

    Attributes:
        batch_size: Records in one invocation, at most; 1 to 10,000.
        batching_window_s: How long a batch that is not full may wait for more, from its first record on.
        parallelization_factor: Batches of one shard at a time, 1 to 10. With a tumbling window it is 1.
        maximum_retry_attempts: Attempts after the first; -1 = until the records are too old.
        maximum_record_age_s: Records this old are dropped; -1 = as old as `retention_s`.
        bisect: BisectBatchOnFunctionError.
        tumbling_window_s: Length of the windows; 0 = none.
        report_batch_item_failures: Whether the answer names what failed.
        starting_position: TRIM_HORIZON, LATEST or AT_TIMESTAMP. Not used where there are checkpoints.
        timestamp_s: With AT_TIMESTAMP, seconds since the epoch.
        record_filter: Whether a record is wanted; None = all are. It may not raise.
        on_failure: Whether a destination gets what is discarded: without it there is no SendToDestination.
        poll_interval_s: Wait between reads of a shard that has no more.
        list_interval_s: Wait between listings of the shards.
        read_limit: Records one read may bring: 10,000 of Kinesis, 1,000 of DynamoDB.
        retention_s: How long the stream keeps a record, until a listing says otherwise.
        buffer_records, buffer_bytes: While so much of a shard waits, it is not read.
        closed_shards_grow: The source lets closed shards grow (moto does, and writes nothing to their
            children): such a shard is read on and on, also when its children are read.
    """

    batch_size: int = 100
    batching_window_s: float = 0.0
    parallelization_factor: int = 1
    maximum_retry_attempts: int = -1
    maximum_record_age_s: float = -1.0
    bisect: bool = False
    tumbling_window_s: int = 0
    report_batch_item_failures: bool = False
    starting_position: PositionType = PositionType.TRIM_HORIZON
    timestamp_s: float | None = None
    record_filter: Callable[[StreamRecord], bool] | None = None
    on_failure: bool = False
    poll_interval_s: float = KINESIS_POLL_INTERVAL_S
    list_interval_s: float = 10.0
    read_limit: int = 10_000
    retention_s: float = RETENTION_S
    buffer_records: int = 10_000
    buffer_bytes: int = 4 * MAX_PAYLOAD_BYTES
    closed_shards_grow: bool = False

    @property
    def subshards(self) -> int:
        """Batches of one shard at a time."""
        return 1 if self.tumbling_window_s else self.parallelization_factor

    def oldest_s(self, retention_s: float) -> float:
        """At which age a record is dropped, of a stream that keeps it for `retention_s`."""
        age_s = self.maximum_record_age_s
        return retention_s if age_s < 0 else min(age_s, retention_s)
