"""Compute Savings Plans: their rates by region, term and payment, and what a commitment costs.

A commitment is dollars an hour at the plan's rates, used or not; it goes first to what has the largest
discount. Plans cover duration, provisioned concurrency and the duration inside it, not requests, storage or
data. AWS prints three digits; rates that are missing here, and partial upfront, were not found.
Source: offers AWSComputeSavingsPlan, of us-east-1 (2026-09-25) and of eu-west-1 (2020-02-20).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from engine.core.billing import exactly, marginal_usd
from engine.errors import ConfigError
from engine.model.cost.bill import Bill, BillLine
from engine.model.cost.price_book import PriceBook
from engine.model.cost.price_list import Band, PriceMeter

PAYMENTS: Final = ("no-upfront", "all-upfront")
YEARS: Final = (1, 3)
COMMITMENT: Final = "savings-plan.commitment"


class PlanRates(NamedTuple):
    """Rates of one offer: its date, and US dollars for a GB-second by meter (of duration, the first tier)."""

    published: str
    usd: Mapping[str, str]


_HOME_NO_UPFRONT: Final = PlanRates(
    "2026-09-25",
    {
        "lambda.duration.x86_64": "0.0000147",
        "lambda.duration.arm64": "0.0000117",
        "lambda.provisioned.standing.x86_64": "0.00000367",
        "lambda.provisioned.duration.x86_64": "0.00000856",
    },
)
_HOME_ALL_UPFRONT: Final = PlanRates(
    "2026-09-25",
    {"lambda.duration.x86_64": "0.0000138", "lambda.duration.arm64": "0.0000111"},
)
RATES: Final[Mapping[tuple[str, str, int], PlanRates]] = {
    ("us-east-1", "no-upfront", 1): _HOME_NO_UPFRONT,
    ("us-east-1", "no-upfront", 3): _HOME_NO_UPFRONT,  # Lambda's rates are the same for both terms
    ("us-east-1", "all-upfront", 1): _HOME_ALL_UPFRONT,
    ("us-east-1", "all-upfront", 3): _HOME_ALL_UPFRONT,
    ("eu-west-1", "all-upfront", 1): PlanRates(
        "2020-02-20",
        {"lambda.duration.x86_64": "0.0000138", "lambda.provisioned.duration.x86_64": "0.000009"},
    ),
    ("eu-west-1", "no-upfront", 3): PlanRates(
        "2020-02-20",
        {
            "lambda.duration.x86_64": "0.0000147",
            "lambda.provisioned.standing.x86_64": "0.00000409",
            "lambda.provisioned.duration.x86_64": "0.00000954",
        },
    ),
}
"""By region, payment and years."""

_FULLY_USED: Final = "first tier of duration, the commitment fully used"


def with_savings_plan(book: PriceBook, payment: str, years: int = 1) -> PriceBook:
    """`book` with the rates of a plan for what it covers, as if all of it were committed to.

    Raises:
        ConfigError: There is no such payment, or its rates are not known for the region.
    """
    if payment not in PAYMENTS:
        raise ConfigError((f"savings plan {payment!r}: must be one of {', '.join(PAYMENTS)}",))
    rates = RATES.get((book.region, payment, years))
    if rates is None:
        known = sorted({f"{there} {paid} {term} y" for there, paid, term in RATES})
        unknown = f"rates of {payment} for {years} y are not known for {book.region}"
        raise ConfigError((f"savings plan: {unknown} (known: {', '.join(known)})",))
    changed = dict(book.meters)
    for name, usd in rates.usd.items():
        unit, (first, *rest) = changed[name]
        changed[name] = PriceMeter(unit, (Band(first.up_to, Decimal(usd)), *rest))
    notes = [f"Compute Savings Plan rates of {rates.published}, {payment}, {years} y: {_FULLY_USED}"]
    covered = [name for name in book.meters if name.startswith(("lambda.duration.", "lambda.provisioned."))]
    missing = [name for name in covered if name not in rates.usd]
    if missing:
        notes.append(f"covered by the plan, its rate not found, priced on demand: {', '.join(missing)}")
    return replace(
        book,
        meters=changed,
        assumptions=(*book.assumptions, *notes),
        on_demand={name: book.meters[name] for name in rates.usd},
    )


def committed(planned: Bill, commitment_usd: Decimal, hours: int) -> Bill:
    """A bill at a plan's rates, as it is if `commitment_usd` an hour was committed to.

    Use is taken to be equal in all hours. What goes beyond the commitment is on demand; what is left of it
    is paid all the same. The largest discount is covered first.
    """
    meters = planned.book.on_demand
    on_demand = {line.meter: _usd(line, meters[line.meter]) for line in planned.lines if line.meter in meters}
    covered = [line for line in planned.lines if on_demand.get(line.meter)]
    with exactly():
        left = all_usd = commitment_usd * hours
        changed = {}
        for line in sorted(covered, key=lambda one: one.usd / on_demand[one.meter]):
            taken = min(left, line.usd)
            left -= taken
            beyond = 1 - taken / line.usd if line.usd else Decimal(0)
            changed[line.meter] = line._replace(usd=beyond * on_demand[line.meter])
    lines = tuple(changed.get(line.meter, line) for line in planned.lines)
    note = (
        f"committed to {commitment_usd} dollars an hour for {hours} hours; use is the same in each of them; "
        f"{left / all_usd if all_usd else 0:.3g} of the commitment is not used"
    )
    kept = [one for one in planned.book.assumptions if not one.endswith(_FULLY_USED)]
    return replace(
        planned,
        lines=(*lines, BillLine(COMMITMENT, "as given", Decimal(1), Decimal(0), all_usd)),
        book=replace(planned.book, assumptions=(*kept, note)),
    )


def paid_usd(hours_usd: Sequence[Decimal], discount: Decimal, commitment_usd: Decimal) -> Decimal:
    """What hours of `hours_usd` on demand cost with a commitment an hour at `discount` (0 to 1)."""
    with exactly():
        worth = commitment_usd / (1 - discount)
        return sum((commitment_usd + max(Decimal(0), one - worth) for one in hours_usd), Decimal(0))


def best_commitment_usd(hours_usd: Sequence[Decimal], discount: Decimal) -> Decimal:
    """The commitment an hour that costs least.

    A dollar more pays while the share of hours that use it is at least 1 - `discount`.
    """
    if not hours_usd:
        return Decimal(0)
    ascending = sorted(hours_usd)
    unused = int(discount * len(ascending))  # so many hours may leave the last dollar unused
    with exactly():
        return ascending[min(unused, len(ascending) - 1)] * (1 - discount)


def _usd(line: BillLine, meter: PriceMeter) -> Decimal:
    with exactly():
        return marginal_usd(line.quantity, meter.bands) - marginal_usd(line.free, meter.bands)
