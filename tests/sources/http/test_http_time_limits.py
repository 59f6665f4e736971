"""How long a front door waits for a function, on virtual time."""

import asyncio
from dataclasses import replace

import pytest

from engine.core.function import Function
from engine.core.outcome import Status
from engine.errors import NotAccepting
from engine.ports import Binding
from engine.protocols.http.server import Request
from engine.sources.http.event_handler import HttpEventHandler
from engine.sources.http.settings import HttpEvent
from engine.sources.http.source import HttpSource

REST = {"payload_format": "1.0", "path": "/a"}
REST_504 = (504, b'{"message":"Endpoint request timed out"}')
HTTP_503 = (503, b'{"message":"Service Unavailable"}')


class Door:
    """A front door with functions that answer when told to."""

    def __init__(self, host, request_id, *settings):
        self.clock = asyncio.get_running_loop().clock
        self.began_s = self.clock.now()
        self.replies = []
        self.answers = []  # seconds, status, body
        self.request_id = request_id
        self.refusal = None
        bindings = [
            Binding(function=Function(f"f{number}", handler="m.f"), settings=HttpEvent(**one))
            for number, one in enumerate(settings)
        ]
        host = replace(host, clock=self.clock)
        router = HttpSource.build(bindings, host).router
        self.handler = HttpEventHandler(router, self, host, keeps_time_limits=True)

    def submit(self, event, reply, /):
        if self.refusal is not None:
            raise self.refusal
        self.replies.append(reply)

    def answer(self, request, status, head, body):
        self.answers.append((round(self.clock.now() - self.began_s, 3), status, body))
        assert f"x-amzn-requestid: {self.request_id}".encode() in head

    def get(self, target):
        self.handler.handle(Request(self, "GET", target, b"", [], b"", "1.1", "::1", self.clock.now()))


@pytest.fixture
def door_of(host):
    return lambda *settings: Door(host, host.new_request_id(), *settings)


@pytest.mark.parametrize(
    ("settings", "after_s", "expected"),
    [
        (REST, 29, REST_504),
        (REST | {"timeout_s": 0.5}, 0.5, REST_504),
        (REST | {"api": "http"}, 30, HTTP_503),
        ({"path": "/a"}, 30, HTTP_503),
        ({"path": "/a", "timeout_s": 2}, 2, HTTP_503),
    ],
)
async def test_an_api_answers_for_a_function_that_takes_too_long(
    door_of, outcome_of, settings, after_s, expected
):
    """The function's own answer, which comes later, goes nowhere."""
    door = door_of(settings)
    door.get(b"/a")
    await asyncio.sleep(100)
    door.replies[0](outcome_of(b'{"statusCode": 200}'))
    await asyncio.sleep(100)

    assert [(after_s, *expected)] == door.answers
    assert [] == asyncio.get_running_loop().timers()


@pytest.mark.parametrize(
    "settings", [{}, {"payload_format": "alb"}, REST | {"timeout_s": 0}, {"path": "/a", "timeout_s": 0}]
)
async def test_other_front_doors_wait_as_long_as_it_takes(door_of, outcome_of, settings):
    """So does an API whose limit is 0."""
    door = door_of(settings)
    door.get(b"/a")
    await asyncio.sleep(899)
    door.replies[0](outcome_of(b'{"statusCode": 201}'))

    assert [(899, 201, b"")] == door.answers


async def test_an_answer_in_time_is_the_only_one(door_of, outcome_of):
    """A failure in time too; each request has its own limit, counted from when it came."""
    door = door_of(REST, {"path": "/b"})
    door.get(b"/a")
    door.get(b"/b")
    await asyncio.sleep(20)
    door.get(b"/a")
    await asyncio.sleep(8)
    door.replies[0](outcome_of(b'{"statusCode": 200}'))
    door.replies[1](outcome_of(b"{}", status=Status.ERROR))
    await asyncio.sleep(100)

    assert [(28, 200), (28, 500), (49, 504)] == [answer[:2] for answer in door.answers]


async def test_what_was_refused_is_not_given_up_later(door_of):
    door = door_of(REST)
    door.refusal = NotAccepting("draining")
    door.get(b"/a")
    await asyncio.sleep(100)

    assert [(0, 503)] == [answer[:2] for answer in door.answers]


async def test_a_closed_listener_gives_up_nothing(door_of):
    door = door_of(REST)
    door.get(b"/a")
    door.handler.close()
    await asyncio.sleep(100)

    assert [] == door.answers


@pytest.mark.parametrize("settings", [{}, {"payload_format": "alb"}])
def test_only_routes_of_apis_have_a_time_limit(settings):
    with pytest.raises(Exception, match="timeout_s is for routes of APIs"):
        HttpEvent(**settings, timeout_s=1)
