"""What `streaming = "generator"` promises on every executor, of generators and asynchronous ones."""

import asyncio
import os

import pytest

from engine import Status
from engine.core.response_stream import DEFAULT_TYPE, INTEGRATION_RESPONSE, PIECE_BYTES
from tests.contracts.streaming_stage import EXECUTORS, opened

pytestmark = pytest.mark.real_time

KINDS = ("pieces", "apieces")
MB = 1 << 20


@pytest.fixture(scope="module", params=EXECUTORS)
def stage(request, tmp_path_factory):
    """An engine for each executor."""
    with opened(request.param, tmp_path_factory.mktemp(request.param)) as stage:
        yield stage


@pytest.fixture(params=KINDS)
def kind(request):
    """A function whose handler is a generator function, or an asynchronous one."""
    return request.param


@pytest.fixture(params=[*KINDS, "shared_pieces", "shared_apieces"])
def any_kind(request):
    """The same, and where environments run several invocations at once too."""
    return request.param


def test_pieces_come_in_their_order_and_none_is_missing(stage, any_kind):
    reader, outcome = stage.run(stage.read(any_kind, ("count", 1000)))

    assert ([DEFAULT_TYPE], "".join(f"{number} " for number in range(1000)).encode()) == (
        reader.types,
        reader.body,
    )
    assert (Status.SUCCESS, b"") == (outcome.status, outcome.body)


def test_the_first_piece_is_there_before_the_handler_ends(stage, any_kind):
    async def play():
        gate = stage.file()
        reader, ended = stage.begin(any_kind, ("yield", "first"), ("gate", gate), ("yield", "last"))
        await reader.wrote.wait()
        before = reader.body, ended.done()
        open(gate, "w").close()
        await ended
        return before, reader.body

    assert ((b"first", False), b"firstlast") == stage.run(play())


def test_a_slow_reader_stalls_its_handler_and_no_other(stage, any_kind):
    """Little is held meanwhile; then all of it comes."""

    async def play():
        written = stage.file()
        steps = [("bytes", PIECE_BYTES)] * 32
        slow, ended = stage.begin(any_kind, *steps, ("mark", written))
        slow.room = 1
        await slow.wrote.wait()
        quick, _ = await stage.read(any_kind, *steps)
        stalled = len(slow.body), os.path.exists(written), ended.done()
        slow.go_on()
        await ended
        return stalled, len(quick.body), len(slow.body), os.path.exists(written)

    (held, was_written, had_ended), quick, slow, is_written = stage.run(play())

    assert (False, False) == (was_written, had_ended)
    assert held <= MB
    assert (2 * MB, 2 * MB, True) == (quick, slow, is_written)


def test_a_reader_that_stalls_again_and_again_gets_all_of_it(stage, kind):
    async def play():
        steps = [("bytes", 50_000)] * 40
        reader, ended = stage.begin(kind, *steps)
        reader.room = 1
        while not ended.done():
            await asyncio.wait([ended], timeout=0.001)
            if reader.drained is not None:
                reader.drained()
        return len(reader.body), ended.result().status

    assert (2_000_000, Status.SUCCESS) == stage.run(play())


def test_a_long_piece_is_cut(stage, kind):
    reader, _ = stage.run(stage.read(kind, ("bytes", 200_000)))

    assert [PIECE_BYTES] * 3 + [200_000 - 3 * PIECE_BYTES] == [len(piece) for piece in reader.pieces]


def test_an_error_before_the_first_piece_is_that_of_a_buffered_handler(stage, kind):
    reader, outcome = stage.run(stage.read(kind, ("raise", "not in stock")))

    assert ([], b"") == (reader.types, reader.body)
    assert (Status.ERROR, "LookupError", "not in stock") == (
        outcome.status,
        outcome.error["errorType"],
        outcome.error["errorMessage"],
    )
    assert f", in {kind}\n" in outcome.error["stackTrace"][0]


def test_an_error_after_a_piece_is_the_end_of_what_has_begun(stage, any_kind):
    reader, outcome = stage.run(stage.read(any_kind, ("yield", "one"), ("raise", "not in stock")))

    assert ([DEFAULT_TYPE], b"one") == (reader.types, reader.body)
    assert (Status.ERROR, "LookupError") == (outcome.status, outcome.error["errorType"])


def test_a_dict_first_is_http_metadata(stage, kind):
    metadata = {"statusCode": 201, "headers": {"x": "\0"}, "cookies": ["a=b"]}
    reader, _ = stage.run(stage.read(kind, ("yield", metadata), ("yield", "hi")))

    assert [INTEGRATION_RESPONSE] == reader.types
    assert (
        b'{"statusCode": 201, "headers": {"x": "\\u0000"}, "cookies": ["a=b"]}' + bytes(8) + b"hi"
        == reader.body
    )


@pytest.mark.parametrize(
    ("steps", "body", "message"),
    [
        ([("yield", 3)], b"", "a streamed piece is bytes or str, not int"),
        ([("yield", "é"), ("yield", [1])], b"\xc3\xa9", "a streamed piece is bytes or str, not list"),
        (
            [("yield", "a"), ("yield", {"statusCode": 200})],
            b"a",
            "a streamed piece is bytes or str, not dict: HTTP metadata has to be the first piece",
        ),
        (
            [("yield", {"status": 1})],
            b"",
            "HTTP metadata of a stream has statusCode, headers, multiValueHeaders, cookies, and not status",
        ),
        ([("yield", "\ud800")], b"", "a streamed piece of text has no UTF-8: surrogates not allowed"),
    ],
)
def test_what_is_neither_bytes_nor_text_is_an_error_of_the_handler(stage, kind, steps, body, message):
    """The generator is closed."""
    closed = stage.file()
    reader, outcome = stage.run(stage.read(kind, *steps, ("yield", "never"), **{"finally": closed}))

    assert (body, "Runtime.MarshalError", f"Unable to marshal response: {message}", True) == (
        reader.body,
        outcome.error["errorType"],
        outcome.error["errorMessage"],
        os.path.exists(closed),
    )


def test_an_empty_stream_has_a_type_and_an_end(stage, any_kind):
    reader, outcome = stage.run(stage.read(any_kind))

    assert ([DEFAULT_TYPE], [], Status.SUCCESS) == (reader.types, reader.pieces, outcome.status)


@pytest.fixture(scope="module")
def timed_out(stage):
    """What becomes of streams at their deadline, by function; played once, and at the same time."""

    async def waits(function):
        """Its handler waits for something else than its reader."""
        closed, never = stage.file(), stage.file()
        steps = ("yield", "one"), ("gate", never)
        reader, outcome = await stage.read(function, *steps, **{"finally": closed})
        if stage.executor in ("loop", "thread"):
            await stage.appears(closed)
        return reader.body, outcome.status

    async def is_held_back(function):
        """Its handler waits for its reader."""
        written = stage.file()
        reader, ended = stage.begin(function, *[("bytes", PIECE_BYTES)] * 32, ("mark", written))
        reader.room = 1
        outcome = await ended
        if "shared" in function:
            await stage.appears(written)
        return len(reader.body) <= MB, outcome.status

    async def blocks():
        """Its handler computes."""
        reader, outcome = await stage.read("timed_pieces", ("yield", "one"), ("spin", 30))
        return reader.body, outcome.status

    async def play():
        held = ("timed_pieces", "timed_apieces", "timed_shared_pieces", "timed_shared_apieces")
        for function in held:  # so that no time goes by before a handler begins
            await stage.read(function)
        plays = [*map(waits, ("timed_pieces", "timed_apieces")), *map(is_held_back, held)]
        if stage.executor == "loop":  # which it would keep from all others
            blocked = await blocks()
            played = await asyncio.gather(*plays)
        else:
            *played, blocked = await asyncio.gather(*plays, blocks())
        after, _ = await stage.read("pieces", ("yield", "two"))
        return [*played[:2], blocked], dict(zip(held, played[2:], strict=True)), after.body

    return stage.run(play())


def test_at_the_deadline_the_stream_ends_and_the_engine_lives_on(timed_out):
    """In the engine's own interpreter the generator is closed; a process is killed.

    One that computes is ended on the loop by a signal; a thread notices when what blocks has returned.
    """
    ended, _, after = timed_out

    assert ([(b"one", Status.TIMEOUT)] * 3, b"two") == (ended, after)


def test_at_the_deadline_a_handler_that_waits_for_its_reader_ends_too(timed_out):
    _, held_back, _ = timed_out

    assert [(True, Status.TIMEOUT)] * 2 == [held_back["timed_pieces"], held_back["timed_apieces"]]


def test_where_environments_are_shared_it_goes_on_to_its_end(timed_out):
    """Timeouts do not end the code there: it must not wait for a reader that was answered."""
    _, held_back, _ = timed_out

    assert [(True, Status.TIMEOUT)] * 2 == [
        held_back["timed_shared_pieces"],
        held_back["timed_shared_apieces"],
    ]


def test_an_exit_in_the_middle_is_a_crash_after_what_was_sent(stage, kind):
    reader, outcome = stage.run(stage.read(kind, ("yield", "one"), ("exit", 3)))
    after, _ = stage.run(stage.read(kind, ("yield", "two")))

    assert (b"one", b"two") == (reader.body, after.body)
    assert (Status.CRASH, "Runtime.ExitError") == (outcome.status, outcome.error["errorType"])


def test_a_handler_whose_client_has_gone_runs_to_its_end(stage, kind):
    """A source drops what comes then; the function is billed in full."""

    async def play():
        gate, written = stage.file(), stage.file()
        reader, ended = stage.begin(kind, ("bytes", 10), ("gate", gate), ("bytes", MB), ("mark", written))
        await reader.wrote.wait()
        reader.write = lambda _data: True
        open(gate, "w").close()
        outcome = await ended
        return outcome.status, outcome.billed_ms > 0, os.path.exists(written)

    assert (Status.SUCCESS, True, True) == stage.run(play())


def test_who_wants_the_whole_response_gets_it(stage, any_kind):
    outcome = stage.run(stage.engine.invoke(any_kind, {"do": [["yield", '{"a": '], ["yield", "1}"]]}))

    assert ({"a": 1}, DEFAULT_TYPE) == (outcome.payload, outcome.content_type)


def test_output_context_and_memory_are_the_invocations(stage, any_kind):
    steps = ("log", "hello"), ("remaining", 0), ("log", "bye"), ("remaining", 0)
    reader, outcome = stage.run(stage.read(any_kind, *steps, wants_log=True))
    first, second = map(int, reader.body.split())
    logged = [line.split("\t")[-2:] for line in outcome.log_tail.decode().splitlines() if "ERROR" in line]

    assert 60_000 >= first >= second > 0
    assert [[outcome.request_id, "hello"], [outcome.request_id, "bye"]] == logged
    assert (stage.executor in ("process", "cluster")) == (outcome.max_memory_mb is not None)


@pytest.mark.parametrize("function", ["makes", "amakes"])
def test_a_handler_may_return_a_generator(stage, function):
    reader, _ = stage.run(stage.read(function, ("yield", "one"), ("yield", "two")))

    assert [b"one", b"two"] == reader.pieces


@pytest.mark.parametrize("function", ["plain", "aplain"])
def test_any_other_result_is_json_as_ever(stage, function):
    reader, outcome = stage.run(stage.read(function))

    assert ([], '{"a": "ä"}'.encode(), False) == (reader.types, outcome.body, outcome.raw)


def test_without_the_setting_a_generator_is_no_result(stage):
    """As on AWS."""
    reader, outcome = stage.run(stage.read("buffered", ("yield", "one")))

    assert ([], "Runtime.MarshalError") == (reader.types, outcome.error["errorType"])
