"""Durable functions that suite 5 invokes."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution


@durable_execution
def echo(event: Any, context: DurableContext) -> Any:
    return event


@durable_execution
def raising(event: Any, context: DurableContext) -> None:
    raise RuntimeError("the target fails")
