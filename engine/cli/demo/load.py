"""Sends requests over real sockets and counts the answers: bursts of many at once, and closed loops."""

from __future__ import annotations

import asyncio
import json
import resource
from array import array
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple
from urllib.parse import quote

from engine.ports import Clock
from engine.protocols.http.client import HttpConnection, Response

Address = tuple[str, int]

_OPENED_AT_ONCE: Final = 64
_SPARE_FILES: Final = 64
"""Descriptors that a process needs besides its connections, with some to spare."""

OK: Final = "200"


class HttpCall(NamedTuple):
    """One request, ready to send."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


class RequestTally:
    """The answers to one series of requests.

    Attributes:
        latencies_s: Of each kind of answer, in order of arrival: from sent to answered, seconds.
        reasons: The `Reason` of each throttle.
        began_s, ended_s: First request sent and last answer complete, on the clock of the caller.
    """

    def __init__(self) -> None:
        self.latencies_s: dict[str, array[float]] = {}
        self.reasons: Counter[str] = Counter()
        self.began_s: float | None = None
        self.ended_s = 0.0

    def add(self, sent_s: float, now_s: float, response: Response) -> None:
        """Count one answer."""
        kind = kind_of(response)
        if kind not in self.latencies_s:
            self.latencies_s[kind] = array("d")
        self.latencies_s[kind].append(now_s - sent_s)
        if self.began_s is None or sent_s < self.began_s:
            self.began_s = sent_s
        self.ended_s = max(self.ended_s, now_s)
        if response.status == 429:
            self.reasons[str(_member(response.body, "Reason"))] += 1

    @property
    def answers(self) -> dict[str, int]:
        """How many of each kind."""
        return {kind: len(latencies) for kind, latencies in self.latencies_s.items()}

    @property
    def count(self) -> int:
        """How many in all."""
        return sum(self.answers.values())

    @property
    def per_s(self) -> float:
        """Answers per second, from the first request to the last answer."""
        return self.count / self.took_s if self.took_s > 0 else 0.0

    @property
    def took_s(self) -> float:
        """From the first request to the last answer, seconds."""
        return 0.0 if self.began_s is None else self.ended_s - self.began_s


def kind_of(response: Response) -> str:
    """`200`, `404`, or with the error's name: `200 Runtime.ExitError`, `429 TooManyRequestsException`."""
    name: object = None
    if response.status != 200:
        if (header := response.header(b"x-amzn-errortype")) is not None:
            name = header.decode("latin-1").partition(":")[0]
    elif response.header(b"x-amz-function-error") is None:
        return OK
    else:
        name = _member(response.body, "errorType") or "Unhandled"
    return f"{response.status} {name}" if name else str(response.status)


def _member(body: bytes, key: str) -> object:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document.get(key) if isinstance(document, dict) else None


async def connect(stack: ExitStack, address: Address, count: int) -> list[HttpConnection]:
    """Open `count` connections, some at a time; `stack` closes them."""
    opened: list[HttpConnection] = []

    async def some(share: int) -> None:
        for _ in range(share):
            connection = await HttpConnection.open(*address)
            stack.callback(connection.close)
            opened.append(connection)

    async with asyncio.TaskGroup() as group:
        for index in range(_OPENED_AT_ONCE):
            group.create_task(some(len(range(index, count, _OPENED_AT_ONCE))))
    return opened


async def burst(connections: Sequence[HttpConnection], call: HttpCall, clock: Clock) -> RequestTally:
    """Send `call` once on every connection, all at the same time."""
    tally = RequestTally()

    async def once(connection: HttpConnection) -> None:
        sent_s = clock.now()
        response = await connection.request(*call)
        tally.add(sent_s, clock.now(), response)

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(once(connection))
    return tally


async def keep_asking(
    connection: HttpConnection,
    calls: Sequence[HttpCall],
    tally: RequestTally,
    clock: Clock,
    *,
    until_s: float,
    pause_s: float = 0.0,
) -> None:
    """Closed loop: one call after another, in turn, until the clock says `until_s`."""
    index = 0
    while (sent_s := clock.now()) < until_s:
        response = await connection.request(*calls[index % len(calls)])
        tally.add(sent_s, clock.now(), response)
        index += 1
        if pause_s:
            await asyncio.sleep(pause_s)  # the user who thinks before the next click


def invocation(function: str, payload: object = None) -> HttpCall:
    """`RequestResponse` of the Invoke API."""
    target = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
    return HttpCall("POST", target, (), b"{}" if payload is None else json.dumps(payload).encode())


def allow_open_files(wanted: int) -> int:
    """Raise this process's limit of open files, which children inherit, and say how many connections fit.

    The hard limit is left alone.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted += _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        except (OSError, ValueError):  # some systems have a lower ceiling of their own
            pass
    return (wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)) - _SPARE_FILES
