"""An engine with a mapping of a scripted stream, whose function does as a script says, in virtual time."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import anyio
import orjson
import pytest

from engine import Engine, Function
from engine.core.destinations import DestinationRecord
from engine.core.function import Account
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.ports import Binding, Host, ServiceRegistry
from engine.runtime.clock import SystemClock
from engine.services.partner.service import Partner
from engine.sources.streams.checkpoint_files import CheckpointFiles
from engine.sources.streams.checkpoint_saver import CheckpointFolder
from engine.sources.streams.clients import StreamAccess
from engine.sources.streams.entries import StreamEntry
from engine.sources.streams.mappings import LiveStreamMappings
from engine.sources.streams.scripted import ScriptedStream
from engine.sources.streams.settings import KinesisEvent
from engine.sources.streams.source import KinesisSource
from engine.testing import Act, scripted_executor, virtual_platform

T = TypeVar("T")

HANDLER = "handlers.echo.async_handler"  # never run: the script is
FAILURE = Result(Status.ERROR, b'{"errorType":"E"}')


def no_partner() -> Partner:
    """One that serves nothing."""
    return Partner("none", Account(), None, clock=SystemClock(), spawn=lambda *_: None, say=lambda _: None)


class StreamRun(NamedTuple):
    """One invocation that the function saw."""

    at_s: float
    event: dict[str, Any]

    @property
    def records(self) -> list[dict[str, Any]]:
        return self.event["Records"]

    @property
    def data(self) -> list[str]:
        return [b64decode(record["kinesis"]["data"]).decode() for record in self.records]


class StreamSite:
    """`event` is the mapping of the function `work`; `act` gets a `StreamRun`.

    With `checkpoints`, a folder, and the stream of an earlier one as `reads` it is that engine, restarted.
    `offloaded_s` has when files were read or written; each takes `file_s`.
    """

    def __init__(
        self,
        act: Callable[[StreamRun], Act | Result | object] = lambda _: None,
        shards: int = 1,
        function: dict[str, Any] | None = None,
        stream: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        checkpoints: Path | None = None,
        reads: ScriptedStream | None = None,
        file_s: float = 0.0,
        **event: Any,
    ) -> None:
        self.event = KinesisEvent(**{"stream": "s", "starting_position": "TRIM_HORIZON", **event})
        self.act, self._shards, self._stream = act, shards, stream or {}
        self.functions = [Function("work", handler=HANDLER, **(function or {}))]
        self._settings = settings or {}
        self._checkpoints, self._reads, self._file_s = checkpoints, reads, file_s
        self.offloaded_s: list[float] = []
        self.runs: list[StreamRun] = []
        self.said: list[str] = []
        self.delivered: list[tuple[str, DestinationRecord]] = []

    async def __aenter__(self) -> StreamSite:
        async with AsyncExitStack() as opening:
            executor = scripted_executor(self._perform)
            self.engine = await opening.enter_async_context(
                Engine(self.functions, platform=virtual_platform(), executor=executor, **self._settings)
            )
            self.clock = self.engine.platform.clock
            self.stream = self._reads or ScriptedStream(self.clock.wall, shards=self._shards, **self._stream)
            self.began_s = self.clock.now()
            services = ServiceRegistry()
            services.add(
                StreamAccess(
                    partner=no_partner(),
                    senders={"sqs": self._deliver, "s3": self._deliver},
                    role_of=lambda name: f"arn:aws:iam::000000000000:role/{name}",
                    client=lambda _: self.stream,
                    checkpoints=self._folder(),
                )
            )
            self.host = Host(
                account=self.engine.config.account,
                clock=self.clock,
                new_request_id=self.engine.new_request_id,
                listen={},
                say=self.said.append,
                services=services,
            )
            source = KinesisSource.build(
                [Binding(function=self.functions[0], settings=self.event)], self.host
            )
            self.mappings: LiveStreamMappings = source.mappings
            self.stopping = anyio.Event()
            group = await opening.enter_async_context(anyio.create_task_group())
            opening.callback(self.stopping.set)
            await group.start(source.serve, self.engine.sink, self.stopping)
            await anyio.sleep(0.5)  # the first read is over; the next comes in half a second
            self.began_s = self.clock.now()
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._open.__aexit__(*args)

    def _folder(self) -> CheckpointFolder | None:
        if self._checkpoints is None:
            return None
        return CheckpointFolder(
            files=CheckpointFiles(self._checkpoints),
            offload=self._offload,
            clock=self.clock,
            say=self.said.append,
        )

    async def _offload(self, work: Callable[[], T], /) -> T:
        self.offloaded_s.append(self.clock.now())
        await anyio.sleep(self._file_s)
        return work()

    def _deliver(self, arn: str, record: DestinationRecord) -> None:
        self.delivered.append((arn, record))

    def _perform(self, invocation: Invocation) -> Act:
        run = StreamRun(self.clock.now() - self.began_s, orjson.loads(invocation.event.payload))
        self.runs.append(run)
        done = self.act(run)
        if isinstance(done, Act):
            return done
        return Act(result=done if isinstance(done, Result) else Result(Status.SUCCESS, orjson.dumps(done)))

    def put(self, *texts: str, key: str | None = None) -> list[str]:
        """Sequence numbers of records, each with itself as key if none is given."""
        return [self.stream.put(text if key is None else key, text.encode()) for text in texts]

    @property
    def entry(self) -> StreamEntry:
        [entry] = self.mappings
        return entry

    @property
    def batches(self) -> list[list[str]]:
        return [run.data for run in self.runs]

    @property
    def data(self) -> list[str]:
        return [text for run in self.runs for text in run.data]

    @property
    def times(self) -> list[float]:
        return [round(run.at_s, 3) for run in self.runs]


@pytest.fixture
def make_stream_site() -> type[StreamSite]:
    return StreamSite


@pytest.fixture
def failure() -> Result:
    return FAILURE
