"""Messages sent to a queue and objects put into a bucket, and the counts of what became of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from engine.cli.demo.load import HttpCall, RequestTally
from engine.cli.demo.mixed_traffic import GOOD_ORDERS
from engine.ports import Clock
from engine.protocols.http.client import HttpConnection

QUEUE: Final = "orders"
DEAD_LETTERS: Final = "orders-dlq"
BUCKET: Final = "photos"

_BATCH: Final = 10
"""Messages of one SendMessageBatch: the most that SQS takes."""
_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_LOOK_EVERY_S: Final = 0.05


class QueueAndBucketCounts(NamedTuple):
    """What was sent, and what was left.

    Attributes:
        messages, objects: How many went in.
        left: How many messages are still in the queue.
        dead: How many are in the dead-letter queue.
        noticed: How many invocations the objects caused, one for each if all is well.
        took_s: From the first message sent to the queue found empty.
    """

    messages: int
    left: int
    dead: int
    objects: int
    noticed: int
    took_s: float


def message_calls(count: int) -> Iterator[HttpCall]:
    """`count` orders for the queue, ten in each call."""
    for start in range(0, count, _BATCH):
        entries = [
            {"Id": str(number), "MessageBody": json.dumps(GOOD_ORDERS[number % len(GOOD_ORDERS)])}
            for number in range(start, min(start + _BATCH, count))
        ]
        yield _sqs("SendMessageBatch", QUEUE, Entries=entries)


def object_calls(count: int) -> Iterator[HttpCall]:
    """`count` objects for the bucket, each with a key of its own."""
    for number in range(count):
        yield HttpCall("PUT", f"/{BUCKET}/in/{number:05}.txt", (("content-type", "text/plain"),), b"a photo")


async def send_all(
    connections: Sequence[HttpConnection], calls: Iterable[HttpCall], clock: Clock
) -> RequestTally:
    """Send every call once, over whichever connection is free."""
    tally = RequestTally()
    left = iter(calls)

    async def some(connection: HttpConnection) -> None:
        for call in left:
            sent_s = clock.now()
            response = await connection.request(*call)
            tally.add(sent_s, clock.now(), response)

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(some(connection))
    return tally


async def left_in(connection: HttpConnection, queue: str) -> int:
    """Messages in `queue`, whether they wait or are being handled."""
    response = await connection.request(*_sqs("GetQueueAttributes", queue, AttributeNames=_COUNTS))
    return sum(map(int, json.loads(response.body)["Attributes"].values()))


async def emptied(connection: HttpConnection, queue: str, limit_s: float, clock: Clock) -> int:
    """Wait until nothing is left in `queue`, at most `limit_s`; what is left then."""
    until_s = clock.now() + limit_s
    # Another process empties it, so there is no event to wait for.
    while (left := await left_in(connection, queue)) and clock.now() < until_s:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_EVERY_S)
    return left


def _sqs(action: str, queue: str, **members: Any) -> HttpCall:
    headers = (("content-type", "application/x-amz-json-1.0"), ("x-amz-target", f"AmazonSQS.{action}"))
    document = {"QueueUrl": f"http://localhost/000000000000/{queue}", **members}
    return HttpCall("POST", "/", headers, json.dumps(document).encode())
