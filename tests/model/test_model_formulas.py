"""Formulas, against published and computed values."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import distributions
from engine.model.cost.price_book import price_book
from engine.model.queueing.formulas import (
    blocking,
    blocking_limit,
    concurrency_needed,
    delay_limit,
    load_for_blocking,
    mean_wait_s,
    offered_load,
    poisson_quantile,
    poisson_weight,
    servers_for_blocking,
    setup_response_s,
    sine_load,
    single_setup_response_s,
    staffing,
    wait_beyond,
    waiting,
)
from engine.model.queueing.offered_load import poisson_below
from engine.model.queueing.provisioning import break_even, cheapest, for_spill, provisioning
from engine.model.queueing.ramps import backlog, bursts_before_2023, provisioning_s, step


@pytest.mark.parametrize(
    ("erlangs", "servers", "expected", "digits"),
    [
        (10, 17, 0.012949, 6),
        (10, 18, 0.007142, 6),
        (2, 5, 0.036697, 6),
        (10, 14, 0.056819, 6),
        (5, 10, 0.018385, 6),
        (1, 1, 0.5, 12),
        (20, 30, 0.008457, 6),
        (100, 117, 0.009790, 6),
        (1000, 1029, 0.009942, 6),
        (2016, 1000, 0.504455, 6),
        (2, 5, 0.0367, 4),
        (10, 14, 0.0568, 4),
        (5, 10, 0.0184, 4),
    ],
)
def test_erlang_b_gives_the_published_values(erlangs, servers, expected, digits):
    """To all printed digits."""
    assert expected == round(blocking(erlangs, servers), digits)


@pytest.mark.parametrize(
    ("erlangs", "one_percent", "one_permille", "one_in_a_million"),
    [
        (1, 5, 6, 10),
        (5, 11, 14, 20),
        (10, 18, 21, 29),
        (20, 30, 35, 45),
        (50, 64, 71, 87),
        (100, 117, 128, 149),
        (1000, 1029, 1072, 1141),
        (10_000, 9970, 10_170, 10_410),
        (100_000, 99_092, 100_293, 101_197),
    ],
)
def test_the_fewest_servers_for_a_blocking_target(erlangs, one_percent, one_permille, one_in_a_million):
    """At scale, one percent lost needs fewer servers than Erlangs."""
    found = tuple(servers_for_blocking(erlangs, share) for share in (1e-2, 1e-3, 1e-6))

    assert (one_percent, one_permille, one_in_a_million) == found


@pytest.mark.parametrize(
    ("servers", "share", "erlangs", "digits"),
    [
        (1, 0.01, 0.0101, 4),
        (2, 0.01, 0.1526, 4),
        (5, 0.01, 1.3608, 4),
        (10, 0.01, 4.4612, 4),
        (15, 0.01, 8.108, 3),
        (18, 0.01, 10.4369, 4),
        (20, 0.01, 12.0306, 4),
        (50, 0.01, 37.9014, 4),
        (50, 0.02, 40.26, 2),
        (57, 0.01, 44.2, 1),
        (100, 0.01, 84.0642, 4),
        (100, 0.001, 75.242, 3),
        (1000, 0.01, 971.2041, 4),
    ],
)
def test_the_largest_load_for_a_blocking_target(servers, share, erlangs, digits):
    """Tables of Erlang B, and the Westbay manual's 15 lines."""
    assert erlangs == round(load_for_blocking(servers, share), digits)


@pytest.mark.parametrize(
    ("erlangs", "servers", "expected", "digits"),
    [
        (48, 55, 0.2387, 4),
        (10, 14, 0.174132, 6),
        (2, 3, 0.444444, 6),
        (9, 10, 0.668732, 6),
        (0.9, 1, 0.9, 12),
        (24, 28, 0.333139, 6),
    ],
)
def test_erlang_c_gives_the_published_values(erlangs, servers, expected, digits):
    """To all printed digits."""
    assert expected == round(waiting(erlangs, servers), digits)


@pytest.mark.parametrize(
    ("erlangs", "servers", "service_s", "within_s", "mean_s", "level"),
    [(48, 55, 240, 15, 8.184, 84.59), (10, 14, 180, 20, 7.836, 88.835)],
)
def test_the_worked_call_centres(erlangs, servers, service_s, within_s, mean_s, level):
    """Average speed of answer, and the share answered in time."""
    answered = 100 * (1 - wait_beyond(erlangs, servers, service_s, within_s))

    assert mean_s == round(mean_wait_s(erlangs, servers, service_s), 3)
    assert level == round(answered, 2 if level == 84.59 else 3)


def test_servers_that_cannot_keep_up():
    """Everybody waits, for ever."""
    assert (1.0, math.inf, 1.0) == (waiting(3, 3), mean_wait_s(3, 3, 1), wait_beyond(3, 3, 1, 9))
    assert math.inf == setup_response_s(2, 1, 2, 1) == single_setup_response_s(1, 1, 1)


@pytest.mark.parametrize(
    ("beta", "alpha", "b_root"),
    [
        (0.25, 0.72093, 0.64584),
        (0.5, 0.50454, 0.50916),
        (1, 0.22336, 0.28760),
        (1.5, 0.08469, 0.13879),
        (2, 0.02688, 0.05525),
        (3, 0.00148, 0.00444),
    ],
)
def test_square_root_staffing_limits(beta, alpha, b_root):
    """The delay limit of Halfin and Whitt, and that of blocking."""
    assert (alpha, b_root) == (round(delay_limit(beta), 5), round(blocking_limit(beta), 5))


@pytest.mark.parametrize(
    ("erlangs", "beta", "servers", "c", "b"),
    [(1000, 1, 1032, 0.22306, 0.008824), (10_000, 2, 10_200, 0.02751, 0.000554)],
)
def test_square_root_staffing_against_the_exact_values(erlangs, beta, servers, c, b):
    """Computed to the printed digits."""
    assert servers == staffing(erlangs, beta)
    assert (c, b) == (round(waiting(erlangs, servers), 5), round(blocking(erlangs, servers), 6))


@pytest.mark.parametrize(
    ("servers", "rate", "setup", "expected"),
    [
        (2, 1, 0.5, 46 / 17),
        (4, 2, 0.1, 4.462137),
        (1, 0.5, 0.5, 4.0),
        (2, 1, math.inf, 1.333333),
        (4, 2, math.inf, 1.086957),
    ],
)
def test_queues_with_setup(servers, rate, setup, expected):
    """M/M/k/setup, and without set-up M/M/k; adding 1/alpha would be wrong."""
    assert expected == pytest.approx(setup_response_s(rate, 1.0, servers, setup), rel=1e-6)


def test_one_server_with_setup_has_a_closed_form():
    """The general solution agrees with it."""
    assert 4.0 == single_setup_response_s(0.5, 1, 0.5)
    assert single_setup_response_s(0.7, 2, 0.3) == pytest.approx(setup_response_s(0.7, 2, 1, 0.3))


def test_little_and_the_quota():
    """30,000 requests a second of 20 ms: 600 busy, but 3,000 units of concurrency."""
    assert 600 == offered_load(30_000, 0.02)
    assert 110 == pytest.approx(offered_load(1000, 0.1, 0.01, 1.0))
    assert 3000 == concurrency_needed(30_000, 0.02)


@pytest.mark.parametrize("at_s", [0.0, 300.0, 1234.5])
def test_a_sinusoidal_load_lags_by_its_service(at_s):
    """The closed form equals the integral of the rate times the survival of service."""
    mean, amplitude, period_s, service_s = 750.0, 500.0, 3600.0, 100.0
    w, step_s = 2 * math.pi / period_s, 0.05
    integral = sum(
        (mean + amplitude * math.sin(w * (at_s - u))) * math.exp(-u / service_s) * step_s
        for u in (step_s * (i + 0.5) for i in range(60_000))
    )

    assert integral == pytest.approx(sine_load(mean, amplitude, period_s, service_s, at_s), rel=1e-6)


@pytest.mark.parametrize(("mean", "share"), [(0.0, 0.5), (0.3, 0.99), (12.0, 0.5), (1e5, 0.999)])
def test_the_quantile_of_concurrency(mean, share):
    """The smallest number not exceeded for that share of time."""
    k = poisson_quantile(mean, share)
    low = max(0, k - 3000)
    below = math.fsum(poisson_weight(j, mean) for j in range(low, k + 1))

    assert below >= share - 1e-12
    assert 0 == k or below - poisson_weight(k, mean) < share


def test_the_distribution_of_a_count_however_small_its_mean():
    """P(N <= k) as it is summed up from below."""
    for mean in (1e-300, 1e-122, 1e-9, 0.1, 3.0, 50.0):
        for count in (0, 1, 3, 12, 70):
            expected = math.fsum(poisson_weight(k, mean) for k in range(count + 1))

            assert expected == pytest.approx(poisson_below(count, mean), abs=1e-12)


@pytest.mark.parametrize(("wrong", "call"), [(1.0, poisson_quantile), (-0.1, poisson_quantile)])
def test_a_share_is_a_share(wrong, call):
    """Said at once."""
    with pytest.raises(ValueError, match="share must be"):
        call(3.0, wrong)
    with pytest.raises(ValueError, match="share must be"):
        servers_for_blocking(3.0, 0.0)
    with pytest.raises(ValueError, match="not negative"):
        blocking(-1.0, 3)


# ---------------------------------------------------------------- provisioned concurrency


@pytest.mark.parametrize(("architecture", "expected"), [("x86_64", 0.6), ("arm64", 0.60001)])
def test_provisioned_concurrency_pays_above_sixty_percent(architecture, expected):
    """4.1667 / (16.6667 - 9.7222)."""
    assert expected == round(float(break_even(price_book("us-east-1"), architecture)), 5)


def test_a_busy_provisioned_environment_is_a_sixth_cheaper():
    """0.05 instead of 0.06 a GB-hour."""
    book = price_book("us-east-1")
    names = (
        "lambda.provisioned.standing.x86_64",
        "lambda.provisioned.duration.x86_64",
        "lambda.duration.x86_64",
    )
    standing, inside, on_demand = (book.meters[name].bands[0].usd * 3600 for name in names)

    assert (0.05, 0.06) == (round(float(standing + inside), 6), round(float(on_demand), 6))


@pytest.mark.parametrize(
    ("erlangs", "environments", "spill"),
    [(1, 0, 1.0), (10, 9, 0.2732), (100, 100, 0.0757), (1000, 1004, 0.02236)],
)
def test_the_cheapest_number_of_provisioned_environments(erlangs, environments, spill):
    """Add them while the last is busy for more than 60 % of the time."""
    found = cheapest(erlangs, 0.6)

    assert (environments, spill) == (found.environments, round(found.spill_share, 5 if spill < 0.05 else 4))
    assert found == provisioning(erlangs, environments) or not environments


def test_the_number_for_a_spill_target():
    """10 Erlangs, one in a million: 29."""
    assert 29 == for_spill(10, 1e-6).environments


# ---------------------------------------------------------------- ramps


def test_a_step_against_the_scaling_rate():
    """100,000 requests a second of 100 ms: full after 90 s, 4.05 M refused of 9 M."""
    assert (90.0, 4_050_000.0, 0.45) == pytest.approx(tuple(step(100_000, 0.1)))
    assert (0.0, 0.0, 0.0) == tuple(step(100, 0.1))


@pytest.mark.parametrize(
    ("growth_per_s", "after_s", "messages"),
    [(1, 195, 95_062.5), (5, 39, 19_012.5), (1000 / 60, 11.7, 5_703.75)],
)
def test_a_backlog_against_the_growth_of_pollers(growth_per_s, after_s, messages):
    """1,000 messages a second, batches of 10 in 2 s: 200 pollers are needed, 5 are there."""
    found = backlog(1000, 10, 2, growth_per_s=growth_per_s)

    assert (after_s, messages) == pytest.approx(found[:2])
    assert (0.0, 0.0, 0.0) == tuple(backlog(10, 10, 2))


def test_provisioned_concurrency_is_allocated_at_a_rate():
    """5,000 take 50 s, and their init."""
    assert (50.0, 52.5) == (provisioning_s(5000), provisioning_s(5000, init_s=2.5))


@pytest.mark.parametrize(
    ("minutes", "expected"), [(1, [7000]), (2, [2000, 1500]), (3, [333, 0, 0]), (4, [0, 0, 0, 0])]
)
def test_the_operator_guides_bursts(minutes, expected):
    """10,000 invocations, spread over so many minutes, under the limits before November 2023."""
    refused = bursts_before_2023([10_000 / minutes] * minutes, limit=10_000, burst=3000)

    assert expected == [int(one) for one in refused]


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("text", ["120", "exp:120", "lognormal:80:400"])
def test_a_law_agrees_with_itself(text):
    """Quantile and distribution are inverse, and samples have the mean."""
    distribution = distributions.parse_distribution(text)
    rng = Random(7)
    drawn = [distribution.draw_s(rng) for _ in range(20_000)]

    assert sum(drawn) / len(drawn) == pytest.approx(distribution.mean_s, rel=0.03)
    for share in (0.1, 0.5, 0.99):
        assert distribution.fixed or share == pytest.approx(
            distribution.below(distribution.quantile_s(share))
        )


def test_a_log_normal_by_median_and_tail():
    """Median 80 ms, 99th percentile 400 ms."""
    distribution = distributions.parse_distribution("lognormal:80:400")

    assert (0.08, 0.4) == pytest.approx((distribution.quantile_s(0.5), distribution.quantile_s(0.99)))


def test_the_percentile_flips_where_cold_starts_begin():
    """One percent cold: p98 is warm, p99.5 is not."""
    mixed = distributions.Mixture(
        0.01,
        distributions.Sum(distributions.Constant(2.0), distributions.Constant(0.1)),
        distributions.Constant(0.1),
    )

    assert 0.1 == pytest.approx(mixed.quantile_s(0.98))
    assert 2.1 == pytest.approx(mixed.quantile_s(0.995))
    assert 0.119 < mixed.mean_s < 0.121


def test_a_sum_of_laws_is_a_convolution():
    """Two exponentials of mean 1 are an Erlang law of order 2."""
    both = distributions.Sum(distributions.Exponential(1.0), distributions.Exponential(1.0))

    assert 1 - 3 * math.exp(-2) == pytest.approx(both.below(2.0), abs=2e-3)
    assert 2.0 == both.mean_s


def test_measured_values_are_a_law():
    """Each equally likely."""
    distribution = distributions.empirical([3.0, 1.0, 2.0, 4.0])

    assert (2.5, 2.0, 4.0, 0.5) == (
        distribution.mean_s,
        distribution.quantile_s(0.5),
        distribution.quantile_s(0.99),
        distribution.below(2.5),
    )
    with pytest.raises(ValueError, match="no values"):
        distributions.empirical([])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "'x' is not a number"),
        ("-1", "must be 0 or more"),
        ("inf", "must be 0 or more"),
        ("exp:", "is not a number"),
        ("exp:0", "must be more than 0"),
        ("exp:1:2", "exp takes 1 numbers"),
        ("lognormal:5", "lognormal takes 2 numbers"),
        ("lognormal:5:5", "must be above the median"),
        ("weibull:5", "must be MS, exp:MEAN or lognormal:MEDIAN:P99"),
    ],
)
def test_a_law_that_is_none_is_one_clear_line(text, problem):
    """With what is wrong."""
    with pytest.raises(ValueError, match=problem):
        distributions.parse_distribution(text)


@given(st.text(max_size=20))
def test_no_text_breaks_the_parser(text):
    """A law, or one line."""
    try:
        mean_s = distributions.parse_distribution(text).mean_s
    except ValueError:
        mean_s = 0.0

    assert mean_s >= 0
