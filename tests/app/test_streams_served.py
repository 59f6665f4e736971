"""Streamed responses on real sockets: one function behind each source that streams, and clients of them."""

import base64
import json
import socket
import time
from contextlib import closing
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.app.conftest import serving

pytestmark = pytest.mark.real_time

CODE = Path(__file__).parents[1] / "executors/runtime_api/streaming"
INTEGRATION = "application/vnd.awslambda.http-integration-response"
METADATA = '{"statusCode":201,"headers":{"x":"1"}}'
CONFIG = f"""
[engine]
http = "127.0.0.1:0"

[functions.flow]
handler = "any.handler"
code = "{CODE}"
executor = "runtime"
timeout_s = 20

[[functions.flow.events]]
type = "http"
method = "POST"
path = "/rest"
payload_format = "1.0"
response_stream = true

[functions.shared]
handler = "any.handler"
code = "{CODE}"
executor = "runtime"
environment_concurrency = 2
timeout_s = 1

[functions.short]
handler = "any.handler"
code = "{CODE}"
executor = "runtime"
timeout_s = 1
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An engine with the functions, and a URL of each in both modes."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "engine.toml").write_text(CONFIG)
    with serving("--config", str(folder / "engine.toml")) as served:
        yield served


class Invoked:
    """A response as InvokeWithResponseStream gives it."""

    def __init__(self, served, order, function="flow", **more):
        answer = served.lambda_.invoke_with_response_stream(
            FunctionName=function, Payload=json.dumps(order), **more
        )
        self.status, self.type = answer["StatusCode"], answer["ResponseMetadata"]["HTTPHeaders"]
        self._events = iter(answer["EventStream"])
        self._answer = answer
        self.complete = None

    def piece(self):
        """The next one; None at the end."""
        event = next(self._events)
        if "PayloadChunk" in event:
            return event["PayloadChunk"]["Payload"]
        self.complete = event["InvokeComplete"]
        assert [] == list(self._events)
        return None

    def rest(self):
        return b"".join(iter(self.piece, None))

    @property
    def failed(self):
        """Whether the rest says that the function failed."""
        self.rest()
        return "ErrorCode" in self.complete

    def close(self):
        self._answer["EventStream"].close()


class Requested:
    """A response to HTTP."""

    def __init__(self, served, order, path, **_):
        address = urlsplit(served.addresses["http"])
        self.connection = HTTPConnection(address.hostname, address.port)
        self.connection.request("POST", path, json.dumps(order), {"content-type": "application/json"})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def piece(self):
        return self.answer.read1() or None

    def rest(self):
        return self.answer.read()

    @property
    def failed(self):
        """Whether the answer is cut."""
        try:
            self.answer.read()
        except IncompleteRead:
            return True
        return False

    def close(self):
        self.answer.close()
        self.connection.close()


def url_path(served, function, mode):
    """The path of a function's URL in that mode, which it has from now on."""
    config = {"FunctionName": function, "AuthType": "NONE", "InvokeMode": mode}
    try:
        url = served.lambda_.create_function_url_config(**config)["FunctionUrl"]
    except served.lambda_.exceptions.ResourceConflictException:
        url = served.lambda_.update_function_url_config(**config)["FunctionUrl"]
    return urlsplit(url).path


def invoke(served, steps, function="flow", **order):
    return Invoked(served, {"steps": steps, **order}, function)


def url(served, steps, function="flow", **order):
    return Requested(served, {"steps": steps, **order}, url_path(served, function, "RESPONSE_STREAM"))


def rest(served, steps, **order):
    """Every response of a streaming REST API has metadata."""
    return Requested(served, {"steps": [["text", "{}"], ["nuls", 8], *steps], **order}, "/rest")


SOURCES = pytest.mark.parametrize("ask", [invoke, url, rest])


@SOURCES
def test_a_piece_arrives_while_the_handler_still_writes(served, ask, tmp_path):
    """What follows is written only when the client has read the first one."""
    go = tmp_path / "go"
    with closing(ask(served, [["text", "one"], ["wait", str(go)], ["text", "two"]])) as response:
        first = response.piece()
        go.touch()

        assert (200, b"one", b"two") == (response.status, first, response.rest())


@SOURCES
def test_an_error_in_the_middle_is_seen(served, ask):
    with closing(ask(served, [["text", "one"], ["error", "midway"]])) as response:
        assert b"one" == response.piece()
        assert response.failed


@SOURCES
def test_a_runtime_that_exits_in_the_middle_truncates_its_response(served, ask):
    """All that it wrote before arrives."""
    with closing(ask(served, [["bytes", 300_000], ["exit", 0]])) as response:
        got = 0
        while got < 300_000:
            got += len(response.piece())

        assert response.failed


@SOURCES
def test_a_runtime_that_exits_after_its_last_chunk_has_answered(served, ask):
    """Its environment is gone, and that is nobody's failure."""
    for _ in range(3):
        steps = [["bytes", 300_000], ["finish", 0], ["exit", 1]]
        with closing(ask(served, steps)) as response:
            assert 300_000 == len(response.rest())


@SOURCES
def test_a_slow_reader_holds_its_handler_back_and_nobody_else(served, ask, tmp_path):
    written = tmp_path / "written"
    size = 30_000_000
    with closing(ask(served, [["bytes", size], ["touch", str(written)]])) as slow:
        with closing(ask(served, [["bytes", 1_000_000]])) as quick:
            others = len(quick.rest())
        held = not written.exists()

        assert (1_000_000, True, size) == (others, held, len(slow.rest()))
    assert written.exists()


@SOURCES
def test_a_client_that_goes_does_not_end_the_function(served, ask, tmp_path):
    """What it writes then goes nowhere."""
    ended = tmp_path / "ended"
    response = ask(served, [["bytes", 30_000_000], ["touch", str(ended)]])
    response.piece()
    response.close()
    while not ended.exists():
        time.sleep(0.01)


@pytest.mark.parametrize("ask", [invoke, url])
def test_the_timeout_counts_to_the_end_of_the_stream(served, ask):
    with closing(ask(served, [["text", "one"], ["sleep", 30]], "short")) as response:
        assert b"one" == response.piece()
        assert response.failed


def test_a_shared_environment_writes_to_its_end_after_its_deadline(served, tmp_path):
    """Nobody ends it, as on Managed Instances: that its reader stalls must not hold it for good."""
    ended = tmp_path / "ended"
    with closing(url(served, [["bytes", 30_000_000], ["touch", str(ended)]], "shared")):
        while not ended.exists():
            time.sleep(0.01)


# ---------------------------------------------------------------- InvokeWithResponseStream


def test_the_completion_tells_the_error_and_the_log(served):
    order = {"steps": [["text", "one"], ["error", "midway"]], "type": "text/plain"}
    with closing(Invoked(served, order, LogType="Tail")) as response:
        body = response.rest()
    complete = response.complete

    assert b"one" == body
    assert ("Unhandled", {"errorType": "Error", "errorMessage": "midway"}) == (
        complete["ErrorCode"],
        json.loads(complete["ErrorDetails"]),
    )
    assert b"REPORT RequestId" in base64.b64decode(complete["LogResult"])
    assert ("application/vnd.amazon.eventstream", "text/plain") == (
        response.type["content-type"],
        response.type["x-amzn-remapped-content-type"],
    )


@pytest.mark.parametrize(
    ("steps", "function", "error_type"),
    [
        ([["text", "a"], ["close", 0]], "flow", "Runtime.TruncatedResponse"),
        ([["text", "a"], ["exit", 3]], "flow", "Runtime.TruncatedResponse"),
        ([["text", "a"], ["sleep", 30]], "short", "Sandbox.Timedout"),
    ],
    ids=["connection lost", "exit", "timeout"],
)
def test_the_completion_names_what_ended_the_stream(served, steps, function, error_type):
    with closing(invoke(served, steps, function)) as response:
        body = response.rest()

    assert (b"a", error_type) == (body, json.loads(response.complete["ErrorDetails"])["errorType"])


def test_a_function_that_does_not_stream_is_one_chunk(served):
    with closing(Invoked(served, {"result": '{"a": 1}'})) as response:
        assert [b'{"a": 1}', None] == [response.piece(), response.piece()]
    assert {} == response.complete


def test_a_response_that_has_begun_has_no_error_of_its_own(served, tmp_path):
    """POST /error is refused, and the stream goes on."""
    status = tmp_path / "status"
    with closing(invoke(served, [["text", "a"], ["post_error", str(status)], ["text", "b"]])) as response:
        assert (b"ab", {}) == (response.rest(), response.complete)
    assert "403" == status.read_text()


def test_another_response_mode_fails_the_invocation(served):
    with closing(invoke(served, [["text", "a"]], mode="fast")) as response:
        assert None is response.piece()
    assert "Runtime.InvalidResponseModeHeader" == json.loads(response.complete["ErrorDetails"])["errorType"]


# ---------------------------------------------------------------- HTTP


def test_metadata_stands_before_the_body_of_an_answer(served):
    """The NULs come in two chunks."""
    steps = [["text", METADATA], ["nuls", 3], ["nuls", 5], ["text", "hi"]]
    with closing(url(served, steps, type=INTEGRATION)) as response:
        head = response.status, response.answer.headers["x"], response.answer.headers["transfer-encoding"]

        assert ((201, "1", "chunked"), b"hi") == (head, response.rest())


def test_a_url_in_buffered_mode_collects_a_stream_with_its_metadata(served):
    path = url_path(served, "flow", "BUFFERED")
    order = {"steps": [["text", METADATA], ["nuls", 8], ["text", "hi"]], "type": INTEGRATION}
    with closing(Requested(served, order, path)) as response:
        head = response.status, response.answer.headers["x"], response.answer.headers["content-length"]

        assert ((201, "1", "2"), b"hi") == (head, response.rest())


@pytest.mark.parametrize("ask", [url, rest])
def test_a_failure_before_the_first_byte_is_502(served, ask):
    """So is metadata that does not come, or does not end."""
    broken = [["error", "at once"]] if ask is url else [["text", "x" * 20_000]]
    for steps in (broken, [["text", "x" * 40_000]]):
        order = {"steps": steps, "type": INTEGRATION}
        path = "/rest" if ask is rest else url_path(served, "flow", "RESPONSE_STREAM")
        with closing(Requested(served, order, path)) as response:
            assert (502, True) == (response.status, b"nternal" in response.rest())


def test_a_buffered_invocation_gets_the_whole_of_a_stream(served):
    steps = [["text", '{"a":'], ["text", " 1}"]]

    assert ({"a": 1}, "$LATEST") == served.invoke("flow", {"steps": steps})


def read_to_the_end(client):
    while client.recv(65_536):
        pass


def test_a_client_of_http_1_0_that_reads_to_the_end_sees_a_cut(served):
    address = urlsplit(served.addresses["http"])
    path = url_path(served, "flow", "RESPONSE_STREAM")
    body = json.dumps({"steps": [["text", "one"], ["sleep", 0.1], ["error", "midway"]]})
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(f"POST {path} HTTP/1.0\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        with pytest.raises(ConnectionResetError):
            read_to_the_end(client)


def test_streams_are_counted(served):
    with closing(invoke(served, [["bytes", 1000]])) as response:
        response.rest()
    with urlopen(f"{served.addresses['admin']}/metrics") as page:
        lines = page.read().decode().splitlines()
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}

    assert 1000 <= values['engine_streamed_bytes_total{function="flow"}']
    assert 1 <= values['engine_time_to_first_byte_seconds_count{function="flow"}']
