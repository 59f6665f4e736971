"""Functions of a template, and what hangs on them: layers, aliases, URLs, their asynchronous side.

Sources: SAM developer guide, "AWS::Serverless::Function", "AWS::Serverless::LayerVersion"; CloudFormation
reference, "AWS::Lambda::Function", "Alias", "Version", "Url", "EventInvokeConfig", "LayerVersion".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from engine.config.problems import Place, Problem, show
from engine.config.settings import LOG_GROUP
from engine.config.templates.cors import http_cors
from engine.config.templates.event_sources import ASYNC_KEYS
from engine.config.templates.events import read_events
from engine.config.templates.intrinsics import any_text, text
from engine.config.templates.picking import at, picked
from engine.config.templates.reading import FunctionDraft, Template, TemplateUrl
from engine.config.templates.table import TemplateTable, is_table, plain
from engine.core.variables import log_variables
from engine.packages.layers import unfit_runtimes

SERVERLESS: Final = "AWS::Serverless::Function"
LAMBDA: Final = "AWS::Lambda::Function"

KEYS: Final[Mapping[str, str]] = {
    "handler": "Handler",
    "memory_mb": "MemorySize",
    "timeout_s": "Timeout",
    "reserved_concurrency": "ReservedConcurrentExecutions",
    "provisioned_concurrency": "ProvisionedConcurrencyConfig.ProvisionedConcurrentExecutions",
    "architecture": "Architectures",
    "environment": "Environment.Variables",
    "ephemeral_storage_mb": "EphemeralStorage.Size",
    "tags": "Tags",
    "log_group": "LoggingConfig.LogGroup",
    "events": "Events",
    "aliases": "AutoPublishAlias",
    "layers": "Layers",
    "runtime": "Runtime",
    "inline": "InlineCode",
    "durable": "DurableConfig",
    **ASYNC_KEYS,
}
"""Our key to the template's property."""

_DURABLE_KEYS: Final[Mapping[str, str]] = {
    "execution_timeout_s": "ExecutionTimeout",
    "retention_days": "RetentionPeriodInDays",
    "kms_key_arn": "KMSKeyArn",
}
_REMOTE: Final = ("s3://", "https://", "http://")


def read_function(logical: str, kind: str, template: Template) -> None:
    """`AWS::Serverless::Function` or `AWS::Lambda::Function`, as one more table of functions."""
    reading, place = template.reading, (*template.prefix, "Resources", logical, "Properties")
    properties = template.properties(logical)
    if kind == SERVERLESS:
        properties = _with_globals(logical, properties, template)
    excuse = _excuse(properties)
    if excuse:
        template.leave_out(place[:-1], f"{excuse}: left out")
        return
    name = _free_name(logical, properties, template)
    if name is None:
        return
    if "Runtime" not in properties:
        reading.problems.append(Problem((*place, "Runtime"), "is required"))
    draft = FunctionDraft(name, {}, place)
    reading.functions[name] = draft
    reading.places["functions", name] = place
    properties.read("PackageType", "Runtime")
    code = _code(logical, kind, properties, draft, template)
    if code is None:
        del reading.functions[name]  # nothing more can be said of a function whose code is not here
        template.ledger.mark_reported(place)
        return
    draft.table = {
        **code,
        "handler": plain(properties.get("Handler")),
        "memory_mb": number(properties.get("MemorySize")),
        "timeout_s": number(properties.get("Timeout")),
        "reserved_concurrency": number(properties.get("ReservedConcurrentExecutions")),
        "provisioned_concurrency": _provisioned(properties),
        "architecture": _first(properties.get("Architectures")),
        "environment": _texts(_environment(properties)),
        "ephemeral_storage_mb": at(properties.get("EphemeralStorage"), "Size"),
        "tags": _texts(_tags(properties.plain("Tags", {}))),
        "log_group": _log_group(properties),
        "layers": _layers(properties, template),
        "runtime": _python_runtime(properties),
        "durable": _durable(properties, draft, template),
    }
    _read_async(properties, draft, template)
    draft.table = {key: value for key, value in draft.table.items() if value is not None}
    if "AutoPublishAlias" in properties:
        draft.alias = any_text(plain(properties["AutoPublishAlias"]))
        reading.add_alias(draft, draft.alias)
    read_events(properties, draft, template)
    if "FunctionUrlConfig" in properties:
        read_url(properties["FunctionUrlConfig"], draft, draft.alias, (*place, "FunctionUrlConfig"), template)


def _with_globals(logical: str, properties: TemplateTable, template: Template) -> TemplateTable:
    """The properties over `Globals.Function`, but for what the resource's IgnoreGlobals names."""
    ignored = plain(template.resources[logical].get("IgnoreGlobals"))
    defaults = template.defaults("Function")
    if defaults is None or ignored == "*":
        return properties
    return template.ledger.over(properties, defaults, frozenset(ignored if isinstance(ignored, list) else ()))


def _excuse(properties: Mapping[str, Any]) -> str | None:
    """Why a function cannot run here, though nothing is wrong with it."""
    if properties.get("PackageType") == "Image" or "ImageUri" in properties:
        return "it is a container image"
    runtime = str(properties.get("Runtime", "python"))
    if not runtime.startswith("python"):
        return f"its runtime {runtime} is not Python"
    return None


def _free_name(logical: str, properties: TemplateTable, template: Template) -> str | None:
    """What the function is called; None, and a problem, if another one is called that."""
    properties.read("FunctionName")
    name = template.resolver.physical_name(logical)
    namesake = template.reading.functions.get(name)
    if namesake is None:
        return name
    sentence = f"{name!r} is the name of {namesake.place[-2]} too"
    place = (*template.prefix, "Resources", logical, "Properties", "FunctionName")
    template.reading.problems.append(Problem(place, sentence))
    return None


# ---------------------------------------------------------------- code and layers


def _code(
    logical: str, kind: str, properties: TemplateTable, draft: FunctionDraft, template: Template
) -> dict[str, str] | None:
    """`code`, or `inline`, text that is in the template itself. None, and a problem, for neither."""
    key = "CodeUri" if kind == SERVERLESS else "Code"
    template.reading.places["functions", draft.name, "code"] = (*draft.place, key)
    inline = properties.get("InlineCode")
    code = properties.get(key, template.folder) if inline is None else None
    if is_table(code) and "ZipFile" in code:
        inline = code["ZipFile"]
        template.reading.places["functions", draft.name, "inline"] = (*draft.place, key, "ZipFile")
    if inline is not None:
        properties.read(key)
        return {"inline": plain(inline)}
    local = asset(logical, template) or code
    if isinstance(local, str) and not local.startswith(_REMOTE):
        if is_table(code):
            code.read_all()
        return {"code": os.path.join(template.folder, local)}
    if is_table(code):
        code.read_all()
    sentence = "the code is in S3; write the local folder it is built from"
    template.reading.problems.append(Problem((*draft.place, key), sentence))
    return None


def asset(logical: str, template: Template) -> str | None:
    """Where the code lies on this machine, if the tool that made the template (CDK) has noted it."""
    path = _metadata(logical, template).get("aws:asset:path")
    return path if isinstance(path, str) else None


def _metadata(logical: str, template: Template) -> Mapping[str, Any]:
    found = template.resources[logical].get("Metadata")
    return plain(found) if is_table(found) else {}


def _layers(properties: TemplateTable, template: Template) -> list[str] | None:
    found = []
    place = (*properties.place, "Layers")
    for layer in _list(properties.get("Layers")):
        local = template.reading.layers.get(layer) if isinstance(layer, str) else None
        if local is not None:
            found.append(local)
        else:
            shown = layer if isinstance(layer, str) else show(layer)
            template.reading.warn(place, f"left out: {shown} is no layer with local content of this template")
            template.reading.left_out.append(place)
    return found or None


def read_layer(logical: str, kind: str, template: Template) -> None:
    """A layer whose content is on this machine."""
    place = (*template.prefix, "Resources", logical, "Properties")
    properties = template.properties(logical)
    properties.read("LayerName", "LicenseInfo", "RetentionPolicy", "CompatibleArchitectures")
    runtimes = [text(runtime) for runtime in _list(properties.plain("CompatibleRuntimes", []))]
    if sentence := unfit_runtimes(runtimes):
        template.reading.warn((*place, "CompatibleRuntimes"), sentence)
    key = "ContentUri" if kind.startswith("AWS::Serverless") else "Content"
    content = asset(logical, template) or properties.get(key)
    if not isinstance(content, str) or content.startswith(_REMOTE):
        template.leave_out((*place, key), "left out: its content is not a folder or archive on this machine")
        return
    path = os.path.join(template.folder, content)
    if is_table(properties.get(key)):
        properties[key].read_all()
    if not os.path.exists(path):
        template.reading.problems.append(Problem((*place, key), f"no folder or archive {path!r}"))
        return
    built = os.path.isfile(path) or os.path.isdir(os.path.join(path, "python"))
    if "BuildMethod" in _metadata(logical, template) and not built:
        sentence = "it is not built: `sam build`, then name .aws-sam/build/template.yaml"
        template.reading.warn((*place, key), sentence)
    template.reading.layers[template.resolver.value({"Ref": logical}, place)] = path


# ---------------------------------------------------------------- what hangs on functions


def read_alias(logical: str, _kind: str, template: Template) -> None:
    """One more name for a function. There is one version of each here, which all of them stand for."""
    found = _target(logical, "FunctionName", template)
    if found is None:
        return
    draft, properties, _ = found
    properties.read("FunctionVersion")
    template.reading.add_alias(draft, any_text(plain(properties.get("Name", ""))))
    _provision(properties, draft)


def read_version(logical: str, _kind: str, template: Template) -> None:
    """A published version: the function as it is."""
    found = _target(logical, "FunctionName", template)
    if found is not None:
        found[1].read("CodeSha256")
        _provision(found[1], found[0])


def read_invoke_config(logical: str, _kind: str, template: Template) -> None:
    """The asynchronous side of a function."""
    found = _target(logical, "FunctionName", template)
    if found is None:
        return
    draft, properties, _ = found
    properties.read("Qualifier")
    prefix = "EventInvokeConfig."
    keys = {ours: path.removeprefix(prefix) for ours, path in ASYNC_KEYS.items() if path.startswith(prefix)}
    draft.table |= picked(properties, keys)
    for ours, path in keys.items():
        template.reading.places["functions", draft.name, ours] = (*properties.place, *path.split("."))


def read_url_resource(logical: str, _kind: str, template: Template) -> None:
    """`AWS::Lambda::Url`."""
    found = _target(logical, "TargetFunctionArn", template)
    if found is not None:
        draft, properties, qualifier = found
        qualifier = plain(properties.get("Qualifier", qualifier))
        read_url(properties, draft, qualifier, properties.place, template)


def read_url(
    config: Any, draft: FunctionDraft, qualifier: str | None, place: Place, template: Template
) -> None:
    """A Function URL, in the words of `FunctionUrlConfig`."""
    if not is_table(config):
        template.reading.problems.append(Problem(place, f"{show(config)} is not a table"))
        return
    if config.get("AuthType") == "AWS_IAM":
        template.reading.warn((*place, "AuthType"), "not checked here, every request is let in")
    mode = plain(config.get("InvokeMode", "BUFFERED"))
    if mode not in ("BUFFERED", "RESPONSE_STREAM"):
        problem = f"{show(mode)} is not BUFFERED or RESPONSE_STREAM"
        template.reading.problems.append(Problem((*place, "InvokeMode"), problem))
    cors = http_cors(config["Cors"]) if "Cors" in config else None
    template.reading.urls.append(TemplateUrl(draft.name, qualifier, place, cors, mode == "RESPONSE_STREAM"))


def _target(
    logical: str, key: str, template: Template
) -> tuple[FunctionDraft, TemplateTable, str | None] | None:
    """The function that a resource names, its properties, and the alias; None if it is not here."""
    properties = template.properties(logical)
    found = template.reading.find(properties.get(key), properties.place[:-1])
    if found is None:
        template.ledger.mark_reported(properties.place)
        return None
    return found[0], properties, found[1]


def _provision(properties: TemplateTable, draft: FunctionDraft) -> None:
    count = _provisioned(properties)
    if count is not None:
        draft.table["provisioned_concurrency"] = count


def _read_async(properties: TemplateTable, draft: FunctionDraft, template: Template) -> None:
    """EventInvokeConfig and the dead-letter queue; SAM makes the queue of a destination that names none."""
    letters = properties.get("DeadLetterQueue", properties.get("DeadLetterConfig"))
    if is_table(letters):
        letters.read("Type")
    config = properties.get("EventInvokeConfig")
    draft.table |= picked({"DeadLetterQueue": letters, "EventInvokeConfig": config}, ASYNC_KEYS)
    for ours, side in (("on_success", "OnSuccess"), ("on_failure", "OnFailure")):
        table = at(config, f"DestinationConfig.{side}")
        if is_table(table) and table.get("Type") == "SQS" and ours not in draft.table:
            name = f"{draft.place[-2]}EventInvokeConfig{side}Queue"
            template.reading.resources["queues"].setdefault(name, {})
            draft.table[ours] = name


def _python_runtime(properties: TemplateTable) -> str | None:
    """The Runtime, if it says which Python 3; what else it can be is no matter of this."""
    runtime = plain(properties.get("Runtime"))
    return runtime if isinstance(runtime, str) and re.fullmatch(r"python3\.\d{1,2}", runtime) else None


def _provisioned(properties: TemplateTable) -> Any:
    table = properties.get("ProvisionedConcurrencyConfig")
    return number(table.get("ProvisionedConcurrentExecutions")) if is_table(table) else table


# ---------------------------------------------------------------- values


def number(value: Any) -> Any:
    """CloudFormation takes numbers as text too."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        return int(value)
    return plain(value)


def _durable(properties: TemplateTable, draft: FunctionDraft, template: Template) -> Any:
    """`DurableConfig` in the words of engine.toml."""
    table = properties.get("DurableConfig")
    if not is_table(table):
        return plain(table)
    found = {}
    for ours, key in _DURABLE_KEYS.items():
        place = ("functions", draft.name, "durable", ours)
        template.reading.places[place] = (*draft.place, "DurableConfig", key)
        if key in table:
            found[ours] = number(table[key])
    return found


def _first(value: Any) -> Any:
    return plain(value[0] if isinstance(value, list) and len(value) == 1 else value)


def _list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _environment(properties: TemplateTable) -> Any:
    """Its variables, with those that tell of its LoggingConfig."""
    own, config = _variables(properties), properties.get("LoggingConfig")
    told = ("LogFormat", "ApplicationLogLevel")
    found = {key: value for key in told if isinstance(value := at(config, key), str)}
    return {**log_variables(found), **own} if isinstance(own, Mapping) else own


def _log_group(properties: TemplateTable) -> str | None:
    """The name, if it stands there: that of a resource is known only once that is deployed."""
    config = properties.get("LoggingConfig")
    if not is_table(config) or not isinstance(config.source.get("LogGroup"), str):
        return None
    name = config["LogGroup"]
    return name if LOG_GROUP.fullmatch(name) else None


def _variables(properties: TemplateTable) -> Any:
    environment = properties.get("Environment", {})
    return environment.plain("Variables", {}) if is_table(environment) else plain(environment)


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
