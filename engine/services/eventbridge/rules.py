"""Rules and their targets, as they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from engine.core.delivery_counts import TargetKind
from engine.core.destinations import target_of
from engine.core.event_patterns.pattern import EventPattern
from engine.core.late_dataclass import dataclass
from engine.services.deliveries.retry_law import EVENTBRIDGE_LAW, RetryLaw
from engine.services.eventbridge.errors import invalid
from engine.services.eventbridge.target_input import RuleNames, TargetInput, compile_input

Document = dict[str, Any]

ENABLED: Final = "ENABLED"
DISABLED: Final = "DISABLED"

_INPUTS: Final = ("Input", "InputPath", "InputTransformer")
KINDS: Final[Mapping[str, TargetKind]] = {"sqs": "sqs", "lambda": "lambda", "sns": "sns", "events": "events"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTarget:
    """A target of a rule.

    Attributes:
        document: As PutTargets gave it.
        kind: What it is.
        input: Makes what it gets.
        law: When a delivery is tried again.
        dead_letter_queue: ARN, or None.
        group: `MessageGroupId` for a queue, or None.
    """

    document: Document
    kind: TargetKind
    input: TargetInput
    law: RetryLaw
    dead_letter_queue: str | None
    group: str | None

    @property
    def id(self) -> str:
        """Within its rule."""
        return str(self.document["Id"])

    @property
    def arn(self) -> str:
        """Of what gets the events."""
        return str(self.document["Arn"])


@dataclass(slots=True, kw_only=True, eq=False)
class BusRule:
    """A rule of one bus.

    Attributes:
        name: Within its bus.
        arn: Its ARN.
        bus: Name of the bus.
        pattern: What events it takes; None if it only has a schedule.
        schedule: `rate(...)` or `cron(...)`, or None.
        state: `ENABLED`, `DISABLED`, or the third one that AWS has.
        description: Text, or None.
        role_arn: Kept and shown.
        tags: By key.
        targets: By id.
    """

    name: str
    arn: str
    bus: str
    pattern: EventPattern | None = None
    schedule: str | None = None
    state: str = ENABLED
    description: str | None = None
    role_arn: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    targets: dict[str, RuleTarget] = field(default_factory=dict)

    @property
    def is_enabled(self) -> bool:
        """Whether it takes events."""
        return self.state != DISABLED

    @property
    def names(self) -> RuleNames:
        """As templates name it."""
        return RuleNames(self.name, self.arn)

    def document(self) -> Document:
        """As ListRules shows it."""
        found = {
            "Name": self.name,
            "Arn": self.arn,
            "EventPattern": None if self.pattern is None else self.pattern.text,
            "State": self.state,
            "Description": self.description,
            "ScheduleExpression": self.schedule,
            "RoleArn": self.role_arn,
            "EventBusName": self.bus,
        }
        return {name: value for name, value in found.items() if value is not None}


def read_target(document: Document) -> RuleTarget:
    """A target as PutTargets has it, checked. Raises ServiceError."""
    target_id, arn = document["Id"], document["Arn"]
    if sum(name in document for name in _INPUTS) > 1:
        message = (
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {target_id}."
        )
        raise invalid(message)
    parts = target_of(arn)
    if parts is None:
        raise invalid(f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.")
    kind = KINDS.get(parts.service, "other")
    group = document.get("SqsParameters", {}).get("MessageGroupId")
    if parts.service == "sqs" and parts.resource.endswith(".fifo") and group is None:
        raise invalid(f"Parameter(s) SqsParameters must be specified for target: {target_id}.")
    try:
        made_input = compile_input(document, of_function=kind == "lambda")
    except ValueError as error:
        raise invalid(str(error)) from None
    policy = document.get("RetryPolicy", {})
    return RuleTarget(
        document=document,
        kind=kind,
        input=made_input,
        law=EVENTBRIDGE_LAW.limited(
            policy.get("MaximumRetryAttempts"), policy.get("MaximumEventAgeInSeconds")
        ),
        dead_letter_queue=document.get("DeadLetterConfig", {}).get("Arn"),
        group=group,
    )
