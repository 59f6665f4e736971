"""The event factories give what the sources deliver: held against a running engine, source by source."""

import asyncio
import http.client
import json
import sys
import time

import pytest

from engine import Engine, Function
from engine.testing import events, scripted_executor, virtual_platform
from tests.services.logs.conftest import unpacked

KEEPS = """
seen = {}

async def handler(event, context):
    seen.setdefault(context.function_name, []).append(event)
    return {"statusCode": 200}
"""

VOLATILE = {"sourceIp", "userAgent"}
"""Leaves whose kind depends on the client."""


def shape(value):
    """The keys of a JSON value, and the kinds of what is at its leaves."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def sends(url, method, target, body=b"", headers=()):
    """The status of the answer; the client sends Host, and nothing else of its own."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in dict(headers).items():
        connection.putheader(name, value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    with connection.getresponse() as answer:
        answer.read()
    connection.close()
    return answer.status


JSON = {"content-type": "application/json", "cookie": "a=1; b=2", "x-twice": "1"}
JSON_1_1 = {"content-type": "application/x-amz-json-1.1"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
LOGGED = {
    "CreateLogStream": {"logGroupName": "/shop/app", "logStreamName": "s"},
    "PutLogEvents": {
        "logGroupName": "/shop/app",
        "logStreamName": "s",
        "logEvents": [{"timestamp": int(time.time() * 1000), "message": "hello"}],
    },
}
ENTRY = {"Source": "shop", "DetailType": "order.created", "Detail": '{"id":1}'}
PUBLISHED_MESSAGE = (
    "Action=Publish&Version=2010-03-31&TopicArn=arn:aws:sns:us-east-1:000000000000:orders&Subject=s"
    "&Message=%7B%22id%22%3A1%7D&MessageAttributes.entry.1.Name=kind"
    "&MessageAttributes.entry.1.Value.DataType=String&MessageAttributes.entry.1.Value.StringValue=new"
)
PUBLISHED = {"v2": "/v2/{id}", "v1": "/v1/{id}", "alb": "/alb/{id}"}
FACTORIES = {
    "v2": lambda **sent: events.http_v2("POST", "/v2/a b", route="POST /v2/{id}", **sent),
    "v1": lambda **sent: events.http_v1("POST", "/v1/a b", route="POST /v1/{id}", **sent),
    "alb": lambda **sent: events.alb("POST", "/alb/a b", **sent),
}


def functions():
    """One for each source."""
    formats = {"v2": "2.0", "v1": "1.0", "alb": "alb"}
    for name, path in PUBLISHED.items():
        event = {"type": "http", "method": "POST", "path": path, "payload_format": formats[name]}
        yield Function(name, handler="app.handler", events=(event,))
    yield Function("sqs", handler="app.handler", events=({"type": "sqs", "queue": "orders"},))
    yield Function("s3", handler="app.handler", events=({"type": "s3", "bucket": "photos"},))
    yield Function("sns", handler="app.handler", events=({"type": "sns", "topic": "orders"},))
    rule = {"type": "eventbridge", "pattern": {"source": ["shop"]}}
    yield Function("eventbridge", handler="app.handler", events=(rule,))
    yield Function("logs", handler="app.handler", events=({"type": "logs", "group": "/shop/app"},))
    yield Function("asynchronous", handler="app.handler", on_success="lambda:destination")
    yield Function("destination", handler="app.handler")


async def waits_for(seen, names):
    async with asyncio.timeout(60):
        while not names <= seen.keys():
            await asyncio.sleep(0.02)


@pytest.mark.real_time
async def test_factories_give_what_the_sources_deliver(tmp_path, monkeypatch, request):
    """The same keys in the same order, with values of the same kinds."""
    (tmp_path / "app.py").write_text(KEEPS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import app

    request.addfinalizer(lambda: sys.modules.pop("app"))
    message = {"QueueUrl": "http://127.0.0.1/000000000000/orders", "MessageBody": '{"id":1}'}
    amz = {"x-amz-target": "AmazonSQS.SendMessage", "content-type": "application/x-amz-json-1.0"}
    async with Engine(functions(), http="127.0.0.1:0", aws="127.0.0.1:0") as engine:
        sent = [
            (engine.addresses.http, "POST", path.replace("{id}", "a%20b?q=1&q=2"), b'{"id":1}', JSON)
            for path in PUBLISHED.values()
        ]
        sent.append((engine.addresses.aws, "POST", "/", json.dumps(message).encode(), amz))
        sent.append((engine.addresses.aws, "PUT", "/photos/a%20b.png", b"12345"))
        for operation, document in LOGGED.items():
            target = {"x-amz-target": f"Logs_20140328.{operation}", **JSON_1_1}
            sent.append((engine.addresses.aws, "POST", "/", json.dumps(document).encode(), target))
        bus = {"x-amz-target": "AWSEvents.PutEvents", **JSON_1_1}
        sent.append((engine.addresses.aws, "POST", "/", json.dumps({"Entries": [ENTRY]}).encode(), bus))
        sent.append((engine.addresses.aws, "POST", "/", PUBLISHED_MESSAGE.encode(), FORM))
        statuses = [await asyncio.to_thread(sends, *request) for request in sent]
        await engine.submit("asynchronous", {"id": 1})
        await waits_for(app.seen, {function.name for function in functions()})
    delivered = {name: seen[0] for name, seen in app.seen.items()}
    query = [("q", "1"), ("q", "2")]
    made = {name: make(query=query, headers=JSON, body=b'{"id":1}') for name, make in FACTORIES.items()}
    made |= {
        "sqs": events.sqs({"id": 1}, queue="orders"),
        "s3": events.s3("a b.png", bucket="photos", body=b"12345"),
        "sns": events.sns({"id": 1}, subject="s", attributes={"kind": "new"}, topic="orders", function="sns"),
        "eventbridge": events.eventbridge({"id": 1}),
        "logs": events.logs("hello", group="/shop/app", stream="s"),
        "asynchronous": {"id": 1},
        "destination": events.destination({"id": 1}, result={"statusCode": 200}, function="asynchronous"),
    }

    assert [200] * 9 == statuses
    for name, event in made.items():
        assert json.dumps(shape(delivered[name])) == json.dumps(shape(event)), name
    assert delivered["v2"]["pathParameters"] == made["v2"]["pathParameters"] == {"id": "a b"}
    assert delivered["v1"]["headers"]["content-type"] == made["v1"]["headers"]["content-type"]
    assert delivered["sqs"]["Records"][0]["body"] == made["sqs"]["Records"][0]["body"]
    assert delivered["s3"]["Records"][0]["s3"]["bucket"] == made["s3"]["Records"][0]["s3"]["bucket"]
    for part in ("source", "detail-type", "detail", "account", "region", "resources"):
        assert delivered["eventbridge"][part] == made["eventbridge"][part]
    for part in ("Subject", "Message", "MessageAttributes", "TopicArn", "SigningCertUrl"):
        assert delivered["sns"]["Records"][0]["Sns"][part] == made["sns"]["Records"][0]["Sns"][part]
    assert {**unpacked(delivered["logs"]), "logEvents": [], "subscriptionFilters": []} == {
        **unpacked(made["logs"]),
        "logEvents": [],
        "subscriptionFilters": [],
    }
    assert delivered["destination"]["requestPayload"] == made["destination"]["requestPayload"]


async def test_a_scheduled_event_is_the_one_that_fires(tmp_path):
    """On virtual time, where its moment comes at once; but for its id, all of it."""
    (tmp_path / "app.py").write_text(KEEPS)
    rule = {"type": "schedule", "schedule": "rate(1 minute)"}
    made = Function("tick", handler="app.handler", code=str(tmp_path), events=(rule,))
    seen = []

    class Sees:
        def began(self, invocation, /):
            seen.append(json.loads(invocation.event.payload))

        def ended(self, *_):
            pass

        refused = noticed = ended

    async with Engine([made], platform=virtual_platform(), executor=scripted_executor(), observers=(Sees(),)):
        await asyncio.sleep(61)
    event = events.schedule(function="tick", at_s=events.EPOCH_S + 60)

    assert {**event, "id": "", "time": ""} == {**seen[0], "id": "", "time": ""}


def test_the_same_arguments_give_the_same_event_and_a_new_one():
    """A test may change what it got."""
    first, second = (events.sqs("a", "b", queue="q") for _ in range(2))
    first["Records"][0]["body"] = "changed"

    assert events.sqs("a", "b", queue="q") == second
    assert first != second


def test_messages_say_more_than_a_body():
    """What a queue adds to them, too."""
    message = events.SqsMessage(body="x", attributes={"n": 1, "b": b"\x00"}, group_id="g", receive_count=3)
    [record] = events.sqs(message, queue="orders.fifo")["Records"]

    assert ("Number", "1") == tuple(
        record["messageAttributes"]["n"][key] for key in ("dataType", "stringValue")
    )
    assert "AA==" == record["messageAttributes"]["b"]["binaryValue"]
    assert {"ApproximateReceiveCount": "3", "MessageGroupId": "g"}.items() <= record["attributes"].items()
    assert {"SequenceNumber", "MessageDeduplicationId"} <= record["attributes"].keys()


def test_a_dead_letter_is_a_message():
    """The event as it came, with the error in the attributes."""
    [record] = events.sqs(events.dead_letter({"id": 1}, error=("KeyError", "'x'")))["Records"]

    assert {"id": 1} == json.loads(record["body"])
    assert "'x'" == record["messageAttributes"]["ErrorMessage"]["stringValue"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: events.http_v2("GET", "/dogs", route="GET /pets/{id}"), "does not take GET /dogs"),
        (lambda: events.http_v2(route="GET pets"), "must start with '/'"),
        (lambda: events.sqs("a", queue="q.fifo"), "needs a group_id"),
        (lambda: events.s3_eventbridge("k", event="ReducedRedundancyLostObject"), "EventBridge has no event"),
    ],
)
def test_what_no_source_delivers_is_refused(make, sentence):
    """Instead of an event that a handler never gets."""
    with pytest.raises(ValueError, match=sentence):
        make()
