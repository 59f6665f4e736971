"""What the partner is to have from its start on: `[streams.NAME]` and `[tables.NAME]` of engine.toml.

Source of the bounds: Kinesis API reference, "CreateStream", "IncreaseStreamRetentionPeriod"; DynamoDB API
reference, "CreateTable".
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import orjson

from engine.core.table import SettingsTable, fresh
from engine.core.table_rules import Bounds, Check

STREAM_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,128}", re.ASCII)
TABLE_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{3,255}", re.ASCII)
ATTRIBUTES: Final = "AttributeDefinitions"
_MOST_SHARDS: Final = 10_000
_LONGEST_NAME: Final = 255
_TYPES: Final = ("S", "N", "B")


class DataStreamSettings(SettingsTable):
    """`[streams.NAME]`: a Kinesis data stream.

    Attributes:
        shards: How many it has.
        retention_hours: How long it keeps records.
        tags: Free labels.
    """

    shards: Annotated[int, Bounds(ge=1, le=_MOST_SHARDS)] = 1
    retention_hours: Annotated[int, Bounds(ge=24, le=8_760)] = 24
    tags: dict[str, str] = fresh(dict)


def key_of(text: str) -> tuple[str, str]:
    """Name and type of an attribute that is written `NAME` or `NAME:TYPE`."""
    name, colon, kind = text.rpartition(":")
    return (name, kind) if colon and kind in _TYPES else (text, "S")


def _key(text: str) -> str:
    if not 1 <= len(key_of(text)[0]) <= _LONGEST_NAME:
        raise ValueError(f'{text!r}: is the name of an attribute, as "id", or with its type, as "id:N"')
    return text


def _members(members: dict[str, Any]) -> dict[str, Any]:
    """Members of CreateTable, of which only those are looked at that others are put beside."""
    if "TableName" in members:
        raise ValueError("TableName is the name of the table [tables.NAME]")
    attributes = members.get(ATTRIBUTES, [])
    if not isinstance(attributes, list) or not all(isinstance(one, dict) for one in attributes):
        raise ValueError(f"{ATTRIBUTES} is a list of tables (AWS)")
    try:
        orjson.dumps(members)
    except TypeError as error:
        raise ValueError(f"it has no JSON form: {error}") from None
    return members


class TableSettings(SettingsTable):
    """`[tables.NAME]`: a DynamoDB table.

    Attributes:
        partition_key: An attribute, `NAME` or `NAME:TYPE`; the type is `S`, `N` or `B`, and else `S`.
        sort_key: Another one.
        stream: What records of its stream have; absent: it has no stream.
        create_table: Further members of CreateTable, in AWS's words: indexes, and attributes of theirs.
        tags: Free labels.
    """

    partition_key: Annotated[str, Check(_key)]
    sort_key: Annotated[str, Check(_key)] | None = None
    stream: Literal["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"] | None = None
    create_table: Annotated[dict[str, Any], Check(_members)] = fresh(dict)
    tags: dict[str, str] = fresh(dict)
