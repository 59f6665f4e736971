"""The sizes of the batches that a mapping of a stream sent, as plain numbers that are read at each scrape."""

from __future__ import annotations

from bisect import bisect_left

from engine.sources.sqs.mapping_counts import BATCH_BOUNDS


class BatchSizes:
    """Counts invocations that ran.

    Attributes:
        batches: By size: up to each of `BATCH_BOUNDS`, and above.
        batched: Records in them.
    """

    __slots__ = ("batched", "batches")

    def __init__(self) -> None:
        self.batches = [0] * (len(BATCH_BOUNDS) + 1)
        self.batched = 0

    def sent(self, size: int) -> None:
        """Count one of `size` records."""
        self.batches[bisect_left(BATCH_BOUNDS, size)] += 1
        self.batched += size
