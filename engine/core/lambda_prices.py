"""The price book: what AWS asks for Lambda, by region, as dated data. Nothing here is computed from usage.

Source: AWS Price List, AWSLambda offer, as published on 2026-09-19; cross-checked with the worked
examples of the AWS Lambda pricing page. AWS changes prices at any time: see `PriceSheet.published`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

from engine.core.regional_prices import REGIONAL_PRICES, RegionalPrices

X86_64: Final = "x86_64"
ARM64: Final = "arm64"
HOME_REGION: Final = "us-east-1"
"""The region of which every price is known."""


class Tier(NamedTuple):
    """One band of a marginal price: it applies to what lies above the band before it.

    Attributes:
        up_to_gb_seconds: Where the band ends, GB-seconds a month from zero; None = never.
        usd_per_gb_second: Price inside the band.
    """

    up_to_gb_seconds: Decimal | None
    usd_per_gb_second: Decimal


class Provisioned(NamedTuple):
    """Provisioned concurrency: what it costs to stand ready, and to execute inside it."""

    standing_usd_per_gb_second: Decimal
    duration_usd_per_gb_second: Decimal


class FreeTier(NamedTuple):
    """What each month's first requests and GB-seconds (both architectures together) do not cost."""

    requests: int = 0
    gb_seconds: Decimal = Decimal(0)


ALWAYS_FREE: Final = FreeTier(requests=1_000_000, gb_seconds=Decimal(400_000))
"""Lambda's free tier, which does not end. It is never applied unless asked for."""

NO_FREE_TIER: Final = FreeTier()


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSheet:
    """The prices of one region. Tiers are per month, region and architecture, over all functions.

    Attributes:
        region: AWS region the sheet is for.
        published: Date of the price list, ISO 8601.
        source: Title of the price list.
        currency: ISO 4217 code.
        request_usd: One request.
        duration: On-demand duration by architecture, lowest band first.
        provisioned: Provisioned concurrency by architecture.
        storage_usd_per_gb_second: Ephemeral storage above 512 MB, while executing.
        assumptions: What is not in the source but concluded from another region, one sentence each;
            empty if every price is AWS's own. Show them wherever the prices are shown.
    """

    region: str
    published: str
    source: str
    currency: str = "USD"
    request_usd: Decimal
    duration: Mapping[str, tuple[Tier, ...]]
    provisioned: Mapping[str, Provisioned]
    storage_usd_per_gb_second: Decimal
    assumptions: tuple[str, ...] = ()


REGIONS: Final = (HOME_REGION, *REGIONAL_PRICES)
"""Regions with a sheet."""

_DIGITS: Final = Decimal("1E-10")
"""AWS prints duration prices with ten decimals."""

_ARM64_SHARE: Final = Decimal("0.8")
"""Of an x86_64 price, that of arm64: seen in every region but one, where it is 0.7984."""


def price_sheet(region: str) -> PriceSheet | None:
    """The sheet of `region`, or None if the price book does not have it: then the caller decides.

    Outside us-east-1 the first tiers of duration, requests, storage and provisioned concurrency are the
    region's own as far as they were found; what is concluded stands in the sheet's `assumptions`.
    """
    home = _home_sheet()
    if region == HOME_REGION:
        return home
    known = REGIONAL_PRICES.get(region)
    if known is None:
        return None
    first = known.x86_64
    arm64 = _shared(first) if known.arm64 is None else known.arm64
    if known.standing is None or known.inside is None:
        provisioned = home.provisioned
    else:
        prices = known.standing, known.inside
        provisioned = {X86_64: Provisioned(*prices), ARM64: Provisioned(*map(_shared, prices))}
    return replace(
        home,
        region=region,
        published=known.published,
        source="lists that others published" if known.is_secondary else "AWS Pricing Calculator",
        request_usd=known.request,
        storage_usd_per_gb_second=known.storage,
        duration={
            X86_64: _tiers(home.duration[X86_64], first),
            ARM64: _tiers(home.duration[ARM64], arm64),
        },
        provisioned=provisioned,
        assumptions=tuple(_concluded(region, known)),
    )


def _concluded(region: str, known: RegionalPrices) -> Iterator[str]:
    yield f"{region}: prices of {known.published}; the tiers after the first at 0.9 and 0.8 of it (assumed)"
    if known.is_secondary:
        yield f"{region}: the prices are from lists that others published (unverified)"
    if known.arm64 is None:
        yield f"{region}: no price of arm64 was found, 0.8 of that of x86_64 is assumed"
    if known.standing is None:
        yield f"{region}: no price of provisioned concurrency was found, that of {HOME_REGION} is assumed"
    else:
        yield f"{region}: provisioned concurrency on arm64 at 0.8 of that on x86_64 (unverified)"


def _shared(usd: Decimal) -> Decimal:
    return (usd * _ARM64_SHARE).quantize(_DIGITS)


def _tiers(home: tuple[Tier, ...], first_usd: Decimal) -> tuple[Tier, ...]:
    """The bands of `home` at prices that begin with `first_usd`: its own, where the first is."""
    if first_usd == home[0].usd_per_gb_second:
        return home
    shares = (Decimal(1), Decimal("0.9"), Decimal("0.8"))
    return tuple(
        Tier(tier.up_to_gb_seconds, (first_usd * share).quantize(_DIGITS))
        for tier, share in zip(home, shares, strict=True)
    )


def fallback_sheet(region: str) -> PriceSheet:
    """us-east-1's prices for a region the price book does not have. `assumptions` says so; show it."""
    return replace(
        _home_sheet(),
        region=region,
        assumptions=(f"{region}: no prices known, those of {HOME_REGION} are used",),
    )


def _home_sheet() -> PriceSheet:
    return PriceSheet(
        region=HOME_REGION,
        published="2026-09-19",
        source="AWS Price List, AWSLambda offer",
        request_usd=Decimal("0.0000002"),
        duration={
            X86_64: (
                Tier(Decimal(6_000_000_000), Decimal("0.0000166667")),
                Tier(Decimal(15_000_000_000), Decimal("0.0000150000")),
                Tier(None, Decimal("0.0000133334")),
            ),
            ARM64: (
                Tier(Decimal(7_500_000_000), Decimal("0.0000133334")),
                Tier(Decimal(18_750_000_000), Decimal("0.0000120001")),
                Tier(None, Decimal("0.0000106667")),
            ),
        },
        provisioned={
            X86_64: Provisioned(Decimal("0.0000041667"), Decimal("0.0000097222")),
            ARM64: Provisioned(Decimal("0.0000033334"), Decimal("0.0000077778")),
        },
        storage_usd_per_gb_second=Decimal("0.0000000309"),
    )
