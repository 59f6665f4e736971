"""Operations on rules, and TestEventPattern."""

from __future__ import annotations

from typing import Any, Final

from engine.core.event_patterns.dialects import Dialect
from engine.core.event_patterns.errors import PatternError
from engine.core.event_patterns.pattern import EventPattern, compile_pattern
from engine.core.json_document import NotJson
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import operation
from engine.services.eventbridge.bus_event import parsed
from engine.services.eventbridge.errors import bad_pattern, invalid
from engine.services.eventbridge.paging import page_of
from engine.services.eventbridge.rule_schedules import RuleSchedules, is_schedule
from engine.services.eventbridge.rules import DISABLED, ENABLED, BusRule
from engine.services.eventbridge.store import DEFAULT, BusStore, Document

_NEITHER: Final = "Parameter(s) EventPattern or ScheduleExpression must be specified."


class RuleOperations:
    """The operations, on one engine's rules."""

    def __init__(self, store: BusStore, schedules: RuleSchedules, account_id: str) -> None:
        self._store = store
        self._schedules = schedules
        self._account_id = account_id

    @operation("PutRule", writes=True)
    def put(self, params: Document) -> Document:
        """Add one, or put another in its place: members that are left out are gone. Its targets stay."""
        bus = self._store.bus(params.get("EventBusName"))
        text, schedule = params.get("EventPattern"), params.get("ScheduleExpression")
        if not text and not schedule:
            raise invalid(_NEITHER)
        if schedule:
            if bus.name != DEFAULT:
                raise invalid("ScheduleExpression is supported only on the default event bus.")
            if not is_schedule(schedule):
                raise invalid("Parameter ScheduleExpression is not valid.")
        pattern = compiled(text) if text else None
        is_new = params["Name"] not in bus.rules
        rule = self._store.make_rule(bus, params["Name"])
        rule.pattern, rule.schedule = pattern, schedule or None
        rule.state = params.get("State", ENABLED)
        rule.description, rule.role_arn = params.get("Description"), params.get("RoleArn")
        if is_new:  # those of an update are ignored [API reference]
            rule.tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}
        self._schedules.watch(rule)
        return {"RuleArn": rule.arn}

    @operation("DescribeRule")
    def describe(self, params: Document) -> Document:
        """One, with who made it."""
        rule = self._rule(params)
        return {**rule.document(), "CreatedBy": self._account_id}

    @operation("ListRules")
    def list_all(self, params: Document) -> Document:
        """Those of a bus whose names begin so."""
        prefix = params.get("NamePrefix", "")
        bus = self._store.bus(params.get("EventBusName"))
        found = {name: rule for name, rule in bus.rules.items() if name.startswith(prefix)}
        page, more = page_of(found, params)
        return {"Rules": [rule.document() for rule in page], **more}

    @operation("ListRuleNamesByTarget")
    def list_by_target(self, params: Document) -> Document:
        """The names of those of a bus that have a target."""
        bus = self._store.bus(params.get("EventBusName"))
        wanted = params["TargetArn"]
        found = {
            name: name
            for name, rule in bus.rules.items()
            if any(target.arn == wanted for target in rule.targets.values())
        }
        page, more = page_of(found, params)
        return {"RuleNames": page, **more}

    @operation("EnableRule", writes=True)
    def enable(self, params: Document) -> Document:
        """Have it take events."""
        self._set_state(params, ENABLED)
        return {}

    @operation("DisableRule", writes=True)
    def disable(self, params: Document) -> Document:
        """Have it take no events."""
        self._set_state(params, DISABLED)
        return {}

    @operation("DeleteRule", writes=True)
    def delete(self, params: Document) -> Document:
        """Drop one without targets; one that is not there does not matter."""
        bus = self._store.bus(params.get("EventBusName"))
        rule = bus.rules.get(params["Name"])
        if rule is not None:
            if rule.targets:
                raise invalid("Rule can't be deleted since it has targets.")
            del bus.rules[rule.name]
            self._schedules.forget(rule)
        return {}

    @operation("TestEventPattern")
    def test(self, params: Document) -> Document:
        """Whether an event would be taken. What AWS wants an event to have is not checked."""
        pattern = compiled(params["EventPattern"])
        return {"Result": pattern.matches(_event(params["Event"]))}

    def _rule(self, params: Document) -> BusRule:
        return self._store.rule(params["Name"], params.get("EventBusName"))

    def _set_state(self, params: Document, state: str) -> None:
        rule = self._rule(params)
        rule.state = state
        self._schedules.watch(rule)


def compiled(text: str) -> EventPattern:
    """A pattern, compiled. Raises ServiceError."""
    try:
        return compile_pattern(text, Dialect.EVENTBRIDGE)
    except PatternError as error:
        raise bad_pattern(error.located(text)) from None


def _event(text: str) -> Any:
    try:
        document = parsed(text)
    except NotJson:
        document = None
    if not isinstance(document, dict):
        raise ServiceError(400, "ValidationException", "Parameter Event is not valid.")
    return document
