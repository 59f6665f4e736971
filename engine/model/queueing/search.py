"""The smallest reservation, or the fewest provisioned environments, that keep an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from engine.core.function import Account, Function
from engine.model.queueing.prediction import Prediction

UNRESERVED: Final = 100
"""Concurrency that AWS keeps unreserved in every account."""


def smallest_reservation(
    predicted: Callable[[Function], Prediction], function: Function, account: Account, refused_share: float
) -> Prediction | None:
    """The prediction with the smallest reserved concurrency that refuses at most that share.

    None: not even the largest does, which leaves 100 of the account unreserved.
    """

    def reserved(number: int) -> Prediction:
        return predicted(replace(function, reserved_concurrency=number))

    most = account.concurrency_limit - UNRESERVED
    least = max(1, function.provisioned_concurrency)
    return _smallest(reserved, least, most, lambda found: found.throttled_share <= refused_share)


def fewest_provisioned(
    predicted: Callable[[Function], Prediction], function: Function, limit: int, cold_share: float
) -> Prediction | None:
    """The prediction with the fewest provisioned environments that leave at most that share cold.

    None: not even `limit` of them do.
    """

    def provisioned(number: int) -> Prediction:
        return predicted(replace(function, provisioned_concurrency=number))

    return _smallest(provisioned, 0, limit, lambda found: found.cold_share <= cold_share)


def _smallest(
    predicted: Callable[[int], Prediction], low: int, most: int, good: Callable[[Prediction], bool]
) -> Prediction | None:
    """By doubling, then by halves: what is asked for is kept from some number on."""
    high, best = low, predicted(low)
    if good(best):
        return best
    while not good(best):
        if high >= most:
            return None
        low, high = high, min(most, max(2 * high, high + 8))
        best = predicted(high)
    while high - low > 1:
        middle = (low + high) // 2
        found = predicted(middle)
        if good(found):
            high, best = middle, found
        else:
            low = middle
    return best
