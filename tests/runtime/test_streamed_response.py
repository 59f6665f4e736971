"""Responses that handlers stream: passed on piece by piece, or collected; their limits."""

import asyncio

import pytest

from engine.core.event import StreamedEvent
from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.core.payload_limits import MAX_RESPONSE_BYTES, MAX_STREAMED_BYTES
from engine.testing import Act

MB = 1 << 20


def at_once(_number: int) -> float:
    """The init of an environment."""
    return 0.0


class Reader:
    """A source that takes a stream: keeps what comes with its time, and can be slow."""

    def __init__(self, runtime, room: float = float("inf")):
        self.runtime, self.room = runtime, room
        self.said, self.drained, self.began_s = [], None, runtime.clock.now()
        self.outcome = None

    def say(self, *words):
        self.said.append((round(self.runtime.clock.now() - self.began_s, 3), *words))

    def begin(self, content_type, drained):
        self.drained = drained
        self.say("begin", content_type)

    def write(self, data):
        self.say(data if len(data) < 100 else len(data))
        self.room -= 1
        return self.room > 0

    def fail(self, body):
        self.say("fail", body[:40])

    def ended(self, outcome):
        self.outcome = outcome
        self.say("ended", outcome.status.value, outcome.body)

    def send(self):
        event = StreamedEvent("f", b"null", "id", self.runtime.clock.now())
        event.stream = self
        self.runtime.dispatcher.submit(event, self.ended)
        return self


def streams(*pieces, piece_s=1.0, status=Status.SUCCESS, body=b"null", **keys):
    """The act of a handler that streams."""
    return lambda _: Act(pieces=pieces, piece_s=piece_s, result=Result(status, body), **keys)


async def test_pieces_are_passed_on_as_they_come(runtime):
    runtime.add(
        act=streams(b"one", b"two", takes_s=1.0, content_type="text/plain"), timeout_s=60, init=at_once
    )
    reader = Reader(runtime.open()).send()
    await asyncio.sleep(10)

    assert [
        (1.0, "begin", "text/plain"),
        (1.0, b"one"),
        (2.0, b"two"),
        (3.0, "ended", "success", b""),
    ] == reader.said


async def test_a_response_without_a_piece_begins_at_its_end(runtime):
    runtime.add(act=streams(), init=at_once)
    reader = Reader(runtime.open()).send()
    await asyncio.sleep(10)

    assert ["begin", "ended"] == [words[1] for words in reader.said]


async def test_an_error_in_the_middle_is_the_outcome_of_what_has_begun(runtime):
    runtime.add(act=streams(b"one", status=Status.ERROR, body=b"{}"), init=at_once)
    reader = Reader(runtime.open()).send()
    await asyncio.sleep(10)

    assert (1.0, "ended", "error", b"{}") == reader.said[-1]


async def test_who_takes_no_stream_gets_the_whole_response(runtime):
    """Its type says what it is; JSON is no raw result."""
    runtime.add(act=streams(b'{"a"', b": 1}", content_type="text/plain"), init=at_once)
    runtime.open()
    outcome = await runtime.call()

    assert ("success", b'{"a": 1}', False, "text/plain") == (
        outcome.status.value,
        outcome.body,
        outcome.raw,
        outcome.content_type,
    )


async def test_the_outcome_has_its_bytes_and_the_time_to_its_first(runtime):
    """Of a stream that was passed on, which has no body, and of one that was collected."""
    act = streams(b"one", b"three", takes_s=1.0, content_type="text/plain")
    runtime.add(act=act, timeout_s=60, init=at_once)
    read = Reader(runtime.open()).send()
    await asyncio.sleep(10)
    ends = [read.outcome, await runtime.call()]

    assert [(8, 1.0, "text/plain")] * 2 == [
        (end.produced_bytes, end.first_byte_s, end.content_type) for end in ends
    ]
    assert [b"", b"onethree"] == [end.body for end in ends]


async def test_what_is_no_json_is_raw_when_it_is_collected(runtime):
    runtime.add(act=streams(b"a", b"b", piece_s=0.0))
    runtime.open()
    outcome = await runtime.call()

    assert (b"ab", True) == (outcome.body, outcome.raw)


async def test_a_collected_response_has_the_limit_of_all_others(runtime):
    """The handler ends as it does: what it writes beyond the limit is dropped."""
    runtime.add(act=streams(*[b"x" * MB] * 8, piece_s=0.5), timeout_s=60)
    runtime.open()
    outcome = await runtime.call()

    assert "error" == outcome.status
    assert f"({MAX_RESPONSE_BYTES} bytes)".encode() in outcome.body
    assert pytest.approx(4.0) == outcome.duration_s


async def test_a_stream_over_its_limit_ends_there_and_the_handler_runs_on(runtime):
    """It is billed in full, and its outcome is the error."""
    many = MAX_STREAMED_BYTES // MB
    runtime.add(act=streams(*[b"x" * MB] * (many + 3)), init=at_once, timeout_s=900)
    reader = Reader(runtime.open()).send()
    await asyncio.sleep(900)
    *_, failed, ended = reader.said

    assert (many, "fail") == failed[:2]
    assert (many + 3, "ended", "error") == ended[:3]
    assert b"(209715200 bytes)" in ended[3]


async def test_a_slow_reader_holds_its_handler_back_and_no_other(runtime):
    runtime.add(act=streams(b"1", b"2", b"3", piece_s=0.0), init=at_once, timeout_s=60)
    runtime.open()
    slow, quick = Reader(runtime, room=1).send(), Reader(runtime).send()
    await asyncio.sleep(20)

    assert [(0, "begin"), (0, b"1")] == [words[:2] for words in slow.said]
    assert (0, "ended") == quick.said[-1][:2]

    slow.room = 9
    slow.drained()
    await asyncio.sleep(1)

    assert (20, "ended", "success", b"") == slow.said[-1]


async def test_a_timeout_counts_to_the_end_of_the_stream(runtime):
    """A reader that stalls does not keep the handler for longer; what it says afterwards is nothing."""
    runtime.add(act=streams(b"1", b"2"), init=at_once, timeout_s=5)
    reader = Reader(runtime.open(), room=1).send()
    await asyncio.sleep(10)
    reader.drained()

    assert (5, "ended", "timeout") == reader.said[-1][:3]
    assert ["start 1", "run 1 id", "stop 1"] == runtime.executors["f"].commands
    assert 0 == runtime.levels().in_flight


@pytest.mark.parametrize(("size_mb", "takes_s"), [(6, 0), (20, 7), (200, 97)])
async def test_beyond_6_mb_a_response_takes_its_time_where_bandwidth_is_limited(runtime, size_mb, takes_s):
    """Source: Lambda Developer Guide: 2 MB/s."""
    runtime.add(
        act=streams(*[b"x" * MB] * size_mb, piece_s=0.0),
        init=at_once,
        timeout_s=900,
        limits_bandwidth=True,
    )
    reader = Reader(runtime.open()).send()
    await asyncio.sleep(200)

    assert (pytest.approx(takes_s), "ended", "success", b"") == reader.said[-1]


async def written_at_once(runtime, *, size_mb=8, status=Status.SUCCESS, **keys):
    """A reader, facts and invocation of a handler that wrote all before it could be told to wait."""
    invocations = []
    runtime.add(
        act=lambda invocation: invocations.append(invocation) or Act(takes_s=800),
        init=at_once,
        limits_bandwidth=True,
        **keys,
    )
    reader = Reader(runtime.open()).send()
    while not invocations:
        await asyncio.sleep(0)
    facts, (invocation,) = runtime.executors["f"].facts, invocations
    facts.began(invocation, "a/b", lambda: None)
    for _ in range(size_mb):
        facts.piece(invocation, b"x" * MB)
    facts.ended(invocation, Result(status, b""))
    return reader, facts, invocation


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.ERROR])
async def test_what_is_on_its_way_and_the_end_keep_the_bandwidth(runtime, status):
    """A piece goes out when those before it may, the end when all may; it is the handler's time."""
    reader, _, _ = await written_at_once(runtime, status=status, timeout_s=9)
    await asyncio.sleep(5)

    assert [*[0] * 8, 0.5, 1.0] == [said[0] for said in reader.said]
    assert (1.0, "ended", status.value) == reader.said[-1][:3]
    assert 1.0 == pytest.approx(reader.outcome.duration_s)


@pytest.mark.parametrize("environment_concurrency", [1, 4])
async def test_a_deadline_strikes_while_the_bandwidth_holds_the_end_back(runtime, environment_concurrency):
    """Nothing follows, and its place is free."""
    reader, _, _ = await written_at_once(
        runtime, timeout_s=0.75, environment_concurrency=environment_concurrency
    )
    await asyncio.sleep(5)

    assert (0.75, "ended", "timeout") == reader.said[-1][:3]
    assert 0 == runtime.levels().in_flight


async def test_an_environment_that_dies_behind_its_handler_has_sent_the_response(runtime):
    reader, facts, invocation = await written_at_once(runtime, timeout_s=9)
    facts.died(invocation.env_id)
    await asyncio.sleep(5)

    assert 8 == [said[1] for said in reader.said].count(MB)
    assert (0.0, "ended", "success", b"") == reader.said[-1]
    assert 0 == runtime.levels().in_flight


async def test_where_it_is_not_a_response_takes_none(runtime):
    runtime.add(act=streams(*[b"x" * MB] * 20, piece_s=0.0), init=at_once)
    reader = Reader(runtime.open()).send()
    await asyncio.sleep(1)

    assert (0, "ended", "success", b"") == reader.said[-1]
