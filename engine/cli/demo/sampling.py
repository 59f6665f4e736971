"""Reads the engine's /status.json several times a second."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from engine.cli.demo.engine_process import DemoError
from engine.ports import Clock
from engine.protocols.http.client import HttpConnection
from engine.telemetry.status_sample import StatusSample, sample_of

_EVERY_S: Final = 0.1
_ANSWER_LIMIT_S: Final = 15.0


class StatusSampler:
    """Reads the admin listener until cancelled.

    Attributes:
        samples: All of them, oldest first.
        status: The latest whole document.
    """

    def __init__(self, connection: HttpConnection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._began_s = clock.now()
        self._waiting: list[tuple[Callable[[StatusSample], bool], asyncio.Future[None]]] = []
        self.samples: list[StatusSample] = []
        self.status: dict[str, Any] = {}

    def elapsed_s(self) -> float:
        """Seconds since the sampling began: the time axis of everything."""
        return self._clock.now() - self._began_s

    async def run(self, tell: Callable[[StatusSample], None]) -> None:
        """Take a sample, report it and wait, until cancelled.

        Raises:
            DemoError: The admin listener gave no status.
            HttpClientError: It gave no answer.
        """
        while True:
            await self._take(tell)
            await asyncio.sleep(_EVERY_S)

    async def _take(self, tell: Callable[[StatusSample], None]) -> None:
        response = await self._connection.request("GET", "/status.json", timeout_s=_ANSWER_LIMIT_S)
        if response.status != 200:
            raise DemoError(f"/status.json was answered with {response.status}")
        self.status = json.loads(response.body)
        sample = sample_of(self.status, self.elapsed_s())
        self.samples.append(sample)
        tell(sample)
        for met, future in self._waiting:
            if not future.done() and met(sample):
                future.set_result(None)

    async def until(self, met: Callable[[StatusSample], bool], limit_s: float) -> bool:
        """Wait for a sample of which `met` is true; returns whether one came within `limit_s`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (met, future)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(limit_s):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(waiting)
        return True

    def succeeded(self, function: str) -> int:
        """Successful invocations of one function so far."""
        count: int = self.status["functions"][function]["invocations"]["success"]
        return count

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
