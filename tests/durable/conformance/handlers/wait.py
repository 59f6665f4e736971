"""Suite 2: waits."""

from __future__ import annotations

from aws_durable_execution_sdk_python import DurableContext
from aws_durable_execution_sdk_python.config import Duration
from suite import Suite, seconds

handler = Suite()


@handler.fulfils("2-1")
def waits(event: None, context: DurableContext) -> None:
    context.wait(seconds(2))


@handler.fulfils("2-2")
def waits_by_name(event: None, context: DurableContext) -> None:
    context.wait(seconds(2), name="custom_wait_name")


@handler.fulfils("2-3")
def waits_twice(event: None, context: DurableContext) -> dict[str, int]:
    context.wait(seconds(2), name="wait-1")
    context.wait(seconds(2), name="wait-2")
    return {"completedWaits": 2}


@handler.fulfils("2-4")
def waits_a_minute(event: None, context: DurableContext) -> None:
    context.wait(Duration.from_minutes(1))


@handler.fulfils("2-5")
def waits_an_hour(event: None, context: DurableContext) -> None:
    context.wait(Duration.from_hours(1))
