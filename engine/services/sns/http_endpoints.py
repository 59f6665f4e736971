"""HTTP endpoints of subscribers: a POST for each delivery, on a worker thread, and no redirects.

Source: SNS Developer Guide, "Fanout to HTTP/S endpoints": an endpoint has 15 seconds; "Message delivery
retries": 429 and 5xx are tried again, all other errors are not.

Theory of operation. Each endpoint has up to 16 requests at a time, and all together up to 256, so one that
never answers keeps only its own messages. What finds no place waits in the queue of its endpoint, which is no
attempt of it: an endpoint that is slower than a burst loses nothing of it. A place that is free again goes to
the endpoints in turn. Only queues that are full give up what comes: one has 10,000 deliveries at most, and no
more bytes than are left to all others, so that one endpoint alone takes half of what all may.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException
from typing import Final

from engine.core.delivery_counts import DeliveryCounts
from engine.core.destinations import DeliveryError
from engine.ports import Offload
from engine.services.deliveries.delivery import DELIVERY_BYTES, Delivery, Done
from engine.services.sns import http_post
from engine.services.sns.publisher import HttpDelivery

REQUESTS: Final = 256
"""Requests under way at a time, to all endpoints; each has a thread."""
REQUESTS_OF_ENDPOINT: Final = 16
MAX_WAITING_OF_ENDPOINT: Final = 10_000
MAX_WAITING_BYTES: Final = 128 << 20
_TOO_MANY_REQUESTS: Final = 429

Post = Callable[[str, Mapping[str, str], bytes], int]
"""Sends a POST and returns the status of the answer. Raises OSError if none came. Blocks."""


class _Queue:
    """Deliveries to one endpoint that wait for their turn."""

    __slots__ = ("deliveries", "size")

    def __init__(self) -> None:
        self.deliveries: deque[tuple[HttpDelivery, Done]] = deque()
        self.size = 0


class HttpPort:
    """The port for HTTP endpoints, an endpoint being a URL."""

    def __init__(
        self,
        spawn: Callable[..., object],
        offload: Offload,
        counts: DeliveryCounts,
        post: Post | None = None,
    ) -> None:
        """`spawn` starts a coroutine function, `offload` runs what blocks, `counts` is told of what waits."""
        self._spawn, self._offload, self._counts = spawn, offload, counts
        self._post = post or http_post.post
        self._running: dict[str, int] = {}  # requests under way, by endpoint
        self._all_running = 0
        self._waiting: dict[str, _Queue] = {}  # by endpoint, in the order of their turns; none is empty
        self._waiting_bytes = 0
        self._closed = False

    def __call__(self, delivery: Delivery, done: Done) -> None:
        """Send it, now or in its turn. Raises DeliveryError if too many wait already."""
        assert isinstance(delivery, HttpDelivery)
        if self._closed:
            raise _stopped(delivery)
        if self._all_running < REQUESTS and self._has_place(delivery.target):
            self._enter(delivery.target)
            self._spawn(self._work, delivery, done)
        else:
            self._hold(delivery, done)

    def close(self) -> None:
        """Begin no more requests: what waits for its turn has failed."""
        self._closed = True
        while self._waiting:
            delivery, done = self._take(next(iter(self._waiting)))
            done(_stopped(delivery))

    # --- places and turns

    def _has_place(self, endpoint: str) -> bool:
        return self._running.get(endpoint, 0) < REQUESTS_OF_ENDPOINT

    def _enter(self, endpoint: str) -> None:
        self._running[endpoint] = self._running.get(endpoint, 0) + 1
        self._all_running += 1

    def _leave(self, endpoint: str) -> None:
        self._all_running -= 1
        self._running[endpoint] -= 1
        if not self._running[endpoint]:
            del self._running[endpoint]

    def _hold(self, delivery: HttpDelivery, done: Done) -> None:
        queue = self._waiting.get(delivery.target) or _Queue()
        size = _size(delivery)
        left = MAX_WAITING_BYTES - self._waiting_bytes
        if len(queue.deliveries) >= MAX_WAITING_OF_ENDPOINT or queue.size + size > left:
            raise DeliveryError(delivery.target, "too many requests to the endpoint wait", "THROTTLING")
        self._waiting[delivery.target] = queue
        queue.deliveries.append((delivery, done))
        queue.size += size
        self._waiting_bytes += size
        self._counts.hold(delivery.service, size)

    def _take(self, endpoint: str) -> tuple[HttpDelivery, Done]:
        """The first that waits for that endpoint, which is the last to have a turn again."""
        queue = self._waiting.pop(endpoint)
        delivery, done = queue.deliveries.popleft()
        size = _size(delivery)
        queue.size -= size
        self._waiting_bytes -= size
        self._counts.release(delivery.service, size)
        if queue.deliveries:
            self._waiting[endpoint] = queue
        return delivery, done

    # --- requests

    async def _work(self, delivery: HttpDelivery, done: Done) -> None:
        """Send it, and what has the place next, until none waits that may have it."""
        while True:
            try:
                error = await self._send(delivery)
            except asyncio.CancelledError:
                done(_stopped(delivery))
                raise
            finally:
                self._leave(delivery.target)
            done(error)
            endpoint = next(filter(self._has_place, self._waiting), None)
            if endpoint is None:
                return
            self._enter(endpoint)
            delivery, done = self._take(endpoint)

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


def _size(delivery: Delivery) -> int:
    return len(delivery.record.body) + DELIVERY_BYTES


def _stopped(delivery: Delivery) -> DeliveryError:
    return DeliveryError(delivery.target, "the engine stops", "INTERNAL_ERROR")
