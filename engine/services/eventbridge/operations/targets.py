"""Operations on the targets of rules."""

from __future__ import annotations

from typing import Final

from engine.protocols.aws.operation import operation
from engine.services.eventbridge.errors import too_many
from engine.services.eventbridge.paging import page_of
from engine.services.eventbridge.rules import read_target
from engine.services.eventbridge.store import BusStore, Document

_MAX_TARGETS: Final = 5


class TargetOperations:
    """The operations, on one engine's rules."""

    def __init__(self, store: BusStore) -> None:
        self._store = store

    @operation("PutTargets", writes=True)
    def put(self, params: Document) -> Document:
        """Add targets; one of the same id is replaced. All are added, or none."""
        rule = self._store.rule(params["Rule"], params.get("EventBusName"))
        made = {document["Id"]: read_target(document) for document in params["Targets"]}
        if len(rule.targets | made) > _MAX_TARGETS:
            raise too_many()
        rule.targets |= made
        return {"FailedEntryCount": 0, "FailedEntries": []}

    @operation("RemoveTargets", writes=True)
    def remove(self, params: Document) -> Document:
        """Drop targets; an id that is not there does not matter."""
        rule = self._store.rule(params["Rule"], params.get("EventBusName"))
        for target_id in params["Ids"]:
            rule.targets.pop(target_id, None)
        return {"FailedEntryCount": 0, "FailedEntries": []}

    @operation("ListTargetsByRule")
    def list_all(self, params: Document) -> Document:
        """All of a rule, as they were given."""
        rule = self._store.rule(params["Rule"], params.get("EventBusName"))
        page, more = page_of(rule.targets, params)
        return {"Targets": [target.document for target in page], **more}
