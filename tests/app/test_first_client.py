"""What AWS clients talk to is there for the first of them, and not before."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from engine.app.aws_client import AwsClient
from engine.runtime.clock import SystemClock
from tests.app.test_late_imports import SERVE, SERVED_LATER, among

pytestmark = pytest.mark.real_time


def test_an_engine_that_no_aws_client_asks_imports_none_of_it(tmp_path):
    """Events over HTTP and readings of its state need none; what is imported, Python itself says."""
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 'done'\n")
    command = [sys.executable, "-X", "importtime", "-m", "engine", *SERVE]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        addresses = json.loads(process.stdout.readline())
        pages = [addresses["http"], *(f"{addresses['admin']}/{name}" for name in ("readyz", "status.json"))]
        answers = [urllib.request.urlopen(page, timeout=30).status for page in pages]
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read().decode()
    found = [line.rpartition("|")[2].strip() for line in said.splitlines() if line.startswith("import time:")]

    assert [200, 200, 200] == answers
    assert "engine.runtime.dispatcher" in found
    assert set() == among(found, *SERVED_LATER, "engine.app.services", "prometheus_client")
    assert 0 == process.returncode


FAILS_ONCE = """
import errno, sys


class Finder:
    failed = False

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "engine.services.s3.service" and not cls.failed:
            cls.failed = True
            raise OSError(errno.EMFILE, "Too many open files")


sys.meta_path.insert(0, Finder)
sys.argv = ["engine", *sys.argv[1:]]
from engine.__main__ import main

main()
"""


def test_the_first_client_is_answered_though_an_import_failed(tmp_path):
    """As when every descriptor is in use for a while: the engine says so, and stays."""
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 'done'\n")
    command = [sys.executable, "-c", FAILS_ONCE, *SERVE]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        page = f"{json.loads(process.stdout.readline())['aws']}/2015-03-31/functions"
        with urllib.request.urlopen(page, timeout=30) as answer:
            functions = json.load(answer)["Functions"]
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read().decode()

    assert ["app"] == [function["FunctionName"] for function in functions]
    assert 1 == said.count("cannot be imported, tried again each second: [Errno 24] Too many open files")


@pytest.mark.parametrize("asks", ["a client connects", "the engine itself", "a stop"])
async def test_the_first_that_asks_ends_the_wait(asks):
    client = AwsClient(SystemClock())
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as connected:
        waiting = asyncio.ensure_future(client.first_of_all([listening]))
        await asyncio.sleep(0)
        before = waiting.done()
        match asks:
            case "a client connects":
                connected.connect(listening.getsockname())
            case "the engine itself":
                client.ask("GET", "/", {}, b"", lambda *_: None)
            case _:
                waiting.cancel()
        await asyncio.wait([waiting], timeout=30)
        is_watched = bool(asyncio.get_running_loop().remove_reader(listening))

    assert (False, True, False) == (before, waiting.done(), is_watched)
