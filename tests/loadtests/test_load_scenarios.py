"""The scenario files, and how they become plans."""

import re
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from engine.config import load_config
from engine.load.data_files import CONFIG, SCENARIOS
from engine.load.errors import LoadTestError
from engine.load.planning.arrivals import arrivals
from engine.load.planning.plan import Plan, Stream
from engine.load.planning.scenario import (
    Limits,
    Scenario,
    ScenarioStage,
    load_scenario,
    scenario_names,
)
from engine.load.running.session import _closed

ROOT = Path(__file__).parents[2]

TEN = [
    "failure-storm",
    "idle-cycles",
    "noisy-neighbour",
    "s3-burst",
    "scale-from-zero",
    "soak",
    "spike",
    "sqs-flood",
    "steady",
    "step",
]


def test_there_are_ten_scenarios():
    """Each is a file."""
    assert TEN == scenario_names()


@pytest.mark.parametrize("name", TEN)
def test_a_scenario_asks_one_question_and_names_what_there_is(name):
    """Functions, queues and buckets are those of loadtests/engine.toml; Locust can read the plan."""
    scenario = load_scenario(name)
    config = tomllib.loads(CONFIG.read_text())
    stages = scenario.planned(capacity_per_s=1000)
    plan = Plan(run_id="x", scenario=name, urls={}, streams=scenario.streams, stages=stages, result="r")

    assert scenario.question.endswith("?")
    assert {one.function for one in scenario.streams.values()} <= set(config["functions"])
    assert {one.queue for one in scenario.streams.values() if one.queue} <= set(config.get("queues", ()))
    assert {one.bucket for one in scenario.streams.values() if one.bucket} <= set(config.get("buckets", ()))
    assert plan == Plan.model_validate_json(plan.model_dump_json())
    assert any(
        next(arrivals(stages, stream, spacing=scenario.spacing, seed=1), None) for stream in scenario.streams
    )


def test_the_functions_of_the_load_tests_are_a_valid_configuration():
    """Without a warning, and with a thousand units for functions that reserve none."""
    config = load_config(str(CONFIG), {})

    reserved = sum(one.reserved_concurrency or 0 for one in config.functions)
    assert ((), True) == (config.warnings, config.account.concurrency_limit - reserved >= 1000)


def test_rates_scale_with_the_machine_and_with_what_is_asked_for():
    """A share is one of the capacity; the scale multiplies everything."""
    stage = load_scenario("spike").planned(capacity_per_s=1000, scale=0.5)[1]

    assert ("spike 1", {"waiting": 200}) == (stage.name, stage.per_s)
    assert {"thousand": 10} == load_scenario("scale-from-zero").planned(capacity_per_s=0, scale=0.01)[
        3
    ].at_once
    assert {"few": 1} == load_scenario("scale-from-zero").planned(capacity_per_s=0, scale=0.01)[0].at_once


def test_a_duration_shortens_what_may_be_shortened():
    """Stages in which something has to happen keep their length; the others last a second at least."""
    stages = load_scenario("spike").planned(capacity_per_s=1, duration_s=14)
    fixed = load_scenario("scale-from-zero")

    assert [2, 4, 2, 4, 2] == pytest.approx([stage.seconds for stage in stages])
    assert fixed.seconds == sum(one.seconds for one in fixed.planned(capacity_per_s=0, duration_s=5))
    assert {1.0} == {one.seconds for one in load_scenario("step").planned(capacity_per_s=1, duration_s=2)}


def test_a_closed_model_has_users_where_the_open_one_has_arrivals():
    """In each stage on each stream."""
    stages = [_closed(one, 7) for one in load_scenario("noisy-neighbour").planned(capacity_per_s=0)]

    assert [{"fast": 7}, {"fast": 7, "slow": 7}] == [one.users for one in stages]
    assert [{}, {}] == [one.per_s for one in stages]


WRONG = """
question = "Why?"
drain = 3

[streams.a]
send = "pigeon"
function = "echo"

[[stages]]
name = "one"
seconds = 0
"""


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    """By file and key."""
    (tmp_path / "wrong.toml").write_text(WRONG)

    with pytest.raises(LoadTestError) as raised:
        load_scenario("wrong", tmp_path)

    text = str(raised.value)
    assert all(f"wrong.toml: {key}: " in text for key in ("drain", "streams.a.send", "stages.0.seconds"))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[limits]", '[breaks]\nstream = "nobody"\np99_ms = 1\n\n[limits]', "no stream is called nobody"),
        ('[capacity]\nstream = "waiting"\nusers = 200', "", "a share needs [capacity]"),
        ("shortfall_s = 5", 'free = ["after all"]', "no stage is called after all"),
    ],
)
def test_names_have_to_be_known(tmp_path, old, new, problem):
    """A limit that looks at nothing would always hold."""
    text = (SCENARIOS / "spike.toml").read_text()
    (tmp_path / "spike.toml").write_text(text.replace(old, new))

    with pytest.raises(LoadTestError) as raised:
        load_scenario("spike", tmp_path)

    assert problem in str(raised.value)


@pytest.mark.parametrize("model", [Scenario, Stream, ScenarioStage, Limits])
def test_every_key_is_documented(model):
    """A row of docs/load-testing.md each."""
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "load-testing.md").read_text(), re.MULTILINE)

    assert [] == [key for key in model.model_fields if key not in documented]


def test_the_example_in_the_documentation_is_a_scenario(tmp_path):
    """It can be copied."""
    text = (ROOT / "docs" / "load-testing.md").read_text()
    (tmp_path / "example.toml").write_text(text.split("```text\n")[1].split("```")[0])

    assert ["before", "spike"] == [one.name for one in load_scenario("example", tmp_path).stages]


def test_a_scenario_that_does_not_exist_is_one_clear_line(tmp_path):
    """No traceback."""
    with pytest.raises(LoadTestError, match=r"none\.toml"):
        load_scenario("none", tmp_path)


SOURCES = """
question = "Does it?"
stages = [{ name = "one", seconds = 1, per_s = { orders = 1 } }]
[streams.orders]
send = "SEND"
function = "orders"
events = [{ source = "sqs", fields = FIELDS }]
"""


@pytest.mark.parametrize(
    ("send", "fields", "said"),
    [
        ("invoke", "{ quee = 'q' }", "streams.orders.events.0: sqs: no field 'quee', did you mean 'queue'?"),
        ("invoke", "{ records = 0 }", "streams.orders.events.0: sqs: records: 0 is no whole number"),
        ("http", "{}", 'streams.orders.events.0: a source goes with send = "invoke"'),
    ],
)
def test_an_event_of_a_source_is_checked_when_the_scenario_is_read(tmp_path, send, fields, said):
    """Not by the process that is to send it."""
    (tmp_path / "own.toml").write_text(SOURCES.replace("SEND", send).replace("FIELDS", fields))

    with pytest.raises(LoadTestError) as refused:
        load_scenario("own", tmp_path)

    assert f"own.toml: {said}" in str(refused.value)


def test_an_event_of_a_source_has_fields_of_any_kind(tmp_path):
    """Text, numbers and tables of TOML."""
    fields = '{ body = { n = "{n}" }, records = 2, queue = "q" }'
    (tmp_path / "own.toml").write_text(SOURCES.replace("SEND", "invoke").replace("FIELDS", fields))
    [mix] = load_scenario("own", tmp_path).streams["orders"].events

    assert ("sqs", {"body": {"n": "{n}"}, "records": 2, "queue": "q"}) == (mix.source, mix.fields)
