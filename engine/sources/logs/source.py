"""The event source `logs`: functions that get what other functions and programs log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, cast

import anyio
from anyio.abc import TaskStatus

from engine.core.context import log_group_of
from engine.errors import ConfigError
from engine.ports import Binding, EventSource, Finding, Host, SettingsModel, Sink
from engine.protocols.aws.errors import ServiceError
from engine.services.logs.handler import LogsHandler
from engine.sources.logs.settings import LogsEvent

_MAX_FILTERS: Final = 2
"""Of a log group (CloudWatch Logs quotas)."""


class LogsSource:
    """All subscriptions that the configuration names. The service `logs` delivers them, and all others."""

    Settings: ClassVar[type[SettingsModel]] = LogsEvent
    asynchronous: ClassVar[bool] = True

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Put the subscription filters. Raises ConfigError if the engine keeps no logs, or refuses one."""
        logs = host.services.find(LogsHandler)
        if logs is None:
            raise ConfigError(("events of type 'logs' need [engine] logs_mb above 0",))
        for number, binding in enumerate(bindings, 1):
            settings, name = cast("LogsEvent", binding.settings), binding.function.name
            arn = host.account.function_arn(name, binding.qualifier)
            group = settings.group
            if group is None:
                group = logs.subscribers.log_group_of(host.account.function_arn(settings.function or ""))
            if group is None:
                raise ConfigError((f"functions.{name}: logs of {settings.function!r}: no such function",))
            try:
                logs.service.subscribe(group, settings.name or f"{name}-{number}", arn, settings.pattern)
            except ServiceError as error:
                raise ConfigError((f"functions.{name}: subscription to {group}: {error}",)) from None
        return cls()

    @classmethod
    def examine(cls, bindings: Sequence[Binding], _wall_s: float) -> Iterator[Finding]:
        """Too many filters of a group, and functions that would be fed their own logs."""
        groups = {one.function.name: log_group_of(one.function) for one in bindings}
        filters: dict[str, list[str]] = {}
        for number, binding in enumerate(bindings):
            group, name = _group_of(binding, groups), binding.function.name
            of_group = filters.setdefault(group, [])
            of_group.append(name)
            if len(of_group) > _MAX_FILTERS:
                yield Finding(number, f"a log group has two subscription filters at most (AWS): {group}")
            if _delivers_own_logs(group, name, filters, groups):
                sentence = (
                    f"{name} would be fed its own logs without end: what {group} delivers comes back to it"
                )
                yield Finding(number, sentence)

    async def serve(self, _sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Wait for the end: the service delivers."""
        task_status.started(None)
        await stopping.wait()


def _group_of(binding: Binding, groups: dict[str, str]) -> str:
    """The log group that is subscribed to; `groups` are those of functions that are known, by name."""
    settings = cast("LogsEvent", binding.settings)
    if settings.group is not None:
        return settings.group
    return groups.get(settings.function or "", f"/aws/lambda/{settings.function}")


def _delivers_own_logs(
    group: str, function: str, filters: dict[str, list[str]], groups: dict[str, str]
) -> bool:
    """Whether what `function` logs is delivered until it is logged in `group`."""
    seen: set[str] = set()
    asked = [function]
    while asked:
        own = groups[asked.pop()]
        if own == group:
            return True
        if own not in seen:
            seen.add(own)
            asked += filters.get(own, [])
    return False
