"""What a handler starts counts as its own: its memory is capped with it, and shown in its figure."""

import asyncio
import os
import signal

import pytest

from engine import Engine, Function, Status
from engine.runtime.platform import Platform

pytestmark = pytest.mark.real_time

CHILD = """
import subprocess, sys, time

def handler(event, context):
    code = f"data = bytearray(b'x') * ({event['mb']} << 20); import time; time.sleep(0.5)"
    return subprocess.run([sys.executable, "-c", code]).returncode
"""

POOL = """
import multiprocessing, os, time
data = os.urandom(1 << 20) * 60

def sleep(_number):
    time.sleep(0.3)
    return 1

def handler(event, context):
    processes = [multiprocessing.get_context("fork").Process(target=sleep, args=(n,)) for n in range(4)]
    for one in processes: one.start()
    for one in processes: one.join()
    return len(processes)
"""


async def test_the_memory_of_child_processes_counts_against_the_cap(make):
    """The handler itself is small."""
    async with make(CHILD, memory_mb=128) as engine:
        outcome = await engine.invoke("f", {"mb": 300})

    assert Status.OOM == outcome.status


async def test_the_memory_of_child_processes_is_in_the_figure(make):
    """Within the cap."""
    async with make(CHILD, memory_mb=512) as engine:
        outcome = await engine.invoke("f", {"mb": 150})

    assert (b"0", True) == (outcome.body, 150 <= outcome.max_memory_mb <= 260)


async def test_what_forked_children_share_with_the_handler_counts_once(make):
    """Four of them, and 60 MB that all have: not 300 MB."""
    async with make(POOL, memory_mb=160) as engine:
        outcome = await engine.invoke("f", {})

    assert (Status.SUCCESS, b"4") == (outcome.status, outcome.body)


FORKING = """
import os, threading
lock = threading.Lock()
def handler(event, context):
    thread = threading.Thread(target=lock.acquire, daemon=True)
    with lock:
        thread.start()
        read_end, write_end = os.pipe()
        if os.fork() == 0:
            os.write(write_end, f"{threading.active_count()} {thread.is_alive()}".encode())
            os._exit(0)
        return os.read(read_end, 100).decode()
"""


@pytest.mark.parametrize("snapstart", [False, True])
async def test_a_handler_may_fork_as_any_program(make, snapstart):
    """What the standard library does then is left out only of the engine's own forks."""
    async with make(FORKING, snapstart=snapstart) as engine:
        assert "1 False" == (await engine.invoke("f")).payload


async def test_a_zygote_that_does_not_answer_is_replaced_and_the_caller_is_answered(make, marked_processes):
    """It is stopped before the first environment is asked for."""
    async with make("def handler(event, context):\n    return 1\n") as engine:
        for pid in marked_processes():
            os.kill(pid, signal.SIGSTOP)
        outcome = await engine.invoke("f", {})

    assert (Status.SUCCESS, b"1") == (outcome.status, outcome.body)


@pytest.mark.parametrize("limits", [{"snapstart": True}, {"preload": "auto"}], ids=["snapshot", "preload"])
async def test_a_template_that_does_not_answer_is_replaced_and_the_caller_is_answered(tmp_path, limits):
    """It is stopped when its environment has ended: the next one is to be forked from it."""
    source = "import colorsys, os\ndef handler(event, context):\n    return os.getppid()\n"
    (tmp_path / "app.py").write_text(source)
    lines: list[str] = []
    function = Function(
        "f",
        handler="app.handler",
        code=str(tmp_path),
        executor="process",
        keep_alive_s=0,
        timeout_s=20,
        **limits,
    )
    async with Engine([function], write_log=lines.append) as engine:
        forker = common = (await engine.invoke("f", {})).payload
        async with asyncio.timeout(60):
            while "preload" in limits and forker == common:  # until the function has one of its own
                await asyncio.sleep(0.05)
                forker = (await engine.invoke("f", {})).payload
            while engine.sink.drivers["f"].statistics().idle:
                await asyncio.sleep(0.005)
        os.kill(forker, signal.SIGSTOP)
        outcomes = [await engine.invoke("f", {}) for _ in range(2)]

    assert [Status.SUCCESS] * 2 == [outcome.status for outcome in outcomes]
    assert forker not in [outcome.payload for outcome in outcomes]
    assert 1 == sum(f"({forker}) has not answered" in line for line in lines)


@pytest.mark.parametrize(
    ("handler", "limits", "what"),
    [
        ("hangs_at_import.handler", {"snapstart": True}, "SnapStart template"),
        ("app.handler", {"preload": ("hangs_at_import",)}, "preload"),
    ],
)
async def test_an_import_that_hangs_does_not_keep_the_engine_from_opening(
    tmp_path, monkeypatch, handler, limits, what
):
    """A line says which function is not ready, and others are served."""
    (tmp_path / "hangs_at_import.py").write_text("import time\ntime.sleep(600)\n")
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    lines: list[str] = []
    common = {"code": str(tmp_path), "executor": "process"}
    functions = [
        Function("slow", handler=handler, init_limit_s=4.0, **common, **limits),
        Function("f", handler="app.handler", **common),
    ]
    async with asyncio.timeout(60), Engine(functions, write_log=lines.append) as engine:
        outcome = await engine.invoke("f", {})

    assert (Status.SUCCESS, b"1") == (outcome.status, outcome.body)
    assert 1 == sum(f"slow: its {what} is not ready after 2 s" in line for line in lines)


class HandClock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now_s = 5.0

    def now(self):
        return self.now_s

    def wall(self):
        return 1_700_000_000.0 + self.now_s


DIES = """
import os, pathlib
with open({starts!r}, "a") as file:
    file.write("x")
if not pathlib.Path({healed!r}).exists():
    os._exit(3)
"""


async def test_a_zygote_that_dies_at_its_start_is_started_again_after_pauses_that_grow(tmp_path, monkeypatch):
    """At once the first time. Meanwhile callers are told why, and whoever reads the log is, once a pause."""
    starts, healed = tmp_path / "starts", tmp_path / "healed"
    (tmp_path / "dies.py").write_text(DIES.format(starts=str(starts), healed=str(healed)))
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    limits = {"code": str(tmp_path), "executor": "process", "timeout_s": 20, "preload": ("dies",)}
    function, clock, lines = Function("f", handler="app.handler", **limits), HandClock(), []
    counts, said = [], []
    async with Engine([function], write_log=lines.append, platform=Platform(clock=clock)) as engine:

        async def call_for(passed_s: float) -> None:
            clock.now_s += passed_s
            outcomes = [await engine.invoke("f") for _ in range(5)]
            assert {"Sandbox.Failure"} == {outcome.error["errorType"] for outcome in outcomes}
            said.extend(outcome.error["errorMessage"].partition("Error: ")[2] for outcome in outcomes)
            counts.append(len(starts.read_text()))

        for passed_s in (0.0, 0.4, 0.2, 0.9, 0.2):
            await call_for(passed_s)
        healed.touch()
        clock.now_s += 2.1
        outcome = await engine.invoke("f")

    assert Status.SUCCESS == outcome.status
    assert [2, 2, 3, 3, 4] == counts
    why = [
        f"the process that forks environments has ended at its start {times} times: exit status 3"
        for times in (2, 3, 4)
    ]
    assert [why[0]] * 10 + [why[1]] * 10 + [why[2]] * 5 == said
    assert [1, 1, 1] == ["".join(lines).count(f"{text}; no environment is forked for") for text in why]
