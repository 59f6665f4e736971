"""The ledger adds integers and is exact when it is read."""

from __future__ import annotations

from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from engine.core.billing import billed_ms, rate
from engine.core.lambda_prices import price_sheet
from engine.core.ledger import Component, Ledger

SHEET = price_sheet("us-east-1")
assert SHEET is not None
RATE = rate(SHEET, 512, "x86_64")
RUNS = st.lists(st.tuples(st.integers(0, 900_000_000), st.integers(0, 10_000_000)))


def filled(runs: list[tuple[int, int]]) -> Ledger:
    ledger = Ledger(RATE, 512)
    for duration_us, init_us in runs:
        ledger.add(billed_ms(duration_us / 1e6, init_us / 1e6), duration_us, init_us)
    return ledger


def test_an_empty_ledger_costs_nothing():
    """Nothing ran, nothing is owed."""
    ledger = filled([])

    assert (0, 0, 0, Decimal(0)) == (ledger.requests, ledger.billed_ms, ledger.rounding_us, ledger.cost_usd())


def test_init_is_what_it_added_to_the_bill():
    """AWS's example: 250.06 ms alone is billed 251 ms, with an init of 100.77 ms it is 351 ms."""
    ledger = filled([(250_060, 100_770)])

    assert (351, 100) == (ledger.billed_ms, ledger.init_ms)
    assert 100 * RATE.millisecond_usd == ledger.cost_usd(Component.INIT)
    assert 251 * RATE.millisecond_usd == ledger.cost_usd(Component.DURATION)
    assert RATE.request_usd == ledger.cost_usd(Component.REQUEST)
    assert 351_000 - 350_830 == ledger.rounding_us


def test_gigabyte_seconds_go_by_configured_memory():
    """Two seconds at 512 MB are one GB-second."""
    assert Decimal(1) == filled([(2_000_000, 0)]).gb_seconds


def test_a_careless_decimal_context_changes_nothing():
    """User code may lower the precision of the context it shares with us."""
    ledger = filled([(123_456_789, 1_234_567)] * 9)
    expected = ledger.cost_usd()

    with localcontext(prec=2):
        assert expected == ledger.cost_usd()
        assert expected == sum_of_components(ledger)


def sum_of_components(ledger: Ledger) -> Decimal:
    with localcontext(prec=50):
        return sum((ledger.cost_usd(component) for component in Component), Decimal(0))


@given(RUNS)
def test_components_add_up_to_the_sum_of_the_outcomes(runs):
    """The ledger owes what its invocations cost one by one, to the last digit."""
    ledger = filled(runs)
    with localcontext(prec=60):
        one_by_one = sum((RATE.cost_usd(billed_ms(d / 1e6, i / 1e6)) for d, i in runs), Decimal(0))

    assert one_by_one == ledger.cost_usd() == sum_of_components(ledger)


@given(RUNS)
def test_rounding_is_never_negative_and_below_a_millisecond_each(runs):
    """Rounding goes up only."""
    ledger = filled(runs)

    assert 0 <= ledger.rounding_us <= 999 * ledger.requests
    assert 0 <= ledger.init_ms <= ledger.billed_ms


@given(RUNS)
def test_floats_for_a_scrape_are_the_nearest_to_the_exact_cost(runs):
    """One rounding, at the end."""
    ledger = filled(runs)

    assert {component.value: float(ledger.cost_usd(component)) for component in Component} == ledger.dollars()
