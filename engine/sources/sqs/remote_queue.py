"""A queue elsewhere, through aiobotocore. Needs the extra `sqs`: nothing but `remote` loads this module."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError

from engine.services.sqs.settings import MAX_OF_ONE_RECEIVE
from engine.sources.sqs.remote_port import LONGEST_WAIT_S, RemoteError, RemoteMessage
from engine.sources.sqs.settings import RemoteEvent

_CONNECT_S: Final = 10
_ANSWER_S: Final = LONGEST_WAIT_S + 20
_ATTEMPTS: Final = 3
_EVERYTHING: Final = ("All",)


class AioQueue:
    """Implements `RemoteQueue`.

    Attributes:
        arn: Its own.
        visibility_s: How long it hides a received message, as it was when this was opened.
    """

    def __init__(self, client: Any, url: str, arn: str, visibility_s: float) -> None:
        self._client = client
        self._url = url
        self.arn = arn
        self.visibility_s = visibility_s

    async def receive(
        self, max_count: int, wait_s: int, visibility_s: float | None, /
    ) -> list[RemoteMessage]:
        """Wait up to `wait_s` for the first. Raises RemoteError."""
        more = {} if visibility_s is None else {"VisibilityTimeout": math.ceil(visibility_s)}
        with _translated():
            answer = await self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=max_count,
                WaitTimeSeconds=wait_s,
                AttributeNames=_EVERYTHING,  # its successor is not known to every server
                MessageAttributeNames=_EVERYTHING,
                **more,
            )
        found: list[RemoteMessage] = answer.get("Messages", [])
        return found

    async def delete(self, handles: Sequence[str], /) -> None:
        """Delete messages. Raises RemoteError if one could not be deleted."""
        for part in _parts(handles):
            with _translated():
                answer = await self._client.delete_message_batch(QueueUrl=self._url, Entries=_entries(part))
            _refuse_failed(answer)

    async def hide(self, handles: Sequence[str], visibility_s: float, /) -> None:
        """Hide messages for `visibility_s` from now on; 0 makes them visible at once. Raises RemoteError."""
        timeout = {"VisibilityTimeout": math.ceil(visibility_s)}
        for part in _parts(handles):
            with _translated():
                answer = await self._client.change_message_visibility_batch(
                    QueueUrl=self._url, Entries=[{**entry, **timeout} for entry in _entries(part)]
                )
            _refuse_failed(answer)


@asynccontextmanager
async def open_queue(settings: RemoteEvent, region: str, connections: int) -> AsyncIterator[AioQueue]:
    """Find the queue, and hold `connections` to it at the most. Raises RemoteError."""
    config = AioConfig(
        max_pool_connections=connections,
        connect_timeout=_CONNECT_S,
        read_timeout=_ANSWER_S,
        retries={"mode": "standard", "max_attempts": _ATTEMPTS},
    )
    async with AsyncExitStack() as opening:
        with _translated():
            opened = AioSession(profile=settings.profile).create_client(
                "sqs",
                region_name=settings.region or region,
                endpoint_url=settings.endpoint_url,
                config=config,
            )
            client = await opening.enter_async_context(opened)
            url = settings.queue
            if "://" not in url:
                url = (await client.get_queue_url(QueueName=url))["QueueUrl"]
            names = ["QueueArn", "VisibilityTimeout"]
            answer = await client.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        attributes = answer["Attributes"]
        yield AioQueue(client, url, attributes["QueueArn"], float(attributes["VisibilityTimeout"]))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, OSError) as error:
        raise RemoteError(" ".join(str(error).split())) from error


def _parts(handles: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(handles), MAX_OF_ONE_RECEIVE):
        yield handles[first : first + MAX_OF_ONE_RECEIVE]


def _entries(handles: Sequence[str]) -> list[dict[str, Any]]:
    return [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]


def _refuse_failed(answer: Any) -> None:
    failed = answer.get("Failed", ())
    if failed:
        raise RemoteError(f"{len(failed)} refused: {failed[0].get('Code')}: {failed[0].get('Message')}")
