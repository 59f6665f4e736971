"""Signals that end processes: `engine serve` drains, at whatever moment and as whichever process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.runtime.signals import SIGNALS

pytestmark = pytest.mark.real_time

SOURCE = """
import os, time

def slow(event, context):
    open(__file__ + ".begun", "w").close()
    while not os.path.exists(__file__ + ".go"):
        time.sleep(0.01)
    return "done"

async def blocks(event, context):
    open(__file__ + ".begun", "w").close()
    time.sleep(60)
"""
SERVE = ["-m", "engine", "serve", *(f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin"))]


@contextmanager
def started(folder, handler, *prefix, **more):
    (folder / "app.py").write_text(SOURCE)
    command = [*prefix, sys.executable, *SERVE, f"app.{handler}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, **more)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def is_served(url):
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.read() == b"done"


def wait_for(file):
    while not file.exists():
        time.sleep(0.01)


@pytest.mark.parametrize("number", [SIGNALS[0], *SIGNALS[2:5], signal.SIGALRM, *SIGNALS[8:]], ids=int)
def test_what_runs_is_answered_and_the_exit_code_is_0(tmp_path, number):
    """Also by those that nobody would send on purpose."""
    with started(tmp_path, "slow") as process, ThreadPoolExecutor(1) as pool:
        addresses = json.loads(process.stdout.readline())
        answered = pool.submit(is_served, addresses["http"])
        wait_for(tmp_path / "app.py.begun")
        process.send_signal(number)
        time.sleep(0.05)
        (tmp_path / "app.py.go").touch()
        exit_code = process.wait(60)

        assert answered.result()
        assert 0 == exit_code


@pytest.mark.parametrize("after_s", [0.02, 0.3, 0.6])
def test_before_it_is_ready_it_ends_at_once_and_says_nothing(tmp_path, after_s):
    """No traceback, whatever it was importing; nothing had been accepted."""
    with started(tmp_path, "slow") as process:
        with open(f"/proc/{process.pid}/status") as status:
            while not _handles(status, signal.SIGTERM):
                time.sleep(0.005)
        time.sleep(after_s)
        process.send_signal(signal.SIGINT if after_s > 0.2 else signal.SIGTERM)
        _, err = process.communicate(timeout=100)

    assert b"Traceback" not in err
    assert 0 == process.returncode


def _handles(status, number):
    """By the mask in /proc: before that, no code of ours runs."""
    status.seek(0)
    (mask,) = (int(line.split()[1], 16) for line in status.read().splitlines() if line.startswith("SigCgt"))
    return bool(mask >> (number - 1) & 1)


def test_nohup_is_obeyed(tmp_path):
    """SIGHUP that was ignored stays ignored."""
    (tmp_path / "app.py.go").touch()
    with started(tmp_path, "slow", "nohup") as process:
        addresses = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGHUP)

        assert is_served(addresses["http"])

        process.terminate()

        assert 0 == process.wait(60)


def test_a_handler_that_holds_the_loop_does_not_hold_up_the_end(tmp_path):
    """Its caller is answered within the grace period; a second signal shortens that."""
    (tmp_path / "engine.toml").write_text(
        '[engine]\ngrace_s = 2\n[functions.f]\nhandler = "app.blocks"\ntimeout_s = 60\n'
        '[[functions.f.events]]\ntype = "http"\npath = "/"\nmethod = "GET"\n'
    )
    (tmp_path / "app.py").write_text(SOURCE)
    begun = tmp_path / "app.py.begun"
    command = [sys.executable, *SERVE, "--config", "engine.toml"]
    for numbers in ([signal.SIGTERM], [signal.SIGHUP, signal.SIGTERM]):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path)
        try:
            host, port = json.loads(process.stdout.readline())["http"].removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                wait_for(begun)
                begun.unlink()
                for number in numbers:
                    process.send_signal(number)
                    time.sleep(0.1)
                answer = client.recv(100)
                exit_code = process.wait(50)
        finally:
            process.kill()
            process.communicate()

        assert b"HTTP/1.1 503" == answer[:12]
        assert 0 == exit_code


def test_as_the_first_process_of_a_container_it_is_not_deaf(tmp_path):
    """The kernel sends PID 1 only what it handles: from the first moment on, and while it serves."""
    probe = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("no PID namespace may be made here")
    for ready in (False, True):
        with started(tmp_path, "slow", "unshare", "--pid", "--fork", "--kill-child") as process:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            while not (pids := children.read_text().split()):
                time.sleep(0.01)
            if ready:
                process.stdout.readline()
            else:
                with open(f"/proc/{pids[0]}/status") as status:
                    while not _handles(status, signal.SIGTERM):
                        time.sleep(0.005)
            os.kill(int(pids[0]), signal.SIGTERM)

            assert 0 == process.wait(60)
