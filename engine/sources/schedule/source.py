"""The schedule source: an EventBridge event for each moment of a rule or schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, cast

import anyio
import orjson
from anyio.abc import TaskStatus

from engine.core.event import Event
from engine.core.function import Account
from engine.core.json_constant import constant_text, json_constant
from engine.core.outcome import Outcome
from engine.core.table import SettingsTable
from engine.core.table_rules import Check
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Binding, EventSource, Finding, Host, SettingsModel, Sink
from engine.services.schedules.expression import RateExpression, moments, parse, timestamp, zone
from engine.services.schedules.ticks import Ticks

_LONGEST_SLEEP_S: Final = 60.0
"""Wall time may be set, and machines sleep: how late that is noticed."""


def _schedule(value: str) -> str:
    parse(value)
    return value


def _zone(value: str) -> str:
    zone(value)
    return value


class ScheduleEvent(SettingsTable):
    """`type = "schedule"`: one rule or schedule of EventBridge.

    Attributes:
        schedule: `rate(...)`, `cron(...)` or `at(...)`.
        time_zone: IANA name, for cron and at; with one, or with at, it is a schedule of EventBridge
            Scheduler, else a rule.
        name: Of the rule or schedule, as the event's `resources` show it; default: `FUNCTION-schedule`.
        input: The whole event instead of EventBridge's, any JSON value.
        enabled: Whether it fires at all.
        service: `rule` or `scheduler`, instead of what the other keys say.
    """

    schedule: Annotated[str, Check(_schedule)]
    time_zone: Annotated[str, Check(_zone)] | None = None
    name: str | None = None
    input: Annotated[Any, Check(json_constant)] = None
    enabled: bool = True
    service: Literal["rule", "scheduler"] | None = None

    @property
    def is_of_scheduler(self) -> bool:
        """Whether it is a schedule of EventBridge Scheduler, whose rates fire at once; else a rule."""
        if self.service is not None:
            return self.service == "scheduler"
        return self.time_zone is not None or self.schedule.strip().startswith("at(")


class ScheduleSource:
    """All schedules of an engine. Events are asynchronous: nobody waits for their outcome.

    Attributes:
        fired: Events that were handed over.
        missed: Moments that passed without one.
    """

    Settings: ClassVar[type[SettingsModel]] = ScheduleEvent
    asynchronous: ClassVar[bool] = True

    def __init__(self, bindings: Sequence[Binding], host: Host) -> None:
        self._bindings = bindings
        self._host = host
        self._rules: list[_Rule] = []  # while it serves, and after

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Build the source. It fires nothing before `serve`."""
        return cls(bindings, host)

    @property
    def fired(self) -> int:
        """Events that were handed over."""
        return sum(rule.fired for rule in self._rules)

    @property
    def missed(self) -> int:
        """Moments that passed without an event: the engine could not look in time."""
        return sum(rule.ticks.missed for rule in self._rules if rule.ticks is not None)

    @classmethod
    def examine(cls, bindings: Sequence[Binding], wall_s: float) -> Iterator[Finding]:
        """Schedules that will never fire."""
        for number, binding in enumerate(bindings):
            settings = cast("ScheduleEvent", binding.settings)
            expression = parse(settings.schedule)
            where = zone(settings.time_zone or "UTC")
            if isinstance(expression, RateExpression) or not settings.enabled:
                continue
            if next(moments(expression, wall_s, where), None) is None:
                yield Finding(number, f"{settings.schedule!r} never fires", "schedule", refused=False)

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Fire until `stopping`, or until no rule has moments left."""
        async with anyio.create_task_group() as group:
            self._rules = [_Rule(binding, self._host, sink) for binding in self._bindings]
            for rule in self._rules:
                group.start_soon(rule.run, stopping)
            task_status.started(None)


class _Rule:
    """Fires the events of one binding, for the moments from its construction on."""

    def __init__(self, binding: Binding, host: Host, sink: Sink) -> None:
        settings = cast("ScheduleEvent", binding.settings)
        self._function, self._qualifier = binding.function.name, binding.qualifier
        self._host = host
        self._sink = sink
        self._payload = ScheduledPayload(settings, self._function, host.account)
        where = zone(settings.time_zone or "UTC")
        at_once = settings.is_of_scheduler
        expression = parse(settings.schedule)
        self.ticks = Ticks(expression, where, host.clock, at_once=at_once) if settings.enabled else None
        self.fired = 0

    async def run(self, stopping: anyio.Event) -> None:
        """Fire each moment until `stopping`."""
        if self.ticks is None:
            return
        while (left_s := self.ticks.left_s()) < math.inf:
            if left_s > 0:
                with anyio.move_on_after(min(left_s, _LONGEST_SLEEP_S)):
                    await stopping.wait()
            if stopping.is_set():
                return
            if self.ticks.left_s() <= 0 and (moment_s := self.ticks.take()) is not None:
                self._fire(moment_s)

    def _fire(self, moment_s: float) -> None:
        new_id = self._host.new_request_id
        payload = self._payload.render(new_id(), moment_s)
        event = Event(
            self._function,
            payload,
            new_id(),
            self._host.clock.now(),
            "schedule",
            qualifier=self._qualifier,
        )
        try:
            self._sink.submit(event, _ignore)
        except FunctionNotFound:
            self._host.reject("unknown_function")
        except NotAccepting:
            self._host.reject("not_accepting")
        else:
            self.fired += 1


class ScheduledPayload:
    """The payloads of the events of one rule or schedule."""

    def __init__(self, settings: ScheduleEvent, function: str, account: Account) -> None:
        is_scheduler = settings.is_of_scheduler
        name = settings.name or f"{function}-schedule"
        service, kind = ("scheduler", "schedule/default/") if is_scheduler else ("events", "rule/")
        self._account = account
        self._source = f"aws.{service}"
        self._arn = f"arn:aws:{service}:{account.region}:{account.account_id}:{kind}{name}"
        self._detail: object = "{}" if is_scheduler else {}  # Scheduler gives a string
        has_input = "input" in settings.model_fields_set
        self._constant = constant_text(settings.input).encode("utf-8", "replace") if has_input else None

    def render(self, event_id: str, moment_s: float) -> bytes:
        """One event as JSON text: `Input` if there is one, else EventBridge's."""
        if self._constant is not None:
            return self._constant
        return orjson.dumps(
            {
                "version": "0",
                "id": event_id,
                "detail-type": "Scheduled Event",
                "source": self._source,
                "account": self._account.account_id,
                "time": timestamp(moment_s),
                "region": self._account.region,
                "resources": [self._arn],
                "detail": self._detail,
            }
        )


def _ignore(_outcome: Outcome) -> None:
    """Drop the outcome."""
