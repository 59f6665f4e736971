"""How long each event holds its environment, and what happens then: the deadline is applied here."""

from __future__ import annotations

from typing import Final

from engine.core.function import Function
from engine.model.simulation.workload import AttemptEnding, Workload

TIMEOUT: Final = len(AttemptEnding)
"""How an event ends whose deadline comes first, beside those of `AttemptEnding`."""


def holds(workload: Workload) -> tuple[list[float], bytearray]:
    """How long each event holds its environment, and what happens then."""
    function = workload.function
    hold_s = list(map(float, workload.service_s))
    kinds = bytearray(workload.endings) if len(workload.endings) else bytearray(len(hold_s))
    if hold_s and max(hold_s) >= function.timeout_s:
        for item, service_s in enumerate(hold_s):
            if service_s >= function.timeout_s:
                hold_s[item], kinds[item] = hold(function, service_s, kinds[item])
    return hold_s, kinds


def hold(function: Function, service_s: float, ending: int) -> tuple[float, int]:
    """How long one attempt holds its environment, and how it ends.

    In an environment that is shared, an attempt answered at its deadline holds its place until it ends.
    """
    if service_s < function.timeout_s:
        return service_s, ending
    if function.environment_concurrency == 1:
        return function.timeout_s, TIMEOUT
    return service_s, ending if ending == AttemptEnding.CRASH else TIMEOUT
