"""Scaling rate, account pool and reasons of refusal, against closed forms."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.throttling import Pool, ThrottleReason, TokenBucket, scaling_bucket


def taken(bucket: TokenBucket, wanted: int, now_s: float) -> int:
    return sum(bucket.take(now_s) for _ in range(wanted))


class ExactBucket:
    """The textbook token bucket, in fractions."""

    def __init__(self, capacity: int, per_s: Fraction) -> None:
        self.capacity, self.per_s = Fraction(capacity), per_s
        self.tokens, self.at_s = self.capacity, Fraction(0)

    def take(self, now_s: Fraction) -> bool:
        self.tokens = min(self.capacity, self.tokens + (now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


# ---------------------------------------------------------------- token bucket


def test_a_thousand_environments_at_once_then_a_hundred_a_second():
    """Lambda's scaling rate: 1,000 per function and 10 s, refilled continuously."""
    bucket = scaling_bucket(1000)

    assert bucket is not None
    assert [1000, 0, 1, 99, 100, 0] == [taken(bucket, 1500, at_s) for at_s in (0.0, 0.0, 0.01, 1.0, 2.0, 2.0)]


def test_unused_tokens_do_not_accrue():
    """A bucket left alone for a day still holds no more than its capacity."""
    bucket = TokenBucket(1000, 100.0)

    assert [1000, 1000] == [taken(bucket, 5000, at_s) for at_s in (0.0, 86_400.0)]


@pytest.mark.parametrize(
    ("needed", "full_after_s"), [(1000, 0.0), (1001, 0.01), (1100, 1.0), (2000, 10.0), (10_000, 90.0)]
)
@pytest.mark.parametrize("began_s", [0.0, 12_345.678, 1e6 + 0.1])
def test_a_step_that_needs_d_environments_has_them_after_d_minus_b_over_r(needed, full_after_s, began_s):
    """Closed form of a step load on a bucket of b = 1000 filled at r = 100/s: (D - b) / r."""
    bucket = TokenBucket(1000, 100.0)
    now_s, have = began_s, 0
    while have < needed:
        now_s = bucket.next_s(now_s)
        have += bucket.take(now_s)

    assert pytest.approx(full_after_s, abs=1e-6) == now_s - began_s


def test_a_step_of_100_000_per_second_is_throttled_as_the_closed_form_says():
    """(D - b)^2 / (2 r S) refusals: 4.05 M of 100,000/s x 0.1 s; here at a tenth of rate and limits."""
    needed, burst, per_s, service_s, rate_per_s = 1000, 100, 10.0, 0.1, 10_000
    bucket = TokenBucket(burst, per_s)
    environments, throttled = 0, 0
    for slot in range(int(90 / service_s)):  # each environment serves one event per slot of one service time
        environments += taken(bucket, needed - environments, slot * service_s)
        throttled += int(rate_per_s * service_s) - environments

    assert pytest.approx((needed - burst) ** 2 / (2 * per_s * service_s), rel=0.01) == throttled


def test_no_scaling_rate_is_no_bucket():
    """`scaling_rate = 0` takes the limit away."""
    assert scaling_bucket(0) is None


def test_a_bucket_without_refill_empties_for_good():
    """At 0 tokens per second the next one never comes; an empty bucket gives none at all."""
    bucket = TokenBucket(2, 0.0)

    assert [True, True, False] == [bucket.take(at_s) for at_s in (0.0, 1.0, 1e9)]
    assert math.inf == bucket.next_s(1e9)
    assert not TokenBucket(0, 0.0).take(5.0)


def test_time_that_steps_back_gives_no_token():
    """The clock is monotonic; if a caller's is not, nothing is minted by going back and forth."""
    bucket = TokenBucket(1, 1.0)
    bucket.take(10.0)

    assert [False, False, False, True] == [bucket.take(at_s) for at_s in (5.0, 10.5, 5.0, 11.0)]


@pytest.mark.parametrize("per_s", [0.1, 1 / 3, 7.0, 100.0, 12_345.6])
@pytest.mark.parametrize("began_s", [0.0, 0.1, 98_765.4321, 1e6 + 1 / 3, 3.2e7 + 1 / 7])
def test_the_next_token_is_there_when_announced_whatever_the_clock_reads(per_s, began_s):
    """A driver that looks again at `next_s` gets its token: otherwise it would look for ever."""
    bucket = TokenBucket(3, per_s)
    now_s = began_s
    taken(bucket, 3, now_s)
    for _ in range(500):
        due_s = bucket.next_s(now_s)

        assert due_s > now_s
        assert not bucket.take(math.nextafter(due_s, 0.0))
        assert bucket.take(due_s)
        now_s = due_s


EIGHTHS = st.lists(st.integers(0, 40), min_size=1, max_size=60)  # steps of time in 1/8 s: exact as floats


@given(capacity=st.integers(1, 6), per_s=st.sampled_from((0.25, 0.5, 1.0, 2.0, 8.0)), steps=EIGHTHS)
def test_the_bucket_is_the_textbook_one(capacity, per_s, steps):
    """Same answers as a bucket in exact fractions, for any calling times."""
    bucket, exact = TokenBucket(capacity, per_s), ExactBucket(capacity, Fraction(per_s))
    now = Fraction(0)
    for step in steps:
        now += Fraction(step, 8)

        assert exact.take(now) == bucket.take(float(now))


@given(
    capacity=st.integers(1, 50),
    per_s=st.floats(0.01, 1e4),
    began_s=st.floats(0, 1e6),
    steps=st.lists(st.floats(0, 20), min_size=1, max_size=80),
)
def test_no_window_holds_more_than_capacity_and_refill(capacity, per_s, began_s, steps):
    """In any window of t seconds at most capacity + rate * t tokens are taken."""
    bucket, now_s, taken_s = TokenBucket(capacity, per_s), began_s, []
    for step in steps:
        now_s += step
        if bucket.take(now_s):
            taken_s.append(now_s)
    for first, from_s in enumerate(taken_s):
        for count, to_s in enumerate(taken_s[first:], 1):
            assert count <= capacity + per_s * (to_s - from_s) + 1e-6 * per_s + 1e-6


@given(per_s=st.floats(0.01, 1e4), began_s=st.floats(0, 1e6), early=st.floats(0, 1), late=st.floats(0, 1))
def test_more_time_never_gives_fewer_tokens(per_s, began_s, early, late):
    """Waiting longer never loses a token."""
    early, late = sorted((early, late))
    first, second = TokenBucket(5, per_s), TokenBucket(5, per_s)
    taken(first, 5, began_s)
    taken(second, 5, began_s)

    assert taken(first, 5, began_s + early) <= taken(second, 5, began_s + late)


# ---------------------------------------------------------------- pool


def test_a_pool_gives_no_more_units_than_its_limit():
    """Taking stops at the limit and goes on when a unit came back."""
    pool = Pool(2)

    assert [True, True, False] == [pool.acquire() for _ in range(3)]
    pool.release()
    assert [True, False] == [pool.acquire() for _ in range(2)]
    assert 2 == pool.used


def test_fleets_that_wait_for_the_pool_are_woken_in_turn():
    """First in line, first woken; nobody is while there is no unit."""
    pool = Pool(1)
    pool.acquire()
    pool.block("a")
    pool.block("b")

    assert pool.contended
    assert pool.next_blocked() is None
    pool.release()
    assert ["a", "b", None] == [pool.next_blocked() for _ in range(3)]
    assert not pool.contended


def test_who_blocks_again_goes_to_the_end_of_the_line():
    """A fleet with much to do does not keep the others waiting."""
    pool = Pool(1)
    order = []
    pool.block("a")
    pool.block("b")
    for _ in range(4):
        fleet = pool.next_blocked()
        order.append(fleet)
        pool.block(fleet)

    assert ["a", "b", "a", "b"] == order


def test_a_pool_of_nothing_wakes_nobody():
    """With everything reserved the pool is 0."""
    pool = Pool(0)
    pool.block("a")

    assert not pool.acquire()
    assert pool.next_blocked() is None


# ---------------------------------------------------------------- reasons


@pytest.mark.parametrize(
    ("refusal", "aws_reason"),
    [
        (ThrottleReason.FUNCTION_LIMIT, "ReservedFunctionConcurrentInvocationLimitExceeded"),
        (ThrottleReason.ACCOUNT_LIMIT, "ConcurrentInvocationLimitExceeded"),
        (ThrottleReason.SCALE_RATE, "ConcurrentInvocationLimitExceeded"),
        (ThrottleReason.REQUEST_RATE, "FunctionInvocationRateLimitExceeded"),
        (ThrottleReason.RESERVED_REQUEST_RATE, "ReservedFunctionInvocationRateLimitExceeded"),
        (ThrottleReason.QUEUE_FULL, "ConcurrentInvocationLimitExceeded"),
        (ThrottleReason.QUEUE_TIMEOUT, "ConcurrentInvocationLimitExceeded"),
        (ThrottleReason.CLOSING, "ConcurrentInvocationLimitExceeded"),
    ],
)
def test_each_refusal_has_the_reason_an_aws_client_reads(refusal, aws_reason):
    """`Reason` of `TooManyRequestsException`."""
    assert aws_reason == refusal.aws_reason


def test_no_refusal_is_forgotten_in_the_table_above():
    """The values are metric labels: changing one changes dashboards."""
    expected = {
        "function_limit",
        "account_limit",
        "scale_rate",
        "request_rate",
        "reserved_request_rate",
        "queue_full",
        "queue_timeout",
        "closing",
    }
    assert expected == {refusal.value for refusal in ThrottleReason}
