"""The event source `sns`: functions that subscribe to topics. What is published reaches them by the topic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, cast

import anyio
from anyio.abc import TaskStatus

from engine.errors import ConfigError
from engine.ports import Binding, EventSource, Finding, Host, SettingsModel, Sink
from engine.protocols.aws.errors import ServiceError
from engine.services.sns.service import SnsService
from engine.services.sns.settings import SnsEvent, TopicSettings, topic_name


class SnsSource:
    """All SNS events of an engine: a subscription for each. Topics that are not there are made."""

    Settings: ClassVar[type[SettingsModel]] = SnsEvent

    def __init__(self, bindings: Sequence[Binding], host: Host, service: SnsService) -> None:
        """Raises ConfigError if a function cannot subscribe."""
        for binding in bindings:
            settings = binding.settings
            if not isinstance(settings, SnsEvent):
                raise TypeError(f"an SNS event needs SnsEvent settings, not {type(settings).__name__}")
            arn = service.topics.arn(topic_name(settings.topic))
            function = host.account.function_arn(binding.function.name, binding.qualifier)
            try:
                if not service.has(arn):
                    service.declare({topic_name(settings.topic): TopicSettings()})
                service.subscribe(arn, "lambda", function, settings)
            except ServiceError as error:
                raise ConfigError((f"functions.{binding.function.name}: {error.message}",)) from None

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Build the source. Raises ConfigError if the engine has no topics."""
        service = host.services.find(SnsService)
        if service is None:
            raise ConfigError(("events of type 'sns' need the topics of the engine's aws listener",))
        return cls(bindings, host, service)

    @classmethod
    def examine(cls, bindings: Sequence[Binding], _wall_s: float) -> Iterator[Finding]:
        """A function that subscribes to a topic twice, in different ways: AWS refuses that."""
        known: dict[tuple[str, str | None, str], SnsEvent] = {}
        for number, binding in enumerate(bindings):
            settings = cast("SnsEvent", binding.settings)
            key = (binding.function.name, binding.qualifier, topic_name(settings.topic))
            if known.setdefault(key, settings) != settings:
                yield Finding(
                    number, "the function subscribes to that topic otherwise already (AWS)", "topic"
                )

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Wait until `stopping`: events come by the topics."""
        task_status.started(None)
        await stopping.wait()
