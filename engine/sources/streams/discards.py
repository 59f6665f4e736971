"""Sends the record of what a mapping gave up to its on-failure destination.

Source: Lambda Developer Guide, "Retain discarded batch records"; recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from engine.core.destinations import (
    DeliveryError,
    DestinationRecord,
    DestinationSender,
    expanded,
    target_of,
)
from engine.core.streams.commands import DiscardedBatch, StreamBatch
from engine.core.streams.destination_record import (
    bucket_key,
    bucket_record,
    destination_document,
    destination_record,
)
from engine.ports import Host
from engine.sources.streams.events import event_of
from engine.sources.streams.port import StreamClient
from engine.sources.streams.settings import StreamEvent


class DiscardingMapping(Protocol):
    """What is asked of a mapping, at the time of a record."""

    uuid: str
    function: str
    qualifier: str | None
    settings: StreamEvent
    client: StreamClient
    destination_failures: int
    destination_deliveries: int


class DiscardDelivery:
    """`send` delivers, counts what cannot be delivered, and says why; nothing waits for it."""

    def __init__(
        self, mapping: DiscardingMapping, host: Host, senders: Mapping[str, DestinationSender]
    ) -> None:
        """`senders`: the destinations that exist here, by service."""
        self._mapping, self._host, self._senders = mapping, host, senders

    def send(self, discarded: DiscardedBatch) -> None:
        """Deliver the record. Never raises."""
        mapping, host = self._mapping, self._host
        arn = expanded(mapping.settings.on_failure or "", host.account)
        try:
            self._deliver(arn, discarded)
        except DeliveryError as error:
            mapping.destination_failures += 1
            host.say(
                f"functions.{mapping.function}: the record of {len(discarded.records)} discarded records of "
                f"{mapping.settings.stream_name!r} could not be delivered: {error}"
            )
        else:
            mapping.destination_deliveries += 1

    def _deliver(self, arn: str, discarded: DiscardedBatch) -> None:
        mapping, host = self._mapping, self._host
        target = target_of(arn)
        sender = self._senders.get(target.service) if target is not None else None
        if target is None or sender is None:
            raise DeliveryError(arn, f"the engine has no {target.service if target is not None else 'ARN'}")
        kind = mapping.settings.type
        document = destination_document(
            discarded,
            kind,
            stream_arn=mapping.client.arn,
            function_arn=host.account.function_arn(mapping.function, mapping.qualifier),
            request_id=host.new_request_id(),
        )
        key, text = None, destination_record(document)
        if target.service == "s3":
            key = bucket_key(document, kind, mapping_id=mapping.uuid, object_id=host.new_request_id())
            event = event_of(StreamBatch(discarded.shard_id, 0, discarded.records), mapping.client.arn)
            text = bucket_record(document, event.decode())
        sender(arn, DestinationRecord(body=text.encode(), key=key))
