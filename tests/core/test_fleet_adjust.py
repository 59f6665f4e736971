"""Limits that change while a fleet is at work: nothing that runs is disturbed, no unit is lost."""

from random import Random

import pytest

from engine.core.fleet import Fleet, FleetLimits, Refuse, Run, Start, Stop
from engine.core.throttling import Pool, ThrottleReason


def serving(count, pool, **limits):
    """A fleet in which `count` events run in environments 1..count."""
    fleet = Fleet(FleetLimits(**limits), pool)
    for number in range(1, count + 1):
        fleet.arrive(f"item {number}", 0.0)
        fleet.ready(number, 0.0)
    return fleet


def reserved_pool(limit):
    return Pool(limit, ThrottleReason.FUNCTION_LIMIT)


def test_what_is_in_flight_moves_to_the_new_pool():
    """The account gets its units back at once; the function's pool may be above its limit for a while."""
    account, own = Pool(10), reserved_pool(2)
    fleet = serving(3, account)

    assert [] == list(fleet.adjust(own, 0, 1.0))
    assert (0, 3) == (account.used, own.used)
    assert [Refuse("more", ThrottleReason.FUNCTION_LIMIT)] == list(fleet.arrive("more", 1.0))
    fleet.finished(1, 2.0)
    fleet.finished(2, 2.0)
    assert [Run(2, "next", False)] == list(fleet.arrive("next", 2.0))


def test_fleets_of_one_function_share_its_pool():
    """What one version uses the other has not."""
    own = reserved_pool(2)
    left, right = serving(1, own), serving(1, own)

    assert [Refuse("x", ThrottleReason.FUNCTION_LIMIT)] == list(left.arrive("x", 1.0))
    right.finished(1, 2.0)
    assert [Start(2, False)] == list(left.arrive("x", 2.0))


def test_a_kernel_with_a_reservation_of_its_own_can_be_moved():
    """Its units were never the pool's."""
    account = Pool(10)
    fleet = serving(2, account, reserved=2)
    fleet.adjust(account, 0, 1.0)

    assert 2 == account.used
    assert [Start(3, False)] == list(fleet.arrive("more", 1.0))


def test_more_provisioned_environments_are_started_now():
    pool = Pool(10)
    fleet = serving(0, pool)

    assert [Start(1, True), Start(2, True)] == list(fleet.adjust(pool, 2, 0.0))
    assert 0 == fleet.provisioned_ready
    fleet.ready(1, 1.0)
    assert (1, False) == (fleet.provisioned_ready, fleet.provisioning_fails)
    fleet.crashed(2, 1.0)
    assert fleet.provisioning_fails


def test_surplus_provisioned_environments_become_ordinary_and_expire():
    """Idle ones first; one that is busy finishes."""
    pool = Pool(10)
    fleet = Fleet(FleetLimits(provisioned=3, keep_alive_s=10.0), pool)
    fleet.open(0.0)
    for env_id in (1, 2, 3):
        fleet.ready(env_id, 0.0)
    fleet.arrive("a", 0.0)
    fleet.adjust(pool, 1, 5.0)

    assert 1 == fleet.provisioned_ready
    assert [Stop(1), Stop(2)] == list(fleet.tick(10.0))
    fleet.finished(3, 11.0)
    assert [] == list(fleet.tick(1e6))


def test_events_that_waited_for_the_account_go_on_in_the_new_pool():
    """And the account's line, in which the fleet still stands, does no harm."""
    account = Pool(1)
    fleet = serving(1, account, queue_limit=5)
    fleet.arrive("waits", 1.0)

    assert [Start(2, False)] == list(fleet.adjust(reserved_pool(5), 0, 2.0))
    fleet.finished(1, 3.0)
    assert fleet is account.next_blocked()
    assert [] == list(fleet.unblock(3.0))


@pytest.mark.parametrize("seed", range(30))
def test_no_unit_is_lost_or_made(seed):
    """Whatever is adjusted when: once all has ended, every pool is as it was."""
    random = Random(seed)
    account, own = Pool(6), reserved_pool(4)
    fleets = [Fleet(FleetLimits(queue_limit=random.choice([0, 3])), account) for _ in range(2)]
    busy, starting = [], []

    def obey(fleet, commands):
        for command in commands:
            match command:
                case Start(env_id, _):
                    starting.append((fleet, env_id))
                case Run(env_id, _, _):
                    busy.append((fleet, env_id))
                case Stop(env_id):
                    assert (fleet, env_id) not in busy
                    if (fleet, env_id) in starting:
                        starting.remove((fleet, env_id))

    now_s = 0.0
    for number in range(300):
        now_s += random.random()
        fleet = random.choice(fleets)
        match random.choice(["arrive", "arrive", "finish", "ready", "adjust"]):
            case "arrive":
                obey(fleet, fleet.arrive(number, now_s))
            case "finish" if busy:
                fleet, env_id = busy.pop(random.randrange(len(busy)))
                obey(fleet, fleet.finished(env_id, now_s))
            case "ready" if starting:
                fleet, env_id = starting.pop(random.randrange(len(starting)))
                obey(fleet, fleet.ready(env_id, now_s))
            case "adjust":
                pool = random.choice([account, own])
                for one in fleets:
                    obey(one, one.adjust(pool, random.randrange(3), now_s))
        while (blocked := account.next_blocked()) is not None:
            obey(blocked, blocked.unblock(now_s))
    while busy or starting:
        line, fact = (busy, Fleet.finished) if busy else (starting, Fleet.ready)
        fleet, env_id = line.pop()
        obey(fleet, fact(fleet, env_id, now_s))
        while (blocked := account.next_blocked()) is not None:
            obey(blocked, blocked.unblock(now_s))
    for fleet in fleets:
        obey(fleet, fleet.abandon(now_s))

    assert [0, 0] == [fleet.statistics().in_flight for fleet in fleets]
    assert (0, 0) == (account.used, own.used)
