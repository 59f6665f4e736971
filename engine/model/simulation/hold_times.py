"""How long each event holds its environment, and what happens then: the deadline is applied here."""

from __future__ import annotations

from typing import Final

from engine.model.simulation.workload import AttemptEnding, Workload

TIMEOUT: Final = len(AttemptEnding)
"""How an event ends whose deadline comes first, beside those of `AttemptEnding`."""


def holds(workload: Workload) -> tuple[list[float], bytearray]:
    """How long each event holds its environment, and what happens then."""
    timeout_s = workload.function.timeout_s
    hold_s = list(map(float, workload.service_s))
    kinds = bytearray(workload.endings) if len(workload.endings) else bytearray(len(hold_s))
    if hold_s and max(hold_s) >= timeout_s:
        shared = workload.function.environment_concurrency > 1
        for item, service_s in enumerate(hold_s):
            if service_s < timeout_s:
                continue
            if not shared:
                hold_s[item], kinds[item] = timeout_s, TIMEOUT
            elif kinds[item] != AttemptEnding.CRASH:
                kinds[item] = TIMEOUT  # answered at its deadline, it holds its place until it ends
    return hold_s, kinds
