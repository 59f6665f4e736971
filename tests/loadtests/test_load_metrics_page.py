"""Percentiles out of the buckets of a page of metrics."""

from bisect import bisect_left
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from engine.load.results.metrics_page import buckets, counted_since, quantile
from engine.telemetry.histogram import Histogram

BOUNDS = (1.0, 2.0, 4.0)


def histogram(values):
    """The buckets of these values."""
    made = Histogram(BOUNDS)
    for value in values:
        made.observe(value)
    return dict(zip((*BOUNDS, float("inf")), accumulate(made.counts), strict=True))


def test_a_quantile_is_interpolated_inside_its_bucket():
    """Four values between 1 and 2: the median is put half-way."""
    assert 1.5 == quantile(histogram([1.1, 1.2, 1.3, 1.9]), 0.5)


def test_above_the_last_bound_nothing_is_known_but_the_bound():
    """As PromQL answers."""
    assert 4.0 == quantile(histogram([100.0]), 0.99)


def test_without_values_there_is_no_quantile():
    """None, not zero."""
    assert quantile(histogram([]), 0.5) is None


@given(st.lists(st.floats(0.001, 3.999), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values, q):
    """Off by the width of a bucket at most."""
    rank = q * len(values)
    true = sorted(values)[max(0, -int(-rank // 1) - 1)]
    index = bisect_left(BOUNDS, true)
    lower = BOUNDS[index - 1] if index else 0.0

    assert lower <= quantile(histogram(values), q) <= BOUNDS[index]


def test_buckets_of_all_labels_are_added_up_and_what_was_before_is_taken_off():
    """A page without the histogram has none, and counts as nothing."""
    page = """# TYPE x histogram
x_bucket{trigger="a",le="1.0"} 2
x_bucket{trigger="a",le="+Inf"} 5
x_bucket{trigger="b",le="1.0"} 1
x_bucket{trigger="b",le="+Inf"} 1
x_other_bucket{le="1.0"} 9
"""
    found = buckets(page, "x")

    assert {1.0: 3.0, float("inf"): 6.0} == found
    assert {1.0: 2.0, float("inf"): 3.0} == counted_since({1.0: 1.0, float("inf"): 3.0}, found)
    assert found == counted_since(buckets("", "x"), found)
    assert quantile(buckets("", "x"), 0.99) is None
