"""What the pieces of a streamed response are made of, and how a writer waits for its reader."""

import asyncio
import threading

import pytest

from engine.executors.marshal import MarshalError
from engine.executors.streamed_pieces import (
    PIECE_COST_BYTES,
    WINDOW_BYTES,
    CreditedWriter,
    as_bytes,
    is_stream,
    opening,
    write_all,
)


class Writer(CreditedWriter):
    """Keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.told, self.waits = [], threading.Semaphore(0)

    def begin(self, content_type):
        self.told.append(content_type)

    def put(self, data):
        self.told.append(len(data))
        return self.spend(len(data))

    def wait(self):
        self.waits.release()
        super().wait()

    def close(self):
        self.told.append("closed")


@pytest.mark.parametrize("piece", [b"ab", bytearray(b"ab"), memoryview(b"xab")[1:], "ab"])
def test_bytes_of_any_kind_and_text_are_pieces(piece):
    found = as_bytes(piece)

    assert (b"ab", bytes) == (found, type(found))


@pytest.mark.parametrize("piece", [None, 1, [b"a"], {"statusCode": 200}, object()])
def test_nothing_else_is(piece):
    with pytest.raises(MarshalError, match="a streamed piece is bytes or str, not "):
        as_bytes(piece)


def test_metadata_may_be_empty():
    assert ("application/vnd.awslambda.http-integration-response", b"{}" + bytes(8)) == opening({})


def test_only_generators_are_streams():
    """What could be iterated over as well is a result like any other."""

    async def later():
        yield b""

    kinds = [is_stream(value) for value in ([b"a"], iter([b"a"]), "a", map(str, [1]))]

    assert [False] * 4 == kinds
    assert is_stream(one for one in "a")
    assert is_stream(later())


def test_a_writer_waits_when_its_window_is_full_and_goes_on_with_what_is_granted():
    writer = Writer()
    thread = threading.Thread(target=write_all, args=((bytes(60_000) for _ in range(10)), writer))
    thread.start()
    writer.waits.acquire()
    before = sum(writer.told[1:])
    writer.grant(10 * (60_000 + PIECE_COST_BYTES))
    thread.join()

    assert WINDOW_BYTES - 5 * PIECE_COST_BYTES <= before < WINDOW_BYTES + 60_000
    assert ["application/octet-stream", *[60_000] * 10, "closed"] == writer.told


def test_many_tiny_pieces_fill_the_window_too():
    writer = Writer()
    for _ in range(WINDOW_BYTES // PIECE_COST_BYTES):
        may_go_on = writer.put(b"x")

    assert not may_go_on


def test_a_generator_that_raises_is_closed_and_begins_nothing():
    writer = Writer()

    def fails():
        raise LookupError
        yield

    with pytest.raises(LookupError):
        write_all(fails(), writer)

    assert ["closed"] == writer.told


async def test_what_is_granted_to_a_wait_that_was_ended_is_no_error():
    """At a deadline the wait is cancelled, and the loop runs on."""
    writer, said = Writer(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))
    writer.spend(WINDOW_BYTES)
    waiting = asyncio.create_task(writer.until_free())
    await asyncio.sleep(0)
    waiting.cancel()
    writer.grant(WINDOW_BYTES)
    await asyncio.wait([waiting])
    await asyncio.sleep(0)

    assert [] == said
    assert writer.has_room
