"""The kernel as timelines: provisioned and shared environments, failures, new code, the end."""

from __future__ import annotations

import gc
from dataclasses import asdict

import pytest

from engine.core.environment import Environment
from engine.core.fleet import Fail, Fleet, FleetLimits, Refuse, Run, Start, Stop
from engine.core.limits import Pool, Refusal, TokenBucket


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

    assert fleet.open(0.0) == [Start(1, True), Start(2, True)]
    assert [list(fleet.ready(env_id, 1.0)) for env_id in (1, 2)] == [[], []]
    assert numbers(fleet) == {"idle": 2}
    assert list(fleet.arrive("a", 2.0)) == [Run(2, "a", cold=False)]
    assert numbers(fleet) == {"idle": 1, "busy": 1, "in_flight": 1}


def test_provisioned_environments_never_expire():
    """Not after any time; on-demand ones beside them do."""
    fleet = provisioned(1, keep_alive_s=10.0)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.ready(2, 0.0)
    fleet.finished(1, 1.0)
    fleet.finished(2, 1.0)

    assert (fleet.next_due_s(), fleet.tick(1e6)) == (11.0, [Stop(2)])
    assert (fleet.next_due_s(), fleet.tick(1e9)) == (None, [])
    assert numbers(fleet) == {"idle": 1}


def test_provisioned_environments_are_preferred():
    """Even to one that was idle for a shorter time: what is paid for anyway is used first."""
    fleet = provisioned(1)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.ready(2, 0.0)
    fleet.finished(1, 1.0)
    fleet.finished(2, 2.0)

    assert [list(fleet.arrive(item, 3.0)) for item in "cd"] == [
        [Run(1, "c", cold=False)],
        [Run(2, "d", cold=False)],
    ]


def test_above_what_is_provisioned_events_spill_over_to_the_pool():
    """The provisioned units are the function's own; more come from the account, cold."""
    pool = Pool(1)
    fleet = provisioned(2, pool)
    commands = [list(fleet.arrive(item, 1.0)) for item in "abcd"]

    assert commands == [
        [Run(2, "a", cold=False)],
        [Run(1, "b", cold=False)],
        [Start(3, False)],
        [Refuse("d", Refusal.ACCOUNT_LIMIT)],
    ]
    assert (pool.used, numbers(fleet)) == (1, {"starting": 1, "busy": 2, "in_flight": 3, "waiting": 1})
    fleet.finished(1, 2.0)  # takes c
    fleet.finished(1, 3.0)
    assert (pool.used, numbers(fleet)) == (0, {"starting": 1, "idle": 1, "busy": 1, "in_flight": 1})


def test_inside_a_reservation_provisioned_environments_do_not_raise_the_ceiling():
    """Provisioned concurrency counts inside reserved."""
    fleet = provisioned(1, Pool(0), reserved=2)
    fleet.arrive("a", 1.0)

    assert fleet.arrive("b", 1.0) == [Start(2, False)]
    assert fleet.arrive("c", 1.0) == (Refuse("c", Refusal.FUNCTION_LIMIT),)


def test_an_event_may_wait_for_a_provisioned_environment_that_is_coming_up():
    """It runs cold there, and no other is started for it."""
    fleet = make(provisioned=1)
    fleet.open(0.0)

    assert list(fleet.arrive("a", 0.1)) == []
    assert fleet.ready(1, 0.5) == [Run(1, "a", cold=True)]


@pytest.mark.parametrize("busy", [False, True])
def test_a_provisioned_environment_that_crashed_is_replaced_at_the_next_tick(busy):
    """The number that is kept ready holds."""
    fleet = provisioned(2)
    if busy:
        fleet.arrive("a", 1.0)

    assert list(fleet.crashed(2, 5.0)) == []
    assert fleet.restless
    assert (fleet.next_due_s(), fleet.tick(5.0)) == (5.0, [Start(3, True)])
    assert numbers(fleet) == {"starting": 1, "idle": 1}


def test_a_provisioned_init_that_keeps_failing_is_tried_again_more_and_more_rarely():
    """1, 2, 4 ... 60 s after each failure; a success starts over."""
    fleet = make(provisioned=1)
    fleet.open(0.0)
    now_s, pauses = 0.0, []
    for env_id in range(1, 9):
        fleet.crashed(env_id, now_s)
        pauses.append(fleet.next_due_s() - now_s)
        now_s = fleet.next_due_s()
        assert fleet.tick(now_s) == [Start(env_id + 1, True)]

    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
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

    assert pauses == [1.0, 2.0, 4.0]
    assert numbers(fleet) == {"starting": 5}


def test_provisioned_environments_that_come_and_go_leave_no_trace():
    """Crashing while idle, again and again, costs no memory."""
    fleet = provisioned(3)
    before = environments_alive()
    for env_id in range(3, 500):
        fleet.crashed(env_id, 1.0)
        fleet.tick(1.0)
        fleet.ready(env_id + 1, 1.0)

    assert environments_alive() - before <= 3
    assert numbers(fleet) == {"idle": 3}


def environments_alive() -> int:
    return sum(type(thing) is Environment for thing in gc.get_objects())


# ---------------------------------------------------------------- init failures and crashes


def test_a_failed_init_answers_exactly_one_event_and_is_replaced_for_the_others():
    """The first in line fails; each other one still has an environment coming."""
    fleet = make()
    for item in "abc":
        fleet.arrive(item, 0.0)

    assert fleet.crashed(2, 1.0) == [Fail("a", 2)]
    assert numbers(fleet) == {"starting": 2, "in_flight": 2, "waiting": 2}
    assert fleet.ready(1, 1.0) == [Run(1, "b", cold=True)]
    assert fleet.ready(3, 1.0) == [Run(3, "c", cold=True)]


def test_the_events_that_shared_a_failed_environment_get_another_one():
    """One of them is answered with the init error, a new environment starts for the rest."""
    fleet = make(environment_concurrency=3)
    for item in "abc":
        fleet.arrive(item, 0.0)

    assert numbers(fleet) == {"starting": 1, "in_flight": 3, "waiting": 3}
    assert fleet.crashed(1, 1.0) == [Fail("a", 1), Start(2, False)]
    assert fleet.ready(2, 2.0) == [Run(2, "b", cold=True), Run(2, "c", cold=True)]
    assert numbers(fleet) == {"busy": 1, "in_flight": 2}


def test_a_failed_init_that_nobody_waited_for_answers_nobody():
    """Its event had found a freed environment meanwhile."""
    fleet = make()
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)
    fleet.arrive("b", 0.1)
    fleet.finished(1, 0.2)  # takes b

    assert list(fleet.crashed(2, 0.3)) == []
    assert numbers(fleet) == {"busy": 1, "in_flight": 1}


def test_a_replacement_waits_for_the_scaling_rate_too():
    """Events that were admitted keep their place meanwhile."""
    fleet = make(scaling=TokenBucket(1, 1.0), environment_concurrency=2)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)

    assert fleet.crashed(1, 0.5) == [Fail("a", 1)]
    assert numbers(fleet) == {"in_flight": 1, "waiting": 1}
    assert (fleet.restless, fleet.next_due_s()) == (True, 1.0)
    assert fleet.tick(1.0) == [Start(2, False)]
    assert fleet.ready(2, 1.5) == [Run(2, "b", cold=True)]


def test_a_crash_ends_all_that_ran_there_and_gives_its_units_back():
    """The driver answers those; the fleet only frees what they held."""
    pool = Pool(3)
    fleet = make(pool, environment_concurrency=3)
    for item in "abc":
        fleet.arrive(item, 0.0)
    fleet.ready(1, 0.5)

    assert (pool.used, numbers(fleet)) == (3, {"busy": 1, "in_flight": 3})
    assert list(fleet.crashed(1, 1.0)) == []
    assert (pool.used, numbers(fleet)) == (0, {})
    assert fleet.arrive("d", 1.1) == [Start(2, False)]


# ---------------------------------------------------------------- several events per environment


def test_a_shared_environment_is_filled_before_another_is_used():
    """Packing: the fewer environments, the more may expire."""
    fleet = make(environment_concurrency=2)
    for item in "abc":
        fleet.arrive(item, 0.0)

    assert numbers(fleet) == {"starting": 2, "in_flight": 3, "waiting": 3}
    assert fleet.ready(1, 1.0) == [Run(1, "a", cold=True), Run(1, "b", cold=True)]
    assert fleet.ready(2, 1.0) == [Run(2, "c", cold=True)]
    assert list(fleet.arrive("d", 2.0)) == [Run(2, "d", cold=False)]
    assert list(fleet.arrive("e", 2.0)) == [Start(3, False)]
    assert numbers(fleet) == {"starting": 1, "busy": 2, "in_flight": 5, "waiting": 1}


def test_a_place_that_frees_in_a_full_environment_is_used_before_an_idle_one():
    """A busy environment with room comes first."""
    fleet = make(environment_concurrency=2)
    for item in "abcd":
        fleet.arrive(item, 0.0)
    fleet.ready(1, 0.0)
    fleet.ready(2, 0.0)
    fleet.finished(2, 1.0)
    fleet.finished(2, 1.0)  # idle now
    fleet.finished(1, 1.0)  # room for one

    assert numbers(fleet) == {"idle": 1, "busy": 1, "in_flight": 1}
    assert [list(fleet.arrive(item, 2.0)) for item in "xyz"] == [
        [Run(1, "x", cold=False)],
        [Run(2, "y", cold=False)],
        [Run(2, "z", cold=False)],
    ]


def test_a_shared_environment_is_idle_when_its_last_handler_ended():
    """The keep-alive counts from then."""
    fleet = make(environment_concurrency=2, keep_alive_s=10.0)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.ready(1, 0.0)
    fleet.finished(1, 1.0)

    assert (numbers(fleet), fleet.next_due_s()) == ({"busy": 1, "in_flight": 1}, None)
    fleet.finished(1, 2.0)
    assert (numbers(fleet), fleet.next_due_s()) == ({"idle": 1}, 12.0)


def test_concurrency_is_counted_in_events_not_in_environments():
    """A reservation of 3 is three events, however they are packed."""
    fleet = make(environment_concurrency=2, reserved=3)
    commands = [list(fleet.arrive(item, 0.0)) for item in "abcd"]

    assert commands == [[Start(1, False)], [], [Start(2, False)], [Refuse("d", Refusal.FUNCTION_LIMIT)]]


# ---------------------------------------------------------------- new code


def test_new_code_stops_idle_environments_at_once():
    """The next event gets a new one."""
    fleet = make()
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)
    fleet.finished(1, 1.0)

    assert fleet.renew(2.0) == [Stop(1)]
    assert fleet.arrive("b", 3.0) == [Start(2, False)]
    assert fleet.next_due_s() is None


def test_new_code_lets_a_busy_environment_finish_and_then_go():
    """What runs there ends undisturbed; nothing more runs there."""
    fleet = make()
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)

    assert fleet.renew(1.0) == []
    assert fleet.arrive("b", 1.5) == [Start(2, False)]
    assert fleet.finished(1, 2.0) == [Stop(1)]
    assert fleet.ready(2, 2.5) == [Run(2, "b", cold=True)]
    assert numbers(fleet) == {"busy": 1, "in_flight": 1}


def test_new_code_replaces_a_starting_environment_for_who_waits():
    """It may have read the old code: it goes when it is up, and another is started."""
    fleet = make()
    fleet.arrive("a", 0.0)

    assert fleet.renew(0.1) == []
    assert fleet.ready(1, 0.5) == [Stop(1), Start(2, False)]
    assert numbers(fleet) == {"starting": 1, "in_flight": 1, "waiting": 1}
    assert fleet.ready(2, 1.0) == [Run(2, "a", cold=True)]


def test_new_code_closes_a_shared_environment_with_room():
    """Its other handlers end there, one by one."""
    fleet = make(environment_concurrency=3)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.ready(1, 0.0)
    fleet.renew(1.0)

    assert fleet.arrive("c", 1.5) == [Start(2, False)]
    assert [list(fleet.finished(1, at_s)) for at_s in (2.0, 3.0)] == [[], [Stop(1)]]
    assert numbers(fleet) == {"starting": 1, "in_flight": 1, "waiting": 1}


def test_new_code_renews_provisioned_environments():
    """Idle ones at once, busy ones when they end."""
    fleet = provisioned(2)
    fleet.arrive("a", 1.0)  # in 2

    assert fleet.renew(2.0) == [Stop(1), Start(3, True)]
    assert fleet.finished(2, 3.0) == [Stop(2), Start(4, True)]
    assert numbers(fleet) == {"starting": 2}


def test_events_that_wait_for_a_limit_survive_new_code():
    """They run on the new code, in order."""
    fleet = make(reserved=1, queue_limit=5)
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)
    fleet.arrive("b", 0.5)
    fleet.renew(1.0)

    assert fleet.finished(1, 2.0) == [Stop(1), Start(2, False)]
    assert fleet.ready(2, 3.0) == [Run(2, "b", cold=True)]
    assert numbers(fleet) == {"busy": 1, "in_flight": 1}


# ---------------------------------------------------------------- the end


def test_closing_refuses_what_waits_for_a_limit_and_stops_what_is_idle():
    """What was admitted still runs."""
    fleet = make(reserved=2, queue_limit=5, environment_concurrency=1)
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)
    fleet.arrive("b", 0.0)
    fleet.arrive("c", 0.0)

    assert fleet.close(1.0) == [Refuse("c", Refusal.CLOSING)]
    assert fleet.arrive("d", 1.1) == (Refuse("d", Refusal.CLOSING),)
    assert numbers(fleet) == {"starting": 1, "busy": 1, "in_flight": 2, "waiting": 1}
    assert fleet.ready(2, 2.0) == [Run(2, "b", cold=True)]
    assert [list(fleet.finished(env_id, 3.0)) for env_id in (1, 2)] == [[Stop(1)], [Stop(2)]]
    assert (numbers(fleet), fleet.next_due_s()) == ({}, None)


def test_closing_stops_starting_environments_that_nobody_waits_for():
    """Those that are needed come up, run once and go."""
    fleet = make(provisioned=3)
    fleet.open(0.0)
    fleet.arrive("a", 0.1)

    assert fleet.close(0.2) == [Stop(1), Stop(2)]
    assert fleet.ready(3, 0.5) == [Run(3, "a", cold=True)]
    assert fleet.finished(3, 1.0) == [Stop(3)]
    assert numbers(fleet) == {}


def test_a_closed_fleet_stops_idle_provisioned_environments_and_refills_no_more():
    """Nothing is started ahead any more."""
    fleet = provisioned(2)
    fleet.arrive("a", 0.5)

    assert fleet.close(1.0) == [Stop(1)]
    assert list(fleet.crashed(2, 2.0)) == []
    assert (list(fleet.tick(2.0)), fleet.next_due_s(), numbers(fleet)) == ([], None, {})


def test_a_closed_fleet_still_replaces_an_environment_for_what_was_admitted():
    """An init that fails while draining answers one event; the others get their environment."""
    fleet = make(environment_concurrency=2)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.close(0.1)

    assert fleet.crashed(1, 0.5) == [Fail("a", 1), Start(2, False)]
    assert fleet.ready(2, 1.0) == [Run(2, "b", cold=True)]
    assert fleet.finished(2, 1.5) == [Stop(2)]


def test_abandoning_ends_everything_in_whatever_phase():
    """Blocked and waiting events are refused, all environments go, every unit returns."""
    pool = Pool(3)
    fleet = make(pool, queue_limit=5)
    for item in "abcd":
        fleet.arrive(item, 0.0)
    fleet.ready(1, 0.0)
    fleet.ready(2, 0.0)

    assert numbers(fleet) == {"starting": 1, "busy": 2, "in_flight": 3, "waiting": 1, "blocked": 1}
    commands = fleet.abandon(1.0)
    refused = [command.item for command in commands if type(command) is Refuse]
    stopped = [command.env_id for command in commands if type(command) is Stop]
    assert (refused, sorted(stopped)) == (["d", "c"], [1, 2, 3])
    assert (pool.used, numbers(fleet), fleet.next_due_s()) == (0, {}, None)
    assert fleet.arrive("e", 2.0) == (Refuse("e", Refusal.CLOSING),)


def test_closing_and_abandoning_twice_changes_nothing():
    """The second signal may come at any time."""
    fleet = provisioned(1)

    assert fleet.close(1.0) == [Stop(1)]
    assert fleet.close(2.0) == []
    assert fleet.abandon(3.0) == []
    assert fleet.abandon(4.0) == []
    assert numbers(fleet) == {}
