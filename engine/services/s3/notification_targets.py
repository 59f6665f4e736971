"""Delivers notifications to functions, queues, topics and the event bus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import orjson

from engine.core.destinations import DeliveryError, DestinationRecord, DestinationSender
from engine.core.function import Account
from engine.errors import NotAccepting
from engine.services.s3.notification_rules import NotificationTarget, TargetKind

_log = logging.getLogger("engine.s3")

Invoke = Callable[[str, dict[str, Any], str | None], None]
"""Invokes the function that an ARN names, asynchronously, in a trace (X-Ray header).

Raises `NotAccepting` if it took nothing.
"""

_SERVICES: Final[Mapping[TargetKind, str]] = {"queue": "sqs", "topic": "sns", "eventbridge": "events"}


class NotificationTargets:
    """Delivers notifications, as far as their targets exist here.

    Functions are invoked while the source `s3` serves, within `invoking`.
    """

    def __init__(
        self, account: Account, senders: Mapping[str, DestinationSender], exists: Callable[[str], bool]
    ) -> None:
        """Create the targets; functions are invoked within `invoking` only.

        Args:
            account: Owner of the event bus that buckets with EventBridge notify.
            senders: By service: `sqs`, `sns`, `events`. What has none does not exist here.
            exists: Whether there is the function, the queue or the topic of an ARN.
        """
        self._bus = f"arn:aws:events:{account.region}:{account.account_id}:event-bus/default"
        self._senders = senders
        self._exists = exists
        self._invoke: Invoke = _reject

    @contextmanager
    def invoking(self, invoke: Invoke) -> Iterator[None]:
        """Invoke functions by `invoke` within the block; outside of one, `deliver` raises for them."""
        self._invoke = invoke
        try:
            yield
        finally:
            self._invoke = _reject

    def refusal(self, target: NotificationTarget, /) -> str | None:
        """Why nothing can be delivered to the target, in AWS's words; None if it can."""
        is_served = target.kind == "lambda" or _SERVICES[target.kind] in self._senders
        if is_served and self._exists(target.arn):
            return None
        if target.kind == "lambda":
            return f"Not authorized to invoke function [{target.arn}]"
        return f"The destination {target.kind} does not exist"

    def deliver(
        self, target: NotificationTarget, document: dict[str, Any], trace: str | None = None, /
    ) -> None:
        """Deliver a notification, with the X-Ray header of the request behind it. Never blocks.

        A function is invoked asynchronously with the document as its event; a queue gets it as the body of a
        message. A failure to deliver is only logged: AWS reports it to nobody either.

        Raises:
            NotAccepting: The engine takes no events: the client is to try again.
        """
        if target.kind == "lambda":
            self._invoke(target.arn, document, trace)
            return
        sender = self._senders.get(_SERVICES[target.kind])
        if sender is None:  # there is no such service here: what is for EventBridge is dropped
            return
        try:
            sender(target.arn or self._bus, DestinationRecord(body=orjson.dumps(document), trace=trace))
        except DeliveryError as error:
            _log.warning("a notification of S3 was dropped: %s", error)


def _reject(_arn: str, _document: dict[str, Any], _trace: str | None) -> None:
    raise NotAccepting("not serving")
