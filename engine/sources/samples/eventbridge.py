"""Samples of events of a bus, as rules deliver them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from engine.services.eventbridge.bus_event import completed
from engine.sources.samples.common import ACCOUNT, EPOCH_S, SampleIds


def eventbridge(
    detail: Mapping[str, Any],
    *,
    source: str = "shop",
    detail_type: str = "order.created",
    resources: Iterable[str] = (),
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """An event that somebody put on a bus.

    Args:
        detail: What happened, a JSON object.
        source: Who says so.
        detail_type: Which kind of event it is.
        resources: ARNs of what it is about.
        at_s: When it happened, seconds since the Unix epoch.
        salt: Makes the id another one than that of another salt.
    """
    document = {
        "source": source,
        "detail-type": detail_type,
        "detail": dict(detail),
        "resources": list(resources),
    }
    event = completed(document, ACCOUNT, SampleIds(salt)("event", source), at_s, None)
    return cast("dict[str, Any]", json.loads(event.body))
