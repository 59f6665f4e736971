"""What the console has done, or refuses, without a socket."""

from __future__ import annotations

import orjson
import pytest

from engine import Function
from engine.app.aws_client import AwsClient
from engine.config import from_functions
from engine.console.actions import Actions
from engine.protocols.http.message import Request
from engine.testing import VirtualClock


class Writer:
    """Keeps what is answered."""

    peer = "127.0.0.1"

    def __init__(self):
        self.answers = []

    def answer(self, _request, status, _head, body):
        self.answers.append((status, orjson.loads(body)))

    def awaits(self, _request):
        return True


def perform(actions, path, body=b"{}", *, token=None):
    """What one POST of JSON is answered, now or later."""
    writer = Writer()
    headers = [(b"content-type", b"application/json"), (b"x-console-token", (token or "").encode())]
    target = f"/console/{path}".encode()
    request = Request.parsed(writer, "POST", target, headers, body, 0.0, "1.1", 0)
    actions.pages()[target.partition(b"?")[0]](request)
    return writer.answers


@pytest.mark.parametrize(
    "path", ["invoke?function=a", "send", "put", "targets", "phase", "execution", "timeline"]
)
def test_where_actions_are_off_no_token_opens_them(path):
    """There is none."""
    clock = VirtualClock()
    actions = Actions(AwsClient(clock), clock, allowed=False)
    [(status, document)] = perform(actions, path)

    assert (None, 403) == (actions.token, status)
    assert 'console = "full"' in document["message"]


def test_what_is_asked_before_services_are_there_is_done_when_they_are():
    """The page is served a moment earlier."""
    clock = VirtualClock()
    client = AwsClient(clock)
    actions = Actions(client, clock, allowed=True)
    answers = perform(actions, "invoke?function=a%2Fb&asynchronous=1", b"[1]", token=actions.token)
    early, asked = list(answers), []

    def handle(request):
        asked.append((request.method, request.target, request.body, request.header(b"x-amz-invocation-type")))
        request.respond(202, b"x-amzn-requestid: r1\r\nx-amz-log-result: aGk=\r\n", b"")

    client.connect(handle)

    assert [] == early
    assert [("POST", b"/2015-03-31/functions/a%2Fb/invocations", b"[1]", b"Event")] == asked
    assert [(200, 202, "r1", "hi")] == [
        (status, document["status"], document["request_id"], document["log"]) for status, document in answers
    ]


@pytest.mark.parametrize(
    ("console", "admin", "expected"),
    [
        ("auto", "127.0.0.1:0", True),
        ("auto", "[::1]:0", True),
        ("auto", "0.0.0.0:0", False),
        ("full", "0.0.0.0:0", True),
        ("numbers", "127.0.0.1:0", False),
    ],
)
def test_logs_and_actions_are_for_this_machine_unless_configured(console, admin, expected):
    """Opening a port for metrics opens no more than that."""
    config = from_functions([Function("a", handler="json.dumps")], console=console, admin=admin)
    exposed = [line for line in config.warnings if "invokes every function" in line]

    assert expected == config.console_is_full
    assert (console == "full") == bool(exposed)


def test_executions_are_listed_changed_and_drawn_over_the_lambda_api():
    """The function's in its path, the execution's ARN in that."""
    clock = VirtualClock()
    client = AwsClient(clock)
    actions = Actions(client, clock, allowed=True)
    asked = []
    event = {"EventType": "ExecutionStarted", "EventId": 1, "EventTimestamp": 0, "Name": "order-7"}

    def handle(request):
        asked.append((request.method, request.target))
        request.respond(200, b"", orjson.dumps({"Events": [event]}))

    client.connect(handle)
    perform(actions, "executions?function=f&status=RUNNING", token=actions.token)
    perform(actions, "execution", b'{"arn": "a/b", "action": "pause"}', token=actions.token)
    refused = perform(actions, "execution", b'{"arn": "a/b", "action": "checkpoint"}', token=actions.token)
    [(status, drawn)] = perform(actions, "timeline", b'{"arn": "a/b"}', token=actions.token)

    base = b"/2025-12-01/"
    assert [
        ("GET", base + b"functions/f/durable-executions?Statuses=RUNNING"),
        ("POST", base + b"durable-executions/a%2Fb/pause"),
        ("GET", base + b"durable-executions/a%2Fb/history?MaxItems=1000"),
    ] == asked
    assert 400 == refused[0][0]
    assert (200, "order-7  RUNNING") == (status, drawn["text"].splitlines()[0])
