"""A month's bill: usage by meter, priced exactly, line by line; rounded only where it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

from engine.core.billing import exactly, marginal_usd
from engine.core.late_dataclass import dataclass
from engine.model.cost.price_book import PriceBook
from engine.model.cost.price_list import Allowance
from engine.model.cost.usage import Usage

CENT: Final = Decimal("0.01")
LAMBDA: Final = "lambda."
"""Beginning of the meters of Lambda itself, without what stands around it."""

AS_GIVEN: Final = "as given"
"""Unit of a line whose price the reader brings."""


class FreeTierChoice(StrEnum):
    """What of each month is free.

    The text of AWS's pricing page excludes invocations inside provisioned concurrency from the free
    requests; its first example of provisioned concurrency takes them in. Both readings are offered.
    """

    NONE = "none"
    ALWAYS = "always"  # by the text
    ALWAYS_WITH_PROVISIONED = "always-with-provisioned"  # by the example


class BillLine(NamedTuple):
    """One line: how much, how much of it was free, what it costs."""

    meter: str
    unit: str
    quantity: Decimal
    free: Decimal
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """All lines, in the order in which they were used. Dollars are exact."""

    lines: tuple[BillLine, ...]
    book: PriceBook
    free_tier: FreeTierChoice

    @property
    def usd(self) -> Decimal:
        """The exact sum of all lines, US dollars."""
        with exactly():
            return sum((line.usd for line in self.lines), Decimal(0))

    def of(self, *meters: str) -> Decimal:
        """The exact sum of the lines whose meter is, or begins with, one of `meters`."""
        with exactly():
            return sum((one.usd for one in self.lines if one.meter.startswith(meters)), Decimal(0))

    def document(self) -> dict[str, Any]:
        """The bill as JSON values; money and quantities as text, so that nothing is lost."""
        return {
            "usd": plain(self.usd),
            "lines": [
                {
                    "meter": line.meter,
                    "unit": line.unit,
                    "quantity": plain(line.quantity),
                    "free": plain(line.free),
                    "usd": plain(line.usd),
                }
                for line in self.lines
            ],
            "free_tier": self.free_tier.value,
            "prices": {
                "region": self.book.region,
                "published": self.book.published,
                "source": self.book.source,
                "assumptions": list(self.book.assumptions),
                "assumed": [line.meter for line in self.lines if line.meter in self.book.assumed],
            },
        }


def bill(
    usage: Usage,
    book: PriceBook,
    *,
    free_tier: FreeTierChoice = FreeTierChoice.NONE,
    extra_usd: Mapping[str, Decimal] | None = None,
) -> Bill:
    """Price `usage`.

    Args:
        usage: Quantities of the month, by meter, all functions together.
        book: The prices.
        free_tier: What is taken off first.
        extra_usd: Lines whose price the reader brings, such as EC2 instances.

    Raises:
        KeyError: A meter that the book does not have.
        ValueError: A quantity below zero.
    """
    free = _free(usage, book, free_tier)
    lines = []
    for name, quantity in usage.items():
        if quantity < 0:
            raise ValueError(f"{name}: must not be negative, got {quantity}")
        meter = book.meters[name]
        off = free.get(name, Decimal(0))
        with exactly():
            # As the price list has it: what is free is a first band of price 0, not a shift of the others.
            usd = marginal_usd(quantity, meter.bands) - marginal_usd(off, meter.bands)
        lines.append(BillLine(name, meter.unit, quantity, off, usd))
    for name, usd in (extra_usd or {}).items():
        lines.append(BillLine(name, AS_GIVEN, Decimal(1), Decimal(0), usd))
    return Bill(lines=tuple(lines), book=book, free_tier=free_tier)


def cents(usd: Decimal) -> Decimal:
    """Rounded half up to a cent, as AWS prints it."""
    return usd.quantize(CENT, rounding=ROUND_HALF_UP)


def plain(value: Decimal) -> str:
    """Exact decimal text without exponent."""
    return f"{value.normalize():f}" if value else "0"


def _free(usage: Usage, book: PriceBook, free_tier: FreeTierChoice) -> dict[str, Decimal]:
    """How much of each meter costs nothing."""
    free: dict[str, Decimal] = {}
    if free_tier is FreeTierChoice.NONE:
        return free
    for allowance in book.allowances:
        left = allowance.quantity
        for name in _covered(allowance, free_tier):
            free[name] = min(left, usage.get(name, Decimal(0)))
            left -= free[name]
    return free


def _covered(allowance: Allowance, free_tier: FreeTierChoice) -> tuple[str, ...]:
    if allowance.meters == ("lambda.requests",) and free_tier is FreeTierChoice.ALWAYS_WITH_PROVISIONED:
        return (*allowance.meters, "lambda.requests.provisioned")
    return allowance.meters
