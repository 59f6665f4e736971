"""A `/status.json` document as one line of numbers: what a program that watches an engine keeps of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple


class StatusSample(NamedTuple):
    """The engine at one moment.

    Attributes:
        at_s: Seconds since the sampling began.
        in_flight: Invocations that run now.
        environments: Starting, idle and busy ones.
        invocations: Ended since the start.
        throttles: Refused since the start.
        cost_usd: What all of it would have cost so far.
    """

    at_s: float
    in_flight: int
    environments: int
    invocations: int
    throttles: int
    cost_usd: float


def sample_of(status: dict[str, Any], at_s: float) -> StatusSample:
    """The sums over all functions of a /status.json document."""
    functions = status["functions"].values()
    return StatusSample(
        at_s=round(at_s, 3),
        in_flight=status["in_flight"],
        environments=sum(sum(one["environments"].values()) for one in functions),
        invocations=sum(sum(one["invocations"].values()) for one in functions),
        throttles=sum(sum(one["throttles"].values()) for one in functions),
        cost_usd=float(sum(Decimal(one["cost_usd"]["total"]) for one in functions)),
    )
