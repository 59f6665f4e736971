"""What a mapping on a stream asks of its driver, and what it is told about invocations."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from engine.core.late_dataclass import dataclass
from engine.core.streams.records import StreamPosition, StreamRecord


class ListShards(NamedTuple):
    """List all shards, not before `not_before_s`; tell `shards_listed` or `listing_failed`.

    One at a time; when the mapping is paused it may be dropped.
    """

    not_before_s: float


class ReadShard(NamedTuple):
    """Read one page; tell `read` or `read_failed` with this very command.

    Of each shard there is one at a time. When the mapping is paused those that are open may be dropped; their
    answers change nothing. A driver that knows that there is something may read earlier.

    Attributes:
        shard_id: The shard.
        cursor: The iterator that the last page brought; None = get one for `position`.
        position: Where `cursor` stands, or (while nothing was read) where reading began.
        limit: Records, at most.
        not_before_s: When; in the past = at once.
    """

    shard_id: str
    cursor: Any
    position: StreamPosition
    limit: int
    not_before_s: float


class TumblingWindow(NamedTuple):
    """What an event says of its window.

    Attributes:
        start_s, end_s: Seconds since the epoch; the end is not in it.
        state: JSON text: what the last invocation of the window answered, `{}` at first.
        is_final: `isFinalInvokeForWindow`: the window is over, there are no records.
        is_terminated_early: `isWindowTerminatedEarly`: it is over because its state became too large.
    """

    start_s: int
    end_s: int
    state: str
    is_final: bool = False
    is_terminated_early: bool = False


class StreamBatch:
    """Records of one shard that are invoked with together, in order. The kernel's own, to be read only.

    Attributes:
        shard_id: Their shard.
        subshard: Number of the subshard: one batch of each is with the function at a time.
        records: At least one, but for the final invocation of a window.
        attempt: Which invocation this is, from 1. Throttles are not counted; a part of a batch that was split
            has the attempts of the whole, without the one after which it was split.
        window: With a tumbling window, else None.
    """

    __slots__ = (
        "attempt",
        "failures",
        "records",
        "request_id",
        "seen",
        "shard_id",
        "subshard",
        "throttles",
        "version",
        "window",
    )

    def __init__(
        self,
        shard_id: str,
        subshard: int,
        records: Sequence[StreamRecord],
        window: TumblingWindow | None = None,
    ) -> None:
        self.shard_id, self.subshard, self.records, self.window = shard_id, subshard, records, window
        self.attempt = 1
        self.request_id: str | None = None  # of the last invocation
        self.version = "$LATEST"
        self.failures = 0  # invocations with these records that failed
        self.throttles = 0  # in a row
        self.seen = False  # the function was invoked with all of them before

    def go_on_from(self, before: StreamBatch) -> None:
        """Its records are those of a batch that was tried."""
        self.failures, self.attempt, self.throttles = before.failures, before.attempt, before.throttles
        self.request_id, self.version = before.request_id, before.version

    def __repr__(self) -> str:
        span = f"{self.records[0].sequence}-{self.records[-1].sequence}" if self.records else "no records"
        return f"{self.shard_id}/{self.subshard} {span}, attempt {self.attempt}"


class InvokeBatch(NamedTuple):
    """InvokeBatch the function with `batch`, synchronously; tell `ended`."""

    batch: StreamBatch


class ResultKind(StrEnum):
    """How an invocation ended.

    FAILED: function error (exception, time-out, exit). THROTTLED: it did not run (throttle, service error):
    not an attempt.
    """

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    THROTTLED = "throttled"


class BatchResult(NamedTuple):
    """How the invocation with a batch ended.

    Attributes:
        kind: How.
        body: What the function answered; looked at where the settings ask for it.
        request_id: Of the invocation.
        version: `executedVersion`.
    """

    kind: ResultKind
    body: bytes = b""
    request_id: str | None = None
    version: str = "$LATEST"


class DiscardCondition(StrEnum):
    """Why records were discarded: AWS's words."""

    RETRY_ATTEMPTS_EXHAUSTED = "RetryAttemptsExhausted"
    RECORD_AGE_EXCEEDED = "RecordAgeExceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscardedBatch:
    """Records that were given up.

    Attributes:
        shard_id: Their shard.
        records: One or more, in order.
        condition: Why.
        invoke_count: Invocations with them, at least 1.
        failed_by_error: The last ended in a function error; False = it named what failed.
        request_id: Of the last invocation, or None if there was none.
        version: `executedVersion` of it.
        at_s: When they were given up.
    """

    shard_id: str
    records: Sequence[StreamRecord]
    condition: DiscardCondition
    invoke_count: int
    failed_by_error: bool
    request_id: str | None
    version: str
    at_s: float


class SendToDestination(NamedTuple):
    """Send the record of `discarded` (`destination_record.py`); only with `StreamSettings.on_failure`.

    A failure is the driver's to count: nothing waits for it.
    """

    discarded: DiscardedBatch


class StreamNoticeKind(StrEnum):
    """What is told.

    STREAM_GONE: the stream is not there any more; it is looked for from time to time. STREAM_BACK: it is
    there again and read from its beginning. TRIMMED: records were lost before they were read. WINDOW_LOST:
    the last invocation of a tumbling window was given up.
    """

    STREAM_GONE = "stream gone"
    STREAM_BACK = "stream back"
    TRIMMED = "trimmed"
    WINDOW_LOST = "window lost"


class StreamNotice(NamedTuple):
    """One line for the log.

    Attributes:
        kind: A word for metrics.
        text: What happened, and what follows.
    """

    kind: StreamNoticeKind
    text: str


StreamCommand: TypeAlias = ListShards | ReadShard | InvokeBatch | SendToDestination | StreamNotice
