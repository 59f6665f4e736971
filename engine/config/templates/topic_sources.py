"""Topics of a template and who subscribes to them, in our words: functions, queues, HTTP endpoints.

Source: SAM developer guide, "SNS", "SqsSubscriptionObject"; CloudFormation reference, "AWS::SNS::Topic",
"AWS::SNS::Subscription".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.config.problems import Place, Problem
from engine.config.templates.picking import Table, at, filters_of, items, json_of, picked, tags_of
from engine.config.templates.reading import FunctionDraft, Template
from engine.config.templates.table import TemplateTable, is_table, plain

SNS_EVENT_KEYS: Final[Mapping[str, str]] = {
    "topic": "Topic",
    "filter_policy": "FilterPolicy",
    "filter_policy_scope": "FilterPolicyScope",
    "dead_letter_queue": "RedrivePolicy",
}
"""Our key of an event to the property of SAM's."""
TOPIC_KEYS: Final[Mapping[str, str]] = {
    "display_name": "DisplayName",
    "content_based_deduplication": "ContentBasedDeduplication",
    "throughput_scope": "FifoThroughputScope",
    "subscriptions": "Subscription",
}
_DEPLOYED: Final = "left out: it is from something that is known only once deployed"
_NO_FUNCTION: Final = "subscriptions by {} are not supported, left out"


def sns_event(settings: TemplateTable, event: str, draft: FunctionDraft, template: Template) -> None:
    """An event `SNS` of a function: the topic invokes it, or fills a queue that it polls."""
    topic, place = _name(plain(settings.get("Topic"))), settings.place
    settings.read("Region")
    through = settings.get("SqsSubscription")
    policy = _policy(settings)
    if template.doubted(place):
        template.leave_out(place[:-1], _DEPLOYED)
        return
    if not isinstance(topic, str):
        template.reading.problems.append(_no_topic(topic, (*place, "Topic")))
        return
    if not is_table(through) and str(through).lower() != "true":
        template.reading.add_event(draft, {"type": "sns", "topic": topic, **policy}, place, draft.alias)
        return
    polled: Table = {"type": "sqs", "queue": f"{draft.place[-2]}{event}Queue"}
    if is_table(through):
        through.read("QueueUrl", "QueuePolicyLogicalId")
        polled |= picked(through, {"queue": "QueueArn", "batch_size": "BatchSize", "enabled": "Enabled"})
    template.reading.add_event(draft, polled, place, draft.alias)
    _subscribe(topic, {"queue": _name(polled["queue"]), **policy}, place, template)


def read_topic(logical: str, _kind: str, template: Template) -> None:
    """`AWS::SNS::Topic`, and who subscribes in it."""
    properties = template.properties(logical)
    properties.read("TopicName", "FifoTopic")
    name = template.resolver.physical_name(logical)
    keys = {key: path for key, path in TOPIC_KEYS.items() if key != "subscriptions"}
    topics, place = template.reading.resources["topics"], properties.place
    topics[name] = {**topics.get(name, {}), **picked(properties, keys), **tags_of(properties)}
    template.reading.places["topics", name] = place
    for one in items(properties.get("Subscription")):
        if is_table(one):
            _read_subscriber(name, one, one.place, template)


def read_subscription(logical: str, _kind: str, template: Template) -> None:
    """`AWS::SNS::Subscription`."""
    properties = template.properties(logical)
    topic = _name(plain(properties.get("TopicArn")))
    properties.read("Region")
    if topic is None or template.doubted((*properties.place, "TopicArn")):
        template.leave_out(properties.place[:-1], _DEPLOYED)
    elif not isinstance(topic, str):
        template.reading.problems.append(_no_topic(topic, (*properties.place, "TopicArn")))
    else:
        _read_subscriber(topic, properties, properties.place, template)


def topic_notifications(properties: Mapping[str, Any]) -> list[Table]:
    """What a bucket tells topics."""
    found = items(at(properties, "NotificationConfiguration.TopicConfigurations"))
    return [
        {
            "topic": _name(at(one, "Topic")),
            "events": plain(items(at(one, "Event"))),
            **filters_of(one),
        }
        for one in found
    ]


def _read_subscriber(topic: str, table: TemplateTable, place: Place, template: Template) -> None:
    protocol, endpoint = plain(table.get("Protocol")), plain(table.get("Endpoint"))
    policy = _policy(table)
    if template.doubted((*place, "Endpoint")):
        template.leave_out(place, _DEPLOYED)
    elif protocol == "lambda":
        found = template.reading.find(endpoint, place)
        if found is None:
            template.ledger.mark_reported(place)
            return
        event = {"type": "sns", "topic": topic, **policy}
        template.reading.add_event(found[0], event, place, found[1])
    elif protocol in ("sqs", "http", "https"):
        target = {"queue": _name(endpoint)} if protocol == "sqs" else {"url": endpoint}
        raw = picked(table, {"raw_message_delivery": "RawMessageDelivery"})
        raw = {key: str(value).lower() == "true" for key, value in raw.items()}
        _subscribe(topic, {**target, **raw, **policy}, place, template)
    else:
        template.leave_out(place, _NO_FUNCTION.format(protocol))


def _subscribe(topic: str, subscription: Table, place: Place, template: Template) -> None:
    reading = template.reading
    table = reading.resources["topics"].setdefault(topic, {})
    reading.places.setdefault(("topics", topic), place)
    subscriptions = table.setdefault("subscriptions", [])
    reading.places["topics", topic, "subscriptions", len(subscriptions)] = place
    subscriptions.append(subscription)


def _no_topic(given: Any, place: Place) -> Problem:
    return Problem(place, "is required" if given is None else f"{given!r} is not the ARN of a topic")


def _policy(table: Mapping[str, Any]) -> Table:
    """Which messages, and where those go that cannot be delivered."""
    found = picked(table, {"filter_policy": "FilterPolicy", "filter_policy_scope": "FilterPolicyScope"})
    if "filter_policy" in found:
        found["filter_policy"] = json_of(found["filter_policy"])
    arn = at(json_of(plain(table.get("RedrivePolicy"))), "deadLetterTargetArn")
    return {**found, "dead_letter_queue": _name(arn)} if arn is not None else found


def _name(arn: Any) -> Any:
    """The name in an ARN of a queue or a topic; what is none is left as it is."""
    return arn.rpartition(":")[2] if isinstance(arn, str) and arn.startswith("arn:") else arn
