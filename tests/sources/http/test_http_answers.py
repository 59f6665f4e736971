"""Any result of any handler: a valid answer, never an exception."""

import json
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from engine.core.outcome import Status
from engine.sources.http.error_responses import ErrorResponses, error_responses, no_route
from engine.sources.http.responses import ResponseHeads, http_status, parse, plain_body
from engine.sources.http.settings import FrontDoor
from tests.reachable import reachable

LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\x00-\x08\x0a-\x1f\x7f]*")

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["a", "A", "Content-Type", "content-length", "x y", "é", "a\r\nb", "", "Set-Cookie"])
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "statusCode": st.sampled_from([200, 204, 404, 599, "201", 99, 600, 1e3, None, True, "x"]) | VALUES,
        "headers": st.dictionaries(NAMES, VALUES, max_size=4) | VALUES,
        "multiValueHeaders": st.dictionaries(NAMES, st.lists(VALUES, max_size=3), max_size=3) | VALUES,
        "cookies": st.lists(VALUES, max_size=3) | VALUES,
        "body": VALUES | st.sampled_from(["dGVzdA==", "dGVzdA"]),
        "isBase64Encoded": st.booleans() | VALUES,
        "statusDescription": VALUES,
        "other": VALUES,
    },
)
SETTINGS = [
    {},
    {"path": "/x"},
    {"payload_format": "1.0", "path": "/x", "binary_media_types": ["*/*"]},
    {"payload_format": "1.0", "path": "/x"},
    {"payload_format": "alb"},
    {"payload_format": "alb", "multi_value_headers": True},
]


def assert_valid(answer):
    status, head, body = answer
    lines = head.split(b"\r\n")

    assert 200 <= status <= 599
    assert b"" == lines[-1]
    assert all(LINE.fullmatch(line) for line in lines[:-1])
    assert 1 == sum(line.startswith(b"x-amzn-requestid: ") for line in lines)
    assert isinstance(body, bytes)


@pytest.mark.parametrize("settings", SETTINGS)
@run_with(deadline=None)
@given(st.one_of(VALUES, SHAPED))
def test_any_json_result_becomes_a_valid_answer(exchange, settings, result):
    """Status in range, header lines well formed, whatever the handler returned."""
    assert_valid(exchange(**settings).answer(json.dumps(result).encode()))


@pytest.mark.parametrize("settings", SETTINGS)
@run_with(deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_become_a_valid_answer(exchange, settings, result):
    """Also what is no JSON at all."""
    assert_valid(exchange(**settings).answer(result, raw=True))


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("body", [b"", b"\xff", b'{"errorMessage":"x"}'])
def test_every_way_to_end_becomes_a_valid_answer(exchange, settings, status, body):
    """All eight, with any body."""
    assert_valid(exchange(**settings).answer(body, status=status))


@run_with(deadline=None)
@given(VALUES.filter(lambda value: not isinstance(value, str)))
def test_a_plain_value_is_sent_unchanged(value):
    """What is read from the answer is what was read from the result, integers of any size included."""
    source = json.dumps(value).encode()
    body = plain_body(parse(source), source)

    assert repr(json.loads(source)) == repr(json.loads(body))


def test_remembered_heads_do_not_mix_up_equal_values():
    """1 and True are one dictionary key, but two header values."""
    heads = ResponseHeads()
    rendered = [heads.render({"a": value}) for value in ("1", 1, True, "true", 1.0, "1", True)]

    assert [
        b"1",
        b"1",
        b"true",
        b"true",
        b"1.0",
        b"1",
        b"true",
    ] == [head.split(b"\r\n")[0].removeprefix(b"a: ") for head in rendered]


def test_remembered_heads_stay_few():
    """A handler with a new header value each time costs no memory."""
    heads = ResponseHeads()
    for number in range(10_000):
        heads.render({"x-request": str(number)})

    assert reachable(heads) < 10_000


@pytest.mark.parametrize(
    "value", [None, True, 199, 600, 2**70, "", "20", "0200", "-20", "٢٠٠", 200.5, [], {}]
)
def test_what_is_no_status_is_refused(value):
    """Only integers, and three ASCII digits."""
    with pytest.raises(ValueError, match="statusCode"):
        http_status(value)


@pytest.mark.parametrize("front_door", list(FrontDoor))
def test_each_front_door_has_its_own_refusals(front_door, outcome_of):
    """413 for a body that is too large, 503 while stopping."""
    refused = error_responses(front_door)

    assert isinstance(refused, ErrorResponses)
    assert (413, 503) == (refused.too_large[0], refused.unavailable[0])
    assert refused.of(outcome_of(b"x", status=Status.ERROR)) == refused.of(
        outcome_of(b"y", status=Status.CRASH)
    )


@pytest.mark.parametrize(
    ("format", "result", "status", "reason"),
    [
        ({"path": "/a"}, b'{"errorMessage": ""}', 500, "it looks like an error of Lambda"),
        ({}, b'{"statusCode": 99}', 502, "statusCode is not a status"),
        ({"payload_format": "1.0"}, b"[]", 502, "it is no object with a statusCode"),
        ({"payload_format": "1.0"}, b'{"a\\n": 1}', 502, "unknown keys: 'a\\n'"),
        ({"payload_format": "1.0", "api": "http"}, b"{}", 500, "it is no object with a statusCode"),
        ({"payload_format": "alb"}, b'{"statusCode": "200"}', 502, "it is no object with a statusCode"),
    ],
)
def test_why_a_result_is_no_response_is_said_in_a_line(exchange, format, result, status, reason):  # noqa: A002
    """Its client is not told; a result that can be sent is said nothing of."""
    one = exchange(**format)
    one.answer(b'{"statusCode": 200}')
    code, _, _ = one.answer(result)
    (line,) = one.said

    assert status == code
    assert line.endswith(f" gave no HTTP response, its client gets {status}: {reason}")


def test_no_route_is_answered_as_the_front_doors_do():
    """404 of an HTTP API, 403 where there are REST APIs only."""
    assert (404, {"message": "Not Found"}) == _json(no_route(rest_only=False))
    assert (403, {"message": "Missing Authentication Token"}) == _json(no_route(rest_only=True))


def _json(answer):
    return answer[0], orjson.loads(answer[2])
