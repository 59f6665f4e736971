"""InvokeWithResponseStream: one chunk, then the completion, as botocore reads them."""

import base64
import json

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from engine.core.outcome import Status
from engine.services.lambda_api import event_stream

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


# ---------------------------------------------------------------- frames


CHUNK = (
    "0000006f0000005af5fe871f0b3a6576656e742d7479706507000c5061796c6f61644368756e6b0d3a636f6e74656e742d7479"
    "70650700186170706c69636174696f6e2f6f637465742d73747265616d0d3a6d6573736167652d747970650700056576656e74"
    "68656c6c6f29e71260"
)
COMPLETE = (
    "00000066000000541f56c8690b3a6576656e742d7479706507000e496e766f6b65436f6d706c6574650d3a636f6e74656e742d"
    "747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b7d7006d467"
)


def test_frames_are_those_that_botocore_reads():
    """Vectors of the encoding: 106 bytes more than the payload, and 102 of a completion."""
    assert CHUNK == event_stream.chunk(b"hello").hex()
    assert COMPLETE == event_stream.complete(None).hex()


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 200))
def test_frames_can_be_split_anywhere(pieces, size):
    data = b"".join(map(event_stream.chunk, pieces)) + event_stream.complete(None)
    buffer, reader = EventStreamBuffer(), event_stream.EventStreamReader()
    got, read = [], []
    for at in range(0, len(data), size):
        buffer.add_data(data[at : at + size])
        got += [event.payload for event in buffer]
        read += reader.feed(data[at : at + size])

    assert [*pieces, b"{}"] == got
    assert [*(("PayloadChunk", piece) for piece in pieces), ("InvokeComplete", b"{}")] == read


@pytest.mark.parametrize("at", [0, 9, 20, 108])
def test_what_is_no_frame_is_not_read(at):
    """Checksums tell."""
    data = bytearray(event_stream.chunk(b"hello"))
    data[at] ^= 1

    with pytest.raises(ValueError, match="event stream"):
        list(event_stream.EventStreamReader().feed(bytes(data)))
