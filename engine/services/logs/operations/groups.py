"""Operations on log groups: making, listing, retention, protection."""

from __future__ import annotations

import re
from typing import Final

from engine.protocols.aws.operation import operation
from engine.protocols.aws.validation import validation_error, violation
from engine.services.logs.errors import INVALID, group_exists, invalid, is_protected, too_many
from engine.services.logs.paging import list_page
from engine.services.logs.resources import Document, LogResources
from engine.services.logs.store import LogGroup

RETENTION_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""Source: API reference, PutRetentionPolicy."""

_PREFIX_OR_PATTERN: Final = (
    "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
)
_DAYS: Final = violation(
    "{}", "retentionInDays", f"satisfy enum value set: [{', '.join(map(str, RETENTION_DAYS))}]"
)


class Groups:
    """The operations, on one engine's groups."""

    def __init__(self, resources: LogResources) -> None:
        self._resources = resources
        self._store = resources.store

    @operation("CreateLogGroup", writes=True)
    def create(self, params: Document) -> Document:
        """Make a group."""
        name = params["logGroupName"]
        if name in self._store.groups:
            raise group_exists()
        if self._store.is_full:
            raise too_many()
        group = self._store.create_group(name, self._resources.now_ms())
        self._store.tag(group, params.get("tags") or {})
        group.log_class = params.get("logGroupClass") or group.log_class
        group.kms_key_id = params.get("kmsKeyId")
        group.is_protected = params.get("deletionProtectionEnabled") or False
        return {}

    @operation("DeleteLogGroup", writes=True)
    def delete(self, params: Document) -> Document:
        """Drop a group with all that is in it."""
        group = self._resources.group_named(params["logGroupName"])
        if group.is_protected:
            raise is_protected()
        self._store.delete_group(group)
        if group.subscriptions:
            self._resources.on_filters_gone()
        return {}

    @operation("DescribeLogGroups")
    def describe(self, params: Document) -> Document:
        """Groups by name, at most 50 a page."""
        prefix, pattern = params.get("logGroupNamePrefix"), params.get("logGroupNamePattern")
        if prefix and pattern:
            raise invalid(_PREFIX_OR_PATTERN)
        wanted = params.get("logGroupIdentifiers")
        names = None if wanted is None else {self._resources.name_in(one) for one in wanted}
        found = [
            group
            for group in self._store.groups.values()
            if group.name.startswith(prefix or "")
            and (pattern or "").lower() in group.name.lower()
            and (names is None or group.name in names)
            and params.get("logGroupClass") in (None, group.log_class)
        ]
        page, token = list_page(found, _by_name, params.get("nextToken"), params.get("limit") or 50)
        for group in page:
            self._store.expire(group, self._resources.now_ms())
        shown = [self._resources.shown_group(group) for group in page]
        if pattern:  # AWS finds these by an index that knows less of them
            for document in shown:
                del document["storedBytes"], document["deletionProtectionEnabled"]
        answer: Document = {"logGroups": shown}
        return answer if token is None else {**answer, "nextToken": token}

    @operation("ListLogGroups")
    def list_groups(self, params: Document) -> Document:
        """Groups by name, at most 1,000 a page; `^` in the pattern stands for the begin of a name."""
        pattern = params.get("logGroupNamePattern")
        parts = None if pattern is None else re.compile(pattern)
        found = [
            group
            for group in self._store.groups.values()
            if (parts is None or parts.search(group.name))
            and params.get("logGroupClass") in (None, group.log_class)
        ]
        page, token = list_page(found, _by_name, params.get("nextToken"), params.get("limit") or 1000)
        shown = [
            {
                "logGroupName": group.name,
                "logGroupArn": self._resources.group_arn(group),
                "logGroupClass": group.log_class,
            }
            for group in page
        ]
        answer: Document = {"logGroups": shown}
        return answer if token is None else {**answer, "nextToken": token}

    @operation("PutRetentionPolicy", writes=True)
    def put_retention(self, params: Document) -> Document:
        """Keep events for so many days. They also go, as all do, when there is no room."""
        days = params["retentionInDays"]
        if days not in RETENTION_DAYS:
            raise validation_error(_DAYS.format(days), code=INVALID)
        self._resources.group_named(params["logGroupName"]).retention_days = days
        return {}

    @operation("DeleteRetentionPolicy", writes=True)
    def delete_retention(self, params: Document) -> Document:
        """Keep events for as long as there is room."""
        self._resources.group_named(params["logGroupName"]).retention_days = None
        return {}

    @operation("PutLogGroupDeletionProtection", writes=True)
    def put_protection(self, params: Document) -> Document:
        """Allow or forbid that the group is deleted."""
        group = self._resources.group_named(self._resources.name_in(params["logGroupIdentifier"]))
        group.is_protected = params["deletionProtectionEnabled"]
        return {}


def _by_name(group: LogGroup) -> list[str]:
    return [group.name]
