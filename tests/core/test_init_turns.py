"""Turns to initialise: who begins, and when another may; time and use are facts that the test makes up."""

import pytest

from engine.core.fleet import Fleet, FleetLimits, Run, Start, Stop
from engine.core.init_turns import BLIND_S, OBSERVE_EVERY_S, WHOLE_S, InitTurns, Use
from engine.core.throttling import Pool, TokenBucket


def make(turns: InitTurns, **limits) -> Fleet[str]:
    return Fleet(FleetLimits(**limits), Pool(10_000), None, None, turns)


def burst(fleet: Fleet[str], count: int) -> list:
    return [command for number in range(count) for command in fleet.arrive(f"e{number}", 0.0)]


def go_on(turns: InitTurns, now_s: float) -> list:
    """What the scheduler does after each step; the commands that came of it."""
    commands = []
    while (fleet := turns.next()) is not None:
        commands.extend(fleet.begin(now_s))
    return commands


def test_as_many_begin_as_there_are_cores_and_the_next_when_one_is_ready():
    turns = InitTurns(2)
    fleet = make(turns)

    assert [Start(1, False), Start(2, False)] == burst(fleet, 5)
    assert (2, 3, 5) == (fleet.statistics().starting, fleet.statistics().pending, fleet.wanted)
    assert [Run(1, "e0", cold=True)] == fleet.ready(1, 1.0)
    assert [Start(3, False)] == go_on(turns, 1.0)


def test_the_event_that_waited_longest_takes_what_is_free_first_and_inits_nobody_waits_for_are_not_begun():
    turns = InitTurns(1)
    fleet = make(turns)
    burst(fleet, 3)
    fleet.ready(1, 1.0)
    assert [Start(2, False)] == go_on(turns, 1.0)

    assert [Run(1, "e1", cold=False)] == fleet.finished(1, 1.1)
    assert [Run(1, "e2", cold=False)] == fleet.finished(1, 1.2)
    fleet.ready(2, 2.0)
    assert [] == go_on(turns, 2.0)
    assert (0, 3) == (fleet.statistics().pending, fleet.wanted)  # as many as Lambda would have made


def test_functions_take_turns_however_many_events_each_has():
    turns = InitTurns(1)
    many, one, other = fleets = [make(turns) for _ in range(3)]
    burst(many, 100)
    burst(one, 1)
    burst(other, 1)

    begun = []
    current, env_id = many, 1
    for moment in range(1, 5):
        current.ready(env_id, float(moment))
        (command,) = go_on(turns, float(moment))
        env_id = command.env_id
        current = next(fleet for fleet in fleets if fleet.statistics().starting)
        begun.append(current)
    assert [many, one, other, many] == begun
    assert isinstance(command, Start)


def test_an_init_that_fails_gives_its_turn_back():
    turns = InitTurns(1)
    fleet = make(turns)
    burst(fleet, 2)

    fleet.crashed(1, 1.0)
    assert [Start(2, False)] == go_on(turns, 1.0)


def test_provisioned_environments_wait_too_and_events_come_before_them():
    turns = InitTurns(1)
    fleet = make(turns, provisioned=3)
    assert [Start(1, True)] == fleet.open(0.0)
    for item in "abcd":
        fleet.arrive(item, 0.0)  # three of them for what is provisioned, and one of its own

    fleet.ready(1, 1.0)
    assert [Start(2, False)] == go_on(turns, 1.0)
    assert 2 == fleet.statistics().pending


def test_scaling_tokens_are_taken_when_an_environment_is_wanted_as_on_lambda():
    turns = InitTurns(1)
    fleet = Fleet(FleetLimits(), Pool(100), TokenBucket(3, 0.0), None, turns)

    refused = [type(command).__name__ for command in burst(fleet, 5)]
    assert ["Start", "Refuse", "Refuse"] == refused


@pytest.mark.parametrize("stop", [Fleet.close, Fleet.abandon])
def test_a_stop_begins_no_provisioned_environment_any_more(stop):
    turns = InitTurns(1)
    fleet = make(turns, provisioned=3)
    fleet.open(0.0)

    assert [Stop(1)] == list(stop(fleet, 1.0))
    assert [] == go_on(turns, 1.0)
    assert (0, 0) == (fleet.statistics().pending, turns.running)


def test_a_change_of_what_is_provisioned_gives_pending_ones_up():
    turns = InitTurns(1)
    pool = Pool(100)
    fleet: Fleet[str] = Fleet(FleetLimits(provisioned=5), pool, None, None, turns)
    fleet.open(0.0)

    fleet.adjust(pool, 2, 1.0)
    assert 1 == fleet.statistics().pending


def begin(turns: InitTurns, fleet: str, count: int, now_s: float) -> int:
    """How many of `count` may begin at once; their numbers begin at 1."""
    return sum(turns.try_begin(fleet, number, now_s) for number in range(1, count + 1))


def test_an_init_that_sleeps_or_waits_for_the_network_takes_no_core():
    turns = InitTurns(2)
    assert 2 == begin(turns, "f", 3, 0.0)

    turns.observe("f", 1, Use(0.004, 0.001), OBSERVE_EVERY_S)
    assert turns.try_begin("g", 1, OBSERVE_EVERY_S)
    assert not turns.try_begin("g", 2, OBSERVE_EVERY_S)


def test_one_look_at_a_pause_begins_no_flood():
    turns = InitTurns(1)
    turns.try_begin("f", 1, 0.0)
    turns.observe("f", 1, Use(0.0, 0.0), OBSERVE_EVERY_S)

    assert [True, False] == [turns.try_begin("f", number, OBSERVE_EVERY_S) for number in (2, 3)]


def test_an_init_that_computes_again_counts_again():
    turns = InitTurns(1)
    turns.try_begin("f", 1, 0.0)
    turns.observe("f", 1, Use(0.001, 0.0), OBSERVE_EVERY_S)
    turns.observe("f", 1, Use(0.001, 0.0), 2 * OBSERVE_EVERY_S)
    turns.observe("f", 1, Use(0.001 + OBSERVE_EVERY_S, 0.0), 3 * OBSERVE_EVERY_S)

    assert not turns.try_begin("g", 1, 3 * OBSERVE_EVERY_S)


def test_an_init_that_waits_for_a_cpu_counts_as_one_that_has_it():
    turns = InitTurns(1)
    turns.try_begin("f", 1, 0.0)
    turns.observe("f", 1, Use(0.002, OBSERVE_EVERY_S - 0.002), OBSERVE_EVERY_S)

    assert not turns.try_begin("g", 1, OBSERVE_EVERY_S)


def test_an_init_that_is_ready_counts_though_its_wait_is_not_added_up_yet():
    """The kernel adds it when the process gets to run; asleep, with the same times, it would want nothing."""
    turns = InitTurns(1)
    turns.try_begin("f", 1, 0.0)
    turns.observe("f", 1, Use(0.002, 0.0, ready=True), OBSERVE_EVERY_S)
    turns.observe("f", 1, Use(0.002, 0.0, ready=True), 2 * OBSERVE_EVERY_S)
    assert not turns.try_begin("g", 1, 2 * OBSERVE_EVERY_S)

    turns.observe("f", 1, Use(0.002, 0.0), 3 * OBSERVE_EVERY_S)
    assert turns.try_begin("g", 1, 3 * OBSERVE_EVERY_S)


def test_an_init_counts_while_its_process_is_still_to_be_forked_and_when_it_is():
    turns = InitTurns(1)
    turns.try_begin("f", 1, 0.0)

    turns.observe("f", 1, Use(0.0, OBSERVE_EVERY_S), OBSERVE_EVERY_S)
    turns.observe("f", 1, Use(0.001, 0.0), 2 * OBSERVE_EVERY_S)
    assert not turns.try_begin("f", 2, 2 * OBSERVE_EVERY_S)


def test_many_cheap_inits_are_one_expensive_one():
    """Else each would wait for a round trip, and a machine's cold starts per second were fewer."""
    turns = InitTurns(2)
    turns.try_begin("f", 1, 0.0)
    turns.end("f", 1, cpu_s=WHOLE_S / 20)

    assert 40 <= begin(turns, "f", 200, 1.0) <= 50


def test_cheap_inits_that_queue_for_a_cpu_stay_cheap():
    turns = InitTurns(1)
    turns.try_begin("f", 1, 0.0)
    turns.end("f", 1, cpu_s=0.005)
    assert 10 == begin(turns, "f", 10, 1.0)

    for number in range(1, 11):
        turns.observe("f", number, Use(0.001, OBSERVE_EVERY_S - 0.001), 1.0 + OBSERVE_EVERY_S)
    assert turns.try_begin("f", 11, 1.0 + OBSERVE_EVERY_S)


def test_one_that_cannot_be_measured_counts_for_a_time():
    turns = InitTurns(1)
    turns.try_begin("f", 1, 0.0)

    turns.observe("f", 1, None, BLIND_S - 0.01)
    assert not turns.try_begin("f", 2, BLIND_S - 0.01)
    turns.observe("f", 1, None, BLIND_S + OBSERVE_EVERY_S)
    assert turns.try_begin("f", 2, BLIND_S + OBSERVE_EVERY_S)


def test_a_fleet_that_is_held_begins_none_and_holds_up_nobody():
    turns = InitTurns(1)
    held, other = make(turns), make(turns)
    burst(held, 2)
    burst(other, 1)
    turns.hold(held)

    held.ready(1, 1.0)
    assert [Start(1, False)] == go_on(turns, 1.0)
    other.ready(1, 2.0)
    assert [] == go_on(turns, 2.0)
    turns.resume(held)
    assert [Start(2, False)] == go_on(turns, 3.0)


def test_what_is_looked_at_each_time_is_bounded():
    turns = InitTurns(1)
    for number in range(1, 1001):
        turns.begin("f", number, 0.0)
        turns.observe("f", number, Use(0.0, 0.0), OBSERVE_EVERY_S)

    first = turns.to_observe()
    for fleet, number in first:
        turns.observe(fleet, number, Use(0.0, 0.0), 2 * OBSERVE_EVERY_S)
    assert len(first) < 100
    assert not set(first) & set(turns.to_observe())
