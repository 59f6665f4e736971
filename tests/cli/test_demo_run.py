"""The demo for real: sockets, a process of its own, and nothing left of it afterwards."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli.demo import demo
from engine.cli.demo.engine_process import ROOT, DemoError, EngineProcess
from engine.cli.demo.load import HttpCall, RequestTally, burst, connect, invocation, keep_asking
from engine.cli.demo.sizes import make_plan
from engine.protocols.http.client import HttpConnection
from engine.runtime.clock import SystemClock

pytestmark = pytest.mark.real_time

PROC = Path("/proc")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def carriers(token):
    """Processes that have `token` in their environment."""
    found = []
    for folder in PROC.glob("[0-9]*"):
        try:
            if token.encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:  # gone meanwhile, or somebody else's
            continue
    return found


async def test_the_engine_of_the_demo_serves_and_is_ended():
    """Ready with three addresses; afterwards it has drained, exited with 0, and is gone."""
    clock = SystemClock()
    async with EngineProcess(make_plan().arguments()) as engine:
        with ExitStack() as stack:
            clients = await connect(stack, engine.addresses["aws"], 5)
            once = await burst(clients, invocation("echo", [1]), clock)
            more = RequestTally()
            await keep_asking(
                clients[0],
                (HttpCall("GET", "/nowhere"),),
                more,
                clock,
                until_s=clock.now() + 0.02,
                pause_s=0.001,
            )

    assert {"http", "aws", "admin"} == set(engine.addresses)
    assert {"200": 5} == once.answers
    assert more.count >= 1
    assert 0 == engine.exit_code
    assert not is_alive(engine.pid)


async def test_an_engine_that_does_not_start_says_why():
    """Its last words on stderr are the details of the error."""
    with pytest.raises(DemoError) as caught:
        async with EngineProcess(("--config", "/nowhere/engine.toml")):
            pass

    assert "the engine did not start" == caught.value.reason
    assert "/nowhere/engine.toml" in str(caught.value)


async def test_a_port_in_use_is_said():
    """The address is in the message."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DemoError) as caught:
            async with EngineProcess((*make_plan().arguments(), "--http", f"127.0.0.1:{port}")):
                pass

    assert "the engine did not start" == caught.value.reason
    assert str(port) in str(caught.value)


async def test_an_engine_that_dies_is_said():
    """The error of the client gives way to its cause."""
    pids = []

    async def wait_for_its_end():
        async with EngineProcess(make_plan().arguments()) as engine:
            pids.append(engine.pid)
            connection = await HttpConnection.open(*engine.addresses["http"])
            asyncio.get_running_loop().call_soon(os.kill, engine.pid, signal.SIGKILL)
            await connection.request("GET", "/sleep?seconds=20", timeout_s=15)

    with pytest.raises(DemoError, match="the engine ended by itself, with exit code -9"):
        await wait_for_its_end()

    assert [False] == [is_alive(pid) for pid in pids]


async def test_cancelling_the_demo_ends_its_engine():
    """As Ctrl-C does."""
    began = asyncio.get_running_loop().create_future()

    async def hold():
        async with EngineProcess(make_plan().arguments()) as engine:
            began.set_result(engine)
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    engine = await began
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not is_alive(engine.pid)


@pytest.mark.parametrize("report", ["/nowhere/report.html", "/"])
def test_a_report_that_cannot_be_written_is_said_before_anything_starts(report):
    """One line, exit code 2."""
    result = CliRunner().invoke(demo, ["--report", report])

    assert (2, f"error: --report {report}: cannot be written there\n") == (result.exit_code, result.stderr)


@pytest.mark.slow
def test_the_demo_keeps_its_promises(tmp_path):
    """From zero to a thousand and back, in one command that ends by itself and leaves nothing running."""
    token = uuid.uuid4().hex
    report = tmp_path / "report.html"

    done = subprocess.run(
        [sys.executable, "-m", "engine", "demo", "--json", "--report", str(report)],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "DEMO_TEST_TOKEN": token},
        timeout=280,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr.decode())
    document = json.loads(done.stdout)
    assert document["ok"]
    assert document["peak_concurrency"] >= 1000
    assert 0 == document["environments_at_the_end"]
    assert {"account_limit": 500} == document["throttles"]
    assert json.dumps(document, separators=(",", ":")).replace("<", "\\u003c") in report.read_text("utf-8")
    assert [] == carriers(token)


@pytest.mark.skipif(not PROC.is_dir(), reason="needs /proc")
@pytest.mark.parametrize(("number", "code", "word"), [(2, 130, "interrupted"), (15, 143, "terminated")])
def test_a_signal_ends_the_demo_in_one_line(tmp_path, number, code, word):
    """Ctrl-C or SIGTERM in the middle: no traceback, no report, nothing left running."""
    token = uuid.uuid4().hex
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from engine.cli.demo import demo; demo()",
            "--report",
            str(tmp_path / "r.html"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "DEMO_TEST_TOKEN": token},
    )
    with process:
        process.stdout.readline()  # the first phase has begun
        process.send_signal(number)
        _, err = process.communicate(timeout=100)

    assert (code, f"error: {word}\n") == (process.returncode, err.decode())
    assert [] == carriers(token)
    assert [] == list(tmp_path.iterdir())
