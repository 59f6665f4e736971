"""An AWS SAM or CloudFormation template as a `Config`.

Read are `AWS::Serverless::Function` and `AWS::Lambda::Function` (zip, Python), `Globals.Function`, and
the queues and buckets of the template. What has a meaning on AWS that is not kept here becomes a warning.
Sources: SAM developer guide, "AWS::Serverless::Function" and "Globals section"; CloudFormation reference,
"AWS::Lambda::Function".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.config.cfn_yaml import parse
from engine.config.intrinsics import NO_VALUE, Resolver, TooLarge, text
from engine.config.overrides import applied
from engine.config.plan import Config, Origin, build
from engine.config.problems import Place, Problem, dotted, refuse, show
from engine.config.sam_events import events_of, url_events, worth_evaluating
from engine.config.sam_sources import (
    ASYNC_KEYS,
    BUCKET,
    BUCKET_KEYS,
    EVENT_KEYS,
    QUEUE,
    QUEUE_KEYS,
    bucket_table,
    picked,
    queue_table,
)
from engine.config.text_file import read_text
from engine.core.function import Account
from engine.errors import ConfigError

SERVERLESS: Final = "AWS::Serverless::Function"
LAMBDA: Final = "AWS::Lambda::Function"

_UNREAD: Final[Mapping[str, str]] = {
    "AWS::Lambda::EventSourceMapping": "use Events of the function",
    "AWS::Lambda::Url": "use FunctionUrlConfig",
}
"""Resource types that trigger functions and are not read, and what to write instead."""

_IGNORED: Final = ("Layers", "VpcConfig", "FileSystemConfigs", "SnapStart", "ImageConfig")
"""Properties whose absence a handler may notice."""

_KEYS: Final[Mapping[str, str]] = {
    "handler": "Handler",
    "memory_mb": "MemorySize",
    "timeout_s": "Timeout",
    "reserved_concurrency": "ReservedConcurrentExecutions",
    "provisioned_concurrency": "ProvisionedConcurrencyConfig.ProvisionedConcurrentExecutions",
    "architecture": "Architectures",
    "environment": "Environment.Variables",
    "tags": "Tags",
    "events": "Events",
    **ASYNC_KEYS,
}
"""Our key to the template's property."""

_EVENT_KEYS: Final[Mapping[str, str]] = {
    "method": "Method",
    "path": "Path",
    "payload_format": "PayloadFormatVersion",
    **EVENT_KEYS,
}

_TOLERANT: Final = ("Environment", "Tags")
"""Properties in which a stand-in does no harm: a warning is enough."""


@dataclass(slots=True)
class _Reading:
    """What was found in a template so far."""

    resolver: Resolver
    globals: Mapping[str, Any]
    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"queues": {}, "buckets": {}}
    )  # kind -> name -> table
    owners: dict[tuple[str, str], str] = field(default_factory=dict)  # kind and name -> logical id
    logical: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> logical id, type
    places: dict[Place, str] = field(default_factory=dict)  # event of ours -> where the template says it
    urls: dict[str, Place] = field(default_factory=dict)  # function -> its FunctionUrlConfig
    left_out: list[Place] = field(default_factory=list)  # events whose doubts are told already
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def doubted(self, where: Place) -> bool:
        """Whether something at `where` or below could not be known."""
        return any(place[: len(where)] == where for place, _ in self.resolver.doubts)

    def spell(self, place: Place) -> str:
        """Where the template says what stands at `place` of our document."""
        owner = self.owners.get((str(place[0]), str(place[1]))) if len(place) > 1 else None
        if owner is not None:
            ours = {**QUEUE_KEYS, **BUCKET_KEYS}
            path = [ours.get(str(key), str(key)) for key in place[2:]]
            return ".".join(["Resources", owner, "Properties", *path])
        if len(place) < 2 or place[0] != "functions" or place[1] not in self.logical:
            return dotted(place)
        if place[:4] in self.places:
            keys = [_EVENT_KEYS.get(str(key), str(key)) for key in place[4:]]
            return ".".join([self.places[place[:4]], *keys])
        logical, kind = self.logical[str(place[1])]
        if place[2:] == ():
            return f"Resources.{logical}.Properties.FunctionName"
        key = "CodeUri" if kind == SERVERLESS else "Code"
        key = key if place[2] == "code" else _KEYS.get(str(place[2]), str(place[2]))
        return ".".join(["Resources", logical, "Properties", key, *map(str, place[3:])])


def load(path: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None) -> Config:
    """The `Config` of a template. `overrides` are keys of `[engine]` and of every function.

    Raises:
        ConfigError: Not readable, not YAML or JSON, no template, or not a valid configuration.
    """
    name = os.fspath(path)
    template = parse(name, read_text(path))
    if not isinstance(template, Mapping) or not isinstance(template.get("Resources"), Mapping):
        raise ConfigError((f"{name}: not a SAM or CloudFormation template: it has no Resources",))
    given = dict(overrides or {})
    reading = _Reading(Resolver(template, _account(given)), _globals(template))
    try:
        for logical, resource in template["Resources"].items():
            _read_resource(str(logical), resource, reading)
    except (TooLarge, RecursionError) as error:
        raise ConfigError(
            (f"{name}: nested too deeply, or too large once its aliases are followed",)
        ) from error
    _place_urls(reading)
    _judge_doubts(reading)
    if not reading.functions:
        refuse(reading.problems, {})
        notes = dict.fromkeys(reading.warnings)
        raise ConfigError((f"{name}: no function in it can be run here", *notes))
    origin = Origin(
        folder=os.path.dirname(os.path.abspath(path)),
        spell=reading.spell,
        problems=tuple(reading.problems),
        warnings=tuple(dict.fromkeys(reading.warnings)),
    )
    document = {"functions": reading.functions}
    document |= {kind: tables for kind, tables in reading.resources.items() if tables}
    return build(applied(document, given), origin)


def _place_urls(reading: _Reading) -> None:
    """Give each Function URL its routes, when it is known who else wants the catch-all."""
    events = [event for table in reading.functions.values() for event in table.get("events", ())]
    alone = len(reading.urls) == 1 and all(event.get("path") != "$default" for event in events)
    for name, place in reading.urls.items():
        table = reading.functions[name].setdefault("events", [])
        for event in url_events(name, alone=alone):
            reading.places["functions", name, "events", len(table)] = dotted(place)
            table.append(event)
        if not alone:
            reading.warnings.append(f"{dotted(place)}: served at /{name} (one listener, several catch-alls)")


def _judge_doubts(reading: _Reading) -> None:
    """What is known only once deployed is a warning among variables and a problem anywhere else."""
    for place, sentence in reading.resolver.doubts:
        if any(place[: len(where)] == where for where in reading.left_out):
            continue
        if place[2:3] == ("Properties",) and place[3] not in _TOLERANT:
            reading.problems.append(Problem(place, sentence))
        else:
            reading.warnings.append(f"{dotted(place)}: {sentence}")


def _account(overrides: Mapping[str, Any]) -> Account:
    given = {key: overrides[key] for key in ("region", "account_id") if isinstance(overrides.get(key), str)}
    return Account(**given)


def _globals(template: Mapping[str, Any]) -> Mapping[str, Any]:
    section = template.get("Globals")
    function = section.get("Function") if isinstance(section, Mapping) else None
    return function if isinstance(function, Mapping) else {}


def _read_resource(logical: str, resource: Any, reading: _Reading) -> None:
    place = ("Resources", logical)
    kind = str(resource.get("Type")) if isinstance(resource, Mapping) else ""
    if kind in _UNREAD:
        reading.warnings.append(f"{dotted(place)}: {kind} is left out; {_UNREAD[kind]}")
    if kind not in (SERVERLESS, LAMBDA, QUEUE, BUCKET):
        return
    if "Condition" in resource and not reading.resolver.condition(resource["Condition"], place):
        reading.warnings.append(
            f"{dotted(place)}: left out: its condition {resource['Condition']!r} is false"
        )
        return
    raw = resource.get("Properties", {})
    if not isinstance(raw, Mapping):
        reading.problems.append(Problem((*place, "Properties"), f"{show(raw)} is not a table"))
        return
    if kind in (QUEUE, BUCKET):
        _add_resource(logical, kind, raw, reading)
        return
    merged = _merged(reading.globals, raw) if kind == SERVERLESS else raw
    wanted = {key: value for key, value in merged.items() if key in _read_keys(kind)}
    if "Events" in wanted:
        wanted["Events"] = worth_evaluating(wanted["Events"])
    properties = reading.resolver.value(wanted, (*place, "Properties"))
    excuse = _excuse(properties)
    if excuse:
        reading.warnings.append(f"{dotted(place)}: {excuse}: left out")
        return
    for key in _IGNORED:
        if merged.get(key):
            reading.warnings.append(f"{dotted((*place, 'Properties', key))}: not supported here, ignored")
    _add_function(logical, kind, properties, reading)


def _read_keys(kind: str) -> frozenset[str]:
    common = {"Architectures", "Environment", "FunctionName", "Handler", "MemorySize", "PackageType"}
    common |= {"ReservedConcurrentExecutions", "Runtime", "Tags", "Timeout"}
    own = {"CodeUri", "InlineCode", "ImageUri", "ProvisionedConcurrencyConfig", "FunctionUrlConfig", "Events"}
    own |= {"EventInvokeConfig", "DeadLetterQueue"}
    return frozenset(common | (own if kind == SERVERLESS else {"Code", "DeadLetterConfig"}))


def _add_resource(logical: str, kind: str, raw: Mapping[str, Any], reading: _Reading) -> None:
    """A queue or bucket. Properties that are not read may say anything."""
    ours, keys, table, own = "queues", QUEUE_KEYS, queue_table, "QueueName"
    if kind == BUCKET:
        ours, keys, table, own = "buckets", BUCKET_KEYS, bucket_table, "BucketName"
    read = {path.partition(".")[0] for path in keys.values()}
    place = ("Resources", logical, "Properties")
    properties = reading.resolver.value({key: value for key, value in raw.items() if key in read}, place)
    name = reading.resolver.value({"Ref": logical}, (*place, own))
    reading.resources[ours][name] = table(properties)
    reading.owners[ours, name] = logical


def _merged(base: Any, own: Any) -> Any:
    """Globals under the function's own: tables are merged, anything else is replaced."""
    if isinstance(base, Mapping) and isinstance(own, Mapping):
        if len(own) == 1 and str(next(iter(own))).startswith(("Fn::", "Ref")):
            return own
        return {**base, **{key: _merged(base.get(key, NO_VALUE), value) for key, value in own.items()}}
    return own


def _excuse(properties: Mapping[str, Any]) -> str | None:
    """Why a function cannot run here, though nothing is wrong with it."""
    if properties.get("PackageType") == "Image" or "ImageUri" in properties:
        return "it is a container image"
    runtime = str(properties.get("Runtime", "python"))
    if not runtime.startswith("python"):
        return f"its runtime {runtime} is not Python"
    return None


def _add_function(logical: str, kind: str, properties: Mapping[str, Any], reading: _Reading) -> None:
    name = properties.get("FunctionName", logical)
    name = name if isinstance(name, str) else str(name)
    place = ("Resources", logical, "Properties")
    if name in reading.functions:
        other = reading.logical[name][0]
        reading.problems.append(Problem((*place, "FunctionName"), f"{name!r} is the name of {other} too"))
        return
    if "Runtime" not in properties:
        reading.problems.append(Problem((*place, "Runtime"), "is required"))
    reading.logical[name] = (logical, kind)
    environment = properties.get("Environment", {})
    variables = environment.get("Variables", {}) if isinstance(environment, Mapping) else environment
    provisioned = properties.get("ProvisionedConcurrencyConfig", {})
    code = _code(kind, properties, place, reading)
    if code is None:
        return  # nothing more can be said of a function whose code is not here
    table = {
        "handler": properties.get("Handler"),
        "code": code,
        "memory_mb": _number(properties.get("MemorySize")),
        "timeout_s": _number(properties.get("Timeout")),
        "reserved_concurrency": _number(properties.get("ReservedConcurrentExecutions")),
        "provisioned_concurrency": _number(provisioned.get("ProvisionedConcurrentExecutions"))
        if isinstance(provisioned, Mapping)
        else provisioned,
        "architecture": _first(properties.get("Architectures")),
        "environment": _texts(variables),
        "tags": _texts(_tags(properties.get("Tags", {}))),
        **picked({"DeadLetterQueue": properties.get("DeadLetterConfig"), **properties}, ASYNC_KEYS),
    }
    table = {key: value for key, value in table.items() if value is not None}
    found = events_of(properties, place)
    reading.warnings += found.warnings
    reading.problems += found.problems
    for where, event in found.events:
        if event["type"] != "http" and reading.doubted(where):
            sentence = "left out: it is from something that is known only once deployed"
            reading.warnings.append(f"{dotted(where[:-1])}: {sentence}")
            reading.left_out.append(where)
            continue
        events = table.setdefault("events", [])
        reading.places["functions", name, "events", len(events)] = dotted(where)
        events.append(event)
    reading.functions[name] = table
    if found.url:
        reading.urls[name] = found.url


def _code(kind: str, properties: Mapping[str, Any], place: Place, reading: _Reading) -> str | None:
    """The local code folder; anything else is a problem, and None."""
    key = "CodeUri" if kind == SERVERLESS else "Code"
    code = properties.get(key, ".")
    if "InlineCode" in properties or (isinstance(code, Mapping) and "ZipFile" in code):
        inline = "InlineCode" if "InlineCode" in properties else "Code.ZipFile"
        sentence = f"code inside the template cannot be run; put it into a file and name its folder in {key}"
        reading.problems.append(Problem((*place, inline), sentence))
    elif not isinstance(code, str) or code.startswith(("s3://", "https://")):
        sentence = "the code is in S3; write the local folder it is built from"
        reading.problems.append(Problem((*place, key), sentence))
    else:
        return code
    return None


def _number(value: Any) -> Any:
    """CloudFormation takes numbers as text too."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        return int(value)
    return value


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _texts(table: Any) -> Any:
    """Scalars become text, as on deployment; what cannot is left for the check that names it."""
    if not isinstance(table, Mapping):
        return table
    scalar = (str, bool, int, float)
    return {key: text(value) if isinstance(value, scalar) else value for key, value in table.items()}


def _tags(tags: Any) -> Any:
    """CloudFormation has a list of Key and Value where SAM has a table."""
    if isinstance(tags, list) and all(isinstance(tag, Mapping) and "Key" in tag for tag in tags):
        return {str(tag["Key"]): tag.get("Value", "") for tag in tags}
    return tags
