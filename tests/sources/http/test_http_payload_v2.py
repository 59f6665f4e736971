"""Payload 2.0: golden events and answers of Function URLs and HTTP APIs."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from engine.core.outcome import Status

JSON = ("content-type", "application/json")
EVENT_HEADERS = {
    "x-forwarded-for": "192.0.2.7",
    "x-forwarded-port": "3000",
    "x-forwarded-proto": "http",
    "x-amzn-trace-id": "Root=1-5e6a88de-aa",
}


def test_a_function_url_event_is_exactly_this(exchange, request_of):
    """Every field of a POST with a repeated header, cookies, a query and a text body."""
    event = exchange().event(
        request_of(
            "POST",
            b"/my/p%C3%A4th?parameter1=value1&parameter1=value2&parameter2=a+b%2B",
            [
                (b"Host", b"example.test"),
                (b"Header1", b"value1"),
                (b"header2", b"value1"),
                (b"HEADER2", b"value2"),
                (b"Cookie", b"cookie1=a; cookie2=b"),
                (b"User-Agent", b"agent"),
                (b"Content-Type", b"text/plain"),
                (b"Connection", b"keep-alive"),
                (b"X-Forwarded-Proto", b"gopher"),
            ],
            b"Hello",
        )
    )
    api_id = event["requestContext"]["apiId"]

    assert api_id.isalnum()
    assert 32 == len(api_id)
    assert {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/my/p%C3%A4th",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=a+b%2B",
        "cookies": ["cookie1=a", "cookie2=b"],
        "headers": {
            "host": "example.test",
            "header1": "value1",
            "header2": "value1,value2",
            "user-agent": "agent",
            "content-type": "text/plain",
            **EVENT_HEADERS,
        },
        "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "a b+"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": api_id,
            "domainName": "example.test",
            "domainPrefix": api_id,
            "http": {
                "method": "POST",
                "path": "/my/päth",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "agent",
            },
            "requestId": "0f0e0d0c-0b0a-4908-8706-050403020100",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1584039838390,
        },
        "body": "Hello",
        "isBase64Encoded": False,
    } == event


def test_what_is_absent_is_left_out(exchange, request_of):
    """No cookies (nor an empty cookie header), query, parameters, stage variables or body: no such keys."""
    event = exchange().event(request_of(headers=[(b"Cookie", b" ; ")]))

    assert [
        "version",
        "routeKey",
        "rawPath",
        "rawQueryString",
        "headers",
        "requestContext",
    ] == list(event)[:6]
    assert ["isBase64Encoded"] == list(event)[6:]
    assert "" == event["rawQueryString"]
    assert EVENT_HEADERS == event["headers"]
    assert "" == event["requestContext"]["http"]["userAgent"]


def test_an_http_api_decodes_the_path_and_shows_its_stage(exchange, request_of):
    """`rawPath` holds the stage and is decoded, and so are path parameters; the owner's account is named."""
    api = exchange(method="GET", path="/pets/{id}", stage="live", stage_variables={"k": "v"})
    event = api.event(request_of("GET", b"/pets/a%2Fb%20c"), {"id": "a%2Fb%20c"})
    context = event["requestContext"]

    assert ("/live/pets/a/b c", {"id": "a/b c"}) == (event["rawPath"], event["pathParameters"])
    assert {"k": "v"} == event["stageVariables"]
    assert ("GET /pets/{id}", "GET /pets/{id}") == (event["routeKey"], context["routeKey"])
    assert ("live", "/live/pets/a/b c") == (context["stage"], context["http"]["path"])
    assert "123456789012" == context["accountId"]
    assert f"{context['apiId']}.execute-api.eu-west-1.amazonaws.com" == context["domainName"]


@pytest.mark.parametrize(
    ("content_type", "body", "is_text"),
    [
        (b"text/html", b"Hello", True),
        (b"text/anything", b"Hello", True),
        (b"application/json", b"not json", True),
        (b"Application/JSON; charset=utf-8", b"{}", True),
        (b"application/vnd.api+json", b"{}", True),
        (b"application/xml", b"<a/>", True),
        (b"image/svg+xml", b"<svg/>", True),
        (b"application/json", '{"é":"😀"}'.encode(), True),
        (b"text/plain", b"\xab\xcd", False),
        (b"application/test", b"Hello", False),
        (b"application/vnd.ms-excel", b"Hello", False),
        (b"application/octet-stream", b"Hello", False),
        (b"application/x-www-form-urlencoded", b"a=1&b=2", False),
        (b"multipart/form-data; boundary=x", b"--x--", False),
        (b"image/png", b"\x89PNG", False),
        (None, b"Hello", False),
    ],
)
def test_only_text_bodies_stay_text(exchange, request_of, content_type, body, is_text):
    """A content type with json, text or xml in it, and bytes that are UTF-8; all others are base64."""
    headers = [(b"Content-Type", content_type)] if content_type else []
    event = exchange().event(request_of("POST", b"/", headers, body))
    expected = body.decode() if is_text else base64.b64encode(body).decode()

    assert (expected, not is_text) == (event["body"], event["isBase64Encoded"])


@pytest.mark.parametrize(
    ("headers", "forwarded"),
    [
        ([], "192.0.2.7"),
        ([(b"X-Forwarded-For", b"10.0.0.1")], "10.0.0.1, 192.0.2.7"),
        (
            [(b"x-forwarded-for", b"10.0.0.1"), (b"X-Forwarded-For", b"10.0.0.2")],
            "10.0.0.1,10.0.0.2, 192.0.2.7",
        ),
    ],
)
def test_the_peer_is_appended_to_x_forwarded_for(exchange, request_of, headers, forwarded):
    """What the client says of itself stays, and stays first."""
    event = exchange().event(request_of("GET", b"/", headers))

    assert forwarded == event["headers"]["x-forwarded-for"]


def test_several_cookie_headers_are_one_list(exchange, request_of):
    """Empty pieces are dropped."""
    event = exchange().event(request_of("GET", b"/", [(b"cookie", b"a=1;b=2"), (b"Cookie", b" ; c=3;")]))

    assert ["a=1", "b=2", "c=3"] == event["cookies"]
    assert "cookie" not in event["headers"]


def test_events_share_nothing(exchange, request_of):
    """A handler that changes its event does not change the next one."""
    api = exchange(path="/{a}", stage_variables={"k": "v"})
    request = request_of("POST", b"/x?q=1", [(b"Cookie", b"a=1")], b"{}")
    first = api.event(request, {"a": "x"})
    before = json.dumps(first)
    for value in first.values():
        if isinstance(value, dict | list):
            value.clear()

    assert before == json.dumps(api.event(request, {"a": "x"}))


# result, status, headers, body
ANSWERS = [
    (b'"hello"', 200, [JSON], b"hello"),
    (b"3", 200, [JSON], b"3"),
    (b"true", 200, [JSON], b"true"),
    (b"null", 200, [JSON], b"null"),
    (b'""', 200, [JSON], b""),
    (b'["hello", 3, true]', 200, [JSON], b'["hello",3,true]'),
    (b'{"hello": "world"}', 200, [JSON], b'{"hello":"world"}'),
    (b"{}", 200, [JSON], b"{}"),
    (b'{"headers": {"test-header": "value"}}', 200, [JSON], b'{"headers":{"test-header":"value"}}'),
    (b'{"n": 123456789012345678901234567890}', 200, [JSON], b'{"n":123456789012345678901234567890}'),
    (b'{"n": NaN}', 200, [JSON], b'{"n":NaN}'),
    ('{"a": "é"}'.encode(), 200, [JSON], '{"a":"é"}'.encode()),
    (b'{"statusCode": 200}', 200, [JSON], b""),
    (b'{"statusCode": 200, "body": "body123"}', 200, [JSON], b"body123"),
    (b'{"statusCode": 200, "body": null}', 200, [JSON], b""),
    (b'{"statusCode": "201"}', 201, [JSON], b""),
    (b'{"statusCode": 599}', 599, [JSON], b""),
    (b'{"statusCode": 200, "wrongValue": "value"}', 200, [JSON], b""),
    (b'{"statusCode": 200, "headers": null}', 200, [JSON], b""),
    (
        b'{"statusCode": 200, "headers": {"Content-Type": "text/html"}}',
        200,
        [("content-type", "text/html")],
        b"",
    ),
    (
        b'{"statusCode": 200, "headers": {"a": true, "b": 1, "c": 2.5, "d": null}}',
        200,
        [("a", "true"), ("b", "1"), ("c", "2.5"), JSON],
        b"",
    ),
    (
        b'{"statusCode": 201, "cookies": ["a=1; Max-Age=9", "b=2"], "body": "x"}',
        201,
        [JSON, ("set-cookie", "a=1; Max-Age=9"), ("set-cookie", "b=2")],
        b"x",
    ),
    (b'{"statusCode": 200, "isBase64Encoded": true, "body": "dGVzdA=="}', 200, [JSON], b"test"),
    (b'{"statusCode": 200, "isBase64Encoded": false, "body": "dGVzdA=="}', 200, [JSON], b"dGVzdA=="),
    (b'{"statusCode": 200, "isBase64Encoded": true}', 200, [JSON], b""),
    (b'{"statusCode": 200, "body": {"a": [1, 2]}}', 200, [JSON], b'{"a":[1,2]}'),
    (b'{"statusCode": 200, "body": 5}', 200, [JSON], b"5"),
    (b'{"statusCode": 200, "body": "\\ud800"}', 200, [JSON], b"?"),
    (
        (
            b'{"statusCode": 200, "headers": {"Content-Length": "9999", "Transfer-Encoding": "chunked",'
            b' "Connection": "close", "Date": "x", "X-Amzn-RequestId": "mine", "x": "y"}}'
        ),
        200,
        [("x", "y"), JSON],
        b"",
    ),
]


@pytest.mark.parametrize(("result", "status", "headers", "body"), ANSWERS)
@pytest.mark.parametrize("settings", [{}, {"path": "/x"}])
def test_a_result_becomes_this_answer(exchange, lines_of, settings, result, status, headers, body):
    """The response mapping, for Function URL and HTTP API."""
    sent_status, head, sent_body = exchange(**settings).answer(result)

    assert (status, headers, body) == (sent_status, lines_of(head), sent_body)


MALFORMED = [
    b"not json",
    b"",
    b"\xff",
    b'{"statusCode": "test"}',
    b'{"statusCode": null}',
    b'{"statusCode": true}',
    b'{"statusCode": 199}',
    b'{"statusCode": 100}',
    b'{"statusCode": 600}',
    b'{"statusCode": -1}',
    b'{"statusCode": 200.5}',
    b'{"statusCode": "2000"}',
    '{"statusCode": "２００"}'.encode(),
    b'{"statusCode": [200]}',
    b'{"statusCode": 200, "headers": "x"}',
    b'{"statusCode": 200, "headers": [["a", "b"]]}',
    b'{"statusCode": 200, "headers": {"a": ["b"]}}',
    b'{"statusCode": 200, "headers": {"a": {"b": "c"}}}',
    b'{"statusCode": 200, "headers": {"a\\r\\nSet-Cookie": "b"}}',
    b'{"statusCode": 200, "headers": {"a": "b\\r\\nSet-Cookie: c"}}',
    b'{"statusCode": 200, "headers": {"a": "b\\n\\n<html>"}}',
    b'{"statusCode": 200, "headers": {"a": "b\\u0000"}}',
    b'{"statusCode": 200, "headers": {"": "b"}}',
    b'{"statusCode": 200, "headers": {"a b": "c"}}',
    b'{"statusCode": 200, "headers": {"a:": "c"}}',
    b'{"statusCode": 200, "cookies": {"test-cookies-invalid": "value1"}}',
    b'{"statusCode": 200, "cookies": ["a=1\\r\\nx: y"]}',
    b'{"statusCode": 200, "cookies": [1]}',
    b'{"statusCode": 200, "cookies": "a=1"}',
    b'{"statusCode": 200, "isBase64Encoded": true, "body": "dGVzdA"}',
    b'{"statusCode": 200, "isBase64Encoded": true, "body": "dGVz\\ndA=="}',
    b'{"statusCode": 200, "isBase64Encoded": true, "body": "?"}',
    '{"statusCode": 200, "isBase64Encoded": true, "body": "é"}'.encode(),
    b'{"statusCode": 200, "isBase64Encoded": true, "body": {}}',
    b'{"statusCode": 200, "isBase64Encoded": "yes", "body": "x"}',
]


@pytest.mark.parametrize("result", MALFORMED)
def test_what_cannot_be_sent_is_malformed(exchange, lines_of, result):
    """A Function URL answers 502 in plain text, an HTTP API 500 in JSON; nothing of the result leaks."""
    url_status, url_head, url_body = exchange().answer(result)
    api_status, api_head, api_body = exchange(path="/x").answer(result)

    assert (502, b"Internal Server Error") == (url_status, url_body)
    assert (500, b'{"message":"Internal Server Error"}') == (api_status, api_body)
    assert [JSON] == lines_of(url_head) == lines_of(api_head)


def test_an_http_api_takes_an_error_object_for_a_failure(exchange):
    """An object with `errorMessage` and no `statusCode` looks like Lambda's own error; a URL sends it."""
    result = b'{"errorMessage": "test fake error message"}'

    assert 500 == exchange(path="/x").answer(result)[0]
    assert 200 == exchange().answer(result)[0]


@pytest.mark.parametrize("settings", [{}, {"path": "/x"}])
def test_raw_bytes_count_as_json_if_they_are(exchange, settings):
    """A handler that returns bytes is read like any other."""
    assert 204 == exchange(**settings).answer(b'{"statusCode":204}', raw=True)[0]
    assert exchange(**settings).answer(b"\x89PNG", raw=True)[0] in (500, 502)


URL_FAILURE = (502, b"Internal Server Error")
API_FAILURE = (500, b'{"message":"Internal Server Error"}')


@pytest.mark.parametrize(
    "status", [Status.ERROR, Status.TIMEOUT, Status.CRASH, Status.OOM, Status.INIT_ERROR]
)
def test_a_failed_function_never_shows_its_error(exchange, status):
    """502 `Internal Server Error` by URL, 500 by HTTP API, whatever the failure."""
    error = b'{"errorMessage": "secret", "errorType": "E"}'
    url, api = (exchange(**settings).answer(error, status=status) for settings in ({}, {"path": "/x"}))

    assert (url[0], url[2]) == URL_FAILURE
    assert (api[0], api[2]) == API_FAILURE


def test_a_throttled_function_url_passes_lambdas_message(exchange, lines_of):
    """429 with Lambda's reason by URL; an HTTP API only says that it is unavailable."""
    error = b'{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}'
    url, api = (exchange(**s).answer(error, status=Status.THROTTLED) for s in ({}, {"path": "/x"}))

    assert (429, error) == (url[0], url[2])
    assert ("x-amzn-errortype", "TooManyRequestsException") in lines_of(url[1])
    assert (503, b'{"message":"Service Unavailable"}') == (api[0], api[2])


def test_a_cancelled_invocation_is_unavailable(exchange):
    """The engine stopped before it could end."""
    assert 503 == exchange().answer(b"{}", status=Status.CANCELLED)[0]
    assert 503 == exchange(path="/x").answer(b"{}", status=Status.CANCELLED)[0]


def test_deep_results_are_sent_or_refused_never_raised(exchange):
    """Depths that orjson refuses and depths that Python refuses."""
    # How deep Python itself goes depends on its version: 1,000 on 3.11, 10,000 and more since 3.12.
    deep, deepest = (b"[" * depth + b"]" * depth for depth in (300, 100_000))

    assert (200, deep) == exchange().answer(deep)[::2]
    assert 502 == exchange().answer(deepest)[0]
    assert 502 == exchange().answer(b'{"statusCode": 200, "body": %b}' % deepest)[0]


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True).filter(lambda n: "-" not in n[-1:])
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)


@run_with(deadline=None)
@given(st.lists(st.tuples(NAMES.map("X-".__add__), VALUES), max_size=6, unique_by=lambda p: p[0].lower()))
def test_headers_survive_the_way_in_and_out(exchange, request_of, lines_of, pairs):
    """Any header a client sends is in the event; sent back by the handler, it is in the answer."""
    api = exchange()
    event = api.event(request_of("GET", b"/", [(name.encode(), value.encode()) for name, value in pairs]))
    result = {
        "statusCode": 200,
        "headers": {name.lower(): event["headers"][name.lower()] for name, _ in pairs},
    }
    status, head, _ = api.answer(json.dumps(result).encode())

    assert 200 == status
    assert {name.lower(): value for name, value in pairs} == dict(lines_of(head)[:-1])


@run_with(deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,5}=[!-:<-~]{0,8}", fullmatch=True), max_size=5))
def test_cookies_survive_the_way_in_and_out(exchange, request_of, lines_of, cookies):
    """Each cookie sent is one element, each element one `set-cookie`."""
    api = exchange()
    headers = [(b"Cookie", "; ".join(cookies).encode())] if cookies else []
    event = api.event(request_of("GET", b"/", headers))
    _, head, _ = api.answer(json.dumps({"statusCode": 200, "cookies": event.get("cookies")}).encode())

    assert cookies == [value for name, value in lines_of(head) if name == "set-cookie"]


@run_with(deadline=None)
@given(st.binary(min_size=1, max_size=200), st.sampled_from([b"image/png", b"application/json", b"text/x"]))
def test_any_body_survives_the_way_in_and_out(exchange, request_of, body, content_type):
    """Echoing `body` and `isBase64Encoded` answers with the request's bytes."""
    api = exchange()
    event = api.event(request_of("POST", b"/", [(b"content-type", content_type)], body))
    echo = {"statusCode": 200, "body": event["body"], "isBase64Encoded": event["isBase64Encoded"]}

    assert body == api.answer(json.dumps(echo).encode())[2]
