"""The event sources `kinesis` and `dynamodb`; both are front doors of the engine's stream mappings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import anyio
from anyio.abc import TaskStatus

from engine.ports import Binding, EventSource, Host, SettingsModel, Sink
from engine.sources.streams.mappings import LiveStreamMappings, mappings_of
from engine.sources.streams.settings import DynamodbEvent, KinesisEvent


class StreamSource:
    """Reads streams of one type for the functions of a configuration.

    Attributes:
        mappings: All stream mappings of the engine.
    """

    Settings: ClassVar[type[SettingsModel]]
    type: ClassVar[str]

    def __init__(self, mappings: LiveStreamMappings) -> None:
        self.mappings = mappings

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Raises ConfigError if the engine has nothing that streams are reached through."""
        mappings = mappings_of(host)
        for binding in bindings:
            mappings.bind(binding)
        return cls(mappings)

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Read until `stopping`; then let batches that run end."""
        await self.mappings.serve(self.type, sink, stopping, task_status)


class KinesisSource(StreamSource):
    """Reads Kinesis data streams."""

    Settings = KinesisEvent
    type = "kinesis"


class DynamodbSource(StreamSource):
    """Reads the streams of DynamoDB tables."""

    Settings = DynamodbEvent
    type = "dynamodb"
