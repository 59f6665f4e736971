"""The event that a subscription filter delivers: AWS's form, base64 of gzip of JSON.

Source: CloudWatch Logs User Guide, "Log group-level subscription filters"; recorded events.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

_GZIP_LEVEL: Final = 6
_NO_TIME: Final = 0
"""The time in the head of the gzip text: the same events are the same bytes."""


class DeliveredEvent(NamedTuple):
    """One log event of a delivery.

    Attributes:
        event_id: 56 digits.
        timestamp_ms: When it happened, milliseconds since the Unix epoch.
        message: Its text.
    """

    event_id: str
    timestamp_ms: int
    message: str


def subscription_event(
    owner: str, group: str, stream: str, filter_name: str, events: Sequence[DeliveredEvent]
) -> dict[str, Any]:
    """`{"awslogs": {"data": ...}}` of events of one stream; `owner` is the account of the group."""
    document = {
        "messageType": "DATA_MESSAGE",
        "owner": owner,
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": [filter_name],
        "logEvents": [
            {"id": one.event_id, "timestamp": one.timestamp_ms, "message": one.message} for one in events
        ],
    }
    packed = gzip.compress(orjson.dumps(document), _GZIP_LEVEL, mtime=_NO_TIME)
    return {"awslogs": {"data": base64.b64encode(packed).decode()}}
