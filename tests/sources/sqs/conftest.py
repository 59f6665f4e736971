"""An engine with queues and mappings whose function does as a script says; virtual time where it may be."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import anyio
import orjson
import pytest

from engine import Engine, Function
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.ports import Binding, Host, ServiceRegistry
from engine.services.sqs.queue import Queue
from engine.services.sqs.service import SqsService
from engine.services.sqs.settings import QueueSettings
from engine.sources.sqs.settings import SqsEvent
from engine.sources.sqs.source import SqsMapping, SqsSource
from engine.testing import Act, VirtualTimeLoop, scripted_executor, virtual_platform

HANDLER = "handlers.echo.async_handler"  # never run: the script is
FAILURE = Result(Status.ERROR, b'{"errorType":"E"}')


class Run(NamedTuple):
    """One invocation that the function saw."""

    at_s: float
    records: list[dict[str, Any]]
    function: str = "work"

    @property
    def bodies(self) -> list[str]:
        return [record["body"] for record in self.records]


class Site:
    """`events` are the mappings of the function `work`; `queues` as `[queues.NAME]`; `act` gets a `Run`.

    With `work`, a function with a handler of its own, nothing is scripted.
    """

    def __init__(
        self,
        *events: dict[str, Any],
        act: Callable[[Run], Act | Result | object] = lambda _: Act(),
        queues: dict[str, dict[str, Any]] | None = None,
        function: dict[str, Any] | None = None,
        work: Function | None = None,
        **settings: Any,
    ) -> None:
        self.events = [SqsEvent(**{"queue": "q", **event}) for event in (events or ({},))]
        self.act, self.tables = act, queues or {"q": {}}
        scripted = Function("work", handler=HANDLER, **(function or {}))
        self.functions = [work or scripted, Function("other", handler=HANDLER)]
        self._executor = None if work is not None else scripted_executor(self._perform)
        self.settings = settings
        self._runs: deque[Run] = deque(maxlen=1_000)
        self.said: list[str] = []
        self._sent = 0

    async def __aenter__(self) -> Site:
        virtual = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
        platform = virtual_platform() if virtual else None
        async with AsyncExitStack() as opening:
            self.engine = await opening.enter_async_context(
                Engine(self.functions, platform=platform, executor=self._executor, **self.settings)
            )
            self.clock = self.engine.platform.clock
            services = ServiceRegistry()
            self.host = Host(
                account=self.engine.config.account,
                clock=self.clock,
                new_request_id=self.engine.new_request_id,
                listen={},
                say=self.said.append,
                services=services,
            )
            self.service = services.add(SqsService(self.host))
            opening.callback(self.service.stop)
            self.service.declare({name: QueueSettings(**table) for name, table in self.tables.items()})
            bindings = [Binding(function=self.functions[0], settings=event) for event in self.events]
            self.source = SqsSource.build(bindings, self.host)
            self.stopping = anyio.Event()
            self._group = await opening.enter_async_context(anyio.create_task_group())
            opening.callback(self.stopping.set)
            await self._group.start(self.source.serve, self.engine.sink, self.stopping)
            self.began_s = self.clock.now()
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._open.__aexit__(*args)

    def _perform(self, invocation: Invocation) -> Act:
        event = invocation.event
        run = Run(self.clock.now() - self.began_s, event.document["Records"], event.function)
        self._runs.append(run)
        done = self.act(run)
        if isinstance(done, Act):
            return done
        return Act(result=done if isinstance(done, Result) else Result(Status.SUCCESS, orjson.dumps(done)))

    def queue(self, name: str = "q") -> Queue:
        return self.service.queue(name)

    def send(self, *bodies: str, name: str = "q", **more: Any) -> list[str]:
        """Ids of messages that are sent, and those who wait are woken."""
        queue, now_s = self.queue(name), self.clock.now()
        ids = []
        for body in bodies:
            self._sent += 1
            if name.endswith(".fifo"):
                more["dedup_id"] = str(self._sent)
            ids.append(queue.send(now_s, self.engine.new_request_id(), body, **more).message_id)
        queue.wake_waiters(now_s)
        return ids

    @property
    def entry(self) -> SqsMapping:
        [entry] = self.source
        return entry

    @property
    def runs(self) -> list[Run]:
        """The last thousand."""
        return list(self._runs)

    @property
    def batches(self) -> list[list[str]]:
        return [run.bodies for run in self.runs]

    @property
    def bodies(self) -> list[str]:
        return [body for run in self.runs for body in run.bodies]

    @property
    def times(self) -> list[float]:
        return [round(run.at_s, 3) for run in self.runs]

    def ended(self) -> dict[str, int]:
        """Invocations by outcome."""
        ended = self.engine.stats.functions["work"].triggers["sqs"].ended
        return {name: count for name, count in ended.items() if count}

    def left(self, name: str = "q") -> tuple[int, int]:
        """Visible and in flight, now."""
        queue = self.queue(name)
        queue.messages.tick(self.clock.now())
        return queue.messages.visible, queue.messages.in_flight


@pytest.fixture
def make_site() -> type[Site]:
    return Site


@pytest.fixture
def failure() -> Result:
    return FAILURE
