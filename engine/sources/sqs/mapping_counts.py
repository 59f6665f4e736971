"""What a mapping did, as plain numbers that are read at each scrape."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

BATCH_BOUNDS: Final = (1, 2, 5, 10, 50, 100, 1_000, 10_000)
"""Upper bounds of the buckets of batch sizes."""


class MappingCounts:
    """Messages, by what became of them, and the sizes of the batches sent.

    Attributes:
        polled: Messages received (AWS: PolledEventCount).
        filtered: Deleted because no filter matched (FilteredOutEventCount).
        delivered: Messages a function ran for (InvokedEventCount); once for each attempt.
        failed: Of these, messages whose attempt failed (FailedInvokeEventCount).
        deleted: Of these, messages that are done with (DeletedEventCount).
        returned: Messages that went back without an attempt: throttled for too long, or at a stop.
        throttled: Batches that were refused for lack of concurrency, each attempt counted.
        batches: Batches by size: up to each of `BATCH_BOUNDS`, and above.
        batched: Messages in these batches.
    """

    __slots__ = (
        "batched",
        "batches",
        "deleted",
        "delivered",
        "failed",
        "filtered",
        "polled",
        "returned",
        "throttled",
    )

    def __init__(self) -> None:
        self.polled = self.filtered = self.delivered = self.failed = self.deleted = 0
        self.returned = self.throttled = self.batched = 0
        self.batches = [0] * (len(BATCH_BOUNDS) + 1)

    def sent(self, size: int) -> None:
        """Count a batch of `size` messages that was sent to the function."""
        self.batches[bisect_left(BATCH_BOUNDS, size)] += 1
        self.batched += size

    def by_result(self) -> Mapping[str, int]:
        """Values of `engine_source_records_total` by the label `result`."""
        return {
            "polled": self.polled,
            "delivered": self.delivered,
            "filtered": self.filtered,
            "failed": self.failed,
            "dropped": self.returned,
            "deleted": self.deleted,
        }
