"""The stream mappings of an engine: those of the configuration, and those made while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from engine.core.event_patterns.filter_criteria import MAX_FILTERS, FilterError
from engine.core.late_dataclass import dataclass
from engine.core.streams.counts import StreamCounts, StreamReport
from engine.core.streams.poller import StreamPoller
from engine.core.streams.records import ReadFailure, ShardCheckpoint
from engine.core.table import read_errors
from engine.errors import ConfigError
from engine.ports import Binding, Host, Sink
from engine.sources.streams.batch_sizes import BatchSizes
from engine.sources.streams.clients import StreamAccess, client_of, given_arn
from engine.sources.streams.discards import DiscardDelivery
from engine.sources.streams.driver import NOTHING_YET, StreamDriver, StreamPlan
from engine.sources.streams.filters import record_filter
from engine.sources.streams.kernel_settings import kernel_settings
from engine.sources.streams.port import StreamClient, StreamError
from engine.sources.streams.settings import DynamodbEvent, KinesisEvent, StreamEvent
from engine.sources.streams.starts import StreamClock

_OPENED_WITHIN_S: Final = 5.0
"""How long a mapping is waited for to know where it begins."""
_UNKNOWN_TO_AWS: Final = ("endpoint_url", "region", "profile", "poll_interval_s", "drop_unchanged")
_EVENTS: Final[Mapping[str, type[StreamEvent]]] = {"kinesis": KinesisEvent, "dynamodb": DynamodbEvent}


@dataclass(slots=True, kw_only=True)
class StreamEntry:
    """One mapping.

    Attributes:
        uuid: AWS's name for it.
        function, qualifier: What it runs.
        settings: How it reads.
        modified_s: Wall time of the last change, seconds.
        client: Its stream.
        counts: What became of its records.
        sizes: Of the batches that the function ran for.
        changed: Set to have what runs for it end; there is another one then, unless it is closed.
        checkpoints: How far it is, while nothing runs for it.
        driver: What reads for it; None before and after, and while it is disabled.
        result: What `last_result` is then.
        destination_deliveries, destination_failures: Records of what was given up that were, and could not be
            delivered.
        is_closed: It was removed.
    """

    uuid: str
    function: str
    qualifier: str | None
    settings: StreamEvent
    modified_s: float
    client: StreamClient
    counts: StreamCounts
    sizes: BatchSizes
    changed: asyncio.Event
    checkpoints: tuple[ShardCheckpoint, ...] = ()
    driver: StreamDriver | None = None
    result: str = NOTHING_YET
    destination_deliveries: int = 0
    destination_failures: int = 0
    is_closed: bool = False

    @property
    def name(self) -> str:
        """The metric label `source`: stream and function."""
        return f"{self.settings.stream_name}:{self.function}"

    @property
    def last_result(self) -> str:
        """AWS's `LastProcessingResult`."""
        return self.result if self.driver is None else self.driver.last_result


class LiveStreamMappings:
    """Reads streams wherever they are, each mapping for itself. Implements `StreamMappings`."""

    def __init__(self, host: Host, access: StreamAccess) -> None:
        self._host, self._access = host, access
        self._times = StreamClock(host.clock)
        self._entries: dict[str, StreamEntry] = {}
        self._serving: dict[str, tuple[TaskGroup, Sink]] = {}

    # --- mappings

    def bind(self, binding: Binding) -> StreamEntry:
        """Add a mapping of the configuration. Before its type is served."""
        settings = binding.settings
        if not isinstance(settings, StreamEvent):
            raise TypeError(f"a stream event needs StreamEvent settings, not {type(settings).__name__}")
        return self._add(binding.function.name, binding.qualifier, settings, None, None)

    def __iter__(self) -> Iterator[StreamEntry]:
        return iter(self._entries.values())

    def find(self, uuid: str) -> StreamEntry | None:
        """The mapping of that UUID."""
        return self._entries.get(uuid)

    @property
    def max_filters(self) -> int:
        """Filters of one mapping, at most."""
        return MAX_FILTERS

    def is_filter(self, service: str, pattern: str) -> bool:
        """Whether the text is an EventBridge pattern that can filter records of `kinesis` or `dynamodb`."""
        try:
            record_filter(service, (pattern,))
        except FilterError:
            return False
        return True

    def settings_from(
        self, service: str, values: Mapping[str, Any], base: StreamEvent | None = None
    ) -> StreamEvent:
        """Settings from values by key; `base` gives the keys that AWS does not know.

        Raises:
            ValueError: The values do not fit together.
        """
        if base is not None:
            kept = {key: getattr(base, key) for key in _UNKNOWN_TO_AWS if hasattr(base, key)}
            values = {**values, **kept}
        try:
            return _EVENTS[service].model_validate(values)
        except ValueError as error:
            first = read_errors(error)[0]
            place = ".".join(map(str, first["loc"]))
            reason = str(first.get("ctx", {}).get("error", first["msg"]))
            raise ValueError(f"{place}: {reason}" if place else reason) from None

    def arn(self, settings: StreamEvent) -> str:
        """ARN of the stream that the settings name."""
        known = next((entry for entry in self._entries.values() if entry.settings == settings), None)
        return given_arn(settings, self._host.account) if known is None else known.client.arn

    async def exists(self, settings: StreamEvent) -> bool:
        """Whether the stream is there. True as well if the server cannot be asked."""
        client = client_of(settings, "", self._host, self._access)
        try:
            with anyio.move_on_after(_OPENED_WITHIN_S):
                await client.list_shards()
        except StreamError as error:
            return error.kind is not ReadFailure.GONE
        finally:
            client.close()
        return True

    async def open(
        self,
        function: str,
        qualifier: str | None,
        settings: StreamEvent,
        *,
        uuid: str | None = None,
        modified_s: float | None = None,
    ) -> StreamEntry:
        """Add a mapping; returns when it is known where to begin, or within seconds."""
        entry = self._add(function, qualifier, settings, uuid, modified_s)
        serving = self._serving.get(settings.type)
        if serving is not None:
            group, sink = serving
            started = anyio.Event()
            group.start_soon(self._live, entry, sink, started)
            await _positioned([(entry, started)])
        return entry

    def change(self, entry: StreamEntry, function: str, qualifier: str | None, settings: StreamEvent) -> None:
        """Apply new settings from the next batch on. How far it was read stays."""
        entry.function, entry.qualifier, entry.settings = function, qualifier, settings
        entry.modified_s = self._host.clock.wall()
        entry.changed.set()

    def close(self, entry: StreamEntry) -> None:
        """Remove a mapping. Batches that run may end."""
        del self._entries[entry.uuid]
        entry.is_closed = True
        entry.changed.set()

    def statistics(self) -> Iterator[tuple[StreamEntry, StreamReport]]:
        """Each mapping that reads, with its numbers: for metrics, at each scrape."""
        now_s = self._times.now()
        for entry in self._entries.values():
            if entry.driver is not None:
                yield entry, entry.driver.poller.report(now_s)

    # --- serving

    async def serve(
        self, kind: str, sink: Sink, stopping: anyio.Event, task_status: TaskStatus[str | None]
    ) -> None:
        """Read the streams of that type until `stopping`; then let batches that run end."""
        try:
            async with anyio.create_task_group() as group:
                self._serving[kind] = group, sink
                begun = [(entry, anyio.Event()) for entry in self._of(kind)]
                for entry, started in begun:
                    group.start_soon(self._live, entry, sink, started)
                await _positioned(begun)
                task_status.started(None)
                await stopping.wait()
                del self._serving[kind]
                for entry in self._of(kind):
                    entry.changed.set()
        finally:
            self._serving.pop(kind, None)

    def _of(self, kind: str) -> list[StreamEntry]:
        return [entry for entry in self._entries.values() if entry.settings.type == kind]

    async def _live(self, entry: StreamEntry, sink: Sink, started: anyio.Event) -> None:
        """Read for a mapping, each time with its newest settings, until it is closed or all are."""
        try:
            while not entry.is_closed and entry.settings.type in self._serving:
                entry.changed = asyncio.Event()
                if not entry.settings.enabled:
                    started.set()
                    await entry.changed.wait()
                    continue
                entry.driver = driver = self._driver(entry, sink)
                started.set()
                await driver.run(entry.changed)
                entry.checkpoints, entry.result = tuple(driver.poller.checkpoints()), driver.last_result
                entry.driver = None
        finally:
            started.set()
            entry.driver = None
            entry.client.close()

    def _add(
        self,
        function: str,
        qualifier: str | None,
        settings: StreamEvent,
        uuid: str | None,
        modified_s: float | None,
    ) -> StreamEntry:
        host = self._host
        entry = StreamEntry(
            uuid=uuid or host.new_request_id(),
            function=function,
            qualifier=qualifier,
            settings=settings,
            modified_s=host.clock.wall() if modified_s is None else modified_s,
            client=client_of(settings, function, host, self._access),
            counts=StreamCounts(),
            sizes=BatchSizes(),
            changed=asyncio.Event(),
        )
        self._entries[entry.uuid] = entry
        return entry

    def _driver(self, entry: StreamEntry, sink: Sink) -> StreamDriver:
        host, settings = self._host, entry.settings
        poller = StreamPoller(kernel_settings(settings, entry.client), entry.checkpoints, entry.counts)
        plan = StreamPlan(
            function=entry.function,
            qualifier=entry.qualifier,
            trigger=settings.type,
            name=f"functions.{entry.function}: {settings.type} {settings.stream_name!r}",
        )
        delivery = DiscardDelivery(entry, host, self._access.senders)
        driver = StreamDriver(
            plan,
            poller,
            entry.client,
            sink,
            host.clock,
            host.new_request_id,
            sizes=entry.sizes,
            say=host.say,
            discarded=delivery.send,
        )
        driver.last_result = entry.result
        return driver


async def _positioned(begun: Iterable[tuple[StreamEntry, anyio.Event]]) -> None:
    """Return when it is known where each begins, or that it cannot be known yet; or within seconds.

    What is put after that, `LATEST` gets.
    """
    with anyio.move_on_after(_OPENED_WITHIN_S):
        for entry, started in begun:
            await started.wait()
            if entry.driver is not None:
                await entry.driver.positioned.wait()


def mappings_of(host: Host) -> LiveStreamMappings:
    """Those of the engine, made when they are first asked for."""
    found = host.services.find(LiveStreamMappings)
    if found is None:
        access = host.services.find(StreamAccess)
        if access is None:
            raise ConfigError(("events of streams need an engine with a listener for AWS clients",))
        found = host.services.add(LiveStreamMappings(host, access))
    return found
