"""Stubs behind a handler: what `--stub` says, answers that AWS's client reads, times, and a whole run."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from random import Random
from statistics import mean, quantiles, stdev

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.utils import CLIENT_NAME_TO_HYPHENIZED_SERVICE_ID_OVERRIDES
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from engine.load.stubs import redirect
from engine.load.stubs.answers import StubAnswers, StubOutcome, StubRequest
from engine.load.stubs.running import lines_of
from engine.load.stubs.server import StubConnection, StubServer
from engine.load.stubs.specification import Latency, Stub, known_services, parse_stub, parse_stubs
from engine.testing import VirtualClock, virtual_platform

TIMES = st.integers(1, 10_000)
SHARES = st.integers(0, 50)


@given(
    st.sampled_from(["dynamodb", "https://api.example", "http://api.example:8080"]),
    st.one_of(st.tuples(TIMES, st.none()), st.tuples(TIMES, TIMES)),
    st.sampled_from(["±", "+-", "+/-"]),
    st.sampled_from([("us", 0.001), ("ms", 1.0), ("s", 1000.0)]),
    st.none() | SHARES,
    st.none() | SHARES,
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_what_a_stub_says_is_what_it_is(target, times, sign, unit, errors, throttled, body):
    """Every part in its place; a body is the rest of the text, whatever is in it."""
    time, spread = times
    words = [f"{time}{unit[0]}" + (f"{sign}{spread}" if spread else "")]
    words += [f"{errors}%"] * (errors is not None)
    words += [f"throttled={throttled}%"] * (throttled is not None)
    body = None if body is None else f"={body}"
    words += [f"body={body}"] * (body is not None)
    stub = parse_stub(f"{target}={','.join(words)}")

    assert (target, body) == (stub.name, stub.body)
    assert (time * unit[1], (spread or 0) * unit[1]) == (stub.latency.mean_ms, stub.latency.spread_ms)
    assert ((errors or 0) / 100, (throttled or 0) / 100) == (stub.errors, stub.throttled)
    assert Stub.model_validate_json(stub.model_dump_json()) == stub


@settings(max_examples=30)
@given(st.text(max_size=30) | st.text("dynamob=8ms,.%p50±+-:/@", max_size=20))
def test_every_other_text_is_refused_with_the_right_form(text):
    """With ValueError alone."""
    with suppress(ValueError):
        assert 1 == len(parse_stubs([text]))


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["dynamodb"], "no latency"),
        (["dynamdb=8ms"], "neither an AWS service as boto3 names it nor a URL, did you mean 'dynamodb'?"),
        (["dynamodb=8"], "'8' is neither a latency with its unit (us, ms, s) nor a share with %"),
        (["dynamodb=1%"], "no latency"),
        (["dynamodb=8ms,9ms"], "'9ms' is given twice"),
        (["dynamodb=8ms,101%"], "101% is more than all"),
        (["dynamodb=8ms,60%,throttled=60%"], "errors and throttled are more than all"),
        (["dynamodb=0ms±3"], "a spread needs a mean above 0"),
        (["dynamodb=p50=8ms"], "p50 and p99 need each other"),
        (["dynamodb=p50=8ms,p99=7ms"], "p50 must be above 0 and at most p99"),
        (["dynamodb=8ms,p50=8ms,p99=9ms"], "a mean and percentiles exclude each other"),
        (["dynamodb=8ms,body=@none.json"], "body=@none.json: No such file or directory"),
        (["https://api.example/v1=8ms"], "a host is stubbed as a whole, so scheme, name and port alone"),
        (["ftp://api.example=8ms"], "is no http:// or https:// URL"),
        (
            ["https://api.example=8ms", "https://api.example:443=9ms"],
            "https://api.example:443 is given twice",
        ),
    ],
)
def test_a_form_that_is_wrong_is_told_in_one_line(texts, problem):
    """What is wrong, and what is right."""
    with pytest.raises(ValueError, match=r"write TARGET=LATENCY|twice") as raised:
        parse_stubs(texts)

    assert problem in str(raised.value)
    assert 1 == len(str(raised.value).splitlines())


def test_services_are_those_of_botocore():
    """Their names, the variable that moves their endpoint, and their protocol."""
    session = botocore.session.get_session()
    known = known_services()
    there = known.keys() & set(session.get_available_services())
    hyphenized = CLIENT_NAME_TO_HYPHENIZED_SERVICE_ID_OVERRIDES
    variables = {name: hyphenized.get(name, name).replace("-", "_").upper() for name in there}

    assert len(there) > 400
    assert {name: known[name][0] for name in there} == variables
    for name in ("dynamodb", "events", "lambda", "s3", "sns", "sqs"):
        assert session.get_service_model(name).metadata["protocol"] == known[name][1]


# ---------------------------------------------------------------- answers, as AWS's client reads them


class _Raw:
    def __init__(self, body):
        self._body = body

    def stream(self, **_):
        yield self.read()

    def read(self, *_):
        body, self._body = self._body, b""
        return body


def client_of(service, outcome, body=None):
    """A client whose requests get the stub's answers, without a socket between."""
    stub = Stub(name=service, service=service, latency=Latency(), body=body)
    answers = StubAnswers(stub, known_services()[service][1])
    client = boto3.client(
        service,
        region_name="eu-west-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def answered(request, **_):
        headers = {
            name.lower().encode(): value if isinstance(value, bytes) else str(value).encode()
            for name, value in request.headers.items()
        }
        sent = request.body or b""
        sent = sent if isinstance(sent, bytes) else sent.encode() if isinstance(sent, str) else sent.read()
        asked = StubRequest(request.method.encode(), request.url.encode(), headers, sent)
        head, _, content = answers.answer(asked, outcome).partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        assert request.method == "HEAD" or int(fields["content-length"]) == len(content)
        return AWSResponse(request.url, int(status.split()[1]), fields, _Raw(content))

    client.meta.events.register("before-send", answered)
    return client


CALLS = [
    ("dynamodb", "get_item", {"TableName": "t", "Key": {"k": {"S": "a"}}}),
    ("sns", "publish", {"TopicArn": "arn:aws:sns:eu-west-1:000000000000:t", "Message": "m"}),
    ("s3", "get_object", {"Bucket": "photos", "Key": "k"}),
    ("s3", "head_object", {"Bucket": "photos", "Key": "k"}),
    ("s3", "list_objects_v2", {"Bucket": "photos"}),
    ("sqs", "send_message", {"QueueUrl": "http://127.0.0.1:1/0/q", "MessageBody": "m"}),
    ("lambda", "invoke", {"FunctionName": "f"}),
    ("cloudwatch", "put_metric_data", {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1.0}]}),
]
CODES = {
    "dynamodb": ("InternalServerError", "ProvisionedThroughputExceededException"),
    "sns": ("InternalFailure", "Throttling"),
    "s3": ("InternalError", "SlowDown"),
    "sqs": ("InternalServerError", "ThrottlingException"),
    "lambda": ("ServiceException", "TooManyRequestsException"),
    "cloudwatch": ("InternalServerError", "ThrottlingException"),
}


@pytest.mark.parametrize(("service", "operation", "members"), CALLS)
def test_aws_client_reads_every_answer(service, operation, members):
    """JSON 1.0, Query, REST-XML, REST-JSON and CBOR: an empty success, an error, and a throttle."""
    answer = getattr(client_of(service, StubOutcome.GOOD), operation)(**members)
    codes = []
    for outcome in (StubOutcome.ERROR, StubOutcome.THROTTLED):
        with pytest.raises(ClientError) as raised:
            getattr(client_of(service, outcome), operation)(**members)
        codes.append(raised.value.response["Error"]["Code"])

    assert 200 == answer["ResponseMetadata"]["HTTPStatusCode"]
    expected = ("500", "503") if operation == "head_object" else CODES[service]  # an answer without a body
    assert expected == tuple(codes)


def test_a_body_takes_the_place_of_the_empty_answer():
    """Of a service as of an upstream."""
    client = client_of("dynamodb", StubOutcome.GOOD, '{"Item": {"k": {"S": "there"}}}')
    upstream = StubAnswers(parse_stub("https://api.example=1ms,body=hello"), "")

    assert {"k": {"S": "there"}} == client.get_item(TableName="t", Key={"k": {"S": "a"}})["Item"]
    assert upstream.answer(StubRequest(b"GET", b"/", {}, b""), StubOutcome.GOOD).endswith(b"\r\n\r\nhello")


# ---------------------------------------------------------------- times


@pytest.mark.parametrize(("words", "spread_ms"), [("40ms", 0), ("40ms±10", 10), ("40ms±40", 40)])
def test_times_have_the_mean_and_deviation_that_are_set(words, spread_ms):
    """And none is below 0."""
    draw = parse_stub(f"dynamodb={words}").latency.sampler(Random(1))
    times_ms = [1000 * draw() for _ in range(20_000)]

    assert pytest.approx(40, rel=0.02) == mean(times_ms)
    assert pytest.approx(spread_ms, rel=0.03) == stdev(times_ms)
    assert min(times_ms) >= 0


def test_times_have_the_percentiles_that_are_set():
    """Of a log-normal distribution."""
    draw = parse_stub("dynamodb=p50=8ms,p99=40ms").latency.sampler(Random(1))
    cuts = quantiles([1000 * draw() for _ in range(20_000)], n=100)

    assert (pytest.approx(8, rel=0.03), pytest.approx(40, rel=0.06)) == (cuts[49], cuts[98])


class Wire(asyncio.Transport):
    """Keeps what is written, and when."""

    def __init__(self, now):
        super().__init__()
        self.now, self.written = now, []

    def write(self, data):
        self.written.append((round(self.now(), 6), data))

    def is_closing(self):
        return False


GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def test_an_answer_is_due_from_its_own_request_on():
    """On one connection that stays open: no time is lost from one request to the next."""
    clock = virtual_platform().clock
    server = StubServer(parse_stub("https://api.example=40ms"), 1, clock)
    connection = StubConnection(server, asyncio.get_running_loop())
    wire = Wire(clock.now)
    connection.connection_made(wire)
    began_s = clock.now()
    for _ in range(3):
        connection.data_received(GET)
        await asyncio.sleep(0.1)
    connection.data_received(GET + GET)  # two at a time: each is due 40 ms after it came, in their order
    await asyncio.sleep(0.1)

    due_s = [0.04, 0.14, 0.24, 0.34, 0.34]
    assert due_s == [pytest.approx(at_s - began_s) for at_s, _ in wire.written]
    figures = server.figures()
    assert (5, 40.0, 40.0) == tuple(figures[key] for key in ("requests", "set_mean_ms", "observed_mean_ms"))
    assert 0 == figures["late_p99_ms"] // 1


async def test_a_body_that_waits_is_asked_for():
    """`Expect: 100-continue`, which AWS's client sends before objects."""
    clock = virtual_platform().clock
    connection = StubConnection(StubServer(parse_stub("s3=0ms"), 1, clock), asyncio.get_running_loop())
    wire = Wire(clock.now)
    connection.connection_made(wire)
    connection.data_received(b"PUT /b/k HTTP/1.1\r\ncontent-length: 2\r\nExpect: 100-continue\r\n\r\n")
    connection.data_received(b"ab")

    assert [b"HTTP/1.1 100", b"HTTP/1.1 200"] == [data[:12] for _, data in wire.written]


def test_errors_are_given_as_often_as_is_set():
    """Errors and throttles, each its share; the same seed gives the same."""
    stub = parse_stub("dynamodb=8ms,10%,throttled=20%")
    servers = [StubServer(stub, 7, VirtualClock()) for _ in range(2)]
    first, second = ([server.outcome() for _ in range(10_000)] for server in servers)

    assert first == second
    assert [pytest.approx(share, abs=0.015) for share in (0.7, 0.1, 0.2)] == [
        first.count(outcome) / 10_000 for outcome in StubOutcome
    ]


def test_what_goes_past_stubs_is_told():
    """Clients in C, and what is not Python; of AWS services nothing is to be told."""
    stubs = parse_stubs(["dynamodb=8ms", "http://api.example=1ms"])

    assert ["stub: dynamodb, 8 ms"] == list(lines_of(stubs[:1], {"f": "runtime"}))
    assert "f may go past them" in list(lines_of(stubs, {"f": "runtime"}))[-1]


@pytest.mark.real_time
@pytest.mark.parametrize("has_another", [False, True])
def test_a_redirected_python_starts_as_it_would(has_another, tmp_path):
    """Without a word, with the `sitecustomize` that it has, and nothing of the redirect on its path."""
    hook, another = tmp_path / "hook", tmp_path / "another"
    hook.mkdir()
    another.mkdir()
    shutil.copyfile(redirect.__file__, hook / "sitecustomize.py")
    (hook / "redirect.json").write_text(json.dumps({"api.example:443": ["127.88.0.1", 1]}))
    if has_another:
        (another / "sitecustomize.py").write_text("print('another')")
    asked = "import socket, sys; print(socket.gethostbyname('API.example.'), *sys.path)"
    variables = {**os.environ, "PYTHONPATH": f"{hook}{os.pathsep}{another}"}
    done = subprocess.run(
        [sys.executable, "-c", asked], env=variables, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()

    assert "" == done.stderr
    assert ["another"] * has_another == lines[:-1]
    assert lines[-1].startswith("127.88.0.1 ")
    assert str(hook) not in lines[-1]


# ---------------------------------------------------------------- a whole run

BLOCKING = """
import urllib.request
import boto3, requests

table = boto3.client("dynamodb")

def handler(event, context):
    table.get_item(TableName="t", Key={"k": {"S": "a"}})
    with urllib.request.urlopen("https://api.example/a") as answer:
        said = answer.read().decode()
    return [said, requests.get("https://api.example/b").text, requests.get("http://plain.example:81/").text]
"""
WAITING = """
import aiohttp

async def handler(event, context):
    async with aiohttp.ClientSession() as session, session.get("https://api.example/c") as answer:
        return await answer.text()
"""


@pytest.mark.real_time
@pytest.mark.slow
def test_handlers_of_a_run_call_its_stubs(tmp_path):
    """No file is edited, on process and on loop: boto3, urllib, requests and aiohttp."""
    missing = [name for name in ("aiohttp", "locust", "requests", "cryptography") if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    (tmp_path / "a.py").write_text(BLOCKING)
    (tmp_path / "b.py").write_text(WAITING)
    command = [sys.executable, "-m", "engine", "load", "a.handler", "b.handler"]
    command += ["--rate", "16", "--duration", "1", "--warmup", "0", "--timeout-s", "60", "--no-prometheus"]
    command += ["--stub", "dynamodb=2ms", "--stub", 'https://api.example=5ms,body={"n": 1}']
    command += ["--stub", "http://plain.example:81=1ms", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    document = json.loads((tmp_path / "out" / "run.json").read_text())
    streams = document["client"]["streams"]
    calls = {name: streams[name]["success"] for name in "ab"}

    assert {} == document["client"]["errors"], done.stderr
    assert min(calls.values()) > 0
    assert [calls["a"], 2 * calls["a"] + calls["b"], calls["a"]] == [
        one["requests"] for one in document["stubs"]["stubs"]
    ]
    assert all(one["observed_mean_ms"] >= one["set_mean_ms"] - 1 for one in document["stubs"]["stubs"])
    assert "<h2>Stubs</h2>" in (tmp_path / "out" / "report.html").read_text()
    assert re.search(r"^https://api.example +5 ms +\d+ ", done.stdout, re.MULTILINE)
