"""Keys of events, rules and buses, and the requests that they become."""

import pytest

from engine.core.function import Account
from engine.services.eventbridge.setting_checks import bus_problems
from engine.services.eventbridge.settings import (
    BusSettings,
    EventBridgeEvent,
    RuleSettings,
    bus_name,
    rule_members,
)

ACCOUNT = Account()
PATTERN = {"source": ["shop"]}


def test_keys_become_members_of_a_target():
    """Names of queues become ARNs; constants are JSON text, null too."""
    event = EventBridgeEvent.model_validate(
        {
            "pattern": PATTERN,
            "input_transformer": {"paths": {"n": "$.detail.n"}, "template": "<n>"},
            "dead_letter_queue": "lost",
            "maximum_retry_attempts": 0,
            "maximum_event_age_s": 60,
        }
    )

    assert {
        "InputTransformer": {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": "<n>"},
        "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:lost"},
        "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
    } == event.members(ACCOUNT)
    assert {"Input": "null"} == EventBridgeEvent(pattern=PATTERN, input=None).members(ACCOUNT)
    assert {"InputPath": "$.x"} == EventBridgeEvent(pattern=PATTERN, input_path="$.x").members(ACCOUNT)
    assert {} == EventBridgeEvent(pattern=PATTERN).members(ACCOUNT)


def test_rules_become_requests():
    """A table is written as JSON; a text stays as it is."""
    rule = RuleSettings.model_validate(
        {
            "schedule": "rate(1 day)",
            "enabled": False,
            "description": "d",
            "tags": {"k": "v"},
            "targets": [
                {"to": "sqs:q.fifo", "message_group": "g", "input": [1]},
                {"to": "events:b", "id": "x"},
            ],
        }
    )

    assert {
        "Name": "r",
        "EventBusName": "default",
        "State": "DISABLED",
        "ScheduleExpression": "rate(1 day)",
        "Description": "d",
        "Tags": [{"Key": "k", "Value": "v"}],
    } == rule_members("r", rule, "default")
    assert [
        {
            "Id": "target-1",
            "Arn": "arn:aws:sqs:us-east-1:000000000000:q.fifo",
            "SqsParameters": {"MessageGroupId": "g"},
            "Input": "[1]",
        },
        {"Id": "x", "Arn": "arn:aws:events:us-east-1:000000000000:event-bus/b"},
    ] == [target.target(number, ACCOUNT) for number, target in enumerate(rule.targets, 1)]
    event = EventBridgeEvent(pattern='{"source": ["shop"]}')
    assert '{"source": ["shop"]}' == rule_members("r", event, "b")["EventPattern"]


@pytest.mark.parametrize(
    ("model", "table", "message"),
    [
        (EventBridgeEvent, {}, "pattern"),
        (EventBridgeEvent, {"pattern": {"s": "x"}}, 'is no pattern: "s" must be an object or an array'),
        (EventBridgeEvent, {"pattern": "{"}, "is no pattern: failed to parse JSON"),
        (
            EventBridgeEvent,
            {"pattern": PATTERN, "input": None, "input_path": "$.x"},
            "only one of input, input_path and input_transformer",
        ),
        (EventBridgeEvent, {"pattern": PATTERN, "bus": "a b"}, "the name of a bus must be"),
        (EventBridgeEvent, {"pattern": PATTERN, "maximum_retry_attempts": 186}, "185"),
        (RuleSettings, {}, "needs a pattern or a schedule"),
        (RuleSettings, {"schedule": "at(2026-01-01T00:00:00)"}, "is neither 'rate"),
        (RuleSettings, {"schedule": "rate(1 day)", "bus": "b"}, "for the bus 'default' only"),
        (RuleSettings, {"pattern": PATTERN, "targets": [{"to": "sqs:q"}] * 6}, "5 targets at most"),
    ],
)
def test_what_cannot_be_is_told(model, table, message):
    """Before anything runs."""
    with pytest.raises(ValueError, match="(?s)" + message.replace("(", r"\(")):
        model.model_validate(table)


def test_names_are_checked():
    """Of buses, rules and targets."""
    rules = {"a b": RuleSettings(pattern=PATTERN, targets=[{"to": "a b"}])}
    places = [place for place, _ in bus_problems({"a b": BusSettings()}, rules)]

    assert [("buses", "a b"), ("rules", "a b"), ("rules", "a b", "targets", 0, "to")] == places
    assert "b" == bus_name("arn:aws:events:us-east-1:000000000000:event-bus/b") == bus_name("b")


async def test_a_configuration_is_declared(site):
    """Buses that rules name are made."""
    rules = {
        "r": RuleSettings.model_validate({"bus": "b", "pattern": PATTERN, "targets": [{"to": "sqs:q"}]}),
        "s": RuleSettings(schedule="rate(1 day)"),
    }
    site.service.declare({"a": BusSettings(description="d", tags={"k": "v"})}, rules)
    site.put(EventBusName="b")

    assert ["q"] == [name for name, _ in site.got]
    assert "d" == site.ask("DescribeEventBus", Name="a")["Description"]
    assert ["a", "b", "default"] == [bus["Name"] for bus in site.ask("ListEventBuses")["EventBuses"]]
    assert ["s"] == [rule["Name"] for rule in site.ask("ListRules")["Rules"]]
