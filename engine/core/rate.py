"""What one request and one billed millisecond of a function cost."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


class Rate(NamedTuple):
    """What one request and one billed millisecond of a given memory size cost, in US dollars."""

    request_usd: Decimal
    millisecond_usd: Decimal

    def cost_usd(self, billed_ms: int) -> Decimal:
        """One request plus its billed time; exact and unrounded. Round once, on the final sum."""
        return self.request_usd + self.millisecond_usd * billed_ms
