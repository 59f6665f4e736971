"""The Runtime API, request by request: statuses, bodies, headers, and what the environment is told."""

import base64
import json

import pytest

from engine.core.event import Event
from engine.core.failure import InitFailure
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


class Office:
    """A desk, and what it tells."""

    def __init__(self, shared=False):
        self.told = []
        self.desk = RuntimeApi(self, shared=shared)

    def ready(self):
        self.told.append("ready")

    def failed(self, failure):
        self.told.append(failure)

    def heard(self):
        """What was written is read."""

    def ended(self, invocation, result):
        self.told.append((invocation.event.request_id, result))

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
        self.desk.handle(request)
        return client

    def next(self, client=None):
        return self.ask("GET", b"invocation/next", client=client)

    def give(self, request_id="r1", payload=b"{}", **event):
        self.desk.give(Invocation(Event("f", payload, request_id, 0.0, **event), lambda _: None))

    def running(self, request_id="r1"):
        """Bring it to the point where the runtime works on an invocation."""
        self.next()
        self.give(request_id)
        self.told.clear()
        return self


def refusal(error_type, message):
    return f'{{"errorMessage":"{message}","errorType":"{error_type}"}}\n'.encode()


def move(state, wanted):
    text = f"State transition from {state} to {wanted} failed for runtime."
    return 403, refusal("InvalidStateTransition", f"{text} Error: State transition is not allowed")


def test_the_first_poll_is_ready_and_waits_until_there_is_something():
    """It is answered with the event, when it comes."""
    office = Office()
    client = office.next()
    before = list(client.answers)
    office.give(payload=b'{"a": 1}')

    assert ["ready"] == office.told
    assert [] == before
    assert [(200, b'{"a": 1}')] == client.answers


def test_the_answer_to_a_poll_tells_of_the_invocation():
    """The reference's headers; what is not known is left out."""
    office = Office()
    client = office.next()
    office.give("r1")

    assert {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": "r1",
        "Lambda-Runtime-Deadline-Ms": "1234",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:f",
    } == client.headers[0]


def test_trace_and_client_context_are_told_where_they_are_known():
    """JSON on several lines becomes one line of ASCII, for a header."""
    office = Office()
    client = office.next()
    office.give(trace_id="Root=1-2-3", client_context='{\n "a": "é"\n}')

    assert "Root=1-2-3" == client.headers[0]["Lambda-Runtime-Trace-Id"]
    assert '{"a": "\\u00e9"}' == client.headers[0]["Lambda-Runtime-Client-Context"]


def test_a_client_context_that_is_no_json_still_fits_a_header():
    """The runtime refuses it, as on Lambda."""
    office = Office()
    client = office.next()
    office.give(client_context="{\r\nX: é")

    assert "{  X:  " == client.headers[0]["Lambda-Runtime-Client-Context"]


def test_what_is_given_before_the_poll_waits_for_it():
    """The runtime is still busy with what it does between two invocations."""
    office = Office()
    office.give("r1")
    client = office.next()

    assert "r1" == client.headers[0]["Lambda-Runtime-Aws-Request-Id"]


def test_a_response_ends_the_invocation():
    """Bytes as they are; JSON or not is seen by looking."""
    office = Office().running()
    client = office.ask("POST", b"invocation/r1/response", b'{"b": NaN}', content_type="application/json")

    assert [OK] == client.answers
    assert [("r1", Result(Status.SUCCESS, b'{"b": NaN}'))] == office.told


@pytest.mark.parametrize("body", [b"", b"plain text", b"\xff\x00", b"[" * 100_000])
def test_a_response_that_is_no_json_is_raw(body):
    """What came is what the caller gets."""
    office = Office().running()
    office.ask("POST", b"invocation/r1/response", body)

    assert [("r1", Result(Status.SUCCESS, body, raw=True))] == office.told


def test_an_error_ends_the_invocation_with_the_bytes_posted():
    """Untouched, whatever its keys."""
    office = Office().running()
    body = b'{ "errorType":"E","trace":[] }'
    client = office.ask(
        "POST", b"invocation/r1/error", body, **{"Lambda-Runtime-Function-Error-Type": "Runtime.X"}
    )

    assert [OK] == client.answers
    assert [("r1", Result(Status.ERROR, body))] == office.told


@pytest.mark.parametrize(("body", "text"), [(b"oh no", "oh no"), (b"[1]", "[1]"), (b"\xe9", "é")])
def test_an_error_that_is_no_json_object_becomes_one(body, text):
    """So that whoever reads it can."""
    office = Office().running()
    office.ask("POST", b"invocation/r1/error", body)
    [(_, result)] = office.told

    assert {"errorMessage": text, "errorType": "Function.Unknown"} == json.loads(result.body)


def test_another_id_is_invalid():
    """400, and the invocation goes on."""
    office = Office().running()
    answers = [
        office.ask("POST", b"invocation/r2/response").answers,
        office.ask("POST", b"invocation/r2/error").answers,
        office.ask("POST", b"invocation//response").answers,
    ]

    assert [[(400, refusal("InvalidRequestID", "Invalid request ID"))]] * 3 == answers
    assert [] == office.told


def test_an_invocation_is_answered_once():
    """The second answer is a move that is not allowed."""
    office = Office().running()
    office.ask("POST", b"invocation/r1/response", b"1")
    again = office.ask("POST", b"invocation/r1/response", b"2")
    error = office.ask("POST", b"invocation/r1/error", b"{}")

    assert [move("ResponseSent", "InvocationResponse")] == again.answers
    assert [move("ResponseSent", "InvocationErrorResponse")] == error.answers
    assert [("r1", Result(Status.SUCCESS, b"1"))] == office.told


def test_a_runtime_that_polls_before_it_answered_is_refused():
    """One invocation at a time."""
    office = Office().running()

    assert [move("Running", "Ready")] == office.next().answers


def test_of_two_polls_the_later_one_counts():
    """The first was given up: its client waited no longer."""
    office = Office()
    first, second = office.next(), office.next()
    office.give()

    assert ([], 1) == (first.answers, len(second.answers))
    assert ["ready"] == office.told


def test_a_poll_whose_client_has_gone_is_passed_over():
    """The invocation waits for one that is there."""
    office = Office(shared=True)
    here, gone = office.next(), office.next()
    gone.gone = True
    office.give()

    assert ([], 1) == (gone.answers, len(here.answers))


def test_a_shared_environment_gives_each_poll_one():
    """As Managed Instances do; each answer belongs to its own."""
    office = Office(shared=True)
    clients = [office.next() for _ in range(3)]
    for number in range(3):
        office.give(f"r{number}")
    given = {client.headers[0]["Lambda-Runtime-Aws-Request-Id"] for client in clients}
    office.told.clear()
    office.ask("POST", b"invocation/r2/response", b"2")
    office.ask("POST", b"invocation/r0/response", b"0")

    assert {"r0", "r1", "r2"} == given
    assert [("r2", Result(Status.SUCCESS, b"2")), ("r0", Result(Status.SUCCESS, b"0"))] == office.told
    assert "r1" == office.desk.current().event.request_id


def test_a_second_attempt_waits_for_the_first_of_the_same_id():
    """Answers could not be told apart."""
    office = Office(shared=True)
    first, second = office.next(), office.next()
    office.give("r1")
    office.give("r1")
    before = len(first.answers) + len(second.answers)
    office.ask("POST", b"invocation/r1/response", b"1")

    assert (1, 2) == (before, len(first.answers) + len(second.answers))


def test_a_line_of_several_invocations_is_whose_id_it_names():
    """Of one alone it is anyway; otherwise nobody's."""
    office = Office(shared=True)
    for request_id in ("r-1", "r-2"):
        office.next()
        office.give(request_id)

    assert "r-2" == office.desk.speaker("[INFO] r-2 hello").event.request_id
    assert office.desk.speaker("hello") is None


# ---------------------------------------------------------------- too large, streaming


@pytest.mark.parametrize("path", [b"invocation/r1/response", b"invocation/r1/error"])
def test_what_is_too_large_fails_the_invocation(path):
    """413 to the runtime; the caller gets AWS's error."""
    office = Office().running()
    client = office.ask("POST", path, too_large=7_000_000)
    message = "Exceeded maximum allowed payload size (6291556 bytes)."
    [(_, result)] = office.told

    assert [(413, refusal("RequestEntityTooLarge", message))] == client.answers
    assert (Status.ERROR, "Function.ResponseSizeTooLarge") == (
        result.status,
        json.loads(result.body)["errorType"],
    )


def test_a_stream_is_a_response_once_it_is_complete():
    """The mode's header changes nothing else."""
    office = Office().running()
    client = office.ask(
        "POST", b"invocation/r1/response", b"chunks", **{"Lambda-Runtime-Function-Response-Mode": "streaming"}
    )

    assert [OK] == client.answers
    assert [("r1", Result(Status.SUCCESS, b"chunks", raw=True))] == office.told


def test_an_error_in_the_middle_of_a_stream_fails_the_invocation():
    """It is told in trailers, its body in base64."""
    office = Office().running()
    error = b'{"errorType":"Function.Broken","errorMessage":"midway"}'
    office.ask(
        "POST",
        b"invocation/r1/response",
        b"chunks",
        trailers=[
            (b"Lambda-Runtime-Function-Error-Type", b"Function.Broken"),
            (b"Lambda-Runtime-Function-Error-Body", base64.b64encode(error)),
        ],
        **{"Lambda-Runtime-Function-Response-Mode": "streaming"},
    )

    assert [("r1", Result(Status.ERROR, error))] == office.told


@pytest.mark.parametrize(
    ("sent", "message"), [(b"no base64!", "no base64!"), (b"", ""), (base64.b64encode(b"text"), "text")]
)
def test_a_streams_error_without_a_proper_body_is_still_one(sent, message):
    """Its type is that of the trailer."""
    office = Office().running()
    office.ask(
        "POST",
        b"invocation/r1/response",
        trailers=[
            (b"lambda-runtime-function-error-type", b"Function.Broken"),
            (b"lambda-runtime-function-error-body", sent),
        ],
        **{"lambda-runtime-function-response-mode": "Streaming"},
    )
    [(_, result)] = office.told

    assert {"errorMessage": message, "errorType": "Function.Broken"} == json.loads(result.body)


def test_another_mode_is_refused_and_fails_the_invocation():
    """`streaming` is the only one."""
    office = Office().running()
    client = office.ask(
        "POST", b"invocation/r1/response", **{"Lambda-Runtime-Function-Response-Mode": "buffered"}
    )
    [(_, result)] = office.told

    assert [(400, refusal("InvalidFunctionResponseMode", "Invalid function response mode"))] == client.answers
    assert (Status.ERROR, "Runtime.InvalidResponseModeHeader") == (result.status, result.error_type)


# ---------------------------------------------------------------- initialising, restoring


def test_an_init_error_is_told_with_the_payload_as_it_was_posted():
    """The runtime may do nothing after it."""
    office = Office()
    body = b'{"errorMessage": "m", "errorType": "T", "stackTrace": ["a"], "x": 1}'
    client = office.ask("POST", b"init/error", body, **{"Lambda-Runtime-Function-Error-Type": "Runtime.T"})
    afterwards = office.next()

    assert [OK] == client.answers
    assert [InitFailure("Runtime.T", "m", ("a",), body)] == office.told
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
    office = Office()
    office.ask("POST", b"init/error", body)
    [told] = office.told

    assert failure == (told.error_type, told.error_message)
    assert isinstance(json.loads(told.body.decode()), dict)


def test_an_init_error_comes_before_the_first_poll_or_never():
    """Afterwards it is a move that is not allowed."""
    office = Office()
    office.next()

    assert [move("Ready", "InitError")] == office.ask("POST", b"init/error", b"{}").answers
    assert ["ready"] == office.told


def test_who_waits_to_be_restored_is_so_at_once():
    """There is no snapshot; the poll that follows is the first."""
    office = Office()
    restored = office.ask("GET", b"restore/next")
    office.next()

    assert [(200, b"")] == restored.answers
    assert ["ready"] == office.told
    assert [move("Ready", "RestoreReady")] == office.ask("GET", b"restore/next").answers


def test_an_error_while_restoring_fails_the_environment():
    """As one of the initialisation does."""
    office = Office()
    office.ask("GET", b"restore/next")
    named = office.ask("POST", b"restore/error", b'{"errorMessage": "m"}')

    assert [OK] == named.answers
    assert ("Runtime.RestoreError", "m") == office.told[0][:2]
    assert [move("RestoreError", "Ready")] == office.next().answers


# ---------------------------------------------------------------- after a death


def test_a_new_process_begins_anew_if_no_invocation_was_lost():
    """What waited is for its first poll; `ready` is the room's to tell or not."""
    office = Office()
    office.next()
    office.give("r1")
    office.ask("POST", b"invocation/r1/response", b"1")
    office.give("r2")
    restarted = office.desk.restart()
    client = office.next()

    assert restarted
    assert "r2" == client.headers[0]["Lambda-Runtime-Aws-Request-Id"]


def test_there_is_no_new_process_where_an_invocation_was_lost_or_nothing_waits():
    """The fleet is told instead."""
    idle = Office()
    idle.next()
    starting = Office()
    starting.give()

    assert [False, False, False] == [office.desk.restart() for office in (idle, Office().running(), starting)]


def test_there_is_one_after_an_answer_that_was_too_large():
    """AWS's clients leave at a 413, and the environment lives on."""
    office = Office().running()
    office.ask("POST", b"invocation/r1/response", too_large=7_000_000)

    assert office.desk.restart()


def test_what_is_owed_is_all_that_was_given_and_not_answered():
    """Begun or not."""
    office = Office().running("r1")
    office.give("r2")

    assert ["r1", "r2"] == [invocation.event.request_id for invocation in office.desk.owed()]


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
    office = Office().running()
    client = office.ask(method, path)

    assert [status] == [answer[0] for answer in client.answers]
    assert [] == office.told


def test_a_query_is_passed_over():
    """Paths are what counts."""
    office = Office()
    office.ask("GET", b"invocation/next?x=1")

    assert ["ready"] == office.told
