"""The settings of EventBridge: `[buses.NAME]`, `[rules.NAME]`, and events with `type = "eventbridge"`.

Source of the bounds: EventBridge API reference, "PutRule", "Target", "RetryPolicy".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

from engine.core.destinations import expanded, target_of
from engine.core.event_patterns.dialects import Dialect
from engine.core.event_patterns.errors import PatternError
from engine.core.event_patterns.pattern import compile_pattern, pattern_text
from engine.core.function import Account
from engine.core.json_constant import constant_text, json_constant
from engine.core.table import SettingsTable, fresh
from engine.core.table_rules import Array, Bounds, Check, Length, Pattern
from engine.services.eventbridge.event_paths import EventPath
from engine.services.eventbridge.rule_schedules import is_schedule
from engine.services.eventbridge.store import DEFAULT
from engine.services.eventbridge.target_input import unknown_placeholders

BUS_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}", re.ASCII)
RULE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_ARN: Final = re.compile(r"arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/(?P<name>.+)", re.ASCII)


def bus_name(text: str) -> str:
    """The name of a bus that is given by name or ARN. Raises ValueError if it is none."""
    found = _ARN.fullmatch(text)
    name = text if found is None else found["name"]
    if BUS_NAME.fullmatch(name) is None:
        raise ValueError("the name of a bus must be 1 to 256 of the characters a-z A-Z 0-9 . - _ (AWS)")
    return name


def _pattern(value: str | dict[str, Any]) -> str | dict[str, Any]:
    text = ""
    try:
        text = pattern_text(value)
        compile_pattern(text, Dialect.EVENTBRIDGE)
    except PatternError as error:
        raise ValueError(f"is no pattern: {error.located(text)}") from None
    return value


def _schedule(value: str) -> str:
    if not is_schedule(value):
        raise ValueError("is neither 'rate(...)' nor 'cron(...)' as rules of EventBridge have it")
    return value


def _path(value: str) -> str:
    EventPath(value)
    return value


def _paths(value: dict[str, str]) -> dict[str, str]:
    for text in value.values():
        EventPath(text)
    return value


def _dead_letter_queue(value: str) -> str:
    target = target_of(expanded(value, Account()))
    if target is None or target.service != "sqs":
        raise ValueError(f"{value!r} is neither the ARN of a queue nor its name")
    if target.resource.endswith(".fifo"):
        raise ValueError("a FIFO queue cannot be used here (AWS)")
    return value


class InputTransformerSettings(SettingsTable):
    """`input_transformer = { paths = { n = "$.detail.n" }, template = '{"number": <n>}' }`.

    Attributes:
        paths: Where values are in the event, by name.
        template: What the target gets; `<name>` is replaced.
    """

    paths: Annotated[dict[str, str], Check(_paths)] = fresh(dict)
    template: Annotated[str, Length(1, 8192)]

    def check_keys_together(self) -> None:
        """The template names what there is."""
        for name in unknown_placeholders(self.template, self.paths):
            raise ValueError(f"template contains invalid placeholder {name}: paths has no such name (AWS)")

    def member(self) -> dict[str, Any]:
        """The member of PutTargets."""
        return {"InputPathsMap": self.paths, "InputTemplate": self.template}


class TargetSettings(SettingsTable):
    """What a target gets of an event, and what becomes of it if that fails.

    Attributes:
        input: A constant instead of the event, any JSON value.
        input_path: The part of the event that it gets: `$.detail`.
        input_transformer: What is made of the event for it.
        dead_letter_queue: Name or ARN of the queue that has what could not be delivered.
        maximum_retry_attempts: After the first attempt.
        maximum_event_age_s: Seconds after which there is no further attempt.
    """

    input: Annotated[Any, Check(json_constant)] = None
    input_path: Annotated[str, Length(1, 256), Check(_path)] | None = None
    input_transformer: InputTransformerSettings | None = None
    dead_letter_queue: Annotated[str, Length(1, 256), Check(_dead_letter_queue)] | None = None
    maximum_retry_attempts: Annotated[int, Bounds(ge=0, le=185)] | None = None
    maximum_event_age_s: Annotated[int, Bounds(ge=60, le=86_400)] | None = None

    def check_keys_together(self) -> None:
        """One input at most."""
        given = ["input" in self.model_fields_set, self.input_path, self.input_transformer]
        if sum(one is not None and one is not False for one in given) > 1:
            raise ValueError("only one of input, input_path and input_transformer can be given (AWS)")

    def members(self, account: Account) -> dict[str, Any]:
        """The members of a target of PutTargets, besides its id and ARN."""
        found: dict[str, Any] = {}
        if "input" in self.model_fields_set:
            found["Input"] = constant_text(self.input)
        if self.input_path is not None:
            found["InputPath"] = self.input_path
        if self.input_transformer is not None:
            found["InputTransformer"] = self.input_transformer.member()
        if self.dead_letter_queue is not None:
            found["DeadLetterConfig"] = {"Arn": expanded(self.dead_letter_queue, account)}
        policy = {
            "MaximumRetryAttempts": self.maximum_retry_attempts,
            "MaximumEventAgeInSeconds": self.maximum_event_age_s,
        }
        given = {name: value for name, value in policy.items() if value is not None}
        if given:
            found["RetryPolicy"] = given
        return found


class EventBridgeEvent(TargetSettings):
    """A rule that invokes a function.

    Attributes:
        pattern: The events it takes, as JSON text or a table.
        bus: Name or ARN of the bus; it is made if it is not there.
        name: Of the rule; default: `FUNCTION-NUMBER`.
        enabled: Whether it takes events.
    """

    type: Literal["eventbridge"] = "eventbridge"
    pattern: Annotated[str | dict[str, Any], Check(_pattern)]
    bus: Annotated[str, Check(bus_name)] = DEFAULT
    name: Annotated[str, Pattern(r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    enabled: bool = True


class RuleTargetSettings(TargetSettings):
    """One entry of `[[rules.NAME.targets]]`.

    Attributes:
        to: What gets the events: an ARN, or `sqs:NAME`, `lambda:NAME`, `sns:NAME`, `events:BUS`.
        id: Within the rule; default: its number.
        message_group: For a queue: `MessageGroupId`.
    """

    to: Annotated[str, Length(1, 1600)]
    id: Annotated[str, Pattern(r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    message_group: Annotated[str, Length(1, 128)] | None = None

    def target_id(self, number: int) -> str:
        """Its id; `number` counts from 1."""
        return self.id or f"target-{number}"

    def target(self, number: int, account: Account) -> dict[str, Any]:
        """The target for PutTargets; `number` counts from 1."""
        found: dict[str, Any] = {"Id": self.target_id(number), "Arn": expanded(self.to, account)}
        if self.message_group is not None:
            found["SqsParameters"] = {"MessageGroupId": self.message_group}
        return {**found, **self.members(account)}


class RuleSettings(SettingsTable):
    """One rule with any targets.

    Attributes:
        pattern: The events it takes, as JSON text or a table.
        schedule: `rate(...)` or `cron(...)`, on the bus `default` only.
        bus: Name or ARN of the bus; it is made if it is not there.
        enabled: Whether it takes events, or fires.
        description: For people.
        targets: Five at most.
        tags: Free labels.
    """

    pattern: Annotated[str | dict[str, Any], Check(_pattern)] | None = None
    schedule: Annotated[str, Check(_schedule)] | None = None
    bus: Annotated[str, Check(bus_name)] = DEFAULT
    enabled: bool = True
    description: Annotated[str, Length(most=512)] = ""
    targets: Array[RuleTargetSettings] = ()
    tags: dict[str, str] = fresh(dict)

    def check_keys_together(self) -> None:
        """It takes or fires something, and AWS would have it."""
        if self.pattern is None and self.schedule is None:
            raise ValueError("needs a pattern or a schedule")
        if self.schedule is not None and bus_name(self.bus) != DEFAULT:
            raise ValueError("a schedule is for the bus 'default' only (AWS)")
        if len(self.targets) > 5:
            raise ValueError("a rule has 5 targets at most (AWS)")


class BusSettings(SettingsTable):
    """One bus. `description` is for people, `tags` are free labels."""

    description: Annotated[str, Length(most=512)] = ""
    tags: dict[str, str] = fresh(dict)


def rule_names(events: Iterable[tuple[str, EventBridgeEvent]]) -> Iterator[str]:
    """The names of the rules of events, each with its function: given, or numbered by function."""
    counts: Counter[str] = Counter()
    for function, settings in events:
        counts[function] += 1
        yield settings.name or f"{function[:56]}-{counts[function]}"


def rule_members(name: str, settings: EventBridgeEvent | RuleSettings, bus: str) -> dict[str, Any]:
    """The members of PutRule."""
    found: dict[str, Any] = {
        "Name": name,
        "EventBusName": bus,
        "State": "ENABLED" if settings.enabled else "DISABLED",
    }
    if settings.pattern is not None:
        found["EventPattern"] = pattern_text(settings.pattern)
    if isinstance(settings, RuleSettings):
        if settings.schedule is not None:
            found["ScheduleExpression"] = settings.schedule
        if settings.description:
            found["Description"] = settings.description
        if settings.tags:
            found["Tags"] = [{"Key": key, "Value": value} for key, value in settings.tags.items()]
    return found
