"""The kernel as timelines: placing events, refusing them, letting idle environments go."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from engine.core.fleet import Fleet, FleetLimits, Refuse, Run, Start, Stop
from engine.core.throttling import Pool, ThrottleReason, TokenBucket, scaling_bucket
from engine.errors import IllegalMove


def make(pool: Pool | None = None, scaling=None, requests=None, **limits) -> Fleet:
    return Fleet(FleetLimits(**limits), pool or Pool(1000), scaling, requests)


def numbers(fleet: Fleet) -> dict[str, int]:
    """The statistics that are not 0, but for the peak."""
    values = asdict(fleet.statistics())
    del values["peak_in_flight"]
    return {name: value for name, value in values.items() if value}


def warm(fleet: Fleet, count: int, now_s: float = 0.0) -> None:
    """Give `fleet` so many idle environments 1..count, the last of which is the freshest."""
    for number in range(count):
        fleet.arrive(f"warm-{number}", now_s)
    for env_id in range(1, count + 1):
        fleet.ready(env_id, now_s)
    for env_id in range(1, count + 1):
        fleet.finished(env_id, now_s)


# ---------------------------------------------------------------- placing


def test_the_first_event_starts_an_environment_and_runs_cold():
    """From zero: Start at once, Run when its init is done, idle when the handler is."""
    fleet = make()

    assert [Start(1, False)] == fleet.arrive("a", 0.0)
    assert {"starting": 1, "in_flight": 1, "waiting": 1} == numbers(fleet)
    assert [Run(1, "a", cold=True)] == fleet.ready(1, 0.5)
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)
    assert [] == list(fleet.finished(1, 0.7))
    assert {"idle": 1} == numbers(fleet)
    assert "fleet of 0 starting, 1 idle, 0 busy; 0 in flight, 0 blocked" == str(fleet)


def test_an_idle_environment_is_reused_warm_in_the_step_of_arrival():
    """No second Start, and the environment is reserved at once: the next event does not get it too."""
    fleet = make()
    warm(fleet, 1)

    assert [Run(1, "b", cold=False)] == list(fleet.arrive("b", 1.0))
    assert [Start(2, False)] == list(fleet.arrive("c", 1.0))
    assert {"starting": 1, "busy": 1, "in_flight": 2, "waiting": 1} == numbers(fleet)


def test_ten_requests_are_placed_as_in_the_developer_guide():
    """1-5 start A-E; 6, 7, 8 reuse A, B, C as they free; 9 finds all busy and starts F; 10 reuses D.

    Source: Lambda Developer Guide, "Understanding Lambda function scaling".
    """
    fleet = make()
    a, b, c, d, e, f = range(1, 7)

    assert [Start(env_id, False) for env_id in (a, b, c, d, e)] == [
        command for number in range(1, 6) for command in fleet.arrive(number, 0.0)
    ]
    for number, env_id in enumerate((a, b, c, d, e), 1):
        assert [Run(env_id, number, cold=True)] == fleet.ready(env_id, 0.5)
    for number, env_id in ((6, a), (7, b), (8, c)):
        fleet.finished(env_id, 1.0 + number)
        assert [Run(env_id, number, cold=False)] == list(fleet.arrive(number, 1.0 + number))
    assert [Start(f, False)] == fleet.arrive(9, 10.0)
    assert [Run(f, 9, cold=True)] == fleet.ready(f, 10.5)
    fleet.finished(d, 11.0)
    assert [Run(d, 10, cold=False)] == list(fleet.arrive(10, 12.0))
    assert {"busy": 6, "in_flight": 6} == numbers(fleet)


def test_the_environment_idle_shortest_is_taken_first():
    """Last in, first out, so that the others may expire. Lambda does not document its order."""
    fleet = make()
    warm(fleet, 3)

    assert [
        [Run(3, "x", cold=False)],
        [Run(2, "y", cold=False)],
        [Run(1, "z", cold=False)],
    ] == [list(fleet.arrive(item, 1.0)) for item in "xyz"]
    assert {"busy": 3, "in_flight": 3} == numbers(fleet)


def test_an_event_that_waits_for_an_init_takes_a_freed_environment_if_that_is_sooner():
    """It runs warm then, and the environment started for it becomes idle."""
    fleet = make()
    warm(fleet, 1)
    fleet.arrive("a", 1.0)
    fleet.arrive("b", 1.1)

    assert [Run(1, "b", cold=False)] == fleet.finished(1, 1.2)
    assert [] == list(fleet.ready(2, 1.5))
    assert {"idle": 1, "busy": 1, "in_flight": 1} == numbers(fleet)


def test_an_event_does_not_start_a_second_environment_for_one_nobody_waits_for():
    """An environment that lost its event to a freed one serves the next arrival."""
    fleet = make()
    warm(fleet, 1)
    fleet.arrive("a", 1.0)
    fleet.arrive("b", 1.1)
    fleet.finished(1, 1.2)  # takes b
    assert {"starting": 1, "busy": 1, "in_flight": 1} == numbers(fleet)

    assert [] == list(fleet.arrive("c", 1.3))
    assert [Run(2, "c", cold=True)] == fleet.ready(2, 1.5)
    assert {"busy": 2, "in_flight": 2} == numbers(fleet)


def test_events_that_wait_are_served_first_in_first_out():
    """Whichever environment comes up first takes the event that came first."""
    fleet = make()
    for item in "abc":
        fleet.arrive(item, 0.0)

    assert [
        [Run(3, "a", cold=True)],
        [Run(1, "b", cold=True)],
        [Run(2, "c", cold=True)],
    ] == [fleet.ready(env_id, 1.0) for env_id in (3, 1, 2)]


def test_a_fact_about_an_unknown_or_idle_environment_is_a_loud_bug():
    """The driver never tells such a thing; if it does, it hears at once."""
    fleet = make()
    warm(fleet, 1)

    with pytest.raises(IllegalMove):
        fleet.finished(1, 1.0)
    with pytest.raises(IllegalMove):
        fleet.ready(1, 1.0)
    with pytest.raises(KeyError):
        fleet.ready(99, 1.0)


# ---------------------------------------------------------------- throttles


def test_1500_at_once_are_1000_environments_and_500_refusals_for_the_account_limit():
    """Default limits: account 1,000, scaling rate 1,000 per 10 s."""
    fleet = make(Pool(1000), scaling_bucket(1000))
    commands = [command for number in range(1500) for command in fleet.arrive(number, 0.0)]

    assert [Start(env_id, False) for env_id in range(1, 1001)] == commands[:1000]
    assert [Refuse(number, ThrottleReason.ACCOUNT_LIMIT) for number in range(1000, 1500)] == commands[1000:]
    assert {"starting": 1000, "in_flight": 1000, "waiting": 1000} == numbers(fleet)
    assert 1000 == fleet.statistics().peak_in_flight


def test_with_a_larger_account_the_scaling_rate_refuses_and_grows_by_100_a_second():
    """A refused event holds nothing: no unit of the pool, no place in the peak."""
    pool = Pool(5000)
    fleet = make(pool, scaling_bucket(1000))

    assert [ThrottleReason.SCALE_RATE] * 500 == [
        command.refusal
        for number in range(1500)
        for command in fleet.arrive(number, 0.0)
        if type(command) is Refuse
    ]
    started = [fleet.arrive(number, 2.5) for number in range(2000, 2300)]
    assert 250 == sum(type(commands[0]) is Start for commands in started)
    assert 1250 == pool.used
    assert {"starting": 1250, "in_flight": 1250, "waiting": 1250} == numbers(fleet)
    assert 1250 == fleet.statistics().peak_in_flight


def test_a_warm_environment_needs_no_token_of_the_scaling_rate():
    """The rate limits environments, not invocations."""
    fleet = make(scaling=scaling_bucket(1))
    warm(fleet, 1)

    assert [Run(1, "a", cold=False)] == list(fleet.arrive("a", 0.0))
    assert [Refuse("b", ThrottleReason.SCALE_RATE)] == list(fleet.arrive("b", 0.0))
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_reserved_concurrency_is_a_ceiling():
    """Waiting for an init counts as much as running."""
    fleet = make(reserved=2)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)

    assert (Refuse("c", ThrottleReason.FUNCTION_LIMIT),) == fleet.arrive("c", 0.0)
    assert {"starting": 2, "in_flight": 2, "waiting": 2} == numbers(fleet)
    fleet.ready(1, 0.5)
    assert [Run(1, "b", cold=False)] == fleet.finished(1, 0.6)
    assert [] == list(fleet.arrive("d", 0.7))  # the second environment is still coming up
    assert (Refuse("e", ThrottleReason.FUNCTION_LIMIT),) == fleet.arrive("e", 0.7)
    assert {"starting": 1, "busy": 1, "in_flight": 2, "waiting": 1} == numbers(fleet)


def test_reserved_concurrency_is_a_guarantee():
    """It takes nothing from the pool, and the pool being empty takes nothing from it."""
    pool = Pool(0)
    fleet = make(pool, reserved=1)

    assert [Start(1, False)] == fleet.arrive("a", 0.0)
    assert 0 == pool.used


def test_a_reservation_of_0_turns_the_function_off():
    """Every event is refused with the reason of the function's own limit."""
    fleet = make(reserved=0)

    assert (Refuse("a", ThrottleReason.FUNCTION_LIMIT),) == fleet.arrive("a", 0.0)
    assert {} == numbers(fleet)


def test_functions_without_a_reservation_share_the_pool():
    """What one returns the other may take."""
    pool = Pool(2)
    one, other = make(pool), make(pool)
    one.arrive("a", 0.0)
    other.arrive("b", 0.0)

    assert (Refuse("c", ThrottleReason.ACCOUNT_LIMIT),) == one.arrive("c", 0.0)
    other.ready(1, 1.0)
    other.finished(1, 2.0)
    assert [Start(2, False)] == one.arrive("d", 2.0)
    assert (2, 2, {"idle": 1}) == (pool.used, numbers(one)["in_flight"], numbers(other))


@pytest.mark.parametrize(
    ("reserved", "refusal"), [(None, ThrottleReason.REQUEST_RATE), (5, ThrottleReason.RESERVED_REQUEST_RATE)]
)
def test_the_request_rate_refuses_even_where_environments_are_free(reserved, refusal):
    """10 requests a second for each unit of concurrency, when switched on; the reason tells whose units."""
    fleet = make(requests=TokenBucket(2, 2.0), reserved=reserved)
    warm(fleet, 1)
    fleet.arrive("a", 0.0)
    fleet.finished(1, 0.0)

    assert (Refuse("b", refusal),) == fleet.arrive("b", 0.0)
    assert [Run(1, "c", cold=False)] == list(fleet.arrive("c", 0.5))
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_the_peak_stays():
    """`peak_in_flight` is the most that ever was in flight."""
    fleet = make()
    warm(fleet, 3)
    fleet.arrive("a", 1.0)

    assert (1, 3) == (fleet.statistics().in_flight, fleet.statistics().peak_in_flight)


# ---------------------------------------------------------------- idle expiry


def test_idle_environments_go_in_the_order_in_which_they_became_idle():
    """Back to zero, each exactly one keep-alive after its last work."""
    fleet = make(keep_alive_s=10.0)
    for number in range(3):
        fleet.arrive(number, 0.0)
    for env_id in (1, 2, 3):
        fleet.ready(env_id, 0.0)
    for env_id, at_s in ((2, 1.0), (3, 2.0), (1, 4.0)):
        fleet.finished(env_id, at_s)

    timeline = []
    while (due_s := fleet.next_due_s()) is not None:
        timeline.append((due_s, list(fleet.tick(due_s))))
    assert [(11.0, [Stop(2)]), (12.0, [Stop(3)]), (14.0, [Stop(1)])] == timeline
    assert {} == numbers(fleet)


def test_nothing_expires_early_and_a_late_tick_takes_all_that_are_due():
    """The driver may ring late; one step then retires several."""
    fleet = make(keep_alive_s=10.0)
    warm(fleet, 3)

    assert [] == fleet.tick(9.999)
    assert [Stop(1), Stop(2), Stop(3)] == fleet.tick(25.0)
    assert fleet.next_due_s() is None


def test_work_in_between_renews_the_keep_alive():
    """Only the environments that were not needed expire."""
    fleet = make(keep_alive_s=10.0)
    warm(fleet, 2)
    fleet.arrive("a", 6.0)
    fleet.finished(2, 7.0)

    assert [Stop(1)] == fleet.tick(10.0)
    assert 17.0 == fleet.next_due_s()
    assert [] == fleet.tick(16.0)
    assert [Stop(2)] == fleet.tick(17.0)


def test_a_busy_environment_does_not_expire():
    """However long a handler runs."""
    fleet = make(keep_alive_s=10.0)
    warm(fleet, 1)
    fleet.arrive("a", 1.0)

    assert (None, []) == (fleet.next_due_s(), fleet.tick(1000.0))
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_an_environment_that_crashed_while_idle_is_not_stopped_again():
    """Nor waited for, nor chosen."""
    fleet = make(keep_alive_s=10.0)
    warm(fleet, 3)

    assert [[], []] == [list(fleet.crashed(env_id, 1.0)) for env_id in (1, 3)]
    assert 10.0 == fleet.next_due_s()
    assert [Run(2, "a", cold=False)] == list(fleet.arrive("a", 2.0))
    assert [Start(4, False)] == list(fleet.arrive("b", 2.0))
    assert fleet.next_due_s() is None
    fleet.ready(4, 2.5)
    fleet.finished(2, 3.0)
    assert (13.0, [Stop(2)]) == (fleet.next_due_s(), fleet.tick(13.0))
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_a_keep_alive_of_0_lets_an_environment_go_at_once():
    """Every invocation that finds none running is cold: the lower bound of a plot."""
    fleet = make(keep_alive_s=0.0)
    warm(fleet, 1, now_s=5.0)

    assert 5.0 == fleet.next_due_s()
    assert [Stop(1)] == fleet.tick(5.0)
    assert {} == numbers(fleet)
