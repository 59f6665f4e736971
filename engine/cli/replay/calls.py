"""Calls a running engine over the Lambda API, and counts the answers."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from engine.core.billing import rate
from engine.core.lambda_prices import HOME_REGION, price_sheet
from engine.ports import Clock
from engine.protocols.http.client import HttpConnection
from engine.sources.replay.reports import report_in

_LATE_S: Final = 0.1
_TIMEOUT_S: Final = 930.0
"""A little more than the longest timeout of a function."""


class Calls:
    """All calls of a replay.

    Attributes:
        took_s: How long sending took.
        sent_late: Calls that were sent more than a tenth of a second after their time.
        unreachable, reason: Calls that found no engine, and the last reason.
    """

    def __init__(self, host: str, port: int, *, asynchronous: bool, most: int) -> None:
        self.took_s = 0.0
        self.unreachable, self.reason = 0, ""
        self._host, self._port, self._asynchronous = host, port, asynchronous
        self._room = asyncio.Semaphore(most)
        self._spare: list[HttpConnection] = []
        self._statuses: Counter[int] = Counter()
        self._took_s: list[float] = []
        self.sent_late = self._cold = self._billed_ms = 0
        self._busy_ms = 0.0
        self._usd = Decimal(0)

    async def wait_for_room(self) -> None:
        """Wait until one more may be under way."""
        await self._room.acquire()

    def late(self, by_s: float) -> None:
        """Note that a call was sent that much after its time."""
        self.sent_late += by_s > _LATE_S

    async def call(self, function: str, payload: bytes, clock: Clock) -> None:
        """Invoke and count the answer; never raises."""
        target = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
        headers = [("Content-Type", "application/json")]
        headers.append(
            ("X-Amz-Invocation-Type", "Event") if self._asynchronous else ("X-Amz-Log-Type", "Tail")
        )
        began_s = clock.now()
        try:
            connection = self._spare.pop() if self._spare else None
            if connection is None or not connection.is_open:
                connection = await HttpConnection.open(self._host, self._port)
            answer = await connection.request("POST", target, headers, payload, _TIMEOUT_S)
        except OSError as error:
            self.unreachable, self.reason = self.unreachable + 1, str(error)
            return
        finally:
            self._room.release()
        self._spare.append(connection)
        self._statuses[answer.status] += 1
        self._took_s.append(clock.now() - began_s)
        self._read(answer.header(b"x-amz-log-result"))

    def close(self) -> None:
        """End all connections."""
        for connection in self._spare:
            connection.close()

    def statuses(self) -> list[tuple[int, int]]:
        """Answers by HTTP status."""
        return sorted(self._statuses.items())

    def figures(self) -> dict[str, float]:
        """By the names of `model.comparison`; what REPORT lines say is there for requests only."""
        took_s = sorted(self._took_s)
        size = len(took_s)
        found: dict[str, float] = {"requests": size, "throttles": self._statuses[429]}
        if size:
            found["mean_ms"] = 1000 * sum(took_s) / size
            found["p50_ms"] = 1000 * took_s[(size - 1) // 2]
            found["p99_ms"] = 1000 * took_s[-(-99 * size // 100) - 1]
        if not self._asynchronous and self.took_s:
            found["concurrency"] = self._busy_ms / 1000 / self.took_s
            found["cold_starts"] = self._cold
            found["billed_ms"] = self._billed_ms
            found["cost_usd"] = float(self._usd)
        return found

    def _read(self, tail: bytes | None) -> None:
        report = report_in(base64.b64decode(tail).decode(errors="replace")) if tail else None
        sheet = price_sheet(HOME_REGION)
        if report is None or sheet is None:
            return
        self._busy_ms += 1000 * report.duration_s
        self._billed_ms += report.billed_ms
        self._cold += report.init_s is not None
        self._usd += rate(sheet, report.memory_mb, "x86_64").cost_usd(report.billed_ms)
