"""The kernel as timelines: provisioned environments, failed inits, crashes."""

from __future__ import annotations

import gc
from dataclasses import asdict

import pytest

from engine.core.environment import Environment
from engine.core.fleet import Fail, Fleet, FleetLimits, Refuse, Run, Start, Stop
from engine.core.throttling import Pool, ThrottleReason, TokenBucket


def make(pool: Pool | None = None, scaling=None, **limits) -> Fleet:
    return Fleet(FleetLimits(**limits), pool or Pool(1000), scaling)


def numbers(fleet: Fleet) -> dict[str, int]:
    """The statistics that are not 0, but for the peak."""
    values = asdict(fleet.statistics())
    del values["peak_in_flight"]
    return {name: value for name, value in values.items() if value}


def provisioned(count: int, pool: Pool | None = None, **limits) -> Fleet:
    """A fleet with environments 1..count ready before anything came."""
    fleet = make(pool, provisioned=count, **limits)
    fleet.open(0.0)
    for env_id in range(1, count + 1):
        fleet.ready(env_id, 0.0)
    return fleet


# ---------------------------------------------------------------- provisioned


def test_provisioned_environments_are_started_ahead_without_scaling_tokens():
    """`open` starts them all; the first event then runs warm."""
    fleet = make(provisioned=2, scaling=TokenBucket(1, 0.1))

    assert [Start(1, True), Start(2, True)] == fleet.open(0.0)
    assert [[], []] == [list(fleet.ready(env_id, 1.0)) for env_id in (1, 2)]
    assert {"idle": 2} == numbers(fleet)
    assert [Run(2, "a", cold=False)] == list(fleet.arrive("a", 2.0))
    assert {"idle": 1, "busy": 1, "in_flight": 1} == numbers(fleet)


def test_provisioned_environments_never_expire():
    """Not after any time; on-demand ones beside them do."""
    fleet = provisioned(1, keep_alive_s=10.0)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.ready(2, 0.0)
    fleet.finished(1, 1.0)
    fleet.finished(2, 1.0)

    assert (11.0, [Stop(2)]) == (fleet.next_due_s(), fleet.tick(1e6))
    assert (None, []) == (fleet.next_due_s(), fleet.tick(1e9))
    assert {"idle": 1} == numbers(fleet)


def test_provisioned_environments_are_preferred():
    """Even to one that was idle for a shorter time: what is paid for anyway is used first."""
    fleet = provisioned(1)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.ready(2, 0.0)
    fleet.finished(1, 1.0)
    fleet.finished(2, 2.0)

    assert [
        [Run(1, "c", cold=False)],
        [Run(2, "d", cold=False)],
    ] == [list(fleet.arrive(item, 3.0)) for item in "cd"]


def test_above_what_is_provisioned_events_spill_over_to_the_pool():
    """The provisioned units are the function's own; more come from the account, cold."""
    pool = Pool(1)
    fleet = provisioned(2, pool)
    commands = [list(fleet.arrive(item, 1.0)) for item in "abcd"]

    assert [
        [Run(2, "a", cold=False)],
        [Run(1, "b", cold=False)],
        [Start(3, False)],
        [Refuse("d", ThrottleReason.ACCOUNT_LIMIT)],
    ] == commands
    assert (1, {"starting": 1, "busy": 2, "in_flight": 3, "waiting": 1}) == (pool.used, numbers(fleet))
    fleet.finished(1, 2.0)  # takes c
    fleet.finished(1, 3.0)
    assert (0, {"starting": 1, "idle": 1, "busy": 1, "in_flight": 1}) == (pool.used, numbers(fleet))


def test_inside_a_reservation_provisioned_environments_do_not_raise_the_ceiling():
    """Provisioned concurrency counts inside reserved."""
    fleet = provisioned(1, Pool(0), reserved=2)
    fleet.arrive("a", 1.0)

    assert [Start(2, False)] == fleet.arrive("b", 1.0)
    assert (Refuse("c", ThrottleReason.FUNCTION_LIMIT),) == fleet.arrive("c", 1.0)


def test_an_event_may_wait_for_a_provisioned_environment_that_is_coming_up():
    """It runs cold there, and no other is started for it."""
    fleet = make(provisioned=1)
    fleet.open(0.0)

    assert [] == list(fleet.arrive("a", 0.1))
    assert [Run(1, "a", cold=True)] == fleet.ready(1, 0.5)


@pytest.mark.parametrize("busy", [False, True])
def test_a_provisioned_environment_that_crashed_is_replaced_at_the_next_tick(busy):
    """The number that is kept ready holds."""
    fleet = provisioned(2)
    if busy:
        fleet.arrive("a", 1.0)

    assert [] == list(fleet.crashed(2, 5.0))
    assert fleet.may_be_due_sooner
    assert (5.0, [Start(3, True)]) == (fleet.next_due_s(), fleet.tick(5.0))
    assert {"starting": 1, "idle": 1} == numbers(fleet)


def test_a_provisioned_init_that_keeps_failing_is_tried_again_more_and_more_rarely():
    """1, 2, 4 ... 60 s after each failure; a success starts over."""
    fleet = make(provisioned=1)
    fleet.open(0.0)
    now_s, pauses = 0.0, []
    for env_id in range(1, 9):
        fleet.crashed(env_id, now_s)
        pauses.append(fleet.next_due_s() - now_s)
        now_s = fleet.next_due_s()
        assert [Start(env_id + 1, True)] == fleet.tick(now_s)

    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] == pauses
    fleet.ready(9, now_s)
    fleet.crashed(9, now_s)
    fleet.tick(now_s)
    fleet.crashed(10, now_s)
    assert fleet.next_due_s() == now_s + 1.0


def test_provisioned_inits_that_fail_together_count_as_one_failure():
    """The pause doubles for each attempt, not for each environment of it."""
    fleet = make(provisioned=5)
    fleet.open(0.0)
    pauses, now_s, first = [], 0.0, 1
    for _ in range(3):
        for env_id in range(first, first + 5):
            fleet.crashed(env_id, now_s)
        pauses.append(fleet.next_due_s() - now_s)
        now_s = fleet.next_due_s()
        fleet.tick(now_s)
        first += 5

    assert [1.0, 2.0, 4.0] == pauses
    assert {"starting": 5} == numbers(fleet)


def test_provisioned_environments_that_come_and_go_leave_no_trace():
    """Crashing while idle, again and again, costs no memory."""
    fleet = provisioned(3)
    before = environments_alive()
    for env_id in range(3, 500):
        fleet.crashed(env_id, 1.0)
        fleet.tick(1.0)
        fleet.ready(env_id + 1, 1.0)

    assert environments_alive() - before <= 3
    assert {"idle": 3} == numbers(fleet)


def environments_alive() -> int:
    return sum(type(thing) is Environment for thing in gc.get_objects())


# ---------------------------------------------------------------- init failures and crashes


def test_a_failed_init_answers_exactly_one_event_and_is_replaced_for_the_others():
    """The first in line fails; each other one still has an environment coming."""
    fleet = make()
    for item in "abc":
        fleet.arrive(item, 0.0)

    assert [Fail("a", 2)] == fleet.crashed(2, 1.0)
    assert {"starting": 2, "in_flight": 2, "waiting": 2} == numbers(fleet)
    assert [Run(1, "b", cold=True)] == fleet.ready(1, 1.0)
    assert [Run(3, "c", cold=True)] == fleet.ready(3, 1.0)


def test_the_events_that_shared_a_failed_environment_get_another_one():
    """One of them is answered with the init error, a new environment starts for the rest."""
    fleet = make(environment_concurrency=3)
    for item in "abc":
        fleet.arrive(item, 0.0)

    assert {"starting": 1, "in_flight": 3, "waiting": 3} == numbers(fleet)
    assert [Fail("a", 1), Start(2, False)] == fleet.crashed(1, 1.0)
    assert [Run(2, "b", cold=True), Run(2, "c", cold=True)] == fleet.ready(2, 2.0)
    assert {"busy": 1, "in_flight": 2} == numbers(fleet)


def test_a_failed_init_that_nobody_waited_for_answers_nobody():
    """Its event had found a freed environment meanwhile."""
    fleet = make()
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)
    fleet.arrive("b", 0.1)
    fleet.finished(1, 0.2)  # takes b

    assert [] == list(fleet.crashed(2, 0.3))
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_a_replacement_waits_for_the_scaling_rate_too():
    """Events that were admitted keep their place meanwhile."""
    fleet = make(scaling=TokenBucket(1, 1.0), environment_concurrency=2)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)

    assert [Fail("a", 1)] == fleet.crashed(1, 0.5)
    assert {"in_flight": 1, "waiting": 1} == numbers(fleet)
    assert (True, 1.0) == (fleet.may_be_due_sooner, fleet.next_due_s())
    assert [Start(2, False)] == fleet.tick(1.0)
    assert [Run(2, "b", cold=True)] == fleet.ready(2, 1.5)


def test_a_crash_ends_all_that_ran_there_and_gives_its_units_back():
    """The driver answers those; the fleet only frees what they held."""
    pool = Pool(3)
    fleet = make(pool, environment_concurrency=3)
    for item in "abc":
        fleet.arrive(item, 0.0)
    fleet.ready(1, 0.5)

    assert (3, {"busy": 1, "in_flight": 3}) == (pool.used, numbers(fleet))
    assert [] == list(fleet.crashed(1, 1.0))
    assert (0, {}) == (pool.used, numbers(fleet))
    assert [Start(2, False)] == fleet.arrive("d", 1.1)
