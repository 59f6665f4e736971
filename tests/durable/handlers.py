"""Durable functions of the tests, on AWS's SDK."""

import json

from aws_durable_execution_sdk_python import durable_execution, durable_step
from aws_durable_execution_sdk_python.config import (
    Duration,
    JitterStrategy,
    MapConfig,
    StepConfig,
    WaitForCallbackConfig,
)
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision


@durable_step
def reserve(ctx, sku, qty):
    return {"sku": sku, "reserved": qty}


@durable_step
def price(ctx, stock):
    return stock["reserved"] * 5


@durable_execution
def two_steps(event, context):
    stock = context.step(reserve(event["sku"], 2))
    return {"total": context.step(price(stock), name="price-it")}


@durable_execution
def waiter(event, context):
    stock = context.step(reserve("w", 1))
    context.wait(Duration.from_seconds(1), name="cool-down")
    return context.step(price(stock))


@durable_execution
def approval(event, context):
    config = WaitForCallbackConfig(timeout=Duration.from_seconds(60))
    answer = context.wait_for_callback(lambda _id, _context: None, name="approve", config=config)
    return json.loads(answer)


@durable_execution
def flaky(event, context):
    def work(ctx):
        if ctx.attempt < 2:
            raise ConnectionError("try later")
        return ctx.attempt

    once_a_second = RetryStrategyConfig(
        max_attempts=3,
        initial_delay=Duration.from_seconds(1),
        backoff_rate=1,
        jitter_strategy=JitterStrategy.NONE,
    )
    config = StepConfig(retry_strategy=create_retry_strategy(once_a_second))
    return context.step(work, name="flaky", config=config)


@durable_execution
def doubled(event, context):
    config = MapConfig(max_concurrency=1)
    doubling = context.map(event["items"], lambda _, item, i, items: item * 2, name="double", config=config)
    return doubling.get_results()


@durable_execution
def parent(event, context):
    return context.invoke(event["target"], {"n": 20}, name="call")


@durable_execution
def child(event, context):
    return context.step(lambda _: event["n"] + 1, name="plus")


def plain(event, context):
    return event["n"] + 2


@durable_execution
def poll(event, context):
    def strategy(state, attempt):
        if state >= 2:
            return WaitForConditionDecision.stop_polling()
        return WaitForConditionDecision.continue_waiting(Duration.from_seconds(1))

    config = WaitForConditionConfig(wait_strategy=strategy, initial_state=0)
    return context.wait_for_condition(lambda state, _: state + 1, config, name="poll")


@durable_execution
def boom(event, context):
    context.step(lambda _: 1, name="ok")
    raise ValueError("no stock")


@durable_execution
def sleeper(event, context):
    context.wait(Duration.from_hours(1), name="long")


@durable_execution
def front(event, context):
    """Of an HTTP event, or of a queue's batch."""
    return {"statusCode": 201, "body": context.step(lambda _: "made", name="make")}


@durable_execution
def long_name(event, context):
    return context.step(lambda _: 1, name="n" * 257)


@durable_execution
def sam(event, context):
    """Of the container that SAM CLI would start."""
    if "fail" in event:
        raise ValueError(f"no stock {event['fail']}")
    sku = context.step(lambda _: event["sku"])
    context.wait(Duration.from_seconds(1))
    answer = context.wait_for_callback(lambda _id, _context: None, name="approve")
    return {"sku": sku, "answer": json.loads(answer)}
