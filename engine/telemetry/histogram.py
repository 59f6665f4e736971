"""Counts between bounds, what is behind every histogram of the catalogue; and the bounds of each."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Self

from engine.telemetry.fine_classes import LOWEST, PER_DOUBLING, class_of, upper_bound

Bounds = tuple[float, ...]
"""Of any length, so that a compiled module takes it as one object, not apart into so many floats."""

HANDLER_BOUNDS_S: Final[Bounds] = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0),
)
"""Up to Lambda's 15 minutes."""

QUEUE_WAIT_BOUNDS_S: Final[Bounds] = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 25.0, 60.0),
)

INIT_BOUNDS_S: Final[Bounds] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)

OVERHEAD_BOUNDS_S: Final[Bounds] = (
    *(0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001),
    *(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
)

FIRST_BYTE_BOUNDS_S: Final[Bounds] = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 60.0),
)

FROM_ZERO_BOUNDS_S: Final[Bounds] = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

RATIO_BOUNDS: Final[Bounds] = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)

BYTES_BOUNDS: Final[Bounds] = tuple(float(4**power) for power in range(3, 16))
"""64 bytes to 1 GiB."""

BATCH_BOUNDS: Final[Bounds] = (1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1_000.0, 10_000.0)
"""Messages of a batch: the bounds of `sources.sqs.mapping_counts`."""

ASYNC_AGE_BOUNDS_S: Final[Bounds] = (
    *(0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0),
    *(60.0, 120.0, 180.0, 300.0, 900.0, 3_600.0, 21_600.0),
)
"""Up to the six hours that AWS keeps an asynchronous event."""

DURABLE_BOUNDS_S: Final[Bounds] = (
    *(0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0),
    *(86_400.0, 604_800.0, 2_592_000.0, 31_622_400.0),
)
"""Up to the 366 days that a durable execution may take."""

LOOP_LAG_BOUNDS_S: Final[Bounds] = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


def buckets_of_classes(bounds: Bounds) -> dict[int, int]:
    """By fine class, the bucket that holds all of it. Those that a bound cuts are left out."""
    cut = {class_of(bound) for bound in bounds}
    whole = (number for number in range(LOWEST + 1, class_of(bounds[-1]) + PER_DOUBLING) if number not in cut)
    return {number: bisect_left(bounds, upper_bound(number)) for number in whole}


class Histogram:
    """Counts between bounds, and the sum. A value on a bound belongs below it, as Prometheus's `le`."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last is above every bound
        self.sum = 0.0

    @classmethod
    def of(cls, bounds: tuple[float, ...], counts: Sequence[int], total: float) -> Self:
        """One that was counted elsewhere."""
        made = cls(bounds)
        made.counts, made.sum = list(counts), total
        return made

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)


class FineHistogram(Histogram):
    """Counts in fine classes too, for percentiles.

    Attributes:
        fine: By class, what is above the lowest one; the rest of the count is in that.
        lowest: The lowest class.
    """

    __slots__ = ("fine", "lowest")

    def __init__(self, bounds: tuple[float, ...], lowest: int = LOWEST) -> None:
        super().__init__(bounds)
        self.lowest = lowest
        self.fine: defaultdict[int, int] = defaultdict(int)

    def observe(self, value: float) -> None:
        """Count one value."""
        super().observe(value)
        if value > upper_bound(self.lowest):
            self.fine[class_of(value)] += 1

    @property
    def classes(self) -> dict[int, int]:
        """All classes in which something was counted, the lowest one too."""
        rest = self.count - sum(self.fine.values())
        return {self.lowest: rest, **self.fine} if rest else dict(self.fine)

    def add(self, other: FineHistogram) -> None:
        """Count what `other`, of the same bounds, counted."""
        self.counts = [*map(int.__add__, self.counts, other.counts)]
        self.sum += other.sum
        for number, count in other.fine.items():
            self.fine[number] += count


class TracedHistogram(FineHistogram):
    """Keeps, for each bucket, the last value that is worth a look, with the request it belongs to.

    Attributes:
        exemplars: By bucket, value, request id and trace header; buckets without one are left out.
    """

    __slots__ = ("exemplars",)

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__(bounds)
        self.exemplars: dict[int, tuple[float, str, str | None]] = {}
