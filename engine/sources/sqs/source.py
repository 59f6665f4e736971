"""The event source `sqs`: the mappings of an engine, of its configuration and those made while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

import anyio
from anyio.abc import TaskStatus

from engine.core.event_patterns.filter_criteria import (
    MAX_FILTERS,
    FilterError,
    compile_filter,
    filter_criteria,
)
from engine.core.function import Function, answered_within_s
from engine.core.late_dataclass import dataclass
from engine.core.table import read_errors
from engine.errors import ConfigError
from engine.ports import Binding, EventSource, Host, SettingsModel, Sink
from engine.services.sqs.queue import Queue
from engine.services.sqs.serialization import Epoch
from engine.services.sqs.service import SqsService
from engine.services.sqs.settings import QueueSettings
from engine.sources.sqs.concurrency import MappingPlan, MappingStatistics
from engine.sources.sqs.mapping import MappingPoller
from engine.sources.sqs.mapping_counts import MappingCounts
from engine.sources.sqs.records import Records
from engine.sources.sqs.settings import PAYLOAD_KEY, MappingEvent, SqsEvent, visibility_warning

SERVICE: Final = "sqs"
"""Name of the queues in `Host.services`: a `SqsService`."""


@dataclass(slots=True, kw_only=True)
class SqsMapping:
    """One mapping.

    Attributes:
        uuid: AWS's name for it.
        function, qualifier: What it runs.
        settings: How it polls.
        busy_s: Returns how long a batch may run, seconds.
        modified_s: Wall time of the last change, seconds.
        counts: Messages by what became of them.
        running: Its poller while the source serves; None before and after, and while it is disabled.
    """

    uuid: str
    function: str
    qualifier: str | None
    settings: SqsEvent
    busy_s: Callable[[], float]
    modified_s: float
    counts: MappingCounts
    running: MappingPoller | None = None

    @property
    def name(self) -> str:
        """The metric label `source`: queue and function."""
        return f"{self.settings.queue_name}:{self.function}"


class SqsSource:
    """Polls in process: no HTTP, no JSON. One queue may feed several functions; each message goes to one.

    A queue that is not there is made with defaults for a mapping of the configuration. One that is deleted
    is polled again when there is one of its name.
    """

    Settings: ClassVar[type[SettingsModel]] = SqsEvent

    def __init__(self, bindings: Sequence[Binding], host: Host, service: SqsService) -> None:
        self._host = host
        self._service = service
        self._epoch = Epoch(host.clock)
        self._entries: dict[str, SqsMapping] = {}
        self._leaving: set[MappingPoller] = set()
        self._sink: Sink | None = None
        self._configured: list[tuple[Function, SqsEvent]] = []
        for binding in bindings:
            self.bind(binding)

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Build the source. Raises ConfigError if the engine has no queues."""
        service = host.services.find(SqsService)
        if service is None:
            raise ConfigError(("events of type 'sqs' need the queues of the engine's aws listener",))
        return cls(bindings, host, service)

    # --- mappings

    def bind(self, binding: Binding) -> SqsMapping:
        """Open a mapping of the configuration. Before the source serves."""
        function, settings = binding.function, binding.settings
        if not isinstance(settings, SqsEvent):
            raise TypeError(f"an SQS event needs SqsEvent settings, not {type(settings).__name__}")
        self._configured.append((function, settings))
        return self.open(function.name, binding.qualifier, settings, partial(answered_within_s, function))

    def __iter__(self) -> Iterator[SqsMapping]:
        return iter(self._entries.values())

    def find(self, uuid: str) -> SqsMapping | None:
        """The mapping of that UUID."""
        return self._entries.get(uuid)

    def queue(self, settings: SqsEvent) -> Queue | None:
        """The queue that `settings` name, if it is there."""
        queues = self._service.queues
        return queues.find_arn(settings.queue) or queues.find(settings.queue)

    def arn(self, settings: SqsEvent) -> str:
        """ARN of the queue that `settings` name, whether it exists or not."""
        return (
            settings.queue if settings.queue.startswith("arn:") else self._service.queues.arn(settings.queue)
        )

    def visibility_s(self, settings: SqsEvent) -> float | None:
        """Visibility timeout of the queue that `settings` name, seconds; None if there is no such queue."""
        queue = self.queue(settings)
        return queue.policy.visibility_s if queue is not None else None

    @property
    def max_filters(self) -> int:
        """Filters of one mapping, at most."""
        return MAX_FILTERS

    def is_filter(self, pattern: str) -> bool:
        """Whether the text is an EventBridge pattern that can filter messages."""
        try:
            compile_filter(pattern, PAYLOAD_KEY)
        except FilterError:
            return False
        return True

    def settings_from(self, values: Mapping[str, Any], base: SqsEvent | None = None) -> SqsEvent:
        """Settings from values by key; `base` gives the keys that AWS does not know.

        Raises:
            ValueError: The values do not fit together.
        """
        if base is not None:
            values = {**values, "keep_group_order": base.keep_group_order, "scaling": base.scaling}
        try:
            return SqsEvent.model_validate(values)
        except ValueError as error:
            first = read_errors(error)[0]
            place = ".".join(map(str, first["loc"]))
            reason = str(first.get("ctx", {}).get("error", first["msg"]))
            raise ValueError(f"{place}: {reason}" if place else reason) from None

    def open(
        self,
        function: str,
        qualifier: str | None,
        settings: SqsEvent,
        busy_s: Callable[[], float],
        *,
        uuid: str | None = None,
        modified_s: float | None = None,
    ) -> SqsMapping:
        """Add a mapping; it polls from now on, or from when the source serves."""
        entry = SqsMapping(
            uuid=uuid or self._host.new_request_id(),
            function=function,
            qualifier=qualifier,
            settings=settings,
            busy_s=busy_s,
            modified_s=self._host.clock.wall() if modified_s is None else modified_s,
            counts=MappingCounts(),
        )
        self._entries[entry.uuid] = entry
        if self._sink is not None:
            self._start(entry, self._sink)
        return entry

    def change(
        self,
        entry: SqsMapping,
        function: str,
        qualifier: str | None,
        settings: SqsEvent,
        busy_s: Callable[[], float],
    ) -> None:
        """Apply new settings from the next batch on."""
        entry.function, entry.qualifier = function, qualifier
        entry.settings, entry.busy_s = settings, busy_s
        entry.modified_s = self._host.clock.wall()
        self._stop(entry)
        if self._sink is not None:
            self._start(entry, self._sink)

    def close(self, entry: SqsMapping) -> None:
        """Remove a mapping. Batches that run may end."""
        del self._entries[entry.uuid]
        self._stop(entry)

    def statistics(self) -> Iterator[tuple[SqsMapping, MappingStatistics]]:
        """Each mapping that serves, with its numbers: for metrics, at each scrape."""
        for entry in self._entries.values():
            if entry.running is not None:
                yield entry, entry.running.statistics()

    def _start(self, entry: SqsMapping, sink: Sink) -> None:
        if not entry.settings.enabled:
            return
        host = self._host
        entry.running = MappingPoller(
            plan_of(entry.settings, entry.function, entry.qualifier, entry.busy_s),
            sink,
            host.clock,
            asyncio.get_running_loop(),
            host.new_request_id,
            entry.counts,
            host.recursion,
        )
        queue = self.queue(entry.settings)
        if queue is not None:
            entry.running.attach(queue, self._records(entry, queue))

    def _stop(self, entry: SqsMapping) -> None:
        running, entry.running = entry.running, None
        if running is not None:
            running.stop()
            self._leaving = {mapping for mapping in self._leaving if not mapping.idle.is_set()}
            self._leaving.add(running)

    def _records(self, entry: SqsMapping, queue: Queue) -> Records:
        return Records(
            queue.arn,
            self._service.handles(queue).encode,
            self._epoch.ms,
            self._host.account.account_id,
            windowed=bool(entry.settings.maximum_batching_window_s),
        )

    def _prepare_queues(self) -> None:
        """Create queues that mappings of the configuration name and no table does; warn of short timeouts."""
        queues = self._service.queues
        for function, settings in self._configured:
            queue = self.queue(settings)
            if queue is None and not settings.queue.startswith("arn:"):
                attributes = QueueSettings().attributes(settings.queue, queues.arn)
                queue = queues.create(settings.queue, attributes, {}, self._host.clock.now())
            if queue is not None:
                warning = visibility_warning(function, settings, queue.policy.visibility_s)
                if warning is not None:
                    self._host.say(f"functions.{function.name}: {warning}")

    def _on_queue_created(self, queue: Queue) -> None:
        """Attach a new queue to the mappings that name it."""
        for entry in self._entries.values():
            if entry.running is not None and self.arn(entry.settings) == queue.arn:
                entry.running.attach(queue, self._records(entry, queue))

    # --- serving

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Poll until `stopping`; then let batches that run end, and return all others at once."""
        try:
            with self._service.queues.announcing(self._on_queue_created):
                self._prepare_queues()
                self._sink = sink
                for entry in self._entries.values():
                    self._start(entry, sink)
                task_status.started(None)
                await stopping.wait()
                self._sink = None
                for entry in self._entries.values():
                    self._stop(entry)
                for mapping in tuple(self._leaving):
                    await mapping.idle.wait()
        finally:
            self._sink = None
            for entry in self._entries.values():
                self._stop(entry)


def plan_of(
    settings: MappingEvent, function: str, qualifier: str | None, busy_s: Callable[[], float]
) -> MappingPlan:
    """The plan of a mapping with these settings to that function."""
    return MappingPlan(
        function=function,
        qualifier=qualifier,
        batch_size=settings.batch_size,
        window_s=settings.maximum_batching_window_s,
        busy_s=busy_s,
        reporting=settings.report_batch_item_failures,
        keep_group_order=settings.keep_group_order,
        criteria=filter_criteria(settings.filters, PAYLOAD_KEY),
        policy=settings.policy(),
        max_concurrency=settings.maximum_concurrency,
    )
