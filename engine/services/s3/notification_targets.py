"""Where notifications go: to functions, by the source that serves them, and wherever couriers go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.core.function import Account
from engine.errors import NotAccepting
from engine.services.s3.notification_rules import NotificationTarget, TargetKind

_log = logging.getLogger("engine.s3")

NotificationSender = Callable[[str, DestinationRecord], None]
"""Sends a record to a destination, an ARN, or raises `DeliveryError`. It must not block."""

Invoke = Callable[[str, dict[str, Any]], None]
"""Invokes the function that an ARN names, asynchronously. Raises `NotAccepting` if it took nothing."""

_SERVICES: Final[Mapping[TargetKind, str]] = {"queue": "sqs", "topic": "sns", "eventbridge": "events"}
_NAMES: Final[Mapping[TargetKind, str]] = {"lambda": "Lambda", "queue": "queue", "topic": "topic"}


class NotificationTargets:
    """The `Deliveries` of an engine.

    Args:
        account: Whose event bus hears of everything.
        senders: By service: `sqs`, `sns`, `events`. What has none does not exist here.
        exists: Whether there is what an ARN names: a function, a queue, a topic.
    """

    def __init__(
        self, account: Account, senders: Mapping[str, NotificationSender], exists: Callable[[str], bool]
    ) -> None:
        self._bus = f"arn:aws:events:{account.region}:{account.account_id}:event-bus/default"
        self._senders = senders
        self._exists = exists
        self.invoke: Invoke = ignore
        """Invokes functions; set by the source `s3` while it serves."""

    def refusal(self, target: NotificationTarget, /) -> str | None:
        """Why nothing can be delivered to the target, in AWS's words; None if it can."""
        reached = target.kind == "lambda" or _SERVICES[target.kind] in self._senders
        if reached and self._exists(target.arn):
            return None
        return f"The destination {_NAMES[target.kind]} does not exist"

    def deliver(self, target: NotificationTarget, document: dict[str, Any], /) -> None:
        """Deliver a notification. A failure to deliver is only logged: AWS reports it to nobody either."""
        if target.kind == "lambda":
            self.invoke(target.arn, document)
            return
        sender = self._senders.get(_SERVICES[target.kind])
        if sender is None:  # no such service here: a bucket that tells EventBridge tells nobody
            return
        try:
            sender(target.arn or self._bus, DestinationRecord(body=orjson.dumps(document)))
        except DeliveryError as error:
            _log.warning("a notification of S3 was dropped: %s", error)


def ignore(_arn: str, _document: dict[str, Any]) -> None:
    """Drop a notification: the source does not serve."""
    raise NotAccepting("not serving")
