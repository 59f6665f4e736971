"""The kernel as timelines: events that wait for a limit (`overflow = "queue"`)."""

from __future__ import annotations

from dataclasses import asdict

from engine.core.fleet import Fleet, FleetLimits, Refuse, Run, Start, Stop
from engine.core.throttling import Pool, ThrottleReason, TokenBucket


def make(pool: Pool | None = None, scaling=None, requests=None, **limits) -> Fleet:
    limits = {"queue_limit": 10, "queue_wait_s": 3.0, **limits}
    return Fleet(FleetLimits(**limits), pool or Pool(1000), scaling, requests)


def numbers(fleet: Fleet) -> dict[str, int]:
    """The statistics that are not 0, but for the peak."""
    values = asdict(fleet.statistics())
    del values["peak_in_flight"]
    return {name: value for name, value in values.items() if value}


def serving(fleet: Fleet, item: str) -> Fleet:
    """`fleet` with environment 1 busy on `item`."""
    fleet.arrive(item, 0.0)
    fleet.ready(1, 0.0)
    return fleet


def test_events_over_the_limit_wait_and_run_in_the_order_of_their_arrival():
    """The next handler to end takes the first in line."""
    fleet = serving(make(reserved=1), "a")

    assert [[], [], []] == [list(fleet.arrive(item, 0.1)) for item in "bcd"]
    assert {"busy": 1, "in_flight": 1, "blocked": 3} == numbers(fleet)
    assert [
        [Run(1, "b", cold=False)],
        [Run(1, "c", cold=False)],
        [Run(1, "d", cold=False)],
        [],
    ] == [list(fleet.finished(1, at_s)) for at_s in (0.2, 0.3, 0.4, 0.5)]
    assert {"idle": 1} == numbers(fleet)


def test_nobody_jumps_the_line():
    """An event that finds others waiting goes behind them."""
    fleet = serving(make(reserved=1), "a")
    fleet.arrive("b", 0.1)
    fleet.finished(1, 0.2)
    fleet.arrive("c", 0.2)
    fleet.arrive("d", 0.2)

    assert [Run(1, "c", cold=False)] == fleet.finished(1, 0.3)
    assert {"busy": 1, "in_flight": 1, "blocked": 1} == numbers(fleet)


def test_not_even_before_a_tick_that_is_late():
    """A token that came meanwhile belongs to the first in line, not to who comes next."""
    fleet = make(scaling=TokenBucket(1, 2.0))
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)

    assert [] == list(fleet.arrive("c", 0.6))
    assert {"starting": 1, "in_flight": 1, "waiting": 1, "blocked": 2} == numbers(fleet)
    assert [Start(2, False)] == fleet.tick(0.7)
    assert [
        [Run(1, "a", cold=True)],
        [Run(2, "b", cold=True)],
    ] == [fleet.ready(env_id, 0.8) for env_id in (1, 2)]


def test_a_full_line_refuses():
    """Queues have limits: memory is not the limit of the line."""
    fleet = serving(make(reserved=1, queue_limit=2), "a")
    fleet.arrive("b", 0.1)
    fleet.arrive("c", 0.1)

    assert (Refuse("d", ThrottleReason.QUEUE_FULL),) == fleet.arrive("d", 0.1)
    assert {"busy": 1, "in_flight": 1, "blocked": 2} == numbers(fleet)


def test_who_waited_too_long_is_refused_when_due():
    """Waits have deadlines: each event its own, counted from its arrival."""
    fleet = serving(make(reserved=1), "a")
    fleet.arrive("b", 1.0)
    fleet.arrive("c", 2.0)

    assert fleet.may_be_due_sooner
    assert [] == fleet.tick(3.999)
    assert (4.0, [Refuse("b", ThrottleReason.QUEUE_TIMEOUT)]) == (fleet.next_due_s(), fleet.tick(4.0))
    assert (5.0, [Refuse("c", ThrottleReason.QUEUE_TIMEOUT)]) == (fleet.next_due_s(), fleet.tick(5.0))
    assert (None, False) == (fleet.next_due_s(), fleet.may_be_due_sooner)
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_a_late_tick_refuses_all_that_are_due():
    """And only those."""
    fleet = serving(make(reserved=1), "a")
    for number, at_s in enumerate((0.0, 1.0, 9.0)):
        fleet.arrive(number, at_s)

    assert [Refuse(0, ThrottleReason.QUEUE_TIMEOUT), Refuse(1, ThrottleReason.QUEUE_TIMEOUT)] == fleet.tick(
        9.5
    )
    assert {"busy": 1, "in_flight": 1, "blocked": 1} == numbers(fleet)


def test_the_scaling_rate_wakes_those_that_wait_for_it():
    """One at a time, as tokens come."""
    fleet = make(scaling=TokenBucket(1, 2.0))
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.0)
    fleet.arrive("c", 0.0)

    assert fleet.may_be_due_sooner
    assert {"starting": 1, "in_flight": 1, "waiting": 1, "blocked": 2} == numbers(fleet)
    assert (0.5, [Start(2, False)]) == (fleet.next_due_s(), fleet.tick(0.5))
    assert (1.0, [Start(3, False)]) == (fleet.next_due_s(), fleet.tick(1.0))
    assert {"starting": 3, "in_flight": 3, "waiting": 3} == numbers(fleet)
    assert [
        [Run(1, "a", cold=True)],
        [Run(2, "b", cold=True)],
        [Run(3, "c", cold=True)],
    ] == [fleet.ready(env_id, 2.0) for env_id in (1, 2, 3)]


def test_a_freed_environment_serves_who_waits_for_the_scaling_rate():
    """It needs no token, so it comes first."""
    fleet = serving(make(scaling=TokenBucket(1, 0.1)), "a")
    fleet.arrive("b", 0.0)

    assert [Run(1, "b", cold=False)] == fleet.finished(1, 1.0)
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_who_waits_for_the_account_is_woken_by_another_functions_release():
    """The pool names the fleet whose turn it is; its driver then calls `unblock`."""
    pool = Pool(1)
    waits, serves = make(pool), serving(make(pool), "a")
    waits.arrive("b", 0.1)

    assert pool.next_blocked() is None
    serves.finished(1, 1.0)
    assert pool.next_blocked() is waits
    assert [Start(1, False)] == waits.unblock(1.0)
    assert pool.next_blocked() is None
    assert (1, {"idle": 1}) == (pool.used, numbers(serves))
    assert {"starting": 1, "in_flight": 1, "waiting": 1} == numbers(waits)


def test_a_fleet_that_waits_for_the_account_hands_its_units_to_the_line():
    """A busy function does not keep what it frees while others wait longer for it."""
    pool = Pool(1)
    busy, other = serving(make(pool), "a"), make(pool)
    other.arrive("x", 0.1)
    busy.arrive("b", 0.2)
    busy.arrive("c", 0.2)

    assert [] == busy.finished(1, 1.0)
    assert pool.next_blocked() is other
    assert [Start(1, False)] == other.unblock(1.0)
    assert pool.next_blocked() is None
    assert [Run(1, "x", cold=True)] == other.ready(1, 1.5)
    other.finished(1, 2.0)
    assert pool.next_blocked() is busy
    assert [Run(1, "b", cold=False)] == busy.unblock(2.0)
    assert (1, {"idle": 1}) == (pool.used, numbers(other))
    assert {"busy": 1, "in_flight": 1, "blocked": 1} == numbers(busy)


def test_alone_in_the_line_a_fleet_gets_its_own_unit_back():
    """Nobody else waits, so nothing is lost by asking the pool."""
    pool = Pool(1)
    fleet = serving(make(pool), "a")
    fleet.arrive("b", 0.1)

    assert [] == fleet.finished(1, 1.0)
    assert pool.next_blocked() is fleet
    assert [Run(1, "b", cold=False)] == fleet.unblock(1.0)
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_a_units_of_its_own_need_no_line():
    """What is provisioned is the function's own: its release serves its own events at once."""
    pool = Pool(0)
    fleet = make(pool, provisioned=1)
    fleet.open(0.0)
    fleet.ready(1, 0.0)
    fleet.arrive("a", 0.0)
    fleet.arrive("b", 0.1)

    assert [Run(1, "b", cold=False)] == fleet.finished(1, 1.0)
    assert (0, {"busy": 1, "in_flight": 1}) == (pool.used, numbers(fleet))


def test_a_fleet_is_in_the_pools_line_once():
    """However many of its events wait."""
    pool = Pool(0)
    fleet = make(pool)
    for item in "abc":
        fleet.arrive(item, 0.0)
    pool.limit = 1

    assert pool.next_blocked() is fleet
    assert pool.next_blocked() is None


def test_a_turn_of_a_fleet_whose_events_gave_up_passes_by():
    """`unblock` with nothing blocked does nothing, and the pool goes on to the next."""
    pool = Pool(1)
    gave_up, waits, serves = make(pool, queue_wait_s=0.5), make(pool), serving(make(pool), "a")
    gave_up.arrive("b", 0.1)
    waits.arrive("c", 0.1)
    gave_up.tick(0.6)
    serves.finished(1, 1.0)

    assert pool.next_blocked() is gave_up
    assert [] == gave_up.unblock(1.0)
    assert pool.next_blocked() is waits
    assert [Start(1, False)] == waits.unblock(1.0)
    assert {} == numbers(gave_up)


def test_one_limit_after_the_other():
    """An event may wait for the account first and for the scaling rate then, and still runs once."""
    pool, scaling = Pool(1), TokenBucket(1, 1.0)
    fleet = make(pool, scaling, queue_wait_s=100.0)
    other = serving(make(pool), "x")
    fleet.arrive("a", 0.0)
    scaling.take(0.5)  # as if an environment had been started and lost

    other.finished(1, 1.0)
    assert pool.next_blocked() is fleet
    assert [] == fleet.unblock(1.0)
    assert 0 == pool.used
    assert (1.5, [Start(1, False)]) == (fleet.next_due_s(), fleet.tick(1.5))
    assert {"starting": 1, "in_flight": 1, "waiting": 1} == numbers(fleet)


def test_the_request_rate_is_not_waited_for():
    """It refuses at once, queue or not: it bounds how fast events may come at all."""
    fleet = make(requests=TokenBucket(1, 1.0))
    fleet.arrive("a", 0.0)

    assert (Refuse("b", ThrottleReason.REQUEST_RATE),) == fleet.arrive("b", 0.0)
    assert {"starting": 1, "in_flight": 1, "waiting": 1} == numbers(fleet)


def test_a_crash_wakes_who_waits():
    """The unit of the event that died with its environment goes to the next."""
    fleet = serving(make(reserved=1), "a")
    fleet.arrive("b", 0.1)

    assert [Start(2, False)] == fleet.crashed(1, 1.0)
    assert [Run(2, "b", cold=True)] == fleet.ready(2, 1.5)
    assert {"busy": 1, "in_flight": 1} == numbers(fleet)


def test_with_a_queue_and_a_reservation_of_0_events_wait_in_vain():
    """Nothing can wake them but their deadline."""
    fleet = make(reserved=0)
    fleet.arrive("a", 0.0)

    assert (3.0, [Refuse("a", ThrottleReason.QUEUE_TIMEOUT)]) == (fleet.next_due_s(), fleet.tick(3.0))
    assert {} == numbers(fleet)


def test_an_idle_expiry_and_a_late_event_in_one_tick():
    """One step does all that is due."""
    pool = Pool(1)
    fleet, other = serving(make(pool, keep_alive_s=2.0), "a"), make(pool)
    fleet.finished(1, 1.0)
    serving(other, "x")
    fleet.arrive("b", 1.0)

    assert [Stop(1), Refuse("b", ThrottleReason.QUEUE_TIMEOUT)] == fleet.tick(5.0)
    assert {} == numbers(fleet)
