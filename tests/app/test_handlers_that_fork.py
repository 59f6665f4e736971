"""Handlers that fork, on the executors that run them in the engine's process: a child is no second engine."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.real_time

HANDLERS = """
import json, logging, multiprocessing, os, signal, sys, time
context_ = multiprocessing.get_context("fork")

def square(number):
    return number * number

def examine(queue):
    sockets = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if valid(name)]
    queue.put({
        "sockets": [link for link in sockets if link.startswith(("socket:", "anon_inode:[event"))],
        "locks": [link for link in sockets if link.endswith("/lock")],
        "handled": [s.name for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) != signal.SIG_DFL],
        "wakeup": signal.set_wakeup_fd(-1),
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "environ": type(os.environ).__name__,
    })

def valid(name):
    return os.path.lexists(f"/proc/self/fd/{name}")

def waited(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def act(event):
    match event:
        case "pool":
            with context_.Pool(2) as pool:
                return pool.map(square, range(4))
        case "terminate":
            codes = set()
            for _ in range(8):  # at once: it may not have come to itself yet
                child = context_.Process(target=time.sleep, args=(60,))
                child.start()
                child.terminate()
                child.join()
                codes.add(child.exitcode)
            return list(codes)
        case "killed by SIGTERM":
            if not (pid := os.fork()):
                time.sleep(60)
            os.kill(pid, signal.SIGTERM)
            return waited(pid)
        case "returns":
            return "of the child" if not (pid := os.fork()) else waited(pid)
        case "exits":
            return sys.exit(7) if not (pid := os.fork()) else waited(pid)
        case "raises":
            if not (pid := os.fork()):
                raise LookupError("of the child")
            return waited(pid)
        case "examine":
            queue = context_.SimpleQueue()
            child = context_.Process(target=examine, args=(queue,))
            child.start()
            return [queue.get(), child.join()][0]
        case "prints":
            for target in (print, logging.error):
                child = context_.Process(target=target, args=(f"{target.__name__} of the child",))
                child.start()
                child.join()
        case "starts":
            context_.Process(target=time.sleep, args=(60,)).start()
        case "leaves":
            reader, writer = os.pipe()
            if not (pid := os.fork()):
                os.setsid()
                os.close(writer)  # it has come to itself
                time.sleep(60)
            os.close(writer)
            return [pid, os.read(reader, 1)][0]

def plain(event, context):
    return act(event)

def yields(event, context):
    yield "[1"
    pid = os.fork()
    yield ", 2" if pid else ", 3"
    yield f", {waited(pid)}]"

async def yields_awaited(event, context):
    for piece in yields(event, context):
        yield piece

async def awaited(event, context):
    if event == "awaits":
        import asyncio
        return waited(pid) if (pid := os.fork()) else await asyncio.sleep(60)
    return act(event)
"""

CONFIG = """
[functions.plain]
handler = "app.plain"
executor = "thread"
timeout_s = 30
[functions.awaited]
handler = "app.awaited"
executor = "loop"
timeout_s = 30
"""

STREAMS = ("yields_thread", "yields_process", "yields_loop")
CONFIG += "".join(
    f"""
[functions.{name}]
handler = "app.{"yields_awaited" if name == "yields_loop" else "yields"}"
executor = "{name.partition("_")[2]}"
streaming = "generator"
timeout_s = 30
"""
    for name in STREAMS
)

ANSWERS = {
    "pool": [0, 1, 4, 9],
    "terminate": [-signal.SIGTERM],
    "killed by SIGTERM": -signal.SIGTERM,
    "returns": 0,
    "exits": 7,
    "raises": 0,
    "examine": {"sockets": [], "locks": [], "handled": [], "wakeup": -1, "blocked": 0, "environ": "_Environ"},
}


@pytest.fixture
def config(tmp_path):
    (tmp_path / "app.py").write_text(HANDLERS)
    (tmp_path / "engine.toml").write_text(CONFIG)
    return str(tmp_path / "engine.toml")


@pytest.mark.skipif(sys.platform != "linux", reason="where a child's descriptors can be seen")
def test_a_child_is_its_own_and_the_engine_goes_on(serve, config, tmp_path):
    """It dies by SIGTERM, has nothing of the engine open, and ends where its handler ends."""
    with serve("--config", config, "--state-dir", str(tmp_path / "state")) as served:
        seen = {
            name: {what: served.invoke(name, what)[0] for what in (*ANSWERS, "pool")}
            for name in ("plain", "awaited")
        }
        seen_last = served.invoke("awaited", "awaits")[0]
        alive = served.process.poll() is None

    assert {"plain": ANSWERS, "awaited": ANSWERS} == seen
    assert (0, True) == (seen_last, alive)


def test_what_a_child_yields_is_not_streamed(serve, config):
    """It ends where it yields."""
    with serve("--config", config) as served:
        answers = {name: served.invoke(name)[0] for name in STREAMS}

    assert {name: [1, 2, 0] for name in STREAMS} == answers


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_that_is_left_keeps_neither_a_port_nor_the_state_folder(serve, config, tmp_path, ending):
    """However the engine ends, the next one has both at once."""
    state = str(tmp_path / "state")
    with serve("--config", config, "--state-dir", state) as served:
        left = [served.invoke(name, "leaves")[0] for name in ("plain", "awaited")]
        addresses = [served.addresses[name] for name in ("http", "aws", "admin")]
        served.process.send_signal(ending)
        served.process.wait(45)
        try:
            for pid in left:
                os.kill(pid, 0)  # it lives
            for address in addresses:
                if address is not None:
                    socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))).close()
            with serve("--config", config, "--state-dir", state) as again:
                answer = again.invoke("plain", "returns")[0]
        finally:
            for pid in left:
                os.kill(pid, signal.SIGKILL)

    assert 0 == answer


def test_a_process_that_a_handler_started_and_left_does_not_keep_the_engine(serve, config):
    """Python would wait for it; on Lambda it ends with the environment."""
    with serve("--config", config) as served:
        for name in ("plain", "awaited"):
            served.invoke(name, "starts")
        served.process.terminate()

        assert 0 == served.process.wait(45)


def test_what_a_child_prints_and_logs_is_seen(config):
    """On stderr, where the log is."""
    command = [sys.executable, "-m", "engine", "invoke", "plain", "--config", config, "--event", "-"]
    done = subprocess.run(command, input=json.dumps("prints").encode(), capture_output=True, check=True)
    lines = done.stderr.decode().splitlines()

    assert "print of the child" in lines
    assert any(line.startswith("[ERROR]") and line.endswith("error of the child") for line in lines)
