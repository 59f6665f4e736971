"""Resources of a template that invoke functions, and what events come from: queues, buckets, streams, tables.

Sources: CloudFormation reference, "AWS::Events::Rule", "AWS::Events::EventBus",
"AWS::Scheduler::Schedule", "AWS::Lambda::EventSourceMapping", "AWS::SQS::Queue", "AWS::S3::Bucket",
"AWS::Kinesis::Stream", "AWS::Kinesis::StreamConsumer", "AWS::DynamoDB::Table",
"AWS::Logs::SubscriptionFilter".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.config.problems import Place
from engine.config.templates.bus_sources import bus_table, rule_table, rule_target
from engine.config.templates.event_sources import EVENTS, SOURCE_KEYS, bucket_table, missing, queue_table
from engine.config.templates.picking import at
from engine.config.templates.reading import Template
from engine.config.templates.stream_sources import stream_name, stream_table, table_table
from engine.config.templates.table import TemplateTable, is_table
from engine.config.templates.topic_sources import topic_notifications

_MAPPED: Final[Mapping[str, str]] = {"sqs": "SQS", "kinesis": "Kinesis", "dynamodb": "DynamoDB"}
"""Service in the ARN of a source to the type of SAM's event for it."""


def read_rule(logical: str, _kind: str, template: Template) -> None:
    """`AWS::Events::Rule`: with a schedule, an event of each function among its targets; else a rule."""
    properties = template.properties(logical)
    name = properties.get("Name", logical)
    schedule = properties.get("ScheduleExpression")
    own = {"Schedule": schedule, "Name": name, "State": properties.get("State", "ENABLED")}
    is_schedule = "ScheduleExpression" in properties and "EventPattern" not in properties
    found: list[dict[str, Any]] = []
    targets = properties.get("Targets")
    for target in targets if isinstance(targets, list) else ():
        if not is_table(target):
            continue
        target.read("Id", "RoleArn")
        if is_schedule and not _is_service(target.get("Arn")):
            _schedule("Schedule", own, target, template)
        elif _is_here(target, template):
            template.reading.places["rules", str(name), "targets", len(found)] = target.place
            found.append(rule_target(target))
    if found or not is_schedule:
        table = {**rule_table(properties), "targets": found}
        template.reading.resources["rules"][str(name)] = table
        template.reading.places["rules", str(name)] = properties.place


def _is_service(arn: Any) -> bool:
    """Whether it is the ARN of something else than a function."""
    return isinstance(arn, str) and arn.startswith("arn:") and ":lambda:" not in arn


def _is_here(target: TemplateTable, template: Template) -> bool:
    """Whether a rule can have the target; else that is told."""
    arn = target.get("Arn")
    if template.doubted((*target.place, "Arn")):
        template.leave_out(target.place, "left out: it is from something that is known only once deployed")
        return False
    if _is_service(arn) or template.reading.find(arn, target.place) is not None:
        return True
    template.ledger.mark_reported(target.place)
    return False


def read_bus(logical: str, _kind: str, template: Template) -> None:
    """`AWS::Events::EventBus`."""
    properties = template.properties(logical)
    properties.read("Name")
    _add("buses", logical, bus_table(properties), properties.place, template)


def read_schedule(logical: str, _kind: str, template: Template) -> None:
    """`AWS::Scheduler::Schedule`."""
    properties = template.properties(logical)
    window = properties.get("FlexibleTimeWindow")
    if is_table(window):
        window.read("Mode")  # a window has its MaximumWindowInMinutes, too
    own = {
        "ScheduleExpression": properties.get("ScheduleExpression"),
        "ScheduleExpressionTimezone": properties.get("ScheduleExpressionTimezone"),
        "Name": properties.get("Name", logical),
        "State": properties.get("State", "ENABLED"),
    }
    target = properties.get("Target")
    if is_table(target):
        target.read("RoleArn")
        _schedule("ScheduleV2", own, target, template)


def _schedule(kind: str, own: Mapping[str, Any], target: TemplateTable, template: Template) -> None:
    found = template.reading.find(target.get("Arn"), target.place)
    if found is None:
        template.ledger.mark_reported(target.place)
        return
    draft, qualifier = found
    given = {"Input": target["Input"]} if "Input" in target else {}
    settings = {key: value for key, value in own.items() if value is not None} | given
    resource = target.place[: len(template.prefix) + 3]
    elsewhere = {"schedule": (*resource, "ScheduleExpression"), "input": (*target.place, "Input")}
    template.reading.add_event(draft, EVENTS[kind](settings), resource, qualifier, elsewhere)


def read_mapping(logical: str, _kind: str, template: Template) -> None:
    """`AWS::Lambda::EventSourceMapping` of a queue or a stream."""
    properties = template.properties(logical)
    place = properties.place[:-1]
    source = properties.get("EventSourceArn")
    if template.doubted((*properties.place, "EventSourceArn")):
        template.leave_out(place, "left out: it is from something that is known only once deployed")
        return
    kind = _MAPPED.get(source.split(":")[2]) if isinstance(source, str) and source.count(":") > 2 else None
    if kind is None:
        template.leave_out(place, "mappings of anything but queues and streams are not supported, left out")
        return
    found = template.reading.find(properties.get("FunctionName"), place)
    if found is None:
        template.ledger.mark_reported(place)
        return
    template.reading.problems += missing(kind, properties)
    key = SOURCE_KEYS[kind]
    event = {**EVENTS[kind](properties), key: source if key == "queue" else stream_name(source)}
    elsewhere = {key: (*properties.place, "EventSourceArn")}
    template.reading.add_event(found[0], event, properties.place, found[1], elsewhere)


def read_log_subscription(logical: str, _kind: str, template: Template) -> None:
    """`AWS::Logs::SubscriptionFilter` of a function."""
    properties = template.properties(logical)
    place = properties.place[:-1]
    properties.read("RoleArn", "Distribution")
    found = template.reading.find(properties.get("DestinationArn"), place)
    if found is None:
        template.ledger.mark_reported(place)
        return
    event = {**EVENTS["CloudWatchLogs"](properties), "name": properties.get("FilterName", logical)}
    template.reading.problems += missing("CloudWatchLogs", properties)
    elsewhere = {"pattern": (*properties.place, "FilterPattern")}
    template.reading.add_event(found[0], event, properties.place, found[1], elsewhere)


def read_queue(logical: str, _kind: str, template: Template) -> None:
    """`AWS::SQS::Queue`."""
    properties = template.properties(logical)
    properties.read("QueueName", "FifoQueue", "RedriveAllowPolicy")
    _add("queues", logical, queue_table(properties), properties.place, template)


def read_bucket(logical: str, _kind: str, template: Template) -> None:
    """`AWS::S3::Bucket`, and what it tells functions."""
    properties = template.properties(logical)
    properties.read("BucketName")
    table, topics = bucket_table(properties), topic_notifications(properties)
    if topics:
        table["notifications"] = [*table.get("notifications", ()), *topics]
    name = _add("buckets", logical, table, properties.place, template)
    rules = at(properties, "NotificationConfiguration.LambdaConfigurations")
    for rule in rules if isinstance(rules, list) else ():
        if is_table(rule):
            found = template.reading.find(rule.get("Function"), rule.place)
            if found is None:
                template.ledger.mark_reported(rule.place)
                continue
            event = EVENTS["S3"](_as_sam(rule, name))
            template.reading.add_event(found[0], event, rule.place, found[1])


def read_stream(logical: str, _kind: str, template: Template) -> None:
    """`AWS::Kinesis::Stream`."""
    properties = template.properties(logical)
    properties.read("Name")
    _add("streams", logical, stream_table(properties), properties.place, template)


def read_consumer(logical: str, _kind: str, template: Template) -> None:
    """`AWS::Kinesis::StreamConsumer`: a mapping that names it reads its stream, so nothing is made."""
    template.properties(logical).read("StreamARN", "ConsumerName", "Tags")


def read_table(logical: str, _kind: str, template: Template) -> None:
    """`AWS::DynamoDB::Table`, or what SAM makes one of."""
    properties = template.properties(logical)
    properties.read("TableName")
    _add("tables", logical, table_table(properties), properties.place, template)


def _as_sam(rule: TemplateTable, bucket: str) -> dict[str, Any]:
    """A notification of a bucket in the words of SAM's event, which has other names for the same."""
    settings: dict[str, Any] = {"Bucket": bucket}
    if "Event" in rule:
        settings["Events"] = rule["Event"]
    if "Filter" in rule:
        settings["Filter"] = rule["Filter"]
    return settings


def _add(kind: str, logical: str, table: dict[str, Any], place: Place, template: Template) -> str:
    name = template.resolver.physical_name(logical)
    template.reading.resources[kind][name] = table
    template.reading.places[kind, name] = place
    return name
