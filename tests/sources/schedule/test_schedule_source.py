"""Schedules in virtual time: when they fire, and what the event is."""

import json

import pytest
from pydantic import ValidationError

from engine import Engine, Function
from engine.errors import FunctionNotFound, NotAccepting
from engine.services.schedules.expression import parse, zone
from engine.services.schedules.ticks import Ticks
from engine.sources.schedule.source import ScheduleEvent
from engine.testing import VirtualClock, virtual_platform

DAY_S = 86_400


async def test_a_rate_fires_a_period_after_the_start_and_then_each_period(bench):
    """To the second, all day."""
    source = bench.source({"schedule": "rate(5 minutes)"})

    await bench.run(source, DAY_S + 1)

    assert [300 * n for n in range(1, 289)] == bench.at_s
    assert (288, 0) == (source.fired, source.missed)


async def test_a_cron_expression_fires_at_its_moments(bench):
    """The clock begins on Thursday, 2026-01-01."""
    await bench.run(bench.source({"schedule": "cron(0 8 ? * MON-FRI *)"}), 5 * DAY_S)

    assert [8 * 3600, DAY_S + 8 * 3600, 4 * DAY_S + 8 * 3600] == bench.at_s


async def test_the_event_of_a_rule_is_eventbridges(bench):
    """Member for member."""
    source = bench.source({"schedule": "cron(30 1 * * ? *)", "name": "my-schedule"})

    await bench.run(source, DAY_S)

    [(_, event)] = bench.events
    assert (
        '{"version":"0","id":"id-1","detail-type":"Scheduled Event","source":"aws.events",'
        '"account":"123456789012","time":"2026-01-01T01:30:00Z","region":"us-east-2",'
        '"resources":["arn:aws:events:us-east-2:123456789012:rule/my-schedule"],"detail":{}}'
    ) == event.payload.decode()
    assert ("f", "schedule", "id-2") == (event.function, event.trigger, event.request_id)


async def test_the_event_of_eventbridge_scheduler_has_its_source_and_a_text_for_detail(bench):
    """With a time zone, or `at`, or if it is asked for."""
    source = bench.source(
        {"schedule": "cron(0 9 * * ? *)", "time_zone": "Europe/Berlin"},
        {"schedule": "at(2026-01-01T10:00:00)"},
        {"schedule": "rate(12 hours)", "service": "scheduler"},
        {"schedule": "at(2026-01-01T11:00:00)", "service": "rule"},
    )

    await bench.run(source, DAY_S - 1)

    found = [json.loads(event.payload) for _, event in bench.events]
    assert [0, 8 * 3600, 10 * 3600, 11 * 3600, 12 * 3600] == bench.at_s
    assert ["aws.scheduler", "aws.scheduler", "aws.scheduler", "aws.events", "aws.scheduler"] == [
        one["source"] for one in found
    ]
    assert ["{}", "{}", "{}", {}, "{}"] == [one["detail"] for one in found]
    assert "arn:aws:scheduler:us-east-2:123456789012:schedule/default/f-schedule" == found[0]["resources"][0]


@pytest.mark.parametrize("keys", [{"service": "scheduler"}, {"time_zone": "Europe/Berlin"}])
async def test_a_rate_of_scheduler_fires_at_once(bench, keys):
    """That of a rule does after its first period."""
    source = bench.source(
        {"schedule": "rate(1 hour)", **keys}, {"schedule": "rate(1 hour)", "service": "rule", "function": "g"}
    )

    await bench.run(source, 2 * 3600 + 1)

    assert [(0, "f"), (3600, "f"), (3600, "g"), (7200, "f"), (7200, "g")] == sorted(
        (at_s, event.function) for at_s, event in bench.events
    )
    assert "2026-01-01T00:00:00Z" == json.loads(bench.events[0][1].payload)["time"]


@pytest.mark.parametrize("constant", [{"a": 1}, [], None, "text"])
async def test_a_constant_input_is_the_whole_event(bench, constant):
    """Null, too."""
    await bench.run(bench.source({"schedule": "rate(1 hour)", "input": constant}), 3601)

    assert [constant] == [json.loads(event.payload) for _, event in bench.events]


async def test_what_is_not_enabled_does_not_fire(bench):
    """The others do."""
    source = bench.source(
        {"schedule": "rate(1 hour)", "enabled": False},
        {"schedule": "rate(2 hours)", "function": "g"},
    )

    await bench.run(source, 7201)

    assert [(7200, "g")] == [(at_s, event.function) for at_s, event in bench.events]


async def test_a_source_ends_by_itself_when_nothing_will_fire_any_more(bench):
    """`at` once, an expression of a year that is over, and one that is off."""
    source = bench.source(
        {"schedule": "at(2026-01-01T00:00:07)"},
        {"schedule": "cron(0 0 1 1 ? 2020)"},
        {"schedule": "rate(1 day)", "enabled": False},
    )

    await bench.run(source, 100)

    assert [7] == bench.at_s


@pytest.mark.parametrize(
    ("error", "label"),
    [(NotAccepting("draining"), "not_accepting"), (FunctionNotFound("f"), "unknown_function")],
)
async def test_an_event_that_nobody_takes_is_counted(bench, error, label):
    """And the next one comes in its time."""
    source = bench.source({"schedule": "rate(1 minute)"})
    bench.error = error

    await bench.run(source, 130)

    assert [label, label] == bench.rejected
    assert 0 == source.fired


# ---------------------------------------------------------------- time that jumps


class SettableClock(VirtualClock):
    """Wall time can be set, as an operator may."""

    def __init__(self):
        super().__init__()
        self.set_by_s = 0.0

    def wall(self):
        return super().wall() + self.set_by_s


def ticks(text):
    clock = SettableClock()
    return Ticks(parse(text), zone("UTC"), clock), clock


def test_moments_that_passed_unseen_are_not_made_up():
    """The machine slept for an hour: the latest fires late, the others are counted."""
    for text in ("rate(5 minutes)", "cron(0/5 * * * ? *)"):
        one, clock = ticks(text)
        clock.advance(3600 + 10)

        assert -3310 == round(one.left_s())
        moment_s = one.take()

        assert 10 == round(clock.wall() - moment_s)
        assert (11, 290) == (one.missed, round(one.left_s()))


def test_a_clock_that_is_set_back_repeats_nothing():
    """Moments that have fired do not fire again."""
    one, clock = ticks("cron(0 * * * ? *)")
    clock.advance(3600)
    one.take()
    clock.set_by_s = -7200

    assert 3 * 3600 == round(one.left_s())


def test_a_rate_does_not_mind_a_clock_that_is_set():
    """It goes by the monotonic clock."""
    one, clock = ticks("rate(1 hour)")
    clock.advance(600)
    clock.set_by_s = 10**6

    assert 3000 == round(one.left_s())


def test_a_clock_that_is_set_years_ahead_does_not_count_the_minutes():
    """What passed more than a day ago is gone."""
    one, clock = ticks("cron(* * * * ? *)")
    clock.set_by_s = 20 * 365 * DAY_S

    moment_s = one.take()

    assert 60 > clock.wall() - moment_s
    assert 1441 > one.missed > 1400

    rare, clock = ticks("cron(0 0 2 1 ? *)")
    clock.advance(10 * DAY_S)
    assert rare.take() is None
    assert rare.left_s() > 300 * DAY_S


# ---------------------------------------------------------------- settings, and an engine


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"schedule": "rate(1 minutes)"},
        {"schedule": "cron(* * * * * *)"},
        {"schedule": "rate(1 day)", "time_zone": "Mars/Olympus"},
        {"schedule": "rate(1 day)", "zone": "UTC"},
        {"schedule": "rate(1 day)", "service": "timer"},
        {"schedule": "rate(1 day)", "input": {1, 2}},
        {"schedule": 5},
    ],
)
def test_bad_settings_are_refused_before_anything_runs(table):
    """By the model, so that all problems of a file are reported at once."""
    with pytest.raises(ValidationError):
        ScheduleEvent.model_validate(table)


async def test_a_schedule_runs_a_function_of_an_engine(bench, tmp_path):
    """Over the engine's own sink."""
    (tmp_path / "app.py").write_text(
        "seen = []\nasync def handler(event, context):\n    seen.append(event['time'])\n"
    )
    functions = [Function("f", handler="app.handler", code=str(tmp_path))]
    async with Engine(functions, platform=virtual_platform()) as engine:
        bench.submit = engine.sink.submit
        await bench.run(bench.source({"schedule": "rate(1 hour)"}), 3 * 3600 + 1)

    assert 3 == engine.stats.functions["f"].triggers["schedule"].began
