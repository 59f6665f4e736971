"""Plan, the fast simulator, the live rules and the fluid model on the same random workloads.

Where they differ by more than the errors they state, and chance, this fails; `tests/bench/model_grid.py` does
the same on many more.
"""

from __future__ import annotations

import pytest

from tests.model.workload_grid import by_rules, case, differences, fast, planned, workload

SEEDS = range(1000, 1018)


@pytest.mark.parametrize("seed", SEEDS)
def test_plan_and_simulation_differ_by_no_more_than_they_say(seed):
    """Formulas or fluid against one run: in flight, cold starts, environments, refusals, failures."""
    one = case(seed)
    drawn = workload(one, seed)

    assert [] == differences(one, planned(one), fast(one, drawn) or by_rules(one, drawn))


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
