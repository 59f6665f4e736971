"""Billing, against AWS's own log lines and the worked examples of its pricing page."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.billing import (
    Rate,
    billed_ms,
    duration_usd,
    gb_seconds,
    rate,
    requests_usd,
    storage_gb_seconds,
)
from engine.core.lambda_prices import ALWAYS_FREE, ARM64, X86_64, PriceSheet, Tier, price_sheet

CENT = Decimal("0.01")
TIERS = (Tier(Decimal(100), Decimal("0.5")), Tier(Decimal(300), Decimal("0.3")), Tier(None, Decimal("0.1")))
AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=3)


@pytest.fixture
def sheet() -> PriceSheet:
    found = price_sheet("us-east-1")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("duration_s", "init_s", "expected"),
    [
        (0.25006, 0.10077, 351),
        (3.0, 0.40204, 3403),
        (0.00301, 0.1101, 114),
        (0.0029, 0.0, 3),
        (0.0, 0.0, 0),
        (3.0000000000000004, 0.0, 3000),
        (0.0010001, 0.0, 1),
        (0.001001, 0.0, 2),
    ],
)
def test_billed_time_is_init_plus_duration_rounded_up_once(duration_s, init_s, expected):
    """AWS's recorded REPORT lines, and the edges of a millisecond."""
    assert expected == billed_ms(duration_s, init_s)


@pytest.mark.parametrize(
    ("memory_mb", "printed"),
    [
        (128, "0.0000000021"),
        (512, "0.0000000083"),
        (1024, "0.0000000167"),
        (1536, "0.0000000250"),
        (2048, "0.0000000333"),
        (10240, "0.0000001667"),
    ],
)
def test_price_of_a_millisecond_is_what_aws_prints(sheet, memory_mb, printed):
    """The table "price per 1 ms" of the pricing page has ten decimals."""
    exact = rate(sheet, memory_mb, X86_64).millisecond_usd

    assert Decimal(printed) == exact.quantize(Decimal("1E-10"))


def test_example_od_1_with_free_tier(sheet):
    """3 M requests of 120 ms at 1536 MB: 140,000 GB-s to pay, 2.33 + 0.40."""
    used = gb_seconds(3_000_000 * 120, 1536)
    compute = duration_usd(used, sheet.duration[X86_64], free_gb_seconds=ALWAYS_FREE.gb_seconds)
    requests = requests_usd(3_000_000, sheet, free=ALWAYS_FREE)

    assert Decimal(540_000) == used
    assert Decimal("2.333338") == compute
    assert Decimal("0.40") == requests
    assert Decimal("2.73") == compute.quantize(CENT) + requests


def test_example_od_2_without_free_tier(sheet):
    """7.44 M requests of 2 s at 1 GB: 248.00 + 1.49."""
    compute = duration_usd(gb_seconds(7_440_000 * 2000, 1024), sheet.duration[X86_64])
    requests = requests_usd(7_440_000, sheet)

    assert Decimal("248.000496") == compute
    assert Decimal("249.49") == compute.quantize(CENT) + requests.quantize(CENT)


def test_example_od_3_with_storage(sheet):
    """6 M requests of 280 ms at 4096 MB with 2048 MB of storage: 105.33 + 1.00 + 0.08."""
    milliseconds = 6_000_000 * 280
    compute = duration_usd(
        gb_seconds(milliseconds, 4096), sheet.duration[X86_64], free_gb_seconds=ALWAYS_FREE.gb_seconds
    )
    requests = requests_usd(6_000_000, sheet, free=ALWAYS_FREE)
    stored = storage_gb_seconds(milliseconds, 2048)
    storage = stored * sheet.storage_usd_per_gb_second

    assert Decimal(2_520_000) == stored
    assert Decimal("0.077868") == storage
    assert Decimal("106.41") == sum(line.quantize(CENT) for line in (compute, requests, storage))


def test_tiers_are_marginal(sheet):
    """9 G GB-s on x86: 6 G at the first price, only the other 3 G at the second."""
    used = gb_seconds(75_000_000 * 60_000, 2048)

    assert Decimal(9_000_000_000) == used
    assert Decimal("145000.20") == duration_usd(used, sheet.duration[X86_64])


@pytest.mark.parametrize(("architecture", "expected"), [(X86_64, "1763007.84"), (ARM64, "1417405.32")])
def test_the_last_tier_has_no_end(sheet, architecture, expected):
    """A million requests a second for 30 days, 100 ms at 512 MB."""
    used = gb_seconds(2_592_000_000_000 * 100, 512)

    assert Decimal(expected) == duration_usd(used, sheet.duration[architecture]).quantize(CENT)


def test_storage_up_to_512_mb_is_free():
    """Nothing is billed below what every environment has."""
    assert Decimal(0) == storage_gb_seconds(10**9, 512) == storage_gb_seconds(10**9, 100)


def test_a_negative_amount_is_refused():
    """A negative quantity is a bug of the caller, not a credit."""
    with pytest.raises(ValueError, match="must not be negative"):
        duration_usd(Decimal(-1), TIERS)


def test_one_invocation_costs_a_request_and_its_milliseconds(sheet):
    """The rate of 1 GB on arm64, for a second."""
    one = rate(sheet, 1024, ARM64)

    assert Rate(Decimal("0.0000002"), Decimal("0.0000000133334")) == one
    assert Decimal("0.0000135334") == one.cost_usd(1000)


@given(AMOUNTS, AMOUNTS)
def test_cost_never_falls_and_never_is_negative(one, other):
    """More use never costs less."""
    less, more = sorted((one, other))

    assert 0 <= duration_usd(less, TIERS) <= duration_usd(more, TIERS)


@given(AMOUNTS.filter(lambda amount: amount <= 100), st.integers(0, 100))
def test_within_a_tier_cost_adds_up_over_any_split(amount, percent):
    """Two halves of a bill are the bill."""
    part = amount * percent / 100

    assert duration_usd(amount, TIERS) == duration_usd(part, TIERS) + duration_usd(amount - part, TIERS)


@given(AMOUNTS, st.integers(1, 10))
def test_k_times_the_use_costs_at_most_k_times_as_much(amount, k):
    """Tiers are concave."""
    assert duration_usd(k * amount, TIERS) <= k * duration_usd(amount, TIERS)


@given(AMOUNTS, AMOUNTS)
def test_a_free_allowance_never_costs(amount, free):
    """What is free is taken off, down to nothing."""
    paid = duration_usd(amount, TIERS, free_gb_seconds=free)

    assert 0 <= paid <= duration_usd(amount, TIERS)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_rounding_up_loses_less_than_a_millisecond(duration_us, init_us):
    """Billed time is the actual time, rounded up, whatever binary floats make of it."""
    billed = billed_ms(duration_us / 1e6, init_us / 1e6)

    assert 0 <= billed * 1000 - duration_us - init_us < 1000
