"""Stats with two functions, invocations to feed them, and a clock that stands still."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from engine.core.billing import billed_ms, rate
from engine.core.event import Event
from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.core.lambda_prices import price_sheet
from engine.core.outcome import Outcome, Status
from engine.ports import Clock
from engine.telemetry.function_stats import Levels
from engine.telemetry.log import PlatformLog
from engine.telemetry.stats import Stats

SHEET = price_sheet("us-east-1")
assert SHEET is not None
RATE = rate(SHEET, 128, "x86_64")
REQUEST_ID = "6f1b2d9e-0000-4000-8000-000000000000"


class StillClock:
    """2026-01-01T00:00:00.123Z, for ever."""

    def now(self) -> float:
        return 5.0

    def wall(self) -> float:
        return 1767225600.123


class Bench:
    """Stats, and short words for what can happen to them."""

    def __init__(self, label_cap: int = 200, clock: Clock | None = None) -> None:
        build = {"version": "1.0", "python": "3.11", "event_loop": "uvloop", "build": "pure"}
        self.later: list[Callable[[], None]] = []
        self.stats = Stats(
            sheet=SHEET,
            account_limit=1000,
            build=build,
            clock=clock or StillClock(),
            later=lambda _, call: self.later.append(call),
            label_cap=label_cap,
        )

    def register(self, name: str, levels: Levels | None = None, **settings: object) -> None:
        function = Function(name, handler="module.handler", **settings)
        self.stats.register(function, RATE, lambda: levels or Levels())

    def run(self, function: str = "hello", status: Status = Status.SUCCESS, **facts: object) -> None:
        """One invocation from beginning to end."""
        trigger = str(facts.pop("trigger", "invoke"))
        invocation, outcome = pair(function, status, trigger=trigger, **facts)
        self.stats.began(invocation)
        self.stats.ended(invocation, outcome, None)

    def refuse(self, reason: str, status: Status = Status.THROTTLED, function: str = "hello") -> None:
        event = Event(function, b"{}", REQUEST_ID, 0.0)
        self.stats.refused(event, Outcome(status, b"{}", REQUEST_ID, RATE), reason)


def pair(
    function: str = "hello",
    status: Status = Status.SUCCESS,
    *,
    trigger: str = "invoke",
    body: bytes = b"{}",
    duration_s: float = 0.0,
    init_s: float | None = None,
    trace_id: str | None = None,
    **facts: object,
) -> tuple[Invocation, Outcome]:
    """An invocation and how it ended."""
    event = Event(function, b"{}", REQUEST_ID, 0.0, trigger, trace_id=trace_id)
    invocation = Invocation(event, lambda _: None)
    outcome = Outcome(
        status,
        body,
        REQUEST_ID,
        RATE,
        duration_s=duration_s,
        init_s=init_s,
        billed_ms=billed_ms(duration_s, init_s or 0.0),
        **facts,
    )
    return invocation, outcome


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def new_bench() -> Callable[..., Bench]:
    return Bench


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.register("hello", Levels(starting=1, idle=2, busy=3, in_flight=4, queued=5))
    made.register("orders", reserved_concurrency=7, events=({"type": "sqs"},))
    return made


@pytest.fixture
def ended() -> Callable[..., tuple[Invocation, Outcome]]:
    return pair


class Desk:
    """A log with its writes kept, and a loop that turns when told."""

    def __init__(self, style, clock) -> None:
        self.written: list[str] = []
        self.due: list[Any] = []
        self.log = PlatformLog(style, clock, self.written.append, self.due.append)
        self.log.register(Function("hello", handler="module.handler"))

    def turn(self) -> str:
        due, self.due[:] = list(self.due), []
        for call in due:
            call()
        return "".join(self.written)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.turn().splitlines()]


@pytest.fixture
def text(clock) -> Desk:
    return Desk("text", clock)


@pytest.fixture
def events(clock) -> Desk:
    return Desk("json", clock)
