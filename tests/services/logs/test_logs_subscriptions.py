"""Subscription filters: what is delivered, in which batches, and that nobody is fed their own logs."""

import asyncio
import json
import time
from random import Random

import pytest
from botocore.exceptions import ClientError

from engine.protocols.aws.errors import ServiceError
from engine.runtime.ids import request_ids
from engine.services.logs.service import LogsService
from engine.services.logs.subscription_events import DeliveredEvent, subscription_event
from engine.services.logs.subscriptions import BATCH_S, MAX_BATCH_CHARACTERS, OFF_MS
from tests.services.logs.conftest import ACCOUNT, Functions, LoggedLines, unpacked

GROUP = "/aws/lambda/f"
VECTOR = (
    "H4sIAAAAAAACAzWOyw6CMBAA/2XjkaS0Kgq3JiIXPcENiSlQSZPySFtEQ/h3F43XmX3MDK20VjQyew8SIjjxjN+vcZryJAYP"
    "+qmTBjFl290+OBxDnzLEum8S048DGiImS7Roy1qQx0+lzkjRomM+CwilhIUk31x4FqdZIcoKp+xY2sqowam+OyvtpLEQ5SC0"
    "huJ7I37Kzq1sBlWvAbjkFLY60eJb6v270b1uHSzF8gEm/vqgywAAAA=="
)


def test_an_event_is_the_one_that_aws_packs():
    """The text that was recorded decodes to the same, whoever packed it."""
    recorded = {"awslogs": {"data": VECTOR}}
    made = subscription_event(
        "123456789012",
        "/aws/lambda/f",
        "2026/11/29/[$LATEST]abc",
        "all",
        [DeliveredEvent("1", 1, "x\n")],
    )

    assert json.dumps(unpacked(recorded)) == json.dumps(unpacked(made))


class Bench:
    """A service on virtual time, its functions and what they log."""

    def __init__(self, **groups):
        loop = asyncio.get_running_loop()
        self.clock, self.function_log, self.functions = loop.clock, LoggedLines(), Functions(**groups)
        self.service = LogsService(
            ACCOUNT,
            self.clock,
            request_ids(1),
            self.function_log,
            3_000_000,
            self.functions,
            loop,
        )

    def subscribe(self, to="g", group=GROUP, name="all", pattern=""):
        self.service.subscribe(group, name, self.functions.arn(to), pattern)

    def log(self, *messages, group=GROUP, stream="s"):
        for message in messages:
            self.function_log.log(group, stream, self.clock.wall(), message)

    def call(self, operation, **params):
        return self.service.operations[operation].function(params)

    @property
    def batches(self):
        """Receiver, stream and messages of each delivery."""
        return [
            (name, one["logStream"], [event["message"] for event in one["logEvents"]])
            for name, one in self.functions.delivered
        ]


async def test_lines_are_delivered_together_by_stream_and_in_order():
    """Half a second after the first; all of what AWS says of them."""
    bench = Bench()
    bench.subscribe()
    began_ms = int(bench.clock.wall() * 1000)
    bench.log("a\n", "b\n")
    bench.log("c\n", stream="t")
    await asyncio.sleep(BATCH_S / 2)
    early = list(bench.batches)
    bench.log("d\n")
    await asyncio.sleep(BATCH_S)
    [(_, first), _] = bench.functions.delivered

    assert [] == early
    assert [("g", "s", ["a\n", "b\n", "d\n"]), ("g", "t", ["c\n"])] == bench.batches
    assert ("DATA_MESSAGE", "123456789012", GROUP, ["all"]) == tuple(
        first[key] for key in ("messageType", "owner", "logGroup", "subscriptionFilters")
    )
    assert [began_ms, began_ms, began_ms + 250] == [one["timestamp"] for one in first["logEvents"]]
    ids = [one["id"] for one in first["logEvents"]]
    assert sorted(ids) == ids
    assert {56} == {len(one) for one in ids}


async def test_only_what_a_pattern_matches_is_delivered():
    """The others are in the group all the same."""
    bench = Bench()
    bench.subscribe(name="errors", pattern="ERROR -ignored")
    bench.log("ERROR one\n", "fine\n", "ERROR ignored\n")
    await asyncio.sleep(1)

    assert [["ERROR one\n"]] == [one for *_, one in bench.batches]
    assert 3 == len(bench.service.store.groups[GROUP].streams["s"].events)


async def test_both_filters_of_a_group_are_served():
    """Each with its name and its function."""
    bench = Bench(h="/other")
    bench.subscribe(name="text", pattern="hello")
    bench.subscribe(to="h", name="json", pattern="{ $.ms > 10 }")
    bench.log('{"ms": 11, "say": "hello"}\n', "hello\n", '{"ms": 9}\n')
    await asyncio.sleep(1)

    assert [("g", 2, ["text"]), ("h", 1, ["json"])] == [
        (name, len(one["logEvents"]), one["subscriptionFilters"]) for name, one in bench.functions.delivered
    ]


async def test_a_full_batch_does_not_wait():
    """Nothing of a flood is lost, repeated or out of order."""
    bench = Bench()
    bench.subscribe()
    lines = [f"{number:06} " + "x" * 10_000 for number in range(100)]
    bench.log(*lines)
    await asyncio.sleep(1)

    assert lines == [message for *_, batch in bench.batches for message in batch]
    assert len(bench.batches) > 2
    assert all(sum(map(len, batch)) < MAX_BATCH_CHARACTERS + 11_000 for *_, batch in bench.batches)


async def test_events_that_clients_put_are_delivered_too():
    """At the same time as those of functions."""
    bench = Bench()
    bench.call("CreateLogGroup", logGroupName="app")
    bench.call("CreateLogStream", logGroupName="app", logStreamName="s")
    bench.subscribe(group="app")
    now_ms = int(bench.clock.wall() * 1000)
    events = [{"timestamp": now_ms - 5, "message": "a"}, {"timestamp": now_ms, "message": "b"}]
    bench.call("PutLogEvents", logGroupName="app", logStreamName="s", logEvents=events)
    await asyncio.sleep(1)

    assert [("g", "s", ["a", "b"])] == bench.batches


async def test_without_filters_nothing_looks_at_what_is_logged():
    """Before the first and after the last."""
    bench = Bench()
    before = bench.function_log.on_record
    bench.subscribe()
    during = bench.function_log.on_record
    bench.call("DeleteSubscriptionFilter", logGroupName=GROUP, filterName="all")
    after = bench.function_log.on_record
    bench.subscribe()
    bench.call("DeleteLogGroup", logGroupName=GROUP)
    gone = bench.function_log.on_record
    bench.log("a\n")
    await asyncio.sleep(1)

    assert [None, True, None, None] == [before, during is not None or None, after, gone]
    assert ([], 1) == (bench.batches, len(bench.function_log.lines))


async def test_a_function_that_is_gone_is_asked_again_after_ten_minutes():
    """What is logged meanwhile is skipped, as on AWS."""
    bench = Bench()
    bench.subscribe()
    del bench.functions.groups["g"]
    bench.log("a\n")
    await asyncio.sleep(1)
    bench.functions.groups["g"] = "/aws/lambda/g"
    bench.log("b\n")
    await asyncio.sleep(OFF_MS / 1000)
    bench.log("c\n")
    await asyncio.sleep(1)

    assert [["a\n"], ["c\n"]] == [one for *_, one in bench.batches]


@pytest.mark.parametrize(
    ("steps", "last"),
    [
        ([], (GROUP, "f")),
        ([("/aws/lambda/g", "f")], (GROUP, "g")),
        ([("/aws/lambda/g", "h"), ("/h", "f")], (GROUP, "g")),
    ],
)
async def test_no_function_gets_its_own_logs(steps, last):
    """Nor by way of others, whose logs it would cause."""
    bench = Bench(h="/h")
    for group, to in steps:
        bench.subscribe(to, group)
    with pytest.raises(ServiceError, match="would be subscribed to its own logs"):
        bench.subscribe(last[1], last[0])

    assert {} == bench.service.store.groups[last[0]].subscriptions


async def test_a_loop_that_comes_about_later_is_cut():
    """The function was told to log to the group that it subscribes to."""
    bench = Bench()
    bench.subscribe()
    bench.functions.groups["g"] = GROUP
    bench.log("a\n")
    await asyncio.sleep(1)

    assert [] == bench.batches


async def test_whatever_is_logged_whenever_comes_once_and_in_order():
    """In streams and groups at random, with filters that come, go and change."""
    random, bench = Random(7), Bench()
    logged = {}
    bench.subscribe(group="a")
    bench.subscribe(group="b", pattern="even")
    for number in range(400):
        group, stream = random.choice("ab"), random.choice("st")
        text = f"{number} {'odd' if number % 2 else 'even'}"
        bench.log(text, group=group, stream=stream)
        if group == "a" or number % 2 == 0:
            logged.setdefault((group, stream), []).append(text)
        if random.random() < 0.3:
            await asyncio.sleep(random.random())
    await asyncio.sleep(1)
    seen = {}
    for _, one in bench.functions.delivered:
        messages = [event["message"] for event in one["logEvents"]]
        seen.setdefault((one["logGroup"], one["logStream"]), []).extend(messages)

    assert logged == seen


async def test_nothing_is_delivered_once_the_engine_stops():
    """What waits is dropped."""
    bench = Bench()
    bench.subscribe()
    bench.log("a\n")
    await asyncio.sleep(BATCH_S / 2)
    bench.service.close()
    await asyncio.sleep(1)

    assert ([], None) == (bench.batches, bench.function_log.on_record)


# ---------------------------------------------------------------- by boto3


@pytest.mark.real_time
def test_filters_are_shown_as_on_aws(site):
    """In the order and with the members that were recorded; the same name takes the place of the first."""
    logs, arn = site.logs, site.functions.arn("g")
    logs.create_log_group(logGroupName="shown")
    for pattern in ("first", ""):
        logs.put_subscription_filter(
            logGroupName="shown", filterName="all", filterPattern=pattern, destinationArn=arn
        )
    answer = logs.describe_subscription_filters(logGroupName="shown")
    [shown] = answer["subscriptionFilters"]
    created_ms = shown["creationTime"]

    assert "nextToken" not in answer
    assert {
        "applyOnTransformedLogs": False,
        "creationTime": created_ms,
        "destinationArn": arn,
        "distribution": "ByLogStream",
        "filterName": "all",
        "filterPattern": "",
        "logGroupName": "shown",
    } == shown
    assert site.now_ms() == created_ms


@pytest.mark.real_time
def test_what_was_logged_before_is_not_delivered(site):
    """Whether or not anybody had read it."""
    logs, log, at_s = site.logs, site.function_log.log, site.clock.wall()
    logs.create_log_group(logGroupName="before")
    log("before", "s", at_s, "earlier")
    logs.put_subscription_filter(
        logGroupName="before", filterName="all", filterPattern="", destinationArn=site.functions.arn("g")
    )
    log("before", "s", at_s, "later")
    while not (found := [one for _, one in site.functions.delivered if one["logGroup"] == "before"]):
        time.sleep(0.02)

    assert [["later"]] == [[event["message"] for event in one["logEvents"]] for one in found]


@pytest.mark.real_time
def test_filters_are_listed_by_name_in_pages_and_taken_away(site):
    """As other lists."""
    logs, arn = site.logs, site.functions.arn("g")
    logs.create_log_group(logGroupName="listed")
    for name in ("b", "a"):
        logs.put_subscription_filter(
            logGroupName="listed", filterName=name, filterPattern="", destinationArn=arn, roleArn="role"
        )
    first = logs.describe_subscription_filters(logGroupName="listed", limit=1)
    second = logs.describe_subscription_filters(logGroupName="listed", nextToken=first["nextToken"])
    prefixed = logs.describe_subscription_filters(logGroupName="listed", filterNamePrefix="b")
    logs.delete_subscription_filter(logGroupName="listed", filterName="b")
    left = logs.describe_subscription_filters(logGroupName="listed")

    assert ["a", "b", "b", "a"] == [
        one["filterName"] for page in (first, second, prefixed, left) for one in page["subscriptionFilters"]
    ]
    assert "role" == first["subscriptionFilters"][0]["roleArn"]


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("changed", "code", "text"),
    [
        ({"logGroupName": "none"}, "ResourceNotFoundException", "The specified log group does not exist."),
        ({"filterName": "third"}, "LimitExceededException", "Resource limit exceeded."),
        ({"filterPattern": "a:b"}, "InvalidParameterException", "Invalid character(s) in term ':'"),
        (
            {"destinationArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/s"},
            "InvalidParameterException",
            "s",
        ),
        ({"destinationArn": ACCOUNT.function_arn("none")}, "AccessDeniedException", "no such function"),
        ({"distribution": "Any"}, "InvalidParameterException", "[Random, ByLogStream]"),
        ({"filterName": "a:b"}, "InvalidParameterException", "pattern: [^:*]*"),
        ({"fieldSelectionCriteria": '@aws.region = "x"'}, "InvalidParameterException", "not supported"),
    ],
)
def test_what_cannot_be_put_is_aws_error(site, changed, code, text):
    """And nothing has changed."""
    logs = site.logs
    given = {"filterName": "one", "filterPattern": "", "destinationArn": site.functions.arn("g")}
    if "bounds" not in site.service.store.groups:
        logs.create_log_group(logGroupName="bounds")
        for name in ("one", "two"):
            logs.put_subscription_filter(**{"logGroupName": "bounds", **given, "filterName": name})
    before = logs.describe_subscription_filters(logGroupName="bounds")["subscriptionFilters"]
    with pytest.raises(ClientError) as caught:
        logs.put_subscription_filter(**{"logGroupName": "bounds", **given, **changed})

    assert (code, True) == (caught.value.response["Error"]["Code"], text in str(caught.value))
    assert before == logs.describe_subscription_filters(logGroupName="bounds")["subscriptionFilters"]


@pytest.mark.real_time
def test_a_filter_that_is_not_there_cannot_be_deleted(site):
    """With AWS's sentence."""
    site.logs.create_log_group(logGroupName="empty")
    with pytest.raises(ClientError, match="The specified subscription filter does not exist"):
        site.logs.delete_subscription_filter(logGroupName="empty", filterName="x")

    assert [] == site.logs.describe_subscription_filters(logGroupName="empty")["subscriptionFilters"]
