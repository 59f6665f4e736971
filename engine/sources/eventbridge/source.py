"""The event source `eventbridge`: a rule for each event of the configuration. Events come by the bus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import anyio
from anyio.abc import TaskStatus

from engine.core.function import Account
from engine.errors import ConfigError
from engine.ports import Binding, EventSource, Finding, Host, SettingsModel, Sink
from engine.protocols.aws.errors import ServiceError
from engine.services.eventbridge.service import EventBridgeService
from engine.services.eventbridge.setting_checks import refusals
from engine.services.eventbridge.settings import EventBridgeEvent, bus_name, rule_names


class EventBridgeSource:
    """All events of that type: rules with one target each. Buses that are not there are made."""

    Settings: ClassVar[type[SettingsModel]] = EventBridgeEvent

    def __init__(self, bindings: Sequence[Binding], host: Host, service: EventBridgeService) -> None:
        """Raises ConfigError if EventBridge would refuse a rule."""
        names = _names(bindings)
        for name, binding in zip(names, bindings, strict=True):
            settings = binding.settings
            if not isinstance(settings, EventBridgeEvent):
                raise TypeError(f"an event needs EventBridgeEvent settings, not {type(settings).__name__}")
            try:
                service.declare_rule(name, settings, [_target(binding, host.account)])
            except ServiceError as error:
                raise ConfigError((f"functions.{binding.function.name}: {error.message}",)) from None

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Build the source. Raises ConfigError if the engine has no buses."""
        service = host.services.find(EventBridgeService)
        if service is None:
            raise ConfigError(("events of type 'eventbridge' need the buses of the engine's aws listener",))
        return cls(bindings, host, service)

    @classmethod
    def examine(cls, bindings: Sequence[Binding], _wall_s: float) -> Iterator[Finding]:
        """Rules that have one name on one bus, and what EventBridge would refuse."""
        known: dict[tuple[str, str], str] = {}
        for number, (name, binding) in enumerate(zip(_names(bindings), bindings, strict=True)):
            settings = cast("EventBridgeEvent", binding.settings)
            bus = bus_name(settings.bus)
            if (bus, name) in known:
                sentence = f"there is a rule {name!r} on bus {bus!r} already, of {known[bus, name]!r}"
                yield Finding(number, sentence, "name")
            known.setdefault((bus, name), binding.function.name)
            for sentence in refusals(name, settings, [_target(binding, Account())]):
                yield Finding(number, sentence)

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Wait until `stopping`: events come by the buses."""
        task_status.started(None)
        await stopping.wait()


def _target(binding: Binding, account: Account) -> dict[str, Any]:
    """The target of a rule, for PutTargets."""
    function = binding.function.name
    settings = cast("EventBridgeEvent", binding.settings)
    return {
        "Id": function,
        "Arn": account.function_arn(function, binding.qualifier),
        **settings.members(account),
    }


def _names(bindings: Sequence[Binding]) -> list[str]:
    """Names of the rules."""
    return list(rule_names((one.function.name, cast("EventBridgeEvent", one.settings)) for one in bindings))
