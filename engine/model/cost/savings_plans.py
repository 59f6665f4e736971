"""The rates of Compute Savings Plans, by region, term and payment.

Plans cover duration, provisioned concurrency and the duration inside it, not requests, storage or
data. AWS prints three digits; rates that are missing here, and partial upfront, were not found.
Source: offers AWSComputeSavingsPlan, of us-east-1 (2026-09-25) and of eu-west-1 (2020-02-20).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from engine.errors import ConfigError
from engine.model.cost.price_book import PriceBook
from engine.model.cost.price_list import Band, PriceMeter

PAYMENTS: Final = ("no-upfront", "all-upfront")
YEARS: Final = (1, 3)


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

FULLY_USED: Final = "first tier of duration, the commitment fully used"
_RATES: Final = "Compute Savings Plan rates of"
_MISSING: Final = "covered by the plan, its rate not found, priced on demand"
_NOTES: Final = (_RATES, _MISSING)


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
    notes = [f"{_RATES} {rates.published}, {payment}, {years} y: {FULLY_USED}"]
    covered = [name for name in book.meters if name.startswith(("lambda.duration.", "lambda.provisioned."))]
    missing = [name for name in covered if name not in rates.usd]
    if missing:
        notes.append(f"{_MISSING}: {', '.join(missing)}")
    return replace(
        book,
        meters=changed,
        assumptions=(*book.assumptions, *notes),
        on_demand={name: book.meters[name] for name in rates.usd},
    )


def without_savings_plan(book: PriceBook) -> PriceBook:
    """`book` with its prices on demand, as before `with_savings_plan`."""
    notes = tuple(one for one in book.assumptions if not one.startswith(_NOTES))
    return replace(book, meters={**book.meters, **book.on_demand}, assumptions=notes, on_demand={})
