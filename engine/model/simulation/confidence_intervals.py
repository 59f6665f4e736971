"""How sure a share is that was counted: the exact binomial interval, right for rare events too.

Clopper and Pearson, 95 %. Events that come in clusters, as cold starts do, tell less than their number says:
the interval is that of the clusters, whose mean size is the index of dispersion of counts in windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

WINDOWS: Final = 20
"""Windows of equal length in which events are counted to see whether they come in clusters."""

_TAIL: Final = 0.025
_Z95: Final = 1.959964
_TINY: Final = 1e-300
_MAX_TERMS: Final = 10_000


def share_interval(count: float, of: float, dispersion: float = 1.0) -> tuple[float, float]:
    """The shares between which `count` of `of` lies with 95 %; (0, 1) if `of` is 0.

    Args:
        count: Events, 0 or more.
        of: Out of so many, at least `count`.
        dispersion: Mean size of a cluster of events, 1 or more.
    """
    if of <= 0:
        return 0.0, 1.0
    k, n = count / dispersion, max(of / dispersion, 1.0)
    low = 0.0 if k <= 0 else _beta_quantile(_TAIL, k, n - k + 1)
    high = 1.0 if k >= n else _beta_quantile(1 - _TAIL, k + 1, n - k)
    return low, high


def count_interval(count: int) -> tuple[float, float]:
    """The means between which a Poisson count lies with 95 %, by Wilson and Hilferty: within 3 %."""
    low = 0.0 if not count else count * (1 - 1 / (9 * count) - _Z95 / (3 * math.sqrt(count))) ** 3
    more = count + 1
    return low, more * (1 - 1 / (9 * more) + _Z95 / (3 * math.sqrt(more))) ** 3


def dispersion(moments_s: Iterable[float], horizon_s: float) -> float:
    """Variance over mean of the counts in `WINDOWS` equal windows, at least 1: mean size of a cluster."""
    counts = [0] * WINDOWS
    for moment_s in moments_s:
        counts[min(WINDOWS - 1, max(0, int(moment_s / horizon_s * WINDOWS)))] += 1
    mean = sum(counts) / WINDOWS
    if not mean:
        return 1.0
    variance = sum((count - mean) ** 2 for count in counts) / (WINDOWS - 1)
    return max(1.0, variance / mean)


def _beta_quantile(share: float, a: float, b: float) -> float:
    """The x with P(X <= x) = `share` of a beta distribution, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _beta_below(middle, a, b) < share:
            low = middle
        else:
            high = middle
        if high - low < 1e-9 * high:
            break
    return (low + high) / 2


def _beta_below(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(log_front)
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's method."""
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _MAX_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + term * d
            d = 1 / (d if abs(d) > _TINY else _TINY)
            c = 1 + term / c
            c = c if abs(c) > _TINY else _TINY
            value *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return value
