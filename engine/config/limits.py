"""Limits that concern more than one key: what functions hold for themselves, and what is left.

Sources: Lambda Developer Guide, "Configuring reserved concurrency" and "Configuring provisioned
concurrency"; API reference, PutFunctionConcurrency and PutProvisionedConcurrencyConfig.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.config.problems import Problem
from engine.core.function import Function

UNRESERVED_MINIMUM: Final = 100
"""Concurrency that AWS keeps for functions without a reservation."""

PROVISIONED_ABOVE_RESERVED: Final = (
    "Requested Provisioned Concurrency should not be greater than the "
    "reservedConcurrentExecution for function"
)
UNRESERVED_BELOW_MINIMUM: Final = (
    "Specified ReservedConcurrentExecutions for function decreases account's "
    f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MINIMUM}]."
)


def held(function: Function) -> int:
    """Concurrency this function keeps from all others: its reservation, else what is provisioned."""
    if function.reserved_concurrency is not None:
        return function.reserved_concurrency
    return function.provisioned_concurrency


def provisioned_problems(functions: Sequence[Function]) -> list[Problem]:
    """Functions with more environments provisioned than they may have at all."""
    return [
        Problem(
            ("functions", function.name, "provisioned_concurrency"),
            f"{function.provisioned_concurrency} is above reserved_concurrency "
            f"{function.reserved_concurrency} (AWS: {PROVISIONED_ABOVE_RESERVED})",
        )
        for function in functions
        if function.reserved_concurrency is not None
        and function.provisioned_concurrency > function.reserved_concurrency
    ]


def total_problems(concurrency_limit: int, functions: Sequence[Function]) -> list[Problem]:
    """Functions that together hold more than the account has."""
    total = sum(map(held, functions))
    if total > concurrency_limit:
        holders = ", ".join(f"{function.name} {held(function)}" for function in functions if held(function))
        sentence = f"{concurrency_limit} is below {total}, what functions hold for themselves ({holders})"
        return [Problem(("engine", "concurrency_limit"), sentence)]
    return []


def limit_warnings(concurrency_limit: int, functions: Sequence[Function]) -> list[str]:
    """What AWS would refuse, though it is useful on a small machine."""
    total = sum(map(held, functions))
    left = concurrency_limit - total
    if not total or left >= UNRESERVED_MINIMUM:
        return []
    line = f"{left} of {concurrency_limit} stay unreserved; AWS refuses that: {UNRESERVED_BELOW_MINIMUM}"
    free = [function for function in functions if function.reserved_concurrency is None]
    starved = [function.name for function in free if not function.provisioned_concurrency]
    return [line, f"nothing is left for {', '.join(starved)}"] if starved and not left else [line]
