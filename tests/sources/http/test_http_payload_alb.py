"""Payload of an Application Load Balancer: golden events and answers."""

import base64
import json

import pytest

from engine.core.outcome import Status

BYTES = ("content-type", "application/octet-stream")
ADDED = {
    "x-forwarded-for": "192.0.2.7",
    "x-forwarded-port": "3000",
    "x-forwarded-proto": "http",
    "x-amzn-trace-id": "Root=1-5e6a88de-aa",
}


@pytest.fixture(scope="session")
def alb(exchange):
    """`alb(**settings)` is an exchange in the load balancer's format."""
    return lambda **settings: exchange(payload_format="alb", **settings)


HEADERS = [(b"Host", b"example.test"), (b"X-Two", b"a"), (b"x-two", b"last"), (b"Connection", b"keep-alive")]


def test_an_alb_event_is_exactly_this(alb, request_of):
    """Lower-case names, the last value wins, the query is not decoded, the body is never null."""
    event = alb().event(request_of("GET", b"/lam%20bda?query=12%2B34&q=a+b&q=last", HEADERS))
    group = event["requestContext"]["elb"]["targetGroupArn"]

    assert group.startswith("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/hello/")
    assert {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": "GET",
        "path": "/lam%20bda",
        "queryStringParameters": {"query": "12%2B34", "q": "last"},
        "headers": {"host": "example.test", "x-two": "last", "connection": "keep-alive", **ADDED},
        "body": "",
        "isBase64Encoded": False,
    } == event


def test_multi_value_headers_replace_both_maps(alb, request_of):
    """With the attribute on there are only the multi-value maps."""
    event = alb(multi_value_headers=True).event(request_of("GET", b"/?q=a+b&q=last", HEADERS))

    assert {"q": ["a+b", "last"]} == event["multiValueQueryStringParameters"]
    assert {
        "host": ["example.test"],
        "x-two": ["a", "last"],
        "connection": ["keep-alive"],
        **{name: [value] for name, value in ADDED.items()},
    } == event["multiValueHeaders"]
    assert not event.keys() & {"headers", "queryStringParameters"}


def test_what_is_absent_is_empty(alb, request_of):
    """Maps are empty objects."""
    assert {} == alb().event(request_of())["queryStringParameters"]
    assert {} == alb(multi_value_headers=True).event(request_of())["multiValueQueryStringParameters"]


@pytest.mark.parametrize(
    ("headers", "body", "is_text"),
    [
        ([(b"content-type", b"text/css")], b"a", True),
        ([(b"content-type", b"application/json; charset=utf-8")], b"a", True),
        ([(b"content-type", b"application/javascript")], b"a", True),
        ([(b"content-type", b"Application/XML")], b"a", True),
        ([(b"content-type", b"application/vnd.api+json")], b"a", False),
        ([(b"content-type", b"application/x-www-form-urlencoded")], b"a", False),
        ([(b"content-type", b"text/css"), (b"content-encoding", b"identity")], b"a", False),
        ([(b"content-type", b"text/css")], b"\xff", False),
        ([], b"a", False),
    ],
)
def test_only_text_bodies_stay_text(alb, request_of, headers, body, is_text):
    """text/*, JSON, JavaScript and XML; any content encoding forces base64."""
    event = alb().event(request_of("POST", b"/", headers, body))
    expected = body.decode() if is_text else base64.b64encode(body).decode()

    assert (expected, not is_text) == (event["body"], event["isBase64Encoded"])


ANSWERS = [
    ({"statusCode": 200}, 200, [BYTES], b""),
    ({"statusCode": 404, "statusDescription": "404 Not Found", "body": "no"}, 404, [BYTES], b"no"),
    ({"statusCode": 200, "statusDescription": None, "anything": 1}, 200, [BYTES], b""),
    (
        {"statusCode": 200, "headers": {"Content-Type": "text/html"}},
        200,
        [("content-type", "text/html")],
        b"",
    ),
    ({"statusCode": 200, "isBase64Encoded": True, "body": "/wA="}, 200, [BYTES], b"\xff\x00"),
    ({"statusCode": 200, "multiValueHeaders": {"a": ["b"]}}, 200, [BYTES], b""),
]


@pytest.mark.parametrize(("result", "status", "headers", "body"), ANSWERS)
def test_a_result_becomes_this_answer(alb, lines_of, result, status, headers, body):
    """The single-value response mapping."""
    sent_status, head, sent_body = alb().answer(json.dumps(result).encode())

    assert (status, headers, body) == (sent_status, lines_of(head), sent_body)


def test_multi_value_mode_reads_multi_value_headers_alone(alb, lines_of):
    """`headers` no longer counts."""
    result = {"statusCode": 200, "headers": {"a": "b"}, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}}
    _, head, _ = alb(multi_value_headers=True).answer(json.dumps(result).encode())

    assert [("set-cookie", "a=1"), ("set-cookie", "b=2"), BYTES] == lines_of(head)


MALFORMED = [
    b"{}",
    b'"text"',
    b"null",
    b"not json",
    b'{"statusCode": "200"}',
    b'{"statusCode": true}',
    b'{"statusCode": 200.0}',
    b'{"statusCode": 42}',
    b'{"statusCode": 200, "statusDescription": 1}',
    b'{"statusCode": 200, "body": {"a": 1}}',
    b'{"statusCode": 200, "isBase64Encoded": true, "body": "x"}',
    b'{"statusCode": 200, "headers": {"a": "b\\r\\nc: d"}}',
]


@pytest.mark.parametrize("result", MALFORMED)
def test_what_cannot_be_sent_is_a_bad_gateway(alb, lines_of, result):
    """502 with the load balancer's page."""
    status, head, body = alb().answer(result)

    assert 502 == status
    assert b"<h1>502 Bad Gateway</h1>" in body
    assert ("content-type", "text/html") in lines_of(head)


@pytest.mark.parametrize(
    "result",
    [
        b'{"statusCode": 200, "multiValueHeaders": {"a": "b"}}',
        b'{"statusCode": 200, "multiValueHeaders": {"a": ["b\\nc"]}}',
        b'{"statusCode": 200, "multiValueHeaders": 1}',
    ],
)
def test_bad_multi_value_headers_are_a_bad_gateway(alb, result):
    """They must be lists of clean text."""
    assert 502 == alb(multi_value_headers=True).answer(result)[0]


def test_a_response_over_one_megabyte_is_a_bad_gateway(alb):
    """The limit is on the JSON, and is inclusive."""
    frame = len(b'{"statusCode":200,"body":""}')
    fits, over = (b'{"statusCode":200,"body":"%b"}' % (b"x" * (1048576 - frame + more)) for more in (0, 1))

    assert 200 == alb().answer(fits)[0]
    assert 502 == alb().answer(over)[0]


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.ERROR, 502), (Status.TIMEOUT, 502), (Status.THROTTLED, 502), (Status.CANCELLED, 503)],
)
def test_failures_are_gateway_errors(alb, status, code):
    """Whatever the function or Lambda did."""
    assert code == alb().answer(b"{}", status=status)[0]
