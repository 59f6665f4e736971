"""Suite 7: callbacks whose id a submitter hands on."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import CallbackError, DurableContext
from aws_durable_execution_sdk_python.config import WaitForCallbackConfig
from aws_durable_execution_sdk_python.serdes import JsonSerDes
from suite import Suite, retried, seconds

handler = Suite()


def submit(callback_id: str, _: Any) -> None:
    """Nobody need be told: the harness finds the id in the history."""


@handler.fulfils("7-1")
@handler.fulfils("7-4")
@handler.fulfils("7-15")
def named_by_the_input(event: str, context: DurableContext) -> Any:
    return context.wait_for_callback(submit, name=event)


@handler.fulfils("7-2")
def by_name(event: None, context: DurableContext) -> Any:
    return context.wait_for_callback(submit, name="approval")


@handler.fulfils("7-3")
def without_a_name(event: None, context: DurableContext) -> Any:
    return context.wait_for_callback(lambda callback_id, _: None)


@handler.fulfils("7-5")
def times_out(event: str, context: DurableContext) -> Any:
    return context.wait_for_callback(submit, name=event, config=WaitForCallbackConfig(timeout=seconds(3)))


@handler.fulfils("7-6")
def recovers(event: str, context: DurableContext) -> Any:
    try:
        return context.wait_for_callback(submit, name=event)
    except CallbackError:
        return "recovered"


@handler.fulfils("7-7")
def submitter_fails(event: str, context: DurableContext) -> Any:
    def fail(callback_id: str, _: Any) -> None:
        raise ConnectionError("nobody listens")

    return context.wait_for_callback(
        fail, name=event, config=WaitForCallbackConfig(retry_strategy=retried(2))
    )


@handler.fulfils("7-8")
def in_a_child_context(event: str, context: DurableContext) -> Any:
    return context.run_in_child_context(
        lambda child: child.wait_for_callback(submit, name=event), name="wrapper"
    )


@handler.fulfils("7-9")
def twice(event: None, context: DurableContext) -> Any:
    context.wait_for_callback(submit, name="first")
    return context.wait_for_callback(submit, name="second")


@handler.fulfils("7-10")
def after_a_wait_and_a_step(event: str, context: DurableContext) -> Any:
    context.wait(seconds(1))
    context.step(lambda _: {"fixed": "data"})
    return context.wait_for_callback(submit, name=event)


@handler.fulfils("7-11")
def reads_json(event: str, context: DurableContext) -> Any:
    result = context.wait_for_callback(submit, name=event, config=WaitForCallbackConfig(serdes=JsonSerDes()))
    return result["status"]


@handler.fulfils("7-12")
def has_no_heartbeat(event: str, context: DurableContext) -> Any:
    beating = WaitForCallbackConfig(heartbeat_timeout=seconds(5))
    return context.wait_for_callback(submit, name=event, config=beating)


@handler.fulfils("7-13")
def has_a_heartbeat(event: str, context: DurableContext) -> Any:
    beating = WaitForCallbackConfig(heartbeat_timeout=seconds(10))
    return context.wait_for_callback(submit, name=event, config=beating)


@handler.fulfils("7-14")
def catches_a_timeout(event: str, context: DurableContext) -> Any:
    try:
        return context.wait_for_callback(submit, name=event, config=WaitForCallbackConfig(timeout=seconds(3)))
    except CallbackError:
        return "timed-out-handled"
