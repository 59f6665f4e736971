"""Durable functions of the tests on virtual time, on AWS's SDK."""

import json

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import (
    Duration,
    ParallelConfig,
    StepConfig,
    WaitForCallbackConfig,
)
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy


@durable_execution
def year(event, context):
    """A step and a wait of a twelfth of a year, twelve times."""
    for month in range(12):
        context.step(lambda _, month=month: month, name=f"month-{month}")
        context.wait(Duration.from_hours(730), name="pause")
    return "a year"


@durable_execution
def program(event, context):
    """What the event lists: words of the names below, one after the other."""
    done = []
    for index, word in enumerate(event):
        kind, _, rest = word.partition(" ")
        done.append(KINDS[kind](context, f"{kind}-{index}", rest))
    return done


def _step(context, name, text):
    return context.step(lambda _: text, name=name)


def _wait(context, name, seconds):
    return context.wait(Duration.from_seconds(int(seconds)), name=name)


def _flaky(context, name, attempts):
    """Fails all but the last of so many attempts, with the jitter that the SDK has by default."""

    def work(step):
        if step.attempt < int(attempts):
            raise ConnectionError("try later")
        return step.attempt

    strategy = RetryStrategyConfig(max_attempts=9, initial_delay=Duration.from_seconds(60))
    config = StepConfig(retry_strategy=create_retry_strategy(strategy))
    return context.step(work, name=name, config=config)


def _ask(context, name, _):
    config = WaitForCallbackConfig(timeout=Duration.from_hours(2))
    try:
        return json.loads(context.wait_for_callback(lambda _id, _context: None, name="ask", config=config))
    except Exception as error:
        return type(error).__name__


def _call(context, name, target):
    return context.invoke(target, {"n": 20}, name=name)


def _fan(context, name, seconds):
    """Branches that wait for different times beside one that fails twice."""
    waits = [int(one) for one in seconds.split(",")]
    branches = [lambda child, one=one: _wait(child, "wait", one) for one in waits]
    branches.append(lambda child: _flaky(child, "flaky", "3"))
    return context.parallel(branches, name=name, config=ParallelConfig()).get_results()


def _map(context, name, count):
    mapped = context.map(
        list(range(int(count))),
        lambda child, item, _index, _items: _flaky(child, "flaky", item + 1),
        name=name,
    )
    return mapped.get_results()


KINDS = {
    "step": _step,
    "wait": _wait,
    "flaky": _flaky,
    "ask": _ask,
    "call": _call,
    "fan": _fan,
    "map": _map,
}


@durable_execution
def slow_child(event, context):
    context.wait(Duration.from_hours(24 * 100), name="hundred-days")
    return event["n"] + 1
