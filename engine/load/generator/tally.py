"""Times in a histogram of three significant digits, which can be added up over processes."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from typing import Any, Final

from hdrh.histogram import HdrHistogram

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9)

_LOWEST_US: Final = 1
_HIGHEST_US: Final = 3_600_000_000
_DIGITS: Final = 3
_STEPS_PER_DECADE: Final = 12


class Tally:
    """Counts times of up to an hour.

    Attributes:
        count: How many.
        sum_s: Of all of them, seconds.
        bounds: Upper bounds of Prometheus's buckets, seconds.
        buckets: Counts between them; the last is above every bound.
    """

    __slots__ = ("_times", "bounds", "buckets", "count", "sum_s")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._times = HdrHistogram(_LOWEST_US, _HIGHEST_US, _DIGITS)
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.count = 0
        self.sum_s = 0.0

    def add(self, time_s: float) -> None:
        """Count one time, seconds."""
        self.count += 1
        self.sum_s += time_s
        self.buckets[bisect_left(self.bounds, time_s)] += 1
        self._times.record_value(min(max(round(time_s * 1e6), _LOWEST_US), _HIGHEST_US))

    def merge(self, other: Tally) -> None:
        """Add what `other` counted."""
        self.count += other.count
        self.sum_s += other.sum_s
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self._times.add(other._times)

    def ms(self, percent: float) -> float:
        """The time that `percent` per cent did not exceed, milliseconds; 0 if nothing was counted."""
        return round(self._times.get_value_at_percentile(percent) / 1000, 3) if self.count else 0.0

    def spread_ms(self) -> dict[str, float]:
        """The usual percentiles, and the highest, milliseconds."""
        found = self._all_ms([*PERCENTILES, 100.0])
        return {**{f"p{percent:g}": found[percent] for percent in PERCENTILES}, "max": found[100.0]}

    def curve_ms(self) -> list[tuple[float, float]]:
        """Percentile and milliseconds, as far as there is data: each nine has as many points as the last."""
        decades = math.log10(self.count) if self.count else -1.0
        steps = range(math.floor(decades * _STEPS_PER_DECADE) + 1)
        percents = [round(100 - 100 * 10 ** (-step / _STEPS_PER_DECADE), 6) for step in steps]
        found = self._all_ms(percents)
        return [(percent, found[percent]) for percent in percents]

    def _all_ms(self, percents: list[float]) -> dict[float, float]:
        """Several percentiles in one walk, which takes milliseconds."""
        if not self.count:
            return dict.fromkeys(percents, 0.0)
        found = self._times.get_percentile_to_value_dict(percents)
        return {percent: round(found[percent] / 1000, 3) for percent in percents}

    def cumulated(self) -> list[tuple[str, float]]:
        """Prometheus's buckets: upper bound as text, and how many did not exceed it."""
        names = [*(str(bound) for bound in self.bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.buckets)), strict=True))

    def encoded(self) -> dict[str, Any]:
        """Return the counts in a form for another process."""
        return {"sum_s": self.sum_s, "buckets": self.buckets, "times": self._times.encode().decode()}

    @classmethod
    def decoded(cls, encoded: dict[str, Any], bounds: tuple[float, ...]) -> Tally:
        """Return the tally that another process encoded."""
        tally = cls(bounds)
        tally.sum_s, tally.buckets = encoded["sum_s"], encoded["buckets"]
        tally.count = sum(tally.buckets)
        tally._times.decode_and_add(encoded["times"])
        return tally
