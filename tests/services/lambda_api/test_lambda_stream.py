"""InvokeWithResponseStream: one chunk, then the completion, as botocore reads them."""

import base64
import json

import pytest
from botocore.eventstream import EventStreamBuffer

from engine.core.outcome import Status

TARGET = "/2021-11-15/functions/hello/response-streaming-invocations"


def frames(data):
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [
        (event.headers[":event-type"], event.headers[":content-type"], event.payload)
        for event in buffer
        if event.headers[":message-type"] == "event"
    ]


def test_a_result_is_one_chunk_and_its_completion(bench):
    answer = bench.ask("POST", TARGET, body=b'{"a": 1}')

    assert (200, "application/vnd.amazon.eventstream", "$LATEST") == (
        answer.status,
        answer.headers["content-type"],
        answer.headers["x-amz-executed-version"],
    )
    assert [
        ("PayloadChunk", "application/octet-stream", b'{"a": 1}'),
        ("InvokeComplete", "application/json", b"{}"),
    ] == frames(answer.body)


def test_a_failure_stands_in_the_completion(bench, end):
    error = '{"errorType": "KeyError", "errorMessage": "é"}'
    bench.sink.act = end(Status.ERROR, error.encode(), log_tail=b"log")
    [(kind, _, payload)] = frames(bench.ask("POST", TARGET, {"X-Amz-Log-Type": "Tail"}).body)

    assert "InvokeComplete" == kind
    assert {
        "ErrorCode": "Unhandled",
        "ErrorDetails": error,
        "LogResult": base64.b64encode(b"log").decode(),
    } == json.loads(payload)


@pytest.mark.parametrize("body", [b"", b"x" * 6_000_000])
def test_results_of_any_size_are_framed(bench, end, body):
    bench.sink.act = end(body=body, raw=True)
    chunks = [
        payload for kind, _, payload in frames(bench.ask("POST", TARGET).body) if kind == "PayloadChunk"
    ]

    assert body == b"".join(chunks)


def test_a_throttle_is_no_stream(bench, throttle):
    """It is a plain error."""
    bench.sink.act = throttle("ConcurrentInvocationLimitExceeded")

    assert (429, "TooManyRequestsException") == bench.ask("POST", TARGET).error[:2]


def test_a_dry_run_streams_nothing_and_an_event_is_no_choice(bench):
    """The two other invocation types."""
    assert 204 == bench.ask("POST", TARGET, {"X-Amz-Invocation-Type": "DryRun"}).status
    assert 400 == bench.ask("POST", TARGET, {"X-Amz-Invocation-Type": "Event"}).status
