"""A handler that holds the event loop is named while it holds it, with the place in its code."""

import asyncio
import sys
import threading
import types

import pytest

from engine import Engine, Function, Status
from engine.core.engine_events import LoopBlocked, LoopReleased
from engine.executors.watchdog import Watchdog
from engine.runtime.clock import SystemClock

pytestmark = pytest.mark.real_time

SOURCE = """
import watch_props as props

async def blocks(event, context):
    return wait_in_vain()

def wait_in_vain():
    return props.let_go.wait(20)

def plain(event, context):
    return wait_in_vain()
"""


@pytest.fixture
def props():
    """What the handler and the test both see."""
    module = types.ModuleType("watch_props")
    module.let_go = threading.Event()
    sys.modules["watch_props"] = module
    yield module
    del sys.modules["watch_props"]


@pytest.mark.parametrize("handler", ["blocks", "plain"])
async def test_a_handler_that_blocks_the_loop_is_named_while_it_does(tmp_path, props, handler):
    """The line is written before the loop is free again: it is what frees it here."""
    (tmp_path / "app.py").write_text(SOURCE)
    log = []

    def write(text):
        log.append(text)
        if "has held the event loop" in text:
            props.let_go.set()

    function = Function("f", handler=f"app.{handler}", code=str(tmp_path), executor="loop", timeout_s=30)
    async with Engine([function], write_log=write) as engine:
        outcome = await engine.invoke("f")
        while "let go of the event loop" not in "".join(log):
            await asyncio.sleep(0.01)
    text = "".join(log)

    assert (Status.SUCCESS, True) == (outcome.status, outcome.payload)
    assert f"[engine] f: {outcome.request_id} has held the event loop for" in text
    assert "in wait_in_vain\n" in text
    assert f'File "{tmp_path / "app.py"}"' in text
    assert f"[engine] f: {outcome.request_id} let go of the event loop after" in text


async def test_the_stack_is_the_handlers_alone_and_each_place_is_told_once(tmp_path):
    """Neither what called the handler, nor the same lines at each invocation."""
    (tmp_path / "app.py").write_text("import time\nasync def f(event, context):\n    time.sleep(0.4)\n")
    log = []
    function = Function("f", handler="app.f", code=str(tmp_path), executor="loop", timeout_s=30)
    async with Engine([function], write_log=log.append) as engine:
        for _ in range(2):
            await engine.invoke("f")
            await asyncio.sleep(0.2)
    lines = [line for line in "".join(log).splitlines() if line.startswith("    ")]

    assert [f'      File "{tmp_path / "app.py"}", line 3, in f', "        time.sleep(0.4)"] == lines[:2]
    assert [f'      File "{tmp_path / "app.py"}", line 3, in f (as before)'] == lines[2:]


async def test_a_loop_that_something_else_holds_shows_in_the_lag_alone():
    """Nobody's handler is to blame."""
    loop, notices, lags = asyncio.get_running_loop(), [], []
    asked = threading.Event()

    def find(_task):
        asked.set()

    with Watchdog(loop, SystemClock(), find, notices.append, lags.append) as watchdog, watchdog.listening():
        assert asked.wait(10)  # holds the loop until the watchdog has looked
        while not lags:
            await asyncio.sleep(0.01)

    assert [] == notices
    assert lags[0] > 0


async def test_each_time_the_loop_is_held_is_told_once():
    """However long it lasts; and its end is told once too."""
    loop, told, lags = asyncio.get_running_loop(), [], []
    invocation = types.SimpleNamespace(event=types.SimpleNamespace(function="f", request_id="id"))
    seen = threading.Event()

    def notify(notice):
        told.append(type(notice))
        seen.set()

    with (
        Watchdog(loop, SystemClock(), lambda _task: invocation, notify, lags.append) as watchdog,
        watchdog.listening(),
    ):
        for _ in range(2):
            seen.clear()
            assert seen.wait(10)
            count = len(lags)
            while len(lags) == count:
                await asyncio.sleep(0.01)

    assert [LoopBlocked, LoopReleased] * 2 == told


async def test_after_it_is_closed_neither_thread_nor_timer_is_left():
    """Also when it never saw anything."""
    loop = asyncio.get_running_loop()
    with (
        Watchdog(loop, SystemClock(), lambda _: None, print, lambda _: None) as watchdog,
        watchdog.listening(),
    ):
        during = [thread.name for thread in threading.enumerate()]

    assert "engine-watchdog" in during
    assert "engine-watchdog" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("executor", [None, "thread", "process"])
async def test_the_lag_of_the_loop_is_measured_whatever_runs(tmp_path, executor):
    """Also when no handler can hold the loop, and when there is none; then no thread watches it."""
    (tmp_path / "app.py").write_text("def f(event, context): ...\n")
    functions = [Function("f", handler="app.f", code=str(tmp_path), executor=executor)] if executor else []
    async with Engine(functions) as engine:
        while not engine.stats.loop_lag.count:
            await asyncio.sleep(0.01)
        threads = {thread.name for thread in threading.enumerate()}

    assert "engine-watchdog" not in threads
