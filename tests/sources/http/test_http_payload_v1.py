"""Payload 1.0: golden events and answers of a REST API."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from engine.core.outcome import Status

JSON = ("content-type", "application/json")
REFUSED = (502, b'{"message":"Internal server error"}')


@pytest.fixture(scope="session")
def rest(exchange):
    """`rest(**settings)` is an exchange in format 1.0."""
    return lambda **settings: exchange(payload_format="1.0", **{"path": "/{proxy+}", **settings})


def test_a_rest_event_is_exactly_this(rest, request_of):
    """Every field of a POST with repeated headers and query values."""
    event = rest(stage="stage").event(
        request_of(
            "POST",
            b"/hello/wor%2Bld/?name=you&name=me+too&p=",
            [
                (b"Host", b"example.test"),
                (b"Accept", b"*/*"),
                (b"X-Two", b"a"),
                (b"X-Two", b"last"),
                (b"User-Agent", b"curl/8"),
                (b"x-forwarded-for", b"10.0.0.1"),
                (b"Connection", b"keep-alive"),
            ],
            b'{"a":1}',
        ),
        {"proxy": "hello/wor%2Bld/"},
    )
    context = event["requestContext"]

    assert {
        "resource": "/{proxy+}",
        "path": "/hello/wor%2Bld/",
        "httpMethod": "POST",
        "headers": {
            "Host": "example.test",
            "Accept": "*/*",
            "X-Two": "last",
            "User-Agent": "curl/8",
            "X-Forwarded-For": "10.0.0.1, 192.0.2.7",
            "X-Forwarded-Port": "3000",
            "X-Forwarded-Proto": "http",
            "X-Amzn-Trace-Id": "Root=1-5e6a88de-aa",
        },
        "multiValueHeaders": {
            "Host": ["example.test"],
            "Accept": ["*/*"],
            "X-Two": ["a", "last"],
            "User-Agent": ["curl/8"],
            "X-Forwarded-For": ["10.0.0.1, 192.0.2.7"],
            "X-Forwarded-Port": ["3000"],
            "X-Forwarded-Proto": ["http"],
            "X-Amzn-Trace-Id": ["Root=1-5e6a88de-aa"],
        },
        "queryStringParameters": {"name": "me too", "p": ""},
        "multiValueQueryStringParameters": {"name": ["you", "me too"], "p": [""]},
        "pathParameters": {"proxy": "hello/wor%2Bld"},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": context["apiId"],
            "deploymentId": context["deploymentId"],
            "domainName": f"{context['apiId']}.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": context["apiId"],
            "extendedRequestId": context["extendedRequestId"],
            "httpMethod": "POST",
            "identity": {
                "accessKey": None,
                "accountId": None,
                "caller": None,
                "cognitoAuthenticationProvider": None,
                "cognitoAuthenticationType": None,
                "cognitoIdentityId": None,
                "cognitoIdentityPoolId": None,
                "principalOrgId": None,
                "sourceIp": "192.0.2.7",
                "user": None,
                "userAgent": "curl/8",
                "userArn": None,
            },
            "path": "/stage/hello/wor%2Bld/",
            "protocol": "HTTP/1.1",
            "requestId": "0f0e0d0c-0b0a-4908-8706-050403020100",
            "requestTime": "12/Mar/2020:19:03:58 +0000",
            "requestTimeEpoch": 1584039838390,
            "resourceId": context["resourceId"],
            "resourcePath": "/{proxy+}",
            "stage": "stage",
        },
        "body": '{"a":1}',
        "isBase64Encoded": False,
    } == event
    assert (10, 6, 6, 16) == tuple(
        len(context[key]) for key in ("apiId", "deploymentId", "resourceId", "extendedRequestId")
    )


def test_what_is_absent_is_null(rest, request_of):
    """Query, parameters, stage variables and body; the version key does not exist."""
    event = rest(path="/hello").event(request_of("GET", b"/hello"))

    assert [
        "body",
        "multiValueQueryStringParameters",
        "pathParameters",
        "queryStringParameters",
        "stageVariables",
    ] == sorted(key for key, value in event.items() if value is None)
    assert event["requestContext"]["identity"]["userAgent"] is None
    assert "version" not in event


@pytest.mark.parametrize(
    ("target", "resource", "parameters"),
    [
        (b"/", "/", None),
        (b"/a//b/", "/{proxy+}", {"proxy": "a//b"}),
        (b"/test%2Balias@gmail.com", "/{proxy+}", {"proxy": "test%2Balias@gmail.com"}),
    ],
)
def test_the_catch_all_is_shown_as_a_proxy_resource(rest, request_of, target, resource, parameters):
    """A REST API has no $default; encoding and double slashes stay, a trailing slash does not."""
    event = rest(path="$default").event(request_of("GET", target))

    assert (resource, parameters) == (event["resource"], event["pathParameters"])
    assert target.decode() == event["path"]


def test_the_agent_is_found_however_it_is_spelled(rest, request_of):
    """The client's spelling stays in `headers`."""
    event = rest().event(request_of("GET", b"/a", [(b"user-Agent", b"x/1")]), {"proxy": "a"})

    assert "x/1" == event["requestContext"]["identity"]["userAgent"]
    assert "x/1" == event["headers"]["User-Agent"]


@pytest.mark.parametrize(
    ("binary", "content_type", "encoded"),
    [
        ([], b"image/png", False),
        (["image/png"], b"image/png; q=1", True),
        (["image/*"], b"Image/JPEG", True),
        (["image/png"], b"image/jpeg", False),
        (["*/*"], b"text/plain", True),
        (["application/json"], None, True),
        (["image/png"], None, False),
    ],
)
def test_bodies_are_base64_by_the_apis_binary_media_types(rest, request_of, binary, content_type, encoded):
    """Nothing else counts; a missing content type is JSON."""
    headers = [(b"Content-Type", content_type)] if content_type else []
    request = request_of("POST", b"/a", headers, b"\xffab")
    event = rest(binary_media_types=binary).event(request, {"proxy": "a"})
    expected = base64.b64encode(b"\xffab").decode() if encoded else "\ufffdab"

    assert (expected, encoded) == (event["body"], event["isBase64Encoded"])


ANSWERS = [
    ({"statusCode": 200}, 200, [JSON], b""),
    ({"headers": {"test-header": "value"}}, 200, [("test-header", "value"), JSON], b""),
    ({"body": "x"}, 200, [JSON], b"x"),
    ({"statusCode": "201"}, 201, [JSON], b""),
    ({"statusCode": 200, "headers": None}, 200, [JSON], b""),
    ({"statusCode": 200, "multiValueHeaders": None}, 200, [JSON], b""),
    (
        {"statusCode": 200, "headers": {"test-header": "value", "header-bool": True}},
        200,
        [("test-header", "value"), ("header-bool", "true"), JSON],
        b"",
    ),
    (
        {"statusCode": 200, "multiValueHeaders": {"test-multi": ["value1", "value2"]}},
        200,
        [("test-multi", "value1"), ("test-multi", "value2"), JSON],
        b"",
    ),
    (
        {
            "statusCode": 200,
            "multiValueHeaders": {"tesT-Multi": ["v-multi"]},
            "headers": {"test-multi": "v-solo"},
        },
        200,
        [("test-multi", "v-multi"), ("test-multi", "v-solo"), JSON],
        b"",
    ),
    (
        {"statusCode": 200, "multiValueHeaders": {"a": ["1"]}, "headers": {"A": "1", "b": None}},
        200,
        [("a", "1"), JSON],
        b"",
    ),
    (
        {"statusCode": 200, "multiValueHeaders": {"Content-Type": ["text/css"], "Date": ["x"]}},
        200,
        [("content-type", "text/css"), ("x-amzn-remapped-date", "x")],
        b"",
    ),
    ({"statusCode": 200, "isBase64Encoded": True, "body": "dGVzdA=="}, 200, [JSON], b"dGVzdA=="),
    ({"statusCode": 200, "isBase64Encoded": False, "body": "dGVzdA=="}, 200, [JSON], b"dGVzdA=="),
    ({"statusCode": 200, "isBase64Encoded": True, "body": None}, 200, [JSON], b""),
]


@pytest.mark.parametrize(("result", "status", "headers", "body"), ANSWERS)
def test_a_result_becomes_this_answer(rest, lines_of, result, status, headers, body):
    """The recorded table of a REST API's proxy responses."""
    sent_status, head, sent_body = rest().answer(json.dumps(result).encode())

    assert (status, headers, body) == (sent_status, lines_of(head), sent_body)


MALFORMED = [
    b"{}",
    b'"justAString"',
    b"3",
    b"null",
    b"[]",
    b"not json",
    b"",
    b'{"statusCode": 200, "wrongValue": "value"}',
    b'{"statusCode": 200, "cookies": ["a=1"]}',
    b'{"statusCode": "test"}',
    b'{"statusCode": 99}',
    b'{"statusCode": 1000}',
    b'{"statusCode": 200, "multiValueHeaders": {"test-multi-invalid": "value1"}}',
    b'{"statusCode": 200, "multiValueHeaders": ["a"]}',
    b'{"statusCode": 200, "multiValueHeaders": {"a": [["b"]]}}',
    b'{"statusCode": 200, "multiValueHeaders": {"a": ["b\\r\\nc: d"]}}',
    b'{"statusCode": 200, "headers": {"a": "b\\r\\nc: d"}}',
    b'{"statusCode": 200, "headers": {"a\\nb": "c"}}',
    b'{"statusCode": 200, "headers": "a"}',
    b'{"statusCode": 200, "body": {"a": 1}}',
    b'{"statusCode": 200, "body": 3}',
    b'{"statusCode": 200, "isBase64Encoded": 1, "body": "x"}',
]


@pytest.mark.parametrize("result", MALFORMED)
def test_what_cannot_be_sent_is_malformed(rest, lines_of, result):
    """502 `Internal server error`, with the type of the error."""
    status, head, body = rest().answer(result)

    assert (status, body) == REFUSED
    assert [JSON, ("x-amzn-errortype", "InternalServerErrorException")] == lines_of(head)


@pytest.mark.parametrize(
    ("binary", "accept", "body"),
    [
        (["image/png"], b"image/png", b"\xff\x00"),
        (["image/png"], b"image/png;q=0.8, text/html", b"\xff\x00"),
        (["image/png"], b"text/html, image/png", b"/wA="),
        (["image/png"], b"*/*", b"/wA="),
        (["image/png"], None, b"/wA="),
        (["*/*"], None, b"\xff\x00"),
        (["image/*"], b"image/webp", b"\xff\x00"),
    ],
)
def test_base64_is_decoded_only_for_binary_media_types(rest, request_of, binary, accept, body):
    """The first type of `Accept` decides; else the base64 text goes out."""
    request = request_of("GET", b"/a", [(b"Accept", accept)] if accept else [])
    result = b'{"statusCode": 200, "isBase64Encoded": true, "body": "/wA="}'

    assert (200, body) == rest(binary_media_types=binary).answer(result, request)[::2]


def test_bad_base64_is_malformed_where_it_is_decoded(rest):
    """The text would have passed where it is not."""
    result = b'{"statusCode": 200, "isBase64Encoded": true, "body": "/w"}'

    assert REFUSED == rest(binary_media_types=["*/*"]).answer(result)[::2]
    assert (200, b"/w") == rest().answer(result)[::2]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (Status.ERROR, REFUSED),
        (Status.TIMEOUT, REFUSED),
        (Status.CRASH, REFUSED),
        (Status.OOM, REFUSED),
        (Status.INIT_ERROR, REFUSED),
        (Status.THROTTLED, (500, b'{"message":"Internal server error"}')),
        (Status.CANCELLED, (503, b'{"message":"Service Unavailable"}')),
    ],
)
def test_failures_are_internal_server_errors(rest, status, answer):
    """The client never sees which."""
    assert answer == rest().answer(b'{"errorMessage": "secret"}', status=status)[::2]


@run_with(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["A", "B", "c"]), st.text("xyz", min_size=1, max_size=3)), max_size=6)
)
def test_all_values_of_a_header_are_listed_and_the_last_is_single(rest, request_of, pairs):
    """`headers` and `multiValueHeaders` agree for any repetition."""
    request = request_of("GET", b"/a", [(name.encode(), value.encode()) for name, value in pairs])
    event = rest().event(request, {"proxy": "a"})
    sent = {name: [value for key, value in pairs if key == name] for name, _ in pairs}

    assert sent == {name: event["multiValueHeaders"][name] for name in sent}
    assert {name: values[-1] for name, values in sent.items()} == {
        name: event["headers"][name] for name in sent
    }
    assert event["headers"].keys() == event["multiValueHeaders"].keys()
