"""PutEvents.

Source: EventBridge API reference, "PutEvents"; EventBridge User Guide, "Calculating PutEvents event entry
size"; recorded answers. Unverified: that sources which begin with `aws.` are refused in these words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.core.function import Account
from engine.core.json_document import NotJson
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import operation
from engine.services.eventbridge.bus_event import BusEvent, parsed
from engine.services.eventbridge.errors import invalid
from engine.services.eventbridge.router import BusRouter
from engine.services.eventbridge.store import BusStore, Document
from engine.services.schedules.expression import timestamp

MAX_REQUEST_BYTES: Final = 1_048_576
_TIME_BYTES: Final = 14
_REQUIRED: Final = ("Source", "DetailType", "Detail")


class _EntryError(Exception):
    """An entry that is not taken: its code and message."""


class EventOperations:
    """The operation, on one engine's buses."""

    def __init__(
        self,
        store: BusStore,
        router: BusRouter,
        account: Account,
        new_request_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._router = router
        self._account = account
        self._new_id = new_request_id

    @operation("PutEvents", writes=True)
    def put(self, params: Document) -> Document:
        """Take the entries that are right, and bring them to the targets of rules, in their order.

        An entry for a bus that is not there is taken, and vanishes.
        """
        entries = params["Entries"]
        if sum(map(_size, entries)) >= MAX_REQUEST_BYTES:
            raise invalid("Total size of the entries in the request is over the limit.")
        answers, failed = [], 0
        for entry in entries:
            try:
                answers.append({"EventId": self._take(entry)})
            except _EntryError as error:
                code, message = error.args
                answers.append({"ErrorCode": code, "ErrorMessage": message})
                failed += 1
        return {"FailedEntryCount": failed, "Entries": answers}

    def _take(self, entry: Document) -> str:
        event = self._event(entry)
        bus = self._store.find_bus(entry.get("EventBusName"))
        if bus is not None:
            self._router.route(bus, event)
        return str(event.document["id"])

    def _event(self, entry: Document) -> BusEvent:
        for name in _REQUIRED:
            if not entry.get(name):
                message = f"Parameter {name} is not valid. Reason: {name} is a required argument."
                raise _EntryError("InvalidArgument", message)
        if entry["Source"].startswith("aws."):
            raise _EntryError("NotAuthorizedForSourceException", "Not authorized for the source.")
        detail, wall_s = _detail(entry["Detail"]), self._store.now_s()
        document = {
            "version": "0",
            "id": self._new_id(),
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": self._account.account_id,
            "time": _time(entry.get("Time", wall_s)),
            "region": self._account.region,
            "resources": entry.get("Resources", []),
            "detail": detail,
        }
        return BusEvent(document, wall_s, entry.get("TraceHeader"))


def _size(entry: Document) -> int:
    texts = [entry.get(name, "") for name in _REQUIRED] + entry.get("Resources", [])
    return sum(len(text.encode("utf-8", "replace")) for text in texts) + _TIME_BYTES * ("Time" in entry)


def _time(wall_s: float) -> str:
    try:
        return timestamp(wall_s)
    except (ValueError, OverflowError, OSError):
        raise ServiceError(400, "SerializationException", "The timestamp is out of range.") from None


def _detail(text: str) -> Document:
    try:
        detail = parsed(text)
    except NotJson:
        detail = None
    if not isinstance(detail, dict):
        raise _EntryError("MalformedDetail", "Detail is malformed.")
    return detail
