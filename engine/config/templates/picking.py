"""Picks what our tables have out of the tables of a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.config.templates.table import plain
from engine.core.json_constant import JsonText

Table = dict[str, Any]


def at(table: Any, path: str) -> Any:
    """What stands at `path` (`A.B.C`); None if it is not there. Numbers may be text, as in CloudFormation."""
    for key in path.split("."):
        table = table.get(key) if isinstance(table, Mapping) else None
    if isinstance(table, str) and table.isascii() and table.isdigit() and len(table) < 20:
        return int(table)
    return table


def picked(table: Any, keys: Mapping[str, str]) -> Table:
    """Our keys with what `table` has for them; what it does not have is left out."""
    found = {key: plain(at(table, path)) for key, path in keys.items()}
    return {key: value for key, value in found.items() if value is not None}


def items(value: Any) -> list[Any]:
    """A list as it is; of one value; none if there is none."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def tags_of(properties: Mapping[str, Any]) -> Table:
    """`tags`, of a list of Key and Value."""
    tags = plain(properties.get("Tags"))
    if not isinstance(tags, list) or not all(isinstance(tag, Mapping) and "Key" in tag for tag in tags):
        return {} if tags is None else {"tags": tags}
    return {"tags": {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags}}


def filters_of(settings: Any) -> Table:
    """Prefix and suffix of `Filter.S3Key.Rules`."""
    rules = items(at(settings, "Filter.S3Key.Rules"))
    return {str(at(rule, "Name")).lower(): at(rule, "Value") for rule in rules}


def constant_of(text: Any) -> Any:
    """An `Input`: text is JSON text, delivered as it is; what is none is for our key to refuse."""
    return JsonText(text) if isinstance(text, str) else text


def json_of(text: Any) -> Any:
    """The value of JSON text; what is none is left as it is, a string."""
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError):
        return text
