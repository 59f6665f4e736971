"""How many requests would be under way if none were refused: the mean, at any moment, for any law of runs.

m(t) = E[S] E[rate(t - age)], where the age of a request that is under way has the density P(S > u) / E[S].
It begins from nothing at time 0. The count itself is Poisson with that mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import count as counting
from typing import Final

from engine.model.distributions import Distribution, excess_s
from engine.model.traffic.shapes import Shape

_AGES: Final = 24
_BINS: Final = 240
"""Groups of similar loads among which time is counted."""

_NORMAL_FROM: Final = 1e4
_ROOT2: Final = math.sqrt(2)


class OfferedLoad:
    """The mean number under way.

    Attributes:
        service_s: Mean run, seconds.
        longest_s: Longest run that matters, seconds.
        variation: Variance of the runs over the square of their mean.
    """

    def __init__(self, shape: Shape, service: Distribution) -> None:
        self._shape = shape
        self.service_s = service.mean_s
        self._ages_s = excess_s(service, _AGES)
        self.longest_s = self._ages_s[-1] * 1.5
        mean_age_s = math.fsum(self._ages_s) / _AGES  # E[S^2] / (2 E[S])
        self.variation = max(0.0, 2 * mean_age_s / self.service_s - 1)
        self._wave: tuple[float, float, float] | None = None
        if shape.kind == "sine" and shape.numbers[1] <= shape.numbers[0]:
            w = 2 * math.pi / shape.period_s
            cosine = math.fsum(math.cos(w * one) for one in self._ages_s) / _AGES
            sine = math.fsum(math.sin(w * one) for one in self._ages_s) / _AGES
            self._wave = w, cosine, sine

    def at(self, now_s: float, steady_from_s: float = math.inf) -> float:
        """The mean number under way at that moment; the rate is what it was at `steady_from_s`."""
        oldest_s = now_s - self._ages_s[-1]
        if oldest_s >= steady_from_s:
            return self.service_s * self._shape.rate_per_s(oldest_s)
        if self._wave is not None and oldest_s >= 0:
            w, cosine, sine = self._wave
            mean, amplitude, _ = self._shape.numbers
            return self.service_s * (
                mean + amplitude * (math.sin(w * now_s) * cosine - math.cos(w * now_s) * sine)
            )
        rate = self._shape.rate_per_s
        total = math.fsum(rate(now_s - age_s) for age_s in self._ages_s if age_s <= now_s)
        return self.service_s * total / _AGES


def in_flight_quantile(loads: Sequence[tuple[float, float]], share: float) -> int:
    """The count that is not exceeded for that share of time: Poisson about each (mean, seconds)."""
    if not loads:
        return 0
    grouped: dict[int, tuple[float, float]] = {}
    for mean, seconds in loads:
        place = round(math.log(mean) * _BINS / 20) if mean > 1e-6 else -10_000
        weight, moment = grouped.get(place, (0.0, 0.0))
        grouped[place] = weight + seconds, moment + mean * seconds
    groups = [(moment / weight, weight) for weight, moment in grouped.values() if weight]
    everything = math.fsum(weight for _, weight in groups)

    def below(count: int) -> float:
        return math.fsum(weight * poisson_below(count, mean) for mean, weight in groups) / everything

    high = 1
    while below(high) < share:
        high *= 2
    low = -1
    while high - low > 1:
        middle = (low + high) // 2
        if below(middle) >= share:
            high = middle
        else:
            low = middle
    return high


def poisson_below(count: int, mean: float) -> float:
    """P(N <= count) for a Poisson count."""
    if mean <= 0:
        return 1.0
    if count < 0:
        return 0.0
    if mean > _NORMAL_FROM:
        return 0.5 * math.erfc(-(count + 0.5 - mean) / math.sqrt(mean) / _ROOT2)
    spread = math.sqrt(mean)
    if count > mean + 12 * spread + 20:
        return 1.0
    if count < mean - 12 * spread:
        return 0.0
    if (
        count >= mean
    ):  # from the small side: towards the mean, the first term of a tiny one is 0, and so all are
        return 1 - _summed(count + 1, mean, (mean / number for number in counting(count + 2)))
    return min(1.0, _summed(count, mean, (number / mean for number in range(count, 0, -1))))


def _summed(first: int, mean: float, ratios: Iterable[float]) -> float:
    """P(N = first) and what follows it, each term by its ratio to the one before, all below 1."""
    term = math.exp(first * math.log(mean) - mean - math.lgamma(first + 1))
    total = term
    for ratio in ratios:
        term *= ratio
        total += term
        if term <= 1e-16 * total:
            break
    return total
