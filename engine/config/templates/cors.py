"""CORS as templates have it, in the keys of `cors` of an HTTP event.

Sources: SAM developer guide, "HttpApiCorsConfiguration", "CorsConfiguration"; CloudFormation reference,
"AWS::ApiGatewayV2::Api Cors", "AWS::Lambda::Url Cors"; OpenAPI extension x-amazon-apigateway-cors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.config.templates.table import is_table, plain

_KEYS: Final[Mapping[str, str]] = {
    "origins": "AllowOrigins",
    "methods": "AllowMethods",
    "headers": "AllowHeaders",
    "expose_headers": "ExposeHeaders",
    "max_age_s": "MaxAge",
    "credentials": "AllowCredentials",
}
_REST_KEYS: Final[Mapping[str, str]] = {**_KEYS, "origins": "AllowOrigin"}
_MOCK_HEADER: Final = "method.response.header."
_MOCK_KEYS: Final[Mapping[str, str]] = {
    "access-control-allow-origin": "origins",
    "access-control-allow-methods": "methods",
    "access-control-allow-headers": "headers",
    "access-control-max-age": "max_age_s",
    "access-control-allow-credentials": "credentials",
}
_SCALARS: Final = ("max_age_s", "credentials")


def http_cors(given: Any) -> dict[str, Any] | None:
    """Of an HTTP API or a Function URL: a table, or `true` for every origin. None if none is allowed."""
    if given is False or given is None:
        return None
    if not is_table(given):
        return {"origins": ["*"] if given is True else _list(plain(given))}
    small = {f"{key[:1].upper()}{key[1:]}": key for key in given}  # OpenAPI begins them in lower case
    found = {ours: _value(ours, plain(given[small[key]])) for ours, key in _KEYS.items() if key in small}
    return found if found.get("origins") else None


def rest_cors(given: Any) -> dict[str, Any] | None:
    """Of a REST API of SAM: a table, or the origin; text is quoted once more for API Gateway."""
    if given is None:
        return None
    if not is_table(given):
        return {"origins": _unquoted(given)}
    found = {
        ours: _value(ours, _unquoted(plain(given[key]))) for ours, key in _REST_KEYS.items() if key in given
    }
    return {"origins": ["*"], **found}


def mock_cors(integration: Any) -> dict[str, Any] | None:
    """Of a mock integration that answers OPTIONS, in either spelling; None if it says nothing of CORS."""
    found: dict[str, Any] = {}
    for text, value in _pairs(plain(integration)):
        header = text.lower().removeprefix(_MOCK_HEADER)
        if header in _MOCK_KEYS:
            ours = _MOCK_KEYS[header]
            found[ours] = _value(ours, _unquoted(value))
    return found if found.get("origins") else None


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, of all tables in `value`."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key), item
            yield from _pairs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _pairs(item)


def _unquoted(value: Any) -> Any:
    """`"'GET,POST'"` as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.strip("'").split(",")]
    return plain(value)


def _value(ours: str, value: Any) -> Any:
    if ours not in _SCALARS:
        return _list(value)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if ours == "max_age_s":
        return int(value) if isinstance(value, str) and value.isdigit() else value
    return value.lower() == "true" if isinstance(value, str) else value


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value
