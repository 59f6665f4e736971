"""The event source `s3`: the functions that buckets notify, and how a notification becomes an event."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from random import getrandbits
from typing import Any, ClassVar, Final, cast

import anyio
from anyio.abc import TaskStatus

from engine.core.event import Event
from engine.core.outcome import Outcome
from engine.core.trace_context import ROOT_BITS, new_root
from engine.errors import ConfigError, FunctionNotFound, NotAccepting
from engine.ports import Binding, EventSource, Finding, Host, SettingsModel, Sink
from engine.services.s3.notification_rules import NotificationRule, NotificationTarget, overlap
from engine.services.s3.service import S3Service
from engine.services.s3.settings import S3Event

_log = logging.getLogger("engine.s3")

TRIGGER: Final = "s3"


class S3Source:
    """All S3 events of an engine.

    It listens at no address: the service `s3` answers the clients of the store and takes notifications of
    other stores, and invokes functions by this source while it serves. A bucket that is not there is made
    for an event of the configuration.
    """

    Settings: ClassVar[type[SettingsModel]] = S3Event
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
        service = host.services.find(S3Service)
        if service is None:
            raise ConfigError(("events of type 's3' need the buckets of the engine's aws listener",))
        return cls(bindings, host, service)

    @classmethod
    def examine(cls, bindings: Sequence[Binding], _wall_s: float) -> Iterator[Finding]:
        """Events of one bucket that overlap: AWS refuses them, here each function is invoked."""
        events = [cast("S3Event", binding.settings) for binding in bindings]
        for number, event in enumerate(events):
            earlier = next((earlier for earlier in range(number) if _overlap(events[earlier], event)), None)
            if earlier is not None:
                sentence = (
                    f"overlaps an event of function {bindings[earlier].function.name!r} on bucket "
                    f"{event.bucket!r}: AWS refuses notifications that share an event type, a prefix and a "
                    "suffix; here both are invoked"
                )
                yield Finding(number, sentence, refused=False)

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Invoke functions until `stopping`, then wait for the outcomes."""

        def invoke(arn: str, document: dict[str, Any], trace: str | None) -> None:
            self._invoke(sink, arn, document, trace)

        with self._service.targets.invoking(invoke):
            task_status.started(None)
            await stopping.wait()
        while self._open:
            self._idle = anyio.Event()
            await self._idle.wait()

    def _invoke(self, sink: Sink, arn: str, document: dict[str, Any], trace: str | None) -> None:
        function, qualifier = function_of(arn)
        host = self._host
        if trace is None:
            trace = new_root(int(host.clock.wall()), getrandbits(ROOT_BITS))
        else:
            trace = host.recursion.enter(function, trace)
        event = Event(
            function,
            None,
            host.new_request_id(),
            host.clock.now(),
            TRIGGER,
            document,
            trace,
            qualifier=qualifier,
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


def _overlap(first: S3Event, second: S3Event) -> bool:
    """Whether AWS refuses the two; what EventBridge gives may be given to many."""
    apart = first.bucket != second.bucket or "eventbridge" in (first.form, second.form)
    return not apart and overlap(first, second)


def function_of(arn: str) -> tuple[str, str | None]:
    """Name and qualifier of a function's ARN."""
    parts = arn.split(":")
    return parts[6], parts[7] if len(parts) > 7 else None
