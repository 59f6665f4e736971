"""Operations on subscription filters: putting, listing, taking away."""

from __future__ import annotations

from typing import Any, Final

from engine.protocols.aws.operation import operation
from engine.services.logs.errors import (
    invalid,
    no_filter,
    no_function,
    own_logs,
    too_many,
)
from engine.services.logs.filter_patterns import BadPattern, compiled
from engine.services.logs.paging import list_page
from engine.services.logs.resources import Document, LogResources
from engine.services.logs.store import LogGroup
from engine.services.logs.subscription_filters import SubscriptionFilter
from engine.services.logs.subscriptions import LogSubscriptions

MAX_FILTERS: Final = 2
"""Of a log group (CloudWatch Logs quotas)."""
_TO_FUNCTIONS: Final = "This engine delivers to functions: destinationArn {} is no ARN of one."
_UNSERVED: Final = "fieldSelectionCriteria is not supported by this engine."


class SubscriptionFilters:
    """The operations, on one engine's groups."""

    def __init__(self, resources: LogResources, subscriptions: LogSubscriptions) -> None:
        self._resources = resources
        self._subscriptions = subscriptions

    @operation("PutSubscriptionFilter", writes=True)
    def put(self, params: Document) -> Document:
        """Subscribe a function to a group, or change how it is."""
        group, name = self._resources.group_named(params["logGroupName"]), params["filterName"]
        arn, earlier = params["destinationArn"], group.subscriptions.get(params["filterName"])
        pattern = params.get("filterPattern") or ""
        try:
            matches = compiled(pattern)
        except BadPattern as error:
            raise invalid(str(error)) from None
        self._check_destination(group, arn)
        if params.get("fieldSelectionCriteria"):
            raise invalid(_UNSERVED)
        if earlier is None and len(group.subscriptions) >= MAX_FILTERS:
            raise too_many()
        made = SubscriptionFilter(
            name=name,
            pattern=pattern,
            matches=matches,
            destination_arn=arn,
            created_ms=self._resources.now_ms() if earlier is None else earlier.created_ms,
            role_arn=params.get("roleArn"),
            distribution=params.get("distribution") or "ByLogStream",
            on_transformed=params.get("applyOnTransformedLogs") or False,
            system_fields=params.get("emitSystemFields") or [],
        )
        self._subscriptions.put(group, made)
        return {}

    def _check_destination(self, group: LogGroup, arn: str) -> None:
        if ":lambda:" not in arn or ":function:" not in arn:
            raise invalid(_TO_FUNCTIONS.format(arn))
        if self._subscriptions.subscribers.log_group_of(arn) is None:
            raise no_function(arn)
        if self._subscriptions.delivers_own_logs(group.name, arn):
            raise own_logs(arn, group.name)

    @operation("DescribeSubscriptionFilters")
    def describe(self, params: Document) -> Document:
        """The filters of a group by name, at most 50 a page."""
        group, prefix = self._resources.group_named(params["logGroupName"]), params.get("filterNamePrefix")
        found = [one for one in group.subscriptions.values() if one.name.startswith(prefix or "")]
        page, token = list_page(found, _by_name, params.get("nextToken"), params.get("limit") or 50)
        answer: Document = {"subscriptionFilters": [_shown(group, one) for one in page]}
        return answer if token is None else {**answer, "nextToken": token}

    @operation("DeleteSubscriptionFilter", writes=True)
    def delete(self, params: Document) -> Document:
        """Take a filter away."""
        group, name = self._resources.group_named(params["logGroupName"]), params["filterName"]
        if name not in group.subscriptions:
            raise no_filter()
        self._subscriptions.remove(group, name)
        return {}


def _by_name(one: SubscriptionFilter) -> list[Any]:
    return [one.name]


def _shown(group: LogGroup, one: SubscriptionFilter) -> Document:
    document: Document = {
        "applyOnTransformedLogs": one.on_transformed,
        "creationTime": one.created_ms,
        "destinationArn": one.destination_arn,
        "distribution": one.distribution,
        "filterName": one.name,
        "filterPattern": one.pattern,
        "logGroupName": group.name,
    }
    if one.role_arn is not None:
        document["roleArn"] = one.role_arn
    if one.system_fields:
        document["emitSystemFields"] = one.system_fields
    return document
