"""What every source holds, whatever it is fed from: one suite for those that are registered, and others'."""

import asyncio
import json

import pytest

from engine.core.event import TRIGGERS
from engine.core.outcome import Status
from engine.errors import FunctionNotFound, NotAccepting
from engine.registry import SOURCES

FAILURES = [status for status in Status if status is not Status.SUCCESS]
EXCUSED = {
    "logs",  # what is logged is delivered by the service: tests/services/logs has tests of its own
    "sqs_remote",  # it needs a server elsewhere, and so real time: tests/sources/sqs has tests of its own
}


def test_every_registered_source_is_played(played):
    """A new one needs a play of its own."""
    assert set() == SOURCES.keys() - played - EXCUSED


async def test_a_source_announces_itself_once_and_ends_when_asked(case):
    """With an address, or None."""
    task = await case.begin()
    await asyncio.sleep(0)
    case.stopping.set()
    await task

    assert 1 == len(case.announced)
    assert case.announced[0] is None or case.announced[0].startswith("http://127.0.0.1:")


async def test_what_it_delivers_is_an_event(case):
    """For the function, with JSON text, an id of its own, a known trigger and the time."""
    await case.begin()
    await case.busy(3)
    now_s = case.host.clock.now()
    events = case.sink.events[:3]

    assert ["f"] * 3 == [event.function for event in events]
    assert 3 == len({event.request_id for event in events})
    assert {event.trigger for event in events} <= set(TRIGGERS)
    assert all(0 <= now_s - event.received_s < 300 for event in events)
    assert all(json.loads(event.payload) is not ... for event in events)


async def test_a_source_that_is_asked_to_stop_takes_nothing_new_and_answers_what_it_took(case):
    """It ends when the last of it is done with."""
    case.sink.status = None
    task = await case.begin()
    await case.busy(3)
    taken = len(case.sink.events)
    case.stopping.set()
    for _ in range(20):
        await asyncio.sleep(0)
    ended_early = task.done()
    if not ended_early:
        await case.offer(2)
        for _ in range(20):
            await asyncio.sleep(0)
    case.sink.release()
    await task

    assert taken == len(case.sink.events)
    assert 0 == await case.unanswered()
    assert ended_early is not case.waits


async def test_a_source_stopped_before_it_began_takes_nothing(case):
    """It announces itself all the same: whoever started it waits for that."""
    case.stopping.set()
    task = case.serve()
    await task

    assert 1 == len(case.announced)
    assert [] == case.sink.events


async def test_stopping_twice_is_stopping_once(case):
    """And whoever cancels it when it has ended does no harm."""
    task = await case.begin()
    await case.busy(1)
    case.stopping.set()
    case.stopping.set()
    await task
    task.cancel()

    assert not task.cancelled()
    assert task.exception() is None


@pytest.mark.parametrize("phase", ["before it began", "idle", "busy", "draining"])
async def test_a_cancelled_source_leaves_at_once_and_leaves_nothing_behind(case, phase):
    """No task, no timer; an answer that comes too late is no error."""
    case.sink.status = None
    task = case.serve()
    if phase != "before it began":
        while not case.announced:
            await asyncio.sleep(0)
    if phase in ("busy", "draining"):
        await case.busy(3)
    if phase == "draining":
        case.stopping.set()
        await asyncio.sleep(0)
    at_s = case.host.clock.now()
    task.cancel()
    await asyncio.wait([task])
    case.sink.release()
    took_s = case.host.clock.now() - at_s
    await case.close()

    assert (set(), []) == case.left()
    assert task.cancelled() or (phase == "draining" and not case.waits)
    assert took_s < 1


@pytest.mark.parametrize("status", FAILURES)
async def test_a_failure_of_the_function_is_not_one_of_the_source(case, status):
    """It goes on, whatever became of what it delivered: a hundred throttles, say."""
    case.sink.status = status
    task = await case.begin()
    await case.busy(100)
    case.sink.status = Status.SUCCESS
    await case.busy(3)
    case.stopping.set()
    await task

    assert task.exception() is None


async def test_a_source_outlives_a_function_that_is_gone(case):
    """It goes on: the function may come back, and there may be others."""
    task = await case.begin()
    case.sink.error = FunctionNotFound("f")
    await case.offer(1)
    await case.sink.has(refused=1)
    case.sink.error = None
    await case.busy(1)
    case.stopping.set()
    await task

    assert task.exception() is None


async def test_a_source_outlives_an_engine_that_takes_nothing_any_more(case):
    """It is about to be stopped, and ends then."""
    task = await case.begin()
    case.sink.error = NotAccepting("draining")
    await case.offer(1)
    await case.sink.has(refused=1)
    for _ in range(20):
        await asyncio.sleep(0)
    ended_early = task.done()
    case.stopping.set()
    await task

    assert not ended_early
    assert task.exception() is None
