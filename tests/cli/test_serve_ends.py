"""`engine serve` and `engine invoke` end in time, whatever a handler left behind."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.real_time

SOURCE = """
import asyncio, atexit, ctypes, os, signal, threading, time
from concurrent.futures import ThreadPoolExecutor

async def thread(event, context):
    threading.Thread(target=time.sleep, args=(600,)).start()

async def in_thread(event, context):
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)

async def pool(event, context):
    ThreadPoolExecutor(1).submit(time.sleep, 600)

async def at_exit(event, context):
    atexit.register(time.sleep, 600)

async def keeps_the_interpreter_at_exit(event, context):
    atexit.register(ctypes.PyDLL(None).usleep, 600_000_000)

async def alarm(event, context):
    alarmed = []
    signal.signal(signal.SIGALRM, lambda number, frame: alarmed.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    await asyncio.sleep(1.5)
    return "alarmed" if alarmed else "not alarmed"

async def deaf(event, context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    await asyncio.sleep(2.5)

async def calls_the_engine(event, context):
    open("begun", "w").close()
    while not os.path.exists("stopping"):
        await asyncio.sleep(0.01)
    host = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(f"GET /2015-03-31/functions/f HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    return (await reader.readline()).decode()

async def readable_for_ever(event, context):
    source, sink = os.pipe()
    os.write(sink, b"x")
    asyncio.get_running_loop().call_later(0.1, asyncio.get_running_loop().add_reader, source, time.sleep, 600)

async def swallowing_task(event, context):
    async def swallows():
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass
    global kept
    kept = asyncio.ensure_future(swallows())

async def blocks_when_cancelled(event, context):
    async def blocks():
        try:
            await asyncio.sleep(600)
        finally:
            time.sleep(600)
    global kept
    kept = asyncio.ensure_future(blocks())
"""
LEFT = (
    *("thread", "in_thread", "pool", "at_exit", "keeps_the_interpreter_at_exit"),
    *("deaf", "readable_for_ever", "swallowing_task", "blocks_when_cancelled"),
)
EXIT_CODES = {"keeps_the_interpreter_at_exit": {1}, "readable_for_ever": {0, 1}}
"""0 but for these: what keeps the interpreter or the loop's last turn is ended from outside of it."""

GRACE_S = 2
MAX_S = 90.0
"""Far more than the grace period and a second, for busy machines; without an end of its own it never ends."""


@contextmanager
def served(folder, handler, timeout_s=60, grace_s=GRACE_S):
    (folder / "app.py").write_text(SOURCE)
    (folder / "engine.toml").write_text(
        f'[engine]\ngrace_s = {grace_s}\n[functions.f]\nhandler = "app.{handler}"\nexecutor = "loop"\n'
        f"timeout_s = {timeout_s}\n"
    )
    command = [sys.executable, "-m", "engine", "serve", "--config", "engine.toml"]
    command += [f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin")]
    with started(command, folder) as running:
        yield running


@contextmanager
def started(command, folder):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder)
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def read(url):
    with urllib.request.urlopen(url, timeout=MAX_S) as response:
        return response.read()


def invoke(addresses):
    url = f"{addresses['aws']}/2015-03-31/functions/f/invocations"
    with urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=30) as response:
        return response.read()


def is_ready(addresses):
    """Whether the engine says that it takes work."""
    try:
        with urllib.request.urlopen(f"{addresses['admin']}/readyz", timeout=30):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False


def wait_for(condition):
    """Until it is true."""
    limit_s = time.monotonic() + MAX_S
    while not condition():
        assert time.monotonic() < limit_s
        time.sleep(0.02)


@pytest.mark.parametrize("handler", LEFT)
def test_what_a_handler_left_behind_does_not_hold_up_the_end(tmp_path, handler):
    """No thread, task or function registered for the end of the interpreter is waited for."""
    with served(tmp_path, handler) as (process, addresses):
        assert b"null" == invoke(addresses)
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait(MAX_S)

    assert exit_code in EXIT_CODES.get(handler, {0})


def test_a_handler_that_runs_at_the_end_still_reaches_the_engine(tmp_path):
    """Its queues, buckets and checkpoints are there until it has ended; nothing else is invoked any more."""
    serving = served(tmp_path, "calls_the_engine", grace_s=MAX_S)
    with serving as (process, addresses), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(invoke, addresses)
        wait_for(lambda: (tmp_path / "begun").exists())
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_ready(addresses))
        with pytest.raises(urllib.error.HTTPError) as refused:
            invoke(addresses)
        refused.value.close()
        (tmp_path / "stopping").touch()
        found = answer.result(MAX_S)
        exit_code = process.wait(MAX_S)

    assert (503, b'"HTTP/1.1 200 OK\\r\\n"', 0) == (refused.value.code, found, exit_code)


def test_a_handler_that_runs_at_the_end_may_be_the_first_to_call_the_engine(tmp_path):
    """What AWS clients talk to is imported for it, though the engine stops."""
    (tmp_path / "app.py").write_text(SOURCE)
    (tmp_path / "engine.toml").write_text(
        f'[engine]\ngrace_s = {MAX_S}\n[functions.f]\nhandler = "app.calls_the_engine"\n'
        'executor = "process"\n[[functions.f.events]]\ntype = "http"\npath = "/f"\n'
    )
    command = [sys.executable, "-m", "engine", "serve", "--config", "engine.toml"]
    command += [f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin")]
    with started(command, tmp_path) as (process, addresses), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(read, f"{addresses['http']}/f")
        wait_for(lambda: (tmp_path / "begun").exists())
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_ready(addresses))
        (tmp_path / "stopping").touch()
        found = answer.result(MAX_S)
        exit_code = process.wait(MAX_S)

    assert (b"HTTP/1.1 200 OK\r\n", 0) == (found, exit_code)


def test_a_signal_that_a_handler_uses_itself_does_not_stop_the_engine(tmp_path):
    """As `signal.alarm` does, for time-outs of its own."""
    with served(tmp_path, "alarm") as (process, addresses):
        answers = [invoke(addresses) for _ in range(2)]
        running = process.poll() is None

    assert ([b'"alarmed"'] * 2, True) == (answers, running)


@pytest.mark.parametrize("handler", ["thread", "blocks_when_cancelled"])
def test_invoke_prints_the_answer_and_ends(tmp_path, handler):
    """Also where the handler runs on the loop of the command itself."""
    (tmp_path / "app.py").write_text(SOURCE)
    (tmp_path / "engine.toml").write_text(f'[functions.f]\nhandler = "app.{handler}"\nexecutor = "loop"\n')
    done = subprocess.run(
        [sys.executable, "-m", "engine", "invoke", "f", "--config", "engine.toml"],
        capture_output=True,
        cwd=tmp_path,
        timeout=MAX_S,
    )

    assert (0, b"null\n") == (done.returncode, done.stdout)
