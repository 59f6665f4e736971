"""Rules, targets, buses and tags: answers and errors as recorded on AWS."""

import json
from pathlib import Path

import pytest

from engine.core.destinations import DeliveryError
from tests.services.eventbridge.conftest import ARNS, DEAD, FUNCTION, QUEUE

VALIDATION = "ValidationException"
VERDICTS = Path(__file__).parents[2] / "core" / "event_patterns" / "recorded_verdicts.jsonl"
NOT_FOUND = "ResourceNotFoundException"
LIMIT = ("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
PLACE = '\n at [Source: (String)"{"s":[{"prefix":123}]}"; line: 1, column: 20]'


async def test_a_rule_is_shown_as_it_was_put(site):
    """Its ARN has the bus unless that is `default`."""
    site.ask("CreateEventBus", Name="b")
    first = site.ask("PutRule", Name="r", EventPattern='{"source":["s"]}', Description="d", State="DISABLED")
    second = site.ask(
        "PutRule",
        Name="r",
        EventBusName=ARNS.format("events", "event-bus/b"),
        EventPattern='{"source":["s"]}',
    )

    assert {"RuleArn": ARNS.format("events", "rule/r")} == first
    assert {"RuleArn": ARNS.format("events", "rule/b/r")} == second
    assert {
        "Name": "r",
        "Arn": first["RuleArn"],
        "EventPattern": '{"source":["s"]}',
        "State": "DISABLED",
        "Description": "d",
        "EventBusName": "default",
        "CreatedBy": "000000000000",
    } == site.ask("DescribeRule", Name="r")
    assert ["r"] == [rule["Name"] for rule in site.ask("ListRules", EventBusName="b")["Rules"]]


async def test_put_rule_replaces_the_whole_rule_but_its_targets(site):
    """Members that are left out are gone; so is its being disabled."""
    site.rule()
    site.ask("PutRule", Name="r", EventPattern='{"source":["s"]}', Description="d", State="DISABLED")
    site.ask("PutRule", Name="r", EventPattern='{"source":["shop"]}')
    shown = site.ask("DescribeRule", Name="r")
    site.put()

    assert ("ENABLED", None) == (shown["State"], shown.get("Description"))
    assert 1 == len(site.got)


async def test_a_disabled_rule_takes_nothing(site):
    """Until it is enabled."""
    site.rule()
    site.ask("DisableRule", Name="r")
    site.put()
    before = site.delivered()
    site.ask("EnableRule", Name="r")
    site.put()

    assert ([], 1) == (before, len(site.delivered()))


@pytest.mark.parametrize(
    ("operation", "members", "error"),
    [
        (
            "PutRule",
            {"Name": "r"},
            (VALIDATION, "Parameter(s) EventPattern or ScheduleExpression must be specified."),
        ),
        (
            "PutRule",
            {"Name": "r", "EventPattern": '{"s":[{"prefix":123}]}'},
            (
                "InvalidEventPatternException",
                "Event pattern is not valid. Reason: prefix match pattern must be a string" + PLACE,
            ),
        ),
        ("DescribeRule", {"Name": "x"}, (NOT_FOUND, "Rule x does not exist on EventBus default.")),
        ("EnableRule", {"Name": "x"}, (NOT_FOUND, "Rule x does not exist on EventBus default.")),
        (
            "PutTargets",
            {"Rule": "x", "Targets": [{"Id": "t", "Arn": FUNCTION}]},
            (NOT_FOUND, "Rule x does not exist on EventBus default."),
        ),
        ("ListRules", {"EventBusName": "x"}, (NOT_FOUND, "Event bus x does not exist.")),
        ("DescribeEventBus", {"Name": "x"}, (NOT_FOUND, "Event bus x does not exist.")),
        ("DeleteEventBus", {"Name": "default"}, (VALIDATION, "Cannot delete event bus default.")),
        (
            "CreateEventBus",
            {"Name": "default"},
            ("ResourceAlreadyExistsException", "Event bus default already exists."),
        ),
        (
            "RemovePermission",
            {"StatementId": "x"},
            (NOT_FOUND, "Statement with the provided id does not exist."),
        ),
        ("ListRules", {"NextToken": "\u00fc"}, (VALIDATION, "Invalid pagination token.")),
        ("ListArchives", {}, ("NotImplementedException", "ListArchives is not implemented by this engine")),
        ("CreateArchive", {}, ("NotImplementedException", "CreateArchive is not implemented by this engine")),
    ],
)
async def test_what_cannot_be_is_refused(site, operation, members, error):
    """In AWS's words where they are known; archives by their name."""
    assert error == site.ask(operation, **members)


@pytest.mark.parametrize(
    ("member", "value", "constraint"),
    [
        ("Id", "a b", r"satisfy regular expression pattern: [\.\-_A-Za-z0-9]+"),
        ("Id", "x" * 65, "have length less than or equal to 64"),
        ("RetryPolicy", {"MaximumRetryAttempts": 186}, "have value less than or equal to 185"),
        ("RetryPolicy", {"MaximumEventAgeInSeconds": 59}, "have value greater than or equal to 60"),
    ],
)
async def test_bounds_are_those_of_the_model(site, member, value, constraint):
    """Of targets, say."""
    code, message = site.rule(**{member: value})

    assert VALIDATION == code
    assert message.endswith(f"failed to satisfy constraint: Member must {constraint}")


async def test_targets_are_replaced_by_id_bounded_and_removed(site):
    """Five of a rule; then nothing of the request is added."""
    site.rule()
    answer = site.rule(Arn=QUEUE)
    more = [{"Id": f"t{number}", "Arn": FUNCTION} for number in range(5)]
    too_many = site.ask("PutTargets", Rule="r", Targets=more)
    shown = site.ask("ListTargetsByRule", Rule="r")["Targets"]
    kept = site.ask("DeleteRule", Name="r")
    removed = site.ask("RemoveTargets", Rule="r", Ids=["t", "gone"])
    site.ask("DeleteRule", Name="r")

    assert {"FailedEntryCount": 0, "FailedEntries": []} == answer == removed
    assert LIMIT == too_many
    assert [{"Id": "t", "Arn": QUEUE}] == shown
    assert (VALIDATION, "Rule can't be deleted since it has targets.") == kept
    assert [] == site.ask("ListRules")["Rules"]
    assert {} == site.ask("DeleteRule", Name="r")


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        ("q", "Parameter q is not valid. Reason: Provided Arn is not in correct format."),
        (f"{QUEUE}.fifo", "Parameter(s) SqsParameters must be specified for target: t."),
    ],
)
async def test_a_target_must_be_one(site, arn, message):
    """An ARN; of a FIFO queue with a message group."""
    assert (VALIDATION, message) == site.rule(Arn=arn)


async def test_a_queue_gets_the_message_group(site):
    """Of `SqsParameters`."""
    site.rule(Arn=f"{QUEUE}.fifo", SqsParameters={"MessageGroupId": "g"})
    site.put()

    assert ["g"] == [record.group for _, record in site.records]


async def test_lists_have_pages_and_prefixes(site):
    """Sorted by name."""
    for name in ("b1", "a", "b2", "b3"):
        site.rule(name)
    first = site.ask("ListRules", NamePrefix="b", Limit=2)
    second = site.ask("ListRules", NamePrefix="b", Limit=2, NextToken=first["NextToken"])

    assert [["b1", "b2"], ["b3"]] == [[rule["Name"] for rule in page["Rules"]] for page in (first, second)]
    assert "NextToken" not in second
    assert {"RuleNames": ["a", "b1", "b2", "b3"]} == site.ask("ListRuleNamesByTarget", TargetArn=FUNCTION)
    assert {"RuleNames": []} == site.ask("ListRuleNamesByTarget", TargetArn=QUEUE)


async def test_300_rules_of_a_bus_and_100_buses_are_all(site):
    """AWS's quotas."""
    for number in range(300):
        site.ask("PutRule", Name=f"r{number}", EventPattern='{"source":["s"]}')
    for number in range(99):
        site.ask("CreateEventBus", Name=f"b{number}")

    assert LIMIT == site.ask("PutRule", Name="more", EventPattern='{"source":["s"]}')
    assert LIMIT == site.ask("CreateEventBus", Name="more")


async def test_a_bus_is_made_shown_changed_and_deleted(site):
    """`default` is always there."""
    made = site.ask("CreateEventBus", Name="b", Description="d", Tags=[{"Key": "k", "Value": "v"}])
    site.ask("UpdateEventBus", Name="b", Description="e")
    shown = site.ask("DescribeEventBus", Name="b")
    names = [bus["Name"] for bus in site.ask("ListEventBuses")["EventBuses"]]
    site.rule(bus="b")
    kept = site.ask("DeleteEventBus", Name="b")
    site.ask("RemoveTargets", Rule="r", EventBusName="b", Ids=["t"])
    site.ask("DeleteRule", Name="r", EventBusName="b")

    assert {"EventBusArn": ARNS.format("events", "event-bus/b"), "Description": "d"} == made
    assert {
        "Name": "b",
        "Arn": made["EventBusArn"],
        "Description": "e",
        "CreationTime": 1767225600.0,
        "LastModifiedTime": 1767225600.0,
    } == shown
    assert ["b", "default"] == names
    assert VALIDATION == kept[0]
    assert {} == site.ask("DeleteEventBus", Name="b") == site.ask("DeleteEventBus", Name="b")


async def test_permissions_are_kept_and_shown(site):
    """As the policy of the bus."""
    site.ask("PutPermission", StatementId="s", Principal="111122223333", Action="events:PutEvents")
    site.ask("PutPermission", StatementId="all", Principal="*", Action="events:PutEvents")
    policy = json.loads(site.ask("DescribeEventBus")["Policy"])
    missing = site.ask("RemovePermission", StatementId="x")
    site.ask("RemovePermission", StatementId="s")
    left = json.loads(site.ask("DescribeEventBus")["Policy"])
    site.ask("RemovePermission", RemoveAllPermissions=True)

    assert {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "events:PutEvents",
        "Resource": ARNS.format("events", "event-bus/default"),
    } == policy["Statement"][0]
    assert (NOT_FOUND, "Statement with the provided id does not exist.") == missing
    assert ["all"] == [statement["Sid"] for statement in left["Statement"]]
    assert "Policy" not in site.ask("DescribeEventBus")


async def test_buses_and_rules_have_tags(site):
    """Terraform reads them after each creation; those of a later PutRule are ignored."""
    for _ in range(2):
        site.ask("PutRule", Name="r", EventPattern='{"a":[1]}', Tags=[{"Key": "k", "Value": "v"}])
    arn = ARNS.format("events", "rule/r")
    site.ask("TagResource", ResourceARN=arn, Tags=[{"Key": "l", "Value": "w"}])
    site.ask("UntagResource", ResourceARN=arn, TagKeys=["k", "gone"])
    many = [{"Key": str(number), "Value": ""} for number in range(51)]
    bus = ARNS.format("events", "event-bus/default")

    assert {"Tags": [{"Key": "l", "Value": "w"}]} == site.ask("ListTagsForResource", ResourceARN=arn)
    assert {"Tags": []} == site.ask("ListTagsForResource", ResourceARN=bus)
    assert LIMIT == site.ask("TagResource", ResourceARN=bus, Tags=many)
    assert NOT_FOUND == site.ask("ListTagsForResource", ResourceARN=f"{arn}x")[0]
    assert NOT_FOUND == site.ask("ListTagsForResource", ResourceARN="arn:x")[0]


async def test_a_pattern_can_be_tried(site):
    """A bad one is told as for a rule."""
    event = json.dumps({"source": "shop", "detail": {"n": 3}})
    pattern = json.dumps({"detail": {"n": [{"numeric": [">", 0, "<=", 5]}]}})

    assert {"Result": True} == site.ask("TestEventPattern", EventPattern=pattern, Event=event)
    assert {"Result": False} == site.ask("TestEventPattern", EventPattern='{"source":["x"]}', Event=event)
    assert "InvalidEventPatternException" == site.ask("TestEventPattern", EventPattern="[]", Event=event)[0]
    assert VALIDATION == site.ask("TestEventPattern", EventPattern='{"source":["x"]}', Event="1")[0]


async def test_patterns_are_judged_as_recorded(site):
    """Every verdict that TestEventPattern gave on AWS, against the detail of an event."""
    told = []
    for line in VERDICTS.read_text().splitlines():
        verdict = json.loads(line)
        pattern, event = json.dumps({"detail": verdict["p"]}), json.dumps({"detail": verdict["e"]})
        answer = site.ask("TestEventPattern", EventPattern=pattern, Event=event)
        reason = f"Event pattern is not valid. Reason: {verdict['r']}"
        is_so = answer == {"Result": verdict["r"]}
        if not is_so and not (isinstance(answer, tuple) and answer[1].startswith(reason)):
            told.append((line, answer))

    assert [] == told


async def test_what_cannot_be_delivered_is_a_dead_letter(site):
    """A target that is not there, at once; a busy one after its retries, with how many there were."""
    site.missing = {QUEUE}
    site.rule(Arn=QUEUE, DeadLetterConfig={"Arn": DEAD})
    site.put()
    [(_, gone)] = site.records
    site.records.clear()
    site.errors = [DeliveryError(FUNCTION, "busy", "THROTTLING", True) for _ in range(2)]
    site.rule(DeadLetterConfig={"Arn": DEAD}, RetryPolicy={"MaximumRetryAttempts": 0})
    site.put()
    [(name, busy)] = site.records

    assert {
        "RULE_ARN": ("String", ARNS.format("events", "rule/r")),
        "TARGET_ARN": ("String", QUEUE),
        "ERROR_CODE": ("String", "NO_RESOURCE"),
        "ERROR_MESSAGE": ("String", "The specified queue does not exist."),
    } == gone.attributes
    assert {"n": 2} == json.loads(gone.body)["detail"]
    assert "dead" == name
    assert ("THROTTLING", "MaximumRetryAttempts", "0") == tuple(
        busy.attributes[key][1] for key in ("ERROR_CODE", "EXHAUSTED_RETRY_CONDITION", "RETRY_ATTEMPTS")
    )


async def test_a_target_that_the_engine_has_not_is_kept_and_gets_nothing(site):
    """A log group, say: templates that have one can be deployed."""
    arn = ARNS.format("logs", "log-group:/x")
    site.rule(Arn=arn)
    site.put()

    assert [{"Id": "t", "Arn": arn}] == site.ask("ListTargetsByRule", Rule="r")["Targets"]
    assert {"events": {"other": {"dropped": 1}}} == site.counts.ended
