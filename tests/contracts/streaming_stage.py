"""The stage of the contract of streaming handlers: handlers, a reader, an engine for each executor."""

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine, Function, Outcome
from engine.core.event import StreamedEvent
from engine.runtime.platform import new_event_loop
from tests.local_agents import LocalAgents, be_patient, executor_with

SOURCE = """
import asyncio, logging, os, sys, time

def act(word, value, context):
    match word:
        case "yield": return value
        case "bytes": return b"x" * value
        case "remaining": return f"{context.get_remaining_time_in_millis()} "
        case "mark": open(value, "w").close()
        case "spin":
            ends_s = time.monotonic() + value
            while time.monotonic() < ends_s: pass
        case "log": logging.error(value)
        case "raise": raise LookupError(value)
        case "exit": sys.exit(value)

def pieces(event, context):
    try:
        for word, value in event["do"]:
            if word == "gate":
                while True:  # CPython 3.13 leaves a condition here out of the `try` (python/cpython#130279)
                    if os.path.exists(value):
                        break
                    time.sleep(0.002)
                    yield ""
            elif word == "count":
                yield from (f"{number} " for number in range(value))
            else:
                piece = act(word, value, context)
                if piece is not None:
                    yield piece
    finally:
        if "finally" in event:
            act("mark", event["finally"], context)

async def apieces(event, context):
    try:
        for word, value in event["do"]:
            if word == "gate":
                while True:  # see above
                    if os.path.exists(value):
                        break
                    await asyncio.sleep(0.002)
            elif word == "count":
                for number in range(value):
                    yield f"{number} "
            else:
                piece = act(word, value, context)
                if piece is not None:
                    yield piece
    finally:
        if "finally" in event:
            act("mark", event["finally"], context)

def makes(event, context):
    return pieces(event, context)

async def amakes(event, context):
    await asyncio.sleep(0)
    return apieces(event, context)

def plain(event, context):
    return {"a": "\u00e4"}

async def aplain(event, context):
    return {"a": "\u00e4"}
"""

EXECUTORS = ("loop", "thread", "process", "cluster")
TIMEOUT_S = 1.0


class Reader:
    """A source's end of one stream. It stalls once it has `room` bytes, until `go_on`."""

    def __init__(self, room: float = float("inf")) -> None:
        self.room = room
        self.types: list[str] = []
        self.pieces: list[bytes] = []
        self.wrote = asyncio.Event()
        self.drained = None

    def begin(self, content_type, drained):
        self.types.append(content_type)
        self.drained = drained

    def write(self, data):
        self.pieces.append(data)
        self.wrote.set()
        return len(self.body) < self.room

    def fail(self, body):
        raise AssertionError(body)

    def go_on(self):
        self.room = float("inf")
        self.drained()

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


class Stage:
    """One engine, open while the tests of a module run, with the same functions for each executor."""

    def __init__(self, executor: str, folder: Path, shared: Path) -> None:
        """`shared`: a folder that handlers in processes of their own see as it is."""
        self.executor = executor
        self.shared = shared
        self.runner = asyncio.Runner(loop_factory=new_event_loop)
        self._files = 0
        code = folder / "code"
        code.mkdir()
        (code / "app.py").write_text(SOURCE)
        keys = {"code": str(code), "executor": executor, "streaming": "generator", "timeout_s": 60}
        names = ("pieces", "apieces", "makes", "amakes", "plain", "aplain")
        functions = [Function(name, handler=f"app.{name}", **keys) for name in names]
        for name in ("pieces", "apieces"):
            handler = f"app.{name}"
            functions.append(Function(f"shared_{name}", handler=handler, **keys, environment_concurrency=4))
            timed = {**keys, "timeout_s": TIMEOUT_S}
            functions.append(Function(f"timed_{name}", handler=handler, **timed))
            functions.append(
                Function(f"timed_shared_{name}", handler=handler, **timed, environment_concurrency=4)
            )
        functions.append(Function("buffered", handler="app.pieces", **{**keys, "streaming": None}))
        factory = None
        if executor == "cluster":
            factory = executor_with(LocalAgents(folder / "nodes", 1))
        self.engine = Engine(functions, executor=factory)

    def run(self, awaitable):
        return self.runner.run(awaitable)

    def file(self) -> str:
        """The path of a file that is not there yet."""
        self._files += 1
        return str(self.shared / f"file-{self._files}")

    async def appears(self, file: str) -> None:
        """Wait until a handler has made that file."""
        async with asyncio.timeout(60):
            while not os.path.exists(file):
                await asyncio.sleep(0.001)

    async def read(
        self, function: str, *steps, reader=None, wants_log=False, **keys
    ) -> tuple[Reader, Outcome]:
        """Stream one invocation to its end."""
        reader, ended = self.begin(function, *steps, reader=reader, wants_log=wants_log, **keys)
        return reader, await ended

    def begin(self, function: str, *steps, reader=None, wants_log=False, **keys):
        """Begin one: its reader, and the future of its outcome."""
        engine, reader = self.engine, reader or Reader()
        payload = json.dumps({"do": steps, **keys}).encode()
        event = StreamedEvent(function, payload, engine.new_request_id(), engine.platform.clock.now())
        event.stream, event.wants_log = reader, wants_log
        ended = asyncio.get_running_loop().create_future()
        engine.sink.submit(event, ended.set_result)
        return reader, ended


@contextlib.contextmanager
def opened(executor: str, folder: Path) -> Iterator[Stage]:
    """The stage of that executor."""
    shared = Path(tempfile.mkdtemp(dir="/dev/shm"))
    with pytest.MonkeyPatch.context() as patch:
        be_patient(patch)
        stage = Stage(executor, folder, shared)
        with stage.runner:
            stage.run(stage.engine.__aenter__())
            yield stage
            stage.run(stage.engine.__aexit__())
    shutil.rmtree(shared)
