"""Suite 4: callbacks that the handler creates and awaits itself."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from aws_durable_execution_sdk_python import CallbackError, DurableContext
from aws_durable_execution_sdk_python.config import CallbackConfig
from aws_durable_execution_sdk_python.serdes import SerDes, SerDesContext
from suite import Suite, seconds

handler = Suite()


class Message(SerDes[dict[str, Any]]):
    """A message whose time is a number of seconds here, and a text outside."""

    def serialize(self, value: dict[str, Any], serdes_context: SerDesContext) -> str:
        return json.dumps(value)

    def deserialize(self, data: str, serdes_context: SerDesContext) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(data)
        return {**message, "timestamp": int(datetime.fromisoformat(message["timestamp"]).timestamp())}


class Number(SerDes[int]):
    """A whole number."""

    def serialize(self, value: int, serdes_context: SerDesContext) -> str:
        return str(value)

    def deserialize(self, data: str, serdes_context: SerDesContext) -> int:
        return int(data)


def within(timeout_s: int) -> CallbackConfig:
    return CallbackConfig(timeout=seconds(timeout_s))


def beating(heartbeat_s: int) -> CallbackConfig:
    return CallbackConfig(heartbeat_timeout=seconds(heartbeat_s))


@handler.fulfils("4-1")
def awaits(event: str, context: DurableContext) -> Any:
    return context.create_callback(name=event).result()


@handler.fulfils("4-2")
def awaits_by_name(event: None, context: DurableContext) -> Any:
    return context.create_callback(name="approval").result()


@handler.fulfils("4-3")
def times_out(event: str, context: DurableContext) -> Any:
    return context.create_callback(name=event, config=within(5)).result()


@handler.fulfils("4-4")
def has_no_heartbeat(event: str, context: DurableContext) -> Any:
    return context.create_callback(name=event, config=beating(5)).result()


@handler.fulfils("4-5")
def has_a_heartbeat(event: str, context: DurableContext) -> Any:
    return context.create_callback(name=event, config=beating(10)).result()


@handler.fulfils("4-6")
def is_refused(event: str, context: DurableContext) -> Any:
    return context.create_callback(name=event).result()


@handler.fulfils("4-7")
def is_refused_after_a_step(event: str, context: DurableContext) -> Any:
    callback = context.create_callback(name=event)
    context.step(lambda _: "done")
    return callback.result()


@handler.fulfils("4-8")
def times_out_after_a_step(event: str, context: DurableContext) -> Any:
    callback = context.create_callback(name=event, config=within(5))
    context.step(lambda _: "done")
    return callback.result()


@handler.fulfils("4-9")
@handler.fulfils("4-10")
def waits_meanwhile(event: str, context: DurableContext) -> Any:
    callback = context.create_callback(name=event)
    context.wait(seconds(5))
    return callback.result()


@handler.fulfils("4-11")
def times_out_meanwhile(event: str, context: DurableContext) -> Any:
    callback = context.create_callback(name=event, config=within(3))
    context.wait(seconds(6))
    return callback.result()


@handler.fulfils("4-12")
def waits_after(event: str, context: DurableContext) -> Any:
    result = context.create_callback(name=event).result()
    context.wait(seconds(2))
    return result


def caught(event: str, context: DurableContext, config: CallbackConfig | None) -> str:
    """The message of a callback's error, after a wait of two seconds."""
    try:
        message = str(context.create_callback(name=event, config=config).result())
    except CallbackError as error:
        message = str(error)
    context.wait(seconds(2))
    return message


@handler.fulfils("4-13")
def catches_a_refusal(event: str, context: DurableContext) -> str:
    return caught(event, context, None)


@handler.fulfils("4-14")
def catches_a_timeout(event: str, context: DurableContext) -> str:
    return caught(event, context, within(3))


@handler.fulfils("4-15")
def reads_a_message(event: str, context: DurableContext) -> dict[str, Any]:
    return {"received": context.create_callback(name=event, config=CallbackConfig(serdes=Message())).result()}


@handler.fulfils("4-16")
def reads_a_number(event: str, context: DurableContext) -> dict[str, int]:
    number = context.create_callback(name=event, config=CallbackConfig(serdes=Number())).result()
    return {"count": number, "doubled": number * 2}


@handler.fulfils("4-17")
def one_after_the_other(event: list[str], context: DurableContext) -> list[Any]:
    return [context.create_callback(name=name).result() for name in event]


@handler.fulfils("4-18")
def both_at_once(event: list[str], context: DurableContext) -> list[Any]:
    first, second = (context.create_callback(name=name) for name in event)
    return [first.result(), second.result()]


@handler.fulfils("4-19")
def second_first(event: list[str], context: DurableContext) -> list[Any]:
    first, second = (context.create_callback(name=name) for name in event)
    result = second.result()
    return [first.result(), result]
