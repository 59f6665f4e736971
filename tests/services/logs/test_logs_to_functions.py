"""Log groups to functions through a whole engine: by boto3, by configuration and by template."""

import asyncio
import io
import zipfile

import boto3
import pytest

from engine import Engine, Function
from engine.config import load_config
from engine.errors import ConfigError
from engine.sources.samples.template import EventTemplate
from tests.services.logs.conftest import unpacked

pytestmark = pytest.mark.real_time

HANDLERS = """
seen = []

async def orders(event, context):
    print("ERROR", event["n"]) if event["n"] % 2 else print("fine", event["n"])

async def watcher(event, context):
    print("watched")
    seen.append(event)

async def other(event, context):
    print("of other", event)
"""


@pytest.fixture
def app(tmp_path, monkeypatch):
    """The module of the handlers, which is this test's own."""
    (tmp_path / "log_handlers.py").write_text(HANDLERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "log_handlers", raising=False)
    return __import__("importlib").import_module("log_handlers")


def client(engine):
    return boto3.client(
        "logs",
        endpoint_url=engine.addresses.aws,
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )


async def messages(app, count):
    """Of the first deliveries, once as many messages came."""
    async with asyncio.timeout(60):
        while True:
            found = [event["message"] for one in app.seen for event in unpacked(one)["logEvents"]]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


async def test_a_function_gets_what_another_logs_by_boto3(app):
    """What matches, as the sample has it, from a delivery that is counted."""
    made = [Function(name, handler=f"log_handlers.{name}") for name in ("orders", "watcher")]
    async with Engine(made, aws="127.0.0.1:0") as engine:
        logs = client(engine)
        await asyncio.to_thread(logs.create_log_group, logGroupName="/aws/lambda/orders")
        await asyncio.to_thread(
            logs.put_subscription_filter,
            logGroupName="/aws/lambda/orders",
            filterName="errors",
            filterPattern="ERROR",
            destinationArn="arn:aws:lambda:us-east-1:000000000000:function:watcher",
        )
        for number in range(4):
            await engine.invoke("orders", {"n": number})
        found = await messages(app, 2)
        counted = engine.stats.deliveries.ended["logs"]["lambda"]["delivered"]
    document = unpacked(app.seen[0])
    sample = EventTemplate.named("logs:group=/aws/lambda/orders").event(0, 0.0)

    assert ["ERROR 1\n", "ERROR 3\n"] == found
    assert counted == len(app.seen)
    assert list(unpacked(sample)) == list(document)
    assert list(unpacked(sample)["logEvents"][0]) == list(document["logEvents"][0])
    assert (unpacked(sample)["owner"], unpacked(sample)["logGroup"]) == (
        document["owner"],
        document["logGroup"],
    )


CONFIG = """
[functions.orders]
handler = "log_handlers.orders"

[functions.other]
handler = "log_handlers.other"
log_group = "/elsewhere"

[functions.watcher]
handler = "log_handlers.watcher"
[[functions.watcher.events]]
type = "logs"
function = "orders"
pattern = "?ERROR ?END"
[[functions.watcher.events]]
type = "logs"
function = "other"
pattern = '"of other"'
"""


async def test_a_function_gets_what_the_configuration_says(app, tmp_path):
    """From the first line on, without any client; the other function's group is where it logs."""
    (tmp_path / "engine.toml").write_text(CONFIG)
    any_ports = dict.fromkeys(("http", "aws", "admin"), "127.0.0.1:0")
    async with Engine.with_listeners(load_config("engine.toml", any_ports)) as engine:
        await engine.invoke("orders", {"n": 1})
        await engine.invoke("other", 2)
        found = await messages(app, 3)
        describe = client(engine).describe_subscription_filters
        shown = await asyncio.to_thread(describe, logGroupName="/elsewhere")

    assert ["ERROR 1\n", "of other 2\n"] == sorted(one for one in found if not one.startswith("END"))
    assert ["watcher-2"] == [one["filterName"] for one in shown["subscriptionFilters"]]


TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.11, CodeUri: .}}
Resources:
  Orders: {Type: AWS::Serverless::Function, Properties: {Handler: log_handlers.orders, FunctionName: orders}}
  Group: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /shop/app}}
  Watcher:
    Type: AWS::Serverless::Function
    Properties:
      Handler: log_handlers.watcher
      Events:
        Errors:
          Type: CloudWatchLogs
          Properties: {LogGroupName: !Sub "/aws/lambda/${Orders}", FilterPattern: ERROR}
        App:
          Type: CloudWatchLogs
          Properties: {LogGroupName: !Ref Group, FilterPattern: ""}
  Filter:
    Type: AWS::Logs::SubscriptionFilter
    Properties:
      LogGroupName: !Ref Group
      FilterPattern: '{ $.level = "error" }'
      FilterName: errors
      DestinationArn: !GetAtt Watcher.Arn
"""


def test_a_template_says_the_same(app, tmp_path):
    """In SAM's words and in CloudFormation's."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    config = load_config("template.yaml")
    settings = [binding.settings for binding in config.bindings["logs"]]

    assert [
        ("/aws/lambda/orders", "ERROR", None),
        ("/shop/app", "", None),
        ("/shop/app", '{ $.level = "error" }', "errors"),
    ] == [(one.group, one.pattern, one.name) for one in settings]
    assert [] == [one for one in config.warnings if "Logs" in one]


def test_a_pattern_that_is_none_is_named_by_its_property(app, tmp_path):
    """Of both."""
    wrong = TEMPLATE.replace("FilterPattern: ERROR", "FilterPattern: '{'").replace('"error" }', "")
    (tmp_path / "template.yaml").write_text(wrong)
    with pytest.raises(ConfigError) as caught:
        load_config("template.yaml")

    assert [
        "Resources.Watcher.Properties.Events.Errors.Properties.FilterPattern",
        "Resources.Filter.Properties.FilterPattern",
    ] == [problem.partition(": ")[0] for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ('[{ type = "logs" }]', "needs either function or group"),
        ('[{ type = "logs", group = "a", function = "b" }]', "needs either function or group"),
        ('[{ type = "logs", group = "a", pattern = "a:b" }]', "Invalid character(s) in term"),
        ('[{ type = "logs", group = "a:b" }]', "group"),
        ('[{ type = "logs", function = "f" }]', "f would be fed its own logs without end"),
        ('[{ type = "logs", group = "/aws/lambda/f" }]', "f would be fed its own logs without end"),
        (
            "[" + '{ type = "logs", group = "a" }, ' * 3 + "]",
            "a log group has two subscription filters at most (AWS): a",
        ),
    ],
)
def test_what_cannot_be_subscribed_is_one_line(tmp_path, events, sentence):
    """Before anything runs."""
    (tmp_path / "app.py").write_text("def f(event, context): ...")
    (tmp_path / "engine.toml").write_text(f'[functions.f]\nhandler = "app.f"\nevents = {events}\n')
    with pytest.raises(ConfigError) as refused:
        load_config(tmp_path / "engine.toml")

    assert 1 == len(refused.value.problems)
    assert sentence in refused.value.problems[0]


async def test_a_function_that_was_deleted_gets_nothing_more(app):
    """What is dropped is counted, once: the filter is off then."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("app.py", "def handler(event, context): ...")
    settings = {"region_name": "us-east-1", "aws_access_key_id": "k", "aws_secret_access_key": "s"}
    async with Engine([Function("orders", handler="log_handlers.orders")], aws="127.0.0.1:0") as engine:
        api = boto3.client("lambda", endpoint_url=engine.addresses.aws, **settings)

        def subscribed_and_deleted():
            arn = api.create_function(
                FunctionName="gone",
                Runtime="python3.11",
                Role="arn:aws:iam::000000000000:role/r",
                Handler="app.handler",
                Code={"ZipFile": archive.getvalue()},
            )["FunctionArn"]
            subscription = {"filterName": "all", "filterPattern": "", "destinationArn": arn}
            client(engine).create_log_group(logGroupName="/aws/lambda/orders")
            client(engine).put_subscription_filter(logGroupName="/aws/lambda/orders", **subscription)
            api.delete_function(FunctionName="gone")

        await asyncio.to_thread(subscribed_and_deleted)
        await engine.invoke("orders", {"n": 1})
        counts = engine.stats.deliveries
        async with asyncio.timeout(60):
            while "logs" not in counts.ended:
                await asyncio.sleep(0.02)
        await engine.invoke("orders", {"n": 3})
        await asyncio.to_thread(client(engine).filter_log_events, logGroupName="/aws/lambda/orders")

    assert {"lambda": {"dropped": 1}} == counts.ended["logs"]


async def test_a_function_that_is_not_there_is_told_when_the_engine_opens(app):
    """By its name."""
    event = {"type": "logs", "function": "nobody"}
    made = Function("watcher", handler="log_handlers.watcher", events=(event,))
    with pytest.raises(ConfigError, match=r"functions.watcher.events\[0\].function: 'nobody' is no function"):
        async with Engine([made], aws="127.0.0.1:0"):
            pass
