"""What the answer to a batch says: how many of its records are done with, and the state of its window.

Source: Lambda Developer Guide, "Configuring partial batch response with Kinesis Data Streams and Lambda",
"Implementing stateful Kinesis Data Streams processing with Lambda"; answers recorded on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from engine.core.json_document import NotJson, loads
from engine.core.streams.records import StreamRecord
from engine.core.streams.settings import MAX_STATE_BYTES

WHOLE_BATCH: Final = -1
"""Nothing of the batch is done with: its answer names no record of it, or cannot be understood."""

_NOTHING: Final = frozenset({b"", b"null", b"{}", b"[]", b'""'})
"""Answers that report nothing: recorded."""


class WindowAnswer(NamedTuple):
    """What the answer says about the state.

    Attributes:
        state: JSON text, or None if the answer has none: the invocation failed.
        is_too_large: It is more than may be kept: the window ends.
    """

    state: str | None
    is_too_large: bool = False


def done_records(body: bytes, records: Sequence[StreamRecord]) -> int:
    """How many records of the batch, from the first, are done with by the answer; or `WHOLE_BATCH`.

    0 is: the first was named. A malformed entry beside good ones fails the whole batch, a value that is
    neither an object nor empty does not, an answer that is no JSON does: all three (unverified).
    """
    if body in _NOTHING:
        return len(records)
    try:
        answer = loads(body)
    except NotJson:
        return WHOLE_BATCH
    items = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if items is None or items == []:
        return len(records)
    if not isinstance(items, list):
        return WHOLE_BATCH
    return _lowest(items, records)


def _lowest(items: list[Any], records: Sequence[StreamRecord]) -> int:
    places = {record.sequence_number: place for place, record in enumerate(records)}
    lowest = len(records)
    for item in items:
        found = item.get("itemIdentifier") if isinstance(item, dict) else None
        place = places.get(found) if isinstance(found, str) else None
        if place is None:
            return WHOLE_BATCH
        lowest = min(lowest, place)
    return lowest


def window_answer(body: bytes) -> WindowAnswer:
    """The state in the answer. That it has to be a JSON object is (unverified)."""
    try:
        answer = loads(body)
    except NotJson:
        return WindowAnswer(None)
    state = answer.get("state") if isinstance(answer, dict) else None
    if not isinstance(state, dict):
        return WindowAnswer(None)
    text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
    return WindowAnswer(text, len(text.encode("utf-8", "surrogatepass")) > MAX_STATE_BYTES)
