"""Names of sources, executors, scaling policies and observers, and the classes they stand for.

A name is looked up in the tables below, then among the entry points of installed packages, and may
else be `module:Class`. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, Literal

from engine.core.spelling import did_you_mean
from engine.errors import UnknownName

Kind = Literal["source", "executor", "policy", "observer"]

SOURCES: Final[Mapping[str, str]] = {
    "http": "engine.sources.http.source:HttpSource",
    "sqs": "engine.sources.sqs.source:SqsSource",
    "sqs_remote": "engine.sources.sqs.remote_source:RemoteSqsSource",
    "kinesis": "engine.sources.streams.source:KinesisSource",
    "dynamodb": "engine.sources.streams.source:DynamodbSource",
    "s3": "engine.sources.s3.source:S3Source",
    "sns": "engine.sources.sns.source:SnsSource",
    "logs": "engine.sources.logs.source:LogsSource",
    "eventbridge": "engine.sources.eventbridge.source:EventBridgeSource",
    "schedule": "engine.sources.schedule.source:ScheduleSource",
    "replay": "engine.sources.replay.source:ReplaySource",
}
EXECUTORS: Final[Mapping[str, str]] = {
    "loop": "engine.executors.loop:LoopExecutor",
    "thread": "engine.executors.thread:ThreadExecutor",
    "process": "engine.executors.process.parent.executor:ProcessExecutor",
    "runtime": "engine.executors.runtime_api.executor:RuntimeExecutor",
    "cluster": "engine.executors.cluster.executor:ClusterExecutor",
    "ray": "engine.executors.cluster.ray_executor:RayExecutor",
}

POLICIES: Final[Mapping[str, str]] = {
    "sqs": "engine.core.scaling.pollers:SqsPollers",
    "provisioned": "engine.core.scaling.pollers:ProvisionedPollers",
    "knative": "engine.core.scaling.environments:Knative",
    "target": "engine.core.scaling.environments:TargetTracking",
    "deadline": "engine.core.scaling.environments:Deadline",
}

OBSERVERS: Final[Mapping[str, str]] = {"otel": "engine.telemetry.spans:OtelSpans"}

_TABLES: Final[Mapping[Kind, Mapping[str, str]]] = {
    "source": SOURCES,
    "executor": EXECUTORS,
    "policy": POLICIES,
    "observer": OBSERVERS,
}
_GROUPS: Final[Mapping[Kind, str]] = {
    "source": "invocation_engine.sources",
    "executor": "invocation_engine.executors",
    "policy": "invocation_engine.policies",
    "observer": "invocation_engine.observers",
}


def names(kind: Kind) -> tuple[str, ...]:
    """Every name of that kind, sorted: the engine's own and those of installed packages."""
    return tuple(sorted({*_TABLES[kind], *_entry_points(kind)}))


def resolve(kind: Kind, name: str) -> type[Any]:
    """The class `name` stands for; the engine's own names win over entry points.

    Raises:
        UnknownName: `name` is not registered, cannot be imported, or is not a class. The reason
            names the nearest valid name where there is one.
    """
    target = _TABLES[kind].get(name) or _entry_points(kind).get(name)
    if target is None:
        if ":" not in name:
            known = names(kind)
            hint = did_you_mean(name, known)
            raise UnknownName(
                kind, name, f"not registered{hint} (known: {', '.join(known)}, or module:Class)"
            )
        target = name
    return _load(kind, name, target)


def _entry_points(kind: Kind) -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=_GROUPS[kind])}


def _load(kind: Kind, name: str, target: str) -> type[Any]:
    from importlib import import_module

    module_name, _, class_name = target.partition(":")
    if not module_name or module_name.startswith(".") or not class_name.isidentifier():
        raise UnknownName(kind, name, f"{target!r} is not of the form module:Class")
    try:
        module = import_module(module_name)
    # SystemExit and whatever else third-party code raises while it is imported: one clear line instead.
    except (Exception, SystemExit) as error:
        reason = f"module {module_name!r} cannot be imported: {type(error).__name__}: {error}"
        raise UnknownName(kind, name, " ".join(reason.split())) from error
    found = getattr(module, class_name, None)
    if found is None:
        hint = did_you_mean(class_name, vars(module))
        raise UnknownName(kind, name, f"module {module_name!r} has no {class_name!r}{hint}")
    if not inspect.isclass(found):
        raise UnknownName(kind, name, f"{target!r} is not a class")
    return found
