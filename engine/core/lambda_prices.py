"""The price book: what AWS asks for Lambda, by region, as dated data. Nothing here is computed from usage.

Source: AWS Price List, AWSLambda offer, as published on 2026-09-19; cross-checked with the worked
examples of the AWS Lambda pricing page. AWS changes prices at any time: see `PriceSheet.published`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

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


_TIER_1_X86_64_USD: Final[Mapping[str, Decimal]] = {
    "us-east-1": Decimal("0.0000166667"),
    "ap-northeast-1": Decimal("0.0000166667"),
    "ap-south-1": Decimal("0.0000166667"),
    "eu-central-1": Decimal("0.0000166667"),
    "eu-west-1": Decimal("0.0000166667"),
    "af-south-1": Decimal("0.0000221000"),
    "ap-east-1": Decimal("0.0000229200"),
    "eu-south-1": Decimal("0.0000195172"),
    "me-south-1": Decimal("0.0000206667"),
}
"""Regions of which the tier-1 x86_64 price is known, US dollars per GB-second."""

REGIONS: Final = tuple(_TIER_1_X86_64_USD)
"""Regions with a sheet."""

_DIGITS: Final = Decimal("1E-10")
"""AWS prints duration prices with ten decimals."""


def price_sheet(region: str) -> PriceSheet | None:
    """The sheet of `region`, or None if the price book does not have it: then the caller decides.

    Outside us-east-1 only the first x86_64 tier is known; the rest is us-east-1's in the same
    proportion, and the sheet's `assumptions` say so.
    """
    tier_1_usd = _TIER_1_X86_64_USD.get(region)
    if tier_1_usd is None:
        return None
    home = _home_sheet()
    if region == HOME_REGION:
        return home
    assumption = (
        f"{region}: only the first x86_64 duration tier is from the price list; other duration prices "
        f"are those of {HOME_REGION} in the same proportion, request and storage prices its own"
    )
    factor = tier_1_usd / home.duration[X86_64][0].usd_per_gb_second
    return replace(
        home,
        region=region,
        duration={name: _scaled(tiers, factor) for name, tiers in home.duration.items()},
        provisioned={
            name: Provisioned(*((usd * factor).quantize(_DIGITS) for usd in prices))
            for name, prices in home.provisioned.items()
        },
        assumptions=(assumption,),
    )


def fallback_sheet(region: str) -> PriceSheet:
    """us-east-1's prices for a region the price book does not have. `assumptions` says so; show it."""
    return replace(
        _home_sheet(),
        region=region,
        assumptions=(f"{region}: no prices known, those of {HOME_REGION} are used",),
    )


def _scaled(tiers: tuple[Tier, ...], factor: Decimal) -> tuple[Tier, ...]:
    return tuple(Tier(up_to, (usd * factor).quantize(_DIGITS)) for up_to, usd in tiers)


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
