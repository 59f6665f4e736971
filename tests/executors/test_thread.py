"""Handlers on threads: a thread and a module instance for each environment; what a deadline can do."""

import asyncio
import contextlib
import sys
import threading
import types

import pytest

from engine import Engine, Function, Status

pytestmark = pytest.mark.real_time

SOURCE = """
import asyncio, sqlite3, threading, time
import thread_props as props

connection = sqlite3.connect(":memory:")  # may be used by the thread that made it only
connection.execute("create table seen (n)")
calls = 0

def handler(event, context):
    global calls
    calls += 1
    connection.execute("insert into seen values (1)")
    (rows,) = connection.execute("select count(*) from seen").fetchone()
    if event == "together":
        props.barrier.wait(10)
    return {"calls": calls, "rows": rows, "module": __name__, "thread": threading.get_ident()}

def in_python(event, context):
    props.begun.set()
    try:
        while True:  # the condition inside: CPython 3.13 leaves it out of the `try` (python/cpython#130279)
            if props.gate.is_set():
                break
    finally:
        props.tidied.set()

def swallows(event, context):
    props.begun.set()
    try:
        while True:  # the condition inside: CPython 3.13 leaves it out of the `try` (python/cpython#130279)
            if props.gate.is_set():
                break
    except BaseException as error:
        props.caught.append(type(error).__name__)
    props.tidied.set()
    return "late"

def in_c(event, context):
    props.begun.set()
    props.stuck.wait()
    props.tidied.set()

async def asynchronous(event, context):
    if event == "loop":
        return id(asyncio.get_running_loop())
    props.begun.set()
    try:
        await asyncio.sleep(event)
    finally:
        props.tidied.set()

async def busy(event, context):
    # Waits, while what it began computes: a task, or callbacks.
    loop = asyncio.get_running_loop()
    def compute():
        ends_s = time.monotonic() + 0.03
        while time.monotonic() < ends_s:
            pass
    def call():
        compute()
        loop.call_soon(call)
    async def task():
        while True:
            compute()
            await asyncio.sleep(0)
    kept = call() if event == "callbacks" else loop.create_task(task())
    try:
        await asyncio.Event().wait()
    finally:
        props.tidied.set()

def shared(event, context):
    props.barrier.wait(10)
    return [__name__, threading.get_ident()]

def exits_while_others_are_stuck(event, context):
    if event == "exit":
        raise SystemExit(1)
    props.begun.set()
    props.stuck.wait()
"""


@pytest.fixture
def props():
    """What handlers and tests both see, as the module `thread_props`."""
    module = types.ModuleType("thread_props")
    module.begun, module.gate, module.tidied = threading.Event(), threading.Event(), threading.Event()
    module.stuck = threading.Event()  # waits for a lock in C code: what is raised meanwhile is not seen
    module.barrier = threading.Barrier(3)
    module.caught = []
    sys.modules["thread_props"] = module
    yield module
    module.gate.set()
    module.stuck.set()
    del sys.modules["thread_props"]


@pytest.fixture
def make(tmp_path, props):
    """An engine with one function of `SOURCE`."""
    (tmp_path / "app.py").write_text(SOURCE)

    def make(name, log=None, settings=None, **keys):
        settings = settings or {}
        keys = {"timeout_s": 20, **keys}
        function = Function("f", handler=f"app.{name}", code=str(tmp_path), executor="thread", **keys)
        return Engine([function], write_log=log, **settings)

    return make


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("f-")]


async def gone():
    """Until no worker thread is left."""
    for thread in threads():
        await asyncio.to_thread(thread.join, 10)

    assert [] == threads()


async def reached(event):
    assert await asyncio.to_thread(event.wait, 10)


class Log:
    """The engine's log; `find` waits for a line with a word in it."""

    def __init__(self):
        self.text, self._written = "", asyncio.Event()

    def __call__(self, text):
        self.text += text
        self._written.set()

    async def find(self, word):
        async with asyncio.timeout(60):
            while word not in self.text:
                self._written.clear()
                await self._written.wait()
        return next(line for line in self.text.splitlines() if word in line)


async def test_an_environment_is_served_by_one_thread_with_globals_of_its_own(make, props):
    """A connection made at import works in every invocation, and nobody else sees it."""
    async with make("handler") as engine:
        together = await asyncio.gather(*(engine.invoke("f", "together") for _ in range(3)))
        again = [await engine.invoke("f") for _ in range(3)]
    first = [outcome.payload for outcome in together]

    assert [1, 1, 1] == [one["calls"] for one in first]
    assert [1, 1, 1] == [one["rows"] for one in first]
    assert 3 == len({one["module"] for one in first}) == len({one["thread"] for one in first})
    assert [2, 3, 4] == [outcome.payload["calls"] for outcome in again]  # the one that was idle last
    assert 1 == len({outcome.payload["thread"] for outcome in again})
    await gone()


async def test_a_thread_in_python_is_interrupted_at_its_deadline(make, props):
    """Its `finally` runs, and the thread is gone."""
    async with make("in_python", timeout_s=1) as engine:
        outcome = await engine.invoke("f")
        await reached(props.tidied)
        await gone()

    assert Status.TIMEOUT == outcome.status


async def test_a_handler_that_catches_everything_is_still_too_late(make, props):
    """It is told once; what it returns is not heard."""
    async with make("swallows", timeout_s=1) as engine:
        outcome = await engine.invoke("f")
        await reached(props.tidied)
        await gone()
        levels = engine.sink.drivers["f"].statistics()

    assert Status.TIMEOUT == outcome.status
    assert ["DeadlineStruck"] == props.caught
    assert (0, 0) == (levels.idle, levels.busy)


async def test_a_thread_stuck_in_c_code_is_answered_in_time_abandoned_and_noticed(make, props):
    """Nothing can end it, so it is said; when it comes back at last, it goes away by itself."""
    log = Log()
    async with make("in_c", log, timeout_s=1) as engine:
        outcome = await engine.invoke("f")
        line = await log.find("ignored its deadline")
        alive = len(threads())
        props.stuck.set()
        await gone()

    assert Status.TIMEOUT == outcome.status
    assert f"[engine] f: {outcome.request_id} ignored its deadline; its thread could not be stopped" in line
    assert 1 == alive
    assert not props.tidied.is_set()


async def test_a_thread_stuck_beside_a_crash_is_noticed_too(make, props):
    """The environment goes, whoever else is in it."""
    log = Log()
    async with make("exits_while_others_are_stuck", log, environment_concurrency=2) as engine:
        stuck = asyncio.ensure_future(engine.invoke("f"))
        await reached(props.begun)
        crashed = await engine.invoke("f", "exit")
        line = await log.find("ignored its deadline")
        props.stuck.set()
        await gone()

    assert [Status.CRASH] * 2 == [crashed.status, (await stuck).status]
    assert f"[engine] f: {(await stuck).request_id} ignored its deadline" in line


async def test_an_async_handler_runs_on_an_event_loop_of_its_thread(make):
    """The same loop every time, so that its clients can be kept."""
    async with make("asynchronous") as engine:
        loops = [(await engine.invoke("f", "loop")).payload for _ in range(3)]
    await gone()

    assert 1 == len(set(loops))
    assert id(asyncio.get_running_loop()) not in loops


async def test_an_async_handler_that_waits_is_interrupted_at_its_deadline(make, props):
    """Though its thread sits in the selector: it is woken to notice."""
    async with make("asynchronous", timeout_s=1) as engine:
        outcome = await engine.invoke("f", 3600)
        await reached(props.tidied)
        await gone()

    assert Status.TIMEOUT == outcome.status


@pytest.mark.parametrize("event", ["callbacks", "a task"])
async def test_an_async_handler_is_interrupted_though_something_else_of_it_runs(make, props, event):
    """What computes gets the exception, and asyncio keeps it; the handler ends all the same."""
    log = Log()
    async with make("busy", log, timeout_s=1) as engine:
        outcome = await engine.invoke("f", event)
        await reached(props.tidied)
        await gone()

    assert Status.TIMEOUT == outcome.status
    assert "DeadlineStruck" not in log.text


async def test_a_shared_environment_has_a_thread_for_each_at_a_time_and_one_module(make):
    """Three at once meet at a barrier; six more need no more threads."""
    async with make("shared", environment_concurrency=3, reserved_concurrency=3, overflow="queue") as engine:
        outcomes = await asyncio.gather(*(engine.invoke("f") for _ in range(9)))
        count = len(threads())
    seen = [outcome.payload for outcome in outcomes]
    await gone()

    assert {"app"} == {module for module, _ in seen}
    assert 3 == count == len({thread for _, thread in seen})


async def test_after_the_engine_nothing_is_left(make):
    """No thread, no module, no path entry, no finder."""
    before = list(sys.path), list(sys.meta_path)
    async with make("handler") as engine:
        await asyncio.gather(*(engine.invoke("f") for _ in range(10)))
    await gone()

    assert before == (sys.path, sys.meta_path)
    assert [] == [name for name in sys.modules if name.partition("#")[0] == "app"]


async def test_one_stopped_while_it_imports_leaves_no_module(make, tmp_path, props):
    """The import is given time to end; what it made is dropped."""
    source = SOURCE + "\nprops.begun.set()\nprops.gate.wait(10)\n"
    (tmp_path / "app.py").write_text(source)
    async with make("handler", settings={"grace_s": 0}) as engine:
        waiting = asyncio.ensure_future(engine.invoke("f"))
        await reached(props.begun)
    props.gate.set()
    await gone()

    assert Status.CANCELLED == (await waiting).status
    assert [] == [name for name in sys.modules if name.partition("#")[0] == "app"]
    assert not [entry for entry in sys.path if entry == str(tmp_path)]


async def test_when_the_machine_has_no_more_threads_the_environment_does_not_come_up(make):
    """The caller is told, and the engine serves on when there is room again."""
    async with make("handler") as engine:
        with _no_room_for_threads():
            waiting = asyncio.ensure_future(engine.invoke("f"))
            await asyncio.sleep(0)
        failed = await waiting
        then = await engine.invoke("f")

    assert (Status.INIT_ERROR, "Sandbox.Failure") == (failed.status, failed.error["errorType"])
    assert then.ok


@contextlib.contextmanager
def _no_room_for_threads():
    """A stack for each thread that no machine can give."""
    before = threading.stack_size(1 << 46)
    try:
        yield
    finally:
        threading.stack_size(before)
