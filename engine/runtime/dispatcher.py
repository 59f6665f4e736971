"""The sink that every source feeds: finds the function's driver, keeps the account's pool fair, drains."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import cast

from engine.core.event import Event
from engine.core.fleet import Fleet
from engine.core.invocation import Invocation, Reply
from engine.core.limits import Pool
from engine.core.outcome import Outcome
from engine.errors import EngineError, FunctionNotFound, NotAccepting
from engine.runtime.driver import Driver


class Stage(StrEnum):
    """Where the dispatcher is in its life."""

    NEW = "not started"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


class Dispatcher:
    """Routes events to drivers. Implements `engine.ports.Sink`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: Pool) -> None:
        self.stage = Stage.NEW
        self._loop = loop
        self._pool = pool
        self._drivers: dict[str, Driver] = {}
        self._by_fleet: dict[Fleet[Invocation], Driver] = {}
        self._submits: dict[str, Callable[[Event, Reply], None]] = {}  # empty unless open
        self._quiet = asyncio.Event()

    @property
    def drivers(self) -> Mapping[str, Driver]:
        """The driver of each function, by name."""
        return self._drivers

    def add(self, driver: Driver, fleet: Fleet[Invocation]) -> None:
        """Take charge of one function."""
        self._drivers[driver.function.name] = driver
        self._by_fleet[fleet] = driver

    # ---------------------------------------------------------------- Sink

    def submit(self, event: Event, reply: Reply, /) -> None:
        """Accept `event`; `reply` is called once, now or later."""
        try:
            submit = self._submits[event.function]
        except KeyError:
            raise self._unwanted(event) from None
        submit(event, reply)

    async def invoke(self, event: Event, /) -> Outcome:
        """The same, awaited. Cancelling the wait does not stop the invocation (as on Lambda)."""
        future: asyncio.Future[Outcome] = self._loop.create_future()

        def reply(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self.submit(event, reply)
        return await future

    def _unwanted(self, event: Event) -> EngineError:
        if self.stage is not Stage.OPEN:
            return NotAccepting(self.stage.value)
        return FunctionNotFound(event.function)

    # ---------------------------------------------------------------- life

    def open(self) -> None:
        """Start to take events, and bring up what is provisioned."""
        self.stage = Stage.OPEN
        self._submits = {name: driver.submit for name, driver in self._drivers.items()}
        for driver in self._drivers.values():
            driver.open()

    def renew(self) -> None:
        """The code of the functions changed."""
        for driver in self._drivers.values():
            driver.renew()

    async def drain(self, grace_s: float) -> bool:
        """Take nothing new, let what was admitted end, then let everything go.

        Returns whether all ended by themselves within `grace_s` seconds; what did not was cancelled.
        """
        if self.stage is Stage.CLOSED:
            return True
        self.stage = Stage.DRAINING
        self._submits = {}
        for driver in self._drivers.values():
            driver.close()
        self._look_whether_quiet()
        try:
            async with asyncio.timeout(grace_s):
                await self._quiet.wait()
        except TimeoutError:
            return False
        finally:
            self.abandon()
        return True

    def abandon(self) -> None:
        """Let everything go at once; whoever waits is answered with a cancellation."""
        self.stage = Stage.CLOSED
        self._submits = {}
        for driver in self._drivers.values():
            driver.abandon()

    def released(self) -> None:
        """A driver gave concurrency back: whoever waits for it may go on."""
        if self.stage is Stage.DRAINING:
            self._look_whether_quiet()
        while (fleet := self._pool.next_blocked()) is not None:
            self._by_fleet[cast("Fleet[Invocation]", fleet)].unblock()

    def _look_whether_quiet(self) -> None:
        if not any(_in_flight(self._drivers.values())):
            self._quiet.set()


def _in_flight(drivers: Iterable[Driver]) -> Iterable[int]:
    return (driver.statistics().in_flight for driver in drivers)
