"""Events of a template that are no HTTP events, and the queues and buckets they come from, in our words.

Source: SAM developer guide, "SQS", "S3", "Schedule", "ScheduleV2", "CloudWatchLogs"; CloudFormation
reference, "AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::Lambda::EventInvokeConfig".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.config.problems import Problem
from engine.config.templates.bus_sources import BUS_EVENT_KEYS, bus_event
from engine.config.templates.picking import (
    Table,
    at,
    constant_of,
    filters_of,
    items,
    json_of,
    picked,
    tags_of,
)
from engine.config.templates.stream_sources import STREAM_EVENT_KEYS, dynamodb_event, kinesis_event
from engine.config.templates.table import TemplateTable, plain

EVENT_KEYS: Final[Mapping[str, str]] = {
    "queue": "Queue",
    "batch_size": "BatchSize",
    "maximum_batching_window_s": "MaximumBatchingWindowInSeconds",
    "maximum_concurrency": "ScalingConfig.MaximumConcurrency",
    "provisioned_pollers": "ProvisionedPollerConfig",
    "filters": "FilterCriteria.Filters",
    "bucket": "Bucket",
    "events": "Events",
    "prefix": "Filter.S3Key.Rules",
    "suffix": "Filter.S3Key.Rules",
    "schedule": "Schedule",
    "time_zone": "ScheduleExpressionTimezone",
    "input": "Input",
    "name": "Name",
    "enabled": "Enabled",
    "group": "LogGroupName",
    "pattern": "FilterPattern",
    **STREAM_EVENT_KEYS,
    **BUS_EVENT_KEYS,
}
"""Our key of an event to the template's property."""

ASYNC_KEYS: Final[Mapping[str, str]] = {
    "maximum_event_age_s": "EventInvokeConfig.MaximumEventAgeInSeconds",
    "maximum_retry_attempts": "EventInvokeConfig.MaximumRetryAttempts",
    "on_success": "EventInvokeConfig.DestinationConfig.OnSuccess.Destination",
    "on_failure": "EventInvokeConfig.DestinationConfig.OnFailure.Destination",
    "dead_letter_queue": "DeadLetterQueue.TargetArn",
}
"""Our key of a function to the template's property."""

QUEUE_KEYS: Final[Mapping[str, str]] = {
    "visibility_timeout_s": "VisibilityTimeout",
    "delay_s": "DelaySeconds",
    "retention_s": "MessageRetentionPeriod",
    "receive_wait_s": "ReceiveMessageWaitTimeSeconds",
    "maximum_message_bytes": "MaximumMessageSize",
    "redrive": "RedrivePolicy",
    "content_based_deduplication": "ContentBasedDeduplication",
    "deduplication_scope": "DeduplicationScope",
    "throughput_limit": "FifoThroughputLimit",
}
BUCKET_KEYS: Final[Mapping[str, str]] = {
    "versioning": "VersioningConfiguration",
    "eventbridge": "NotificationConfiguration.EventBridgeConfiguration",
    "notifications": "NotificationConfiguration.QueueConfigurations",
    "cors": "CorsConfiguration.CorsRules",
}
_CORS_KEYS: Final[Mapping[str, str]] = {
    "id": "Id",
    "origins": "AllowedOrigins",
    "methods": "AllowedMethods",
    "headers": "AllowedHeaders",
    "expose_headers": "ExposedHeaders",
    "max_age_s": "MaxAge",
}


# ---------------------------------------------------------------- events


def _sqs(settings: Mapping[str, Any]) -> Table:
    keys = ("queue", "batch_size", "maximum_batching_window_s", "maximum_concurrency", "enabled")
    event: Table = {"type": "sqs", **picked(settings, {key: EVENT_KEYS[key] for key in keys})}
    if "ReportBatchItemFailures" in items(settings.get("FunctionResponseTypes")):
        event["report_batch_item_failures"] = True
    filters = [at(pattern, "Pattern") for pattern in items(at(settings, "FilterCriteria.Filters"))]
    if filters:
        event["filters"] = filters
    pollers = picked(
        settings.get("ProvisionedPollerConfig"), {"minimum": "MinimumPollers", "maximum": "MaximumPollers"}
    )
    if pollers:
        event["provisioned_pollers"] = pollers
    return event


def _s3(settings: Mapping[str, Any]) -> Table:
    event: Table = {"type": "s3", **picked(settings, {"bucket": "Bucket"}), **filters_of(settings)}
    if "Events" in settings:
        event["events"] = plain(items(settings["Events"]))
    return event


def _rule(settings: Mapping[str, Any]) -> Table:
    return _schedule(settings, "Schedule", "rule")


def _scheduler(settings: Mapping[str, Any]) -> Table:
    event = _schedule(settings, "ScheduleExpression", "scheduler")
    return {**event, **picked(settings, {"time_zone": "ScheduleExpressionTimezone"})}


def _schedule(settings: Mapping[str, Any], expression: str, service: str) -> Table:
    event: Table = {"type": "schedule", "service": service}
    event |= picked(settings, {"schedule": expression, "name": "Name", "enabled": "Enabled"})
    if settings.get("State", "ENABLED") != "ENABLED":
        event["enabled"] = False
    if "Input" in settings:
        event["input"] = constant_of(plain(settings["Input"]))
    return event


def _logs(settings: Mapping[str, Any]) -> Table:
    return {"type": "logs", **picked(settings, {"group": "LogGroupName", "pattern": "FilterPattern"})}


EVENTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Table]]] = {
    "SQS": _sqs,
    "S3": _s3,
    "Schedule": _rule,
    "ScheduleV2": _scheduler,
    "Kinesis": kinesis_event,
    "DynamoDB": dynamodb_event,
    "CloudWatchLogs": _logs,
    "EventBridgeRule": bus_event,
    "CloudWatchEvent": bus_event,
}
"""Types of events, and what makes ours of their properties."""

SOURCE_KEYS: Final[Mapping[str, str]] = {"SQS": "queue", "Kinesis": "stream", "DynamoDB": "table"}
"""Of those that are mappings: our key that names the source."""
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "Kinesis": ("StartingPosition",),
    "DynamoDB": ("StartingPosition",),
    "CloudWatchLogs": ("LogGroupName",),
    "EventBridgeRule": ("Pattern",),
    "CloudWatchEvent": ("Pattern",),
}
"""What AWS has no default for, in the words of the template."""


def missing(kind: str, properties: TemplateTable) -> list[Problem]:
    """A problem for each property that an event of that type needs and has not."""
    needed = _REQUIRED.get(kind, ())
    return [Problem((*properties.place, key), "is required") for key in needed if key not in properties]


# ---------------------------------------------------------------- queues and buckets


def queue_table(properties: Mapping[str, Any]) -> Table:
    """`[queues.NAME]`."""
    table = {**picked(properties, QUEUE_KEYS), **tags_of(properties)}
    if "redrive" in table:
        table["redrive"] = json_of(table["redrive"])  # as text, too
        arn = at(table["redrive"], "deadLetterTargetArn")
        table["redrive"] = {
            "dead_letter_queue": arn.rpartition(":")[2] if isinstance(arn, str) else arn,
            "max_receive_count": at(table["redrive"], "maxReceiveCount"),
        }
    return table


def bucket_table(properties: Mapping[str, Any]) -> Table:
    """`[buckets.NAME]`. Notifications to functions are `Events` of these."""
    table: Table = tags_of(properties)
    if at(properties, "VersioningConfiguration.Status") == "Enabled":
        table["versioning"] = True
    bridge = at(properties, "NotificationConfiguration.EventBridgeConfiguration")
    if bridge is not None and at(bridge, "EventBridgeEnabled") not in (False, "false"):
        table["eventbridge"] = True
    notifications = items(at(properties, "NotificationConfiguration.QueueConfigurations"))
    if notifications:
        table["notifications"] = [
            {
                "queue": str(at(notification, "Queue")).rpartition(":")[2],
                "events": plain(items(at(notification, "Event"))),
                **filters_of(notification),
            }
            for notification in notifications
        ]
    rules = items(at(properties, "CorsConfiguration.CorsRules"))
    if rules:
        table["cors"] = [picked(rule, _CORS_KEYS) for rule in rules]
    return table
