"""What the executor contract is played with: one vocabulary of events, understood by every executor."""

import asyncio
import contextlib
import fcntl
import json
import shutil
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine import Engine, Function, Status
from engine.core.error_bodies import InitFailure
from engine.core.invocation import Invocation, Result
from engine.executors.marshal import Failure, error_body, exit_error_body
from engine.ports import ExecutorFactory
from engine.runtime.platform import new_event_loop
from engine.testing import Act, VirtualTimeLoop, scripted_executor, virtual_platform
from tests.local_agents import LocalAgents, be_patient, executor_with

COMMON = """
import os, sys, contract_props as props
props.imported.append(__name__)

class Stop(BaseException):
    pass

def act(event, context):
    match event.get("do"):
        case "raise": raise LookupError("not in stock")
        case "marshal": return {1, 2}
        case "exit": sys.exit(event["code"])
        case "base": raise Stop("enough")
        case "signal": os.kill(os.getpid(), event["signal"])
        case "_exit": os._exit(event["code"])
        case "flood":
            for number in range(event["lines"]):
                print(f"{number:0999}")
        case "big": return "x" * event["bytes"]
        case "print": print(event["text"])
        case "size": return len(event["text"])
        case "module": return __name__
        case "context":
            return {
                "request_id": context.aws_request_id,
                "name": context.function_name,
                "version": context.function_version,
                "memory": context.memory_limit_in_mb,
                "arn": context.invoked_function_arn,
                "group": context.log_group_name,
                "stream": context.log_stream_name,
                "remaining_ms": context.get_remaining_time_in_millis(),
            }
    return event.get("value")
"""

ASYNC = """
import asyncio
async def handler(event, context):
    if event.get("do") == "wait":
        props.began(event)
        try:
            await asyncio.sleep(event["s"])
            if "then" in event:
                return act(event["then"], context)
        finally:
            props.left(event)
    return act(event, context)
"""

PLAIN = """
def handler(event, context):
    if event.get("do") == "wait":
        props.began(event)
        try:
            while not props.gate.wait(0.01):  # a handler in Python code: it can be interrupted
                pass
            if "then" in event:
                return act(event["then"], context)
        finally:
            props.left(event)
    return act(event, context)
"""


SIGNS = """
import fcntl, os
_FOLDER = {folder!r}
imported = []

def began(_event):
    _add("begun")

def left(_event):
    _add("over")

def _add(name):
    descriptor = os.open(os.path.join(_FOLDER, name), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b".")
    os.close(descriptor)

class gate:
    @staticmethod
    def wait(_seconds):
        with open(os.path.join(_FOLDER, "gate")) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
        return True
"""
"""The module `contract_props` for handlers in processes of their own: files are all that they share."""


class Signs:
    """The test's side of it: files in the code folder, or in one that is seen as it is on nodes too."""

    def __init__(self, code: Path, folder: Path | None = None) -> None:
        self.folder = folder = folder or code
        self._seen = {"begun": 0, "over": 0}
        self._gate = (folder / "gate").open("w")
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        (code / "contract_props.py").write_text(SIGNS.replace("{folder!r}", repr(str(folder))))

    async def wait(self, name: str, count: int, at_most_s: float = 20) -> None:
        """Until `count` more handlers have left that sign, or until that is hopeless."""
        self._seen[name] += count
        file = self.folder / name
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                while not file.exists() or file.stat().st_size < self._seen[name]:
                    await asyncio.sleep(0.005)

    def open_gate(self) -> None:
        """Handlers that wait go on."""
        if not self._gate.closed:
            self._gate.close()


class Props(types.ModuleType):
    """The module `contract_props`: what handlers and tests both see."""

    def __init__(self) -> None:
        super().__init__("contract_props")
        self.imported: list[str] = []
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.over = threading.Semaphore(0)
        self.importing = threading.Semaphore(0)

    def began(self, _event: object) -> None:
        self.begun.release()

    def left(self, _event: object) -> None:
        self.over.release()


@dataclass
class Play:
    """One executor, and how a test makes its handlers wait, go on and be counted.

    `wait_s` is how long a waiting handler takes on virtual time; elsewhere it waits for `release`.
    `most` is how many environments it is asked for at once.
    """

    name: str
    props: Props
    folder: object
    factory: ExecutorFactory | None
    is_virtual: bool
    timeout_s: float
    wait_s: float = 1.0
    most: int = 1000
    signs: Signs | None = None

    def write(self, extra: str = "", name: str = "app") -> None:
        source = COMMON + (ASYNC if self.name == "loop" else PLAIN) + extra
        (self.folder / f"{name}.py").write_text(source)

    def function(self, name: str = "f", handler: str = "app.handler", **limits: object) -> Function:
        executor = "auto" if self.factory is not None else self.name
        limits = {"timeout_s": self.timeout_s if self.is_virtual else 60.0, **limits}
        return Function(name, handler=handler, code=str(self.folder), executor=executor, **limits)

    def engine(self, *functions: Function, **settings: object) -> Engine:
        if not self.is_virtual:
            return Engine(functions or (self.function(),), executor=self.factory, **settings)
        return Engine(
            functions or (self.function(),), executor=self.factory, platform=virtual_platform(), **settings
        )

    async def begun(self, count: int = 1) -> None:
        """Until that many more handlers wait."""
        if self.is_virtual:
            await asyncio.sleep(self.wait_s / 100)
            return
        if self.signs is not None:
            await self.signs.wait("begun", count)
            return
        await asyncio.to_thread(_take, self.props.begun, count)

    async def over(self, count: int = 1) -> None:
        """Until that many handlers that waited are over, however they ended."""
        if self.is_virtual:
            await asyncio.sleep(10 * self.wait_s)
            return
        if self.signs is not None:
            await self.signs.wait("over", count, 0.1)  # those that were killed leave none
            return
        await asyncio.to_thread(_take, self.props.over, count)
        await asyncio.sleep(0.01)  # what they posted is read

    def release(self) -> None:
        """Let all handlers go on; on virtual time they do by themselves."""
        self.props.gate.set()
        if self.signs is not None:
            self.signs.open_gate()


def _take(semaphore: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        assert semaphore.acquire(timeout=60)


def scripted_act(invocation: Invocation) -> Act:
    """The vocabulary, for an executor that runs no code."""
    event = json.loads(invocation.event.payload)
    request_id = invocation.event.request_id
    takes_s = event["s"] if event.get("do") == "wait" else 0.0
    event = event.get("then", event)
    match event.get("do"):
        case "raise":
            body = error_body(Failure("LookupError", "not in stock"), request_id)
            return Act(takes_s=takes_s, result=Result(Status.ERROR, body))
        case "exit" | "base":
            body = exit_error_body(request_id, event.get("code", 1) or 0)
            result = Result(Status.CRASH, body, error_type="Runtime.ExitError")
            return Act(takes_s=takes_s, result=result)
        case "big":
            body = json.dumps("x" * event["bytes"]).encode()
            return Act(takes_s=takes_s, result=Result(Status.SUCCESS, body))
        case "size":
            return Act(result=Result(Status.SUCCESS, b"%d" % len(event["text"])))
    return Act(
        takes_s=takes_s,
        result=Result(Status.SUCCESS, json.dumps(event.get("value"), separators=(", ", ": ")).encode()),
    )


def _loop(props: Props, folder: object) -> Play:
    return Play("loop", props, folder, None, True, 3.0)


def _thread(props: Props, folder: object) -> Play:
    return Play("thread", props, folder, None, False, 0.15)


def _runtime(props: Props, folder: object) -> Play:
    return Play("runtime", props, folder, None, False, 0.5, most=20, signs=Signs(folder))


def _process(props: Props, folder: object) -> Play:
    return Play("process", props, folder, None, False, 0.5, most=200, signs=Signs(folder))


def _cluster(props: Props, folder: object) -> Play:
    factory = executor_with(LocalAgents(folder.parent / "nodes", 1))
    shared = Path(tempfile.mkdtemp(dir="/dev/shm"))  # not below /tmp, where each environment has its own
    return Play("cluster", props, folder, factory, False, 0.5, most=200, signs=Signs(folder, shared))


def _scripted(props: Props, folder: object) -> Play:
    return Play("scripted", props, folder, scripted_executor(act=scripted_act), True, 3.0)


PLAYS: Mapping[str, Callable[[Props, object], Play]] = {
    "loop": _loop,
    "thread": _thread,
    "process": _process,
    "runtime": _runtime,
    "cluster": _cluster,
    "scripted": _scripted,
}

SAME_AS = {"ray": "cluster"}
"""Executors that are another one with its agents started by somebody else: see tests/executors/cluster."""

REAL = {"thread", "process", "runtime", "cluster"}
"""Those that are played on the real clock."""

DIFFERENCES = {
    "code": {"scripted": "runs no code: results are given, and nothing is imported or printed"},
    "own process": {
        "loop": "runs handlers in the engine's own process: what ends it by force ends the engine",
        "thread": "runs handlers in the engine's own process: what ends it by force ends the engine",
        "scripted": "runs no code",
    },
    "init once": {
        "scripted": "runs no code",
        "process": "repeats an init that failed inside its first invocation, as AWS does",
        "cluster": "repeats an init that failed inside its first invocation, as AWS does",
    },
    "own module": {
        "scripted": "runs no code",
        "loop": "environments on the loop share one instance of the module",
        "process": "each environment is a process, and the module is simply `app` in all of them",
        "runtime": "each environment is a process, and the module is simply `app` in all of them",
        "cluster": "each environment is a process, and the module is simply `app` in all of them",
    },
}
"""What an executor is excused from, and why. A test asks for what it needs by one of these words."""


@dataclass(frozen=True)
class LoopFor:
    """The loop that the tests of one executor run on; it also tells which executor that is."""

    name: str

    def __call__(self) -> asyncio.AbstractEventLoop:
        return new_event_loop() if self.name in REAL else VirtualTimeLoop()


def pytest_asyncio_loop_factories(config, item):
    """Each contract test runs once for each executor that has what it `needs`."""
    marker = item.get_closest_marker("needs")
    excused = DIFFERENCES[marker.args[0]] if marker else {}
    return {name: LoopFor(name) for name in PLAYS if name not in excused}


def executor_of(item):
    """The name of the executor that a collected test is for, or None."""
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec else ()
    return next((value.name for value in values if isinstance(value, LoopFor)), None)


def pytest_itemcollected(item):
    """Threads and processes need the real clock."""
    if executor_of(item) in REAL:
        item.add_marker(pytest.mark.real_time)


@pytest.fixture
def play(request, tmp_path, monkeypatch):
    """The executor that the test is run for."""
    be_patient(monkeypatch)
    props = Props()
    sys.modules["contract_props"] = props
    folder = tmp_path / "code"
    folder.mkdir()
    play = PLAYS[executor_of(request.node)](props, folder)
    play.write()
    yield play
    play.release()
    if play.name == "cluster":
        shutil.rmtree(play.signs.folder)
    del sys.modules["contract_props"]


def pytest_configure(config):
    """Make the marker known."""
    config.addinivalue_line("markers", "needs(what): an executor excused from it in DIFFERENCES is left out")


class Recorder:
    """Facts of an executor that is driven by hand, in the order they came."""

    def __init__(self) -> None:
        self.facts: asyncio.Queue[tuple] = asyncio.Queue()

    def placed(self, _env_id: int, _node: str) -> None:
        """It is somewhere."""

    def ready(self, env_id: int, _init_s: float) -> None:
        self.facts.put_nowait(("ready", env_id))

    def failed(self, env_id: int, failure: InitFailure, _init_s: float) -> None:
        self.facts.put_nowait(("failed", env_id, failure.error_type))

    def succeeded(self, invocation: Invocation, body: bytes, raw: bool = False, /) -> None:
        self.ended(invocation, Result(Status.SUCCESS, body, raw))

    def began(self, invocation: Invocation, content_type: str, _resume: Callable[[], None], /) -> None:
        self.facts.put_nowait(("began", invocation.env_id, content_type))

    def piece(self, invocation: Invocation, data: bytes, /) -> bool:
        self.facts.put_nowait(("piece", invocation.env_id, data))
        return True

    def ended(self, invocation: Invocation, result: Result) -> None:
        self.facts.put_nowait(("ended", invocation.env_id, result.status.value))

    def initialised(self, _env_id: int) -> None:
        """Others may begin."""

    def waits(self, _env_id: int) -> None:
        """Nobody limits its init."""

    def give_up(self, _env_id: int) -> bool:
        return False

    def died(self, env_id: int) -> None:
        self.facts.put_nowait(("died", env_id))


@pytest.fixture
def recorder():
    """Facts to give an executor that no driver drives."""
    return Recorder()


@pytest.fixture
def plays():
    """The names of all that are played."""
    return {*PLAYS, *SAME_AS}
