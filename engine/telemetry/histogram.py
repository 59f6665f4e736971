"""Counts between bounds: what is behind every histogram of the catalogue."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Self


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


class TracedHistogram(Histogram):
    """Keeps, for each bucket, the last value that is worth a look, with the request it belongs to.

    Attributes:
        exemplars: By bucket, value, request id and trace header; buckets without one are left out.
    """

    __slots__ = ("exemplars",)

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__(bounds)
        self.exemplars: dict[int, tuple[float, str, str | None]] = {}
