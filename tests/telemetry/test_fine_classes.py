"""Percentiles from fine classes are right to 2.2 %, and the classes are those of Prometheus's schema 4."""

from __future__ import annotations

from math import ceil, inf, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.telemetry.fine_classes import (
    ERROR,
    LEAST_S,
    LEAST_WAIT_S,
    LOWEST,
    LOWEST_WAIT,
    class_of,
    gained,
    percentile,
    upper_bound,
)
from engine.telemetry.histogram import HANDLER_BOUNDS_S, FineHistogram, Histogram
from engine.telemetry.samples import total

TIMES = st.lists(st.floats(0.000002, 20_000.0), min_size=1, max_size=50)


def histogram(values, lowest=LOWEST):
    made = FineHistogram(HANDLER_BOUNDS_S, lowest)
    for value in values:
        made.observe(value)
    return made


@given(TIMES, st.floats(0.01, 1.0))
def test_a_percentile_is_off_by_no_more_than_it_says(values, q):
    true = sorted(values)[ceil(q * len(values)) - 1]

    assert pytest.approx(true, rel=ERROR * 1.0001) == percentile(histogram(values).classes, q)


@given(st.floats(0.000002, 20_000.0))
def test_a_value_is_above_the_class_before_its_own(value):
    """And not above its own: Prometheus's buckets include their upper bound."""
    assert (
        upper_bound(class_of(value) - 1) * (1 - 1e-12) <= value <= upper_bound(class_of(value)) * (1 + 1e-12)
    )


@pytest.mark.parametrize("power", [-19, -2, 0, 1, 9])
def test_a_power_of_two_is_in_the_class_that_it_bounds(power):
    assert 16 * power == class_of(2.0**power)


@pytest.mark.parametrize(("least_s", "lowest"), [(LEAST_S, LOWEST), (LEAST_WAIT_S, LOWEST_WAIT)])
def test_what_is_not_above_the_lowest_class_is_in_it(least_s, lowest):
    counted = histogram([0.0, least_s / 2, least_s, least_s * 1.01], lowest)

    assert {lowest: 3, lowest + 1: 1} == counted.classes
    assert least_s == upper_bound(lowest)
    assert 0 < percentile(counted.classes, 0.5, lowest) <= least_s
    assert percentile({}, 0.5) is None


def test_percentiles_cover_what_was_counted_between_two_looks():
    before, after = histogram([0.01] * 100), histogram([0.01] * 100 + [3.0] * 10)
    between = gained(before.classes, after.classes)

    assert pytest.approx(3.0, rel=ERROR) == percentile(between, 0.5)
    assert pytest.approx(0.01, rel=ERROR) == percentile(after.classes, 0.5)


def test_functions_that_share_a_label_are_added_up_in_their_classes_too():
    added = total([histogram([0.01, 0.5]), histogram([0.5, 7.0])])

    assert histogram([0.01, 0.5, 0.5, 7.0]).classes == added.classes
    assert (4, 8.01) == (added.count, added.sum)


def test_the_engine_counts_what_ends_in_classes(bench):
    """As many in all as between the bounds of Prometheus's buckets, also where nothing was waited."""
    for duration_s in (0.0, 0.030, 0.031, 0.045):
        bench.run(duration_s=duration_s)
    counted = bench.stats.functions["hello"]

    assert histogram([0.0, 0.030, 0.031, 0.045]).classes == counted.duration.classes
    assert {LOWEST: 1} == {n: c for n, c in counted.duration.classes.items() if n == LOWEST}
    assert 4 == sum(counted.queue_wait.classes.values()) == counted.queue_wait.count


def test_counts_between_bounds_are_exact_at_every_border(bench):
    """Of duration and of latency: the class of a time says its bucket only where no bound cuts the class."""
    borders = [*HANDLER_BOUNDS_S, *map(upper_bound, range(LOWEST - 1, 10 * 16 + 2))]
    durations, latencies = Histogram(HANDLER_BOUNDS_S), Histogram(HANDLER_BOUNDS_S)
    for border in borders:
        for value in (nextafter(border, 0.0), border, nextafter(border, inf)):
            for wait_s in (0.0, value / 100, 3 * value):
                bench.run(duration_s=value, queue_wait_s=wait_s)
                durations.observe(value)
                latencies.observe(value + wait_s)
    counted = bench.stats.functions["hello"]

    assert durations.counts == counted.duration.counts
    assert latencies.counts == counted.latencies["invoke"].counts
