"""`Engine.stream`: the response of one invocation, piece by piece, for programs in Python."""

import asyncio

import pytest

from engine import Engine, Function, Status
from engine.errors import EngineError, FunctionNotFound, NotAccepting
from engine.testing import virtual_platform

SOURCE = """
import asyncio

ended = []

async def handler(event, context):
    word = event["do"]
    if word == "ticks":
        return ticks(event)
    return large() if word == "large" else list(ended)

async def ticks(event):
    try:
        for number in range(event["n"]):
            await asyncio.sleep(1)
            yield f"{number} "
            if number == event.get("fails"):
                raise LookupError("not in stock")
    finally:
        ended.append(number)

async def large():
    for number in range(100):
        yield bytes(65_536)
        ended.append(number)
"""


@pytest.fixture
async def engine(tmp_path):
    (tmp_path / "app.py").write_text(SOURCE)
    keys = {"code": str(tmp_path), "timeout_s": 20, "streaming": "generator"}
    async with Engine([Function("f", handler="app.handler", **keys)], platform=virtual_platform()) as engine:
        yield engine


async def ended(engine):
    """What the handler has noted."""
    return (await engine.invoke("f", {"do": "ended"})).payload


async def test_pieces_come_when_the_handler_yields_them(engine):
    now = engine.platform.clock.now
    pieces = engine.stream("f", {"do": "ticks", "n": 3})
    began_s = now()
    took = [(round(now() - began_s), piece) async for piece in pieces]

    assert [(1, b"0 "), (2, b"1 "), (3, b"2 ")] == took
    assert (Status.SUCCESS, 3000) == (pieces.outcome.status, pieces.outcome.billed_ms)
    assert "application/octet-stream" == pieces.content_type


async def test_a_response_that_has_not_ended_has_no_outcome(engine):
    pieces = engine.stream("f", {"do": "ticks", "n": 1})

    with pytest.raises(EngineError, match="has not ended"):
        pieces.outcome  # noqa: B018

    assert [b"0 "] == [piece async for piece in pieces]
    assert pieces.outcome.ok


async def test_a_failure_is_the_outcome_after_the_pieces(engine):
    pieces = engine.stream("f", {"do": "ticks", "n": 3, "fails": 1})
    body = [piece async for piece in pieces]

    assert ([b"0 ", b"1 "], "LookupError") == (body, pieces.outcome.error["errorType"])


async def test_who_takes_nothing_holds_the_handler_back(engine):
    """By little more than the first piece."""
    pieces = engine.stream("f", {"do": "large"})
    await asyncio.sleep(1)

    assert len(await ended(engine)) <= 1

    assert 100 == len([piece async for piece in pieces])
    assert list(range(100)) == await ended(engine)


async def test_a_handler_whose_caller_leaves_runs_to_its_end(engine):
    async with engine.stream("f", {"do": "large"}) as pieces:
        async for _ in pieces:
            break
    await asyncio.sleep(1)

    assert list(range(100)) == await ended(engine)


async def test_a_timeout_closes_the_generator(engine):
    pieces = engine.stream("f", {"do": "ticks", "n": 30})
    count = len([piece async for piece in pieces])

    assert (19, Status.TIMEOUT) == (count, pieces.outcome.status)
    assert [19] == await ended(engine)


async def test_a_result_that_is_not_streamed_is_one_piece(engine):
    pieces = engine.stream("f", {"do": "ended"})

    assert [b"[]"] == [piece async for piece in pieces]
    assert (Status.SUCCESS, None) == (pieces.outcome.status, pieces.content_type)


async def test_what_cannot_begin_is_raised(engine):
    with pytest.raises(FunctionNotFound):
        engine.stream("none")
    with pytest.raises(NotAccepting):
        Engine([Function("f", handler="app.handler")]).stream("f")
