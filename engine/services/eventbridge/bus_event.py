"""One event on a bus, and its JSON text as targets get it.

Source: EventBridge User Guide, "Events"; recorded deliveries (order of the members).
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

import orjson

from engine.core.function import Account
from engine.core.json_document import loads
from engine.services.schedules.expression import timestamp

_MEMBERS: Final = (
    "version",
    "id",
    "detail-type",
    "source",
    "account",
    "time",
    "region",
    "resources",
    "detail",
)


class BusEvent(NamedTuple):
    """An event as rules see it.

    Attributes:
        document: All its members.
        received_s: Wall time, seconds, at which a bus of this engine got it first.
        trace: The X-Ray header that goes with it.
        hops: Buses it came through before this one.
    """

    document: dict[str, Any]
    received_s: float
    trace: str | None = None
    hops: int = 0

    @property
    def body(self) -> bytes:
        """The whole event as JSON text."""
        return json_text(self.document)


def completed(
    document: dict[str, Any], account: Account, event_id: str, wall_s: float, trace: str | None, hops: int = 0
) -> BusEvent:
    """The event of a service of the engine: `document` with the members that it leaves out.

    A service gives at least `source`, `detail-type` and `detail`. `event_id` is for one without an id.
    """
    defaults = {
        "version": "0",
        "id": event_id,
        "account": account.account_id,
        "time": timestamp(wall_s),
        "region": account.region,
        "resources": [],
    }
    given = defaults | document
    return BusEvent({name: given[name] for name in _MEMBERS if name in given}, wall_s, trace, hops)


def json_text(value: Any) -> bytes:
    """Compact JSON in UTF-8; whole numbers may be of any size, what is beyond a double is null."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a whole number beyond 64 bits, or half of a surrogate pair
        finite = json.loads(json.dumps(value), parse_constant=lambda _name: None)
        return json.dumps(finite, separators=(",", ":")).encode()


def parsed(text: str) -> Any:
    """The value of JSON text. Raises `NotJson`."""
    return loads(text.encode("utf-8", "surrogatepass"))
