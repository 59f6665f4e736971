"""Operations on buses, and on their resource policies, which are kept and shown."""

from __future__ import annotations

import json
from typing import Final

from engine.core.json_document import NotJson
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import operation
from engine.services.eventbridge.bus_event import parsed
from engine.services.eventbridge.errors import invalid, not_found
from engine.services.eventbridge.paging import page_of
from engine.services.eventbridge.store import DEFAULT, BusStore, Document, EventBus

_SETTINGS: Final = ("Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig")


class BusOperations:
    """The operations, on one engine's buses."""

    def __init__(self, store: BusStore) -> None:
        self._store = store

    @operation("CreateEventBus", writes=True)
    def create(self, params: Document) -> Document:
        """Add one. Partner event sources are not there."""
        name = params["Name"]
        if name in self._store.buses:
            message = f"Event bus {name} already exists."
            raise ServiceError(400, "ResourceAlreadyExistsException", message)
        if "/" in name or "EventSourceName" in params:
            raise not_found(f"Event source {params.get('EventSourceName', name)} does not exist.")
        bus = self._store.create_bus(name)
        bus.settings = {key: params[key] for key in _SETTINGS if key in params}
        bus.tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}
        return {"EventBusArn": bus.arn, **bus.settings}

    @operation("UpdateEventBus", writes=True)
    def update(self, params: Document) -> Document:
        """Change what is kept of one; what is left out stays."""
        bus = self._store.bus(params.get("Name"))
        bus.settings |= {key: params[key] for key in _SETTINGS if key in params}
        bus.modified_s = self._store.now_s()
        return {"Arn": bus.arn, "Name": bus.name, **bus.settings}

    @operation("DeleteEventBus", writes=True)
    def delete(self, params: Document) -> Document:
        """Drop one without rules; one that is not there does not matter."""
        name = params["Name"]
        if name == DEFAULT:
            raise invalid("Cannot delete event bus default.")
        bus = self._store.buses.get(name)
        if bus is not None and bus.rules:
            raise invalid(f"Event bus {name} cannot be deleted since it has rules.")  # the wording is ours
        self._store.buses.pop(name, None)
        return {}

    @operation("DescribeEventBus")
    def describe(self, params: Document) -> Document:
        """One, `default` if none is named."""
        bus = self._store.bus(params.get("Name"))
        return {**_shown(bus), **bus.settings}

    @operation("ListEventBuses")
    def list_all(self, params: Document) -> Document:
        """All whose names begin so."""
        prefix = params.get("NamePrefix", "")
        found = {name: bus for name, bus in self._store.buses.items() if name.startswith(prefix)}
        page, more = page_of(found, params)
        return {"EventBuses": [_shown(bus) for bus in page], **more}

    @operation("PutPermission", writes=True, kept=True)
    def put_permission(self, params: Document) -> Document:
        """Add a statement to the policy, or put a whole one in its place."""
        bus = self._store.bus(params.get("EventBusName"))
        if "Policy" in params:
            bus.policy = _statements(params["Policy"])
            return {}
        missing = [name for name in ("StatementId", "Principal", "Action") if name not in params]
        if missing:
            raise invalid(f"Parameter(s) {', '.join(missing)} must be specified.")
        principal = params["Principal"]
        statement: Document = {
            "Sid": params["StatementId"],
            "Effect": "Allow",
            "Principal": "*" if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"},
            "Action": params["Action"],
            "Resource": bus.arn,
        }
        if (condition := params.get("Condition")) is not None:
            statement["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
        bus.policy = [one for one in bus.policy if one.get("Sid") != statement["Sid"]] + [statement]
        return {}

    @operation("RemovePermission", writes=True, kept=True)
    def remove_permission(self, params: Document) -> Document:
        """Drop a statement, or all."""
        bus = self._store.bus(params.get("EventBusName"))
        if params.get("RemoveAllPermissions"):
            bus.policy = []
            return {}
        kept = [one for one in bus.policy if one.get("Sid") != params.get("StatementId")]
        if len(kept) == len(bus.policy):
            raise not_found("Statement with the provided id does not exist.")
        bus.policy = kept
        return {}


def _shown(bus: EventBus) -> Document:
    document: Document = {
        "Name": bus.name,
        "Arn": bus.arn,
        "CreationTime": bus.created_s,
        "LastModifiedTime": bus.modified_s,
    }
    if "Description" in bus.settings:
        document["Description"] = bus.settings["Description"]
    if bus.policy:
        document["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": bus.policy})
    return document


def _statements(text: str) -> list[Document]:
    try:
        policy = parsed(text)
    except NotJson:
        policy = None
    found = policy.get("Statement") if isinstance(policy, dict) else None
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise invalid("Parameter Policy is not valid.")
    return found
