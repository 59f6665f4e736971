"""What is wrong with buses and rules of a configuration, before they are made.

Source: EventBridge API reference, "PutRule", "PutTargets"; EventBridge User Guide, "Using dead-letter queues
to process undelivered events".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.core.destinations import expanded, target_of
from engine.core.function import Account
from engine.protocols.aws.service_model import service_model
from engine.protocols.aws.validation import violations
from engine.services.eventbridge.rules import KINDS
from engine.services.eventbridge.settings import (
    RULE_NAME,
    BusSettings,
    EventBridgeEvent,
    RuleSettings,
    RuleTargetSettings,
    bus_name,
    rule_members,
    rule_names,
)

Key = tuple[str | int, ...]


def bus_problems(
    buses: Mapping[str, BusSettings], rules: Mapping[str, RuleSettings]
) -> Iterator[tuple[Key, str]]:
    """What AWS would refuse: keys of the tables `buses` and `rules`, and the end of a sentence."""
    for name in buses:
        try:
            bus_name(name)
        except ValueError as error:
            yield ("buses", name), str(error)
    for name, settings in rules.items():
        place: Key = ("rules", name)
        if RULE_NAME.fullmatch(name) is None:
            yield place, "the name of a rule must be 1 to 64 of the characters a-z A-Z 0-9 . - _ (AWS)"
        ids: set[str] = set()
        for number, target in enumerate(settings.targets):
            yield from _target_problems((*place, "targets", number), number, target, ids)
        targets = [target.target(number, Account()) for number, target in enumerate(settings.targets, 1)]
        if RULE_NAME.fullmatch(name) is not None:
            yield from ((place, text) for text in refusals(name, settings, targets))


def name_clashes(
    rules: Mapping[str, RuleSettings], events: Iterable[tuple[Key, EventBridgeEvent]]
) -> Iterator[tuple[Key, str]]:
    """Events of functions, by their places, whose rules have the name of one in the table `rules`."""
    found = list(events)
    names = rule_names((str(place[1]), settings) for place, settings in found)
    for name, (place, settings) in zip(names, found, strict=True):
        bus = bus_name(settings.bus)
        if name in rules and bus_name(rules[name].bus) == bus:
            yield (*place, "name"), f"there is a rule {name!r} on bus {bus!r} already, of the table rules"


def refusals(
    name: str, settings: EventBridgeEvent | RuleSettings, targets: list[dict[str, Any]]
) -> Iterator[str]:
    """In what way the requests that make a rule break the bounds of the API, in AWS's words."""
    model = service_model("events")
    members = rule_members(name, settings, bus_name(settings.bus))
    yield from violations(model, model.input_of("PutRule"), members)
    if targets:
        put = {"Rule": name, "Targets": targets}
        yield from violations(model, model.input_of("PutTargets"), put)


def _target_problems(
    place: Key, number: int, target: RuleTargetSettings, ids: set[str]
) -> Iterator[tuple[Key, str]]:
    """Those of one target; its id is added to those of the rule."""
    parts = target_of(expanded(target.to, Account()))
    short, colon, _ = target.to.partition(":")
    if parts is None:
        yield (*place, "to"), f"{target.to!r} is neither an ARN nor a name"
    elif colon and short not in ("arn", *KINDS):
        known = ", ".join(f"{one}:NAME" for one in KINDS)
        yield (*place, "to"), f"{target.to!r} is neither an ARN nor one of {known}"
    elif parts.service == "sqs" and parts.resource.endswith(".fifo") and target.message_group is None:
        yield (*place, "message_group"), "is required: a FIFO queue takes no message without one (AWS)"
    target_id = target.target_id(number + 1)
    if target_id in ids:
        yield (*place, "id"), f"{target_id!r} is the id of another target of the rule: one would replace it"
    ids.add(target_id)
