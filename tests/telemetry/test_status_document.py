"""The status document, and percentiles out of buckets."""

from __future__ import annotations

import json
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from engine.core.outcome import Status
from engine.telemetry.histogram import Histogram
from engine.telemetry.status import quantile, status_document

BOUNDS = (1.0, 2.0, 4.0)


def histogram(values: list[float]) -> Histogram:
    made = Histogram(BOUNDS)
    for value in values:
        made.observe(value)
    return made


def test_the_document_says_what_was_counted(bench):
    """Levels, outcomes, throttles, bill: the same numbers as the metrics page."""
    bench.run(duration_s=0.25006, init_s=0.10077, cold_start=True)
    bench.run(status=Status.ERROR, duration_s=0.001, trigger="http")
    bench.refuse("account_limit")
    document = json.loads(json.dumps(status_document(bench.stats, uptime_s=12.34567)))
    hello = document["functions"]["hello"]

    assert (12.346, 4) == (document["uptime_s"], document["in_flight"])
    assert (4, 5) == (hello["in_flight"], hello["queued"])
    assert {"starting": 1, "idle": 2, "busy": 3} == hello["environments"]
    assert {
        "success": 1,
        "error": 1,
    } == {word: count for word, count in hello["invocations"].items() if count}
    assert {"account_limit": 1} == hello["throttles"]
    assert (1, 352, "0.044") == (hello["cold_starts"], hello["billed_ms"], hello["billed_gb_seconds"])
    assert "0.0000004" == hello["cost_usd"]["request"]
    assert 2 == hello["duration_s"]["count"]
    assert {
        "count": 0,
        "mean": None,
        "approximate": {"p50": None, "p99": None},
        "counts": [0] * 19,
        "classes": [],
    } == document["functions"]["orders"]["duration_s"]


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
