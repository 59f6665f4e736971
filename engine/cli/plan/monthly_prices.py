"""What a predicted load costs in a month: Lambda, what stands before it, and a plan's commitment."""

from __future__ import annotations

from decimal import Decimal

from engine.core.late_dataclass import dataclass
from engine.model.cost.bill import Bill, FreeTierChoice, bill
from engine.model.cost.commitments import PlanOffer, best_commitment_usd, committed, plan_offers
from engine.model.cost.monthly import Month, around
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import DAY_S, Usage, total
from engine.model.queueing.prediction import Prediction
from engine.model.traffic.shapes import Shape

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class MonthlyPrices:
    """Prices of a month in which the time that was looked at repeats itself.

    Attributes:
        book, free_tier: Prices; with a Savings Plan, its best commitment is billed.
        month: What stands before and around the function.
        traffic: What use goes with, hour by hour.
    """

    book: PriceBook
    free_tier: FreeTierChoice
    month: Month
    traffic: Shape

    @property
    def month_s(self) -> int:
        """Length of the month, seconds."""
        return self.month.days * DAY_S

    @property
    def hours(self) -> int:
        """The same, hours."""
        return self.month.days * 24

    def usage(self, found: Prediction) -> Usage:
        """What a month of it uses, by meter."""
        monthly = round(found.requests * self.month_s / found.horizon_s)
        return total(found.usage(self.month_s), around(self.month, monthly))

    def bill(self, found: Prediction) -> Bill:
        """The bill of a month of it."""
        priced = bill(self.usage(found), self.book, free_tier=self.free_tier)
        if not self.book.on_demand:
            return priced
        shares = self._shares(found.horizon_s)
        return committed(priced, best_commitment_usd(priced, self.hours, shares), self.hours, shares)

    def offers(self, found: Prediction) -> list[PlanOffer]:
        """Savings Plans, each with its best commitment."""
        return plan_offers(
            self.usage(found),
            self.book,
            hours=self.hours,
            shares=self._shares(found.horizon_s),
            free_tier=self.free_tier,
        )

    def _shares(self, horizon_s: float) -> list[Decimal]:
        parts = max(1, round(horizon_s / _HOUR_S))
        return [Decimal(repr(share)) for share in self.traffic.shares(horizon_s, parts)]
