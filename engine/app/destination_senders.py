"""Ways from one part to another: records and notifications into queues, archives out of buckets."""

from __future__ import annotations

from typing import Final

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.ports import Host
from engine.protocols.aws.errors import ServiceError
from engine.services.lambda_api.errors import invalid_parameter
from engine.services.s3.errors import S3Error
from engine.services.s3.service import S3Service
from engine.services.sqs.message import Attribute
from engine.services.sqs.message_content import body_of, check_size
from engine.services.sqs.service import SqsService

INVALID: Final = "INVALID_PARAMETER"


class QueueSender:
    """A sender for the service `sqs`: each record becomes a message."""

    def __init__(self, service: SqsService, host: Host) -> None:
        self._service = service
        self._now = host.clock.now
        self._new_id = host.new_request_id

    def __call__(self, arn: str, record: DestinationRecord) -> None:
        """Send it. Raises DeliveryError if the queue does not exist or would not take it from a client.

        A FIFO queue takes what has a message group, and a deduplication id unless it makes one of content.
        """
        try:
            queue = self._service.queue(arn)
        except ServiceError as error:
            raise DeliveryError(arn, error.message) from None
        try:
            body, raw = body_of({"MessageBody": record.body.decode("utf-8", "replace")})
            attributes = {name: Attribute(*pair) for name, pair in record.attributes.items()}
            size = sum(len(name) + len(kind) + len(value) for name, (kind, value) in attributes.items())
            check_size(len(raw) + size, queue.policy.max_bytes)
            if queue.policy.fifo:
                _check_ids(record, arn, has_content_ids=queue.policy.content_deduplication)
        except ServiceError as error:
            raise DeliveryError(arn, error.message, INVALID) from None
        now_s = self._now()
        queue.send(
            now_s,
            self._new_id(),
            body,
            group=record.group,
            dedup_id=record.dedup_id,
            attributes=attributes or None,
            trace=record.trace,
        )
        queue.wake_waiters(now_s)


def _check_ids(record: DestinationRecord, arn: str, *, has_content_ids: bool) -> None:
    if record.group is None:
        raise DeliveryError(arn, "a FIFO queue cannot be a destination (AWS)", INVALID)
    if record.dedup_id is None and not has_content_ids:
        raise DeliveryError(arn, "the FIFO queue has no deduplication by content", INVALID)


async def fetch_code(service: S3Service, bucket: str, key: str, version: str | None) -> bytes:
    """The archive of a function that lies in a bucket. Raises ServiceError, in Lambda's words."""
    try:
        return await service.read(bucket, key, version)
    except S3Error as error:
        message = (
            f"Error occurred while GetObject. S3 Error Code: {error.code}. S3 Error Message: {error.message}"
        )
        raise invalid_parameter(message) from None
