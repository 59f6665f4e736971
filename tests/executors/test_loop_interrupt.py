"""A handler that blocks the loop is interrupted at its deadline, wherever it blocks; nothing else ever is."""

import asyncio
import signal
import sys
import threading
import time

import pytest
import uvloop

from engine import Engine, Function, Status
from engine.executors.loop import ENTRY
from engine.executors.loop_interrupt import SIGNAL, Interrupted, Interrupter

pytestmark = pytest.mark.real_time

SOURCE = """
import asyncio, contextlib, logging, os, queue, re, select, signal, socket, subprocess, threading, time
from concurrent.futures import Future

def nap():
    time.sleep(30)

async def sleeps(event, context):
    nap()

def plain(event, context):
    nap()

async def spins(event, context):
    while True:
        pass

async def receives(event, context):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.recv(1)

async def waits_for_a_lock(event, context):
    with lock:
        with lock:
            pass

async def waits_for_itself(event, context):
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), asyncio.get_running_loop()).result()

async def runs_a_program(event, context):
    subprocess.run(["sleep", "30"])

async def logs_without_end(event, context):
    while True:
        logging.warning("again")

async def in_a_task(event, context):
    await asyncio.gather(sleeps(event, context), sleeps(event, context))

async def in_a_callback(event, context):
    asyncio.get_running_loop().call_soon(nap)
    await asyncio.sleep(30)

async def tidies_up(event, context):
    try:
        nap()
    finally:
        nap()

async def swallows(event, context):
    with contextlib.suppress(BaseException):
        nap()
    nap()

async def never_gives_up(event, context):
    while True:
        try:
            nap()
        except BaseException:
            pass

async def in_its_result(event, context):
    class Slow(dict):
        def items(self):
            nap()
    return Slow(a=1)

async def backtracks(event, context):
    re.match(r"(a+)+$", "a" * 40 + "b")

async def in_its_exception(event, context):
    class Slow(Exception):
        def __str__(self):
            nap()
    raise Slow

async def in_a_callback_in_c(event, context):
    asyncio.get_running_loop().call_soon(time.sleep, 20)
    await asyncio.sleep(20)

async def leaves_a_callback(event, context):
    asyncio.get_running_loop().call_soon(time.sleep, 20)

async def leaves_a_timer(event, context):
    asyncio.get_running_loop().call_later(0.05, re.match, r"(a+)+$", "a" * 40 + "b")

async def leaves_a_reader(event, context):
    loop = asyncio.get_running_loop()
    source, sink = os.pipe()
    os.write(sink, b"x")
    def read():
        loop.remove_reader(source)
        nap()
    loop.add_reader(source, read)

async def ignores_signals(event, context):
    signal.signal(signal.SIGURG, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG, signal.SIGVTALRM])

async def well(event, context):
    return "well"

lock = threading.Lock()
"""
WAYS = [
    *("sleeps", "plain", "spins", "receives", "waits_for_a_lock", "waits_for_itself", "runs_a_program"),
    *("logs_without_end", "in_a_task", "in_a_callback", "tidies_up", "swallows"),
    *("never_gives_up", "in_its_result", "backtracks", "in_its_exception", "in_a_callback_in_c"),
]
LEAVINGS = ["leaves_a_callback", "leaves_a_timer", "leaves_a_reader"]


def engine(tmp_path, *handlers, log=None, **more):
    (tmp_path / "app.py").write_text(SOURCE)
    more = {"timeout_s": 0.15, "executor": "loop", "code": str(tmp_path)} | more
    functions = [Function(name, handler=f"app.{name}", **more) for name in handlers]
    return Engine(functions, write_log=log if log is not None else lambda _text: None)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_whatever_it_blocks_in_its_caller_is_answered_and_the_loop_goes_on(tmp_path, new_loop):
    """One after the other; in between the loop serves others, and nothing of it is left behind."""

    async def all_of_them():
        seen = {}
        async with engine(tmp_path, *WAYS, "well") as opened:
            for way in WAYS:
                outcome = await opened.invoke(way)
                other = await opened.invoke("well")
                seen[way] = outcome.status, other.payload, sys.gettrace() is tracing
        return seen

    tracing = sys.gettrace()
    before = signal.getsignal(SIGNAL)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        seen = runner.run(all_of_them())

    assert dict.fromkeys(WAYS, (Status.TIMEOUT, "well", True)) == seen
    assert before == signal.getsignal(SIGNAL)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_an_invocation_left_behind_holds_the_loop_for_a_second_only(tmp_path, new_loop):
    """Its deadline is far away, and no invocation runs any more that could have one."""

    async def all_of_them():
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: met.append(context["exception"])
        )
        async with engine(tmp_path, *LEAVINGS, timeout_s=60) as opened:
            for leaving in LEAVINGS:
                await opened.invoke(leaving)
                await asyncio.sleep(0.1)

    met = []
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(all_of_them(), 60))

    assert [Interrupted] * len(LEAVINGS) == list(map(type, met))


async def test_a_handler_that_refused_the_signals_is_no_protection_for_the_next(tmp_path):
    """Ignored or blocked: both are undone when the loop turns."""
    async with engine(tmp_path, "ignores_signals", "sleeps") as opened:
        await opened.invoke("ignores_signals")
        await asyncio.sleep(0.2)
        outcome = await asyncio.wait_for(opened.invoke("sleeps"), 20)

    assert Status.TIMEOUT == outcome.status


async def test_those_that_waited_behind_it_do_not_begin_after_their_deadline(tmp_path):
    """A hundred blockers at once hold the loop about as long as one."""
    log = []
    async with engine(tmp_path, "sleeps", log=log.append) as opened:
        outcomes = await asyncio.gather(*(opened.invoke("sleeps") for _ in range(100)))

    assert [Status.TIMEOUT] * 100 == [outcome.status for outcome in outcomes]
    assert 20 > "".join(log).count("has held the event loop")
    assert ", interrupted\n" in "".join(log)


async def test_what_shares_the_environment_goes_on(tmp_path):
    """With `environment_concurrency` only the one that blocks is ended; its place is free again."""
    source = SOURCE + "\nasync def both(event, context):\n    if event: nap()\n    await asyncio.sleep(0.6)\n"
    (tmp_path / "app.py").write_text(source)
    function = Function(
        "f", handler="app.both", code=str(tmp_path), executor="loop", timeout_s=1.0, environment_concurrency=2
    )
    async with Engine([function], write_log=lambda _text: None) as opened:
        await opened.invoke("f")
        first = asyncio.create_task(opened.invoke("f", 1))
        blocked = await first
        after = await asyncio.gather(opened.invoke("f"), opened.invoke("f"))
        starts = opened.stats.functions["f"].starts["on_demand"]

    assert Status.TIMEOUT == blocked.status
    assert [Status.SUCCESS] * 2 == [outcome.status for outcome in after]
    assert 1 == starts


async def test_a_function_that_comes_later_is_watched_too(tmp_path):
    """As when it is created over the Lambda API."""
    async with engine(tmp_path, "well", executor="thread", timeout_s=5) as opened:
        late = Function("late", handler="app.sleeps", code=str(tmp_path), executor="loop", timeout_s=0.3)
        opened.deployments.install(late)
        outcome = await opened.invoke("late")

    assert Status.TIMEOUT == outcome.status


def test_nothing_is_raised_in_code_of_the_engine_or_of_the_loop(tmp_path):
    """Signals come at any moment of a handler that writes and schedules: only its own code is struck."""
    frames = []

    (tmp_path / "app.py").write_text(
        "import asyncio, sys\n"
        "async def busy(event, context):\n"
        "    loop = asyncio.get_running_loop()\n"
        "    while True:\n"
        "        print('x')\n"
        "        context.log('y')\n"
        "        loop.call_soon(len, '').cancel()\n"
    )

    async def shower():
        function = Function("busy", handler="app.busy", code=str(tmp_path), executor="loop", timeout_s=0.2)
        over = threading.Event()
        with Interrupter(ENTRY, time.monotonic) as interrupter:
            interrupter.end_by(0.0)
            strike = signal.getsignal(SIGNAL)

            def note(number, frame):
                try:
                    strike(number, frame)
                except Interrupted:
                    frames.append(frame.f_code.co_filename)
                    raise

            signal.signal(SIGNAL, note)

            def rain():
                while not over.wait(0.0005):
                    interrupter.interrupt()

            thread = threading.Thread(target=rain)
            thread.start()
            try:
                async with Engine([function], write_log=lambda _text: None) as opened:
                    for _ in range(20):
                        await opened.invoke("busy")
            finally:
                over.set()
                thread.join()

    asyncio.run(shower())

    assert frames
    assert {str(tmp_path / "app.py")} == set(frames)


def test_where_the_loop_is_not_on_the_main_thread_nothing_is_interrupted(tmp_path):
    """Python handles signals on the main thread only: the deadline waits for the handler there."""
    seen = []

    async def one():
        (tmp_path / "app.py").write_text("import time\nasync def f(event, context):\n    time.sleep(0.5)\n")
        function = Function("f", handler="app.f", code=str(tmp_path), executor="loop", timeout_s=0.1)
        async with Engine([function], write_log=lambda _text: None) as opened:
            return await opened.invoke("f")

    thread = threading.Thread(target=lambda: seen.append(asyncio.run(one())))
    thread.start()
    thread.join(20)

    assert [Status.TIMEOUT] == [outcome.status for outcome in seen]


def test_a_signal_that_the_program_uses_itself_is_left_to_it(tmp_path):
    """An engine in somebody's program takes nothing away."""
    caught = []
    signal.signal(SIGNAL, lambda number, _frame: caught.append(number))
    try:
        with Interrupter(ENTRY, time.monotonic) as interrupter:
            interrupter.interrupt()
            signal.raise_signal(SIGNAL)
    finally:
        signal.signal(SIGNAL, signal.SIG_DFL)

    assert [SIGNAL] == caught
