"""The price book: what AWS asks for Lambda, by region, as dated data. Nothing here is computed from usage.

Source: AWS Price List, AWSLambda offers, cross-checked with the worked examples of the AWS Lambda pricing
page; older or secondary lists for most regions (`core.lambda_price_table`). AWS changes prices at any time:
see `PriceSheet.published`. No meter's price is scaled by another's: regions differ in each meter by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from engine.core.lambda_price_table import ListedPrice, listed_prices, listed_regions
from engine.core.late_dataclass import dataclass

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
        assumptions: What is not in a list of this region, one sentence each; empty if every price is AWS's
            own. Show them wherever the prices are shown.
        assumed: The meters no list of this region has: "requests", "storage", "duration.arm64",
            "provisioned.x86_64" and the like.
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
    assumed: frozenset[str] = frozenset()


REGIONS: Final = listed_regions()
"""Regions with a sheet: the commercial ones of which a price of duration is known."""

_TIER_ENDS: Final[Mapping[str, tuple[Decimal, Decimal]]] = {
    X86_64: (Decimal(6_000_000_000), Decimal(15_000_000_000)),
    ARM64: (Decimal(7_500_000_000), Decimal(18_750_000_000)),
}
_TIER_SHARES: Final = (Decimal(1), Decimal("0.9"), Decimal("0.8"))
"""A tier's price, of the first one's: exact to AWS's last digit wherever all tiers were seen."""

_TIERS_SEEN: Final = ("us-east-1", "eu-west-1", "ap-northeast-1")
_DIGITS: Final = Decimal("1E-10")
"""AWS prints duration prices with ten decimals."""

_METERS: Final = {
    "requests": ("requests",),
    "storage": ("storage",),
    f"duration.{X86_64}": ("x86_64",),
    f"duration.{ARM64}": ("arm64",),
    f"provisioned.{X86_64}": ("standing", "inside"),
    f"provisioned.{ARM64}": ("standing-arm64", "inside-arm64"),
}
"""What a sheet has, by the columns of the table it takes."""


def price_sheet(region: str) -> PriceSheet | None:
    """The sheet of `region`, or None if the price book does not have it: then the caller decides.

    A meter that no list of the region has is us-east-1's; `assumed` and `assumptions` say so.
    """
    if region not in REGIONS:
        return None
    return _sheet(region, listed_prices(region), listed_prices(HOME_REGION))


def fallback_sheet(region: str) -> PriceSheet:
    """us-east-1's prices for a region the price book does not have. `assumptions` says so; show it."""
    home = listed_prices(HOME_REGION)
    return replace(
        _sheet(HOME_REGION, home, home),
        region=region,
        assumptions=(f"{region}: no prices known, those of {HOME_REGION} are assumed",),
        assumed=frozenset(_METERS),
    )


def _sheet(region: str, listed: Mapping[str, ListedPrice], home: Mapping[str, ListedPrice]) -> PriceSheet:
    priced = {**home, **listed}
    missing = [name for name, columns in _METERS.items() if not listed.keys() >= set(columns)]
    unverified = [name for name, columns in _METERS.items() if not all(priced[c].verified for c in columns)]
    first = listed["x86_64"]
    return PriceSheet(
        region=region,
        published=first.published,
        source=first.source,
        request_usd=priced["requests"].usd,
        duration={name: _tiers(name, priced[name].usd) for name in (X86_64, ARM64)},
        provisioned={
            X86_64: Provisioned(priced["standing"].usd, priced["inside"].usd),
            ARM64: Provisioned(priced["standing-arm64"].usd, priced["inside-arm64"].usd),
        },
        storage_usd_per_gb_second=priced["storage"].usd,
        assumptions=tuple(f"{region}: {one}" for one in _said(region, listed, missing, unverified)),
        assumed=frozenset((*missing, *unverified)),
    )


def _tiers(architecture: str, first_usd: Decimal) -> tuple[Tier, ...]:
    ends = (*_TIER_ENDS[architecture], None)
    prices = ((first_usd * share).quantize(_DIGITS) for share in _TIER_SHARES)
    return tuple(Tier(end, usd) for end, usd in zip(ends, prices, strict=True))


def _said(
    region: str, listed: Mapping[str, ListedPrice], missing: Iterable[str], unverified: Iterable[str]
) -> list[str]:
    """What is not from a list of the region, and what is from an older one."""
    first = listed["x86_64"]
    said = [] if region == HOME_REGION else [f"prices of Lambda are of {first.published}: {first.source}"]
    if names := ", ".join(missing):
        said.append(f"prices of {names} not found, those of {HOME_REGION} assumed")
    if names := ", ".join(unverified):
        said.append(f"prices of {names} assumed to be 0.8 of x86_64's (unverified)")
    if region not in _TIERS_SEEN:
        said.append("duration above the first tier assumed at 0.9 and 0.8 of it, as where all are known")
    for date in sorted({one.published for one in listed.values() if one.verified} - {first.published}):
        older = (name for name, one in listed.items() if one.verified and one.published == date)
        said.append(f"prices of {', '.join(older)} are of {date}")
    return said
