"""Every operation of CloudWatch Logs, asked by boto3: shapes, order, pages and errors as on AWS."""

from __future__ import annotations

import base64
import itertools

import pytest
from botocore.exceptions import ClientError

from engine.core.logged_line import LoggedLine
from engine.protocols.aws.service_model import service_model

pytestmark = pytest.mark.real_time

PREFIX = "arn:aws:logs:eu-west-1:123456789012:log-group:"
DAY_MS = 86_400_000
_names = (f"/group/{number}" for number in itertools.count())


@pytest.fixture
def logs(site):
    return site.logs


@pytest.fixture
def group(logs):
    """A group with the stream `s`."""
    name = next(_names)
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    return name


@pytest.fixture
def put(site, group):
    """Puts messages one millisecond after the other; returns the time of the first."""

    def put(*messages, stream="s", start_ms=None, group=group):
        start_ms = site.now_ms() if start_ms is None else start_ms
        events = [{"timestamp": start_ms + at, "message": text} for at, text in enumerate(messages)]
        answer = site.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        assert "rejectedLogEventsInfo" not in answer
        return start_ms

    return put


def plain(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def messages(answer):
    return [event["message"] for event in answer["events"]]


def error_of(call, **params):
    """Code and text."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    assert 400 == caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# ---------------------------------------------------------------- groups


def test_a_group_is_shown_as_on_aws(site, logs):
    name = next(_names)
    made_ms = site.now_ms()
    assert {} == plain(logs.create_log_group(logGroupName=name, tags={"team": "a"}, kmsKeyId="arn:key"))
    logs.put_retention_policy(logGroupName=name, retentionInDays=14)

    assert {
        "logGroups": [
            {
                "logGroupName": name,
                "creationTime": made_ms,
                "retentionInDays": 14,
                "metricFilterCount": 0,
                "arn": f"{PREFIX}{name}:*",
                "storedBytes": 0,
                "kmsKeyId": "arn:key",
                "logGroupClass": "STANDARD",
                "logGroupArn": f"{PREFIX}{name}",
                "deletionProtectionEnabled": False,
            }
        ]
    } == plain(logs.describe_log_groups(logGroupNamePrefix=name))

    logs.delete_retention_policy(logGroupName=name)
    [shown] = logs.describe_log_groups(logGroupIdentifiers=[f"{PREFIX}{name}"])["logGroups"]
    assert "retentionInDays" not in shown


def test_groups_are_listed_by_name_prefix_pattern_and_page(logs):
    base = next(_names)
    wanted = [f"{base}/{name}" for name in ("Alpha", "beta", "gamma")]
    for name in reversed(wanted):
        logs.create_log_group(logGroupName=name)
    paginator = logs.get_paginator("describe_log_groups")
    pages = list(paginator.paginate(logGroupNamePrefix=f"{base}/", PaginationConfig={"PageSize": 2}))

    assert [2, 1] == [len(page["logGroups"]) for page in pages]
    assert wanted == [group["logGroupName"] for page in pages for group in page["logGroups"]]
    [found] = logs.describe_log_groups(logGroupNamePattern=f"{base}/ALPHA")["logGroups"]

    assert wanted[0] == found["logGroupName"]
    assert {"storedBytes", "deletionProtectionEnabled"} == pages[0]["logGroups"][0].keys() - found.keys()
    assert [{"logGroupName": wanted[1], "logGroupArn": PREFIX + wanted[1], "logGroupClass": "STANDARD"}] == (
        logs.list_log_groups(logGroupNamePattern="beta")["logGroups"]
    )


def test_tags_are_kept_under_both_names(logs, group):
    arn = PREFIX + group
    logs.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    logs.tag_log_group(logGroupName=group, tags={"b": "3", "c": "4"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a", "absent"])

    assert {"b": "3", "c": "4"} == logs.list_tags_for_resource(resourceArn=arn)["tags"]
    logs.untag_log_group(logGroupName=group, tags=["b"])
    assert {"c": "4"} == logs.list_tags_log_group(logGroupName=group)["tags"]


def test_a_protected_group_is_not_deleted(logs, group):
    logs.put_log_group_deletion_protection(logGroupIdentifier=group, deletionProtectionEnabled=True)
    assert "ValidationException" == error_of(logs.delete_log_group, logGroupName=group)[0]
    logs.put_log_group_deletion_protection(logGroupIdentifier=group, deletionProtectionEnabled=False)
    logs.delete_log_group(logGroupName=group)

    assert [] == logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]


# ---------------------------------------------------------------- streams


def test_a_fresh_stream_has_four_members_and_one_with_events_all(site, logs, group, put):
    arn = f"{PREFIX}{group}:log-stream:s"
    [fresh] = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert {
        "logStreamName": "s",
        "creationTime": fresh["creationTime"],
        "arn": arn,
        "storedBytes": 0,
    } == fresh

    start_ms = put("a", "b")
    [stream] = logs.describe_log_streams(logGroupIdentifier=f"{PREFIX}{group}")["logStreams"]
    assert (start_ms, start_ms + 1, site.now_ms()) == (
        stream["firstEventTimestamp"],
        stream["lastEventTimestamp"],
        stream["lastIngestionTime"],
    )
    assert 56 == len(stream["uploadSequenceToken"])
    [shown] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert 2 * (1 + 26) == shown["storedBytes"]


def test_streams_are_listed_by_name_or_by_their_last_event(logs, group, put):
    for number, name in enumerate(("b", "a", "c")):
        logs.create_log_stream(logGroupName=group, logStreamName=name)
        put("x", stream=name, start_ms=1_767_225_600_000 + number)

    def names(**more):
        pages = logs.get_paginator("describe_log_streams").paginate(
            logGroupName=group, PaginationConfig={"PageSize": 2}, **more
        )
        return "".join(stream["logStreamName"] for page in pages for stream in page["logStreams"])

    assert "abcs" == names()
    assert "scba" == names(descending=True)
    assert "sbac" == names(orderBy="LastEventTime")
    assert "cabs" == names(orderBy="LastEventTime", descending=True)
    assert "b" == names(logStreamNamePrefix="b")


def test_a_deleted_stream_is_gone_with_its_events(logs, group, put):
    put("a")
    logs.delete_log_stream(logGroupName=group, logStreamName="s")
    logs.create_log_stream(logGroupName=group, logStreamName="s")

    assert [] == messages(logs.filter_log_events(logGroupName=group))


# ---------------------------------------------------------------- putting


def test_what_is_too_old_or_too_new_is_told_and_the_rest_is_stored(site, logs, group):
    now_ms = site.now_ms()

    def put(*ages_ms):
        events = [{"timestamp": now_ms - age, "message": str(age)} for age in ages_ms]
        return logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events).get(
            "rejectedLogEventsInfo"
        )

    hour_ms = DAY_MS // 24
    assert {"tooOldLogEventEndIndex": 1} == put(14 * DAY_MS + 1, 14 * DAY_MS)
    assert {"tooNewLogEventStartIndex": 1} == put(0, -2 * hour_ms - 1)
    logs.put_retention_policy(logGroupName=group, retentionInDays=3)
    assert {"expiredLogEventEndIndex": 1} == put(3 * DAY_MS + 1, 3 * DAY_MS)
    assert put(5) is None
    assert [str(3 * DAY_MS), "5", "0"] == messages(logs.filter_log_events(logGroupName=group))


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([(1, "a"), (0, "b")], "Log events in a single PutLogEvents request must be in chronological order."),
        (
            [(0, "a"), (DAY_MS + 1, "b")],
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ),
        ([(0, "x" * 1_048_551)], "Upload too large: 1048577 bytes exceeds limit of 1048576"),
    ],
)
def test_a_batch_that_aws_does_not_take_is_refused(site, logs, group, events, message):
    start_ms = site.now_ms() - DAY_MS
    batch = [{"timestamp": start_ms + at, "message": text} for at, text in events]

    assert ("InvalidParameterException", message) == error_of(
        logs.put_log_events, logGroupName=group, logStreamName="s", logEvents=batch
    )


# ---------------------------------------------------------------- reading one stream


def test_a_stream_is_read_forwards_page_by_page_until_the_token_stays(logs, group, put):
    put(*"abcde")
    read, token = [], None
    while True:
        given = {} if token is None else {"nextToken": token}
        page = logs.get_log_events(
            logGroupName=group, logStreamName="s", startFromHead=True, limit=2, **given
        )
        read.append("".join(messages(page)))
        if page["nextForwardToken"] == token:
            break
        token = page["nextForwardToken"]
    put("f", start_ms=1_767_225_700_000)
    later = logs.get_log_events(logGroupName=group, logStreamName="s", nextToken=token)

    assert ["ab", "cd", "e", ""] == read
    assert ["f"] == messages(later)


def test_without_start_from_head_the_newest_page_comes_first_and_tokens_lead_back(logs, group, put):
    put(*"abcde")
    read, token = [], None
    while True:
        given = {} if token is None else {"nextToken": token}
        page = logs.get_log_events(logGroupName=group, logStreamName="s", limit=2, **given)
        read.append("".join(messages(page)))
        if page["nextBackwardToken"] == token:
            break
        token = page["nextBackwardToken"]
    forward = logs.get_log_events(
        logGroupName=group, logStreamName="s", nextToken=page["nextForwardToken"], limit=2
    )

    assert ["de", "bc", "a", ""] == read
    assert ["a", "b"] == messages(forward)


def test_get_takes_the_start_and_leaves_out_the_end(logs, group, put):
    start_ms = put(*"abcd")
    answer = logs.get_log_events(
        logGroupName=group, logStreamName="s", startTime=start_ms + 1, endTime=start_ms + 3
    )

    assert ["b", "c"] == messages(answer)
    assert {"timestamp": start_ms + 1, "message": "b", "ingestionTime": start_ms} == answer["events"][0]


# ---------------------------------------------------------------- reading a group


def test_events_of_all_streams_come_in_the_order_of_their_times(site, logs, group, put):
    logs.create_log_stream(logGroupName=group, logStreamName="t")
    start_ms = site.now_ms()
    put("a", start_ms=start_ms)
    put("c", start_ms=start_ms + 2)
    put("b", "same", stream="t", start_ms=start_ms + 1)
    answer = logs.filter_log_events(logGroupName=group)

    assert ["a", "b", "c", "same"] == messages(answer)
    assert [] == answer["searchedLogStreams"]
    assert "nextToken" not in answer
    first = answer["events"][0]
    assert {"logStreamName", "timestamp", "message", "ingestionTime", "eventId"} == set(first)
    assert sorted(event["eventId"] for event in answer["events"]) == [
        event["eventId"] for event in answer["events"]
    ]
    assert ["same", "c", "b", "a"] == messages(
        logs.filter_log_events(logGroupName=group, startFromHead=False)
    )
    assert ["a", "c"] == messages(logs.filter_log_events(logGroupName=group, logStreamNames=["s"]))
    assert ["b", "same"] == messages(logs.filter_log_events(logGroupName=group, logStreamNamePrefix="t"))
    assert ["b"] == messages(
        logs.filter_log_events(logGroupName=group, startTime=start_ms + 1, endTime=start_ms + 1)
    )


@pytest.mark.parametrize("forward", [True, False])
def test_pages_of_what_matches_neither_lack_nor_repeat_an_event(logs, group, put, forward):
    put(*(f"{'odd' if number % 2 else 'even'} {number}" for number in range(20)))
    pages = list(
        logs.get_paginator("filter_log_events").paginate(
            logGroupName=group,
            filterPattern="odd",
            startFromHead=forward,
            PaginationConfig={"PageSize": 3},
        )
    )
    expected = [f"odd {number}" for number in range(1, 20, 2)]

    assert [3, 3, 3, 1] == [len(page["events"]) for page in pages]
    assert (expected if forward else expected[::-1]) == [text for page in pages for text in messages(page)]


def test_ids_of_events_are_the_same_in_every_call(logs, group, put):
    put("a", "a", "b")

    def ids(**more):
        return [event["eventId"] for event in logs.filter_log_events(logGroupName=group, **more)["events"]]

    assert 3 == len(set(ids()))
    assert ids()[2:] == ids(filterPattern="b")
    assert {56} == {len(one) for one in ids()}


def test_a_page_has_one_megabyte_at_most(logs, group, put):
    for number in range(3):
        put("x" * 500_000, start_ms=1_767_225_600_000 + number)

    assert 2 == len(logs.filter_log_events(logGroupName=group)["events"])
    assert 2 == len(logs.get_log_events(logGroupName=group, logStreamName="s")["events"])


# ---------------------------------------------------------------- what functions log


def test_lines_of_functions_are_events_of_streams_that_come_with_them(site, logs):
    name = next(_names)
    at_s = site.clock.wall()
    site.function_log.lines += [
        LoggedLine(name, "env", at_s, "START\n"),
        LoggedLine(name, "env", at_s + 1, "END\n"),
    ]
    answer = logs.filter_log_events(logGroupName=name)

    assert ["START\n", "END\n"] == messages(answer)
    assert [int(at_s * 1000), int(at_s * 1000) + 1000] == [one["timestamp"] for one in answer["events"]]
    assert "env" == logs.describe_log_streams(logGroupName=name)["logStreams"][0]["logStreamName"]


def test_a_reader_does_not_wait_for_functions_that_log_without_end(site, logs):
    name, now_s = next(_names), site.clock.wall()
    site.function_log.lines += [LoggedLine(name, "env", now_s + number, "x\n") for number in range(1000)]

    assert 0 < len(messages(logs.filter_log_events(logGroupName=name))) < 1000
    site.clock.advance(1000)
    assert 1000 == len(messages(logs.filter_log_events(logGroupName=name)))


def test_what_no_json_can_hold_is_replaced(site, logs):
    name = next(_names)
    site.function_log.lines.append(LoggedLine(name, "env", site.clock.wall(), "caf\xe9 \udcff\n"))

    assert ["caf\xe9 ?\n"] == messages(logs.filter_log_events(logGroupName=name))


def test_the_oldest_events_go_when_there_is_no_room_and_streams_of_environments_with_them(make_site):
    site = make_site(max_bytes=10_000)
    site.logs.create_log_group(logGroupName="g")
    site.logs.create_log_stream(logGroupName="g", logStreamName="s")
    at_s = site.clock.wall()
    site.function_log.lines += [LoggedLine("g", f"env{number}", at_s, "x" * 700) for number in range(30)]
    site.logs.put_log_events(
        logGroupName="g", logStreamName="s", logEvents=[{"timestamp": site.now_ms(), "message": "x" * 700}]
    )
    streams = [one["logStreamName"] for one in site.logs.describe_log_streams(logGroupName="g")["logStreams"]]
    events = site.logs.filter_log_events(logGroupName="g")["events"]

    assert [f"env{number}" for number in range(21, 30)] + ["s"] == [one["logStreamName"] for one in events]
    assert [*(f"env{number}" for number in range(21, 30)), "s"] == streams
    assert 21 == site.service.store.evicted


def test_events_end_with_their_retention_period(make_site):
    site = make_site()
    site.logs.create_log_group(logGroupName="g")
    site.logs.create_log_stream(logGroupName="g", logStreamName="s")
    site.logs.put_retention_policy(logGroupName="g", retentionInDays=1)
    site.logs.put_log_events(
        logGroupName="g", logStreamName="s", logEvents=[{"timestamp": site.now_ms(), "message": "x"}]
    )
    site.clock.advance(86_400)
    kept = messages(site.logs.filter_log_events(logGroupName="g"))
    site.clock.advance(1)

    assert ["x"] == kept
    assert [] == messages(site.logs.filter_log_events(logGroupName="g"))
    assert 0 == site.logs.describe_log_groups()["logGroups"][0]["storedBytes"]


# ---------------------------------------------------------------- errors

NO_GROUP = "ResourceNotFoundException", "The specified log group does not exist."
NO_STREAM = "ResourceNotFoundException", "The specified log stream does not exist."
GROUP, STREAM = {"logGroupName": "absent"}, {"logStreamName": "s"}
EVENTS = {"logEvents": [{"timestamp": 1, "message": "x"}]}


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("delete_log_group", GROUP),
        ("put_retention_policy", {**GROUP, "retentionInDays": 1}),
        ("delete_retention_policy", GROUP),
        ("describe_log_streams", GROUP),
        ("create_log_stream", {**GROUP, **STREAM}),
        ("delete_log_stream", {**GROUP, **STREAM}),
        ("put_log_events", {**GROUP, **STREAM, **EVENTS}),
        ("get_log_events", {**GROUP, **STREAM}),
        ("filter_log_events", GROUP),
        ("list_tags_log_group", GROUP),
        ("tag_log_group", {**GROUP, "tags": {"a": "b"}}),
        ("untag_log_group", {**GROUP, "tags": ["a"]}),
    ],
)
def test_a_group_that_is_not_there_is_told(logs, operation, params):
    assert NO_GROUP == error_of(getattr(logs, operation), **params)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("delete_log_stream", {"logStreamName": "absent"}),
        ("get_log_events", {"logStreamName": "absent"}),
        ("put_log_events", {"logStreamName": "absent", **EVENTS}),
        ("filter_log_events", {"logStreamNames": ["s", "absent"]}),
    ],
)
def test_a_stream_that_is_not_there_is_told(logs, group, operation, params):
    assert NO_STREAM == error_of(getattr(logs, operation), logGroupName=group, **params)


def test_what_exists_is_not_made_again(logs, group):
    assert ("ResourceAlreadyExistsException", "The specified log group already exists") == error_of(
        logs.create_log_group, logGroupName=group
    )
    assert ("ResourceAlreadyExistsException", "The specified log stream already exists") == error_of(
        logs.create_log_stream, logGroupName=group, logStreamName="s"
    )


BAD_TOKEN = "The specified nextToken is invalid."
TOO_MANY = (
    "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: "
    "Member must have value less than or equal to 10000"
)


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("get_log_events", {**STREAM, "nextToken": "x"}, BAD_TOKEN),
        ("filter_log_events", {"nextToken": "x"}, BAD_TOKEN),
        ("filter_log_events", {"nextToken": "WyJmIiwieCJd"}, BAD_TOKEN),
        ("describe_log_streams", {"nextToken": "e30="}, BAD_TOKEN),
        ("get_log_events", {**STREAM, "limit": 10001}, TOO_MANY),
        ("filter_log_events", {"limit": 10001}, TOO_MANY),
        ("filter_log_events", {"filterPattern": "a:b"}, "Invalid character(s) in term ':'"),
        (
            "create_log_stream",
            {"logStreamName": "s" * 513},
            "Invalid LogGroup or LogStream, both must have length less than or equal to 512.",
        ),
        (
            "describe_log_streams",
            {"logStreamNamePrefix": "s", "orderBy": "LastEventTime"},
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ),
    ],
)
def test_parameters_that_aws_does_not_take_are_told_in_its_words(logs, group, operation, params, message):
    assert ("InvalidParameterException", message) == error_of(
        getattr(logs, operation), logGroupName=group, **params
    )


def test_names_and_identifiers_exclude_each_other(logs, group):
    assert (
        "InvalidParameterException",
        "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
    ) == error_of(logs.describe_log_groups, logGroupNamePrefix="a", logGroupNamePattern="b")
    for call in (logs.filter_log_events, logs.describe_log_streams):
        assert (
            "ValidationException",
            "LogGroup name and LogGroup ARN are mutually exclusive parameters.",
        ) == error_of(call, logGroupName=group, logGroupIdentifier=group)


def test_days_of_retention_are_those_that_aws_has(logs, group):
    code, message = error_of(logs.put_retention_policy, logGroupName=group, retentionInDays=2)

    assert "InvalidParameterException" == code
    assert message.startswith("1 validation error detected: Value '2' at 'retentionInDays' failed to satisfy")


def test_operations_that_are_not_served_are_refused_by_name(logs, group):
    with pytest.raises(ClientError) as caught:
        logs.put_metric_filter(
            logGroupName=group,
            filterName="f",
            filterPattern="",
            metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
        )

    assert 501 == caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert "PutMetricFilter" in str(caught.value)


def test_every_operation_of_the_model_is_served(site):
    assert set(service_model("logs").operations) == set(site.service.operations)


@pytest.mark.parametrize(
    "inside", [b'["f","' + b"9" * 5000 + b'"]', b'["f","-1"]', b'["x","1"]', b"{}", b"["]
)
def test_a_token_that_no_answer_had_is_refused(logs, group, inside):
    token = base64.urlsafe_b64encode(inside).decode()
    with pytest.raises(ClientError) as failed:
        logs.filter_log_events(logGroupName=group, nextToken=token)

    assert "The specified nextToken is invalid." == failed.value.response["Error"]["Message"]
