"""Handlers as tasks on the engine's loop: one import for all, lanes that are used again, cancellation."""

import asyncio

import pytest

from engine import Engine, Function, Status
from engine.testing import virtual_platform

SOURCE = """
import asyncio, contextvars, os, sys
imports = globals().setdefault("imports", 0) + 1
seen = []
held = []
var = contextvars.ContextVar("var", default=None)

async def count(event, context):
    seen.append(event)
    await asyncio.sleep(1)
    return {"id": id(seen), "seen": len(seen)}

async def stubborn(event, context):
    while True:
        try:
            await asyncio.sleep(event["s"])
            seen.append("over")
            return "late"
        except asyncio.CancelledError:
            seen.append("swallowed")

async def exits_when_cancelled(event, context):
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        seen.append("exits")
        sys.exit(4)

async def raises_when_cancelled(event, context):
    try:
        await asyncio.sleep(100)
    finally:
        seen.append("cleaned up")
        raise ValueError("in finally")

async def cancels_itself(event, context):
    if event:
        asyncio.current_task().cancel()
        if event == "and waits":
            await asyncio.sleep(1)
    return "done"

async def cancels_itself_later(event, context):
    task = asyncio.current_task()
    if event:
        asyncio.get_running_loop().call_soon(task.cancel)
    return "done"

def plain(event, context):
    return {"plain": event, "task": asyncio.current_task() is not None}

async def peek(event, context):
    return list(seen)

async def sets_a_variable(event, context):
    before = var.get()
    var.set(event)
    return before

async def echo(event, context):
    return event

async def holds(event, context):
    return len(event)
"""


@pytest.fixture
def make(tmp_path):
    """An engine whose functions are the handlers of `SOURCE` by name, all from one module."""
    (tmp_path / "many.py").write_text(SOURCE)

    def make(*names, **keys):
        functions = [
            Function(name, handler=f"many.{name}", code=str(tmp_path), executor="loop", **keys)
            for name in names
        ]
        return Engine(functions, platform=virtual_platform())

    return make


async def test_all_environments_of_a_function_share_one_module(make):
    """It is imported once, whatever comes at once."""
    async with make("count") as engine:
        outcomes = await asyncio.gather(*(engine.invoke("count", n) for n in range(50)))

    assert 1 == len({outcome.payload["id"] for outcome in outcomes})
    assert {50} == {outcome.payload["seen"] for outcome in outcomes}


async def test_the_loop_turns_while_a_large_payload_is_read_and_a_large_result_is_written(make):
    """One call of a parser or an encoder for all of it would hold everything else."""
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    large = [{"n": number} for number in range(150_000)]
    async with make("echo") as engine:
        turning = asyncio.create_task(turn())
        small = await engine.invoke("echo", [])
        turns_for_small, turns = turns, 0
        outcome = await engine.invoke("echo", large)
        turning.cancel()

    assert [] == small.payload
    assert large == outcome.payload
    assert turns > turns_for_small + 2 * len(outcome.body) // 131_072


async def test_a_plain_handler_runs_on_the_loop_if_asked_to(make):
    """It blocks the loop while it runs, but it is run."""
    async with make("plain") as engine:
        outcome = await engine.invoke("plain", 5)

    assert {"plain": 5, "task": True} == outcome.payload


async def test_a_handler_that_swallows_its_cancellation_runs_on_unheard(make):
    """The deadline's answer stands, and its environment is not used again."""
    async with make("stubborn", timeout_s=3) as engine:
        outcome = await engine.invoke("stubborn", {"s": 10})
        await asyncio.sleep(30)
        levels = engine.sink.drivers["stubborn"].statistics()

    assert Status.TIMEOUT == outcome.status
    assert (0, 0, 0) == (levels.idle, levels.busy, levels.in_flight)


@pytest.mark.parametrize("name", ["exits_when_cancelled", "raises_when_cancelled"])
async def test_what_a_handler_does_when_it_is_cancelled_changes_nothing(make, name):
    """Not even `sys.exit`, which would end the loop if it left the task."""
    async with make(name, timeout_s=3) as engine:
        first = await engine.invoke(name, {})
        second = await engine.invoke(name, {})
        await asyncio.sleep(1)

    assert [Status.TIMEOUT] * 2 == [first.status, second.status]


@pytest.mark.parametrize("name", ["cancels_itself", "cancels_itself_later"])
async def test_a_cancellation_left_behind_does_not_reach_the_next_invocation(make, name):
    """The next one is not lost, whether it comes at once or later."""
    async with make(name, reserved_concurrency=1, overflow="queue") as engine:
        left = [await engine.invoke(name, "now"), await engine.invoke(name)]
        queued = await asyncio.gather(*(engine.invoke(name, event) for event in ("now", None, "now", None)))
        await asyncio.sleep(1)
        last = await engine.invoke(name)

    assert ["done"] * 7 == [outcome.payload for outcome in [*left, *queued, last]]


async def test_a_handler_that_lets_itself_be_cancelled_ends_its_environment(make):
    """`CancelledError` is no Exception: on Lambda the process would end of it."""
    async with make("cancels_itself") as engine:
        outcome = await engine.invoke("cancels_itself", "and waits")
        then = await engine.invoke("cancels_itself")

    assert (Status.CRASH, "Runtime.ExitError") == (outcome.status, outcome.error["errorType"])
    assert ("done", True) == (then.payload, then.cold_start)


async def test_an_idle_environment_keeps_its_lane(make):
    """Context variables stay set in an environment, as they do in Lambda's own runtime."""
    async with make("sets_a_variable") as engine:
        seen = [(await engine.invoke("sets_a_variable", n)).payload for n in range(3)]

    assert [None, 0, 1] == seen


async def test_no_task_is_left_when_the_engine_is_closed(make):
    """Idle lanes end with their environments."""
    async with make("count", "plain") as engine:
        await asyncio.gather(*(engine.invoke(name, 1) for name in ("count", "plain") for _ in range(5)))
        during = len(asyncio.all_tasks())
    await asyncio.sleep(0)

    assert 1 < during
    assert 1 == len(asyncio.all_tasks())
