"""The handlers of one suite as the one handler of a function; and what several suites use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution
from aws_durable_execution_sdk_python.config import Duration, JitterStrategy, StepConfig
from aws_durable_execution_sdk_python.retries import RetryPresets, RetryStrategyConfig, create_retry_strategy
from aws_durable_execution_sdk_python.serdes import SerDes, SerDesContext

NO_RETRY = StepConfig(retry_strategy=RetryPresets.none())


class Suite:
    """Handlers by requirement. An execution's name is the requirement that it is checked against."""

    def __init__(self, *suites: Suite) -> None:
        """With the handlers of those suites."""
        self.handlers: dict[str, Callable[[Any, Any], Any]] = {}
        for suite in suites:
            self.handlers |= suite.handlers

    def fulfils(self, requirement: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """The function decorated does what that requirement says, with such options of the SDK."""

        def add(function: Callable[[Any, DurableContext], Any]) -> Callable[[Any, DurableContext], Any]:
            self.handlers[requirement] = durable_execution(function, **options)
            return function

        return add

    def __call__(self, event: Any, context: Any) -> Any:
        return self.handlers[event["InitialExecutionState"]["Operations"][0]["Name"]](event, context)


class Uppercase(SerDes[str]):
    """Texts are stored in capitals."""

    def serialize(self, value: str, serdes_context: SerDesContext) -> str:
        return value.upper()

    def deserialize(self, data: str, serdes_context: SerDesContext) -> str:
        return data


def fail(step: StepContext) -> Any:
    raise ValueError("this step always fails")


def seconds(number: int) -> Duration:
    """So many."""
    return Duration.from_seconds(number)


def retried(attempts: int, **settings: Any) -> Callable[[Exception, int], Any]:
    """A strategy of so many attempts a second apart, unless the settings say otherwise."""
    every_second = {
        "initial_delay": seconds(1),
        "backoff_rate": 1,
        "jitter_strategy": JitterStrategy.NONE,
    }
    return create_retry_strategy(RetryStrategyConfig(max_attempts=attempts, **{**every_second, **settings}))


def times_seen(key: str) -> int:
    """How often this was called with that key, this call included, whatever became of the process."""
    with (Path(os.environ["CONFORMANCE_COUNTS"]) / key).open("a+") as counted:
        counted.write("x")
        return counted.tell()


def execution_id(context: DurableContext) -> str:
    """What tells this execution from all others, and may name a file."""
    return context.execution_context.durable_execution_arn.rsplit("/", 1)[-1]
