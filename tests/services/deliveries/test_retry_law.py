"""When deliveries are tried again: the laws of SNS and EventBridge."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.services.deliveries.retry_law import EVENTBRIDGE_LAW, SNS_HTTP_LAW, SNS_LAW, Exhausted

DAY_S = 86_400.0


def waits(law, random=0.0):
    """All waits between attempts, and why there is no further one."""
    found, age_s = [], 0.0
    while not isinstance(wait := law.next_wait_s(len(found) + 1, age_s, random), Exhausted):
        found.append(wait)
        age_s += wait
    return found, wait


def test_sns_tries_a_function_or_queue_100_015_times_over_23_days():
    """3 at once, 2 after a second each, 10 from 1 to 20 s, 100,000 after 20 s each."""
    found, why = waits(SNS_LAW)

    assert 100_015 == len(found) + 1
    assert [0.0, 0.0, 1.0, 1.0, 1.0] == found[:5]
    assert 20.0 == pytest.approx(found[13])
    assert {20.0} == set(found[14:])
    assert 23 == sum(found) // DAY_S
    assert Exhausted.RETRIES is why


def test_sns_tries_an_http_endpoint_three_times_more():
    """After 20 s each."""
    assert ([20.0, 20.0, 20.0], Exhausted.RETRIES) == waits(SNS_HTTP_LAW)


def test_eventbridge_makes_185_retries_within_a_day():
    """With the jitter in the middle; without any, the day is over before."""
    found, why = waits(EVENTBRIDGE_LAW, random=0.5)
    longest, why_longest = waits(EVENTBRIDGE_LAW)

    assert (185, Exhausted.RETRIES) == (len(found), why)
    assert 0.9 * DAY_S < sum(found) < DAY_S
    assert Exhausted.AGE is why_longest
    assert sum(longest) <= DAY_S


def test_a_target_may_have_bounds_of_its_own():
    """Fewer retries, or a shorter time; what is left out is as it was."""
    fewer, why_fewer = waits(EVENTBRIDGE_LAW.limited(2, None))
    shorter, why_shorter = waits(EVENTBRIDGE_LAW.limited(None, 60))

    assert (2, Exhausted.RETRIES) == (len(fewer), why_fewer)
    assert Exhausted.AGE is why_shorter
    assert sum(shorter) <= 60
    assert Exhausted.RETRIES is EVENTBRIDGE_LAW.limited(0, None).next_wait_s(1, 0.0, 0.0)


@given(st.sampled_from([SNS_LAW, EVENTBRIDGE_LAW]), st.integers(1, 184), st.floats(0, 1, exclude_max=True))
def test_jitter_shortens_a_wait_by_its_share_at_most(law, attempts, random):
    """And waits never get shorter from one attempt to the next, but for the jitter."""
    full = law.next_wait_s(attempts, 0.0, 0.0)
    some = law.next_wait_s(attempts, 0.0, random)
    full_waits = [law.next_wait_s(attempt, 0.0, 0.0) for attempt in range(1, attempts + 1)]

    assert full * (1 - law.jitter) <= some <= full
    assert all(one <= other for one, other in pairwise(full_waits))


def test_waits_may_be_scaled():
    """As those of asynchronous events are."""
    assert 2.0 == SNS_HTTP_LAW.next_wait_s(1, 0.0, 0.0, scale=0.1)
