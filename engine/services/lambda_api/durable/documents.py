"""Executions as documents of the API.

Source: Lambda API reference, GetDurableExecution and ListDurableExecutionsByFunction.
"""

from __future__ import annotations

from typing import Any

from engine.core.durable.execution import Execution, PauseDetails
from engine.services.lambda_api.durable_config import document_of as config_document


def execution_document(execution: Execution, *, include_data: bool) -> dict[str, Any]:
    """The answer of GetDurableExecution; without data it has no payload, no error and no reason."""
    document = _common(execution)
    document["Version"] = execution.version
    document["ExecutionDataIncluded"] = include_data
    document["DurableConfig"] = config_document(execution.config)
    if execution.trace is not None:
        document["TraceHeader"] = {"XAmznTraceId": execution.trace}
    if (expected_s := execution.expected_timeout_s) is not None:
        document["ExpectedExecutionTimeoutTimestamp"] = timestamp(expected_s)
    if execution.pause is not None:
        document["PauseDetails"] = _pause(execution.pause, include_data=include_data)
    if include_data:
        document["InputPayload"] = execution.input
        if execution.result is not None:
            document["Result"] = execution.result
        if execution.error is not None:
            document["Error"] = execution.error
    return document


def listed_document(execution: Execution) -> dict[str, Any]:
    """The execution in the answer of ListDurableExecutionsByFunction."""
    document = _common(execution)
    if execution.config.kms_key_arn is not None:
        document["KMSKeyArn"] = execution.config.kms_key_arn
    return document


def timestamp(wall_s: float) -> float:
    """Seconds since the Unix epoch as answers have them: to the millisecond."""
    return round(wall_s, 3)


def _common(execution: Execution) -> dict[str, Any]:
    document: dict[str, Any] = {
        "DurableExecutionArn": execution.arn,
        "DurableExecutionName": execution.name,
        "FunctionArn": execution.function_arn,
        "StartTimestamp": timestamp(execution.started_s),
        "Status": execution.status.value,
    }
    if execution.ended_s is not None:
        document["EndTimestamp"] = timestamp(execution.ended_s)
    return document


def _pause(pause: PauseDetails, *, include_data: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "PauseRequestTimestamp": timestamp(pause.requested_s),
        "ExecutionTimeoutPaused": pause.timeout_paused,
    }
    if include_data and pause.reason is not None:
        document["Reason"] = pause.reason
    return document
