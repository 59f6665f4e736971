"""What became of the records of a mapping, in numbers."""

from __future__ import annotations

from typing import Final, NamedTuple


class StreamCounts:
    """Plain counters since the mapping began, read at each scrape.

    Of records: `polled == filtered + invoked + dropped_unseen + given_back + waiting`, and of those invoked
    with, each is one of `succeeded` and dropped in the end, unless it was given back.

    Attributes:
        polled: Records read: PolledEventCount. Those skipped as `repeated` are not in it.
        filtered: Records the filter did not want: FilteredOutEventCount.
        invoked: Records the function was invoked with for the first time: InvokedEventCount.
        failed: Records of invocations that failed, each time: FailedInvokeEventCount.
        succeeded: Records done with well.
        exhausted: Records discarded because all attempts failed. With `expired` DroppedEventCount.
        expired: Records discarded because of their age.
        dropped_unseen: Of those, records the function was never invoked with.
        given_back: Records not done with when the mapping was paused or the stream vanished; they are polled
            again. Only those not yet invoked with.
        repeated: Records skipped because they had been done with before a pause or restart.
        batches: Invocations that ran, each attempt.
        failed_batches: Those of them that failed, wholly or in part.
        partial_failures: Those of them whose answer named where to go on.
        bisects: Batches that were split.
        throttles: Invocations that did not run.
        discards: Batches given up: records for the destination.
        windows: Tumbling windows ended.
        terminated_windows: Those ended early, because of their state.
        lost_windows: Those whose last invocation was given up: nobody has their state.
        reads, empty_reads, failed_reads, listings: Calls that were answered.
        trimmed: Reads whose position was no longer kept: records were lost.
        iterator_age_s: Age of the last record of the batch that ended last.
    """

    __slots__ = (
        "batches",
        "bisects",
        "discards",
        "dropped_unseen",
        "empty_reads",
        "exhausted",
        "expired",
        "failed",
        "failed_batches",
        "failed_reads",
        "filtered",
        "given_back",
        "invoked",
        "iterator_age_s",
        "listings",
        "lost_windows",
        "partial_failures",
        "polled",
        "reads",
        "repeated",
        "succeeded",
        "terminated_windows",
        "throttles",
        "trimmed",
        "windows",
    )

    def __init__(self) -> None:
        self.polled = self.filtered = self.invoked = self.failed = self.succeeded = 0
        self.exhausted = self.expired = self.dropped_unseen = self.given_back = self.repeated = 0
        self.batches = self.failed_batches = self.partial_failures = self.bisects = 0
        self.throttles = self.discards = 0
        self.windows = self.terminated_windows = self.lost_windows = 0
        self.reads = self.empty_reads = self.failed_reads = self.listings = self.trimmed = 0
        self.iterator_age_s = 0.0

    @property
    def dropped(self) -> int:
        """Records discarded: DroppedEventCount."""
        return self.exhausted + self.expired


class StreamReport(NamedTuple):
    """A mapping at one moment.

    Attributes:
        shards: Shards that are read or have records in hand.
        held_shards: Shards that wait for their parents.
        finished_shards: Shards done with that are still listed.
        in_flight: Batches that are with the function.
        blocked: Sub-shards whose batch failed or was throttled and is not done with.
        waiting: Records the function was not invoked with yet.
        oldest_age_s: Age of the oldest record that is not done with, 0 = there is none.
    """

    shards: int
    held_shards: int
    finished_shards: int
    in_flight: int
    blocked: int
    waiting: int
    oldest_age_s: float


NOTHING_AT_WORK: Final = StreamReport(0, 0, 0, 0, 0, 0, 0.0)
"""Of a mapping that does not read."""
