"""Streams of a template in our words: events of functions, Kinesis streams, and DynamoDB tables.

The stream of a table is known by the table: what else stands in its ARN is known once there is the table.
Source: SAM developer guide, "Kinesis", "DynamoDB", "AWS::Serverless::SimpleTable"; CloudFormation reference,
"AWS::Kinesis::Stream", "AWS::DynamoDB::Table".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.config.templates.picking import Table, at, items, picked, tags_of
from engine.config.templates.table import is_table, plain

STREAM_EVENT_KEYS: Final[Mapping[str, str]] = {
    "stream": "Stream",
    "table": "Stream",
    "starting_position": "StartingPosition",
    "starting_position_timestamp_s": "StartingPositionTimestamp",
    "parallelization_factor": "ParallelizationFactor",
    "maximum_retry_attempts": "MaximumRetryAttempts",
    "maximum_record_age_s": "MaximumRecordAgeInSeconds",
    "bisect_batch_on_function_error": "BisectBatchOnFunctionError",
    "tumbling_window_s": "TumblingWindowInSeconds",
    "on_failure": "DestinationConfig.OnFailure.Destination",
}
"""Our key of an event to the template's property, besides those that events of queues have."""
_SHARED_KEYS: Final[Mapping[str, str]] = {
    "batch_size": "BatchSize",
    "maximum_batching_window_s": "MaximumBatchingWindowInSeconds",
    "enabled": "Enabled",
}
_NO_EFFECT: Final = ("KmsKeyArn", "MetricsConfig", "LoggingConfig", "Tags")
"""Nothing is encrypted, and metrics are there without."""
_ON_DEMAND_SHARDS: Final = 4
"""Recorded: a stream on demand begins with so many."""
STREAM_KEYS: Final[Mapping[str, str]] = {"shards": "ShardCount", "retention_hours": "RetentionPeriodHours"}
TABLE_KEYS: Final[Mapping[str, str]] = {
    "partition_key": "KeySchema",
    "sort_key": "KeySchema",
    "stream": "StreamSpecification.StreamViewType",
}
_INDEXES: Final = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
_OF_AN_INDEX: Final = ("IndexName", "KeySchema", "Projection")
_THROUGHPUT: Final = ("BillingMode", "ProvisionedThroughput")
"""Of tables and their indexes: here there is no limit to reach."""
_SIMPLE_TYPES: Final[Mapping[str, str]] = {"String": "S", "Number": "N", "Binary": "B"}


def stream_name(reference: Any) -> Any:
    """The name of the stream or table in an ARN; what is none is left as it is."""
    if not isinstance(reference, str) or not reference.startswith("arn:"):
        return reference
    return reference.rpartition(":table/" if ":dynamodb:" in reference else ":stream/")[2].partition("/")[0]


def kinesis_event(settings: Mapping[str, Any]) -> Table:
    """An event of type `kinesis`."""
    event = picked(settings, {"starting_position_timestamp_s": "StartingPositionTimestamp"})
    return {"type": "kinesis", **_event(settings, "stream"), **event}


def dynamodb_event(settings: Mapping[str, Any]) -> Table:
    """An event of type `dynamodb`."""
    return {"type": "dynamodb", **_event(settings, "table")}


def _event(settings: Mapping[str, Any], key: str) -> Table:
    keys = {name: path for name, path in STREAM_EVENT_KEYS.items() if path[:6] not in ("Stream", "Starti")}
    event = picked(settings, {**keys, **_SHARED_KEYS, "starting_position": "StartingPosition"})
    if "Stream" in settings:
        event[key] = stream_name(plain(settings["Stream"]))
    if "ReportBatchItemFailures" in items(settings.get("FunctionResponseTypes")):
        event["report_batch_item_failures"] = True
    filters = [at(pattern, "Pattern") for pattern in items(at(settings, "FilterCriteria.Filters"))]
    if filters:
        event["filters"] = filters
    at(settings, "DestinationConfig.OnFailure.Type")  # is in the destination's ARN, too
    for name in _NO_EFFECT:
        plain(settings.get(name))
    return event


def stream_table(properties: Mapping[str, Any]) -> Table:
    """`[streams.NAME]`."""
    table = {**picked(properties, STREAM_KEYS), **tags_of(properties)}
    if at(properties, "StreamModeDetails.StreamMode") == "ON_DEMAND":
        table.setdefault("shards", _ON_DEMAND_SHARDS)
    return table


def table_table(properties: Mapping[str, Any]) -> Table:
    """`[tables.NAME]`, of either type. A key without a name is left out."""
    table = tags_of(properties)
    if "KeySchema" not in properties:
        key = properties.get("PrimaryKey", {})
        kind = _SIMPLE_TYPES.get(_text(key, "Type"), "S")
        return {"partition_key": f"{_text(key, 'Name') or 'id'}:{kind}", **table}
    attributes = items(properties.get("AttributeDefinitions"))
    kinds = {_text(one, "AttributeName"): _text(one, "AttributeType") for one in attributes}
    for one in items(properties["KeySchema"]):
        name = _text(one, "AttributeName")
        if name:
            ours = "sort_key" if _text(one, "KeyType") == "RANGE" else "partition_key"
            table[ours] = f"{name}:{kinds.get(name, 'S')}"
    view = at(properties, "StreamSpecification.StreamViewType")
    if view is not None:
        table["stream"] = plain(view)
    _leave_throughput(properties)
    indexes = {kind: _indexes(items(properties[kind])) for kind in _INDEXES if kind in properties}
    if indexes:
        table["create_table"] = {"AttributeDefinitions": plain(attributes), **indexes}
    return table


def _text(table: Any, key: str) -> str:
    """What stands there, as text; empty if it is no scalar."""
    found = at(table, key)
    return str(found) if isinstance(found, str | int) else ""


def _indexes(indexes: list[Any]) -> list[Any]:
    for index in indexes:
        _leave_throughput(index)
    return [picked(index, {name: name for name in _OF_AN_INDEX}) for index in indexes]


def _leave_throughput(table: Any) -> None:
    if is_table(table):
        table.read(*_THROUGHPUT)
