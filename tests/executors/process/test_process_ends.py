"""How an environment that is a process may end, and that nothing is left of it."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys

import pytest

from engine import Status
from engine.core.event import Event

pytestmark = pytest.mark.real_time

ACTS = """
import os, signal, subprocess, sys, time

class Stop(BaseException):
    pass

COUNT = 0

def handler(event, context):
    global COUNT
    COUNT += 1
    match event.get("do"):
        case "_exit": os._exit(event["code"])
        case "kill": os.kill(os.getpid(), event["signal"])
        case "text": sys.exit("enough")
        case "base": raise Stop("enough")
        case "interrupt": raise KeyboardInterrupt
        case "close":
            os.closerange(3, 2000)
        case "loop":
            print(event.get("text", ""), end="")
            while True: pass
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
        case "orphan":
            process = subprocess.Popen(["sleep", "300"], start_new_session=event["session"])
            return process.pid
        case "copy":
            os.fork()
        case "regicide": os.kill(os.getppid(), signal.SIGKILL); time.sleep(5)
        case "flood":
            for _ in range(event["times"]): os.write(1, b"x" * 1023 + b"\\n")
    return [os.getpid(), COUNT]
"""

ENDS = {
    "_exit": ({"do": "_exit", "code": 7}, "exit status 7"),
    "a segmentation fault": ({"do": "kill", "signal": signal.SIGSEGV}, "signal: segmentation fault"),
    "SIGKILL": ({"do": "kill", "signal": signal.SIGKILL}, "signal: killed"),
    "sys.exit of a text": ({"do": "text"}, "exit status 1"),
    "a BaseException": ({"do": "base"}, "exit status 1"),
    "KeyboardInterrupt": ({"do": "interrupt"}, "signal: interrupt"),
    "its descriptors closed": ({"do": "close"}, "signal: killed"),
}


@pytest.mark.parametrize(("payload", "text"), ENDS.values(), ids=ENDS)
async def test_whatever_ends_the_process_is_one_crash_of_one_environment(make, payload, text):
    """The caller gets AWS's words for it, and the next invocation a new process."""
    async with make(ACTS) as engine:
        first = await engine.invoke("f", {})
        crashed = await engine.invoke("f", payload)
        then = await engine.invoke("f", {})

    assert Status.CRASH == crashed.status
    assert {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {crashed.request_id} Error: Runtime exited with error: {text}",
    } == crashed.error
    assert first.payload[0] != then.payload[0]
    assert (1, True) == (then.payload[1], then.cold_start)


async def test_an_exit_without_a_status_is_told_as_such(make):
    """As recorded from AWS."""
    async with make(ACTS) as engine:
        crashed = await engine.invoke("f", {"do": "_exit", "code": 0})

    assert crashed.error["errorMessage"].endswith("Error: Runtime exited without providing a reason")


@pytest.mark.parametrize("when", ["import os; os._exit(4)", "import os; os.kill(os.getpid(), 9)"])
async def test_a_process_that_ends_during_its_init_is_an_init_error(make, when):
    """Told to the invocation that waited for it."""
    async with make(when) as engine:
        failed = await engine.invoke("f", {})

    text = "exit status 4" if "_exit" in when else "signal: killed"
    assert (Status.INIT_ERROR, "Runtime.ExitError") == (failed.status, failed.error["errorType"])
    assert failed.error["errorMessage"].endswith(f"Runtime exited with error: {text}")


async def test_an_environment_that_dies_idle_is_replaced_unnoticed(make, alive):
    """Nobody's invocation fails for it."""
    async with make(ACTS) as engine:
        first = await engine.invoke("f", {})
        os.kill(first.payload[0], signal.SIGKILL)
        while alive(first.payload[0]):
            await asyncio.sleep(0.005)
        while engine.sink.drivers["f"].statistics().idle:
            await asyncio.sleep(0.005)
        then = await engine.invoke("f", {})

    assert (Status.SUCCESS, True) == (then.status, then.cold_start)


async def test_at_the_deadline_the_process_is_killed_and_what_it_wrote_is_in_the_log(make, alive):
    """Even what has no newline, and whatever it does with SIGTERM."""
    async with make(ACTS, timeout_s=0.4) as engine:
        pid = (await engine.invoke("f", {})).payload[0]
        payload = json.dumps({"do": "loop", "text": "so far\nand no fur"}).encode()
        struck = await engine.sink.invoke(Event("f", payload, "id-1", 0.0, wants_log=True))
        stubborn = await engine.invoke("f", {"do": "stubborn"})

    assert (Status.TIMEOUT, Status.TIMEOUT) == (struck.status, stubborn.status)
    assert ["so far", "and no fur"] == struck.log_tail.decode().splitlines()[1:3]
    assert not alive(pid)


async def test_a_reset_environment_initialises_inside_the_next_invocation(make):
    """Its init has no duration of its own; `/tmp` is kept, globals are not."""
    source = """
import os, time
time.sleep(0.1)
COUNT = 0
def handler(event, context):
    global COUNT
    COUNT += 1
    if event == "loop":
        open(os.path.join(os.environ.get("TMPDIR", "/tmp"), "kept"), "w").close()
        while True: pass
    return [COUNT, os.path.exists(os.path.join(os.environ.get("TMPDIR", "/tmp"), "kept"))]
"""
    async with make(source, timeout_s=1) as engine:
        first = await engine.invoke("f", "")
        struck = await engine.invoke("f", "loop")
        then = await engine.invoke("f", "")
        last = await engine.invoke("f", "")

    assert ([1, False], Status.TIMEOUT) == (first.payload, struck.status)
    assert ([1, True], [2, True]) == (then.payload, last.payload)
    assert first.init_s >= 0.1
    assert (None, True) == (then.init_s, then.duration_s >= 0.1)


async def test_an_init_that_fails_again_fails_inside_the_invocation(make):
    """The second attempt is the first invocation's own time."""
    async with make("raise OSError('no table')") as engine:
        outcomes = [await engine.invoke("f", {}) for _ in range(3)]

    assert [Status.INIT_ERROR] * 3 == [outcome.status for outcome in outcomes]
    assert {"OSError"} == {outcome.error["errorType"] for outcome in outcomes}
    assert 1 == len({json.dumps(outcome.error) for outcome in outcomes})


@pytest.mark.parametrize("session", [False, True])
async def test_what_an_environment_started_dies_with_it(make, session, alive):
    """Even a process that made a session of its own."""
    async with make(ACTS) as engine:
        orphan = (await engine.invoke("f", {"do": "orphan", "session": session})).payload
        lived = alive(orphan)
        await engine.invoke("f", {"do": "_exit", "code": 1})
        async with asyncio.timeout(60):
            while alive(orphan):
                await asyncio.sleep(0.005)

    assert lived


async def test_a_copy_that_a_handler_forks_answers_nobody(make):
    """Only the process that was asked does."""
    async with make(ACTS) as engine:
        first = await engine.invoke("f", {"do": "copy"})
        then = await engine.invoke("f", {})

    assert [1, 2] == [first.payload[1], then.payload[1]]
    assert first.payload[0] == then.payload[0]


async def test_a_handler_that_kills_the_zygote_takes_its_own_kind_along_but_not_the_engine(make):
    """All that the zygote forked dies with it; there is a new one for the next."""
    async with make(ACTS) as engine:
        await engine.invoke("f", {})
        crashed = await engine.invoke("f", {"do": "regicide"})
        then = await engine.invoke("f", {})

    assert (Status.CRASH, Status.SUCCESS) == (crashed.status, then.status)


async def test_a_flood_of_output_holds_nobody_up(make):
    """A hundred megabytes, of which the log keeps the end."""
    async with make(ACTS, settings={"write_log": lambda _text: None}) as engine:
        payload = json.dumps({"do": "flood", "times": 100 * 1024}).encode()
        flood = asyncio.ensure_future(engine.sink.invoke(Event("f", payload, "id-1", 0.0, wants_log=True)))
        others = [await engine.invoke("f", {}) for _ in range(20)]
        outcome = await flood

    assert outcome.ok
    assert all(other.ok for other in others)
    assert 4096 == len(outcome.log_tail)


async def test_an_engine_that_closes_leaves_no_process_and_no_descriptor(make, alive, marked_processes):
    """Whatever runs at the time."""

    async def run() -> None:
        engine = make(ACTS, settings={"grace_s": 0.0})
        async with engine:
            running = [asyncio.ensure_future(engine.invoke("f", {"do": "stubborn"})) for _ in range(5)]
            await asyncio.sleep(0.2)
        assert {Status.CANCELLED} == {outcome.status for outcome in await asyncio.gather(*running)}

    await run()  # what is opened once, and stays, is open now
    before = len(os.listdir("/proc/self/fd"))
    await run()

    assert before == len(os.listdir("/proc/self/fd"))
    assert [] == marked_processes()


VICTIM = """
import asyncio, sys
from engine import Engine, Function
async def main():
    function = Function("f", handler="app.handler", code=sys.argv[1], executor="process", timeout_s=60)
    async with Engine([function]) as e:
        calls = [asyncio.ensure_future(e.invoke("f", {})) for _ in range(3)]
        await asyncio.sleep(60)
asyncio.run(main())
"""


def test_an_engine_that_is_killed_leaves_no_process(tmp_path, alive):
    """Its zygotes see their line closed, and end what they have forked, and what that has started."""
    started = tmp_path / "pids"
    source = f"""
import os, subprocess, time
def handler(event, context):
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open({str(started)!r}, "a") as file: file.write(f"{{os.getpid()}} {{child.pid}}\\\\n")
    time.sleep(60)
"""
    (tmp_path / "app.py").write_text(source.replace("\\\\n", "\\n"))
    with subprocess.Popen([sys.executable, "-c", VICTIM, str(tmp_path)]) as victim:
        while not started.exists() or len(started.read_text().split()) < 6:
            select.select([], [], [], 0.01)
        victim.kill()
    pids = [int(pid) for pid in started.read_text().split()]
    for _ in range(1000):
        if not any(alive(pid) for pid in pids):
            break
        select.select([], [], [], 0.01)

    assert [] == [pid for pid in pids if alive(pid)]
