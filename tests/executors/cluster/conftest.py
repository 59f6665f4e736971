"""Engines whose functions run on nodes, with agents in the loop of the test or in processes of their own."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from engine import Engine, Function
from engine.core.engine_events import NodeJoined, NodeLost
from engine.executors.cluster import node
from tests.local_agents import PATIENT_AGENT, LocalAgents, be_patient, executor_with

SILENT_IN_USE_S = node.SILENT_S

HANDLER = """
import os, time
def handler(event, context):
    if "s" in event:
        time.sleep(event["s"])
    if "until" in event:
        open(event["until"] + ".begun", "w").close()
        while not os.path.exists(event["until"]):
            time.sleep(0.01)
    if "hangs_once" in event and not os.path.exists(event["hangs_once"]):
        open(event["hangs_once"], "w").close()
        time.sleep(60)
    if "touch" in event:
        with open(event["touch"], "a") as file:
            file.write("x")
    if "print" in event:
        print(event["print"])
    if "exit" in event:
        os._exit(event["exit"])
    return event.get("value")
"""


class Watch:
    """What observers are told of nodes."""

    def __init__(self):
        self.joined, self.lost = [], []
        self._changed = asyncio.Event()

    def noticed(self, event):
        if isinstance(event, NodeJoined):
            self.joined.append(event.node.name)
        elif isinstance(event, NodeLost):
            self.lost.append((event.node, event.reason.value))
        self._changed.set()

    async def until(self, condition, at_most_s=20):
        """Until what is told makes the condition true."""
        async with asyncio.timeout(at_most_s):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    def began(self, _invocation): ...

    def ended(self, _invocation, _outcome, _error_type): ...

    def refused(self, _event, _outcome, _reason): ...


class Setting:
    """One engine, and what starts its agents."""

    def __init__(self, folder):
        self.folder = folder
        self.code = folder / "code"
        self.code.mkdir()
        self.write(HANDLER)
        self.agents = LocalAgents(folder / "nodes", 0)
        self.watch = Watch()
        self.lines = []
        self.processes = []

    def write(self, source):
        (self.code / "app.py").write_text(source)

    def engine(self, *functions, count=2, settings=None, port=0, secret=None, **limits):
        """`count`: agents in this loop."""
        known = None if secret is None else secret.encode()
        self.agents.count = count
        functions = functions or (self.function(**limits),)
        return Engine(
            functions,
            executor=executor_with(self.agents, port, known),
            observers=[self.watch],
            write_log=self.lines.append,
            scaling_rate=0,
            **(settings or {}),
        )

    def function(self, name="f", **limits):
        limits = {"timeout_s": 20, "handler": "app.handler", "code": str(self.code), **limits}
        return Function(name, **limits)

    def start(self, name, *options):
        """An agent in a process of its own."""
        host, port = self.agents.listener
        cache = str(self.folder / "nodes" / name)
        command = [
            sys.executable,
            "-c",
            PATIENT_AGENT,
            "agent",
            f"{host}:{port}",
            "--name",
            name,
            "--cache",
            cache,
        ]
        process = subprocess.Popen(
            [*command, *options],
            env={**os.environ, "ENGINE_CLUSTER_SECRET": self.agents.secret.decode()},
            stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.communicate()


@pytest.fixture
def mark():
    """A file that environments see as the test does: each has a `/tmp` of its own."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder, "mark")


@pytest.fixture
def written():
    """`await written(path)`: until a handler has made that file."""

    async def until(path, at_most_s=60):
        async with asyncio.timeout(at_most_s):
            while not path.exists():
                await asyncio.sleep(0.01)

    return until


@pytest.fixture
def impatient(monkeypatch):
    """`with impatient():` silence is noticed as soon as in use."""

    @contextlib.contextmanager
    def as_in_use():
        with monkeypatch.context() as patched:
            patched.setattr(node, "SILENT_S", SILENT_IN_USE_S)
            yield

    return as_in_use


@pytest.fixture
def setting(tmp_path, monkeypatch):
    """A folder with code, no agent yet. Nodes are lost to no busy machine: see `impatient`."""
    be_patient(monkeypatch)
    setting = Setting(tmp_path)
    yield setting
    setting.close()


def by_node(engine, name="f"):
    """How many environments each node has."""
    return {node: sum(counts) for node, counts in engine.sink.drivers[name].by_node().items()}


@pytest.fixture(name="by_node")
def by_node_fixture():
    """How many environments each node has."""
    return by_node


@pytest.fixture
def idle():
    """`await idle(engine, {"node": 2})`: until so many environments are idle on each node."""

    async def until(engine, expected, name="f", at_most_s=20):
        async with asyncio.timeout(at_most_s):
            while True:
                found = engine.sink.drivers[name].by_node()
                if expected == {node: counts.idle for node, counts in found.items()}:
                    return
                await asyncio.sleep(0.01)

    return until
