"""Parameters of the operations that must be fast: each is looked at where it is needed, and only then.

All other operations get theirs with the model's types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.protocols.aws.json_values import as_integer, as_list, as_map, as_text, unexpected
from engine.services.sqs.errors import missing

Params = Mapping[str, Any]


def text(params: Params, name: str) -> str | None:
    """A string; None if it is absent or null. As on AWS a number or a boolean will do."""
    value = params.get(name)
    if value is None or isinstance(value, str):
        return value
    return as_text(value)


def required(params: Params, name: str) -> str:
    """A string that must be there, and not be empty."""
    value = text(params, name)
    if not value:
        raise missing(name)
    return value


def integer(params: Params, name: str) -> int | None:
    """A whole number; None if it is absent or null."""
    value = params.get(name)
    return None if value is None else as_integer(value)


def texts(params: Params, *names: str) -> list[str]:
    """The strings of the lists of these names, one list after the other."""
    found: list[str] = []
    for name in names:
        value = params.get(name)
        if value is not None:
            found += map(as_text, as_list(value))
    return found


def structures(params: Params, name: str) -> list[dict[str, Any]]:
    """A list of objects; empty if it is absent or null."""
    value = params.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise unexpected(value)
    for item in value:
        if not isinstance(item, dict):
            raise unexpected(item)
    return value


def structure_map(params: Params, name: str) -> dict[str, dict[str, Any]]:
    """A map of objects; empty if it is absent or null."""
    value = params.get(name)
    return {} if value is None else {key: as_map(item) for key, item in as_map(value).items()}
