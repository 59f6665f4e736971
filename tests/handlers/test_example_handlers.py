"""The example handlers do what their README says, loaded as the engine loads them."""

import ast
import asyncio
import base64
import inspect
import io
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from engine import Engine
from engine.core.context_template import ContextTemplate
from engine.core.function import Function
from engine.executors.handler_loader import Loader
from engine.executors.handler_source import looks_async
from engine.executors.marshal import MarshalError, decode, encode, error_body

ROOT = Path(__file__).parents[2]
EXAMPLES = tomllib.loads((ROOT / "handlers/engine.toml").read_text())["functions"]


@pytest.fixture
def context():
    return ContextTemplate(
        Function("f", handler="a.b"), "arn", "stream", now_s=lambda: 1.0, wall_s=lambda: 1.0, log=print
    ).make("r1", 4.0)


@pytest.fixture
def load():
    modules, loader = set(sys.modules), Loader(ROOT)
    yield lambda name: loader.load(f"handlers.{name}", fresh=False).callable
    loader.close()
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] == "handlers":
            del sys.modules[name]


def http(method="GET", body=None, *, query=None, path=None, **more):
    """An HTTP event in payload format 2.0, with what is empty left out, as API Gateway does."""
    event = {
        "version": "2.0",
        "headers": {},
        "requestContext": {"http": {"method": method}},
        "isBase64Encoded": False,
    }
    optional = {"body": body, "queryStringParameters": query, "pathParameters": path}
    return {**event, **{name: value for name, value in optional.items() if value is not None}, **more}


def json_of(answer):
    """The status and the document of an HTTP answer, which must be one on Lambda too."""
    encode(answer)
    assert {"statusCode", "headers", "body"} <= answer.keys()
    return answer["statusCode"], json.loads(answer["body"])


def picture(size=(300, 200), mode="RGB"):
    out = io.BytesIO()
    Image.new(mode, size).save(out, "PNG")
    return out.getvalue()


def order(order_id="A-1", **item):
    return {"id": order_id, "items": [{"sku": "pen", "quantity": 3, "price": "0.10", **item}]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_of_the_configuration_loads(name):
    """From the folder the file says, and as the kind the source shows."""
    code = ROOT / "handlers" / EXAMPLES[name]["code"]
    loader = Loader(code)
    loaded = loader.load(EXAMPLES[name]["handler"], fresh=True)
    loader.close()

    assert callable(loaded.callable)
    assert loaded.is_async is looks_async(str(code), EXAMPLES[name]["handler"])
    assert (name == "sleeper") is loaded.is_async


EVENTS = {
    "hello": {"name": "Ada"},
    "echo": {"any": ["event", 1, None]},
    "orders": http("POST", json.dumps({"id": "A-1", "items": [{"sku": "pen", "price": "1.20"}]})),
    "thumbnails": http("POST", "", query={"edge": "16"}),
    "primes": {"below": 1000},
    "sleeper": {"seconds": 0},
    "faulty": {"how": "chained"},
}


@pytest.mark.real_time
@pytest.mark.parametrize("executor", ["loop", "thread", "process"])
async def test_every_example_answers_the_same_on_every_executor(executor):
    """As on the executor that its configuration takes, to the last byte; durations apart."""
    folder = ROOT / "handlers"
    names = list(EXAMPLES)

    async def answers(**given):
        functions = [
            Function(
                name,
                handler=EXAMPLES[name]["handler"],
                code=str(folder / EXAMPLES[name]["code"]),
                memory_mb=512,
                timeout_s=30,
                executor=given.get("executor", EXAMPLES[name].get("executor", "auto")),
            )
            for name in names
        ]
        async with Engine(functions) as engine:
            outcomes = [await engine.invoke(name, EVENTS[name]) for name in names]
        return [(name, one.status, settled(one.payload)) for name, one in zip(names, outcomes, strict=True)]

    assert await answers() == await answers(executor=executor)


def settled(payload):
    """Without what differs from run to run."""
    text = json.dumps(payload)
    return re.sub(r'"(requestId|remaining_ms|took_ms|elapsed_ms)": ("[^"]*"|[0-9.]+)', "", text)


def test_every_handler_file_is_in_the_readme():
    """And nothing else is needed to deploy it than the file."""
    readme = (ROOT / "handlers/README.md").read_text()
    files = [file.stem for file in (ROOT / "handlers").glob("*.py")]

    assert [] == [name for name in files if f"`{name}.handler`" not in readme]
    assert [] == [name for name in files if "engine" in imports(ROOT / f"handlers/{name}.py")]


def imports(file):
    """Names of the packages that a file imports."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    return {
        name.partition(".")[0] for name in plain + [n.module for n in nodes if isinstance(n, ast.ImportFrom)]
    }


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"name": "Ada"}, "Ada"),
        ({}, "world"),
    ],
)
def test_hello_greets_whom_it_is_told(load, context, event, name):
    """A direct event."""
    assert {"message": f"Hello, {name}!"} == load("hello.handler")(event, context)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (http(path={"name": "Ada"}), "Ada"),
        (http(query={"name": "Ada"}), "Ada"),
        (http(), "world"),
    ],
)
def test_hello_greets_over_http(load, context, event, name):
    """By path or query, with the request id."""
    expected = 200, {"message": f"Hello, {name}!", "requestId": "r1"}

    assert expected == json_of(load("hello.handler")(event, context))


@pytest.mark.parametrize("event", [{"a": [1]}, [1], "text", 3, None])
async def test_echo_returns_the_event(load, context, event):
    """Both kinds."""
    echo, async_echo = load("echo.handler"), load("echo.async_handler")

    assert event == echo(event, context) == await async_echo(event, context)


def test_echo_returns_the_body_over_http(load, context):
    """As it came: content type and base64 too."""
    event = http("POST", "AAE=", isBase64Encoded=True, headers={"content-type": "image/png"})
    expected = {
        "statusCode": 200,
        "headers": {"content-type": "image/png"},
        "body": "AAE=",
        "isBase64Encoded": True,
    }

    assert expected == load("echo.handler")(event, context)
    assert "" == load("echo.handler")(http("POST"), context)["body"]


def test_orders_add_up_exactly(load, context):
    """Three times ten cents are thirty, as a number."""
    body, _ = encode(load("orders.handler")(decode(json.dumps(order()).encode()), context))

    assert b'{"id": "A-1", "items": 1, "total": 0.30}' == body


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "{}",
        '{"id": 3, "items": []}',
        '{"id": "A"}',
        '{"id": "A", "items": []}',
        '{"id": "A", "items": [3]}',
        json.dumps(order(quantity=0)),
        json.dumps(order(quantity=1.5)),
        json.dumps(order(quantity=True)),
        json.dumps(order(price="much")),
        json.dumps(order(price=None)),
        json.dumps(order(price="NaN")),
        json.dumps(order(price=-1)),
        json.dumps(order(price="1E+30")),
    ],
)
def test_a_bad_order_is_refused(load, context, bad):
    """400 over HTTP with a reason; from a queue this message alone comes back."""
    orders = load("orders.handler")
    records = [{"messageId": "m1", "body": bad}, {"messageId": "m2", "body": json.dumps(order())}]
    status, document = json_of(orders(http("POST", bad), context))

    assert (400, ["message"]) == (status, list(document))
    assert {"batchItemFailures": [{"itemIdentifier": "m1"}]} == orders({"Records": records}, context)


def test_orders_answer_over_http(load, context):
    """201 with the total, for text and base64 bodies; 400 for base64 that is none."""
    orders, text = load("orders.handler"), json.dumps(order(price=0.1))
    encoded = base64.b64encode(text.encode()).decode()

    assert (201, {"id": "A-1", "items": 1, "total": "0.30"}) == json_of(orders(http("POST", text), context))
    assert 201 == json_of(orders(http("POST", encoded, isBase64Encoded=True), context))[0]
    assert 400 == json_of(orders(http("POST", "x", isBase64Encoded=True), context))[0]
    assert 400 == json_of(orders(http("POST"), context))[0]


@pytest.mark.parametrize(
    ("event", "size"),
    [
        (http("POST"), (128, 96)),
        (http("POST", base64.b64encode(picture()).decode(), isBase64Encoded=True), (128, 85)),
        (http("POST", base64.b64encode(picture(mode="RGBA")).decode(), query={"edge": "64"}), (64, 43)),
    ],
)
def test_a_posted_image_comes_back_smaller(load, context, event, size):
    """As a real JPEG, in proportion."""
    answer = load("thumbnails.handler")(event, context)
    image = Image.open(io.BytesIO(base64.b64decode(answer["body"])))

    assert (200, "image/jpeg", True) == (
        answer["statusCode"],
        answer["headers"]["content-type"],
        answer["isBase64Encoded"],
    )
    assert ("JPEG", size) == (image.format, image.size)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (http("POST", base64.b64encode(b"no image").decode()), 415),
        (http("POST", base64.b64encode(picture()[:60]).decode()), 415),
        (http("POST", "no base64!"), 415),
        (http("POST", query={"edge": "0"}), 400),
        (http("POST", query={"edge": "wide"}), 400),
    ],
)
def test_what_is_no_image_is_refused(load, context, event, status):
    """With a reason."""
    assert status == json_of(load("thumbnails.handler")(event, context))[0]


def test_thumbnails_of_objects_are_made(load, context):
    """A notification from S3; without a store an image is drawn."""
    event = {"Records": [{"s3": {"bucket": {"name": "photos"}, "object": {"key": "in/a+b%2B.png"}}}]}
    made = load("thumbnails.handler")(event, context)["thumbnails"]

    assert [("in/a b+.png", 128, 96)] == [(one["key"], one["width"], one["height"]) for one in made]


def test_a_thumbnail_can_be_asked_for_directly(load, context):
    """With an image in the event, or a drawn one."""
    thumbnails = load("thumbnails.handler")
    given = thumbnails({"image": base64.b64encode(picture()).decode(), "edge": 30}, context)

    assert (30, 20) == (given["width"], given["height"])
    assert (128, 96) == tuple(thumbnails({}, context)[side] for side in ("width", "height"))


@pytest.mark.parametrize(
    ("below", "count", "largest"),
    [
        (0, 0, None),
        (1, 0, None),
        (2, 0, None),
        (3, 1, 2),
        (4, 2, 3),
        (10, 4, 7),
        (100, 25, 97),
        (7920, 1000, 7919),
    ],
)
def test_primes_are_counted(load, context, below, count, largest):
    """Directly and over HTTP."""
    expected = {"below": below, "count": count, "largest": largest}
    primes = load("primes.handler")

    assert expected == primes({"below": below}, context)
    assert (200, expected) == json_of(primes(http(query={"below": str(below)}), context))


@pytest.mark.parametrize("below", ["x", "-1", "5000001"])
def test_primes_refuse_bad_limits(load, context, below):
    """400 over HTTP, an error directly."""
    primes = load("primes.handler")

    assert 400 == json_of(primes(http(query={"below": below}), context))[0]
    with pytest.raises(ValueError, match=r"below must be|invalid literal"):
        primes({"below": below}, context)


@pytest.mark.parametrize("event", [{"seconds": 0}, http(query={"seconds": "0"})])
async def test_sleepers_say_how_long_they_slept(load, context, event):
    """The coroutine and its blocking twin agree."""
    answers = [await load("sleeper.handler")(event, context), load("sleeper.blocking")(event, context)]
    documents = [answer if "statusCode" not in answer else json_of(answer)[1] for answer in answers]

    assert [{"slept_s": 0.0, "remaining_ms": 3000}] * 2 == documents


@pytest.mark.parametrize(
    ("event", "expected_s"), [({}, 0.5), (None, 0.5), (http(), 0.5), ({"seconds": 2}, 2.0)]
)
def test_sleepers_wait_half_a_second_if_it_is_not_said(load, event, expected_s):
    """The default of every kind of event."""
    assert expected_s == inspect.getmodule(load("sleeper.handler")).seconds(event)


@pytest.mark.parametrize("seconds", [-1, "nan", "inf", "long"])
def test_sleepers_refuse_what_is_no_time(load, context, seconds):
    """Before they wait."""
    with pytest.raises(ValueError, match=r"seconds must be|could not convert"):
        asyncio.run(load("sleeper.handler")({"seconds": seconds}, context))


@pytest.mark.parametrize(
    ("how", "error_type"),
    [
        ("raise", "OrderRejected"),
        ("chained", "OrderRejected"),
        ("recursion", "RecursionError"),
        ("memory_error", "MemoryError"),
        ("os_exit", "PermissionError"),
        ("segfault", "PermissionError"),
        ("memory", "PermissionError"),
        ("no such way", "KeyError"),
    ],
)
@pytest.mark.parametrize("direct", [True, False])
def test_faulty_raises_as_asked(load, context, how, error_type, direct):
    """What would end the process asks for leave first."""
    event = {"how": how} if direct else http(path={"how": how})
    with pytest.raises(Exception, match=r".") as caught:
        load("faulty.handler")(event, context)

    assert error_type == json.loads(error_body(caught.value, "r1"))["errorType"]


@pytest.mark.parametrize(("how", "error"), [("exit", SystemExit), ("base_exception", BaseException)])
def test_faulty_leaves_as_asked(load, context, how, error):
    """By what no `except Exception` catches."""
    with pytest.raises(error) as caught:
        load("faulty.handler")({"how": how, "status": 3}, context)

    assert not isinstance(caught.value, Exception)


def test_faulty_returns_what_is_no_result(load, context):
    """A set, NaN, an answer that is none, too much."""
    faulty = load("faulty.handler")
    with pytest.raises(MarshalError, match="Object of type set is not JSON serializable"):
        encode(faulty({"how": "marshal"}, context))

    assert b'{"ratio": NaN}' == encode(faulty({"how": "bad_json"}, context))[0]
    assert "teapot" == faulty({"how": "malformed"}, context)["statusCode"]
    assert 6_291_556 < len(encode(faulty({"how": "too_large"}, context))[0])
    assert "this answer comes too late" == faulty({"how": "sleep", "seconds": 0}, context)


def test_a_countdown_yields_a_line_for_each_number(load, context):
    lines = list(load("countdown.handler")({"from": 2, "pause_s": 0}, context))

    assert ["2\n", "1\n", "lift-off\n"] == lines


def click(data):
    """A record of a Kinesis stream, as far as the handler looks at it."""
    return {"eventSource": "aws:kinesis", "kinesis": {"data": base64.b64encode(data)}}


def test_changes_and_clicks_are_printed(load, context, capsys):
    """And what is no click fails the batch, which then comes again."""
    change = {
        "eventSource": "aws:dynamodb",
        "eventName": "INSERT",
        "dynamodb": {"Keys": {"id": {"S": "A-1"}}},
    }
    handler = load("streams.handler")
    handler({"Records": [change, click(b'{"page": "/home"}')]}, context)

    assert "INSERT A-1\nclick on /home\n" == capsys.readouterr().out
    with pytest.raises(json.JSONDecodeError):
        handler({"Records": [click(b"no JSON")]}, context)
