"""The event source `sqs_remote`: mappings from queues elsewhere, of AWS or of any server that speaks SQS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib import import_module
from typing import ClassVar, Final

import anyio
from anyio.abc import TaskStatus

from engine.core.function import Function, answered_within_s
from engine.core.scaling.pollers import MAX_CONCURRENCY
from engine.errors import ConfigError
from engine.ports import Binding, EventSource, Finding, Host, SettingsModel, Sink
from engine.sources.sqs.concurrency import MappingStatistics
from engine.sources.sqs.mapping_counts import MappingCounts
from engine.sources.sqs.remote_mapping import RemoteMapping
from engine.sources.sqs.remote_port import RemoteError, RemoteQueue
from engine.sources.sqs.settings import RemoteEvent
from engine.sources.sqs.source import plan_of

Opener = Callable[[RemoteEvent, str, int], AbstractAsyncContextManager[RemoteQueue]]
"""Opens a queue: its settings, the region if they name none, and connections at the most."""

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


class Feed:
    """One mapping.

    Attributes:
        function: What it runs.
        name: The metric label `source`: queue and function.
        counts: What it did.
    """

    def __init__(self, function: Function, settings: RemoteEvent, host: Host, open_queue: Opener) -> None:
        self.function = function.name
        self.name = f"{settings.queue_name}:{function.name}"
        self.counts = MappingCounts()
        self._settings = settings
        self._host = host
        self._open_queue = open_queue
        self._plan = plan_of(settings, function.name, None, partial(answered_within_s, function))
        self._running: RemoteMapping | None = None

    async def run(self, sink: Sink, stopping: anyio.Event) -> None:
        """Poll until `stopping`. While the queue cannot be found, look again."""
        host, settings = self._host, self._settings
        connections = self._plan.max_concurrency or MAX_CONCURRENCY
        pause_s, said = _FIRST_PAUSE_S, False
        while not stopping.is_set():
            try:
                async with self._open_queue(settings, host.account.region, connections) as queue:
                    self._running = RemoteMapping(
                        self._plan, queue, sink, host.clock, host.new_request_id, self.counts, host.say
                    )
                    await self._running.run(stopping)
            except RemoteError as error:
                if not said:
                    host.say(f"functions.{self.function}: queue {settings.queue}: {error}; it is tried again")
                said = True
                with anyio.move_on_after(pause_s):
                    await stopping.wait()
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                return

    def statistics(self) -> MappingStatistics | None:
        """Its numbers; None while the queue was not found yet."""
        return self._running.statistics() if self._running is not None else None


class RemoteSqsSource:
    """Polls over the network, with as many connections as batches may run."""

    Settings: ClassVar[type[SettingsModel]] = RemoteEvent

    def __init__(self, bindings: Sequence[Binding], host: Host, open_queue: Opener) -> None:
        self._feeds = []
        for binding in bindings:
            settings = binding.settings
            if not isinstance(settings, RemoteEvent):
                raise TypeError(f"a remote SQS event needs RemoteEvent, not {type(settings).__name__}")
            if settings.enabled:
                self._feeds.append(Feed(binding.function, settings, host, open_queue))

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Raises ConfigError if the client is not installed."""
        try:
            client = import_module("engine.sources.sqs.remote_queue")
        except ModuleNotFoundError as error:
            raise ConfigError((_missing(error),)) from None
        return cls(bindings, host, client.open_queue)

    @classmethod
    def examine(cls, bindings: Sequence[Binding], _wall_s: float) -> Iterator[Finding]:
        """Whether the client is installed."""
        try:
            import_module("engine.sources.sqs.remote_queue")
        except ModuleNotFoundError as error:
            yield from (Finding(number, _missing(error), "type") for number, _ in enumerate(bindings))

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Poll until `stopping`; then let batches that run end, and give back all others."""
        async with anyio.create_task_group() as group:
            for feed in self._feeds:
                group.start_soon(feed.run, sink, stopping)
            task_status.started(None)
            await stopping.wait()

    def statistics(self) -> Iterator[tuple[Feed, MappingStatistics]]:
        """Each mapping whose queue was found, with its numbers: for metrics, at each scrape."""
        for feed in self._feeds:
            numbers = feed.statistics()
            if numbers is not None:
                yield feed, numbers


def _missing(error: ModuleNotFoundError) -> str:
    return f"events of type 'sqs_remote' need {error.name}: pip install 'invocation-engine[sqs]'"
