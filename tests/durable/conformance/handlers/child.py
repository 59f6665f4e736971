"""Suite 3: child contexts."""

from __future__ import annotations

import os
import time

from aws_durable_execution_sdk_python import ChildContextError, DurableContext, StepContext
from aws_durable_execution_sdk_python.config import ChildConfig, StepConfig
from suite import NO_RETRY, Suite, Uppercase, execution_id, fail, retried, seconds, times_seen

handler = Suite()


def log_even_in_replays(child: DurableContext, message: str) -> None:
    """The SDK's logger keeps quiet in a replay unless told so."""
    child.logger.with_is_replaying(lambda: False).info(message)


@handler.fulfils("3-1")
def one_step(event: str, context: DurableContext) -> str:
    return context.run_in_child_context(lambda child: child.step(lambda _: event))


@handler.fulfils("3-2")
def named_by_the_input(event: dict[str, str], context: DurableContext) -> str:
    return context.run_in_child_context(
        lambda child: child.step(lambda _: event["value"]),
        name=event["name"],
    )


@handler.fulfils("3-3")
def two_steps(event: str, context: DurableContext) -> str:
    def body(child: DurableContext) -> str:
        first = child.step(lambda _: event)
        return child.step(lambda _: first)

    return context.run_in_child_context(body, name="two-steps")


@handler.fulfils("3-4")
def step_fails(event: None, context: DurableContext) -> None:
    context.run_in_child_context(lambda child: child.step(fail, config=NO_RETRY), name="failing")


@handler.fulfils("3-5")
def recovers(event: str, context: DurableContext) -> str:
    try:
        return context.run_in_child_context(lambda child: child.step(fail, config=NO_RETRY))
    except ChildContextError:
        return context.step(lambda _: event)


@handler.fulfils("3-6")
def one_in_another(event: str, context: DurableContext) -> str:
    def outer(child: DurableContext) -> str:
        child.step(lambda _: event)
        return child.run_in_child_context(lambda inner: inner.step(lambda _: event), name="inner")

    return context.run_in_child_context(outer, name="outer")


@handler.fulfils("3-7")
def retried_once(event: str, context: DurableContext) -> str:
    def work(step: StepContext) -> str:
        if step.attempt == 1:
            raise ConnectionError("not yet")
        return event

    flaky = StepConfig(retry_strategy=retried(2))
    return context.run_in_child_context(lambda child: child.step(work, config=flaky), name="flaky")


@handler.fulfils("3-8")
def runs_out_of_attempts(event: None, context: DurableContext) -> None:
    twice = StepConfig(retry_strategy=retried(2))
    context.run_in_child_context(lambda child: child.step(fail, config=twice), name="failing")


@handler.fulfils("3-9")
def waits_after(event: str, context: DurableContext) -> str:
    result = context.run_in_child_context(lambda child: child.step(lambda _: event))
    context.wait(seconds(1))
    return result


@handler.fulfils("3-10")
def waits_inside(event: str, context: DurableContext) -> str:
    def body(child: DurableContext) -> str:
        result = child.step(lambda _: event)
        child.wait(seconds(1))
        return result

    return context.run_in_child_context(body, name="waiting")


@handler.fulfils("3-11")
def larger_than_a_checkpoint(event: str, context: DurableContext) -> int:
    def body(child: DurableContext) -> str:
        log_even_in_replays(child, event)
        return child.step(lambda _: "x") * (300 * 1024)

    result = context.run_in_child_context(body, name="large")
    context.wait(seconds(1))
    return len(result)


@handler.fulfils("3-12")
def dies_inside(event: str, context: DurableContext) -> str:
    def work(step: StepContext) -> str:
        if times_seen(f"3-12-{execution_id(context)}") == 1:
            time.sleep(1.5)  # the SDK sends what has started within a second
            os._exit(1)
        return event

    return context.run_in_child_context(lambda child: child.step(work))


@handler.fulfils("3-13")
def only_waits_inside(event: str, context: DurableContext) -> str:
    def body(child: DurableContext) -> str:
        child.wait(seconds(1))
        return event

    result = context.run_in_child_context(body, name="waiting")
    return context.step(lambda _: result)


@handler.fulfils("3-14")
def own_serializer(event: str, context: DurableContext) -> str:
    return context.run_in_child_context(
        lambda child: child.step(lambda _: event), name="uppercase", config=ChildConfig(serdes=Uppercase())
    )


@handler.fulfils("3-15")
def fails_without_operations(event: None, context: DurableContext) -> None:
    def body(child: DurableContext) -> None:
        raise ValueError("no operation before this")

    context.run_in_child_context(body, name="failing")


@handler.fulfils("3-16")
def nothing(event: None, context: DurableContext) -> None:
    return context.run_in_child_context(lambda child: None, name="empty")


@handler.fulfils("3-17")
def only_logs(event: str, context: DurableContext) -> str:
    def body(child: DurableContext) -> str:
        log_even_in_replays(child, event)
        return event

    result = context.run_in_child_context(body, name="logging")
    context.wait(seconds(1))
    return result


@handler.fulfils("3-18")
def waits_inside_and_after(event: str, context: DurableContext) -> str:
    def body(child: DurableContext) -> str:
        result = child.step(lambda _: event)
        child.wait(seconds(1))
        return result

    inner = context.run_in_child_context(body, name="waiting")
    result = context.step(lambda _: inner)
    context.wait(seconds(1))
    return result
