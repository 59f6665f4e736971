"""The event source `sns`: functions that subscribe to topics. What is published reaches them by the topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import anyio
from anyio.abc import TaskStatus

from engine.core.destinations import expanded
from engine.errors import ConfigError
from engine.ports import Binding, EventSource, Host, SettingsModel, Sink
from engine.protocols.aws.errors import ServiceError
from engine.services.sns.service import SnsService
from engine.services.sns.settings import SnsEvent, TopicSettings, topic_name
from engine.services.sqs.service import SqsService
from engine.services.sqs.settings import QueueSettings


class SnsSource:
    """All SNS events of an engine: a subscription for each. Topics and dead-letter queues are made."""

    Settings: ClassVar[type[SettingsModel]] = SnsEvent

    def __init__(self, bindings: Sequence[Binding], host: Host, service: SnsService) -> None:
        """Raises ConfigError if a function cannot subscribe."""
        for binding in bindings:
            settings = binding.settings
            if not isinstance(settings, SnsEvent):
                raise TypeError(f"an SNS event needs SnsEvent settings, not {type(settings).__name__}")
            if settings.dead_letter_queue is not None:
                make_queue(expanded(settings.dead_letter_queue, host.account), host)
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

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Wait until `stopping`: events come by the topics."""
        task_status.started(None)
        await stopping.wait()


def make_queue(arn: str, host: Host) -> None:
    """Make the queue of that ARN, if it is one of the engine's and is not there."""
    queues = host.services.find(SqsService)
    name = arn.rpartition(":")[2]
    if queues is not None and queues.queues.arn(name) == arn and queues.queues.find(name) is None:
        queues.declare({name: QueueSettings()})
