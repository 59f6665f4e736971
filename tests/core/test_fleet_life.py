"""The kernel as timelines: shared environments, new code, the end."""

from __future__ import annotations

from dataclasses import asdict

from engine.core.fleet import Fail, Fleet, FleetLimits, Refuse, Run, Start, Stop
from engine.core.throttling import Pool, ThrottleReason


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


# ---------------------------------------------------------------- several events per environment


def test_a_shared_environment_is_filled_before_another_is_used():
    """Packing: the fewer environments, the more may expire."""
    fleet = make(environment_concurrency=2)
    for item in "abc":
        fleet.arrive(item, 0.0)

    assert {"starting": 2, "in_flight": 3, "waiting": 3} == numbers(fleet)
    assert [Run(1, "a", cold=True), Run(1, "b", cold=True)] == fleet.ready(1, 1.0)
    assert [Run(2, "c", cold=True)] == fleet.ready(2, 1.0)
    assert [Run(2, "d", cold=False)] == list(fleet.arrive("d", 2.0))
    assert [Start(3, False)] == list(fleet.arrive("e", 2.0))
    assert {"starting": 1, "busy": 2, "in_flight": 5, "waiting": 1} == numbers(fleet)


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

    assert {"idle": 1, "busy": 1, "in_flight": 1} == numbers(fleet)
    assert [
        [Run(1, "x", cold=False)],
        [Run(2, "y", cold=False)],
        [Run(2, "z", cold=False)],
    ] == [list(fleet.arrive(item, 2.0)) for item in "xyz"]


def test_a_shared_environment_is_idle_when_its_last_handler_ended():
    """The keep-alive counts from then."""
    fleet = make(environment_concurrency=2, keep_alive_s=10.0)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.ready(1, 0.0)
    fleet.finished(1, 1.0)

    assert ({"busy": 1, "in_flight": 1}, None) == (numbers(fleet), fleet.next_due_s())
    fleet.finished(1, 2.0)
    assert ({"idle": 1}, 12.0) == (numbers(fleet), fleet.next_due_s())


def test_concurrency_is_counted_in_events_not_in_environments():
    """A reservation of 3 is three events, however they are packed."""
    fleet = make(environment_concurrency=2, reserved=3)
    commands = [list(fleet.arrive(item, 0.0)) for item in "abcd"]

    assert [
        [Start(1, False)],
        [],
        [Start(2, False)],
        [Refuse("d", ThrottleReason.FUNCTION_LIMIT)],
    ] == commands


# ---------------------------------------------------------------- new code


def test_new_code_stops_idle_environments_at_once():
    """The next event gets a new one."""
    fleet = make()
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)
    fleet.finished(1, 1.0)

    assert [Stop(1)] == fleet.renew(2.0)
    assert [Start(2, False)] == fleet.arrive("b", 3.0)
    assert fleet.next_due_s() is None


def test_new_code_lets_a_busy_environment_finish_and_then_go():
    """What runs there ends undisturbed; nothing more runs there."""
    fleet = make()
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)

    assert [] == fleet.renew(1.0)
    assert [Start(2, False)] == fleet.arrive("b", 1.5)
    assert [Stop(1)] == fleet.finished(1, 2.0)
    assert [Run(2, "b", cold=True)] == fleet.ready(2, 2.5)
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_new_code_replaces_a_starting_environment_for_who_waits():
    """It may have read the old code: it goes when it is up, and another is started."""
    fleet = make()
    fleet.arrive("a", 0.0)

    assert [] == fleet.renew(0.1)
    assert [Stop(1), Start(2, False)] == fleet.ready(1, 0.5)
    assert {"starting": 1, "in_flight": 1, "waiting": 1} == numbers(fleet)
    assert [Run(2, "a", cold=True)] == fleet.ready(2, 1.0)


def test_new_code_closes_a_shared_environment_with_room():
    """Its other handlers end there, one by one."""
    fleet = make(environment_concurrency=3)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.ready(1, 0.0)
    fleet.renew(1.0)

    assert [Start(2, False)] == fleet.arrive("c", 1.5)
    assert [[], [Stop(1)]] == [list(fleet.finished(1, at_s)) for at_s in (2.0, 3.0)]
    assert {"starting": 1, "in_flight": 1, "waiting": 1} == numbers(fleet)


def test_new_code_renews_provisioned_environments():
    """Idle ones at once, busy ones when they end."""
    fleet = provisioned(2)
    fleet.arrive("a", 1.0)  # in 2

    assert [Stop(1), Start(3, True)] == fleet.renew(2.0)
    assert [Stop(2), Start(4, True)] == fleet.finished(2, 3.0)
    assert {"starting": 2} == numbers(fleet)


def test_events_that_wait_for_a_limit_survive_new_code():
    """They run on the new code, in order."""
    fleet = make(reserved=1, queue_limit=5)
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)
    fleet.arrive("b", 0.5)
    fleet.renew(1.0)

    assert [Stop(1), Start(2, False)] == fleet.finished(1, 2.0)
    assert [Run(2, "b", cold=True)] == fleet.ready(2, 3.0)
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


# ---------------------------------------------------------------- the end


def test_closing_refuses_what_waits_for_a_limit_and_stops_what_is_idle():
    """What was admitted still runs."""
    fleet = make(reserved=2, queue_limit=5, environment_concurrency=1)
    fleet.arrive("a", 0.0)
    fleet.ready(1, 0.0)
    fleet.arrive("b", 0.0)
    fleet.arrive("c", 0.0)

    assert [Refuse("c", ThrottleReason.CLOSING)] == fleet.close(1.0)
    assert (Refuse("d", ThrottleReason.CLOSING),) == fleet.arrive("d", 1.1)
    assert {"starting": 1, "busy": 1, "in_flight": 2, "waiting": 1} == numbers(fleet)
    assert [Run(2, "b", cold=True)] == fleet.ready(2, 2.0)
    assert [[Stop(1)], [Stop(2)]] == [list(fleet.finished(env_id, 3.0)) for env_id in (1, 2)]
    assert ({}, None) == (numbers(fleet), fleet.next_due_s())


def test_closing_stops_starting_environments_that_nobody_waits_for():
    """Those that are needed come up, run once and go."""
    fleet = make(provisioned=3)
    fleet.open(0.0)
    fleet.arrive("a", 0.1)

    assert [Stop(1), Stop(2)] == fleet.close(0.2)
    assert [Run(3, "a", cold=True)] == fleet.ready(3, 0.5)
    assert [Stop(3)] == fleet.finished(3, 1.0)
    assert {} == numbers(fleet)


def test_a_closed_fleet_stops_idle_provisioned_environments_and_refills_no_more():
    """Nothing is started ahead any more."""
    fleet = provisioned(2)
    fleet.arrive("a", 0.5)

    assert [Stop(1)] == fleet.close(1.0)
    assert [] == list(fleet.crashed(2, 2.0))
    assert ([], None, {}) == (list(fleet.tick(2.0)), fleet.next_due_s(), numbers(fleet))


def test_a_closed_fleet_still_replaces_an_environment_for_what_was_admitted():
    """An init that fails while draining answers one event; the others get their environment."""
    fleet = make(environment_concurrency=2)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.close(0.1)

    assert [Fail("a", 1), Start(2, False)] == fleet.crashed(1, 0.5)
    assert [Run(2, "b", cold=True)] == fleet.ready(2, 1.0)
    assert [Stop(2)] == fleet.finished(2, 1.5)


def test_abandoning_ends_everything_in_whatever_phase():
    """Blocked and waiting events are refused, all environments go, every unit returns."""
    pool = Pool(3)
    fleet = make(pool, queue_limit=5)
    for item in "abcd":
        fleet.arrive(item, 0.0)
    fleet.ready(1, 0.0)
    fleet.ready(2, 0.0)

    assert {"starting": 1, "busy": 2, "in_flight": 3, "waiting": 1, "blocked": 1} == numbers(fleet)
    commands = fleet.abandon(1.0)
    refused = [command.item for command in commands if type(command) is Refuse]
    stopped = [command.env_id for command in commands if type(command) is Stop]
    assert (["d", "c"], [1, 2, 3]) == (refused, sorted(stopped))
    assert (0, {}, None) == (pool.used, numbers(fleet), fleet.next_due_s())
    assert (Refuse("e", ThrottleReason.CLOSING),) == fleet.arrive("e", 2.0)


def test_closing_and_abandoning_twice_changes_nothing():
    """The second signal may come at any time."""
    fleet = provisioned(1)

    assert [Stop(1)] == fleet.close(1.0)
    assert [] == fleet.close(2.0)
    assert [] == fleet.abandon(3.0)
    assert [] == fleet.abandon(4.0)
    assert {} == numbers(fleet)
