"""Policies for pollers: AWS's ramp, and what bounds it."""

import inspect
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import registry
from engine.core.scaling.pollers import Decision, Load, ProvisionedPollers, Reason, SqsPollers

BUSY = Load(in_hand=10_000, backlog=1_000_000)
EMPTY = Load()

loads = st.builds(
    Load,
    in_hand=st.integers(0, 5000),
    backlog=st.integers(0, 1_000_000),
    oldest_age_s=st.floats(0, 1e5),
    ready=st.integers(0, 5000),
    starting=st.integers(0, 1000),
    arrivals_per_s=st.floats(0, 1e5),
    service_s=st.floats(0, 900),
    startup_s=st.floats(0, 60),
    ended=st.integers(0, 1000),
    failed=st.integers(0, 1000),
)
steps = st.lists(st.tuples(st.floats(0, 400), loads), min_size=1, max_size=30)


def play(policy, timeline, began_s=1_000_000.0):
    """The decisions of `policy` for `(seconds, load)`, each so long after the one before."""
    now_s, memory, decisions = began_s, policy.begin(began_s), []
    for after_s, load in timeline:
        now_s += after_s
        decision, memory = policy.decide(load, memory, now_s)
        decisions.append(decision)
    return decisions


@pytest.mark.parametrize("tick_s", [0.1, 1.0, 7.3, 60.0])
def test_the_ramp_of_a_busy_queue_is_the_closed_form(tick_s):
    """5, then 300 a minute, up to 1,250: within one poller at every moment, however often it is asked."""
    count = int(300 / tick_s) + 1

    wanted = [d.wanted for d in play(SqsPollers(), [(0, BUSY), *[(tick_s, BUSY)] * count])]

    expected = [min(1250, 5 + 5 * tick_s * n) for n in range(count + 1)]
    assert max(abs(a - b) for a, b in zip(wanted, expected, strict=True)) <= 1
    assert 1250 == wanted[-1]


def test_maximum_concurrency_is_a_ceiling_from_the_start():
    """The smallest is two."""
    assert [Decision(2, Reason.CEILING)] * 2 == play(
        SqsPollers(maximum_concurrency=2), [(0, BUSY), (60, BUSY)]
    )
    assert [5, 50, 50] == [
        d.wanted for d in play(SqsPollers(maximum_concurrency=50), [(0, BUSY), (9, BUSY), (60, BUSY)])
    ]


def test_a_queue_with_little_work_does_not_grow():
    """Growth is for messages that wait for it."""
    assert [5, 5, 5] == [d.wanted for d in play(SqsPollers(), [(0, Load(in_hand=2, backlog=1))] * 3)]
    little = Load(in_hand=3, backlog=3)

    assert 6 >= play(SqsPollers(), [(0, BUSY), *[(1, little)] * 100])[-1].wanted


def test_an_idle_queue_shrinks_to_two_after_a_quiet_minute():
    """As fast as it grew; with a maximum it stays at five."""
    timeline = [(0, BUSY), (60, BUSY), (60, EMPTY), (10, EMPTY), (600, EMPTY), (1, BUSY)]

    free = play(SqsPollers(), timeline)
    capped = play(SqsPollers(maximum_concurrency=100), timeline)

    assert [5, 305, 305, 255, 2] == [d.wanted for d in free[:-1]]
    assert [Reason.QUIET, Reason.FLOOR] == [free[2].reason, free[4].reason]
    assert 5 <= free[-1].wanted
    assert 5 == capped[4].wanted


@pytest.mark.parametrize(("failed", "expected"), [(0, 105), (25, 80), (50, 55), (75, 30), (100, 5)])
def test_failures_slow_the_ramp_and_turn_it(failed, expected):
    """Half of the invocations failing holds the level."""
    [_, _, last] = play(SqsPollers(), [(0, BUSY), (10, BUSY), (10, BUSY._replace(ended=100, failed=failed))])

    assert expected == last.wanted


def test_provisioned_pollers_add_a_thousand_a_minute():
    """From ten for each minimum poller, to ten for each maximum poller."""
    policy = ProvisionedPollers(minimum_pollers=2, maximum_pollers=200)

    wanted = [d.wanted for d in play(policy, [(0, BUSY), (30, BUSY), (30, BUSY), (60, BUSY), (60, BUSY)])]

    assert [20, 520, 1020, 2000, 2000] == wanted
    assert 20_000 == ProvisionedPollers(maximum_pollers=10_000).max_concurrent


POLLERS = (
    SqsPollers(),
    SqsPollers(maximum_concurrency=7),
    ProvisionedPollers(),
    ProvisionedPollers(minimum_pollers=200, maximum_pollers=200),
)


@given(st.sampled_from(POLLERS), steps)
def test_pollers_stay_in_bounds_and_never_grow_faster_than_aws(policy, timeline):
    """Whatever is observed, and however irregularly."""
    decisions = play(policy, timeline)

    rate = 5 if isinstance(policy, SqsPollers) else 1000 / 60
    assert all(1 <= d.wanted <= policy.max_concurrent for d in decisions)
    for (after_s, _), before, after in zip(timeline[1:], decisions, decisions[1:], strict=False):
        assert after.wanted <= max(before.wanted, 5) + rate * after_s + 1


@given(st.floats(0, 1000), st.lists(st.floats(0.001, 5), max_size=50))
def test_the_ramp_does_not_depend_on_how_time_is_cut(total_s, parts):
    """Asked often or once, the level is the same within one."""
    cut = [min(part, total_s) for part in parts]
    rest_s = max(0.0, total_s - sum(cut))

    at_once = play(SqsPollers(), [(0, BUSY), (sum(cut) + rest_s, BUSY)])[-1].wanted
    in_parts = play(SqsPollers(), [(0, BUSY), *[(part, BUSY) for part in cut], (rest_s, BUSY)])[-1].wanted

    assert abs(at_once - in_parts) <= 1


@pytest.mark.parametrize("name", registry.names("policy"))
def test_every_registered_policy_is_a_pure_value(name):
    """It can be made without arguments, is immutable, and gives the same answer to the same question."""
    policy = registry.resolve("policy", name)()
    memory = policy.begin(100.0)

    first = policy.decide(Load(in_hand=3, backlog=5, ready=3), memory, 101.0)
    again = policy.decide(Load(in_hand=3, backlog=5, ready=3), memory, 101.0)

    assert first == again
    assert math.isfinite(first[0].wanted)
    assert first[0].reason in Reason
    assert not inspect.iscoroutinefunction(policy.decide)
    with pytest.raises((AttributeError, TypeError)):
        policy.floor = 3
