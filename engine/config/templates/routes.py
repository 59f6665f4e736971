"""APIs of a template and the routes that they name themselves: resources, and OpenAPI documents.

Sources: SAM developer guide, "AWS::Serverless::Api", "AWS::Serverless::HttpApi"; CloudFormation reference,
"AWS::ApiGateway::*", "AWS::ApiGatewayV2::*"; API Gateway Developer Guide, "x-amazon-apigateway-integration".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from engine.config.problems import Place, Problem, show
from engine.config.templates.cors import http_cors, mock_cors, rest_cors
from engine.config.templates.intrinsics import any_text, text
from engine.config.templates.reading import Template, TemplateApi, TemplateRoute
from engine.config.templates.table import TemplateTable, is_table, plain
from engine.config.templates.yaml_reader import parse
from engine.config.text_file import read_text
from engine.errors import ConfigError

_ANY_METHOD: Final = "x-amazon-apigateway-any-method"
_DEFAULT_ROUTE: Final = "$default"
_IMPLICIT: Final = {True: "ServerlessRestApi", False: "ServerlessHttpApi"}
_PROXY: Final = ("AWS_PROXY", "aws_proxy")
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", _ANY_METHOD)
_STAGE_VARIABLE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}")
_LAMBDA_URI = re.compile(
    r"(arn:[^:]+:lambda:[^:]*:[^:]*:function:[^/]+)(?:/(?:response-streaming-)?invocations)?$"
)
_EXTENSION: Final = "x-amazon-apigateway-"


def implicit_api(template: Template, *, rest: bool) -> TemplateApi:
    """The API that SAM makes for events that name none: `Globals` say what there is to say."""
    logical = _IMPLICIT[rest]
    if logical not in template.apis:
        defaults = template.defaults("Api" if rest else "HttpApi")
        api = template.api(logical, rest=rest)
        if defaults is not None:
            api.settings |= _settings(defaults, rest=rest)
    return template.apis[logical]


# ---------------------------------------------------------------- SAM's APIs


def read_sam_api(logical: str, kind: str, template: Template) -> None:
    """`AWS::Serverless::Api` or `AWS::Serverless::HttpApi`."""
    rest = kind == "AWS::Serverless::Api"
    properties = template.properties(logical)
    defaults = template.defaults("Api" if rest else "HttpApi")
    if defaults is not None:
        properties = template.ledger.over(properties, defaults, frozenset())
    properties.read("Name", "OpenApiVersion")
    api = template.api(logical, rest=rest)
    api.settings |= _settings(properties, rest=rest)
    if "StageName" in properties:
        api.settings["stage"] = plain(properties["StageName"])
    for key in ("DefinitionBody", "DefinitionUri"):
        if key in properties:
            _read_definition(properties[key], (*properties.place, key), api, template)


def _settings(properties: TemplateTable, *, rest: bool) -> dict[str, Any]:
    """What an API, or Globals for all of them, says of every route."""
    found: dict[str, Any] = {}
    variables = properties.plain("Variables" if rest else "StageVariables")
    if variables is not None:
        found["stage_variables"] = _texts(variables)
    if rest and "BinaryMediaTypes" in properties:
        found["binary_media_types"] = _media_types(properties.plain("BinaryMediaTypes"))
    key = "Cors" if rest else "CorsConfiguration"
    cors = (rest_cors if rest else http_cors)(properties[key]) if key in properties else None
    if cors is not None:
        found["cors"] = cors
    return found


def _media_types(types: Any) -> Any:
    """`image~1png` is how CloudFormation writes `image/png`."""
    types = [types] if isinstance(types, str) else types
    if not isinstance(types, list):
        return types
    return [kind.replace("~1", "/") if isinstance(kind, str) else kind for kind in types]


def _texts(table: Any) -> Any:
    if not isinstance(table, Mapping):
        return table
    return {key: value if isinstance(value, list | Mapping) else text(value) for key, value in table.items()}


# ---------------------------------------------------------------- OpenAPI


def _read_definition(given: Any, place: Place, api: TemplateApi, template: Template) -> None:
    """An OpenAPI document in the template, or the path of one."""
    if isinstance(given, str):
        document = include(given, template.folder)
        if document is None:
            template.leave_out(place, f"left out: {given!r} is not an OpenAPI document on this machine")
            return
        given = template.ledger.wrapped(document, place)
    if not is_table(given) or "paths" not in given:
        template.leave_out(place, "left out: it is not an OpenAPI document on this machine")
        return
    _of_documentation(given)
    types = given.plain(f"{_EXTENSION}binary-media-types")
    if types is not None:
        api.settings.setdefault("binary_media_types", _media_types(types))
    cors = http_cors(given[f"{_EXTENSION}cors"]) if f"{_EXTENSION}cors" in given else None
    if cors is not None:
        api.settings.setdefault("cors", cors)
    paths = given["paths"]
    for path in paths if is_table(paths) else ():
        operations = paths[path]
        if is_table(operations):
            _of_documentation(operations, *_METHODS)
            for method in operations:
                if method in _METHODS:
                    _read_operation(path, method, operations[method], api, template)


def _is_preflight(path: str, method: Any, integration: TemplateTable, api: TemplateApi) -> bool:
    """Whether the mock integration only answers preflights; if so the path has CORS."""
    cors = mock_cors(integration) if str(method).upper() == "OPTIONS" else None
    if cors is not None:
        api.preflights[path] = cors
    return cors is not None


def _of_documentation(table: TemplateTable, *known: str) -> None:
    """Only AWS's extensions and `security` change what an API does here; the rest describes it."""
    table.read(*(key for key in table if not key.startswith("x-amazon-") and key not in ("security", *known)))


def _read_operation(path: str, method: str, operation: Any, api: TemplateApi, template: Template) -> None:
    if not is_table(operation):
        return
    _of_documentation(operation)
    integration = operation.get(f"{_EXTENSION}integration")
    if not is_table(integration):
        template.reading.warn(operation.place, "left out: it has no x-amazon-apigateway-integration")
        return
    integration.read("httpMethod", "credentials", "passthroughBehavior", "connectionType")
    if integration.get("type") == "mock" and _is_preflight(path, method, integration, api):
        operation.read_all()
        return
    if integration.get("type") not in _PROXY:
        kind = f"integrations of type {integration.get('type')} are not supported, left out"
        template.leave_out(operation.place, kind)
        return
    version = str(plain(integration.get("payloadFormatVersion", "2.0")))
    uri, timeout_ms = integration.get("uri"), plain(integration.get("timeoutInMillis"))
    streams = _streams(integration, "responseTransferMode", api, template)
    _add_route(path, method, version, uri, api, integration.place, template, timeout_ms, streams=streams)


def _streams(integration: TemplateTable, key: str, api: TemplateApi, template: Template) -> bool:
    """Whether a REST API passes on what its function streams. Others have no such key."""
    if not api.rest or key not in integration:
        return False
    mode = plain(integration[key])
    if mode not in ("BUFFERED", "STREAM"):
        problem = f"{show(mode)} is not BUFFERED or STREAM"
        template.reading.problems.append(Problem((*integration.place, key), problem))
    return bool(mode == "STREAM")


def include(location: str, folder: str) -> Any:
    """The YAML or JSON document in the local file `location`; None if there is none."""
    if location.startswith(("s3://", "https://", "http://")):
        return None
    path = os.path.join(folder, location)
    try:
        return parse(path, read_text(path))
    except ConfigError:
        return None


# ---------------------------------------------------------------- routes


def _add_route(
    path: Any,
    method: Any,
    version: str,
    uri: Any,
    api: TemplateApi,
    place: Place,
    template: Template,
    timeout_ms: Any = None,
    *,
    streams: bool = False,
) -> None:
    """The route to the function of an integration's URI, stage variables in it replaced."""
    variables = api.settings.get("stage_variables", {})
    if isinstance(uri, str):
        uri = _STAGE_VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), uri)
        arn = _LAMBDA_URI.search(uri)
        uri = arn[1] if arn is not None else uri
    found = template.reading.find(uri, place)
    if found is None:
        template.ledger.mark_reported(place)
        return
    payload_format = "1.0" if api.rest else version
    method = "ANY" if method == _ANY_METHOD else method
    template.reading.routes.append(
        TemplateRoute(found[0].name, found[1], method, path, payload_format, api, place, timeout_ms, streams)
    )


def read_rest_api(logical: str, _kind: str, template: Template) -> None:
    """`AWS::ApiGateway::RestApi`. Its stage comes with other resources."""
    properties = template.properties(logical)
    properties.read("Name", "Mode")
    api = template.api(logical, rest=True)
    if "BinaryMediaTypes" in properties:
        api.settings["binary_media_types"] = _media_types(properties.plain("BinaryMediaTypes"))
    if "Body" in properties:
        _read_definition(properties["Body"], (*properties.place, "Body"), api, template)


def read_http_api(logical: str, _kind: str, template: Template) -> None:
    """`AWS::ApiGatewayV2::Api`, quick create (`Target`) among it."""
    properties = template.properties(logical)
    if properties.get("ProtocolType", "HTTP") != "HTTP":
        template.leave_out(properties.place[:-1], "WebSocket APIs are not supported, left out")
        return
    properties.read("Name", "Version", "CredentialsArn")
    api = template.api(logical, rest=False)
    cors = http_cors(properties["CorsConfiguration"]) if "CorsConfiguration" in properties else None
    if cors is not None:
        api.settings["cors"] = cors
    if "Body" in properties:
        _read_definition(properties["Body"], (*properties.place, "Body"), api, template)
    if "Target" in properties:
        method, _, path = any_text(plain(properties.get("RouteKey", _DEFAULT_ROUTE))).partition(" ")
        place, target = (*properties.place, "Target"), properties["Target"]
        _add_route(path or _DEFAULT_ROUTE, method if path else "ANY", "2.0", target, api, place, template)


def read_stage(logical: str, kind: str, template: Template) -> None:
    """A stage, or a deployment that makes one. One stage of each API is served: the first."""
    properties = template.properties(logical)
    v2 = kind == "AWS::ApiGatewayV2::Stage"
    api = template.apis.get(properties.identity("ApiId" if v2 else "RestApiId"))
    properties.read("DeploymentId", "AutoDeploy")
    if "StageName" not in properties:
        return
    name = plain(properties["StageName"])
    if api is None or api.settings.setdefault("stage", name) != name:
        template.leave_out(properties.place[:-1], f"left out: stage {name!r} is not the first of its API")
        return
    variables = properties.plain("StageVariables" if v2 else "Variables")
    if variables is not None:
        api.settings["stage_variables"] = _texts(variables)


def read_route(logical: str, _kind: str, template: Template) -> None:
    """`AWS::ApiGatewayV2::Route` with the integration that it names."""
    properties = template.properties(logical)
    api = template.apis.get(properties.identity("ApiId"))
    target = properties.identity("Target").removeprefix("integrations/")
    integration = template.of_kind(target, "AWS::ApiGatewayV2::Integration")
    if api is None or integration is None:
        template.leave_out(properties.place[:-1], "left out: its API or integration is not in this template")
        return
    integration.read("ApiId", "IntegrationMethod", "ConnectionType", "CredentialsArn")
    if integration.get("IntegrationType") not in _PROXY:
        kind = f"integrations of type {integration.get('IntegrationType')} are not supported, left out"
        template.leave_out(properties.place[:-1], kind)
        template.ledger.mark_reported(integration.place)
        return
    key = any_text(plain(properties.get("RouteKey", _DEFAULT_ROUTE)))
    method, _, path = key.partition(" ")
    version = str(plain(integration.get("PayloadFormatVersion", "2.0")))
    uri, place = integration.get("IntegrationUri"), properties.place
    timeout_ms = plain(integration.get("TimeoutInMillis"))
    _add_route(
        path or _DEFAULT_ROUTE, method if path else "ANY", version, uri, api, place, template, timeout_ms
    )


def read_method(logical: str, _kind: str, template: Template) -> None:
    """`AWS::ApiGateway::Method`, its path put together from its resources."""
    properties = template.properties(logical)
    api = template.apis.get(properties.identity("RestApiId"))
    path = _path_of(properties.identity("ResourceId"), template, 0)
    integration = properties.get("Integration")
    if api is None or path is None:
        template.leave_out(properties.place[:-1], "left out: its API or resource is not in this template")
        return
    properties.read("MethodResponses", "OperationName")
    if properties.get("AuthorizationType", "NONE") != "NONE":
        template.reading.warn(
            (*properties.place, "AuthorizationType"), "not checked here, every request is let in"
        )
    if not is_table(integration):
        template.reading.problems.append(Problem((*properties.place, "Integration"), "is required"))
        return
    http_method = plain(properties.get("HttpMethod", "ANY"))
    if integration.get("Type") == "MOCK" and _is_preflight(path, http_method, integration, api):
        return
    if integration.get("Type") not in _PROXY:
        kind = f"integrations of type {integration.get('Type')} are not supported, left out"
        template.leave_out(properties.place[:-1], kind)
        return
    integration.read("IntegrationHttpMethod", "PassthroughBehavior", "Credentials", "ConnectionType")
    uri, timeout_ms = integration.get("Uri"), plain(integration.get("TimeoutInMillis"))
    streams = _streams(integration, "ResponseTransferMode", api, template)
    place = properties.place
    _add_route(path, http_method, "1.0", uri, api, place, template, timeout_ms, streams=streams)


def _path_of(logical: str, template: Template, depth: int) -> str | None:
    """The path of an `AWS::ApiGateway::Resource`, from the root of its API."""
    if logical.endswith(".RootResourceId"):
        return "/"
    properties = template.of_kind(logical, "AWS::ApiGateway::Resource")
    if properties is None or depth > 100:
        return None
    properties.read("RestApiId")
    above = _path_of(properties.identity("ParentId"), template, depth + 1)
    return None if above is None else f"{above.rstrip('/')}/{any_text(plain(properties.get('PathPart', '')))}"
