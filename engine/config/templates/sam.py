"""An AWS SAM or CloudFormation template as a `Config`.

Which types of resources are read is the table `READERS`. Whatever of them, or of another resource that has
to do with functions, routes or events, is not read becomes a warning (`table`).
Sources: SAM developer guide; CloudFormation reference; both cited where each type is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from engine.config.cfn_document import place_routes, place_urls, spell
from engine.config.configuration import Config, DocumentOrigin, build
from engine.config.overrides import applied
from engine.config.problems import Place, Problem, refuse, show
from engine.config.templates import samconfig
from engine.config.templates.functions import (
    LAMBDA,
    SERVERLESS,
    read_alias,
    read_function,
    read_invoke_config,
    read_layer,
    read_url_resource,
    read_version,
)
from engine.config.templates.intrinsics import Resolver, TooLarge
from engine.config.templates.names import (
    BUCKET,
    DATA_STREAM,
    EVENT_BUS,
    FUNCTION_TYPES,
    KINDS,
    QUEUE,
    STREAM_CONSUMER,
    TABLE_TYPES,
    TOPIC,
)
from engine.config.templates.parameters import Parameters
from engine.config.templates.reading import Template, TemplateReading
from engine.config.templates.routes import (
    include,
    read_http_api,
    read_method,
    read_rest_api,
    read_route,
    read_sam_api,
    read_stage,
)
from engine.config.templates.samconfig import SamConfig
from engine.config.templates.table import UnreadKeys
from engine.config.templates.topic_sources import read_subscription, read_topic
from engine.config.templates.triggers import (
    read_bucket,
    read_bus,
    read_consumer,
    read_log_subscription,
    read_mapping,
    read_queue,
    read_rule,
    read_schedule,
    read_stream,
    read_table,
)
from engine.config.templates.yaml_reader import parse
from engine.config.text_file import read_text
from engine.core.function import Account
from engine.errors import ConfigError

_APPLICATION: Final = "AWS::Serverless::Application"
_STACK: Final = "AWS::CloudFormation::Stack"
_DEEPEST: Final = 5
"""Templates nested in templates: more are taken for a loop."""

READERS: Final[tuple[Mapping[str, Callable[[str, str, Template], None]], ...]] = (
    {"AWS::Serverless::LayerVersion": read_layer, "AWS::Lambda::LayerVersion": read_layer},
    {QUEUE: read_queue, SERVERLESS: read_function, LAMBDA: read_function},
    {TOPIC: read_topic},
    {EVENT_BUS: read_bus},
    {STREAM_CONSUMER: read_consumer},
    {BUCKET: read_bucket, DATA_STREAM: read_stream, **dict.fromkeys(TABLE_TYPES, read_table)},
    {
        "AWS::Serverless::Api": read_sam_api,
        "AWS::Serverless::HttpApi": read_sam_api,
        "AWS::ApiGateway::RestApi": read_rest_api,
        "AWS::ApiGatewayV2::Api": read_http_api,
    },
    {
        "AWS::ApiGateway::Stage": read_stage,
        "AWS::ApiGatewayV2::Stage": read_stage,
    },
    {"AWS::ApiGateway::Deployment": read_stage},
    {
        "AWS::ApiGateway::Method": read_method,
        "AWS::ApiGatewayV2::Route": read_route,
        "AWS::Events::Rule": read_rule,
        "AWS::SNS::Subscription": read_subscription,
        "AWS::Scheduler::Schedule": read_schedule,
        "AWS::Lambda::Alias": read_alias,
        "AWS::Lambda::Version": read_version,
        "AWS::Lambda::EventInvokeConfig": read_invoke_config,
        "AWS::Lambda::EventSourceMapping": read_mapping,
        "AWS::Lambda::Url": read_url_resource,
        "AWS::Logs::SubscriptionFilter": read_log_subscription,
    },
)
"""Types of resources and what reads them, in the order in which one needs another."""

_READ_BY_OTHERS: Final = frozenset(
    {
        "AWS::ApiGateway::Resource",
        "AWS::ApiGatewayV2::Deployment",
        "AWS::ApiGatewayV2::Integration",
        "AWS::CDK::Metadata",
    }
)
_OURS: Final = (
    "AWS::ApiGateway",
    "AWS::Events::",
    "AWS::Kinesis::",
    "AWS::Lambda::",
    "AWS::Pipes::",
    "AWS::S3::",
    "AWS::SNS::",
    "AWS::SQS::",
    "AWS::Scheduler::",
    "AWS::Serverless::",
)
"""Beginnings of types that have to do with functions, routes or events, whatever they say."""

_UNCHECKED: Final = ("Permission", "Policy", "Authorizer", "ApiKey", "Connector", "ResourcePolicy")
_SECTIONS: Final = frozenset(
    {"AWSTemplateFormatVersion", "Conditions", "Description", "Globals", "Mappings", "Metadata", "Outputs"}
    | {"Parameters", "Resources", "Rules"}
)
_TRANSFORMS: Final = ("AWS::Serverless-2016-10-31", "AWS::LanguageExtensions")
_ATTRIBUTES: Final = ("Type", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy")
_WRAPPING: Final = ("Metadata", "CreationPolicy", "UpdatePolicy")
_TOLERANT: Final = ("Environment", "Tags", "Layers")
"""Properties in which a stand-in does no harm: a warning is enough."""


def load(
    path: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Config:
    """The `Config` of a template.

    Args:
        path: The file.
        overrides: Keys of `[engine]` and of every function.
        parameters: Values of the template's parameters.

    Raises:
        ConfigError: Not readable, not YAML or JSON, no template, or not a valid configuration.
    """
    name = os.fspath(path)
    given = dict(overrides or {})
    reading = TemplateReading(_account(given))
    project = samconfig.beside(name)
    try:
        _read_template(name, parameters or {}, reading, project=project)
    except (TooLarge, RecursionError) as error:
        raise ConfigError(
            (f"{name}: nested too deeply, or too large once its aliases are followed",)
        ) from error
    built = samconfig.newer_build(name)
    if built is not None:
        reading.warnings.append(f"{name}: not what `sam build` made of it: that is {built}, if you name it")
    place_routes(reading)
    place_urls(reading)
    functions = {name: draft.table for name, draft in reading.functions.items()}
    if not functions and reading.expected:
        refuse(reading.problems, {})
        notes = dict.fromkeys(reading.warnings)
        raise ConfigError((f"{name}: no function in it can be run here", *notes))
    origin = DocumentOrigin(
        folder=os.path.dirname(os.path.abspath(path)),
        spell=lambda place: spell(place, reading.places),
        problems=tuple(reading.problems),
        warnings=tuple(dict.fromkeys(reading.warnings)),
    )
    document = {"functions": functions}
    document |= {kind: tables for kind, tables in reading.resources.items() if tables}
    return build(applied(document, given), origin)


def _account(overrides: Mapping[str, Any]) -> Account:
    given = {key: overrides[key] for key in ("region", "account_id") if isinstance(overrides.get(key), str)}
    return Account(**given)


# ---------------------------------------------------------------- one template


def _read_template(
    path: str,
    given: Mapping[str, Any],
    reading: TemplateReading,
    prefix: Place = (),
    project: SamConfig | None = None,
) -> Callable[[str], Any]:
    """Read all of one file into `reading`; returns what reads its outputs by name."""
    document = parse(path, read_text(path))
    if not isinstance(document, Mapping) or not isinstance(document.get("Resources"), Mapping):
        raise ConfigError((f"{path}: not a SAM or CloudFormation template: it has no Resources",))
    if project is not None:
        given = {**_of_project(project, document.get("Parameters"), reading), **given}
    parameters = Parameters(document.get("Parameters"), given, prefix)
    reading.problems += parameters.problems()
    folder = os.path.dirname(os.path.abspath(path))
    stacks: dict[str, Callable[[str], Any]] = {}
    resolver = Resolver(
        document,
        reading.account,
        parameters,
        prefix,
        outputs=lambda logical, name: stacks[logical](name),
        include=lambda location: include(location, folder),
    )
    ledger = UnreadKeys(resolver)
    section = document.get("Globals")
    defaults = ledger.table(section if isinstance(section, Mapping) else {}, (*prefix, "Globals"))
    template = Template(reading, resolver, ledger, folder, prefix, defaults)
    _read_sections(document, template)
    kinds = _present(document["Resources"], template)
    _name_apart(kinds, template)
    for logical, kind in kinds.items():
        if kind in (_APPLICATION, _STACK):
            stacks[logical] = _read_nested(logical, kind, template)
    for readers in READERS:
        for logical, kind in kinds.items():
            if kind in readers:
                readers[kind](logical, kind, template)
    _tell_others(kinds, document["Resources"], template)
    _judge(template, parameters)
    outputs = document.get("Outputs")

    def output(name: str) -> Any:
        found = outputs[name]["Value"] if isinstance(outputs, Mapping) else None
        return resolver.value(found, (*prefix, "Outputs", name))

    return output


def _of_project(project: SamConfig, section: Any, reading: TemplateReading) -> dict[str, str]:
    """The values of samconfig.toml for parameters that the template has; it may be of several templates."""
    known = section if isinstance(section, Mapping) else {}
    unknown = [name for name in project.parameters if name not in known]
    if unknown:
        names = ", ".join(unknown)
        reading.warnings.append(f"{project.path}: parameter_overrides: the template has no {names}")
    return {name: value for name, value in project.parameters.items() if name in known}


def _read_sections(document: Mapping[str, Any], template: Template) -> None:
    """Say which parts of a template there are besides what is read of it."""
    transforms = document.get("Transform", [])
    for transform in transforms if isinstance(transforms, list) else [transforms]:
        if transform not in _TRANSFORMS:
            shown = transform if isinstance(transform, str) else show(transform)
            template.reading.warn((*template.prefix, "Transform"), f"{shown} is not done here")
    for section in document:
        if section not in _SECTIONS and section != "Transform" and not str(section).startswith("Fn::"):
            template.reading.warn((*template.prefix, str(section)), "not supported here, ignored")


def _present(raw: Mapping[Any, Any], template: Template) -> dict[str, str]:
    """Open every resource whose condition holds; logical id to type."""
    kinds: dict[str, str] = {}
    for key, resource in template.resolver.unrolled(raw, (*template.prefix, "Resources")).items():
        logical, place = str(key), (*template.prefix, "Resources", str(key))
        if not isinstance(resource, Mapping):
            template.reading.expected = True
            continue
        kind = str(resource.get("Type"))
        template.reading.expected |= kind in FUNCTION_TYPES
        if "Condition" in resource and not template.resolver.condition(resource["Condition"], place):
            if _concerns_us(kind, resource, template):
                sentence = f"left out: its condition {resource['Condition']!r} is false"
                template.reading.warn(place, sentence)
            continue
        kinds[logical] = kind
        table = template.resources[logical] = template.ledger.table(resource, place)
        table.read(*_ATTRIBUTES, *_WRAPPING, *(("IgnoreGlobals",) if kind == SERVERLESS else ()))
    template.resolver.resources |= template.resolver.unrolled(raw, (*template.prefix, "Resources"))
    return kinds


def _name_apart(kinds: Mapping[str, str], template: Template) -> None:
    """What a nested template has without a name of its own gives way to what has that name already."""
    reading, prefix = template.reading, template.prefix
    for logical, kind in kinds.items():
        if kind not in KINDS or KINDS[kind].name_key in template.properties(logical):
            continue
        name, service = template.resolver.physical_name(logical), KINDS[kind].service or KINDS[kind].name_key
        if reading.names_in_use.setdefault((service, name), prefix) != prefix:
            full_name = "-".join((*map(str, prefix[1::2]), name))
            name = template.resolver.rename(logical, full_name.lower() if kind == BUCKET else full_name)
            reading.warn((*prefix, "Resources", logical), f"called {name!r} here: its name is taken")


def _tell_others(kinds: Mapping[str, str], raw: Mapping[Any, Any], template: Template) -> None:
    """Warn of resources of other types that have to do with functions, routes or events."""
    known = {kind for readers in READERS for kind in readers} | {_APPLICATION, _STACK} | _READ_BY_OTHERS
    for logical, kind in kinds.items():
        place = (*template.prefix, "Resources", logical)
        if kind in known:
            continue
        template.ledger.mark_reported(place)
        if _concerns_us(kind, template.resources[logical].source, template):
            why = "not checked here" if kind.endswith(_UNCHECKED) else "not supported here"
            template.reading.warn(place, f"{kind} is {why}, left out")


def _concerns_us(kind: str, resource: Any, template: Template) -> bool:
    return kind.startswith(_OURS) or any(
        logical in _references(resource) for logical in template.function_ids()
    )


def _references(raw: Any, depth: int = 0) -> Iterator[str]:
    """Logical ids that `Ref`, `Fn::GetAtt` and `Fn::Sub` in `raw` may name."""
    if depth > 100:
        raise TooLarge
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            if key == "Ref" and isinstance(value, str):
                yield value.partition(".")[0]
            elif key == "Fn::GetAtt" and value:
                yield str(value[0] if isinstance(value, list) else value).partition(".")[0]
            elif key == "Fn::Sub":
                text = value[0] if isinstance(value, list) and value else value
                yield from (part.partition("}")[0].partition(".")[0] for part in str(text).split("${")[1:])
            yield from _references(value, depth + 1)
    elif isinstance(raw, list):
        for item in raw:
            yield from _references(item, depth + 1)


def _judge(template: Template, parameters: Parameters) -> None:
    """What is known only once deployed is a warning among variables and a problem anywhere else."""
    reading, skip = template.reading, len(template.prefix)
    for place, sentence in dict.fromkeys(template.resolver.doubts):
        if any(place[: len(where)] == where for where in reading.left_out) or template.ledger.is_reported(
            place
        ):
            continue
        inside = place[skip:]
        key = inside[3] if inside[2:3] == ("Properties",) and len(inside) > 3 else None
        if inside[:2] == ("Globals", "Function") and len(inside) > 2:
            key = inside[2]
        if key is not None and key not in _TOLERANT:
            reading.problems.append(Problem(place, sentence))
        else:
            reading.warn(place, sentence)
    for place, sentence in (*template.resolver.notes, *parameters.notes.items()):
        reading.warn(place, sentence)
    reading.warnings += template.ledger.unread()


def _read_nested(logical: str, kind: str, template: Template) -> Callable[[str], Any]:
    """The template that a resource names by its path, with the values it gives to parameters."""
    properties, place = template.properties(logical), (*template.prefix, "Resources", logical)
    key = "Location" if kind == _APPLICATION else "TemplateURL"
    properties.read("TimeoutInMinutes", "NotificationARNs", "Tags")
    location = properties.get(key)
    depth = len(template.prefix) // 2
    if not isinstance(location, str) or location.startswith(("https://", "http://", "s3://")):
        template.leave_out(place, "left out: its template is not on this machine")
    elif depth >= _DEEPEST:
        template.leave_out(place, f"left out: templates are nested more than {_DEEPEST} deep")
    else:
        given = properties.plain("Parameters", {})
        path = os.path.join(template.folder, location)
        try:
            return _read_template(path, given if isinstance(given, Mapping) else {}, template.reading, place)
        except ConfigError as error:
            template.reading.problems += [
                Problem((*place, "Properties", key), text) for text in error.problems
            ]
    return _nothing


def _nothing(name: str) -> Any:
    raise LookupError(name)
