"""The beginning of streamed responses to HTTP: metadata, eight NULs, and the body, in pieces of any size."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.outcome import Status
from engine.sources.http.error_responses import error_responses
from engine.sources.http.settings import FrontDoor
from engine.sources.http.stream_metadata import MAX_BYTES, MetadataReader
from engine.sources.http.streamed_answers import HttpResponseStream, StreamForm

INTEGRATION = "application/vnd.awslambda.http-integration-response"
EXAMPLE = b'{"statusCode":201,"headers":{"x":"1"}}' + bytes(8) + b"hi"


def read(pieces):
    """What a reader finds, and the body that follows; None if it wants more."""
    reader = MetadataReader()
    found, body = None, b""
    for piece in pieces:
        if found is None:
            result = reader.read(piece)
            if result is not None:
                found, body = result
        else:
            body += piece
    return None if found is None else (found, body)


def cut(data, sizes):
    at, pieces = 0, []
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


@given(st.lists(st.integers(0, 12), max_size=60), st.binary(max_size=30))
def test_metadata_is_found_in_pieces_of_any_size(sizes, body):
    """A body may begin with NULs, or hold them: the first eight count."""
    assert ({"statusCode": 201, "headers": {"x": "1"}}, b"hi" + body) == read(cut(EXAMPLE + body, sizes))


@given(st.integers(0, 7))
def test_fewer_than_eight_nuls_are_no_delimiter(count):
    assert read([b"{}" + bytes(count)]) is None


@pytest.mark.parametrize("size", [1, 1000, 65_536])
@pytest.mark.parametrize(("spaces", "fits"), [(MAX_BYTES - 2, True), (MAX_BYTES - 1, False)])
def test_metadata_has_16_kb(size, spaces, fits):
    """What goes on without an end is refused there, whatever comes."""
    data = b"{}" + b" " * spaces + bytes(8) + b"body"
    pieces = cut(data, [size] * (len(data) // size))
    if fits:
        assert ({}, b"body") == read(pieces)
    else:
        with pytest.raises(ValueError, match="no eight NULs end its metadata within 16,384 bytes"):
            read(pieces)


@pytest.mark.parametrize("text", [b"", b"[]", b"3", b"{", b"\xff", b'"x"'])
def test_metadata_is_an_object(text):
    with pytest.raises(ValueError):  # noqa: PT011  # of the parser
        read([text + bytes(8)])


# ---------------------------------------------------------------- answers


class Wire:
    """Stands in for a connection: keeps what is sent, line by line."""

    def __init__(self):
        self.sent = []

    def stream(self, _request, status, head, _drained):
        self.sent.append((status, head))
        return self

    def answer(self, _request, status, head, body):
        self.sent.append((status, head, body))

    def write(self, data):
        self.sent.append(data)
        return True

    def end(self):
        self.sent.append("end")

    def cut(self):
        self.sent.append("cut")


@pytest.fixture
def answered(request_of, outcome_of, lines_of):
    """What a client gets of a stream: status, headers, and what follows."""

    def play(*pieces, kind=INTEGRATION, door=FrontDoor.URL, status=Status.SUCCESS, begins=True, result=b"{}"):
        wire = Wire()
        request = request_of(client=wire)
        form = StreamForm(error_responses(door), is_rest=door is FrontDoor.REST)
        outcome = outcome_of(b"" if begins else result, status=status)
        stream = HttpResponseStream(request, form, outcome.request_id, None)
        if begins:
            stream.begin(kind, lambda: None)
            for piece in pieces:
                assert stream.write(piece) is True
        if not stream.finish(outcome):
            request.respond(*form.answer(outcome, request))
        (code, head, *body), *rest = wire.sent
        return code, lines_of(head), [*body, *rest]

    return play


def test_metadata_says_status_headers_and_cookies(answered):
    metadata = {"statusCode": 404, "headers": {"X-A": "1"}, "cookies": ["a=1", "b=2; Secure"]}

    assert (
        404,
        [
            ("x-a", "1"),
            ("content-type", "application/octet-stream"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2; Secure"),
        ],
        [b"one", b"two", "end"],
    ) == answered(json.dumps(metadata).encode(), bytes(5), bytes(3) + b"one", b"two")


def test_without_metadata_the_bytes_are_the_body(answered):
    """The content type of the runtime is passed on."""
    assert (200, [("content-type", "text/event-stream")], [b"{}" + bytes(8), "end"]) == answered(
        b"{}" + bytes(8), kind="text/event-stream"
    )


def test_a_rest_api_wants_metadata_whatever_the_type_and_knows_multi_value_headers(answered):
    metadata = {"multiValueHeaders": {"x": ["1", "2"]}, "headers": {"x": "2", "Content-Type": "a/b"}}

    assert (200, [("x", "1"), ("x", "2"), ("content-type", "a/b")], [b"body", "end"]) == answered(
        json.dumps(metadata).encode() + bytes(8) + b"body", kind="text/plain", door=FrontDoor.REST
    )


def test_a_rest_api_sets_the_cookies_of_the_metadata(answered):
    """Behind the headers, each by a line of its own; what is no list of text is refused."""
    good, bad = (
        answered(json.dumps(metadata).encode() + bytes(8), door=FrontDoor.REST)
        for metadata in (
            {"headers": {"Content-Type": "a/b"}, "cookies": ["a=1", "b=2; Secure"]},
            {"cookies": "a=1"},
        )
    )

    assert [("content-type", "a/b"), ("set-cookie", "a=1"), ("set-cookie", "b=2; Secure")] == good[1]
    assert (200, 502) == (good[0], bad[0])


BAD = {
    "no delimiter": [b"{}"],
    "no metadata": [],
    "not an object": [b"[]" + bytes(8)],
    "too long": [b" " * 20_000],
    "a status that is none": [b'{"statusCode": 99}' + bytes(8)],
    "headers that are none": [b'{"headers": []}' + bytes(8)],
    "a header that would forge another": [b'{"headers": {"a": "b\\r\\nc: d"}}' + bytes(8)],
    "cookies that are none": [b'{"cookies": "a=1"}' + bytes(8)],
}


@pytest.mark.parametrize("pieces", [pytest.param(pieces, id=name) for name, pieces in BAD.items()])
def test_bad_metadata_is_502_and_what_follows_is_dropped(answered, pieces):
    code, _, rest = answered(*pieces, b"more", b"and more")

    assert (502, [b"Internal Server Error"]) == (code, rest)


def test_why_metadata_is_refused_is_said_in_a_line(request_of):
    """A REST API's too; of what follows it nothing is."""
    said = []
    responses = error_responses(FrontDoor.REST).saying(said.append)
    stream = HttpResponseStream(request_of(client=Wire()), StreamForm(responses, is_rest=True), "id", None)
    stream.begin("text/plain", lambda: None)
    stream.write(BAD["cookies that are none"][0])
    stream.write(b"more")

    reason = "cookies is not a list of strings"
    assert [f"invocation id gave no HTTP response, its client gets 502: {reason}"] == said


@pytest.mark.parametrize("begins", [False, True])
def test_a_failure_before_the_first_byte_is_502(answered, begins):
    """Of the answer: metadata alone is none."""
    for door, body in (
        (FrontDoor.URL, b"Internal Server Error"),
        (FrontDoor.REST, b'{"message":"Internal server error"}'),
    ):
        code, _, rest = answered(b'{"statusCode"', begins=begins, door=door, status=Status.TIMEOUT)

        assert (502, [body]) == (code, rest)


def test_a_failure_after_it_cuts_the_answer(answered):
    _, _, rest = answered(EXAMPLE, status=Status.ERROR)

    assert [b"hi", "cut"] == rest


def test_a_url_sends_what_was_not_streamed_as_it_is(answered):
    result = b'{"statusCode": 404, "body": "x"}'

    assert (200, [("content-type", "application/octet-stream")], [result]) == answered(
        begins=False, result=result
    )


def test_a_rest_api_takes_what_was_not_streamed_if_it_has_metadata(answered):
    assert (201, [b"hi"]) == answered(begins=False, result=EXAMPLE, door=FrontDoor.REST)[::2]
    assert 502 == answered(begins=False, result=b'{"statusCode": 200}', door=FrontDoor.REST)[0]


def test_a_stream_that_is_too_large_is_cut_where_it_is(request_of):
    wire = Wire()
    stream = HttpResponseStream(
        request_of(client=wire), StreamForm(error_responses(FrontDoor.URL), is_rest=False), "id", None
    )
    stream.begin("text/plain", lambda: None)
    stream.write(b"one")
    stream.fail(b"{}")
    stream.write(b"two")

    assert [b"one", "cut"] == wire.sent[1:]


class Span:
    """Stands for the span of a request: keeps the statuses it is told."""

    def __init__(self):
        self.statuses = []

    def answered(self, answer):
        status, head, body = answer
        self.statuses.append(status)
        return status, head + b"trace: 1\r\n", body


@pytest.mark.parametrize(("piece", "status"), [(EXAMPLE, 201), (b"x" * 20_000, 502)])
def test_a_span_is_told_the_status_when_the_answer_begins(request_of, outcome_of, piece, status):
    """Once, and the client is told of the trace."""
    wire, span = Wire(), Span()
    form = StreamForm(error_responses(FrontDoor.URL), is_rest=False)
    stream = HttpResponseStream(request_of(client=wire), form, "id", span)
    stream.begin(INTEGRATION, lambda: None)
    before = list(span.statuses)
    stream.write(piece)
    stream.finish(outcome_of(b""))

    assert ([], [status]) == (before, span.statuses)
    assert b"trace: 1\r\n" in wire.sent[0][1]
