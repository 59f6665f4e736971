"""What a commitment to a Compute Savings Plan costs, and which one costs least.

A commitment is dollars an hour at the plan's rates, paid used or not. It goes first to what has the largest
discount; what goes beyond it is on demand. One hour does not make up for another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, NamedTuple

from engine.core.billing import exactly, marginal_usd
from engine.model.cost.bill import AS_GIVEN, Bill, BillLine, FreeTierChoice, bill, plain
from engine.model.cost.price_book import PriceBook
from engine.model.cost.price_list import PriceMeter
from engine.model.cost.savings_plans import FULLY_USED, RATES, with_savings_plan, without_savings_plan
from engine.model.cost.usage import Usage

COMMITMENT: Final = "savings-plan.commitment"
_EVEN: Final = (Decimal(1),)
_STANDING: Final = "lambda.provisioned.standing."


class PlanUse(NamedTuple):
    """What is used of a meter in a stretch of time: US dollars on demand, and at a plan's rates."""

    on_demand_usd: Decimal
    planned_usd: Decimal


Stretch = Mapping[str, PlanUse]
"""What is used in a stretch of time, by meter."""


class PlanOffer(NamedTuple):
    """A plan with the commitment that costs least.

    Attributes:
        payment: One of `PAYMENTS`.
        years: Terms that have these rates.
        rates_of: Date of the offer.
        commitment_usd: To be committed to, US dollars an hour.
        usd: The month's bill with it.
        saved_usd: What that is below the bill on demand.
    """

    payment: str
    years: tuple[int, ...]
    rates_of: str
    commitment_usd: Decimal
    usd: Decimal
    saved_usd: Decimal

    def document(self) -> dict[str, Any]:
        """The offer as JSON values; money as text."""
        return {
            "payment": self.payment,
            "years": list(self.years),
            "rates_of": self.rates_of,
            "commitment_usd_per_hour": plain(self.commitment_usd),
            "usd_per_month": plain(self.usd),
            "saved_usd": plain(self.saved_usd),
        }


def plan_offers(
    usage: Usage,
    book: PriceBook,
    *,
    hours: int,
    shares: Sequence[Decimal] = _EVEN,
    free_tier: FreeTierChoice = FreeTierChoice.NONE,
    extra_usd: Mapping[str, Decimal] | None = None,
) -> list[PlanOffer]:
    """Each plan whose rates are known for the region, with its best commitment.

    Args:
        usage: Of a month.
        book: Prices, with those of a plan or without.
        hours: Of that month.
        shares: How what is used is spread over equal parts of it; they add up to 1.
        free_tier: What is taken off.
        extra_usd: Further lines of the bill.
    """
    base = without_savings_plan(book)
    on_demand_usd = bill(usage, base, free_tier=free_tier, extra_usd=extra_usd).usd
    terms: dict[tuple[str, str, int], list[int]] = {}
    for (region, payment, years), rates in RATES.items():
        if region == book.region:
            terms.setdefault((payment, rates.published, id(rates)), []).append(years)
    found = []
    for (payment, published, _), years_of in terms.items():
        rated = with_savings_plan(base, payment, years_of[0])
        planned = bill(usage, rated, free_tier=free_tier, extra_usd=extra_usd)
        best = best_commitment_usd(planned, hours, shares)
        usd = committed(planned, best, hours, shares).usd
        found.append(PlanOffer(payment, tuple(years_of), published, best, usd, on_demand_usd - usd))
    return found


def committed(planned: Bill, commitment_usd: Decimal, hours: int, shares: Sequence[Decimal] = _EVEN) -> Bill:
    """A bill at a plan's rates, as it is if `commitment_usd` an hour is committed to in its `hours`.

    `shares` is how what is used is spread over equal parts of them: what stands is used alike in all.
    """
    stretches = _stretches(planned, shares)
    beyond: dict[str, Decimal] = {}
    left_usd = Decimal(0)
    with exactly():
        all_usd = commitment_usd * hours
        for stretch in stretches:
            on_demand, left = _beyond(stretch, all_usd / len(stretches))
            left_usd += left
            for meter, usd in on_demand.items():
                beyond[meter] = beyond.get(meter, Decimal(0)) + usd
        lines = tuple(
            line._replace(usd=beyond[line.meter]) if line.meter in beyond else line for line in planned.lines
        )
    even = "use is the same in each of them" if len(stretches) == 1 else "use goes with requests"
    note = (
        f"committed to {commitment_usd:.6g} dollars an hour for {hours} hours; {even}; "
        f"{left_usd / all_usd if all_usd else 0:.3g} of the commitment is not used"
    )
    kept = [one for one in planned.book.assumptions if not one.endswith(FULLY_USED)]
    return replace(
        planned,
        lines=(*lines, BillLine(COMMITMENT, AS_GIVEN, Decimal(1), Decimal(0), all_usd)),
        book=replace(planned.book, assumptions=(*kept, note)),
    )


def best_commitment_usd(planned: Bill, hours: int, shares: Sequence[Decimal] = _EVEN) -> Decimal:
    """The commitment an hour that costs least, of a bill at a plan's rates; names as in `committed`."""
    best = best_for_stretches(_stretches(planned, shares))
    with exactly():
        return best * len(shares) / hours


def paid_usd(stretches: Sequence[Stretch], commitment_usd: Decimal) -> Decimal:
    """What stretches of equal length cost with a commitment for each."""
    with exactly():
        beyond = (sum(_beyond(one, commitment_usd)[0].values(), Decimal(0)) for one in stretches)
        return sum(beyond, commitment_usd * len(stretches))


def best_for_stretches(stretches: Sequence[Stretch]) -> Decimal:
    """The commitment for each of these stretches of equal length that costs least.

    A dollar more pays while what it takes off on demand, in all stretches that use it, is more than what it
    costs, which is a dollar in each.
    """
    changes: defaultdict[Decimal, Decimal] = defaultdict(
        Decimal
    )  # of what the next dollar takes off, by how many went before it
    with exactly():
        for stretch in stretches:
            filled = Decimal(0)
            for use in stretch.values():
                ratio = use.on_demand_usd / use.planned_usd
                changes[filled] += ratio
                filled += use.planned_usd
                changes[filled] -= ratio
        gain = Decimal(-len(stretches))
        for commitment_usd in sorted(changes):
            gain += changes[commitment_usd]
            if gain <= 0:
                return commitment_usd
    return Decimal(0)


def _stretches(planned: Bill, shares: Sequence[Decimal]) -> list[Stretch]:
    """What the plan covers, over equal parts of the time, the largest discount first."""
    meters = planned.book.on_demand
    uses = {
        line.meter: PlanUse(_usd(line, meters[line.meter]), line.usd)
        for line in planned.lines
        if line.meter in meters and line.usd
    }
    ordered = sorted(uses.items(), key=lambda one: one[1].planned_usd / one[1].on_demand_usd)
    with exactly():
        even = 1 / Decimal(len(shares))
        return [
            {
                meter: PlanUse(*(usd * (even if meter.startswith(_STANDING) else share) for usd in use))
                for meter, use in ordered
                if share or meter.startswith(_STANDING)
            }
            for share in shares
        ]


def _beyond(stretch: Stretch, commitment_usd: Decimal) -> tuple[dict[str, Decimal], Decimal]:
    """What a commitment leaves on demand, by meter, and what of it is not used."""
    found = {}
    left = commitment_usd
    for meter, use in stretch.items():
        taken = min(left, use.planned_usd)
        left -= taken
        found[meter] = (1 - taken / use.planned_usd) * use.on_demand_usd
    return found, left


def _usd(line: BillLine, meter: PriceMeter) -> Decimal:
    with exactly():
        return marginal_usd(line.quantity, meter.bands) - marginal_usd(line.free, meter.bands)
