"""What the callers saw, what the engine counted, and whether the two agree: without any load."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.common.sums import Count, Row, compared, percentile, rows_of
from loadtests.run import Report, as_text, problems
from loadtests.scenarios import SCENARIOS

METRICS = """\
# TYPE engine_invocations_total counter
engine_invocations_total{function="echo",trigger="invoke",outcome="success"} 10
engine_invocations_total{function="echo",trigger="invoke",outcome="error"} 1
engine_invocations_total{function="echo",trigger="http",outcome="success"} 7
engine_invocations_total{function="other",trigger="http",outcome="success"} 99
# TYPE engine_throttles_total counter
engine_throttles_total{function="echo",reason="account_limit"} 4
engine_throttles_total{function="echo",reason="function_limit"} 1
"""


def row(name, answered, failed=0):
    """A row that took no time."""
    return Row(name=name, answered=answered, failed=failed, per_s=0.0, p50_ms=0, p99_ms=0)


AGREEING = [
    row("invoke", 10, failed=1),
    row("http", 7),
    row("invoke, throttled", 3),
    row("http, throttled", 2),
]


def test_sums_agree_when_nothing_was_lost():
    """Successes by trigger, throttles of all reasons together, and what failed."""
    actual = compared(AGREEING, METRICS, "echo")

    assert [
        Count(what="invoke, success", callers=10, engine=10),
        Count(what="http, success", callers=7, engine=7),
        Count(what="throttled", callers=5, engine=5),
        Count(what="failed", callers=1, engine=1),
    ] == actual
    assert all(count.agrees for count in actual)


def test_an_answer_nobody_got_is_a_problem():
    """The engine counted one more than the callers have."""
    rows = [row("invoke", 10, failed=1), row("http", 6), row("http, throttled", 5)]

    actual = problems(rows, compared(rows, METRICS, "echo"), throttles=True)

    assert [
        "invoke: 1 requests failed",
        "http, success: the callers saw 6, the engine counted 7",
    ] == actual


@pytest.mark.parametrize(
    ("throttled", "expected", "problem"),
    [
        (0, False, None),
        (5, True, None),
        (5, False, "5 requests were throttled, though the load is within the limits"),
        (0, True, "nothing was throttled, though the load is above the limit: raise --users"),
    ],
)
def test_throttles_are_there_when_they_are_expected(throttled, expected, problem):
    """A scenario that overloads nothing has measured something else than it says."""
    counts = [Count(what="throttled", callers=throttled, engine=throttled)]

    actual = problems([row("invoke", 1)], counts, throttles=expected)

    assert ([problem] if problem else []) == actual


def test_a_run_without_an_answer_is_a_problem():
    """Nothing on both sides agrees, and shows nothing."""
    counts = [Count(what="throttled", callers=0, engine=0)]

    assert ["no request was answered"] == problems([], counts, throttles=False)


def test_locusts_entries_become_rows():
    """Failures are not answers, and percentiles come from the counted times."""
    entry = {
        "name": "invoke",
        "num_requests": 100,
        "num_failures": 1,
        "response_times": {"2": 98, "7": 1, "250": 1},
    }

    actual = rows_of([entry], seconds=10)

    assert [Row(name="invoke", answered=99, failed=1, per_s=9.9, p50_ms=2, p99_ms=7)] == actual


@given(st.dictionaries(st.integers(0, 10_000), st.integers(1, 1000), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_covers_its_share_and_no_shorter_time_does(times, share):
    """By definition: the smallest time that so many requests did not exceed."""
    ms = percentile(times, share)

    total = sum(times.values())
    covered = sum(count for at, count in times.items() if at <= ms)
    before = sum(count for at, count in times.items() if at < ms)
    assert covered >= share * total
    assert before < share * total


def test_the_summary_names_every_problem():
    """People read it, so it ends with what is wrong."""
    report = Report(
        scenario="steady",
        question="Why?",
        users=1,
        seconds=1,
        rows=(row("invoke", 1234),),
        counts=(Count(what="throttled", callers=0, engine=1),),
        problems=("throttled: the callers saw 0, the engine counted 1",),
    )

    actual = as_text(report).splitlines()

    assert "invoke                  1,234        0         0        0        0" == actual[4]
    assert "problem: throttled: the callers saw 0, the engine counted 1" == actual[-1]


def test_no_scenario_takes_longer_than_its_readme_says():
    """A load test that nobody has time for is not run."""
    assert dict.fromkeys(SCENARIOS, 10) == {name: one.seconds for name, one in SCENARIOS.items()}
