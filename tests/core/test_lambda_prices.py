"""The price book says what it knows, and says what it does not know."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.core.billing import rate
from engine.core.lambda_prices import ARM64, REGIONS, X86_64, Provisioned, fallback_sheet, price_sheet


def test_the_home_region_has_only_prices_of_its_own():
    """us-east-1 rests on no assumption."""
    sheet = price_sheet("us-east-1")

    assert sheet is not None
    assert ("2026-09-19", "USD", ()) == (sheet.published, sheet.currency, sheet.assumptions)
    assert Provisioned(Decimal("0.0000041667"), Decimal("0.0000097222")) == sheet.provisioned[X86_64]
    assert Provisioned(Decimal("0.0000033334"), Decimal("0.0000077778")) == sheet.provisioned[ARM64]


def test_a_dearer_region_has_its_own_first_tier_and_says_what_is_assumed():
    """What was not found is concluded, and declared."""
    sheet = price_sheet("af-south-1")

    assert sheet is not None
    assert Decimal("0.0000221") == sheet.duration[X86_64][0].usd_per_gb_second
    assert Decimal("0.0000176800") == sheet.duration[ARM64][0].usd_per_gb_second
    assert "af-south-1" in sheet.assumptions[0]


def test_an_unknown_region_has_no_sheet():
    """The caller decides; nothing is silently taken from elsewhere."""
    assert price_sheet("mars-north-1") is None


def test_the_fallback_declares_itself():
    """us-east-1's prices under another region's name, and a sentence that says so."""
    sheet, home = fallback_sheet("mars-north-1"), price_sheet("us-east-1")

    assert home is not None
    assert ("mars-north-1", home.duration) == (sheet.region, sheet.duration)
    assert ("mars-north-1: no prices known, those of us-east-1 are used",) == sheet.assumptions


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("architecture", [X86_64, ARM64])
def test_every_region_prices_every_function_in_falling_tiers(region, architecture):
    """No function meets a missing price, and no tier is dearer than the one before."""
    sheet = price_sheet(region)
    assert sheet is not None
    tiers = sheet.duration[architecture]
    prices = [tier.usd_per_gb_second for tier in tiers]

    assert prices == sorted(prices, reverse=True)
    assert tiers[-1].up_to_gb_seconds is None
    assert rate(sheet, 128, architecture).millisecond_usd > 0


@pytest.mark.parametrize(
    ("region", "standing", "inside"),
    [("eu-west-1", "0.0000046460", "0.0000108407"), ("sa-east-1", "0.0000066372", "0.0000154867")],
)
def test_provisioned_prices_are_a_regions_own(region, standing, inside):
    """They are in no proportion to those of duration."""
    sheet = price_sheet(region)

    assert sheet is not None
    assert Provisioned(Decimal(standing), Decimal(inside)) == sheet.provisioned[X86_64]
    assert Decimal("0.0000166667") == sheet.duration[X86_64][0].usd_per_gb_second


def test_what_was_not_found_is_said_to_be_assumed():
    """Of ca-west-1: arm64 and provisioned concurrency."""
    sheet = price_sheet("ca-west-1")

    assert sheet is not None
    assert 2 == sum("was found" in line and "assumed" in line for line in sheet.assumptions)
    assert any("unverified" in line for line in sheet.assumptions)
