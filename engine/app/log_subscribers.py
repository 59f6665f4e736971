"""The functions that subscription filters of log groups deliver to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from engine.app.engine import Engine
from engine.core.context import log_group_of
from engine.core.destinations import DestinationRecord, target_of
from engine.ports import Host
from engine.services.deliveries.delivery import Delivery, GivenUp
from engine.services.deliveries.retry_law import LOGS_LAW


class LogSubscribers:
    """All functions of an engine, those that come later too."""

    def __init__(self, engine: Engine, host: Host, buses: Callable[[], Any]) -> None:
        """`buses` gives what delivers, an `engine.app.buses.Buses`."""
        self._engine = engine
        self._account = host.account
        self._buses = buses

    def log_group_of(self, arn: str) -> str | None:
        """The name of the log group that the function logs to; None if there is no such function here."""
        target = target_of(arn)
        if target is None or target[:3] != ("lambda", self._account.region, self._account.account_id):
            return None
        name = target.resource.removeprefix("function:").partition(":")[0]
        function = self._engine.deployments.function(name)
        return None if function is None else log_group_of(function)

    def deliver(self, arn: str, event: dict[str, Any]) -> None:
        """Invoke it asynchronously, and try again if it cannot be at present."""
        self._buses().deliveries.deliver(
            Delivery(
                service="logs",
                kind="lambda",
                target=arn,
                record=DestinationRecord(body=orjson.dumps(event)),
                law=LOGS_LAW,
                dead_letter_queue=None,
                dead_letter=_none,
            )
        )


def _none(_given_up: GivenUp) -> DestinationRecord:
    raise AssertionError("log subscriptions have no dead-letter queues")
