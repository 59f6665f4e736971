"""What the words of `engine load` become: profiles, events, objectives, scenarios of the user's functions."""

import json
from pathlib import Path

import pytest

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from engine.load.generator.findings import findings, missed_so_far
from engine.load.generator.recorder import FAILURE, SUCCESS, Recorder, RequestOutcome
from engine.load.planning.arrivals import planned_arrivals
from engine.load.planning.events import events_of
from engine.load.planning.function_scenario import DrivenFunction, own_scenario, with_functions
from engine.load.planning.objectives import parse_objectives
from engine.load.planning.plan import LoadStage, Mix, Plan, Stream
from engine.load.planning.profile import profile_of
from engine.load.planning.scenario import load_scenario, scenario_names
from engine.load.running.generator_size import enough, peak_of


def plan_of(words, streams=("a",), **more):
    """The plan of a load of ten seconds, after one of warm-up."""
    wanted = {"duration_s": 10.0, "default_s": 15.0, "warmup_s": 1.0, **more}
    profile = profile_of(words, streams, **wanted)
    scenario = own_scenario([DrivenFunction(name) for name in streams], "invoke", (Mix(),), profile, words)
    return Plan(
        run_id="x",
        scenario="x",
        urls={"aws": "http://aws"},
        streams=scenario.streams,
        stages=scenario.planned(capacity_per_s=0),
        profiles=scenario.profiles,
        spacing=scenario.spacing,
        result="r",
    )


def due(plan, begin_s, end_s, stream="a"):
    """How many requests are due in that time, seconds from the beginning of the warm-up."""
    return sum(begin_s <= one.at_s < end_s for one in planned_arrivals(plan, stream))


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("constant:100", (100, 500, 500)),
        ("poisson:100", (100, 500, 500)),
        ("step:40:200:5", (40, 200, 1000)),
        ("spike:20:400:2:2", (20, 860, 100)),
        ("ramp:0:200:10", (100, 250, 750)),
        ("onoff:100:1:1", (100, 300, 200)),
        ("sine:100:50:10", (100, 660, 340)),
    ],
)
def test_a_load_has_the_arrivals_of_its_profile(words, parts):
    """In the warm-up at the rate of its beginning, then as the shape says, shared by all streams."""
    one, two = plan_of(words), plan_of(words, streams=("a", "b"))

    for plan, streams in ((one, "a"), (two, "ab")):
        counts = [
            sum(due(plan, begin_s, end_s, stream) for stream in streams)
            for begin_s, end_s in ((0, 1), (1, 6), (6, 11))
        ]
        assert [pytest.approx(part, abs=5 * part**0.5) for part in parts] == counts
    assert max(planned_arrivals(one, "a")).at_s < 11
    assert plan_of(words) == Plan.model_validate_json(one.model_dump_json())


def test_each_piece_of_a_constant_rate_is_a_stage():
    """So that the report has a row for before, during and after a spike."""
    assert ["warm-up", "0 s to 2 s", "2 s to 4 s", "4 s to 10 s"] == [
        stage.name for stage in plan_of("spike:20:400:2:2").stages
    ]


def test_a_trace_is_sent_at_its_times(tmp_path):
    """By function where it names them; as long as it is, if nobody says how long."""
    file = tmp_path / "trace.csv"
    file.write_text("timestamp,function\n100.0,a\n101.5,b\n104.0,a\n")
    whole = profile_of(f"trace {file}", ["x"], duration_s=None, default_s=15.0, warmup_s=0.0)
    part = profile_of(f"trace:{file}", ["a", "b"], duration_s=3.0, default_s=15.0, warmup_s=0.0)

    assert {"x": [0.0, 1.5, 4.0]} == whole.moments
    assert {"a": [0.0], "b": [1.5]} == part.moments
    assert 4.0 == pytest.approx(whole.stages[0].seconds, abs=0.01)
    with pytest.raises(ValueError, match="no call of c, d; it has a, b"):
        profile_of(f"trace:{file}", ["c", "d"], duration_s=None, default_s=15.0, warmup_s=0.0)


def test_events_come_from_text_files_and_folders(tmp_path):
    """Of a folder, its JSON; for a bucket, every file as it is."""
    (tmp_path / "b.json").write_text('{"b": 2}')
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")

    assert [{"n": 1}, {"a": 1}, {"b": 2}] == [one.event for one in events_of(['{"n": 1}', str(tmp_path)])]
    assert ["a.json", "b.json", "photo.jpg"] == [
        Path(one.file).name for one in events_of([str(tmp_path)], whole_files=True)
    ]
    assert (Mix(),) == events_of([])
    with pytest.raises(ValueError, match=r"photo\.jpg: not JSON"):
        events_of([str(tmp_path / "photo.jpg")])


def test_objectives_are_bounds_with_units():
    """Shares as a number or in per cent."""
    found = parse_objectives("p99=300ms, p99.9=2s,max=2.5s,errors=0.1%,throttles=0")

    assert {99.0: 300.0, 99.9: 2000.0, 100.0: 2500.0} == found.latency_ms
    assert (0.001, 0.0) == (found.errors, found.throttles)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("p99", "must be NAME=BOUND"),
        ("p99=fast", "needs a unit"),
        ("p99=-1ms", "no number from 0"),
        ("p0=1ms", "p0 is no bound"),
        ("p99=1ms,p99=2ms", "given twice"),
        ("errors=5", "more than all"),
        ("errors=nan", "no number from 0"),
        ("latency=1ms", "no such objective"),
    ],
)
def test_what_is_no_objective_is_refused(text, problem):
    """Before anything starts."""
    with pytest.raises(ValueError, match=problem):
        parse_objectives(text)


def recorder_of(slow, fast, failed=0, warmup=0, still_open=0):
    """A recorder whose plan asks for a p99 of 100 ms and no errors."""
    stages = (
        LoadStage(name="warm-up", seconds=1, per_s={"a": 1}, warmup=True),
        LoadStage(name="load", seconds=10, per_s={"a": 1}),
    )
    plan = Plan(
        run_id="x",
        scenario="x",
        urls={},
        streams={"a": Stream(send="invoke", function="a")},
        stages=stages,
        objectives=parse_objectives("p99=100ms,errors=1%"),
        result="r",
    )
    recorder = Recorder(plan)
    recorder.begin_s, recorder.ended_s = 0.0, 11.0
    for stage, due_s, count, took_s, outcome in (
        (0, 0.5, warmup, 5.0, SUCCESS),
        (1, 2.0, slow, 0.5, SUCCESS),
        (1, 7.0, fast, 0.01, SUCCESS),
        (1, 7.0, failed, 0.01, FAILURE),
    ):
        for _ in range(count):
            recorder.due("a", due_s)
            recorder.sent(stage, due_s, 0.0, burst=False)
            recorder.answer(stage, "a", due_s, due_s + took_s, RequestOutcome(outcome))
    for _ in range(still_open):
        recorder.due("a", 10.0)
        recorder.sent(1, 10.0, 0.0, burst=False)
    return recorder


def test_warm_up_is_no_part_of_percentiles_and_objectives():
    """But it is counted: nothing may be lost."""
    found = findings(recorder_of(slow=0, fast=100, warmup=50))

    assert (150, 150) == (found["streams"]["a"]["due"], found["streams"]["a"]["success"])
    assert found["streams"]["a"]["latency_ms"]["success"]["max"] < 11
    assert [True, True] == [one["kept"] for one in found["measured"]["objectives"]]
    assert 100 == sum(count for block in found["streams"]["a"]["blocks"] for _, count in block)
    assert [True, False] == [bool(found["streams"]["a"]["blocks"][block]) for block in (12, 0)]


@pytest.mark.parametrize(
    ("recorder", "missed"),
    [
        (recorder_of(slow=0, fast=99), ""),
        (recorder_of(slow=9, fast=90), ""),  # too few to say
        (recorder_of(slow=9, fast=99), "p99 is at most 100 ms: 500.2 ms"),
        (
            recorder_of(slow=0, fast=99, failed=3),
            "at most 1 % of the requests are not answered well: 3 of 102",
        ),
        (recorder_of(slow=0, fast=100, still_open=50), ""),  # they may yet be answered well
    ],
)
def test_a_breach_is_told_by_what_was_answered(recorder, missed):
    """What ends a run with `--stop-on-breach`."""
    assert missed == missed_so_far(recorder)[: len(missed)] if missed else not missed_so_far(recorder)


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_takes_any_function(name):
    """In the place of its own, with the user's event; what the scenario is about may stay beside it."""
    scenario = load_scenario(name)
    changed, _ = with_functions(scenario, [DrivenFunction("mine")], None, (Mix(event={"n": 1}),))

    users = [one for one in changed.streams.values() if one.is_users]
    assert {"mine"} == {one.function for one in users}
    assert [(Mix(event={"n": 1}),)] * len(users) == [one.events for one in users]
    assert [one for one in changed.streams.values() if not one.is_users] == [
        one for one in scenario.streams.values() if one.keeps_function
    ]


@pytest.mark.parametrize(
    ("per_s", "cost_us", "cores", "expected"), [(200, 500, 8, 1), (2000, 500, 8, 2), (9000, 500, 4, 4)]
)
def test_the_generator_has_as_many_processes_as_it_needs(per_s, cost_us, cores, expected):
    """None is busy for more than 60 % of its core, as far as there are cores."""
    assert expected == enough(per_s, cost_us / 1e6, cores)


def test_the_peak_of_a_plan_is_that_of_its_busiest_moment():
    """Of stages and of shapes."""
    assert [400.0, 200.0] == [peak_of(plan_of(words)) for words in ("spike:20:400:2:2", "ramp:0:200:10")]


def test_a_plan_of_objectives_is_read_by_another_process():
    """Percentiles are keys of JSON on the way."""
    plan = recorder_of(slow=0, fast=0).plan

    assert plan == Plan.model_validate_json(json.dumps(json.loads(plan.model_dump_json())))
