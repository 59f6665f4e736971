"""Samples of batches of Kinesis and DynamoDB streams, made by what makes the records of real ones."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from engine.sources.samples.common import ACCOUNT, EPOCH_S, MOST_RECORDS, SampleIds, text_of
from engine.sources.streams.dynamodb import normalised
from engine.sources.streams.kinesis import members_of_all, record_of

Change = Literal["INSERT", "MODIFY", "REMOVE"]
View = Literal["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]

_TYPES: Final[Mapping[str, type]] = {
    **dict.fromkeys(("S", "N", "B"), str),
    **dict.fromkeys(("BOOL", "NULL"), bool),
    **dict.fromkeys(("L", "SS", "NS", "BS"), list),
    "M": dict,
}
"""Types of attributes, and what holds a value of each."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_EXPIRED: Final = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}


# ---------------------------------------------------------------- Kinesis


def kinesis(
    *data: Any,
    keys: Iterable[str] = (),
    stream: str = "stream",
    shard: int = 0,
    role: str = "role",
    at_s: float = EPOCH_S,
    salt: str = "",
    number: int = 0,
) -> dict[str, Any]:
    """A batch of records of one shard.

    Args:
        data: Of each record: bytes or text as they are; any other value as JSON.
        keys: Partition keys of the records; those that have none have `key`.
        stream: Name of the stream.
        shard: Number of the shard.
        role: Name of the function's role.
        at_s: When they arrived, seconds since the Unix epoch.
        salt: Makes the sequence numbers others than those of another salt.
        number: Of the batch: at a time that is not earlier, a higher one has higher sequence numbers.
    """
    arn = f"arn:aws:kinesis:{ACCOUNT.region}:{ACCOUNT.account_id}:stream/{stream}"
    rest = members_of_all(arn, f"arn:aws:iam::{ACCOUNT.account_id}:role/{role}")
    first = _first_number(49 * 10**54, 40, at_s, number, SampleIds(salt))
    named = list(keys)
    records = []
    for place, value in enumerate(data):
        raw = value if isinstance(value, bytes) else text_of(value).encode()
        read = {
            "SequenceNumber": str(first + place),
            "PartitionKey": named[place] if place < len(named) else "key",
            "Data": base64.b64encode(raw).decode(),
            "ApproximateArrivalTimestamp": at_s,
        }
        records.append(json.loads(record_of(f"shardId-{shard:012}:", rest, read).payload))
    return {"Records": records}


# ---------------------------------------------------------------- DynamoDB


def dynamodb(
    *keys: Mapping[str, Any],
    event: Change = "INSERT",
    new: Mapping[str, Any] | None = None,
    old: Mapping[str, Any] | None = None,
    table: str = "table",
    view: View = "NEW_AND_OLD_IMAGES",
    expired: bool = False,
    at_s: float = EPOCH_S,
    salt: str = "",
    number: int = 0,
) -> dict[str, Any]:
    """A batch of changes of a table, as its stream has them.

    Attributes are DynamoDB's JSON (`{"S": "a"}`), or plain: texts, numbers, booleans, None, lists and tables.

    Args:
        keys: The key of each item that changed.
        event: What happened to each.
        new: What the items hold after it, besides their keys; not with `REMOVE`.
        old: What they held before; not with `INSERT`.
        table: Its name.
        view: Which images the stream has.
        expired: Time to live removed the items.
        at_s: When it happened, seconds since the Unix epoch.
        salt: Makes the ids others than those of another salt.
        number: As of `kinesis`.

    Raises:
        ValueError: What looks like DynamoDB's JSON is none.
    """
    ids = SampleIds(salt)
    first = _first_number(0, 12, at_s, number, ids)
    made_at = "2026-01-01T00:00:00.000"
    arn = f"arn:aws:dynamodb:{ACCOUNT.region}:{ACCOUNT.account_id}:table/{table}/stream/{made_at}"
    records = []
    for place, key in enumerate(keys):
        change: dict[str, Any] = {"ApproximateCreationDateTime": at_s, "Keys": _item(key)}
        if event != "REMOVE" and view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["NewImage"] = _item({**key, **(new or {})})
        if event != "INSERT" and view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["OldImage"] = _item({**key, **(old or {})})
        change |= {"SequenceNumber": str(first + place), "StreamViewType": view}
        record = {"eventID": ids.digest("change", place)[:16].hex(), "eventName": event, "dynamodb": change}
        if expired:
            record["userIdentity"] = _EXPIRED
        try:
            records.append(normalised(record, arn, sized=True))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no item of DynamoDB: {error}") from None
    return {"Records": records}


def _item(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _attribute_value(value) for name, value in attributes.items()}


def _attribute_value(value: Any) -> dict[str, Any]:
    """As DynamoDB writes it; what is written so already stays."""
    if isinstance(value, Mapping):
        ((kind, held),) = value.items() if len(value) == 1 else (("", None),)
        if kind not in _TYPES:
            return {"M": _item(value)}
        if not isinstance(held, _TYPES[kind]) or (kind == "N" and _NUMBER.fullmatch(str(held)) is None):
            raise ValueError(f"{json.dumps(value)} is no attribute of DynamoDB")
        return dict(value)
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": base64.b64encode(value).decode()}
    return {"S": value} if isinstance(value, str) else {"L": [_attribute_value(one) for one in value]}


def _first_number(base: int, digits: int, at_s: float, number: int, ids: SampleIds) -> int:
    """A sequence number: higher at a later millisecond, and in one for a higher `number` of the event.

    Of two salts it is not the same. `digits` are those behind the milliseconds: half are the event's number.
    """
    room = int("1" + "0" * (digits // 2))
    own = int.from_bytes(ids.digest("sequence")) % (room - MOST_RECORDS)
    return base + int(at_s * 1000) * room * room + number * room + own
