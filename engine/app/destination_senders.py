"""Ways from one part to another: records and notifications into queues, archives out of buckets."""

from __future__ import annotations

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.ports import Host
from engine.protocols.aws.errors import ServiceError
from engine.services.lambda_api.errors import invalid_parameter
from engine.services.s3.errors import S3Error
from engine.services.s3.service import S3Service
from engine.services.sqs.message import Attribute
from engine.services.sqs.message_content import body_of, check_size
from engine.services.sqs.service import SqsService


class QueueSender:
    """A sender for the service `sqs`: each record becomes a message."""

    def __init__(self, service: SqsService, host: Host) -> None:
        self._service = service
        self._now = host.clock.now
        self._new_id = host.new_request_id

    def __call__(self, arn: str, record: DestinationRecord) -> None:
        """Send it. Raises DeliveryError if the queue does not exist or would not take it from a client."""
        try:
            queue = self._service.queue(arn)
            body, raw = body_of({"MessageBody": record.body.decode("utf-8", "replace")})
            attributes = {name: Attribute(*pair) for name, pair in record.attributes.items()}
            size = sum(len(name) + len(kind) + len(value) for name, (kind, value) in attributes.items())
            check_size(len(raw) + size, queue.policy.max_bytes)
        except ServiceError as error:
            raise DeliveryError(arn, error.message) from None
        if queue.policy.fifo:
            raise DeliveryError(arn, "a FIFO queue cannot be a destination (AWS)")
        now_s = self._now()
        queue.send(now_s, self._new_id(), body, attributes=attributes or None, trace=record.trace)
        queue.wake_waiters(now_s)


async def fetch_code(service: S3Service, bucket: str, key: str, version: str | None) -> bytes:
    """The archive of a function that lies in a bucket. Raises ServiceError, in Lambda's words."""
    try:
        return await service.read(bucket, key, version)
    except S3Error as error:
        message = (
            f"Error occurred while GetObject. S3 Error Code: {error.code}. S3 Error Message: {error.message}"
        )
        raise invalid_parameter(message) from None
