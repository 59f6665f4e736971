"""Which records of a stream a mapping wants.

Source: Lambda Developer Guide, "Using event filtering with a Kinesis event source", "Using event filtering
with a DynamoDB event source"; recorded answers.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

from engine.core.event_patterns.filter_criteria import FilterCriteria, filter_criteria
from engine.core.streams.records import StreamRecord

_DATA = "data"


def payload_key(service: str) -> str | None:
    """The member of a record that is the users' own text: `data` of Kinesis, none of DynamoDB."""
    return _DATA if service == "kinesis" else None


def record_filter(
    service: str, patterns: tuple[str | dict[str, Any], ...]
) -> Callable[[StreamRecord], bool] | None:
    """Whether a record is wanted; None if all are. Raises FilterError for what is no pattern."""
    criteria = filter_criteria(patterns, payload_key(service))
    if not criteria:
        return None
    return partial(_wants_data if service == "kinesis" else _wants_change, criteria)


def _wants_change(criteria: FilterCriteria, record: StreamRecord) -> bool:
    """Of DynamoDB: the record is the document that patterns describe."""
    return criteria.matches(orjson.loads(record.payload))


def _wants_data(criteria: FilterCriteria, record: StreamRecord) -> bool:
    """Of Kinesis: patterns for `data` see it decoded, all others the members beside it and above."""
    document = orjson.loads(record.payload)
    text = _decoded(document["kinesis"][_DATA]) if criteria.reads_payload else ""
    return criteria.passes(text, lambda: _flat(document))


def _flat(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**document, **document["kinesis"]}


def _decoded(data: str) -> str:
    try:
        return b64decode(data).decode("utf-8", "replace")
    except ValueError:  # what is no base64 matches no pattern
        return ""
