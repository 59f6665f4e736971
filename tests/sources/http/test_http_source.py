"""HttpSource without sockets: requests to events, outcomes to answers, refusals."""

import asyncio
import json
import math

import pytest
from pydantic import BaseModel

from engine.core.function import Function
from engine.core.outcome import Status
from engine.errors import ConfigError, FunctionNotFound, NotAccepting
from engine.ports import Binding
from engine.sources.http.event_handler import HttpEventHandler
from engine.sources.http.settings import HttpEvent
from engine.sources.http.source import HttpSource
from tests.reachable import reachable


class Recorder:
    """A sink that keeps what it is given, or refuses it."""

    def __init__(self, refusal=None):
        self.submitted = []
        self.refusal = refusal

    def submit(self, event, reply, /):
        if self.refusal is not None:
            raise self.refusal
        self.submitted.append((event, reply))


def bindings(*routes):
    return [
        Binding(function=Function(name, handler="m.f"), settings=HttpEvent(**settings))
        for name, settings in routes
    ]


@pytest.fixture
def desk_of(host):
    """`desk_of(routes..., refusal=None)` gives a desk and its sink."""

    def make(*routes, refusal=None):
        sink = Recorder(refusal)
        return HttpEventHandler(HttpSource.build(bindings(*routes), host).router, sink, host), sink

    return make


def test_a_request_becomes_an_event_of_the_routes_function(desk_of, request_of, outcome_of, client):
    """Payload and document say the same; the answer reaches the client once the outcome is there."""
    desk, sink = desk_of(("hello", {"path": "/hello/{name}"}), ("other", {}))
    desk.handle(request_of("GET", b"/hello/ada?x=1", client=client))
    [(event, reply)] = sink.submitted
    document = event.document

    assert ("hello", "http", 1.5) == (event.function, event.trigger, event.received_s)
    assert event.request_id == document["requestContext"]["requestId"]
    assert event.trace_id == document["headers"]["x-amzn-trace-id"]
    assert {"name": "ada"} == document["pathParameters"]
    assert json.loads(event.payload) == document
    assert [] == client.answers

    reply(outcome_of(b'"hi"'))

    assert [(200, b"hi")] == [(status, body) for status, _, body in client.answers]


@pytest.mark.parametrize(
    ("settings", "failed", "throttled"),
    [
        ({"path": "/a"}, (502, b"Internal Server Error"), 429),
        ({"path": "/a", "payload_format": "1.0"}, (502, b'{"message":"Internal server error"}'), 500),
    ],
)
def test_a_route_that_streams_answers_failures_as_a_url_or_a_rest_api(
    settings, failed, throttled, desk_of, request_of, outcome_of, client
):
    """HTTP APIs do not stream: a route of format 2.0 that does is a function URL, with a path."""
    desk, sink = desk_of(("f", settings | {"response_stream": True}))
    for status in (Status.ERROR, Status.THROTTLED):
        desk.handle(request_of("GET", b"/a", client=client))
        _, reply = sink.submitted.pop()
        reply(outcome_of(b"{}", status=status))
    [(first, _, body), (second, _, _)] = client.answers

    assert (failed, throttled) == ((first, body), second)


LARGE = [{"n": number} for number in range(60_000)]


@pytest.mark.parametrize(
    ("settings", "result", "expected"),
    [
        ({}, LARGE, (200, json.dumps(LARGE, separators=(",", ":")).encode())),
        ({"path": "/a"}, {"statusCode": 201, "body": "x" * 600_000}, (201, b"x" * 600_000)),
        ({"path": "/a", "payload_format": "1.0"}, {"body": "x", "more": LARGE}, (502, None)),
        ({"path": "/a", "payload_format": "1.0", "api": "http"}, LARGE, (500, None)),
        ({"payload_format": "alb"}, LARGE, (502, None)),
        ({}, [*LARGE, math.nan], (200, json.dumps([*LARGE, math.nan], separators=(",", ":")).encode())),
    ],
)
async def test_a_large_result_is_read_a_piece_in_each_turn_of_the_loop(
    desk_of, request_of, outcome_of, client, settings, result, expected
):
    """The answer is that to a small one."""
    desk, sink = desk_of(("f", settings))
    desk.handle(request_of("GET", b"/a", client=client))
    [(_, reply)] = sink.submitted
    body = json.dumps(result).encode()
    reply(outcome_of(body))
    turns = 0
    while not client.answers:
        turns += 1
        await asyncio.sleep(0)
    [(status, _, sent)] = client.answers

    assert expected == (status, sent if expected[1] is not None else None)
    assert turns > len(body) // 131_072


def test_routes_with_different_front_doors_share_a_listener(desk_of, request_of):
    """Each function gets the format its route asks for."""
    desk, sink = desk_of(
        ("rest", {"path": "/rest", "payload_format": "1.0"}),
        ("alb", {"payload_format": "alb"}),
        ("api", {"path": "/a"}),
    )
    for target in (b"/rest", b"/rest/", b"/a", b"/a/", b"/elsewhere"):
        desk.handle(request_of("GET", target))

    assert ["rest", "alb", "api", "alb", "alb"] == [event.function for event, _ in sink.submitted]


def test_a_rest_api_does_not_tell_a_trailing_slash(desk_of, request_of, client):
    """/pets/ is /pets for a REST API, and another path for an HTTP API."""
    desk, sink = desk_of(("rest", {"path": "/rest", "payload_format": "1.0"}), ("api", {"path": "/api"}))
    for target in (b"/rest/", b"/api/"):
        desk.handle(request_of("GET", target, client=client))

    assert ["/rest/"] == [event.document["path"] for event, _ in sink.submitted]
    assert [404] == [status for status, _, _ in client.answers]


@pytest.mark.parametrize(
    ("routes", "answer"),
    [
        ([], (404, b'{"message":"Not Found"}')),
        ([("f", {"path": "/a"})], (404, b'{"message":"Not Found"}')),
        (
            [("f", {"path": "/a", "payload_format": "1.0"})],
            (403, b'{"message":"Missing Authentication Token"}'),
        ),
        (
            [("f", {"path": "/a", "payload_format": "1.0"}), ("g", {"path": "/b"})],
            (404, b'{"message":"Not Found"}'),
        ),
    ],
)
def test_a_request_without_route_is_refused(desk_of, request_of, client, routes, answer):
    """404, or 403 where every route is a REST API's; nothing is submitted, the request has an id."""
    desk, sink = desk_of(*routes)
    desk.handle(request_of("GET", b"/nowhere", client=client))
    [(status, head, body)] = client.answers

    assert (status, body) == answer
    assert b"x-amzn-requestid: 0f0e0d0c-" in head
    assert [] == sink.submitted


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, 6291456),
        ({"path": "/a"}, 10485760),
        ({"path": "/a", "payload_format": "1.0"}, 10485760),
        ({"payload_format": "alb"}, 1048576),
    ],
)
def test_a_body_over_the_front_doors_limit_is_413(desk_of, request_of, client, settings, limit):
    """Whether the server refused it already or not."""
    desk, sink = desk_of(("f", settings))
    desk.handle(request_of("POST", b"/a", body=b"x" * (limit + 1), client=client))
    desk.handle(request_of("POST", b"/a", too_large=10**9, client=client))

    assert [413, 413] == [status for status, _, _ in client.answers]
    assert [] == sink.submitted


def test_an_event_over_lambdas_limit_is_413(desk_of, request_of, client):
    """5 MB of binary body is more than 6 MB as base64."""
    desk, sink = desk_of(("f", {}))
    desk.handle(request_of("POST", b"/", body=b"\xff" * 5_000_000, client=client))
    desk.handle(request_of("POST", b"/", body=b"\xff" * 4_000_000, client=client))

    assert [413] == [status for status, _, _ in client.answers]
    assert 1 == len(sink.submitted)


FORBIDDEN = (
    b'{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: '
    b'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}'
)


@pytest.mark.parametrize(
    ("refusal", "settings", "answer"),
    [
        (NotAccepting("draining"), {}, (503, b"Service Unavailable")),
        (NotAccepting("draining"), {"path": "/a"}, (503, b'{"message":"Service Unavailable"}')),
        (FunctionNotFound("f"), {}, (403, FORBIDDEN)),
        (FunctionNotFound("f"), {"path": "/a"}, (500, b'{"message":"Internal Server Error"}')),
    ],
)
def test_a_refusing_engine_is_answered_for(desk_of, request_of, client, refusal, settings, answer):
    """503 while it takes nothing; a function that is gone looks like one that fails."""
    desk, _ = desk_of(("f", settings), refusal=refusal)
    desk.handle(request_of("GET", b"/a", client=client))

    assert [answer] == [(status, body) for status, _, body in client.answers]


@pytest.mark.parametrize(
    ("sent", "trace"),
    [
        (None, "Root=1-5e6a879e-0504030201000f0e0d0c0b0a"),
        (b"Root=1-00000000-00;Sampled=1", "Root=1-00000000-00;Sampled=1"),
        (b"Self=1-0-0;Root=1-2-3", "Self=1-0-0;Root=1-2-3"),
        (b"Sampled=1", "Root=1-5e6a879e-0504030201000f0e0d0c0b0a;Sampled=1"),
    ],
)
def test_a_trace_goes_on_or_begins(desk_of, request_of, sent, trace):
    """The client's root is kept, or one is made; event and header agree."""
    desk, sink = desk_of(("f", {}))
    desk.handle(request_of("GET", b"/", [(b"X-Amzn-Trace-Id", sent)] if sent else []))
    [(event, _)] = sink.submitted

    assert (trace, trace) == (event.trace_id, event.document["headers"]["x-amzn-trace-id"])


def test_remembered_targets_stay_few(desk_of, request_of):
    """Ten thousand different targets, and some very long ones, are not kept."""
    desk, sink = desk_of(("f", {"path": "/{name}"}))
    sizes = []
    for most in (4_000, 10_000):
        for number in range(most):
            desk.handle(request_of("GET", b"/%d" % number))
            sink.submitted.clear()
        sizes.append(reachable(desk))
    desk.handle(request_of("GET", b"/" + b"x" * 5000))
    [(event, _)] = sink.submitted
    sink.submitted.clear()

    assert sizes[1] <= sizes[0]
    assert sizes[1] == reachable(desk)
    assert "x" * 5000 == event.document["pathParameters"]["name"]


def test_a_known_target_is_asked_again_for_another_method(desk_of, request_of):
    """The method is part of what is remembered."""
    desk, sink = desk_of(("get", {"method": "GET", "path": "/a"}), ("any", {"path": "/a"}))
    for method in ("GET", "POST", "GET"):
        desk.handle(request_of(method, b"/a"))

    assert ["get", "any", "get"] == [event.function for event, _ in sink.submitted]


def test_header_names_of_clients_are_kept_few(desk_of, request_of):
    """A client that invents names all day costs no memory, and still gets them all."""
    desk, sink = desk_of(("f", {}))
    sizes = []
    for most in (1_500, 3_000):
        for number in range(most):
            sink.submitted.clear()
            desk.handle(request_of("GET", b"/", [(b"X-%d" % number, b"v"), (b"Y" * 100, b"w")]))
        last = sink.submitted.pop()[0].document["headers"]
        sizes.append(reachable(desk))

    assert sizes[0] == sizes[1]
    assert ("v", "w") == (last["x-2999"], last["y" * 100])


def test_every_conflict_is_reported_at_once(host):
    """Building fails with one line for each route claimed twice."""
    with pytest.raises(ConfigError) as refused:
        HttpSource.build(
            bindings(("a", {}), ("b", {}), ("a", {"path": "/x/{y}"}), ("c", {"path": "/x/{z}"})), host
        )

    assert (
        "functions.b.events: ANY $default is taken by function 'a'",
        "functions.c.events: ANY /x/{z} is taken by function 'a'",
    ) == refused.value.problems


def test_foreign_settings_are_a_bug(host):
    """Only HttpEvent tables belong here."""

    class Foreign(BaseModel):
        pass

    binding = Binding(function=Function("f", handler="m.f"), settings=Foreign())

    with pytest.raises(TypeError, match="HttpEvent"):
        HttpSource.build([binding], host)
