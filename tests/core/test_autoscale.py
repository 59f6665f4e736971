"""Policies for environments: windows, target tracking, and the deadline; and when which is better."""

import heapq

from hypothesis import given
from hypothesis import strategies as st

from engine.core.scaling.environments import Deadline, Knative, TargetTracking
from engine.core.scaling.pollers import Decision, Load, Reason


def play(policy, timeline, began_s=1_000_000.0):
    """The decisions for `(seconds, load)`, each so long after the one before."""
    now_s, memory, decisions = began_s, policy.begin(began_s), []
    for after_s, load in timeline:
        now_s += after_s
        decision, memory = policy.decide(load, memory, now_s)
        decisions.append(decision)
    return decisions


# ---------------------------------------------------------------- knative


def test_knative_averages_over_its_stable_window():
    """Concurrency 20 of target 10 is two units, for as long as it lasts."""
    wanted = play(Knative(target=10), [(1, Load(in_hand=20, ready=2))] * 70)

    assert {Decision(2, Reason.DEMAND)} == set(wanted)


def test_knative_panics_at_twice_what_is_ready_and_does_not_scale_in_meanwhile():
    """The short window sees a burst that the long one hides."""
    quiet, burst = (1, Load(in_hand=10, ready=1)), (1, Load(in_hand=100, ready=1))
    decisions = play(Knative(target=10), [quiet] * 60 + [burst] * 6 + [(1, Load(in_hand=10, ready=10))] * 59)

    assert Decision(1, Reason.DEMAND) == decisions[59]
    assert Decision(10, Reason.BURST) == decisions[65]
    assert {Decision(10, Reason.BURST)} == set(decisions[66:])


def test_knative_leaves_a_panic_after_a_stable_window():
    """And then at most halves what is ready with each decision."""
    burst, calm = (1, Load(in_hand=100, ready=1)), (1, Load(in_hand=10, ready=10))
    decisions = play(Knative(target=10), [burst] * 6 + [calm] * 130)

    assert Reason.BURST == decisions[60].reason
    assert Decision(5, Reason.DEMAND) == decisions[-1]


def test_knative_keeps_the_last_unit_for_a_window_and_a_grace_period():
    """Then it goes to zero."""
    decisions = play(Knative(), [(1, Load(in_hand=1, ready=1))] * 60 + [(1, Load(ready=1))] * 95)

    assert Decision(1, Reason.QUIET) == decisions[60 + 80]
    assert 0 == decisions[-1].wanted


def test_knative_remembers_no_more_than_its_window():
    """However often it is asked."""
    policy, now_s = Knative(), 0.0
    memory = policy.begin(now_s)
    for _ in range(5000):
        now_s += 0.1
        _, memory = policy.decide(Load(in_hand=3, ready=3), memory, now_s)

    assert len(memory.samples) <= 61


# ---------------------------------------------------------------- target tracking


def test_target_tracking_grows_after_three_minutes_above_the_target():
    """To what would have met it: 10 units, fully used, at 0.7 are 15."""
    decisions = play(TargetTracking(floor=10), [(10, Load(in_hand=10, ready=10))] * 30)

    assert 10 == decisions[11].wanted
    assert 15 == decisions[-1].wanted


def test_target_tracking_shrinks_after_fifteen_minutes_only():
    """Not at the first quiet minute."""
    policy = TargetTracking(floor=1)
    busy = [(10, Load(in_hand=20, ready=20))] * 24
    quiet = [(10, Load(in_hand=2, ready=29))] * 200

    wanted = [decision.wanted for decision in play(policy, busy + quiet)]

    assert 29 == wanted[23 + 6 * 14]
    assert 3 == wanted[-1]


# ---------------------------------------------------------------- deadline


def test_the_deadline_policy_starts_nothing_that_would_come_too_late():
    """Ten units finish a hundred short events before an eleventh has begun."""
    load = Load(backlog=100, in_hand=10, ready=10, service_s=0.1, startup_s=2.0)

    assert [10] == [d.wanted for d in play(Deadline(deadline_s=10), [(0, load)])]


def test_the_deadline_policy_lets_work_wait_as_long_as_it_may():
    """The older the backlog, the more units; a deadline that is lost wants one for each event."""
    load = Load(backlog=1000, ready=10, service_s=1.0, startup_s=2.0)

    wanted = [
        play(Deadline(deadline_s=60), [(0, load._replace(oldest_age_s=age_s))])[0]
        for age_s in (0, 30, 50, 57, 100)
    ]

    assert [18, 37, 140, 980, 980] == [d.wanted for d in wanted]
    assert {Reason.URGENT} == {d.reason for d in wanted}


def test_the_deadline_policy_holds_what_it_had_for_a_start_up_time():
    """Ski rental: no longer than starting anew would cost."""
    busy = Load(in_hand=20, ready=20, service_s=1, startup_s=3)
    quiet = Load(in_hand=1, ready=20, service_s=1, startup_s=3)

    decisions = play(Deadline(), [(0, busy), (1, quiet), (1.9, quiet), (0.2, quiet)])

    assert [(20, Reason.DEMAND), (20, Reason.QUIET), (20, Reason.QUIET), (1, Reason.DEMAND)] == decisions


def test_the_deadline_policy_starts_one_for_the_first_event():
    """From zero."""
    load = Load(backlog=1, service_s=0.1, startup_s=1)

    assert 1 == play(Deadline(deadline_s=60), [(0, load)])[0].wanted


# ---------------------------------------------------------------- all

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
)
policies = st.sampled_from(
    [
        Knative(floor=2, ceiling=500),
        TargetTracking(floor=2, ceiling=500),
        Deadline(floor=2, ceiling=500),
        Deadline(floor=2, ceiling=500, deadline_s=900, hold=0),
    ]
)


@given(policies, st.lists(st.tuples(st.floats(0, 400), loads), min_size=1, max_size=30))
def test_every_policy_stays_between_floor_and_ceiling(policy, timeline):
    """Whatever is observed, and however irregularly."""
    assert all(2 <= decision.wanted <= 500 for decision in play(policy, timeline))


@given(loads, st.floats(0, 1e4), st.floats(1, 1e4))
def test_more_age_never_wants_fewer_units(load, younger_s, older_by_s):
    """Urgency only rises."""
    young, old = (
        play(Deadline(deadline_s=30, ceiling=10**9), [(0, load._replace(oldest_age_s=age_s))])[0].wanted
        for age_s in (younger_s, younger_s + older_by_s)
    )

    assert young <= old


# ---------------------------------------------------------------- which is better when


class OnePerEvent:
    """What Lambda does: an environment for each event that finds none."""

    def begin(self, _now_s):
        return None

    def decide(self, load, memory, _now_s):
        return Decision(load.work, Reason.DEMAND), memory


def simulate(policy, arrivals_s, service_s, startup_s, deadline_s, tick_s=0.1, keep_s=60.0):
    """Events missed, and unit-seconds paid, initialisation included. Units nobody wants go after `keep_s`."""
    arrivals, now_s, memory = list(reversed(arrivals_s)), 0.0, policy.begin(0.0)
    starting, idle, busy, waiting = [], [], [], []  # heaps of moments; arrival times
    late = started = 0
    paid_s, total = 0.0, len(arrivals_s)
    while arrivals or waiting or busy:
        now_s += tick_s
        while arrivals and arrivals[-1] <= now_s:
            waiting.append(arrivals.pop())
        while busy and busy[0] <= now_s:
            idle.append(heapq.heappop(busy))
        while starting and starting[0] <= now_s:
            idle.append(heapq.heappop(starting))
        while waiting and idle:
            idle.pop()
            late += now_s + service_s - waiting.pop(0) > deadline_s
            heapq.heappush(busy, now_s + service_s)
        load = Load(
            in_hand=len(busy),
            backlog=len(waiting),
            oldest_age_s=now_s - waiting[0] if waiting else 0.0,
            ready=len(idle) + len(busy),
            starting=len(starting),
            service_s=service_s,
            startup_s=startup_s,
        )
        decision, memory = policy.decide(load, memory, now_s)
        for _ in range(max(0, decision.wanted - load.ready - load.starting)):
            heapq.heappush(starting, now_s + startup_s)
            started += 1
        idle = [since_s for since_s in idle if now_s - since_s < keep_s]
        paid_s += tick_s * (len(idle) + len(busy) + len(starting))
    assert total >= late
    return late, round(paid_s), started


def test_with_slack_the_deadline_policy_keeps_it_for_a_fraction_of_the_units():
    """A burst of 1,000 one-second events that may take a minute, with environments that take 5 s to start."""
    burst = [0.0] * 1000

    late, paid_s, started = simulate(Deadline(deadline_s=60), burst, 1.0, 5.0, 60.0)
    their_late, their_paid_s, their_started = simulate(OnePerEvent(), burst, 1.0, 5.0, 60.0)

    assert (0, 0) == (late, their_late)
    assert started * 20 < their_started
    assert paid_s * 3 < their_paid_s


def test_with_a_step_the_deadline_policy_is_in_time_where_windows_are_not():
    """20 events at a time on 2 warm units' worth of average: an average must rise first."""
    steps_s = [at_s for step in range(5) for at_s in [30.0 * step] * 50]

    late, _, _ = simulate(Deadline(deadline_s=4), steps_s, 1.0, 1.0, 4.0)
    their_late, _, _ = simulate(
        Knative(panic_window_s=6, panic_threshold=10), steps_s, 1.0, 1.0, 4.0, keep_s=10.0
    )

    assert late < their_late
