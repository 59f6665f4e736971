"""Brings events to the targets of the rules that take them; what cannot go there becomes a dead letter.

Source: EventBridge User Guide, "Using dead-letter queues to process undelivered events"; "Event buses as
targets" (an event goes from bus to bus once). Unverified: how the attributes ERROR_MESSAGE,
EXHAUSTED_RETRY_CONDITION and RETRY_ATTEMPTS are spelled, and most words of ERROR_CODE.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.services.deliveries.deliveries import Deliveries
from engine.services.deliveries.delivery import Delivery, GivenUp
from engine.services.eventbridge.bus_event import BusEvent
from engine.services.eventbridge.rules import BusRule, RuleTarget
from engine.services.eventbridge.store import EventBus
from engine.services.eventbridge.target_input import InputRefused

_MAX_MESSAGE: Final = 1024
_NO_HOP: Final = "an event that came from another bus is not sent on to a third one"


class BusRouter:
    """Matches events with the rules of a bus."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    def route(self, bus: EventBus, event: BusEvent) -> None:
        """Deliver to the targets of all rules that take the event. Never raises for a bad target."""
        self._deliveries.deliver_all(
            delivery
            for rule in list(bus.rules.values())
            if rule.is_enabled and rule.pattern is not None and rule.pattern.matches(event.document)
            for delivery in _deliveries(rule, event)
        )

    def deliver(self, rule: BusRule, event: BusEvent) -> None:
        """Deliver to the targets of one rule, whatever its pattern."""
        self._deliveries.deliver_all(_deliveries(rule, event))


def _deliveries(rule: BusRule, event: BusEvent) -> Iterator[Delivery]:
    return (_delivery(rule, target, event) for target in list(rule.targets.values()))


def _delivery(rule: BusRule, target: RuleTarget, event: BusEvent) -> Delivery:
    body, refusal = b"", None
    if target.kind == "events":  # a bus gets the event itself
        body = event.body
        if event.hops:
            refusal = DeliveryError(target.arn, _NO_HOP, "THIRD_ACCOUNT_HOP_DETECTED")
    else:
        try:
            body = target.input(event, rule.names)
        except InputRefused as error:
            refusal = DeliveryError(target.arn, error.reason, "INVALID_JSON")
    return Delivery(
        service="events",
        kind=target.kind,
        target=target.arn,
        record=DestinationRecord(body=body, trace=event.trace, group=target.group),
        law=target.law,
        dead_letter_queue=target.dead_letter_queue,
        dead_letter=partial(_dead_letter, rule.arn, target.arn, event),
        refusal=refusal,
    )


def _dead_letter(rule_arn: str, target_arn: str, event: BusEvent, given_up: GivenUp) -> DestinationRecord:
    """The event as it came to the rule, with what went wrong in the attributes."""
    error = given_up.error
    found = {
        "RULE_ARN": rule_arn,
        "TARGET_ARN": target_arn,
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": error.reason[:_MAX_MESSAGE],
    }
    if given_up.exhausted is not None:
        found["EXHAUSTED_RETRY_CONDITION"] = given_up.exhausted.value
        found["RETRY_ATTEMPTS"] = str(given_up.attempts - 1)
    attributes: dict[str, tuple[str, str | bytes]] = {
        name: ("String", value) for name, value in found.items()
    }
    return DestinationRecord(body=event.body, attributes=attributes, trace=event.trace)
