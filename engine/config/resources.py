"""The tables `[queues.NAME]`, `[buckets.NAME]` and `[s3]`: what functions are fed from, and write to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

RESOURCE_TABLES: Final = ("queues", "buckets", "s3")
_DESTINATIONS: Final = ("on_success", "on_failure", "dead_letter_queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What there is besides functions.

    Attributes:
        queues, buckets: By name: those with a table, and those that functions have as destinations.
        s3: `[s3]`.
    """

    queues: Mapping[str, QueueSettings] = field(default_factory=dict)
    buckets: Mapping[str, BucketSettings] = field(default_factory=dict)
    s3: S3Settings = field(default_factory=S3Settings)


class Destination(NamedTuple):
    """Where a function's asynchronous events go: the key that says so, and what it names."""

    place: Place
    target: ArnParts


def resources(
    document: Mapping[str, Any], functions: tuple[Function, ...], account: Account, problems: list[Problem]
) -> Resources:
    """Read the tables; what is wrong is added to `problems`. A destination without a table has defaults."""
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
        queues |= {rule.queue: QueueSettings() for rule in settings.notifications if rule.queue not in queues}
    for place, target in destinations(functions, account):
        if target.service == "sqs" and QUEUE_NAME.fullmatch(target.resource) is None:
            problems.append(Problem(place, f"the name of a queue {QUEUE_NAME_RULE}"))
        elif target.service == "sqs":
            queues.setdefault(target.resource, QueueSettings())
        elif target.service == "s3" and (wrong := bucket_problem(target.resource)) is not None:
            problems.append(Problem(place, f"a bucket's name {wrong} (AWS)"))
        elif target.service == "s3":
            buckets.setdefault(target.resource, BucketSettings())
    return Resources(
        queues=MappingProxyType(queues), buckets=MappingProxyType(buckets), s3=s3 or S3Settings()
    )


def destinations(functions: tuple[Function, ...], account: Account) -> Iterator[Destination]:
    """All that functions name as destinations in this region and account, or in none, as buckets are."""
    for function in functions:
        for key in _DESTINATIONS:
            text = getattr(function, key)
            target = None if text is None else target_of(expanded(text, account))
            if target is not None and target[1:3] in ((account.region, account.account_id), ("", "")):
                yield Destination(("functions", function.name, key), target)


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
