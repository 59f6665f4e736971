"""Samples of the events of rules and schedules."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

from engine.sources.samples.common import ACCOUNT, EPOCH_S, SampleIds
from engine.sources.schedule.source import ScheduledPayload, ScheduleEvent


def schedule(
    *,
    name: str | None = None,
    service: Literal["rule", "scheduler"] = "rule",
    function: str = "function",
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """The event of a rule of EventBridge, or of a schedule of EventBridge Scheduler, that has no `input`.

    `name` is the rule's or schedule's, by default `FUNCTION-schedule`; `at_s` the moment it is for.
    `salt` makes the id another one than that of another salt.
    """
    settings = ScheduleEvent(schedule="rate(1 minute)", name=name, service=service)
    text = ScheduledPayload(settings, function, ACCOUNT).render(
        SampleIds(salt)("schedule", function, at_s), at_s
    )
    return cast("dict[str, Any]", json.loads(text))
