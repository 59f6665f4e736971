"""Times and counts of the callers, in one process and added up over several."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from engine.load.generator.findings import findings
from engine.load.generator.recorder import FAILURE, SUCCESS, THROTTLED, Recorder, RequestOutcome
from engine.load.generator.tally import Tally
from engine.load.planning.plan import LoadStage, Plan, Stream

BOUNDS = (0.001, 0.01, 0.1, 1.0)
PLAN = Plan(
    run_id="x",
    scenario="x",
    urls={},
    streams={"a": Stream(send="invoke", function="f"), "b": Stream(send="event", function="f")},
    stages=(
        LoadStage(name="one", seconds=2, per_s={"a": 1}, at_once={"b": 2}),
        LoadStage(name="two", seconds=3, per_s={"a": 1}),
    ),
    result="r",
)

times_s = st.lists(st.floats(0, 100), min_size=1, max_size=50)


@settings(max_examples=30)
@given(times_s, st.sampled_from([50.0, 90.0, 99.0, 100.0]))
def test_a_percentile_has_three_digits(times, percent):
    """It is the value at its rank, but for one part in a thousand and a microsecond."""
    tally = Tally(BOUNDS)
    for time_s in times:
        tally.add(time_s)

    rank = len(times) * percent / 100
    lower_s, upper_s = (sorted(times)[max(1, one) - 1] for one in (math.floor(rank), math.ceil(rank)))
    assert 999 * lower_s - 0.001 <= tally.ms(percent) <= 1001 * upper_s + 0.001


@settings(max_examples=20)
@given(times_s, times_s)
def test_tallies_add_up_over_processes(here, there):
    """What was encoded elsewhere and added is what one process would have counted."""
    alone, mine, theirs = Tally(BOUNDS), Tally(BOUNDS), Tally(BOUNDS)
    for time_s in here:
        alone.add(time_s)
        mine.add(time_s)
    for time_s in there:
        alone.add(time_s)
        theirs.add(time_s)

    mine.merge(Tally.decoded(json.loads(json.dumps(theirs.encoded())), BOUNDS))

    assert (alone.count, alone.buckets, alone.spread_ms()) == (mine.count, mine.buckets, mine.spread_ms())
    assert alone.curve_ms() == mine.curve_ms()
    assert alone.sum_s == pytest.approx(mine.sum_s)


def test_an_empty_tally_is_all_zero():
    """Nothing was counted: no error, and no curve."""
    tally = Tally(BOUNDS)

    assert ({0.0}, []) == (set(tally.spread_ms().values()), tally.curve_ms())
    assert [("0.001", 0), ("0.01", 0), ("0.1", 0), ("1.0", 0), ("+Inf", 0)] == tally.cumulated()


def test_a_time_above_an_hour_counts_as_an_hour():
    """Nothing is left out."""
    tally = Tally(BOUNDS)
    tally.add(1e6)

    assert (1, [0, 0, 0, 0, 1]) == (tally.count, tally.buckets)
    assert pytest.approx(3_600_000, rel=0.001) == tally.ms(100)


def recorder():
    """A recorder whose load began at 100."""
    one = Recorder(PLAN)
    one.begin_s = 100.0
    return one


def fill(one, *, which):
    """Some requests: every second of them is done by `which`, 0 or 1; None does all."""
    requests = [
        (0, "a", 100.5, 0.001, 100.6, RequestOutcome(SUCCESS)),
        (0, "b", 100.0, 0.020, 101.0, RequestOutcome(SUCCESS, records=1, began=("env-1", 100.2))),
        (0, "b", 100.0, 0.050, 101.0, RequestOutcome(SUCCESS, records=1, began=("env-1", 100.3))),
        (1, "a", 102.5, 0.002, 102.6, RequestOutcome(THROTTLED)),
        (1, "a", 103.5, 0.003, 105.6, RequestOutcome(FAILURE, "status 500")),
    ]
    for number, (stage, stream, due_s, lag_s, now_s, answer) in enumerate(requests):
        if which in (None, number % 2):
            one.due(stream, due_s - 100)
            one.sent(stage, due_s - 100, lag_s, burst=stream == "b")
            one.answer(stage, stream, due_s, now_s, answer)
    if which in (None, 0):
        one.drop("a")
        one.surprise("a: status 500")


def test_recorders_add_up_over_processes():
    """The master of two workers finds what one process would have found."""
    alone, master, workers = recorder(), recorder(), (recorder(), recorder())
    fill(alone, which=None)
    for number, worker in enumerate(workers):
        fill(worker, which=number)
        master.merge(json.loads(json.dumps(worker.take())), f"worker {number}")
    alone.ended_s = master.ended_s = 5.0

    assert findings(alone) == findings(master)


def test_what_was_taken_is_not_taken_again():
    """A worker reports every few seconds; each request is in one report."""
    worker, master = recorder(), recorder()
    fill(worker, which=None)
    master.merge(worker.take(), "worker")
    master.merge(worker.take(), "worker")

    assert 5 == master.count()


def test_findings_say_what_each_stage_came_to():
    """Rates, outcomes and times by stage; an environment is ready when its first handler began."""
    one = recorder()
    fill(one, which=None)
    one.ended_s = 5.0

    found = findings(one)
    first, second = found["stages"]

    assert (1.5, 1.5, 3, 0, 0) == (
        first["offered_per_s"],
        first["served_per_s"],
        *(first[outcome] for outcome in (SUCCESS, FAILURE, THROTTLED)),
    )
    assert ([200.0], 50.0, 2) == (first["ready_ms"], first["sent_within_ms"], first["at_once"])
    assert (0, 1, 1) == tuple(second[outcome] for outcome in (SUCCESS, FAILURE, THROTTLED))
    assert ({"status 500": 1}, {"a: status 500": 1}) == (found["errors"], found["unexpected"])
    assert ([1, 2, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]) == (
        found["timeline"][SUCCESS],
        found["timeline"][FAILURE],
    )
    assert 2 == found["streams"]["b"]["records"]


LOG = (
    (0, 0, 0.2, SUCCESS),
    (2, 2, 2.2, SUCCESS),
    (4, 4, 10.5, SUCCESS),
    (6, 6, 11, SUCCESS),
    (8, 8.1, 12, THROTTLED),
    (10, 10, 10.1, SUCCESS),
    (12, 12.5, 19, SUCCESS),
    (14, 14, 21, SUCCESS),
    (16, 16, 17, FAILURE),
    (18, 19, 29, SUCCESS),
    (20, 20, 20.3, SUCCESS),
    (25, 25, 31, SUCCESS),
)
"""When each request was due, sent and done, and how it ended; three stages of ten seconds."""


def test_what_a_stage_served_is_what_was_answered_in_its_time():
    """By the clock of the answer; what was due and has none yet is open, and comes up later."""
    stages = tuple(LoadStage(name=name, seconds=10, per_s={"a": 0.5}) for name in ("one", "two", "three"))
    one = Recorder(PLAN.model_copy(update={"stages": stages}))
    one.begin_s = 100.0
    for due_s, sent_s, done_s, outcome in LOG:
        one.due("a", due_s)
        one.sent(int(due_s // 10), sent_s, sent_s - due_s, burst=False)
        one.answer(int(due_s // 10), "a", 100 + due_s, 100 + done_s, RequestOutcome(outcome))
    one.ended_s = 30.0
    found = findings(one)
    rows = found["stages"]

    assert [0.5, 0.5, 0.2] == [row["offered_per_s"] for row in rows]
    assert [0.2, 0.4, 0.3] == [row["served_per_s"] for row in rows]
    assert [0, 1, 0] == [row["answered"][THROTTLED] for row in rows]
    assert [0, 1, 0] == [row["answered"][FAILURE] for row in rows]
    assert [3, 2, 1] == [row["open_at_end"] for row in rows]
    assert 1 == found["served_after_end"]


@given(st.floats(5, 60), st.floats(1, 40))
def test_a_stage_never_serves_more_than_the_engine_can(offered, capacity):
    """First in, first out at a fixed capacity, from empty: the backlog is (a - c) L, and gone later."""
    seconds = 10.0
    stages = (
        LoadStage(name="load", seconds=seconds, per_s={"a": offered}),
        LoadStage(name="rest", seconds=9),
    )
    one = Recorder(PLAN.model_copy(update={"stages": stages}))
    one.begin_s = 0.0
    done_s = 0.0
    for number in range(math.floor(offered * seconds)):
        due_s = number / offered
        done_s = max(done_s, due_s) + 1 / capacity
        one.due("a", due_s)
        one.sent(0, due_s, 0.0, burst=False)
        one.answer(0, "a", due_s, done_s, RequestOutcome(SUCCESS))
    one.ended_s = 19.0
    found = findings(one)
    load, rest = found["stages"]
    everything = (load["served_per_s"] * 10 + rest["served_per_s"] * 9) + found["served_after_end"]

    assert load["served_per_s"] <= capacity + 0.06
    assert abs(load["open_at_end"] - max(0.0, offered - capacity) * seconds) <= 2 + offered / capacity
    assert abs(everything - math.floor(offered * seconds)) < 2


def test_a_stage_that_was_not_finished_is_left_out():
    """A run that ended early has rates only for whole stages."""
    one = recorder()
    fill(one, which=None)
    one.ended_s = 3.0

    assert ["one"] == [stage["name"] for stage in findings(one)["stages"]]


def test_the_lag_of_the_stage_that_broke_the_engine_is_not_the_generators():
    """Answers that come late, all at once, hold it up too; so it is left out of a run that ended early."""
    whole, broken = recorder(), recorder()
    for one in (whole, broken):
        one.sent(0, 0.0, 0.001, burst=False)
        one.sent(1, 2.0, 0.5, burst=False)
    whole.ended_s, broken.ended_s = 5.0, 4.9

    assert (500, 0) == tuple(round(findings(one)["lag_ms"]["max"]) for one in (whole, broken))


def test_a_run_is_done_when_it_ended_and_everything_is_answered_everywhere():
    """Neither alone is enough, and the other processes count."""
    one = recorder()
    before = one.done
    one.ended_s = 5.0
    alone = one.done
    one.sent(0, 0.0, 0.0, burst=False)
    waiting = one.done
    one.answer(0, "a", 100.0, 100.1, RequestOutcome(SUCCESS))
    worker = recorder()
    one.merge(worker.take(), "worker")
    other = one.done
    worker.ended_s = 5.0
    one.merge(worker.take(), "worker")

    assert (False, True, False, False, True) == (before, alone, waiting, other, one.done)
