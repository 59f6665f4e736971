"""The made-up population has the published facts of the real one."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import mean, median, pstdev

import pytest

from engine.model.traffic.synthetic import DURATIONS, applications, arrivals, durations, memory_quantile_mb

POPULATION = applications(20_000, Random(1))


def share(of):
    return sum(map(of, POPULATION)) / len(POPULATION)


def test_most_applications_are_rarely_called_and_the_rest_makes_the_load():
    """45 % at most hourly, 81 % at most once a minute; the others make 99.6 % of the calls."""
    often = sum(one.rate_per_s for one in POPULATION if one.rate_per_s > 1 / 60)

    assert 0.45 == pytest.approx(share(lambda one: one.rate_per_s <= 1 / 3600), abs=0.02)
    assert 0.81 == pytest.approx(share(lambda one: one.rate_per_s <= 1 / 60), abs=0.02)
    assert 0.996 == pytest.approx(often / sum(one.rate_per_s for one in POPULATION), abs=0.003)


def test_applications_are_small():
    """54 % have one function, 95 % at most ten."""
    assert 0.54 == pytest.approx(share(lambda one: one.functions == 1), abs=0.02)
    assert 0.95 == pytest.approx(share(lambda one: one.functions <= 10), abs=0.01)


def test_triggers():
    """HTTP leads, then timers and queues."""
    assert 0.550 == pytest.approx(share(lambda one: one.trigger == "http"), abs=0.02)
    assert 0.156 == pytest.approx(share(lambda one: one.trigger == "timer"), abs=0.01)
    assert 0.152 == pytest.approx(share(lambda one: one.trigger == "queue"), abs=0.01)


def test_durations_are_log_normal():
    """Median .684 s; P(<1 s) = .564, P(<10 s) = .872, P(<60 s) = .971; mean 11.08 s."""
    assert 0.684 == pytest.approx(DURATIONS.quantile_s(0.5), abs=0.001)
    assert 11.08 == pytest.approx(DURATIONS.mean_s, abs=0.01)
    assert [0.564, 0.872, 0.971] == pytest.approx([DURATIONS.below(s) for s in (1, 10, 60)], abs=0.001)
    assert 0.684 == pytest.approx(median(one.duration_s for one in POPULATION), rel=0.05)


def test_memory_is_burr():
    """p50 139.6, p90 261.9, p99 640.3 MB."""
    assert [139.6, 261.9, 640.3] == pytest.approx([memory_quantile_mb(q) for q in (0.5, 0.9, 0.99)], abs=0.1)


def test_timers_are_regular_and_a_part_of_the_rest_comes_in_bursts():
    """57 % of applications have a variation of their distances of 1 or less, 86 % of 4 or less."""
    rng, found = Random(5), []
    for one in applications(700, rng):
        at_s = arrivals(one, min(500 / one.rate_per_s, 14 * 86_400), rng)
        if len(at_s) >= 10:
            gaps = [b - a for a, b in pairwise(at_s)]
            found.append((one.trigger, pstdev(gaps) / mean(gaps)))

    assert all(variation < 1e-3 for trigger, variation in found if trigger == "timer")
    assert 0.57 == pytest.approx(sum(one <= 1 for _, one in found) / len(found), abs=0.07)
    assert 0.86 == pytest.approx(sum(one <= 4 for _, one in found) / len(found), abs=0.08)


def test_an_application_takes_as_long_as_its_average():
    """Whatever the spread about it."""
    one = POPULATION[3]
    took_s = durations(one, 20_000, Random(1))

    assert one.duration_s == pytest.approx(mean(took_s), rel=0.03)


def test_the_same_seed_is_the_same_population():
    """Nothing else is drawn from."""
    assert applications(50, Random(9)) == applications(50, Random(9))
