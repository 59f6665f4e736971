"""Suite 5: chained invocations of `targets`."""

from __future__ import annotations

import json
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, InvokeError
from aws_durable_execution_sdk_python.config import InvokeConfig
from aws_durable_execution_sdk_python.serdes import SerDes, SerDesContext
from suite import Suite, seconds

ECHO = "echo:$LATEST"
RAISING = "raising:$LATEST"
NEARLY_A_MEBIBYTE = 1_048_000

handler = Suite()


class Uppercase(SerDes[Any]):
    """The JSON text goes out, and comes in, in capitals."""

    def serialize(self, value: Any, serdes_context: SerDesContext) -> str:
        return json.dumps(value).upper()

    def deserialize(self, data: str, serdes_context: SerDesContext) -> str:
        return data.upper()


@handler.fulfils("5-1")
@handler.fulfils("5-3")
def echoes(event: Any, context: DurableContext) -> Any:
    return context.invoke(ECHO, event)


@handler.fulfils("5-2")
def echoes_by_name(event: dict[str, str], context: DurableContext) -> Any:
    return context.invoke(ECHO, event["payload"], name=event["name"])


@handler.fulfils("5-4")
def echoes_nothing(event: None, context: DurableContext) -> None:
    return context.invoke(ECHO, None)


@handler.fulfils("5-5")
def fails(event: None, context: DurableContext) -> Any:
    return context.invoke(RAISING, None)


@handler.fulfils("5-6")
def recovers(event: None, context: DurableContext) -> Any:
    try:
        return context.invoke(RAISING, None)
    except InvokeError:
        return "fallback"


@handler.fulfils("5-7")
def nearly_too_large(event: None, context: DurableContext) -> int:
    return len(context.invoke(ECHO, "x" * NEARLY_A_MEBIBYTE))


@handler.fulfils("5-8")
def for_a_tenant(event: dict[str, str], context: DurableContext) -> Any:
    return context.invoke(ECHO, event["payload"], config=InvokeConfig(tenant_id=event["tenantId"]))


@handler.fulfils("5-9")
def waits_after(event: None, context: DurableContext) -> Any:
    result = context.invoke(ECHO, "once")
    context.wait(seconds(1))
    return result


@handler.fulfils("5-10")
def recovers_and_waits(event: None, context: DurableContext) -> str:
    try:
        result = context.invoke(RAISING, None)
    except InvokeError as error:
        result = str(error)
    context.wait(seconds(1))
    return result


@handler.fulfils("5-11")
def step_before(event: None, context: DurableContext) -> Any:
    return context.invoke(ECHO, context.step(lambda _: "of a step"))


@handler.fulfils("5-12")
def step_after(event: None, context: DurableContext) -> str:
    result = context.invoke(ECHO, "for a step")
    return context.step(lambda _: f"{result}, done")


@handler.fulfils("5-13")
def in_a_child_context(event: None, context: DurableContext) -> Any:
    return context.run_in_child_context(lambda child: child.invoke(ECHO, "from inside"))


@handler.fulfils("5-14")
def twice(event: None, context: DurableContext) -> Any:
    return context.invoke(ECHO, context.invoke(ECHO, "through both"))


@handler.fulfils("5-15")
def payload_in_capitals(event: dict[str, str], context: DurableContext) -> Any:
    return context.invoke(ECHO, event, config=InvokeConfig(serdes_payload=Uppercase()))


@handler.fulfils("5-16")
def result_in_capitals(event: str, context: DurableContext) -> Any:
    return context.invoke(ECHO, event, config=InvokeConfig(serdes_result=Uppercase()))
