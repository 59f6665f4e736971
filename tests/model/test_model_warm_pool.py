"""The warm pool: the exact formula against its own vectors, SimFaaS's published runs and AWS itself."""

from __future__ import annotations

import math

import pytest

from engine.model.queueing.formulas import blocking
from engine.model.queueing.warm_pool import (
    approximate_warm_pool,
    environment_shares,
    exact_warm_pool,
    rare_cold_share,
    rare_cold_share_random,
    warm_pool,
)

ROWS = [
    ((0.9, 1.991, 600), 0.00132931, 7.69193, 0.00130821, 7.7338),
    ((1, 1, 60), 0.01139262, 4.59498, 0.01156081, 4.6293),
    ((10, 0.2, 300), 0.00022535, 9.31281, 0.00022302, 9.3427),
    ((10, 0.1, 300), 0.00018107, 6.91425, 0.00018057, 6.9322),
    ((1000, 0.1, 300), 9.60e-6, 144.49554, 9.47e-6, 144.67),
    ((0.01, 0.1, 600), 0.00346882, 1.00350, 0.00349668, 1.00347),
]


@pytest.mark.parametrize(("load", "cold", "environments", "_cold", "_environments"), ROWS)
def test_the_exact_formula(load, cold, environments, _cold, _environments):
    """To the printed digits."""
    found = exact_warm_pool(*load)

    assert cold == pytest.approx(found.cold_share, abs=5.1e-9, rel=3e-4 if cold == 9.60e-6 else 0)
    assert environments == pytest.approx(found.environments, abs=5.1e-6)


@pytest.mark.parametrize(("load", "_cold", "_environments", "cold", "environments"), ROWS)
def test_the_approximation(load, _cold, _environments, cold, environments):
    """To the printed digits."""
    found = approximate_warm_pool(*load)

    assert cold == pytest.approx(found.cold_share, rel=6e-4)
    assert environments == pytest.approx(found.environments, rel=2e-5)


AWS = [
    (0.001863, 1.9550, 0.342988, 0.6742, 0.329391, 0.6783),
    (0.002458, 1.9542, 0.210828, 0.8135, 0.232510, 0.7792),
    (0.002882, 1.9524, 0.145431, 0.7795, 0.181995, 0.8331),
    (0.003453, 1.9598, 0.110098, 0.9076, 0.131683, 0.8887),
    (0.004248, 1.9583, 0.079480, 0.9459, 0.085576, 0.9432),
    (0.005725, 1.9517, 0.038285, 1.0319, 0.042460, 1.0052),
    (0.007851, 1.9696, 0.033821, 1.1291, 0.022957, 1.0600),
    (0.016384, 1.9594, 0.019553, 1.2699, 0.022973, 1.2620),
    (0.050120, 1.9671, 0.008542, 2.1136, 0.010646, 2.0405),
    (0.099871, 1.9726, 0.005949, 2.7641, 0.007063, 2.6380),
    (0.100377, 1.9759, 0.005658, 2.8888, 0.007061, 2.6455),
    (0.198076, 1.9861, 0.003724, 3.7188, 0.003791, 3.5756),
    (0.301791, 1.9917, 0.002939, 4.4218, 0.002814, 4.3717),
    (0.397486, 1.9978, 0.002085, 5.0450, 0.002401, 5.0040),
    (0.499673, 2.0067, 0.001913, 5.6942, 0.001983, 5.6306),
    (0.595606, 2.0024, 0.001756, 6.4194, 0.001788, 6.1643),
    (0.697266, 2.0127, 0.001751, 6.9277, 0.001584, 6.7201),
    (0.797943, 2.0155, 0.001560, 7.5639, 0.001456, 7.2361),
    (0.902459, 2.0160, 0.001513, 7.8698, 0.001332, 7.7485),
    (1.000533, 2.0217, 0.001307, 8.3971, 0.001245, 8.2222),
]
"""Rate, warm seconds, measured P(cold) and instances, formula's P and W (SimFaaS, examples/exp.csv)."""


def test_twenty_measurements_of_aws_lambda():
    """Instance count within 4 % and cold-start probability within 15 %, on average over the rows."""
    found = [exact_warm_pool(rate, warm_s, 600) for rate, warm_s, *_ in AWS]
    cold_error = sum(abs(f.cold_share / row[2] - 1) for f, row in zip(found, AWS, strict=True)) / 20
    count_error = sum(abs(f.environments / row[3] - 1) for f, row in zip(found, AWS, strict=True)) / 20

    assert count_error < 0.04
    assert cold_error < 0.15


@pytest.mark.parametrize("row", AWS, ids=lambda row: str(row[0]))
def test_the_formula_at_each_measurement(row):
    """As computed for the reference, from seconds with more digits than are printed."""
    found = exact_warm_pool(row[0], row[1], 600)

    assert row[4] == pytest.approx(found.cold_share, abs=1.5e-6, rel=2e-3)
    assert row[5] == pytest.approx(found.environments, abs=2e-4)


def test_the_readme_run_of_simfaas():
    """P(cold) in [.00120, .00145], servers in [7.60, 7.78]."""
    found = exact_warm_pool(0.9, 1.991, 600)

    assert 0.00120 <= found.cold_share <= 0.00145
    assert 7.60 <= found.environments <= 7.78
    assert 1.7919 == pytest.approx(found.busy, abs=1e-4)
    assert 5.9000 == pytest.approx(found.environments - found.busy, abs=1e-3)


def test_the_limit_run_of_simfaas():
    """1,000 of 2,016 Erlangs: half is rejected."""
    assert 0.504455 == pytest.approx(blocking(2016, 1000), abs=1e-6)
    assert 0.5039 == pytest.approx(blocking(2016, 1000), abs=0.003)


def test_rare_calls():
    """At one call per time-out: exp(-1) with a fixed one, a half with a random one."""
    assert 0.367879 == pytest.approx(rare_cold_share(1 / 600, 600), abs=1e-6)
    assert 0.5 == rare_cold_share_random(1 / 600, 600)


def test_overlaps_matter_even_then():
    """0.00347 where the low-rate limit says 0.00248."""
    assert 0.00248 == pytest.approx(rare_cold_share(0.01, 600), abs=1e-5)
    assert 0.00347 == pytest.approx(exact_warm_pool(0.01, 0.1, 600).cold_share, abs=1e-5)


@pytest.mark.parametrize("load", [30.0, 300.0, 3000.0, 20_000.0])
def test_the_approximation_nears_the_exact_value_with_size(load):
    """Within 3 % of cold starts, and half a percent of environments."""
    exact, near = exact_warm_pool(load, 1.0, 300), approximate_warm_pool(load, 1.0, 300)

    assert near.cold_share == pytest.approx(exact.cold_share, rel=0.03)
    assert near.environments == pytest.approx(exact.environments, rel=5e-3)


def test_the_method_is_named():
    """Exact where it is affordable."""
    assert ("exact", "approximation") == (warm_pool(10, 1, 60).method, warm_pool(100_000, 1, 60).method)


@pytest.mark.parametrize(("keep_alive_s", "expected"), [(0.0, 1.0), (1e-9, 1.0), (1e9, 0.0)])
def test_without_time_out_and_without_end(keep_alive_s, expected):
    """All cold, none cold."""
    found = exact_warm_pool(5.0, 0.5, keep_alive_s)

    assert expected == pytest.approx(found.cold_share, abs=1e-6)
    assert found.environments >= found.busy - 1e-9


def test_what_idles():
    """Waste, as a share and per request."""
    found = exact_warm_pool(10, 0.2, 300)

    assert 1 - 2 / 9.31281 == pytest.approx(found.idle_share, abs=1e-6)
    assert 0.731281 == pytest.approx(found.idle_s_per_request(10), abs=1e-6)
    assert math.isclose(0.0, exact_warm_pool(10, 0.2, 0).idle_share, abs_tol=1e-9)


def test_the_distribution_of_environments():
    """Share of time with 5 to 12 environments, as computed for the reference; within .02 of SimFaaS's run."""
    found = environment_shares(0.9, 1.991, 600)
    exact = {
        5: 0.00012,
        6: 0.05765,
        7: 0.40359,
        8: 0.37250,
        9: 0.12933,
        10: 0.02993,
        11: 0.00574,
        12: 0.00097,
    }
    simfaas = {6: 0.05196, 7: 0.40408, 8: 0.38764, 9: 0.11974, 10: 0.03055, 11: 0.00541, 12: 0.00060}

    assert 1 == pytest.approx(sum(found))
    assert list(exact.values()) == pytest.approx([found[k] for k in exact], abs=6e-6)
    assert list(simfaas.values()) == pytest.approx([found[k] for k in simfaas], abs=0.02)


@pytest.mark.parametrize(
    ("rate", "warm_s", "servers", "cold"),
    [
        (0.9, 1.991, 7.605468, 0.001186),
        (100, 2.0, 251.043927, 0.000065),
        (1.0, 2.0, 8.091356, 0.001102),
        (0.1, 1.9726, 2.596872, 0.007388),
        (0.9, 2.016, 7.649641, 0.001193),
    ],
)
def test_the_birth_death_chain_of_pacsltk_is_near(rate, warm_s, servers, cold):
    """It takes the overflow for Poisson: its pool is up to 2 % smaller, its cold starts up to 20 % off."""
    found = exact_warm_pool(rate, warm_s, 600)

    assert servers == pytest.approx(found.environments, rel=0.02)
    assert cold == pytest.approx(found.cold_share, rel=0.20)


@pytest.mark.parametrize("provisioned", [8, 15, 22])
def test_provisioned_environments_leave_the_cold_starts_beyond_them(provisioned):
    """What a smaller pool would not have needed costs nothing, what it would have is saved."""
    plain = exact_warm_pool(100, 0.1, 30)
    found = exact_warm_pool(100, 0.1, 30, provisioned)
    near = approximate_warm_pool(100, 0.1, 30, provisioned)

    assert found.cold_share <= plain.cold_share
    assert found.environments >= max(provisioned, plain.environments - 1e-9)
    assert found.cold_share == pytest.approx(near.cold_share, rel=0.05)
    assert found.environments == pytest.approx(near.environments, rel=0.01)
