"""Notifies the targets of the rules that take an event of a bucket.

A notification is handed on after the change can be seen, and before its client is answered, so that a change
that was acknowledged was told. Notifications of one key leave in the order of its changes; what becomes of
that order behind `deliver` is the target's concern, and on AWS there is none. Each happening is told at least
once: a client that was not answered in time repeats its request, and so the happening.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import unquote_plus

from engine.services.s3.events import ObjectEvent
from engine.services.s3.model import Bucket
from engine.services.s3.notification_records import NotificationRecords
from engine.services.s3.notification_rules import NotificationRule, NotificationTarget

_BRIDGE: Final = NotificationTarget("eventbridge", "")


class Deliveries(Protocol):
    """Delivers notifications to functions, queues and topics."""

    def refusal(self, target: NotificationTarget, /) -> str | None:
        """Why nothing can be delivered to the target (`The destination queue does not exist`), or None."""

    def deliver(self, target: NotificationTarget, document: dict[str, Any], /) -> None:
        """Take a notification for `target`, to keep or to change. Never blocks.

        Raises `NotAccepting`, alone, if it can take none: the client is then told to try again.

        A `lambda` is invoked asynchronously with the document as its event; a `queue` gets it as the body
        of a message, a `topic` as a notification's message with the subject `Amazon S3 Notification`.
        """


class Notifier:
    """Matches events with rules: those set through the API, and those of the engine's configuration."""

    def __init__(
        self,
        records: NotificationRecords,
        deliveries: Deliveries,
        fixed: Mapping[str, Sequence[NotificationRule]] | None = None,
    ) -> None:
        """`fixed`: rules by bucket that no API call changes."""
        self._records = records
        self._deliveries = deliveries
        self._fixed: dict[str, tuple[NotificationRule, ...]] = {}
        self.add(fixed or {})

    def add(self, fixed: Mapping[str, Sequence[NotificationRule]]) -> None:
        """Add rules that no API call changes."""
        for name, rules in fixed.items():
            self._fixed[name] = (*self._fixed.get(name, ()), *rules)

    def notify_targets(self, bucket: Bucket, object_event: ObjectEvent) -> None:
        """Notify the targets of every rule that takes an event of the engine's own store."""
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
                self._deliver(rule.target, records.record(object_event, rule.id, sequencer))
            else:
                self._deliver(rule.target, records.bridge_event(object_event, sequencer))
        if configuration.eventbridge:
            self._deliver(_BRIDGE, records.bridge_event(object_event, sequencer))

    def test(self, bucket: Bucket, rules: Sequence[NotificationRule], request_id: str, host_id: str) -> None:
        """Send the test event to the queues and topics of a new configuration."""
        for target in dict.fromkeys(rule.target for rule in rules):
            if target.kind in ("queue", "topic"):
                self._deliveries.deliver(target, self._records.test_event(bucket.name, request_id, host_id))

    def refusal(self, target: NotificationTarget) -> str | None:
        """Why nothing can be delivered to `target`; None if it can."""
        return self._deliveries.refusal(target)

    def forward(self, record: dict[str, Any]) -> None:
        """Hand on a record from another store, which is whole.

        Only the engine's own configuration is asked: it knows no buckets of other stores by itself.
        """
        entity, records = record["s3"], self._records
        event, key = record["eventName"], unquote_plus(entity["object"]["key"])
        for rule in self._fixed.get(entity["bucket"]["name"], ()):
            if not rule.takes(event, key):
                continue
            if rule.form == "s3":
                self._deliver(rule.target, records.named(record, rule.id))
            else:
                self._deliver(rule.target, records.bridged(record))

    def _deliver(self, target: NotificationTarget, document: dict[str, Any] | None) -> None:
        if document is not None:
            self._deliveries.deliver(target, document)
