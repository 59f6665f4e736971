"""The fluid model against closed forms, the stationary formulas, and the kernel."""

from __future__ import annotations

import math
from random import Random

import pytest

from engine.core.function import Account, Function
from engine.model.distributions import Constant, Exponential
from engine.model.queueing.fluid import FlowLimits, flow
from engine.model.queueing.formulas import blocking
from engine.model.queueing.warm_pool import exact_warm_pool
from engine.model.simulation import fast_simulator
from engine.model.simulation.workload import Workload
from engine.model.traffic.shapes import Shape, arrivals, parse_shape

FREE = {"limit": math.inf, "burst": 0.0}


def followed(shape, horizon_s, service, **limits):
    shape = shape if isinstance(shape, Shape) else parse_shape(shape)
    return flow(shape, horizon_s, service=service, limits=FlowLimits(**limits))


@pytest.mark.parametrize(
    ("scale", "simulated_cold", "simulated_pool"), [(1, 230, 108.8), (4, 577, 367.6), (10, 1318, 858.7)]
)
def test_a_sinusoidal_load_against_simulations(scale, simulated_cold, simulated_pool):
    """Five periods, the first from nothing: cold starts within 15 %, closer with size; pool within 2 %."""
    shape = Shape("sine", (750.0 * scale, 500.0 * scale, 3600.0))
    found = followed(shape, 18_000, Exponential(0.1), keep_alive_s=60, **FREE)

    assert simulated_cold == pytest.approx(found.cold / 5, rel=0.15 if scale < 4 else 0.04)
    assert simulated_pool == pytest.approx(found.environment_s / found.horizon_s, rel=0.02)


def test_against_the_kernel_on_the_same_load():
    """A short wave: cold starts within three standard deviations and 5 %, environments within 3 %."""
    shape, horizon_s = Shape("sine", (600.0, 400.0, 300.0)), 900.0
    rng = Random(1)
    at_s = arrivals(shape, horizon_s, rng)
    workload = Workload(
        function=Function("f", handler="a.b", keep_alive_s=20.0, timeout_s=900.0),
        at_s=at_s,
        service_s=[rng.expovariate(10.0) for _ in at_s],
        inits_s=[0.0],
    )
    account = Account(concurrency_limit=10**6, scaling_rate=0)
    ran = fast_simulator.run(workload, account, horizon_s=horizon_s, compiled=False)
    found = followed(shape, horizon_s, Exponential(0.1), keep_alive_s=20.0, **FREE)
    cold = ran.totals.created

    assert abs(found.cold - cold) < 3 * math.sqrt(cold) + 0.05 * cold
    assert ran.totals.environment_s == pytest.approx(found.environment_s, rel=0.03)


def test_a_step_against_the_scaling_rate():
    """100,000 requests/s of 100 ms at once: 90 s until there are environments, 4.05 million refused."""
    found = followed("100000", 150, Exponential(0.1))
    last_s = max(level.at_s for level in found.levels if level.throttled_per_s > 100)

    assert 4_050_000 == pytest.approx(found.throttled, rel=0.02)
    assert 90 == pytest.approx(last_s, rel=0.05)


def test_a_steady_load_settles_at_the_stationary_pool():
    """Environments, and the rate of cold starts."""
    found = followed("100", 20_000, Exponential(0.1), keep_alive_s=60.0, **FREE)
    pool = exact_warm_pool(100, 0.1, 60.0)
    last = found.levels[-1]

    assert pool.environments == pytest.approx(last.environments, rel=0.01)
    assert pool.cold_share == pytest.approx(last.cold_per_s / 100, rel=0.03)
    assert 10 == pytest.approx(last.in_flight)


def test_a_limit_refuses_as_erlang_says():
    """2,016 Erlangs on 1,000: half is refused."""
    found = followed("1000", 300, Exponential(2.016), limit=1000, burst=0)

    assert blocking(2016, 1000) == pytest.approx(found.levels[-1].throttled_per_s / 1000, rel=0.002)
    assert 1000 == pytest.approx(found.peak_in_flight, rel=0.002)


def test_provisioned_environments_are_never_cold():
    """Until more are needed."""
    wide = followed("100", 600, Exponential(0.1), provisioned=100, burst=0)

    assert 0 == pytest.approx(wide.cold, abs=1e-6)
    assert 100 == pytest.approx(wide.peak_environments)


def test_what_came_is_served_or_refused():
    """Nothing is lost, whatever the limits."""
    found = followed(
        "onoff:5000:20:40", 300, Exponential(0.5), keep_alive_s=30, limit=1500, burst=500, growth_per_s=50
    )

    assert 500_000 == pytest.approx(found.requests)
    assert 0 < found.throttled < found.requests
    assert found.cold <= found.ran
    assert all(level.in_flight <= level.environments * 1.01 + 1 for level in found.levels[1:])
    assert found.requests == pytest.approx(sum(one.rate_per_s * one.seconds for one in found.levels))


def test_nothing_comes():
    """No environment."""
    found = followed("step:0:10:100", 10, Constant(0.1))

    assert (0, 0, 0, 0) == (found.requests, found.cold, found.throttled, found.environment_s)
