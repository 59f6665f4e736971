"""HTTP endpoints of subscribers: a POST for each delivery, on a worker thread, and no redirects.

Source: SNS Developer Guide, "Fanout to HTTP/S endpoints": an endpoint has 15 seconds; "Message delivery
retries": 429 and 5xx are tried again, all other errors are not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException
from typing import Final

from engine.core.destinations import DeliveryError
from engine.ports import Offload
from engine.services.deliveries.delivery import Delivery, Done
from engine.services.sns import http_post
from engine.services.sns.publisher import HttpDelivery

_AT_A_TIME: Final = 16
_MAX_WAITING: Final = 1_000
_TOO_MANY_REQUESTS: Final = 429

Post = Callable[[str, Mapping[str, str], bytes], int]
"""Sends a POST and returns the status of the answer. Raises OSError if none came. Blocks."""


class HttpPort:
    """The port for HTTP endpoints: 16 requests at a time, and a bounded number that wait for their turn."""

    def __init__(self, spawn: Callable[..., object], offload: Offload, post: Post | None = None) -> None:
        """`spawn` starts a coroutine function, `offload` runs what blocks."""
        self._spawn, self._offload = spawn, offload
        self._post = post or http_post.post
        self._running = 0
        self._waiting: deque[tuple[HttpDelivery, Done]] = deque()

    def __call__(self, delivery: Delivery, done: Done) -> None:
        """Send it. Raises DeliveryError if too many wait already."""
        assert isinstance(delivery, HttpDelivery)
        if len(self._waiting) >= _MAX_WAITING:
            reason = "too many requests to HTTP endpoints wait"
            raise DeliveryError(delivery.target, reason, "THROTTLING", True)  # noqa: FBT003
        self._waiting.append((delivery, done))
        if self._running < _AT_A_TIME:
            self._running += 1
            self._spawn(self._work)

    async def _work(self) -> None:
        """Send until none waits."""
        try:
            while self._waiting:
                delivery, done = self._waiting.popleft()
                done(await self._send(delivery))
        finally:
            self._running -= 1

    async def _send(self, delivery: HttpDelivery) -> DeliveryError | None:
        send = partial(self._post, delivery.target, delivery.headers, delivery.record.body)
        try:
            status: int = await self._offload(send)
        except (OSError, HTTPException) as error:
            reason = f"the endpoint cannot be reached: {error}"
            return DeliveryError(delivery.target, reason, "CONNECTION_FAILURE", True)  # noqa: FBT003
        except ValueError as error:
            return DeliveryError(delivery.target, f"the URL is none: {error}", "INVALID_PARAMETER")
        if 200 <= status < 300:
            return None
        is_temporary = status >= 500 or status == _TOO_MANY_REQUESTS
        return DeliveryError(delivery.target, f"the endpoint answered {status}", "REMOTE_ERROR", is_temporary)
