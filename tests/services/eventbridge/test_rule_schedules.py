"""Rules with a schedule: when they fire, what targets get, what is refused. On virtual time."""

import asyncio

import pytest

from engine.services.eventbridge.rule_schedules import is_schedule
from tests.services.eventbridge.conftest import ARNS, FUNCTION


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("cron(0/15 * * * ? *)", True),
        ("cron(0 18 ? * MON-FRI *)", True),
        ("cron(15 10 ? * 6L 2002-2005)", True),
        ("cron(0 2 ? * SAT#3 *)", True),
        ("cron(5,35 14 * * ? *)", True),
        ("cron(0/5 5 ? JAN 1-5 2022)", True),
        ("cron(0 1 * * * *)", False),
        ("cron(7 20 * * NOT *)", False),
        ("cron(71 8 1 * ? *)", False),
        ("cron(INVALID)", False),
        ("rate(5 minutes)", True),
        ("rate(1 hour)", True),
        ("rate(5 minute)", False),
        ("rate(0 minutes)", False),
        ("at(2026-01-01T00:00:00)", False),
    ],
)
def test_expressions_are_taken_or_refused_as_recorded(text, accepted):
    """`at` is for EventBridge Scheduler."""
    assert accepted == is_schedule(text)


async def test_a_rate_fires_its_targets_with_the_scheduled_event(site):
    """The first time after one period; other rules do not get the event."""
    site.rule("all", {"source": [{"prefix": ""}]}, Arn=f"{FUNCTION}-other")
    site.ask("PutRule", Name="r", ScheduleExpression="rate(5 minutes)")
    site.ask("PutTargets", Rule="r", Targets=[{"Id": "t", "Arn": FUNCTION}])
    await asyncio.sleep(299)
    before = site.delivered()
    await asyncio.sleep(302)
    got = site.delivered()

    assert [] == before
    assert ["2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z"] == [event["time"] for event in got]
    assert {
        "version": "0",
        "id": got[0]["id"],
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-01-01T00:05:00Z",
        "region": "us-east-1",
        "resources": [ARNS.format("events", "rule/r")],
        "detail": {},
    } == got[0]


async def test_cron_goes_by_the_clock_on_the_wall(site):
    """Here at noon, for three days."""
    site.ask("PutRule", Name="r", ScheduleExpression="cron(0 12 * * ? *)")
    site.ask("PutTargets", Rule="r", Targets=[{"Id": "t", "Arn": FUNCTION, "Input": '{"k":1}'}])
    await asyncio.sleep(3 * 86_400)

    assert [{"k": 1}] * 3 == site.delivered()


async def test_a_rule_fires_while_it_is_enabled_and_there(site):
    """Put again with the same schedule it goes on as it was; with another it begins anew."""
    put = {"Name": "r", "ScheduleExpression": "rate(1 minute)"}
    site.ask("PutRule", **put)
    site.ask("PutTargets", Rule="r", Targets=[{"Id": "t", "Arn": FUNCTION}])
    await asyncio.sleep(50)
    site.ask("PutRule", **put, Description="the same")
    await asyncio.sleep(11)
    went_on = len(site.delivered())
    site.ask("DisableRule", Name="r")
    await asyncio.sleep(600)
    disabled = len(site.delivered())
    site.ask("EnableRule", Name="r")
    await asyncio.sleep(61)
    enabled = len(site.delivered())
    site.ask("RemoveTargets", Rule="r", Ids=["t"])
    site.ask("DeleteRule", Name="r")

    assert (1, 0, 1) == (went_on, disabled, enabled)
    assert [] == asyncio.get_running_loop().timers()


async def test_schedules_are_for_the_default_bus(site):
    """Recorded texts."""
    site.ask("CreateEventBus", Name="b")
    put = {"Name": "r", "ScheduleExpression": "rate(1 minute)"}

    assert (
        "ValidationException",
        "ScheduleExpression is supported only on the default event bus.",
    ) == site.ask("PutRule", EventBusName="b", **put)
    assert ("ValidationException", "Parameter ScheduleExpression is not valid.") == site.ask(
        "PutRule", Name="r", ScheduleExpression="cron(0 1 * * * *)"
    )
