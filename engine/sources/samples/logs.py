"""Samples of what subscription filters of log groups deliver."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine.core.context import log_stream_name
from engine.services.logs.store import first_id
from engine.services.logs.subscription_events import DeliveredEvent, subscription_event
from engine.sources.samples.common import ACCOUNT, EPOCH_S, SampleIds


def logs(
    *messages: str,
    group: str = "/aws/lambda/function",
    stream: str | None = None,
    subscription: str = "subscription",
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """Log events of one stream, packed: `{"awslogs": {"data": ...}}`.

    Args:
        messages: Their texts, as they were logged.
        group: Name of the log group.
        stream: Name of the log stream; None for one such as a function's environment has.
        subscription: Name of the subscription filter.
        at_s: When they were logged, seconds since the Unix epoch.
        salt: Makes the ids others than those of another salt.
    """
    ids, at_ms = SampleIds(salt), int(at_s * 1000)
    first = first_id(at_ms) + int.from_bytes(ids.digest("logs")[:8])
    events = [
        DeliveredEvent(f"{first + number:056d}", at_ms, message) for number, message in enumerate(messages)
    ]
    if stream is None:
        day = datetime.fromtimestamp(at_s, UTC).strftime("%Y/%m/%d")
        stream = log_stream_name(day, ids.digest("stream", group)[:16].hex())
    return subscription_event(ACCOUNT.account_id, group, stream, subscription, events)
