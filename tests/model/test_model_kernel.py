"""The fast kernel gives every request the same outcome, at the same moment, as the simulator does."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.function import Account, Function
from engine.model.distributions import Constant, Exponential
from engine.model.simulation import fast_simulator
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import (
    FAILS,
    ColdStartRule,
    Trigger,
    Workload,
    poisson_workload,
)


def function(**keys):
    return Function("f", handler="a.b", **{"timeout_s": 3.0, "keep_alive_s": 1.0, **keys})


def drawn(seed, one, *, rate_per_s=20.0, n_s=25.0, mean_s=0.3, init=None, **shares):
    return poisson_workload(
        one,
        rate_per_s=rate_per_s,
        horizon_s=n_s,
        service=Exponential(mean_s),
        init=init or Exponential(0.4),
        rng=Random(seed),
        **shares,
    )


def agree(workload, account, compiled, rule=ColdStartRule.FIRST_FREE):
    """Assert that both say the same of every request, and of the environments."""
    ran = fast_simulator.run(workload, account, cold_start=rule, compiled=compiled)
    simulation = Simulation([workload], account, cold_start=rule)
    (seen,) = simulation.run().functions
    (simulated,) = simulation.functions
    inits_s = {item: one for item, one in enumerate(ran.inits_s) if one}

    assert simulated.outcomes == ran.outcomes
    assert simulated.started_s == ran.started_s
    assert simulated.inits_s == inits_s
    assert (simulated.created, seen.peak_concurrency) == (ran.totals.created, ran.totals.peak)
    assert simulated.is_inside == ran.inside
    assert seen.peak_environments == ran.totals.peak_environments
    assert seen.environment_s == pytest.approx(ran.totals.environment_s)
    return ran


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    keys=st.fixed_dictionaries(
        {
            "reserved_concurrency": st.sampled_from([None, None, 3, 8]),
            "timeout_s": st.sampled_from([0.5, 900.0]),
            "keep_alive_s": st.sampled_from([0.01, 0.5, 20.0]),
        }
    ),
    crash_share=st.sampled_from([0.0, 0.05]),
    scaling=st.sampled_from([0, 5, 50]),
    requests=st.sampled_from([0, 10]),
    rule=st.sampled_from(ColdStartRule),
)
def test_the_same_outcomes_under_any_limits(seed, keys, crash_share, scaling, requests, rule):
    """Deadlines, crashes, reservations, rates, long and short keep-alive."""
    workload = drawn(seed, function(**keys), n_s=15, crash_share=crash_share)
    account = Account(concurrency_limit=12, scaling_rate=scaling, requests_per_concurrency=requests)
    agree(workload, account, compiled=False, rule=rule)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), provisioned=st.integers(1, 5), rule=st.sampled_from(ColdStartRule))
def test_the_same_outcomes_with_provisioned_environments(seed, provisioned, rule):
    """They are used first and do not expire."""
    one = function(provisioned_concurrency=provisioned, timeout_s=900.0)
    agree(drawn(seed, one), Account(concurrency_limit=9), compiled=False, rule=rule)


@pytest.mark.parametrize("service", [Constant(0.1), Constant(0.25)])
def test_the_same_outcomes_where_everything_falls_together(service):
    """Equal distances and equal durations: what happens at one moment happens in the same order."""
    at_s = [number // 3 * 0.25 for number in range(300)]
    workload = Workload(function=function(), at_s=at_s, service_s=[service.seconds] * 300, inits_s=[0.5])
    agree(workload, Account(), compiled=False)


def test_the_same_outcomes_when_compiled():
    """numba changes nothing but the time it takes."""
    pytest.importorskip("numba")
    crashes = drawn(1, function(timeout_s=1.0), rate_per_s=200, crash_share=0.02)
    ready = drawn(2, function(provisioned_concurrency=5, timeout_s=900.0), rate_per_s=200)
    account = Account(concurrency_limit=70, scaling_rate=50, requests_per_concurrency=3)

    assert agree(crashes, account, compiled=True).compiled
    assert agree(ready, account, compiled=True).compiled
    assert agree(crashes, account, compiled=True, rule=ColdStartRule.OWN).compiled


def test_observations_are_equal():
    """What is reported of a run does not say which of the two it was."""
    workload = drawn(3, function(), crash_share=0.02, error_share=0.05)
    ran = fast_simulator.run(workload, compiled=False)
    actual = fast_simulator.observe(workload, ran)
    (expected,) = Simulation([workload]).run().functions

    assert expected.environment_s == pytest.approx(actual.environment_s)
    for name in (
        "arrivals",
        "ran",
        "cold",
        "crashes",
        "errors",
        "created",
        "billed_ms",
        "init_ms",
        "all_times",
    ):
        assert getattr(expected, name) == getattr(actual, name)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"environment_concurrency": 2}, "environments are shared"),
        ({"overflow": "queue"}, "events wait for limits"),
        ({"provisioned_concurrency": 1, "timeout_s": 0.01}, "provisioned environments die"),
    ],
)
def test_what_the_kernel_cannot_play_is_named(keys, reason):
    """The simulator can."""
    workload = drawn(1, function(**keys))

    assert reason == fast_simulator.unsuited(workload)
    with pytest.raises(ValueError, match=f"f: not for the fast kernel: {reason}"):
        fast_simulator.run(workload)


def test_failing_inits_and_retries_are_for_the_simulator():
    """As are mappings and policies, which the kernel is not told of."""
    fails = Workload(function=function(), at_s=[0.0], service_s=[0.1], inits_s=[0.1, FAILS])
    slow = Workload(function=function(), at_s=[0.0], service_s=[0.1], inits_s=[10.0])
    again = Workload(function=function(), at_s=[0.0], service_s=[0.1], trigger=Trigger.ASYNCHRONOUS)

    assert "an initialisation fails" == fast_simulator.unsuited(fails) == fast_simulator.unsuited(slow)
    assert "events are tried again" == fast_simulator.unsuited(again)


def test_nothing_comes():
    """No request, no environment."""
    workload = Workload(function=function(), at_s=[], service_s=[])

    assert (0, 0, 0.0, 0.0, 0) == fast_simulator.run(workload, compiled=False).totals
