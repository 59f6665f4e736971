"""Suite 10: plugins of the SDK, which print what their hooks are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext
from aws_durable_execution_sdk_python.config import StepConfig
from aws_durable_execution_sdk_python.plugin import (
    DurableInstrumentationPlugin,
    InvocationEndInfo,
    InvocationStartInfo,
    OperationEndInfo,
    OperationInfo,
    OperationStartInfo,
    OperationType,
    UserFunctionEndInfo,
    UserFunctionStartInfo,
)
from suite import NO_RETRY, Suite, fail, retried, seconds

handler = Suite()


class Printing(DurableInstrumentationPlugin):
    """Prints a record for each hook of those kinds, and fails then if it is to."""

    def __init__(
        self, name: str, arn: str | None, hooks: tuple[str, ...], *, members: bool, fails: bool
    ) -> None:
        self._name = name
        self._arn = arn
        self._hooks = hooks
        self._members = members
        self._fails = fails

    def _print(self, hook: str, **members: Any) -> None:
        if not hook.startswith(self._hooks):
            return
        record = {"plugin": self._name, "hook": hook, **(members if self._members else {})}
        print(json.dumps({**record, "durableExecutionArn": self._arn}), flush=True)
        if self._fails:
            raise RuntimeError("a plugin that fails in every hook")

    def _print_of_a_step(self, hook: str, info: OperationInfo, **members: Any) -> None:
        if info.operation_type is OperationType.STEP:
            self._print(hook, op=info.operation_id, **members)

    def on_invocation_start(self, info: InvocationStartInfo) -> None:
        self._print("invocation-start", first=info.is_first_invocation)

    def on_invocation_end(self, info: InvocationEndInfo) -> None:
        self._print("invocation-end", status=info.status.value)

    def on_operation_start(self, info: OperationStartInfo) -> None:
        self._print_of_a_step("operation-start", info)

    def on_operation_end(self, info: OperationEndInfo) -> None:
        self._print_of_a_step("operation-end", info, status=info.status.value)

    def on_user_function_start(self, info: UserFunctionStartInfo) -> None:
        self._print_of_a_step("attempt-start", info, n=info.attempt)

    def on_user_function_end(self, info: UserFunctionEndInfo) -> None:
        self._print_of_a_step("attempt-end", info, n=info.attempt, outcome=info.outcome.value)


class Printer:
    """What makes one of the plugins above for each invocation."""

    def __init__(
        self, *hooks: str, name: str = "CONFPLUGIN", members: bool = True, fails: bool = False
    ) -> None:
        self._hooks = hooks
        self._name = name
        self._members = members
        self._fails = fails

    def create_plugin(self, info: InvocationStartInfo, /) -> Printing:
        return Printing(self._name, info.execution_arn, self._hooks, members=self._members, fails=self._fails)


def greet(name: str) -> Callable[[StepContext], str]:
    return lambda _: f"Hello, {name}!"


@handler.fulfils("10-1", plugins=[Printer("invocation")])
def invocation_hooks(event: str, context: DurableContext) -> str:
    def logged(step: StepContext) -> str:
        step.logger.info(f"Greeting step running for: {event}")
        return f"Hello, {event}!"

    return context.step(logged)


@handler.fulfils("10-2", plugins=[Printer("operation")])
def operation_hooks(event: str, context: DurableContext) -> str:
    return context.step(greet(event))


@handler.fulfils("10-3", plugins=[Printer("attempt")])
def attempt_hooks(event: None, context: DurableContext) -> str:
    def work(step: StepContext) -> str:
        if step.attempt == 1:
            raise ConnectionError("not yet")
        return "Operation succeeded"

    return context.step(work, config=StepConfig(retry_strategy=retried(2)))


@handler.fulfils(
    "10-4",
    plugins=[
        Printer("invocation", "operation", "attempt", name="CONFPLUGIN-FAULTY", members=False, fails=True)
    ],
)
def failing_hooks(event: str, context: DurableContext) -> str:
    return context.step(greet(event))


@handler.fulfils(
    "10-5", plugins=[Printer("invocation", name="CONFPLUGIN-A"), Printer("invocation", name="CONFPLUGIN-B")]
)
def two_plugins(event: str, context: DurableContext) -> str:
    return context.step(greet(event))


@handler.fulfils("10-6", plugins=[Printer("invocation")])
def first_and_replayed(event: None, context: DurableContext) -> None:
    context.wait(seconds(2))


@handler.fulfils("10-7", plugins=[Printer("invocation")])
def failed(event: None, context: DurableContext) -> None:
    context.step(fail, config=NO_RETRY)
