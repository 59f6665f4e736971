"""The event source `s3`: which functions hear of which buckets, and how a notification becomes an event."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final, cast

import anyio
from anyio.abc import TaskStatus
from pydantic import BaseModel

from engine.core.event import Event
from engine.core.outcome import Outcome
from engine.errors import ConfigError, FunctionNotFound, NotAccepting
from engine.ports import Binding, EventSource, Finding, Host, Sink
from engine.services.s3.notification_rules import NotificationRule, NotificationTarget
from engine.services.s3.notification_targets import ignore
from engine.services.s3.service import SERVICE, S3Service
from engine.services.s3.settings import S3Event

_log = logging.getLogger("engine.s3")

TRIGGER: Final = "s3"


class S3Source:
    """All S3 events of an engine.

    It listens at no address: the service `s3` answers the clients of the store and takes notifications of
    other stores, and invokes functions by this source while it serves. A bucket that is not there is made
    for an event of the configuration.
    """

    Settings: ClassVar[type[BaseModel]] = S3Event
    asynchronous: ClassVar[bool] = True

    def __init__(self, bindings: Sequence[Binding], host: Host, service: S3Service) -> None:
        self._host = host
        self._service = service
        self._open = 0
        self._idle = anyio.Event()
        fixed: dict[str, tuple[NotificationRule, ...]] = {}
        for number, binding in enumerate(bindings, 1):
            settings, name = binding.settings, binding.function.name
            if not isinstance(settings, S3Event):
                raise TypeError(f"an S3 event needs S3Event settings, not {type(settings).__name__}")
            target = NotificationTarget("lambda", host.account.function_arn(name, binding.qualifier))
            rule = settings.rule(target, settings.id or f"{name}-{number}", settings.form)
            fixed[settings.bucket] = (*fixed.get(settings.bucket, ()), rule)
        service.prepare(fixed)

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Build the source. Raises ConfigError if the engine has no buckets."""
        service = host.services.get(SERVICE)
        if not isinstance(service, S3Service):
            raise ConfigError(("events of type 's3' need the buckets of the engine's aws listener",))
        return cls(bindings, host, service)

    @classmethod
    def examine(cls, bindings: Sequence[Binding], _wall_s: float) -> Iterator[Finding]:
        """Events of one bucket that overlap: here each function hears of it, and AWS refuses it."""
        events = [cast("S3Event", one.settings) for one in bindings]
        for number, event in enumerate(events):
            other = next((one for one in range(number) if overlap(events[one], event)), None)
            if other is not None:
                sentence = (
                    f"overlaps an event of function {bindings[other].function.name!r} on bucket "
                    f"{event.bucket!r}: AWS refuses notifications that share an event type, a prefix and a "
                    "suffix; here both are invoked"
                )
                yield Finding(number, sentence, refused=False)

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Pass notifications on until `stopping`, then await what was passed on."""

        def invoke(arn: str, document: dict[str, Any]) -> None:
            self._invoke(sink, arn, document)

        self._service.invoke_by(invoke)
        try:
            task_status.started(None)
            await stopping.wait()
            self._service.invoke_by(ignore)
            while self._open:
                self._idle = anyio.Event()
                await self._idle.wait()
        finally:
            self._service.invoke_by(ignore)

    def _invoke(self, sink: Sink, arn: str, document: dict[str, Any]) -> None:
        function, qualifier = function_of(arn)
        host = self._host
        event = Event(
            function, None, host.new_request_id(), host.clock.now(), TRIGGER, document, qualifier=qualifier
        )
        self._open += 1  # before it is submitted: it may end at once
        try:
            sink.submit(event, self._ended)
        except FunctionNotFound as error:  # configured through the API for one that has gone since
            self._open -= 1
            host.reject("unknown_function")
            _log.warning("a notification of S3 was dropped: %s", error)
        except NotAccepting:
            self._open -= 1
            raise

    def _ended(self, _outcome: Outcome) -> None:
        self._open -= 1
        if self._open <= 0:
            self._idle.set()


def overlap(one: S3Event, other: S3Event) -> bool:
    """Whether AWS refuses the two on one bucket: one event of one key may be meant by both.

    Source: Amazon S3 User Guide, "Configuring event notifications using object key name filtering",
    "Examples of ... invalid prefix and suffix overlap".
    """
    if one.bucket != other.bucket or "eventbridge" in (one.form, other.form):
        return False
    types = any(_share(first, second) for first in one.events for second in other.events)
    prefixes = one.prefix or "", other.prefix or ""
    suffixes = one.suffix or "", other.suffix or ""
    return (
        types
        and (prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0]))
        and (suffixes[0].endswith(suffixes[1]) or suffixes[1].endswith(suffixes[0]))
    )


def _share(first: str, second: str) -> bool:
    """Whether one event can be of both types; families (`s3:ObjectCreated:*`) do not nest."""
    for family, other in ((first, second), (second, first)):
        if family.endswith("*") and other.startswith(family[:-1]):
            return True
    return first == second


def function_of(arn: str) -> tuple[str, str | None]:
    """Name and qualifier of a function's ARN."""
    parts = arn.split(":")
    return parts[6], parts[7] if len(parts) > 7 else None
