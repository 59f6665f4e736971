"""Records on their way into queues, and packages on theirs out of buckets."""

import asyncio
import itertools

import pytest

from engine.app.destination_senders import QueueSender, fetch_code
from engine.core.destinations import DeliveryError, DestinationRecord
from engine.core.function import Account
from engine.ports import Host
from engine.protocols.aws.errors import ServiceError
from engine.services.s3.service import S3Service
from engine.services.sqs.service import SqsService
from engine.services.sqs.settings import QueueSettings
from engine.testing import virtual_platform

ARN = "arn:aws:sqs:us-east-1:000000000000:"


@pytest.fixture
async def host():
    ids = itertools.count(1)
    return Host(
        account=Account(),
        clock=asyncio.get_running_loop().clock,
        new_request_id=lambda: f"0f0e0d0c-0b0a-4908-8706-{next(ids):012x}",
        listen={},
    )


@pytest.fixture
async def queues(host):
    service = SqsService(host)
    tables = {
        "plain": QueueSettings(),
        "small": QueueSettings(maximum_message_bytes=1024),
        "a.fifo": QueueSettings(),
    }
    service.declare(tables)
    yield service
    service.stop()


async def test_a_parcel_becomes_a_message(host, queues):
    """With its attributes."""
    record = DestinationRecord(body=b'{"a": "\xc3\xa9"}', attributes={"ErrorCode": ("Number", "200")})
    QueueSender(queues, host)(f"{ARN}plain", record)
    [message] = queues.queue("plain").receive(10, host.clock.now())

    assert ('{"a": "é"}', ("Number", "200")) == (message.body, message.attributes["ErrorCode"])


@pytest.mark.parametrize(
    ("queue", "record", "reason"),
    [
        ("nowhere", DestinationRecord(body=b"1"), "The specified queue does not exist."),
        ("small", DestinationRecord(body=b"1" * 1025), "Message must be shorter than 1024 bytes"),
        (
            "small",
            DestinationRecord(body=b"1" * 1000, attributes={"Long": ("String", "x" * 20)}),
            "must be shorter",
        ),
        ("plain", DestinationRecord(body=b"\x00"), "Invalid characters found"),
        ("a.fifo", DestinationRecord(body=b"1"), "a FIFO queue cannot be a destination"),
    ],
)
async def test_what_a_queue_would_not_take_from_a_client_is_not_delivered(
    host, queues, queue, record, reason
):
    """And says why."""
    with pytest.raises(DeliveryError, match=reason):
        QueueSender(queues, host)(f"{ARN}{queue}", record)


async def test_a_package_is_fetched_or_lambda_tells_what_s3_said(host):
    """By bucket and key."""
    service = S3Service(host, spawn=None, offload=virtual_platform().offload)
    service.prepare({"code": ()})
    service.put_record("arn:aws:s3:::code", DestinationRecord(body=b"zip", key="a.zip"))
    fetched = await fetch_code(service, "code", "a.zip", None)

    assert b"zip" == fetched
    with pytest.raises(ServiceError, match=r"S3 Error Code: NoSuchKey\. S3 Error Message: The specified key"):
        await fetch_code(service, "code", "b.zip", None)
    with pytest.raises(ServiceError, match=r"S3 Error Code: NoSuchBucket\."):
        await fetch_code(service, "codes", "a.zip", None)


async def test_a_fifo_queue_takes_what_has_a_group(host, queues):
    """And a deduplication id, unless it makes one of the content; twice the same is one message."""
    record = DestinationRecord(body=b"1", group="a", dedup_id="once")
    for _ in range(2):
        QueueSender(queues, host)(f"{ARN}a.fifo", record)
    [message] = queues.queue("a.fifo").receive(10, host.clock.now())

    assert ("1", "a", "once") == (message.body, message.group, message.dedup_id)
    with pytest.raises(DeliveryError, match="no deduplication by content"):
        QueueSender(queues, host)(f"{ARN}a.fifo", DestinationRecord(body=b"1", group="a"))
