"""What rate limits of scaling do to a load that comes suddenly: closed forms.

Sources: Lambda Developer Guide, "Understanding Lambda function scaling" and "Configuring scaling behavior
for SQS event source mappings"; AWS Lambda Operator Guide for the limits before November 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class LoadRamp(NamedTuple):
    """A step of load against a limited rate of growth.

    Attributes:
        full_after_s: Seconds until there is enough.
        refused: Requests refused until then, or messages in the queue at its longest.
        refused_share: Of those that came until then.
    """

    full_after_s: float
    refused: float
    refused_share: float


def step(
    rate_per_s: float, duration_s: float, burst: float = 1000.0, growth_per_s: float = 100.0
) -> LoadRamp:
    """A load that begins at once, at full height, with `burst` environments and `growth_per_s` more."""
    missing = rate_per_s * duration_s - burst
    if missing <= 0:
        return LoadRamp(0.0, 0.0, 0.0)
    full_after_s = missing / growth_per_s
    refused = missing * missing / (2 * growth_per_s * duration_s)
    return LoadRamp(full_after_s, refused, refused / (rate_per_s * full_after_s))


def backlog(
    rate_per_s: float,
    batch: int,
    batch_s: float,
    *,
    pollers: float = 5.0,
    growth_per_s: float = 5.0,
) -> LoadRamp:
    """A queue whose pollers grow: `refused` is the backlog at its longest, in messages; none is lost."""
    served_per_s = batch / batch_s
    missing = rate_per_s / served_per_s - pollers
    if missing <= 0:
        return LoadRamp(0.0, 0.0, 0.0)
    full_after_s = missing / growth_per_s
    peak = missing * missing * served_per_s / (2 * growth_per_s)
    return LoadRamp(full_after_s, peak, peak / (rate_per_s * full_after_s))


def provisioning_s(environments: int, per_minute: float = 6000.0, init_s: float = 0.0) -> float:
    """Seconds until provisioned concurrency can be used: all of it, at once, when the last is ready."""
    return environments / (per_minute / 60) + init_s


def bursts_before_2023(
    arrivals_per_minute: Sequence[float], limit: float, burst: float, growth_per_minute: float = 500.0
) -> list[float]:
    """Refused invocations in each minute under the limits in force until November 2023.

    Each invocation lasts a minute; the region allows `burst` at first and `growth_per_minute` more with
    each minute, up to `limit`.
    """
    return [
        max(0.0, arrivals - min(limit, burst + minute * growth_per_minute))
        for minute, arrivals in enumerate(arrivals_per_minute)
    ]
