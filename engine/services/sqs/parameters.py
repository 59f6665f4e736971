"""Parameters of a request, taken out with the type the API's model gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.services.sqs.errors import SqsError, malformed, missing

Params = Mapping[str, Any]

_KINDS: Final[Mapping[type, str]] = {
    bool: "BOOLEAN_VALUE",
    str: "STRING_VALUE",
    int: "NUMBER_VALUE",
    float: "DECIMAL_VALUE",
}


def text(params: Params, name: str) -> str | None:
    """A string; None if it is absent or null. As on AWS a number or a boolean will do."""
    value = params.get(name)
    if value is None or isinstance(value, str):
        return value
    return _as_text(value)


def required(params: Params, name: str) -> str:
    """A string that must be there, and not be empty."""
    value = text(params, name)
    if not value:
        raise missing(name)
    return value


def integer(params: Params, name: str) -> int | None:
    """A whole number; None if it is absent or null."""
    value = params.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list | dict):
        raise _unexpected(value)
    raise malformed(f"{_KINDS[type(value)]} can not be converted to an Integer")


def texts(params: Params, *names: str) -> list[str]:
    """The strings of the lists of these names, one list after the other."""
    found: list[str] = []
    for name in names:
        value = params.get(name)
        if value is None:
            continue
        if not isinstance(value, list):
            raise _unexpected(value)
        found += map(_as_text, value)
    return found


def text_map(params: Params, *names: str) -> dict[str, str]:
    """The map of strings of the first of these names that is there."""
    for name in names:
        value = params.get(name)
        if value is None:
            continue
        if not isinstance(value, dict):
            raise _unexpected(value)
        return {key: _as_text(item) for key, item in value.items() if item is not None}
    return {}


def structures(params: Params, name: str) -> list[dict[str, Any]]:
    """A list of objects; empty if it is absent or null."""
    value = params.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _unexpected(value)
    for item in value:
        if not isinstance(item, dict):
            raise _unexpected(item)
    return value


def structure_map(params: Params, name: str) -> dict[str, dict[str, Any]]:
    """A map of objects; empty if it is absent or null."""
    value = params.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _unexpected(value)
    for item in value.values():
        if not isinstance(item, dict):
            raise _unexpected(item)
    return value


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise _unexpected(value)


def _unexpected(value: object) -> SqsError:
    if isinstance(value, list):
        return malformed("Start of list found where not expected")
    if isinstance(value, dict):
        return malformed("Start of structure or map found where not expected.")
    return malformed(f"Unexpected {_KINDS.get(type(value), 'NULL_VALUE')}.")
