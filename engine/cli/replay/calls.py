"""Calls a running engine over the Lambda API, and counts the answers."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Protocol
from urllib.parse import quote

from engine.core.billing import rate
from engine.core.lambda_prices import HOME_REGION, price_sheet
from engine.ports import Clock
from engine.protocols.http.client import HttpConnection, Response
from engine.sources.replay.lateness import Lateness
from engine.sources.replay.reports import report_in
from engine.sources.replay.trace_file import Row, TraceError

_TIMEOUT_S: Final = 930.0
"""A little more than the longest timeout of a function."""


class Target(Protocol):
    """Where calls go."""

    async def invoke(self, function: str, payload: bytes) -> Response:
        """Its answer. Raises OSError if there is none."""
        ...


class InvokeApi:
    """The Lambda API of an engine, over as many connections as there are calls under way."""

    def __init__(self, host: str, port: int, *, asynchronous: bool) -> None:
        self._host, self._port = host, port
        kind = ("X-Amz-Invocation-Type", "Event") if asynchronous else ("X-Amz-Log-Type", "Tail")
        self._headers = [("Content-Type", "application/json"), kind]
        self._spare: list[HttpConnection] = []

    async def invoke(self, function: str, payload: bytes) -> Response:
        """Its answer. Raises HttpClientError if there is none."""
        target = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
        connection = self._spare.pop() if self._spare else None
        if connection is None or not connection.is_open:
            connection = await HttpConnection.open(self._host, self._port)
        answer = await connection.request("POST", target, self._headers, payload, _TIMEOUT_S)
        self._spare.append(connection)
        return answer

    def close(self) -> None:
        """End all connections."""
        for connection in self._spare:
            connection.close()


class Calls:
    """All calls of a replay: each is sent at its time, and what is answered is counted.

    Attributes:
        took_s: How long sending took.
        lateness: How many were sent late, and why.
        out_of_order: Calls that stand after later ones in the trace.
        unreachable, reason: Calls that found no engine, and the last reason.
    """

    def __init__(self, target: Target, clock: Clock, *, asynchronous: bool, most: int) -> None:
        self.took_s = 0.0
        self.lateness = Lateness()
        self.unreachable, self.reason = 0, ""
        self.out_of_order = 0
        self._target, self._clock, self._asynchronous = target, clock, asynchronous
        self._room = asyncio.Semaphore(most)
        self._statuses: Counter[int] = Counter()
        self._took_s: list[float] = []
        self._cold = self._billed_ms = 0
        self._busy_ms = 0.0
        self._usd = Decimal(0)

    async def send_all(self, rows: Iterable[Row], speed: float) -> str:
        """Send each row at its time, or as soon as there is room, and wait for all answers.

        A row that stands after later ones is due with these: the order of the trace is kept. Returns what is
        wrong with the trace; the rows before that are sent.
        """
        began_s = due_s = self._clock.now()
        first_s: float | None = None
        wrong = ""
        async with asyncio.TaskGroup() as group:
            try:
                for row in rows:
                    first_s = row.at_s if first_s is None else first_s
                    at_s = began_s + (row.at_s - first_s) / speed
                    self.out_of_order += at_s < due_s
                    due_s = max(due_s, at_s)
                    await asyncio.sleep(max(0.0, due_s - self._clock.now()))
                    await self._wait_for_room()
                    self.lateness.sent(due_s, self._clock.now())
                    group.create_task(self._call(row.function or "", row.payload, due_s))
            except TraceError as error:
                wrong = str(error)
        self.took_s = self._clock.now() - began_s
        return wrong

    async def _wait_for_room(self) -> None:
        if self._room.locked():
            await self._room.acquire()
            self.lateness.had_room(self._clock.now())
        else:
            await self._room.acquire()

    async def _call(self, function: str, payload: bytes, due_s: float) -> None:
        """Invoke and count the answer; never raises."""
        try:
            answer = await self._target.invoke(function, payload)
        except OSError as error:
            self.unreachable, self.reason = self.unreachable + 1, str(error)
            return
        finally:
            self._room.release()
        self._statuses[answer.status] += 1
        self._took_s.append(self._clock.now() - due_s)
        self._read(answer.header(b"x-amz-log-result"))

    def statuses(self) -> list[tuple[int, int]]:
        """Answers by HTTP status."""
        return sorted(self._statuses.items())

    def figures(self) -> dict[str, float]:
        """By the names of `model.comparison`; what REPORT lines say is there for requests only.

        Times are from when a call was due to its answer: what it waited before it was sent is in them, for
        the callers that the trace is of would have waited too (coordinated omission).
        """
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
