"""Classes of times fine enough for percentiles: 16 for each doubling, as Prometheus's native schema 4 has.

Class `n` holds what is above 2^((n-1)/16) seconds and up to 2^(n/16). A histogram's lowest class holds all
that is not above its upper bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2
from typing import Final

SCHEMA: Final = 4
"""Prometheus's name for 2^4 classes a doubling."""
PER_DOUBLING: Final = 2**SCHEMA
ERROR: Final = 2 ** (0.5 / PER_DOUBLING) - 1
"""A percentile is the middle of its class: it is off by at most so large a share of it, 2.2 %."""

LOWEST: Final = -20 * PER_DOUBLING
"""Up to a microsecond."""
LEAST_S: Final = 2.0**-20
LOWEST_WAIT: Final = -11 * PER_DOUBLING
"""Up to half a millisecond: what is not worth a look when it is waited, and is the rule."""
LEAST_WAIT_S: Final = 2.0**-11


def class_of(value: float) -> int:
    """The class of a value above 0."""
    return ceil(PER_DOUBLING * log2(value))


def upper_bound(number: int) -> float:
    """The highest value of a class."""
    return float(2 ** (number / PER_DOUBLING))


def percentile(classes: Mapping[int, int], q: float, lowest: int = LOWEST) -> float | None:
    """The value below which a share `q` of what was counted lies, or None if nothing was.

    Right to `ERROR`; in the lowest class, where nothing is known but its bound, it is interpolated.
    """
    rank = q * sum(classes.values())
    below = 0
    for number in sorted(classes):
        inside = classes[number]
        if inside and below + inside >= rank:
            if number == lowest:
                return upper_bound(lowest) * rank / inside
            return upper_bound(number) / (1 + ERROR)
        below += inside
    return None


def gained(before: Mapping[int, int], after: Mapping[int, int]) -> dict[int, int]:
    """What was counted between two moments."""
    return {number: max(0, count - before.get(number, 0)) for number, count in after.items()}
