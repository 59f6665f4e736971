"""Suite 1: steps, their results, errors and attempts."""

from __future__ import annotations

import os
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, StepError
from aws_durable_execution_sdk_python.config import JitterStrategy, StepConfig, StepSemantics
from suite import NO_RETRY, Suite, Uppercase, execution_id, fail, retried, seconds, times_seen

handler = Suite()


class TransientError(Exception):
    """What may go away by itself."""


def fails_until(attempt: int) -> Any:
    """A step whose attempts before that one fail."""

    def work(step: StepContext) -> str:
        if step.attempt < attempt:
            raise ConnectionError(f"attempt {step.attempt} fails")
        return "Operation succeeded"

    return work


@handler.fulfils("1-1")
def greets(event: str, context: DurableContext) -> str:
    return context.step(lambda _: f"Hello, {event}!")


@handler.fulfils("1-2")
def greets_by_name(event: str, context: DurableContext) -> str:
    return context.step(lambda _: f"Hello, {event}!", name="custom_step_name")


@handler.fulfils("1-3")
def two_in_a_row(event: None, context: DurableContext) -> str:
    first = context.step(lambda _: "first")
    return context.step(lambda _: f"{first}_second")


@handler.fulfils("1-4")
def nested_object(event: dict[str, Any], context: DurableContext) -> Any:
    return context.step(lambda _: {"user": dict(event), "count": len(event["tags"])})


@handler.fulfils("1-5")
def nothing(event: None, context: DurableContext) -> None:
    return context.step(lambda _: None)


@handler.fulfils("1-6")
def own_serializer(event: str, context: DurableContext) -> str:
    return context.step(lambda _: event, config=StepConfig(serdes=Uppercase()))


@handler.fulfils("1-7")
def logs(event: str, context: DurableContext) -> str:
    def greet(step: StepContext) -> str:
        step.logger.info(f"Greeting step started for: {event}")
        greeting = f"Hello, {event}!"
        step.logger.info(f"Greeting step completed with: {greeting}")
        return greeting

    return context.step(greet)


@handler.fulfils("1-8")
def waits_after(event: None, context: DurableContext) -> str:
    result = context.step(lambda _: "computed")
    context.wait(seconds(2))
    return result


@handler.fulfils("1-9")
def result_is_kept(event: None, context: DurableContext) -> str:
    def once(step: StepContext) -> str:
        step.logger.info("step executed")
        return "cached_value"

    result = context.step(once)
    context.wait(seconds(1))
    return result


@handler.fulfils("1-10")
def error_is_kept(event: None, context: DurableContext) -> str:
    def once(step: StepContext) -> Any:
        step.logger.info("step executed")
        raise ValueError("permanent")

    try:
        context.step(once, config=NO_RETRY)
    except StepError as error:
        caught = str(error)
    context.wait(seconds(1))
    return caught


@handler.fulfils("1-11")
def succeeds_on_the_second_attempt(event: None, context: DurableContext) -> str:
    return context.step(fails_until(2), config=StepConfig(retry_strategy=retried(3)))


@handler.fulfils("1-12")
def runs_out_of_attempts(event: None, context: DurableContext) -> None:
    context.step(fail, config=StepConfig(retry_strategy=retried(4)))


@handler.fulfils("1-13")
def strategy_of_the_sdk(event: None, context: DurableContext) -> str:
    return context.step(fails_until(3))


@handler.fulfils("1-14")
def delays_grow(event: None, context: DurableContext) -> int:
    def work(step: StepContext) -> int:
        attempts = times_seen(f"1-14-{execution_id(context)}")
        if attempts < 3:
            raise ConnectionError(f"attempt {attempts} fails")
        return attempts

    strategy = retried(5, initial_delay=seconds(2), backoff_rate=3, jitter_strategy=JitterStrategy.NONE)
    return context.step(work, config=StepConfig(retry_strategy=strategy))


@handler.fulfils("1-15")
def this_error_is_retried(event: None, context: DurableContext) -> str:
    def work(step: StepContext) -> str:
        if step.attempt == 1:
            raise TransientError("not yet")
        return "Operation succeeded"

    strategy = retried(3, retryable_error_types=[TransientError])
    return context.step(work, config=StepConfig(retry_strategy=strategy))


@handler.fulfils("1-16")
def this_error_is_not_retried(event: None, context: DurableContext) -> None:
    def work(step: StepContext) -> None:
        raise TransientError("not to be retried")

    strategy = retried(3, retryable_error_types=[TimeoutError])
    context.step(work, config=StepConfig(retry_strategy=strategy))


@handler.fulfils("1-17")
def dies_and_is_not_retried(event: str, context: DurableContext) -> None:
    def die(step: StepContext) -> None:
        step.logger.info(event)
        os._exit(1)

    at_most_once = StepConfig(NO_RETRY.retry_strategy, StepSemantics.AT_MOST_ONCE_PER_RETRY)
    context.step(die, name="at_most_once_flaky_step", config=at_most_once)


@handler.fulfils("1-18")
def dies_and_is_retried(event: str, context: DurableContext) -> str:
    def die_once(step: StepContext) -> str:
        step.logger.info(event)
        if step.attempt == 1:
            os._exit(1)
        return "succeeded on second attempt"

    at_most_once = StepConfig(retried(2), StepSemantics.AT_MOST_ONCE_PER_RETRY)
    return context.step(die_once, name="at_most_once_flaky_step", config=at_most_once)


@handler.fulfils("1-19")
def fails_for_good(event: None, context: DurableContext) -> None:
    context.step(fail, config=NO_RETRY)


@handler.fulfils("1-20")
def recovers(event: None, context: DurableContext) -> str:
    try:
        return context.step(fail, config=NO_RETRY)
    except StepError:
        fallback = "fallback_result"
    return context.step(lambda _: fallback)
