"""The smallest reservation, or the fewest provisioned environments, that keep an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from engine.core.function import Account, Function
from engine.model.queueing.prediction import Prediction

UNRESERVED: Final = 100
"""Concurrency that AWS keeps unreserved in every account."""


class Predicted(Protocol):
    """What is predicted for a function; a rough answer is less exact, and several times as fast."""

    def __call__(self, function: Function, *, rough: bool = False) -> Prediction:
        """Predict it."""


def smallest_reservation(
    predicted: Predicted, function: Function, account: Account, refused_share: float
) -> Prediction | None:
    """The prediction with the smallest reserved concurrency that refuses at most that share.

    None: not even the largest does, which leaves 100 of the account unreserved.
    """

    def reserved(number: int, *, rough: bool) -> Prediction:
        return predicted(replace(function, reserved_concurrency=number), rough=rough)

    most = account.concurrency_limit - UNRESERVED
    least = max(1, function.provisioned_concurrency)
    return _smallest(reserved, least, most, lambda found: found.throttled_share <= refused_share)


def fewest_provisioned(
    predicted: Predicted, function: Function, limit: int, cold_share: float
) -> Prediction | None:
    """The prediction with the fewest provisioned environments that leave at most that share cold.

    None: not even `limit` of them do.
    """

    def provisioned(number: int, *, rough: bool) -> Prediction:
        return predicted(replace(function, provisioned_concurrency=number), rough=rough)

    return _smallest(provisioned, 0, limit, lambda found: found.cold_share <= cold_share)


class _ByNumber(Protocol):
    def __call__(self, number: int, *, rough: bool) -> Prediction: ...


def _smallest(
    predicted: _ByNumber, least: int, most: int, good: Callable[[Prediction], bool]
) -> Prediction | None:
    """Return the exact prediction of the first number that is good; from there on all are.

    Rough answers lead near it, from what is usually in flight; exact ones go on from there, until one
    number is good and the one below is not.
    """
    usual = predicted(most, rough=True).concurrency_p99
    start = min(max(round(usual), least), most)
    near = _first_good(lambda number: good(predicted(number, rough=True)), least, most, start)
    exact: dict[int, Prediction] = {}

    def is_good(number: int) -> bool:
        exact[number] = predicted(number, rough=False)
        return good(exact[number])

    found = _first_good(is_good, least, most, most if near is None else near)
    return None if found is None else exact[found]


def _first_good(is_good: Callable[[int], bool], least: int, most: int, near: int) -> int | None:
    """Return the first good number of `least` to `most`: from `near` by steps that double, then by halves."""
    step, low, high = 1, least - 1, most + 1
    number = near
    while low < number < high:
        if is_good(number):
            high, number = number, max(number - step, least)
        else:
            low, number = number, min(number + step, most)
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if is_good(middle):
            high = middle
        else:
            low = middle
    return high if high <= most else None
