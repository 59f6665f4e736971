"""Tables of what functions are fed from and write to: queues, topics, buckets, streams, tables, `[s3]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from engine.config.problems import Place, Problem, show, validated
from engine.core.destinations import ArnParts, expanded, target_of
from engine.core.function import Account, Function
from engine.core.late_dataclass import dataclass
from engine.core.table import SettingsTable
from engine.services.s3.bucket_names import bucket_problem
from engine.services.s3.settings import BucketSettings, S3Settings
from engine.services.sqs.settings import QUEUE_NAME, QUEUE_NAME_RULE, QueueSettings, queue_problems

Model = TypeVar("Model", bound=SettingsTable)

RESOURCE_TABLES: Final = ("queues", "topics", "buses", "rules", "buckets", "streams", "tables", "s3")
_STREAM_KEYS: Final[Mapping[str, str]] = {"kinesis": "stream", "dynamodb": "table"}
"""Types of events that read streams, and the key that names what they read."""
_BUS: Final = "event-bus/"
_DESTINATIONS: Final = ("on_success", "on_failure", "dead_letter_queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What there is besides functions.

    Attributes:
        queues, topics, buckets: By name: those with a table, and those that others name. Topics have
            `TopicSettings`, which are imported only if there is one.
        buses, rules: By name: those with a table. They have `BusSettings` and `RuleSettings`, which are
            imported only if there is one.
        streams, tables: By name: what the partner is to have, `DataStreamSettings` and `TableSettings`, which
            are imported only if there is one.
        s3: `[s3]`.
    """

    queues: Mapping[str, QueueSettings] = field(default_factory=dict)
    topics: Mapping[str, Any] = field(default_factory=dict)
    buckets: Mapping[str, BucketSettings] = field(default_factory=dict)
    buses: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    streams: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    s3: S3Settings = field(default_factory=S3Settings)


class EventSettings(NamedTuple):
    """The settings of one event, and where it stands."""

    place: Place
    settings: Any


class Destination(NamedTuple):
    """Where events go: the key of a function or of an event that says so, and what it names."""

    place: Place
    target: ArnParts


def resources(
    document: Mapping[str, Any],
    functions: tuple[Function, ...],
    events: Iterable[EventSettings],
    account: Account,
    problems: list[Problem],
) -> Resources:
    """Read the tables; what is wrong is added to `problems`.

    A destination without a table has defaults, and so has a Kinesis stream that an event names.
    """
    events = tuple(events)
    queues = _named(QueueSettings, document, "queues", problems)
    problems += [Problem(("queues", *place), sentence) for place, sentence in queue_problems(queues)]
    buckets = _named(BucketSettings, document, "buckets", problems)
    problems += [
        Problem(("buckets", name), f"a bucket's name {wrong} (AWS)")
        for name in buckets
        if (wrong := bucket_problem(name)) is not None
    ]
    s3 = validated(S3Settings, _table(document, ("s3",), problems), ("s3",), problems)
    for settings in buckets.values():
        notified = [rule.queue for rule in settings.notifications if rule.queue]
        queues |= {queue: QueueSettings() for queue in notified if queue not in queues}
    named = list(destinations(functions, events, account))
    buses, rules = _event_buses(document, named, events, account, problems)
    topics = _topics(document, named, buckets, queues, problems)
    for place, target in named:
        if target.service == "sqs" and QUEUE_NAME.fullmatch(target.resource) is None:
            problems.append(Problem(place, f"the name of a queue {QUEUE_NAME_RULE}"))
        elif target.service == "sqs":
            queues.setdefault(target.resource, QueueSettings())
        elif target.service == "s3" and (wrong := bucket_problem(target.resource)) is not None:
            problems.append(Problem(place, f"a bucket's name {wrong} (AWS)"))
        elif target.service == "s3":
            buckets.setdefault(target.resource, BucketSettings())
    streams, tables = _of_partner(document, events, account, problems)
    return Resources(
        queues=MappingProxyType(queues),
        topics=MappingProxyType(topics),
        buses=MappingProxyType(buses),
        rules=MappingProxyType(rules),
        buckets=MappingProxyType(buckets),
        streams=MappingProxyType(streams),
        tables=MappingProxyType(tables),
        s3=s3 or S3Settings(),
    )


def _topics(
    document: Mapping[str, Any],
    named: Iterable[Destination],
    buckets: Mapping[str, BucketSettings],
    queues: dict[str, QueueSettings],
    problems: list[Problem],
) -> dict[str, Any]:
    """Topics with a table, as destinations and of buckets. The queues of their subscriptions are added."""
    targets = [(place, target.resource) for place, target in named if target.service == "sns"]
    targets += [
        (("buckets", name, "notifications", number, "topic"), rule.topic)
        for name, settings in buckets.items()
        for number, rule in enumerate(settings.notifications)
        if rule.topic is not None
    ]
    if not targets and "topics" not in document:
        return {}
    from engine.services.sns.settings import TopicSettings, topic_name, topic_problems

    topics: dict[str, TopicSettings] = _named(TopicSettings, document, "topics", problems)
    problems += [Problem(("topics", *place), sentence) for place, sentence in topic_problems(topics)]
    for place, name in targets:
        try:
            topics.setdefault(topic_name(name), TopicSettings())
        except ValueError as error:
            problems.append(Problem(place, str(error)))
    for topic in topics.values():
        for one in topic.subscriptions:
            for queue in (one.queue, one.dead_letter_queue):
                if queue is not None and QUEUE_NAME.fullmatch(queue) is not None:
                    queues.setdefault(queue, QueueSettings())
    return topics


def _event_buses(
    document: Mapping[str, Any],
    named: list[Destination],
    events: Iterable[EventSettings],
    account: Account,
    problems: list[Problem],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Buses with a table or as destinations, and rules. What targets of rules name is added to `named`."""
    if not any(one.target.service == "events" for one in named) and not {"buses", "rules"} & document.keys():
        return {}, {}
    from engine.services.eventbridge.setting_checks import bus_problems, name_clashes
    from engine.services.eventbridge.settings import BusSettings, RuleSettings, bus_name

    buses: dict[str, BusSettings] = _named(BusSettings, document, "buses", problems)
    rules: dict[str, RuleSettings] = _named(RuleSettings, document, "rules", problems)
    of_functions = [(one.place, one.settings) for one in events if _type_of(one) == "eventbridge"]
    found = (*bus_problems(buses, rules), *name_clashes(rules, of_functions))
    problems += [Problem(place, sentence) for place, sentence in found]
    for name, rule in rules.items():
        for number, one in enumerate(rule.targets):
            for key in ("to", "dead_letter_queue"):
                text = getattr(one, key)
                target = None if text is None else target_of(expanded(text, account))
                if target is not None and target[1:3] == (account.region, account.account_id):
                    named.append(Destination(("rules", name, "targets", number, key), target))
    for place, target in named:
        if target.service == "events" and target.resource.startswith(_BUS):
            try:
                buses.setdefault(bus_name(target.resource.removeprefix(_BUS)), BusSettings())
            except ValueError as error:
                problems.append(Problem(place, str(error)))
    return buses, rules


def _of_partner(
    document: Mapping[str, Any], events: Iterable[EventSettings], account: Account, problems: list[Problem]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Streams and tables. What an event reads elsewhere is none of the partner's."""
    read = [(one.place, one.settings) for one in events if _type_of(one) in _STREAM_KEYS]
    if not read and not {"streams", "tables"} & document.keys():
        return {}, {}
    from engine.services.partner.settings import STREAM_NAME, TABLE_NAME, DataStreamSettings, TableSettings

    streams: dict[str, DataStreamSettings] = _named(DataStreamSettings, document, "streams", problems)
    tables: dict[str, TableSettings] = _named(TableSettings, document, "tables", problems)
    problems += [
        Problem((kind, name), f"the name must be {length} of the characters a-z A-Z 0-9 _ . - (AWS)")
        for kind, names, pattern, length in (
            ("streams", streams, STREAM_NAME, "1 to 128"),
            ("tables", tables, TABLE_NAME, "3 to 255"),
        )
        for name in names
        if pattern.fullmatch(name) is None
    ]
    for place, settings in read:
        if not _is_here(settings, account):
            continue
        name = settings.stream_name
        if settings.type == "kinesis":
            streams.setdefault(name, DataStreamSettings())
        elif name in tables and tables[name].stream is None:
            problems.append(Problem((*place, "table"), f"table {name!r} has no stream (its key stream)"))
    return streams, tables


def _type_of(event: EventSettings) -> Any:
    """The type that the settings name, None if they name none."""
    return getattr(event.settings, "type", None)


def _is_here(settings: Any, account: Account) -> bool:
    """Whether an event reads a stream of the partner, in this region and account."""
    if settings.endpoint_url is not None or settings.region not in (None, account.region):
        return False
    target = target_of(getattr(settings, _STREAM_KEYS[settings.type]))
    return target is None or target[1:3] == (account.region, account.account_id)


def destinations(
    functions: Iterable[Function], events: Iterable[EventSettings], account: Account
) -> Iterator[Destination]:
    """All destinations that functions and events name in this region and account, or in none, as buckets."""
    named: list[tuple[Place, Any]] = [
        (("functions", function.name, key), getattr(function, key))
        for function in functions
        for key in _DESTINATIONS
    ]
    named += [
        ((*place, key), getattr(settings, key, None))
        for place, settings in events
        for key in ("on_failure", "dead_letter_queue")
    ]
    for place, text in named:
        target = None if not isinstance(text, str) else target_of(expanded(text, account))
        if target is not None and target[1:3] in ((account.region, account.account_id), ("", "")):
            yield Destination(place, target)


def _named(
    model: type[Model], document: Mapping[str, Any], kind: str, problems: list[Problem]
) -> dict[str, Model]:
    found: dict[str, Model] = {}
    for name in _table(document, (kind,), problems):
        place = (kind, name)
        settings = validated(model, _table(document[kind], place, problems), place, problems)
        if settings is not None:
            found[name] = settings
    return found


def _table(parent: Mapping[str, Any], place: Place, problems: list[Problem]) -> Mapping[str, Any]:
    """The table below `parent` that `place` ends with; an empty one if it is not there, or is none."""
    table = parent.get(str(place[-1]), {})
    if isinstance(table, Mapping):
        return table
    problems.append(Problem(place, f"{show(table)} is not a table"))
    return {}
