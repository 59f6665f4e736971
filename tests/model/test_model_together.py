"""Plan, the fast simulator, the live rules and the fluid model on the same random workloads.

Where they differ by more than the errors they state, and chance, this fails; `tests/bench/model_grid.py` does
the same on many more.
"""

from __future__ import annotations

import pytest

from engine.core.function import Function
from engine.model.distributions import parse_distribution
from engine.model.traffic.shapes import parse_shape
from tests.model.workload_grid import Case, by_rules, case, differences, fast, planned, workload

SEEDS = range(1000, 1018)


@pytest.mark.parametrize("seed", SEEDS)
def test_plan_and_simulation_differ_by_no_more_than_they_say(seed):
    """Formulas or fluid against one run: in flight, cold starts, environments, refusals, failures."""
    one = case(seed)
    drawn = workload(one, seed)

    assert [] == differences(one, planned(one), fast(one, drawn) or by_rules(one, drawn))


@pytest.mark.parametrize(
    ("traffic", "duration", "timeout_s", "init_ms"),
    [
        ("poisson:200", "200", 0.2, "200"),
        ("poisson:200", "exp:200", 0.1, "0"),
        ("constant:200", "40", 0.04, "200"),
        ("step:50:250:40", "200", 0.2, "0"),
        ("step:50:250:40", "exp:200", 0.1, "200"),
        ("sine:200:150:20", "200", 0.2, "0"),
        ("onoff:300:10:10", "200", 0.2, "0"),
        ("spike:100:600:30:10", "40", 0.04, "200"),
    ],
)
def test_environments_lost_to_time_outs_are_renewed_at_the_rate_of_starts(
    traffic, duration, timeout_s, init_ms
):
    """1,000 at once and 100 a second: what needs more is refused, and not at work; inits never are over."""
    function = Function("f", handler="a.b", keep_alive_s=10.0, timeout_s=timeout_s)
    laws = parse_distribution(duration), parse_distribution(init_ms)
    one = Case(function, parse_shape(traffic), 90.0, *laws)
    plan, seen = planned(one), fast(one, workload(one, 5))

    assert seen is not None
    assert seen.throttled_share == pytest.approx(plan.throttled_share, abs=0.03)
    assert seen.concurrency == pytest.approx(plan.concurrency, rel=0.06)
    assert seen.environments == pytest.approx(plan.environments, rel=0.22)
    assert seen.concurrency_p99 == pytest.approx(plan.concurrency_p99, rel=0.3, abs=3)


@pytest.mark.parametrize("traffic", ["poisson:10", "constant:10", "sine:10:5:60", "onoff:20:5:5"])
def test_a_reservation_of_0_lets_nothing_in(traffic):
    """Plan, the kernel and the live rules."""
    function = Function("f", handler="a.b", timeout_s=3.0, reserved_concurrency=0)
    one = Case(function, parse_shape(traffic), 60.0, *map(parse_distribution, ("100", "50")))
    drawn = workload(one, 5)

    for found in (planned(one), fast(one, drawn), by_rules(one, drawn)):
        assert (1.0, 0, ["function_limit"]) == (found.throttled_share, found.ran, _reasons(found))


def _reasons(found):
    """The kernel does not tell them apart."""
    return ["function_limit"] if list(found.refusals) == ["limit"] else list(found.refusals)


@pytest.mark.parametrize("seed", [1, 4, 9, 16, 25])
def test_fast_simulator_and_live_rules_say_the_same(seed):
    """To the last digit."""
    one = case(seed, requests=4_000)
    drawn = workload(one, seed)
    quick, rules = fast(one, drawn), by_rules(one, drawn)
    if quick is None:
        pytest.skip("the live rules alone play it")

    for name in ("requests", "ran", "cold_share", "billed_ms", "created", "inside", "concurrency_p99"):
        assert getattr(rules, name) == getattr(quick, name), name
    assert rules.environments == pytest.approx(quick.environments)
    assert rules.concurrency == pytest.approx(quick.concurrency)
