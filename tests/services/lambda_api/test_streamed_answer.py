"""The answer of an InvokeWithResponseStream, call by call."""

import pytest
from botocore.eventstream import EventStreamBuffer

from engine.core.event import Event
from engine.core.outcome import Status
from engine.protocols.http.message import Request
from engine.services.lambda_api.streamed_answer import StreamedAnswer

EVENT = Event("f", b"{}", "id", 0.0)


class Wire:
    """Stands for a connection: keeps the head and the frames, and says that it is full if it is."""

    def __init__(self):
        self.head, self.ended, self.room = None, None, True
        self.buffer = EventStreamBuffer()

    def stream(self, _request, status, head, _drained):
        self.head = status, head
        return self

    def write(self, data):
        self.buffer.add_data(data)
        return self.room

    def end(self):
        self.ended = "end"

    def cut(self):
        self.ended = "cut"

    def frames(self):
        return [(frame.headers[":event-type"], frame.payload) for frame in self.buffer]


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def answer(wire):
    request = Request(wire, "POST", b"/", b"", [], b"", "1.1", "192.0.2.7", 0.0)
    return StreamedAnswer(request, lambda: b"a: b\r\n")


def test_a_stream_is_its_chunks_and_a_completion(answer, wire, end):
    answer.begin("text/plain", lambda: None)
    answer.write(b"one")
    wire.room = False

    assert answer.write(b"two") is False
    assert answer.finish(end()(EVENT), "bG9n") is True
    assert (200, b"a: b\r\nX-Amzn-Remapped-Content-Type: text/plain\r\n") == wire.head
    assert [
        ("PayloadChunk", b"one"),
        ("PayloadChunk", b"two"),
        ("InvokeComplete", b'{"LogResult":"bG9n"}'),
    ] == wire.frames()
    assert "end" == wire.ended


def test_what_has_not_begun_is_answered_otherwise(answer, wire, end):
    assert answer.finish(end()(EVENT), None) is False
    assert None is wire.head


def test_a_stream_that_is_too_large_ends_at_once_and_once(answer, wire, end):
    answer.begin("text/plain", lambda: None)
    answer.fail(b"{}")
    answer.write(b"more")
    answer.finish(end(Status.ERROR, b"{}")(EVENT), None)

    assert [("InvokeComplete", b'{"ErrorCode":"Unhandled","ErrorDetails":"{}"}')] == wire.frames()


def test_when_the_engine_ends_a_stream_is_cut(answer, wire, end):
    """A completion would say that the function has ended."""
    answer.begin("text/plain", lambda: None)
    answer.finish(end(Status.CANCELLED, b"{}")(EVENT), None)

    assert ([], "cut") == (wire.frames(), wire.ended)
