"""Suite 6: conditions that are polled."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, WaitForConditionError
from aws_durable_execution_sdk_python.config import JitterStrategy
from aws_durable_execution_sdk_python.serdes import SerDes, SerDesContext
from aws_durable_execution_sdk_python.waits import (
    WaitForConditionConfig,
    WaitStrategyConfig,
    create_wait_strategy,
)
from suite import Suite, seconds

handler = Suite()


class Base64(SerDes[str]):
    """A text no one reads by chance."""

    def serialize(self, value: str, serdes_context: SerDesContext) -> str:
        return base64.b64encode(value.encode()).decode()

    def deserialize(self, data: str, serdes_context: SerDesContext) -> str:
        return base64.b64decode(data).decode()


def polled(
    goes_on: Callable[[Any], bool], initial_state: Any, *, attempts: int = 10, every_s: int = 1, **more: Any
) -> WaitForConditionConfig:
    """Polls at equal distances while `goes_on` of the state."""
    strategy = create_wait_strategy(
        WaitStrategyConfig(
            should_continue_polling=goes_on,
            max_attempts=attempts,
            initial_delay=seconds(every_s),
            backoff_rate=1,
            jitter_strategy=JitterStrategy.NONE,
        )
    )
    return WaitForConditionConfig(wait_strategy=strategy, initial_state=initial_state, **more)


def count(state: int, _: Any) -> int:
    return state + 1


def fail(state: Any, _: Any) -> Any:
    raise ValueError("this check always fails")


@handler.fulfils("6-1")
def counts(event: int, context: DurableContext) -> int:
    return context.wait_for_condition(count, polled(lambda state: state < event, 0))


@handler.fulfils("6-2")
def holds_at_once(event: int, context: DurableContext) -> int:
    return context.wait_for_condition(lambda state, _: state, polled(lambda state: state < 5, 5))


@handler.fulfils("6-3")
def counts_by_name(event: int, context: DurableContext) -> int:
    return context.wait_for_condition(count, polled(lambda state: state < 2, 0), name="poll-status")


@handler.fulfils("6-4")
def counts_from_five(event: int, context: DurableContext) -> int:
    return context.wait_for_condition(count, polled(lambda state: state < event, 5))


@handler.fulfils("6-5")
def every_two_seconds(event: int, context: DurableContext) -> int:
    return context.wait_for_condition(count, polled(lambda state: state < event, 0, every_s=2))


@handler.fulfils("6-6")
def never_holds(event: int, context: DurableContext) -> int:
    return context.wait_for_condition(count, polled(lambda state: True, event, attempts=3))


@handler.fulfils("6-7")
def check_fails(event: None, context: DurableContext) -> Any:
    return context.wait_for_condition(fail, polled(lambda state: True, 0))


@handler.fulfils("6-8")
def check_fails_and_is_caught(event: None, context: DurableContext) -> Any:
    try:
        return context.wait_for_condition(fail, polled(lambda state: True, 0))
    except (WaitForConditionError, ValueError):
        return "recovered"


@handler.fulfils("6-9")
def state_is_an_object(event: None, context: DurableContext) -> dict[str, Any]:
    def check(state: dict[str, Any], _: Any) -> dict[str, Any]:
        attempts = state["attempts"] + 1
        return {"status": "DONE" if attempts >= 2 else "PENDING", "attempts": attempts}

    return context.wait_for_condition(
        check, polled(lambda state: state["status"] == "PENDING", {"status": "PENDING", "attempts": 0})
    )


@handler.fulfils("6-10")
def state_is_nothing(event: None, context: DurableContext) -> None:
    return context.wait_for_condition(lambda state, _: None, polled(lambda state: False, 0))


@handler.fulfils("6-11")
def own_serializer(event: None, context: DurableContext) -> str:
    return context.wait_for_condition(
        lambda state, _: state + "x", polled(lambda state: len(state) < 2, "", serdes=Base64())
    )


@handler.fulfils("6-12")
def step_after(event: int, context: DurableContext) -> int:
    state = context.wait_for_condition(count, polled(lambda state: state < event, 0))
    return context.step(lambda _: state * 10)


@handler.fulfils("6-13")
def twice(event: None, context: DurableContext) -> int:
    first = context.wait_for_condition(count, polled(lambda state: state < 2, 0))
    return context.wait_for_condition(count, polled(lambda state: state < 4, first))
