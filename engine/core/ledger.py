"""What one function has cost since the engine started: integers going in, dollars only when read."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final

from engine.core.billing import exactly, gb_seconds
from engine.core.rate import Rate

_US_PER_MS: Final = 1000


class Component(StrEnum):
    """The parts of a bill; also the metric label `component`."""

    REQUEST = "request"
    DURATION = "duration"  # handler time
    INIT = "init"  # what initialisation added to the billed time of the first invocation


class Ledger:
    """The running bill of one function, at tier-1 prices and without a free tier.

    Tiers and the free tier go by the month and over all functions: they belong to a forecast
    (`billing.duration_usd`), not to a counter. Only what ran is entered; a throttle is free.

    Attributes:
        memory_mb: Configured memory.
        rate: Price of a request and of a billed millisecond.
        requests: Invocations that ran.
        billed_ms: Their billed time, each rounded up.
        init_ms: The part of `billed_ms` that would not be there without initialisation.
        actual_us: Their time before rounding, microseconds.
    """

    __slots__ = (
        "_millisecond_ratio",
        "_request_ratio",
        "actual_us",
        "billed_ms",
        "init_ms",
        "memory_mb",
        "rate",
        "requests",
    )

    def __init__(self, rate: Rate, memory_mb: int) -> None:
        self.rate = rate
        self.memory_mb = memory_mb
        self._request_ratio = rate.request_usd.as_integer_ratio()
        self._millisecond_ratio = rate.millisecond_usd.as_integer_ratio()
        self.requests = 0
        self.billed_ms = 0
        self.init_ms = 0
        self.actual_us = 0

    def add(self, billed_ms: int, duration_us: int, init_us: int = 0) -> None:
        """Enter one invocation that ran. Hot path: integers only."""
        self.requests += 1
        self.billed_ms += billed_ms
        if init_us:
            self.init_ms += max(0, billed_ms + -duration_us // _US_PER_MS)  # billed - ceil(duration)
            duration_us += init_us
        self.actual_us += duration_us

    @property
    def rounding_us(self) -> int:
        """What rounding up to whole milliseconds has added, microseconds."""
        return self.billed_ms * _US_PER_MS - self.actual_us

    @property
    def gb_seconds(self) -> Decimal:
        """Billed GB-seconds, exact."""
        return gb_seconds(self.billed_ms, self.memory_mb)

    def cost_usd(self, component: Component | None = None) -> Decimal:
        """US dollars of one component, or of all; exact and unrounded."""
        with exactly():
            request_usd = self.requests * self.rate.request_usd
            match component:
                case Component.REQUEST:
                    return request_usd
                case Component.DURATION:
                    return (self.billed_ms - self.init_ms) * self.rate.millisecond_usd
                case Component.INIT:
                    return self.init_ms * self.rate.millisecond_usd
                case None:
                    return request_usd + self.billed_ms * self.rate.millisecond_usd

    def dollars(self) -> dict[str, float]:
        """All components, each rounded once to the nearest float: for a scrape, where Decimal is too slow."""
        numerator, denominator = self._request_ratio
        request_usd = self.requests * numerator / denominator
        numerator, denominator = self._millisecond_ratio
        return {
            "request": request_usd,
            "duration": (self.billed_ms - self.init_ms) * numerator / denominator,
            "init": self.init_ms * numerator / denominator,
        }
