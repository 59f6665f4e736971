"""The functions that subscription filters of log groups deliver to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from engine.core.context import log_group_of
from engine.core.destinations import DestinationRecord, target_of
from engine.core.function import Function
from engine.ports import Host
from engine.services.deliveries.delivery import Delivery, GivenUp
from engine.services.deliveries.retry_law import LOGS_LAW
from engine.services.lambda_api.function_registry import FunctionRegistry


class LogSubscribers:
    """All functions of an engine, those that come later too."""

    def __init__(
        self,
        configured: Iterable[Function],
        functions: FunctionRegistry,
        host: Host,
        buses: Callable[[], Any],
    ) -> None:
        """`buses` gives what delivers, an `engine.app.buses.Buses`."""
        self._configured = {function.name: function for function in configured}
        self._functions = functions
        self._account = host.account
        self._buses = buses

    def log_group_of(self, arn: str) -> str | None:
        """The name of the log group that the function logs to; None if there is no such function here."""
        target = target_of(arn)
        if target is None or target[:3] != ("lambda", self._account.region, self._account.account_id):
            return None
        name = target.resource.removeprefix("function:").partition(":")[0]
        function = self._configured.get(name)
        if function is not None:
            return log_group_of(function)
        record = self._functions.record(name)
        if record is None or record.latest is None:
            return None
        group: str = record.latest.settings["LoggingConfig"].get("LogGroup") or f"/aws/lambda/{name}"
        return group

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
