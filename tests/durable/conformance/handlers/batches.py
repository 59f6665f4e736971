"""What the suites of parallel branches and of maps use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_durable_execution_sdk_python import BatchResult, DurableContext


def fail(_: DurableContext) -> Any:
    raise ValueError("this one always fails")


def giving(value: Any) -> Callable[[DurableContext], Any]:
    """A branch that returns that value."""
    return lambda _: value


def stepping(value: Any) -> Callable[[DurableContext], Any]:
    """A branch with one step, which returns that value."""
    return lambda branch: branch.step(lambda _: value)


def summary(batch: BatchResult[Any], *members: str) -> dict[str, Any]:
    """How it ended, by the names that the requirements have for it."""
    everything = {
        "completionReason": batch.completion_reason.value,
        "status": batch.status.value,
        "successCount": batch.success_count,
        "failureCount": batch.failure_count,
        "totalCount": batch.total_count,
    }
    return {name: everything[name] for name in members or everything}
