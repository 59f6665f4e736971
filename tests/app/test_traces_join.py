"""Traces of a caller go through the engine, as a collector gets them: HTTP, a queue, the handlers."""

from __future__ import annotations

import asyncio
import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from engine import Engine, Function
from tests.telemetry.otlp_receiver import otlp_receiver, values

pytestmark = pytest.mark.real_time

HANDLERS = """
import asyncio, json, os, boto3

def send():
    boto3.client("sqs").send_message(QueueUrl="orders", MessageBody="an order")

async def front(event, context):
    await asyncio.to_thread(send)
    seen = {"trace": os.environ["_X_AMZN_TRACE_ID"], "headers": event["headers"]}
    return {"statusCode": 201, "body": json.dumps(seen)}

def back(event, context):
    return os.environ["_X_AMZN_TRACE_ID"]

def failing(event, context):
    raise LookupError("out of stock")
"""
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "congo=t61rcWkgMzE"}
ROUTE = {"type": "http", "method": "POST", "path": "/orders/{id}", "payload_format": "2.0"}


@pytest.fixture
def receiver(monkeypatch):
    with otlp_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


async def ask(url, body=b"", method="POST", **headers):
    def post():
        try:
            with urlopen(Request(url, body, headers, method=method), timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except HTTPError as error:
            return error.code, dict(error.headers), error.read()

    return await asyncio.to_thread(post)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture
def functions(tmp_path):
    (tmp_path / "app.py").write_text(HANDLERS)

    def functions(executor):
        common = {"code": str(tmp_path), "executor": executor, "timeout_s": 60}
        front = Function("front", handler="app.front", events=(ROUTE,), **common)
        back = Function("back", handler="app.back", events=({"type": "sqs", "queue": "orders"},), **common)
        return front, back

    return functions


@pytest.mark.parametrize("executor", ["loop", "thread", "process"])
async def test_a_callers_trace_is_one_through_http_a_queue_and_the_handlers(receiver, functions, executor):
    """Though the handler's client is plain boto3, which takes the trace from `_X_AMZN_TRACE_ID`."""
    listen = {"http": "127.0.0.1:0", "aws": "127.0.0.1:0"}
    async with Engine([*functions(executor)], observers=["otel"], **listen) as engine:
        status, head, body = await ask(f"{engine.addresses.http}/orders/7", b"{}", **PARENT)
        await until(lambda: engine.stats.functions["back"].duration.count)
    seen = json.loads(body)
    spans = {resource["service.name"]: span for resource, span in receiver.spans}
    front, back = spans["front"], spans["back"]
    front_is = values(front.attributes)
    root = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={front.span_id.hex()};Sampled=1"

    assert ["back", "front"] == sorted(spans)
    assert [TRACE, TRACE] == [span.trace_id.hex() for span in (front, back)]
    assert [CALLER, front.span_id.hex()] == [span.parent_span_id.hex() for span in (front, back)]
    assert [front.span_id] == [link.span_id for link in back.links]
    assert PARENT["tracestate"] == front.trace_state
    assert (201, root, root) == (status, head["x-amzn-trace-id"], seen["trace"])
    assert PARENT.items() <= {name.lower(): text for name, text in seen["headers"].items()}.items()
    assert f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={CALLER};Sampled=1" == seen["headers"]["x-amzn-trace-id"]
    assert {
        "faas.trigger": "http",
        "faas.coldstart": True,
        "http.request.method": "POST",
        "http.route": "/orders/{id}",
        "http.response.status_code": 201,
        "url.path": "/orders/7",
    }.items() <= front_is.items()
    assert {
        "faas.trigger": "pubsub",
        "messaging.destination.name": "orders",
        "messaging.batch.message_count": 1,
    }.items() <= values(back.attributes).items()


async def test_the_lambda_api_adopts_a_traceparent_and_answers_with_the_trace(receiver, functions):
    """Also a root alone; what is malformed begins a trace, and is no error."""
    async with Engine([functions("loop")[1]], observers=["otel"], aws="127.0.0.1:0") as engine:
        url = f"{engine.addresses.aws}/2015-03-31/functions/back/invocations"
        _, adopted, seen = await ask(url, b"{}", **PARENT)
        _, by_root, _ = await ask(url, b"{}", **{"x-amzn-trace-id": f"Root=1-{TRACE[:8]}-{TRACE[8:]}"})
        status, begun, _ = await ask(url, b"{}", traceparent="00-nonsense", tracestate="=,;")
    spans = [span for _, span in receiver.spans]
    heads = [
        f"Root=1-{span.trace_id.hex()[:8]}-{span.trace_id.hex()[8:]};Parent={span.span_id.hex()};Sampled=1"
        for span in spans
    ]

    sent = [f"{head};Lineage=1:6dcec137:1" for head in heads[:2]]  # one call of the function in their chain

    assert [*sent, heads[2]] == [head["X-Amzn-Trace-Id"] for head in (adopted, by_root, begun)]
    assert sent[0] == json.loads(seen)
    assert [CALLER, "", ""] == [span.parent_span_id.hex() for span in spans]
    assert [True, True, False] == [TRACE == span.trace_id.hex() for span in spans]
    assert 200 == status


async def test_a_failure_is_an_error_with_its_type_and_the_status_of_the_answer(receiver, tmp_path):
    (tmp_path / "app.py").write_text(HANDLERS)
    function = Function("f", handler="app.failing", code=str(tmp_path), executor="loop", events=(ROUTE,))
    async with Engine([function], observers=["otel"], http="127.0.0.1:0") as engine:
        await ask(f"{engine.addresses.http}/orders/7")
    ((_, span),) = receiver.spans
    found = values(span.attributes)

    assert ("LookupError", 500) == (found["error.type"], found["http.response.status_code"])
    assert (2, "out of stock") == (span.status.code, span.status.message)


async def test_without_a_tracer_a_traceparent_changes_nothing(functions):
    """As on AWS: the handler gets the header, and X-Ray's is made anew."""
    async with Engine([functions("loop")[1]], aws="127.0.0.1:0") as engine:
        url = f"{engine.addresses.aws}/2015-03-31/functions/back/invocations"
        _, head, seen = await ask(url, b"{}", **PARENT)

    assert head["X-Amzn-Trace-Id"] == json.loads(seen)
    assert TRACE[8:] not in head["X-Amzn-Trace-Id"]


async def test_what_the_engine_sends_on_carries_the_context(receiver, tmp_path):
    """A destination and a dead letter are below the run that made them, a notification below the request."""
    (tmp_path / "app.py").write_text(HANDLERS)
    common = {"code": str(tmp_path), "executor": "loop"}
    queued = ({"type": "sqs", "queue": "letters"},)
    created = ({"type": "s3", "bucket": "photos"},)
    functions = [
        Function("works", handler="app.back", on_success="lambda:next", **common),
        Function("next", handler="app.back", **common),
        Function(
            "fails", handler="app.failing", dead_letter_queue="letters", maximum_retry_attempts=0, **common
        ),
        Function("reads", handler="app.back", events=queued, **common),
        Function("sees", handler="app.back", events=created, **common),
    ]
    async with Engine(functions, observers=["otel"], aws="127.0.0.1:0") as engine:
        for name in ("works", "fails"):
            url = f"{engine.addresses.aws}/2015-03-31/functions/{name}/invocations"
            await ask(url, b"{}", **PARENT, **{"x-amz-invocation-type": "Event"})
        await ask(f"{engine.addresses.aws}/photos/a.jpg", b"", "PUT", **PARENT)
        done = [engine.stats.functions[name].duration for name in ("next", "reads", "sees")]
        await until(lambda: all(duration.count for duration in done))
    spans = {resource["service.name"]: span for resource, span in receiver.spans}
    ids = {name: span.span_id.hex() for name, span in spans.items()} | {"caller": CALLER}
    named = {span_id: name for name, span_id in ids.items()}

    assert {TRACE} == {span.trace_id.hex() for span in spans.values()}
    assert {"works": "caller", "next": "works", "fails": "caller", "reads": "fails", "sees": "caller"} == {
        name: named[span.parent_span_id.hex()] for name, span in spans.items()
    }
    assert "photos" == values(spans["sees"].attributes)["faas.document.collection"]


async def test_a_message_sent_with_a_traceparent_is_of_its_trace(receiver, functions):
    """As a header of the request, which instrumented HTTP clients send, or as a message attribute."""
    attribute = {"traceparent": {"DataType": "String", "StringValue": PARENT["traceparent"]}}
    async with Engine([functions("loop")[1]], observers=["otel"], aws="127.0.0.1:0") as engine:
        url = engine.addresses.aws
        for more, headers in (({}, PARENT), ({"MessageAttributes": attribute}, {})):
            message = {"QueueUrl": f"{url}/000000000000/orders", "MessageBody": "an order", **more}
            kind = {"x-amz-target": "AmazonSQS.SendMessage", "content-type": "application/x-amz-json-1.0"}
            await ask(url, json.dumps(message).encode(), **headers, **kind)
        await until(lambda: engine.stats.functions["back"].duration.count == 2)

    assert [(TRACE, CALLER)] * 2 == [
        (span.trace_id.hex(), span.parent_span_id.hex()) for _, span in receiver.spans
    ]
