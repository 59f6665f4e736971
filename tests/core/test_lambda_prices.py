"""The price book says what it knows, and says what it does not know."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from engine.core.billing import rate
from engine.core.lambda_price_table import listed_prices
from engine.core.lambda_prices import ARM64, REGIONS, X86_64, Provisioned, fallback_sheet, price_sheet


def test_the_home_region_has_only_prices_of_its_own():
    """us-east-1 rests on no assumption."""
    sheet = price_sheet("us-east-1")

    assert sheet is not None
    assert ("2026-09-19", "USD", ()) == (sheet.published, sheet.currency, sheet.assumptions)
    assert Provisioned(Decimal("0.0000041667"), Decimal("0.0000097222")) == sheet.provisioned[X86_64]
    assert Provisioned(Decimal("0.0000033334"), Decimal("0.0000077778")) == sheet.provisioned[ARM64]


def test_a_region_has_prices_of_its_own_and_says_what_is_assumed():
    """Each meter by itself: no price is in proportion to another meter's of us-east-1."""
    sheet = price_sheet("eu-west-1")

    assert sheet is not None
    assert Decimal("0.0000166667") == sheet.duration[X86_64][0].usd_per_gb_second
    assert Provisioned(Decimal("0.0000046460"), Decimal("0.0000108407")) == sheet.provisioned[X86_64]
    assert {"provisioned.arm64"} == sheet.assumed
    assert all("eu-west-1" in one for one in sheet.assumptions)


def test_a_meter_without_a_price_is_that_of_the_home_region_and_says_assumed():
    """ap-south-2 has no list of arm64 and of provisioned concurrency."""
    sheet, home = price_sheet("ap-south-2"), price_sheet("us-east-1")

    assert sheet is not None
    assert home is not None
    assert (home.duration[ARM64], home.provisioned) == (sheet.duration[ARM64], sheet.provisioned)
    assert {"duration.arm64", "provisioned.x86_64", "provisioned.arm64"} == sheet.assumed
    assert any("assumed" in one for one in sheet.assumptions)


COLUMNS = {
    "requests": "requests",
    "storage": "storage",
    "duration.x86_64.tier1": "x86_64",
    "duration.arm64.tier1": "arm64",
    "provisioned.standing.x86_64": "standing",
    "provisioned.duration.x86_64": "inside",
    "provisioned.standing.arm64": "standing-arm64",
    "provisioned.duration.arm64": "inside-arm64",
}
NOT_COMMERCIAL = ("us-gov-east-1", "us-gov-west-1")


def listed(service):
    """The rows of a service in the lists the shipped prices are taken from."""
    with (Path(__file__).parent / "price_lists.csv").open(newline="") as lines:
        return [row for row in csv.DictReader(lines) if row["service"] == service]


def test_the_table_is_what_the_lists_have():
    """Every price of every commercial region, with its date, and none besides."""
    expected = {
        (row["region"], COLUMNS[row["key"]]): (
            Decimal(row["usd"]),
            row["date"],
            "UNVERIFIED" not in row["source"],
        )
        for row in listed("lambda")
        if row["key"] in COLUMNS and row["region"] not in NOT_COMMERCIAL
    }
    found = {
        (region, name): (one.usd, one.published, one.verified)
        for region in REGIONS
        for name, one in listed_prices(region).items()
    }

    assert expected == found


def test_tiers_are_what_the_lists_have_where_they_have_them():
    """In the three regions of which all tiers are known, to the last digit."""
    rows = [row for row in listed("lambda") if row["key"].endswith((".tier2", ".tier3"))]

    assert 12 == len(rows)
    for row in rows:
        _, architecture, tier = row["key"].split(".")
        sheet = price_sheet(row["region"])
        assert sheet is not None
        assert Decimal(row["usd"]) == sheet.duration[architecture][int(tier[-1]) - 1].usd_per_gb_second


def test_an_unknown_region_has_no_sheet():
    """The caller decides; nothing is silently taken from elsewhere."""
    assert price_sheet("mars-north-1") is None


def test_the_fallback_declares_itself():
    """us-east-1's prices under another region's name, and a sentence that says so."""
    sheet, home = fallback_sheet("mars-north-1"), price_sheet("us-east-1")

    assert home is not None
    assert ("mars-north-1", home.duration) == (sheet.region, sheet.duration)
    assert ("mars-north-1: no prices known, those of us-east-1 are assumed",) == sheet.assumptions


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
    assert any(
        "duration.arm64, provisioned.x86_64" in line and "assumed" in line for line in sheet.assumptions
    )
    assert any("unverified" in line for line in sheet.assumptions)
