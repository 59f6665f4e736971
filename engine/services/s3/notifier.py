"""Notifies functions, queues, topics and the event bus by the rules that take an event of a bucket.

A notification is delivered after the change can be seen, and before its client is answered: no change that
was acknowledged goes without one. Notifications of one key leave in the order of its changes; targets need
not keep that order, and on AWS there is none. Each event is delivered at least once: a client that was not
answered in time repeats its request, which makes another event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote_plus

import orjson

from engine.core.destinations import DeliveryError, DestinationRecord, DestinationSender
from engine.core.function import Account
from engine.errors import NotAccepting
from engine.services.s3.events import ObjectEvent
from engine.services.s3.model import Bucket
from engine.services.s3.notification_records import NotificationRecords
from engine.services.s3.notification_rules import NotificationRule, NotificationTarget, TargetKind

_log = logging.getLogger("engine.s3")

Invoke = Callable[[str, dict[str, Any], str | None], None]
"""Invokes the function that an ARN names, asynchronously, in a trace (X-Ray header).

Raises `NotAccepting` if it took nothing.
"""

_SERVICES: Final[Mapping[TargetKind, str]] = {"queue": "sqs", "topic": "sns", "eventbridge": "events"}
_SUBJECT: Final = "Amazon S3 Notification"
"""Of notifications to topics (recorded)."""
_BRIDGE: Final = NotificationTarget("eventbridge", "")


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
            subject = _SUBJECT if target.kind == "topic" else None
            record = DestinationRecord(body=orjson.dumps(document), trace=trace, subject=subject)
            sender(target.arn or self._bus, record)
        except DeliveryError as error:
            _log.warning("a notification of S3 was dropped: %s", error)


def _reject(_arn: str, _document: dict[str, Any], _trace: str | None) -> None:
    raise NotAccepting("not serving")


class Notifier:
    """Matches events with rules: those set through the API, and those of the engine's configuration."""

    def __init__(
        self,
        records: NotificationRecords,
        targets: NotificationTargets,
        fixed: Mapping[str, Sequence[NotificationRule]] | None = None,
    ) -> None:
        """`fixed`: rules by bucket that no API call changes."""
        self._records = records
        self._targets = targets
        self._fixed: dict[str, tuple[NotificationRule, ...]] = {}
        self.add(fixed or {})

    def add(self, fixed: Mapping[str, Sequence[NotificationRule]]) -> None:
        """Add rules that no API call changes."""
        for name, rules in fixed.items():
            self._fixed[name] = (*self._fixed.get(name, ()), *rules)

    def notify_targets(self, bucket: Bucket, object_event: ObjectEvent, trace: str | None) -> None:
        """Notify the targets of every rule that takes an event of the engine's own store.

        `trace`: X-Ray header of what changed the object.
        """
        configuration = bucket.notifications
        fixed = self._fixed.get(bucket.name, ())
        if not configuration.rules and not fixed and not configuration.eventbridge:
            return
        sequencer = self._records.sequencer()
        records, event, key = self._records, object_event.event, object_event.key
        for rule in (*fixed, *configuration.rules):
            if not rule.takes(event, key):
                continue
            if rule.form == "s3":
                self._deliver(rule.target, records.record(object_event, rule.id, sequencer), trace)
            else:
                self._deliver(rule.target, records.bridge_event(object_event, sequencer), trace)
        if configuration.eventbridge:
            self._deliver(_BRIDGE, records.bridge_event(object_event, sequencer), trace)

    def test(self, bucket: Bucket, rules: Sequence[NotificationRule], request_id: str, host_id: str) -> None:
        """Send the test event to the queues and topics of a new configuration."""
        for target in dict.fromkeys(rule.target for rule in rules):
            if target.kind in ("queue", "topic"):
                self._targets.deliver(target, self._records.test_event(bucket.name, request_id, host_id))

    def refusal(self, target: NotificationTarget) -> str | None:
        """Why nothing can be delivered to `target`; None if it can."""
        return self._targets.refusal(target)

    def forward(self, record: dict[str, Any]) -> None:
        """Notify the targets of a record that another store sent.

        Only rules of the engine's own configuration apply: other stores' buckets are not known here.
        """
        entity, records = record["s3"], self._records
        event, key = record["eventName"], unquote_plus(entity["object"]["key"])
        for rule in self._fixed.get(entity["bucket"]["name"], ()):
            if not rule.takes(event, key):
                continue
            if rule.form == "s3":
                self._deliver(rule.target, records.with_rule_id(record, rule.id))
            else:
                self._deliver(rule.target, records.as_bridge_event(record))

    def _deliver(
        self, target: NotificationTarget, document: dict[str, Any] | None, trace: str | None = None
    ) -> None:
        if document is not None:
            self._targets.deliver(target, document, trace)
