"""What functions log, read by AWS clients as CloudWatch Logs, from executors of every kind."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time

import boto3
import pytest
from botocore.exceptions import ClientError

from engine import Function, serve

pytestmark = pytest.mark.real_time

HANDLER = """
import logging, os

logging.getLogger().setLevel("INFO")

def handler(event, context):
    print("one", event.get("say"))
    logging.info("two")
    if event.get("fail"):
        raise ValueError("no")
    print("three", end="")
    return context.log_stream_name, os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
"""
LOOP = HANDLER.replace("def handler", "async def handler")
ANY_PORTS = dict.fromkeys(("http", "aws", "admin"), "127.0.0.1:0")
KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
STREAM = re.compile(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}")


@pytest.fixture(scope="module")
def served(tmp_path_factory, request):
    """With a function for each executor, and one that says nothing."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "app.py").write_text(HANDLER)
    (folder / "looped.py").write_text(LOOP)
    (folder / "broken.py").write_text("import absent_module\n")
    (folder / "silent.py").write_text("async def handler(event, context):\n    return 1\n")
    tables = [
        f'[functions.{name}]\nhandler = "{module}.handler"\nexecutor = "{executor}"\n'
        for name, module, executor in (
            ("thread", "app", "thread"),
            ("process", "app", "process"),
            ("runtime", "app", "runtime"),
            ("loop", "looped", "loop"),
            ("silent", "silent", "loop"),
            ("broken", "broken", "process"),
            ("broken_thread", "broken", "thread"),
        )
    ]
    (folder / "engine.toml").write_text("".join(tables))
    with request.getfixturevalue("serve")("--config", str(folder / "engine.toml")) as served:
        yield served


@pytest.fixture(scope="module")
def logs(served):
    return served.client("logs")


def events_of(logs, name, **more):
    """All that a function has logged."""
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}", **more)
    return [event for page in pages for event in page["events"]]


def kinds(events):
    """START, END and REPORT as such, other lines by their text."""
    return [re.sub(r"(?s)^(START|END|REPORT) .*", r"\1", event["message"]) for event in events]


@pytest.mark.parametrize("executor", ["loop", "thread", "process", "runtime"])
def test_an_invocation_is_start_lines_end_and_report_in_the_stream_its_handler_was_told(
    served, logs, executor
):
    before_ms = time.time() * 1000
    (stream, group), _ = served.invoke(executor, {"say": "hello"})
    events = events_of(logs, executor)
    messages = [event["message"] for event in events]

    assert f"/aws/lambda/{executor}" == group
    assert STREAM.fullmatch(stream)
    assert {stream} == {event["logStreamName"] for event in events}
    assert ["START", "one hello\n", "two", "three\n", "END", "REPORT"] == [
        re.sub(r"^\[INFO\].*\ttwo\n$", "two", kind) for kind in kinds(events)
    ]
    assert re.fullmatch(r"START RequestId: [0-9a-f-]{36} Version: \$LATEST\n", messages[0])
    assert messages[-1].startswith("REPORT RequestId: ")
    times = [event["timestamp"] for event in events]
    assert sorted(times) == times
    assert before_ms - 1 <= times[0] <= times[-1] <= time.time() * 1000
    [found] = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert (stream, times[0], times[-1]) == (
        found["logStreamName"],
        found["firstEventTimestamp"],
        found["lastEventTimestamp"],
    )


def test_the_calls_of_aws_logs_tail_follow_show_each_line_once(served, logs):
    """Source: aws-cli v2, `awscli/customizations/logs/tail.py`."""
    group, start_ms, seen, shown = "/aws/lambda/loop", int(time.time() * 1000), set(), []

    def look():
        nonlocal start_ms
        wanted = {"logGroupName": group, "interleaved": True, "startTime": start_ms}
        for page in logs.get_paginator("filter_log_events").paginate(**wanted):
            for event in page["events"]:
                if event["eventId"] not in seen:
                    seen.add(event["eventId"])
                    shown.append(event)
                    start_ms = event["timestamp"]

    for number in range(3):
        served.invoke("loop", {"say": f"tail {number}"})
        look()
        look()

    assert [f"one tail {number}\n" for number in range(3)] == [
        event["message"] for event in shown if event["message"].startswith("one")
    ]
    assert 3 == kinds(shown).count("REPORT")


def test_an_error_is_in_the_log_with_its_traceback(served, logs):
    served.invoke("thread", {"fail": True})
    [error] = events_of(logs, "thread", filterPattern='"[ERROR] ValueError: no"')
    after = events_of(logs, "thread", startTime=error["timestamp"])

    assert any('raise ValueError("no")' in event["message"] for event in after)


@pytest.mark.parametrize("name", ["broken", "broken_thread"])
def test_a_handler_that_cannot_be_imported_says_why(served, logs, name):
    served.invoke(name)
    events = events_of(logs, name)

    assert "START" == kinds(events)[0]
    assert ["END", "REPORT"] == kinds(events)[-2:]
    text = (
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'broken': No module named 'absent_module'"
    )
    assert any(event["message"].startswith(text) for event in events)
    assert "Error Type: Runtime.ImportModuleError" in events[-1]["message"]


def test_silent_invocations_have_a_report_each(served, logs):
    """More than are kept while nobody reads: a reader in between has the others kept too."""
    for count in (150, 300):
        for _ in range(150):
            served.invoke("silent")
        events = events_of(logs, "silent")
        assert ["START", "END", "REPORT"] * count == kinds(events)


def test_aws_cli_filters(served):
    served.invoke("process", {"say": "the CLI"})
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": served.addresses["aws"],
        **{name.upper(): value for name, value in KEYS.items()},
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    words = ("--log-group-name", "/aws/lambda/process", "--filter-pattern", '"the CLI"')
    command = [sys.executable, "-m", "awscli", "logs", "filter-log-events", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)

    assert 0 == done.returncode, done.stderr
    assert ["one the CLI\n"] == [event["message"] for event in json.loads(done.stdout)["events"]]


@pytest.fixture
def function(tmp_path):
    (tmp_path / "app.py").write_text(HANDLER)
    return Function("f", handler="app.handler", code=str(tmp_path), executor="thread")


async def test_a_server_in_a_program_has_logs_though_it_writes_none(function, capsys):
    async with serve([function], **ANY_PORTS) as served:
        assert (await served.engine.invoke("f", {"say": "hello"})).ok
        logs = boto3.client("logs", endpoint_url=served.aws, region_name="us-east-1", **KEYS)
        found = await asyncio.to_thread(logs.filter_log_events, logGroupName="/aws/lambda/f")

    assert "one hello\n" in capsys.readouterr().out
    assert ["START", "one hello\n", "three\n", "END", "REPORT"] == [
        kind for kind in kinds(found["events"]) if "two" not in kind
    ]


async def test_without_memory_for_logs_there_are_none(function):
    async with serve([function], logs_mb=0, partner="none", **ANY_PORTS) as served:
        logs = boto3.client("logs", endpoint_url=served.aws, region_name="us-east-1", **KEYS)
        with pytest.raises(ClientError, match="serves 'logs'"):
            await asyncio.to_thread(logs.describe_log_groups)


JSON_HANDLER = """
import logging

def handler(event, context):
    logging.info("two")
    return context.log_group_name, context.log_stream_name
"""


def test_a_function_of_the_lambda_api_logs_where_and_how_it_says(served, logs):
    served.create(
        "json", JSON_HANDLER, LoggingConfig={"LogGroup": "/shop/all", "LogFormat": "JSON"}, Timeout=30
    )
    (group, stream), _ = served.invoke("json")
    events = logs.filter_log_events(logGroupName="/shop/all")["events"]
    start, line, report = (json.loads(event["message"]) for event in events)
    found = logs.filter_log_events(logGroupName="/shop/all", filterPattern='{ $.type = "platform.report" }')

    assert "/shop/all" == group
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/json\[\$LATEST\]\[[0-9a-f]{32}\]", stream)
    assert {stream} == {event["logStreamName"] for event in events}
    assert ("platform.start", "$LATEST") == (start["type"], start["record"]["version"])
    assert "two" == line["message"]
    assert ("success", 128) == (report["record"]["status"], report["record"]["metrics"]["memorySizeMB"])
    assert start["record"]["requestId"] == line["requestId"] == report["record"]["requestId"]
    assert [events[2]["eventId"]] == [event["eventId"] for event in found["events"]]
