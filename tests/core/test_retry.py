"""When an asynchronous event is tried again, and when no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.destinations import expanded
from engine.core.function import Account, Function
from engine.core.retry import AsyncCounts, AsyncInvokeConfig, Condition, after_error, backoff_s


def test_a_function_error_is_retried_after_a_minute_and_after_two():
    """And then no more."""
    verdicts = [after_error(failures, 0.0, AsyncInvokeConfig()) for failures in (1, 2, 3)]

    assert [60.0, 120.0, Condition.RETRIES_EXHAUSTED] == verdicts


@pytest.mark.parametrize(("attempts", "expected"), [(0, Condition.RETRIES_EXHAUSTED), (1, 60.0)])
def test_the_number_of_retries_can_be_lowered(attempts, expected):
    """To none."""
    assert expected == after_error(1, 0.0, AsyncInvokeConfig(maximum_retry_attempts=attempts))


def test_a_retry_that_would_come_too_late_is_known_at_once():
    """The record does not wait for the event to grow old."""
    terms = AsyncInvokeConfig(maximum_event_age_s=60)

    assert [60.0, Condition.EVENT_AGE_EXCEEDED] == [after_error(1, age_s, terms) for age_s in (0.0, 0.1)]


def test_back_off_doubles_from_a_second_to_five_minutes():
    """And stays there."""
    assert [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] == [backoff_s(n) for n in range(1, 12)]
    assert 300 == backoff_s(10**6)


@given(st.integers(1, 10), st.floats(0, 30_000), st.integers(0, 2), st.floats(60, 21_600))
def test_no_retry_starts_after_the_maximum_age(failures, age_s, attempts, max_s):
    """Whatever the numbers."""
    terms = AsyncInvokeConfig(maximum_event_age_s=max_s, maximum_retry_attempts=attempts)

    verdict = after_error(failures, age_s, terms)

    assert isinstance(verdict, Condition) or (age_s + verdict <= max_s and failures <= attempts)


def test_an_event_invoke_config_goes_before_the_functions_own_keys():
    """Member by member; names become ARNs."""
    function = Function(
        "f", handler="a.b", maximum_event_age_s=100, on_failure="lost", dead_letter_queue="dead"
    )
    config = {
        "MaximumRetryAttempts": 0,
        "DestinationConfig": {
            "OnSuccess": {"Destination": "arn:aws:sqs:us-east-1:000000000000:done"},
            "OnFailure": {},
        },
    }

    terms = AsyncInvokeConfig.of(function, config, expand=lambda text: expanded(text, Account()))

    expected = AsyncInvokeConfig(
        maximum_event_age_s=100,
        maximum_retry_attempts=0,
        on_success="arn:aws:sqs:us-east-1:000000000000:done",
        on_failure="arn:aws:sqs:us-east-1:000000000000:lost",
        dead_letter_queue="arn:aws:sqs:us-east-1:000000000000:dead",
    )
    assert expected == terms


def test_a_function_with_nothing_reserved_is_disabled():
    """Zero is not none."""
    disabled = [
        AsyncInvokeConfig.of(Function("f", handler="a.b", reserved_concurrency=n)).disabled
        for n in (None, 0, 1)
    ]

    assert [False, True, False] == disabled


def test_dropped_events_are_the_sum_of_their_reasons():
    """AWS has one metric for them."""
    counts = AsyncCounts()
    counts.expired, counts.exhausted, counts.refused, counts.abandoned = 1, 20, 300, 4000

    assert 4321 == counts.dropped
    assert 0.0 == counts.oldest_age_s()
