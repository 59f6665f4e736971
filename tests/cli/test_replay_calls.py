"""`engine replay`: when calls are sent and what is counted as their time, in virtual time."""

import asyncio

import pytest

from engine.cli.replay.calls import Calls
from engine.protocols.http.client import Response
from engine.sources.replay.trace_file import Row


class Slow:
    """Answers each call after `takes_s`."""

    def __init__(self, takes_s):
        self.loop, self.takes_s, self.sent = asyncio.get_running_loop(), takes_s, []

    async def invoke(self, function, payload):
        self.sent.append((round(self.loop.time() - self.began_s, 3), payload))
        await asyncio.sleep(self.takes_s)
        return Response(200, [], b"null")

    async def replay(self, *times_s, most=1000, speed=1.0):
        rows = [Row(number, at_s, "f", str(number).encode()) for number, at_s in enumerate(times_s)]
        calls = Calls(self, self.loop.clock, asynchronous=True, most=most)
        self.began_s = self.loop.time()
        assert "" == await calls.send_all(rows, speed)
        return calls


async def test_the_time_of_a_call_is_from_when_it_was_due():
    """A caller of the trace would have waited too: one call at a time, each a second longer."""
    target = Slow(2.0)
    calls = await target.replay(0, 1, 2, 3, most=1)
    figures = calls.figures()

    assert [0, 2, 4, 6] == [at_s for at_s, _ in target.sent]
    assert (3500, 5000) == (figures["mean_ms"], figures["p99_ms"])


async def test_what_makes_calls_late_is_named():
    """A bounded number under way is not this machine, and the order of the trace makes none late."""
    held = (await Slow(2.0).replay(0, 1, 2, 3, most=1)).lateness
    target = Slow(0.5)
    unsorted = await target.replay(0, 20, 5, 10, 30)

    assert (3, 3.0, 0) == (held.held, held.held_s, held.slow)
    assert [0, 20, 20, 20, 30] == [at_s for at_s, _ in target.sent]
    assert (2, 0, 0) == (unsorted.out_of_order, unsorted.lateness.held, unsorted.lateness.slow)
    assert 500 == unsorted.figures()["p99_ms"]


async def test_a_generator_that_cannot_keep_up_is_told():
    """Rows that come late from the file, say."""

    class Late(Slow):
        async def invoke(self, function, payload):
            self.loop.clock.advance(1.0) if payload == b"0" else None
            return await super().invoke(function, payload)

    lateness = (await Late(0.0).replay(0, 0.5, 5)).lateness

    assert (0, 1) == (lateness.held, lateness.slow)


@pytest.mark.parametrize("speed", [0.5, 10.0])
async def test_the_trace_is_played_at_any_speed(speed):
    """From its first row on."""
    target = Slow(0.0)
    await target.replay(100, 101, 103, speed=speed)

    assert [0, 1 / speed, 3 / speed] == [at_s for at_s, _ in target.sent]
