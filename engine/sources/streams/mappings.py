"""The stream mappings of an engine: those of the configuration, and those made while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from engine.core.event_patterns.filter_criteria import MAX_FILTERS, FilterError
from engine.core.streams.counts import NOTHING_AT_WORK, StreamCounts, StreamReport
from engine.core.streams.poller import StreamPoller
from engine.core.streams.records import ReadFailure
from engine.core.table import read_errors
from engine.errors import ConfigError
from engine.ports import Binding, Host, Sink
from engine.sources.streams.batch_sizes import BatchSizes
from engine.sources.streams.checkpoint_saver import CheckpointSaver
from engine.sources.streams.clients import StreamAccess, client_of, given_arn
from engine.sources.streams.discards import DiscardDelivery
from engine.sources.streams.driver import StreamDriver, StreamPlan
from engine.sources.streams.entries import StreamEntry, name_of
from engine.sources.streams.filters import record_filter
from engine.sources.streams.kernel_settings import kernel_settings
from engine.sources.streams.port import StreamError
from engine.sources.streams.settings import DynamodbEvent, KinesisEvent, StreamEvent
from engine.sources.streams.starts import StreamClock

_OPENED_WITHIN_S: Final = 5.0
"""How long a mapping is waited for to know where it begins."""
_UNKNOWN_TO_AWS: Final = ("endpoint_url", "region", "profile", "poll_interval_s", "drop_unchanged")
_EVENTS: Final[Mapping[str, type[StreamEvent]]] = {"kinesis": KinesisEvent, "dynamodb": DynamodbEvent}


class LiveStreamMappings:
    """Reads streams wherever they are, each mapping for itself. Implements `StreamMappings`."""

    def __init__(self, host: Host, access: StreamAccess) -> None:
        self._host, self._access = host, access
        self._times = StreamClock(host.clock)
        self._entries: dict[str, StreamEntry] = {}
        self._serving: dict[str, tuple[TaskGroup, Sink]] = {}
        self._is_swept = False

    # --- mappings

    def bind(self, binding: Binding) -> StreamEntry:
        """Add a mapping of the configuration. Before its type is served."""
        settings = binding.settings
        if not isinstance(settings, StreamEvent):
            raise TypeError(f"a stream event needs StreamEvent settings, not {type(settings).__name__}")
        name, qualifier = binding.function.name, binding.qualifier
        kept_as = name_of(name, qualifier, settings, {entry.kept_as for entry in self})
        return self._add(name, qualifier, settings, None, None, kept_as)

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
                return await client.is_there()
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
            group.start_soon(self._live, entry, sink)
            await self.begun(entry)
        return entry

    def change(self, entry: StreamEntry, function: str, qualifier: str | None, settings: StreamEvent) -> None:
        """Apply new settings from the next batch on. How far it was read stays."""
        entry.run(function, qualifier)
        entry.settings = settings
        entry.modified_s = self._host.clock.wall()
        entry.changed.set()

    async def begun(self, *entries: StreamEntry) -> None:
        """Return when it is known where each enabled one begins, or that it cannot be yet; or within seconds.

        What is put after that, `LATEST` gets, also from an engine that was killed then.
        """
        with anyio.move_on_after(_OPENED_WITHIN_S):
            for entry in entries:
                if entry.settings.enabled and entry.settings.type in self._serving:
                    await entry.begun.wait()

    def close(self, entry: StreamEntry) -> None:
        """Remove a mapping. Batches that run may end."""
        del self._entries[entry.uuid]
        entry.is_closed = True
        entry.changed.set()

    def statistics(self) -> Iterator[tuple[StreamEntry, StreamReport]]:
        """Each mapping that reads, or has read, with its numbers: for metrics, at each scrape."""
        now_s = self._times.now()
        for entry in self._entries.values():
            if entry.driver is not None:
                yield entry, entry.driver.poller.report(now_s)
            elif entry.counts.reads or entry.earlier:  # its counters do not end while it is disabled
                yield entry, NOTHING_AT_WORK

    # --- serving

    async def serve(
        self, kind: str, sink: Sink, stopping: anyio.Event, task_status: TaskStatus[str | None]
    ) -> None:
        """Read the streams of that type until `stopping`; then let batches that run end."""
        try:
            await self._sweep()
            async with anyio.create_task_group() as group:
                self._serving[kind] = group, sink
                entries = self._of(kind)
                for entry in entries:
                    group.start_soon(self._live, entry, sink)
                await self.begun(*entries)
                task_status.started(None)
                await stopping.wait()
                del self._serving[kind]
                for entry in self._of(kind):
                    entry.changed.set()
        finally:
            self._serving.pop(kind, None)

    def _of(self, kind: str) -> list[StreamEntry]:
        return [entry for entry in self._entries.values() if entry.settings.type == kind]

    async def _live(self, entry: StreamEntry, sink: Sink) -> None:
        """Read for a mapping, each time with its newest settings, until it is closed or all are."""
        saver, is_new = self._saver(entry), True
        try:
            while not entry.is_closed and entry.settings.type in self._serving:
                entry.changed = asyncio.Event()
                if not entry.settings.enabled:
                    await entry.changed.wait()
                    continue
                if is_new and saver is not None and (kept := await saver.load()) is not None:
                    entry.take(kept)
                is_new = False
                entry.driver = driver = self._driver(entry, sink)
                async with anyio.create_task_group() as group:
                    ended = anyio.Event()
                    group.start_soon(_keep, entry, driver, saver, ended)
                    await driver.run(entry.changed)
                    ended.set()
                entry.checkpoints, entry.stream = driver.checkpoints(), driver.stream
                entry.tried = driver.poller.tried()
                entry.result, entry.driver = driver.last_result, None
            if entry.is_closed and saver is not None:
                await saver.remove()
        finally:
            entry.begun.set()
            entry.driver = None
            entry.client.close()

    def _add(
        self,
        function: str,
        qualifier: str | None,
        settings: StreamEvent,
        uuid: str | None,
        modified_s: float | None,
        kept_as: str | None = None,
    ) -> StreamEntry:
        host = self._host
        uuid = uuid or host.new_request_id()
        entry = StreamEntry(
            uuid=uuid,
            kept_as=kept_as or uuid,
            function=function,
            qualifier=qualifier,
            settings=settings,
            modified_s=host.clock.wall() if modified_s is None else modified_s,
            client=client_of(settings, function, host, self._access),
            counts=StreamCounts(),
            sizes=BatchSizes(),
            begun=asyncio.Event(),
            changed=asyncio.Event(),
        )
        self._entries[entry.uuid] = entry
        return entry

    def _saver(self, entry: StreamEntry) -> CheckpointSaver | None:
        """None if its checkpoints are of no use to another engine, or there is no state folder."""
        folder = self._access.checkpoints
        if folder is None or not entry.client.outlives_engine:
            return None
        return CheckpointSaver(folder, entry.kept_as, entry.title)

    async def _sweep(self) -> None:
        """Remove the files of mappings that are no more. All are known when the first is served."""
        folder, was_swept, self._is_swept = self._access.checkpoints, self._is_swept, True
        if folder is not None and not was_swept:
            await folder.sweep([entry.kept_as for entry in self])

    def _driver(self, entry: StreamEntry, sink: Sink) -> StreamDriver:
        host, settings = self._host, entry.settings
        poller = StreamPoller(
            kernel_settings(settings, entry.client), entry.checkpoints, entry.counts, entry.tried
        )
        plan = StreamPlan(
            function=entry.function,
            qualifier=entry.qualifier,
            trigger=settings.type,
            name=entry.title,
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
            stream=entry.stream,
        )
        driver.last_result = entry.result
        return driver


async def _keep(
    entry: StreamEntry, driver: StreamDriver, saver: CheckpointSaver | None, ended: anyio.Event
) -> None:
    """Have it known when the mapping has begun, and keep its checkpoints until the driver has ended."""
    await driver.positioned.wait()
    if saver is None:
        entry.begun.set()
    else:
        await saver.keep(entry.now, entry.begun, ended)


def mappings_of(host: Host) -> LiveStreamMappings:
    """Those of the engine, made when they are first asked for."""
    found = host.services.find(LiveStreamMappings)
    if found is None:
        access = host.services.find(StreamAccess)
        if access is None:
            raise ConfigError(("events of streams need an engine with a listener for AWS clients",))
        found = host.services.add(LiveStreamMappings(host, access))
    return found
