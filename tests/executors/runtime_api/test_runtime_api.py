"""The Runtime API, request by request: statuses, bodies, headers, and what the environment is told."""

import base64
import json

import pytest

from engine.core.error_bodies import InitFailure
from engine.core.event import Event
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.executors.runtime_api.runtime_api import RuntimeApi
from engine.protocols.http.server import Request

PREFIX = b"/2018-06-01/runtime/"
OK = (202, b'{"status":"OK"}\n')


class Client:
    """Stands for a runtime's connection: keeps what it is answered."""

    peer = "127.0.0.1"

    def __init__(self):
        self.answers = []
        self.headers = []
        self.gone = False

    def answer(self, request, status, head, body):
        self.answers.append((status, body))
        self.headers.append(dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line))

    def awaits(self, request):
        return not self.gone


class Harness:
    """A desk, and what it tells."""

    def __init__(self, shared=False):
        self.told = []
        self.room = 100
        self.api = RuntimeApi(self, shared=shared)

    def ready(self):
        self.told.append("ready")

    def failed(self, failure):
        self.told.append(failure)

    def flush_output(self):
        """What was written is read."""

    def ended(self, invocation, result):
        self.told.append((invocation.event.request_id, result))

    def began(self, invocation, content_type, resume):
        self.told.append(("began", content_type))

    def piece(self, invocation, data):
        self.told.append(data)
        return len(self.told) < self.room

    def truncated(self, invocation, result):
        self.told.append(("truncated", result))

    def arn(self, invocation):
        return "arn:f"

    def deadline_ms(self, invocation):
        return 1234

    def ask(self, method, path, body=b"", *, too_large=0, client=None, trailers=(), **headers):
        """One request of the runtime's; its client."""
        client = client or Client()
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        target = path if path.startswith(b"/") else PREFIX + path
        request = Request.parsed(client, method, target, pairs, body, 0.0, "1.1", too_large)
        if trailers:
            request.trailers = list(trailers)
        self.api.handle(request)
        return client

    def stream(self, client=None, **headers):
        """A streamed response of which there is only the head: who takes its body, and its client."""
        client = client or Client()
        headers = {"Lambda-Runtime-Function-Response-Mode": "streaming", **headers}
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        target = PREFIX + b"invocation/r1/response"
        request = Request.parsed(client, "POST", target, pairs, b"", 0.0, "1.1", 0)
        return self.api.receive(request, lambda: None), client

    def next(self, client=None):
        return self.ask("GET", b"invocation/next", client=client)

    def submit(self, request_id="r1", payload=b"{}", **event):
        self.api.submit(Invocation(Event("f", payload, request_id, 0.0, **event), lambda _: None))

    def running(self, request_id="r1"):
        """Bring it to the point where the runtime works on an invocation."""
        self.next()
        self.submit(request_id)
        self.told.clear()
        return self


def refusal(error_type, message):
    return f'{{"errorMessage":"{message}","errorType":"{error_type}"}}\n'.encode()


def move(state, wanted):
    text = f"State transition from {state} to {wanted} failed for runtime."
    return 403, refusal("InvalidStateTransition", f"{text} Error: State transition is not allowed")


def test_the_first_poll_is_ready_and_waits_until_there_is_something():
    """It is answered with the event, when it comes."""
    harness = Harness()
    client = harness.next()
    before = list(client.answers)
    harness.submit(payload=b'{"a": 1}')

    assert ["ready"] == harness.told
    assert [] == before
    assert [(200, b'{"a": 1}')] == client.answers


def test_the_answer_to_a_poll_tells_of_the_invocation():
    """The reference's headers; what is not known is left out."""
    harness = Harness()
    client = harness.next()
    harness.submit("r1")

    assert {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": "r1",
        "Lambda-Runtime-Deadline-Ms": "1234",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:f",
    } == client.headers[0]


def test_trace_and_client_context_are_told_where_they_are_known():
    """JSON on several lines becomes one line of ASCII, for a header."""
    harness = Harness()
    client = harness.next()
    harness.submit(trace_id="Root=1-2-3", client_context='{\n "a": "é"\n}')

    assert "Root=1-2-3" == client.headers[0]["Lambda-Runtime-Trace-Id"]
    assert '{"a": "\\u00e9"}' == client.headers[0]["Lambda-Runtime-Client-Context"]


def test_a_client_context_that_is_no_json_still_fits_a_header():
    """The runtime refuses it, as on Lambda."""
    harness = Harness()
    client = harness.next()
    harness.submit(client_context="{\r\nX: é")

    assert "{  X:  " == client.headers[0]["Lambda-Runtime-Client-Context"]


def test_what_is_given_before_the_poll_waits_for_it():
    """The runtime is still busy with what it does between two invocations."""
    harness = Harness()
    harness.submit("r1")
    client = harness.next()

    assert "r1" == client.headers[0]["Lambda-Runtime-Aws-Request-Id"]


def test_a_response_ends_the_invocation():
    """Bytes as they are; JSON or not is seen by looking."""
    harness = Harness().running()
    client = harness.ask("POST", b"invocation/r1/response", b'{"b": NaN}', content_type="application/json")

    assert [OK] == client.answers
    assert [("r1", Result(Status.SUCCESS, b'{"b": NaN}'))] == harness.told


@pytest.mark.parametrize("body", [b"", b"plain text", b"\xff\x00", b"[" * 100_000])
def test_a_response_that_is_no_json_is_raw(body):
    """What came is what the caller gets."""
    harness = Harness().running()
    harness.ask("POST", b"invocation/r1/response", body)

    assert [("r1", Result(Status.SUCCESS, body, raw=True))] == harness.told


def test_an_error_ends_the_invocation_with_the_bytes_posted():
    """Untouched, whatever its keys."""
    harness = Harness().running()
    body = b'{ "errorType":"E","trace":[] }'
    client = harness.ask(
        "POST", b"invocation/r1/error", body, **{"Lambda-Runtime-Function-Error-Type": "Runtime.X"}
    )

    assert [OK] == client.answers
    assert [("r1", Result(Status.ERROR, body))] == harness.told


@pytest.mark.parametrize(("body", "text"), [(b"oh no", "oh no"), (b"[1]", "[1]"), (b"\xe9", "é")])
def test_an_error_that_is_no_json_object_becomes_one(body, text):
    """So that whoever reads it can."""
    harness = Harness().running()
    harness.ask("POST", b"invocation/r1/error", body)
    [(_, result)] = harness.told

    assert {"errorMessage": text, "errorType": "Function.Unknown"} == json.loads(result.body)


def test_another_id_is_invalid():
    """400, and the invocation goes on."""
    harness = Harness().running()
    answers = [
        harness.ask("POST", b"invocation/r2/response").answers,
        harness.ask("POST", b"invocation/r2/error").answers,
        harness.ask("POST", b"invocation//response").answers,
    ]

    assert [[(400, refusal("InvalidRequestID", "Invalid request ID"))]] * 3 == answers
    assert [] == harness.told


def test_an_invocation_is_answered_once():
    """The second answer is a move that is not allowed."""
    harness = Harness().running()
    harness.ask("POST", b"invocation/r1/response", b"1")
    again = harness.ask("POST", b"invocation/r1/response", b"2")
    error = harness.ask("POST", b"invocation/r1/error", b"{}")

    assert [move("ResponseSent", "InvocationResponse")] == again.answers
    assert [move("ResponseSent", "InvocationErrorResponse")] == error.answers
    assert [("r1", Result(Status.SUCCESS, b"1"))] == harness.told


def test_a_runtime_that_polls_before_it_answered_is_refused():
    """One invocation at a time."""
    harness = Harness().running()

    assert [move("Running", "Ready")] == harness.next().answers


def test_of_two_polls_the_later_one_counts():
    """The first was given up: its client waited no longer."""
    harness = Harness()
    first, second = harness.next(), harness.next()
    harness.submit()

    assert ([], 1) == (first.answers, len(second.answers))
    assert ["ready"] == harness.told


def test_a_poll_whose_client_has_gone_is_passed_over():
    """The invocation waits for one that is there."""
    harness = Harness(shared=True)
    here, gone = harness.next(), harness.next()
    gone.gone = True
    harness.submit()

    assert ([], 1) == (gone.answers, len(here.answers))


def test_a_shared_environment_gives_each_poll_one():
    """As Managed Instances do; each answer belongs to its own."""
    harness = Harness(shared=True)
    clients = [harness.next() for _ in range(3)]
    for number in range(3):
        harness.submit(f"r{number}")
    given = {client.headers[0]["Lambda-Runtime-Aws-Request-Id"] for client in clients}
    harness.told.clear()
    harness.ask("POST", b"invocation/r2/response", b"2")
    harness.ask("POST", b"invocation/r0/response", b"0")

    assert {"r0", "r1", "r2"} == given
    assert [("r2", Result(Status.SUCCESS, b"2")), ("r0", Result(Status.SUCCESS, b"0"))] == harness.told
    assert "r1" == harness.api.current().event.request_id


def test_a_second_attempt_waits_for_the_first_of_the_same_id():
    """Answers could not be told apart."""
    harness = Harness(shared=True)
    first, second = harness.next(), harness.next()
    harness.submit("r1")
    harness.submit("r1")
    before = len(first.answers) + len(second.answers)
    harness.ask("POST", b"invocation/r1/response", b"1")

    assert (1, 2) == (before, len(first.answers) + len(second.answers))


def test_a_line_of_several_invocations_is_whose_id_it_names():
    """Of one alone it is anyway; otherwise nobody's."""
    harness = Harness(shared=True)
    for request_id in ("r-1", "r-2"):
        harness.next()
        harness.submit(request_id)

    assert "r-2" == harness.api.writer_of("[INFO] r-2 hello").event.request_id
    assert harness.api.writer_of("hello") is None


# ---------------------------------------------------------------- too large, streaming


@pytest.mark.parametrize("path", [b"invocation/r1/response", b"invocation/r1/error"])
def test_what_is_too_large_fails_the_invocation(path):
    """413 to the runtime; the caller gets AWS's error."""
    harness = Harness().running()
    client = harness.ask("POST", path, too_large=7_000_000)
    message = "Exceeded maximum allowed payload size (6291556 bytes)."
    [(_, result)] = harness.told

    assert [(413, refusal("RequestEntityTooLarge", message))] == client.answers
    assert (Status.ERROR, "Function.ResponseSizeTooLarge") == (
        result.status,
        json.loads(result.body)["errorType"],
    )


def test_a_stream_that_came_as_a_whole_is_one():
    harness = Harness().running()
    client = harness.ask(
        "POST", b"invocation/r1/response", b"chunks", **{"Lambda-Runtime-Function-Response-Mode": "streaming"}
    )

    assert [OK] == client.answers
    began = ("began", "application/octet-stream")
    assert [began, b"chunks", ("r1", Result(Status.SUCCESS, b""))] == harness.told


def test_a_stream_is_passed_on_as_it_comes_and_answered_at_its_end():
    """It begins with its first byte, not with its head."""
    harness = Harness().running()
    body, client = harness.stream(content_type="text/plain")
    before = list(harness.told)
    goes_on = body.data(b"one"), body.data(b"two")
    answered = list(client.answers)
    body.end([])

    assert ([], [], (True, True)) == (before, answered, goes_on)
    assert [("began", "text/plain"), b"one", b"two", ("r1", Result(Status.SUCCESS, b""))] == harness.told
    assert [OK] == client.answers


def test_a_stream_without_a_byte_begins_at_its_end():
    harness = Harness().running()
    body, _ = harness.stream()
    body.end([])

    assert ["began", "r1"] == [one[0] for one in harness.told]


def test_a_stream_that_fails_before_its_first_byte_never_begins():
    harness = Harness().running()
    body, _ = harness.stream()
    body.end([(b"Lambda-Runtime-Function-Error-Type", b"Error")])
    [(request_id, result)] = harness.told

    assert ("r1", Status.ERROR) == (request_id, result.status)


def test_a_large_chunk_is_cut_and_the_runtime_is_held_back_when_the_reader_is_slow():
    harness = Harness().running()
    harness.room = 3
    body, _ = harness.stream()

    assert body.data(b"a") is True
    assert body.data(b"b" * 100_000) is False
    assert [1, 65_536, 34_464] == [len(one) for one in harness.told[1:]]


def test_a_stream_whose_connection_is_lost_is_truncated():
    """Nothing more is expected of the runtime, and what it says is not heard."""
    harness = Harness().running()
    body, client = harness.stream()
    body.data(b"one")
    body.lost()
    body.end([])
    *_, (kind, result) = harness.told

    assert ("truncated", Status.CRASH, "Runtime.TruncatedResponse") == (
        kind,
        result.status,
        result.error_type,
    )
    assert {
        "errorType": "Runtime.TruncatedResponse",
        "errorMessage": "RequestId: r1 Error: Response was truncated",
    } == json.loads(result.body)
    assert (3, []) == (len(harness.told), client.answers)


@pytest.mark.parametrize("what", ["error", "response"])
def test_once_a_stream_is_there_an_invocation_has_no_other_answer(what):
    """Before its first byte too; nor may the runtime poll."""
    wanted = {"error": "InvocationErrorResponse", "response": "InvocationResponse"}[what]
    harness = Harness().running()
    body, _ = harness.stream()
    client = harness.ask("POST", f"invocation/r1/{what}".encode(), b"{}")
    poll = harness.next()
    again, _ = harness.stream()
    body.end([])

    assert [move("InvocationResponse", wanted)] == client.answers
    assert [move("Running", "Ready")] == poll.answers
    assert again is None
    assert ["began", "r1"] == [one[0] for one in harness.told]


@pytest.mark.parametrize(
    "headers",
    [{"Lambda-Runtime-Function-Response-Mode": "buffered"}, {"Lambda-Runtime-Function-Response-Mode": ""}],
)
def test_another_mode_is_taken_as_a_whole(headers):
    body, _ = Harness().running().stream(**headers)

    assert body is None


def test_a_stream_for_an_invocation_that_is_not_here_is_taken_as_a_whole_and_refused():
    harness = Harness()
    body, _ = harness.stream()

    assert body is None


def test_an_error_in_the_middle_of_a_stream_fails_the_invocation():
    """It is told in trailers, its body in base64."""
    harness = Harness().running()
    error = b'{"errorType":"Function.Broken","errorMessage":"midway"}'
    harness.ask(
        "POST",
        b"invocation/r1/response",
        b"chunks",
        trailers=[
            (b"Lambda-Runtime-Function-Error-Type", b"Function.Broken"),
            (b"Lambda-Runtime-Function-Error-Body", base64.b64encode(error)),
        ],
        **{"Lambda-Runtime-Function-Response-Mode": "streaming"},
    )

    assert ("r1", Result(Status.ERROR, error)) == harness.told[-1]


@pytest.mark.parametrize(
    ("sent", "message"), [(b"no base64!", "no base64!"), (b"", ""), (base64.b64encode(b"text"), "text")]
)
def test_a_streams_error_without_a_proper_body_is_still_one(sent, message):
    """Its type is that of the trailer."""
    harness = Harness().running()
    harness.ask(
        "POST",
        b"invocation/r1/response",
        trailers=[
            (b"lambda-runtime-function-error-type", b"Function.Broken"),
            (b"lambda-runtime-function-error-body", sent),
        ],
        **{"lambda-runtime-function-response-mode": "Streaming"},
    )
    _, result = harness.told[-1]

    assert {"errorMessage": message, "errorType": "Function.Broken"} == json.loads(result.body)


@pytest.mark.parametrize(("sent", "error_type"), [(b'{"errorType":"A"}', "A"), (b"text", "Function.Unknown")])
def test_a_streams_error_without_the_trailer_of_its_type_is_still_one(sent, error_type):
    """Not a success that nobody looks into."""
    harness = Harness().running()
    harness.ask(
        "POST",
        b"invocation/r1/response",
        trailers=[(b"lambda-runtime-function-error-body", base64.b64encode(sent))],
        **{"lambda-runtime-function-response-mode": "streaming"},
    )
    _, result = harness.told[-1]

    assert (Status.ERROR, error_type) == (result.status, json.loads(result.body)["errorType"])


def test_another_mode_is_refused_and_fails_the_invocation():
    """`streaming` is the only one."""
    harness = Harness().running()
    client = harness.ask(
        "POST", b"invocation/r1/response", **{"Lambda-Runtime-Function-Response-Mode": "buffered"}
    )
    [(_, result)] = harness.told

    assert [(400, refusal("InvalidFunctionResponseMode", "Invalid function response mode"))] == client.answers
    assert (Status.ERROR, "Runtime.InvalidResponseModeHeader") == (result.status, result.error_type)


# ---------------------------------------------------------------- initialising, restoring


def test_an_init_error_is_told_with_the_payload_as_it_was_posted():
    """The runtime may do nothing after it."""
    harness = Harness()
    body = b'{"errorMessage": "m", "errorType": "T", "stackTrace": ["a"], "x": 1}'
    client = harness.ask("POST", b"init/error", body, **{"Lambda-Runtime-Function-Error-Type": "Runtime.T"})
    afterwards = harness.next()

    assert [OK] == client.answers
    assert [InitFailure("Runtime.T", "m", ("a",), body)] == harness.told
    assert [move("InitError", "Ready")] == afterwards.answers


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"", ("Runtime.Unknown", "")),
        (b"text", ("Runtime.Unknown", "text")),
        (b'{"errorType": "T"}', ("T", "")),
        (b'{"errorMessage": 5, "stackTrace": 6}', ("Runtime.Unknown", "5")),
        (b'{"errorMessage": "\xe9"}', ("Runtime.Unknown", "é")),  # Latin-1, as AWS's client posts it
    ],
)
def test_any_init_error_is_taken(body, failure):
    """Whatever was posted; the payload is JSON in UTF-8."""
    harness = Harness()
    harness.ask("POST", b"init/error", body)
    [told] = harness.told

    assert failure == (told.error_type, told.error_message)
    assert isinstance(json.loads(told.body.decode()), dict)


def test_an_init_error_comes_before_the_first_poll_or_never():
    """Afterwards it is a move that is not allowed."""
    harness = Harness()
    harness.next()

    assert [move("Ready", "InitError")] == harness.ask("POST", b"init/error", b"{}").answers
    assert ["ready"] == harness.told


def test_who_waits_to_be_restored_is_so_at_once():
    """There is no snapshot; the poll that follows is the first."""
    harness = Harness()
    restored = harness.ask("GET", b"restore/next")
    harness.next()

    assert [(200, b"")] == restored.answers
    assert ["ready"] == harness.told
    assert [move("Ready", "RestoreReady")] == harness.ask("GET", b"restore/next").answers


def test_an_error_while_restoring_fails_the_environment():
    """As one of the initialisation does."""
    harness = Harness()
    harness.ask("GET", b"restore/next")
    named = harness.ask("POST", b"restore/error", b'{"errorMessage": "m"}')

    assert [OK] == named.answers
    assert ("Runtime.RestoreError", "m") == harness.told[0][:2]
    assert [move("RestoreError", "Ready")] == harness.next().answers


# ---------------------------------------------------------------- after a death


def test_a_new_process_begins_anew_if_no_invocation_was_lost():
    """What waited is for its first poll; `ready` is the room's to tell or not."""
    harness = Harness()
    harness.next()
    harness.submit("r1")
    harness.ask("POST", b"invocation/r1/response", b"1")
    harness.submit("r2")
    restarted = harness.api.restart()
    client = harness.next()

    assert restarted
    assert "r2" == client.headers[0]["Lambda-Runtime-Aws-Request-Id"]


def test_there_is_no_new_process_where_an_invocation_was_lost_or_nothing_waits():
    """The fleet is told instead."""
    idle = Harness()
    idle.next()
    starting = Harness()
    starting.submit()

    assert [False, False, False] == [
        harness.api.restart() for harness in (idle, Harness().running(), starting)
    ]


def test_there_is_one_after_an_answer_that_was_too_large():
    """AWS's clients leave at a 413, and the environment lives on."""
    harness = Harness().running()
    harness.ask("POST", b"invocation/r1/response", too_large=7_000_000)

    assert harness.api.restart()


def test_what_is_owed_is_all_that_was_given_and_not_answered():
    """Begun or not."""
    harness = Harness().running("r1")
    harness.submit("r2")

    assert ["r1", "r2"] == [invocation.event.request_id for invocation in harness.api.unanswered()]


# ---------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", b"/", 404),
        ("GET", b"/2018-06-01/runtime/", 404),
        ("GET", b"/2018-06-01/runtime/invocation/next/x", 404),
        ("POST", b"/2020-01-01/extension/register", 404),
        ("POST", b"/2018-06-01/runtime/invocation/r1/other", 404),
        ("GET", b"/2018-06-01/runtime/\xff\xfe", 404),
        ("POST", b"/2018-06-01/runtime/invocation/next", 405),
        ("GET", b"/2018-06-01/runtime/invocation/r1/response", 405),
        ("DELETE", b"/2018-06-01/runtime/invocation/r1/error", 405),
        ("GET", b"/2018-06-01/runtime/init/error", 405),
        ("POST", b"/2018-06-01/runtime/invocation/\xff\xfe/response", 400),
    ],
)
def test_what_is_not_served_is_refused(method, path, status):
    """And changes nothing."""
    harness = Harness().running()
    client = harness.ask(method, path)

    assert [status] == [answer[0] for answer in client.answers]
    assert [] == harness.told


def test_a_query_is_passed_over():
    """Paths are what counts."""
    harness = Harness()
    harness.ask("GET", b"invocation/next?x=1")

    assert ["ready"] == harness.told
