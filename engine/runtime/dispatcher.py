"""The sink of every source: finds the function's driver, keeps the account's pool fair, drains."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from enum import StrEnum
from typing import Any, cast

from engine.core.event import Event
from engine.core.fleet import Fleet
from engine.core.invocation import Invocation, Reply
from engine.core.outcome import Outcome
from engine.core.throttling import Pool
from engine.errors import EngineError, FunctionNotFound, NotAccepting
from engine.runtime.driver import Driver
from engine.runtime.qualifier_router import LATEST, Entry, QualifierRouter, Share
from engine.runtime.waits import await_outcome, drained


def _first() -> float:
    return 0.0


class Stage(StrEnum):
    """Where the dispatcher is in its life."""

    NEW = "not started"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


class Dispatcher:
    """Routes events to drivers. Implements `engine.ports.Sink`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, pool: Pool, draw: Callable[[], float] = _first
    ) -> None:
        """`draw` gives numbers in [0, 1), for aliases that stand for two versions."""
        self.stage = Stage.NEW
        self._loop = loop
        self._pool = pool
        self._draw = draw
        self._routers: dict[str, QualifierRouter] = {}
        self._by_fleet: dict[Fleet[Invocation], Driver] = {}
        self._retiring: dict[Driver, Callable[[], None]] = {}
        self._submits: dict[str, Callable[[Event, Reply], None]] = {}  # empty unless open
        self._is_idle = asyncio.Event()

    @property
    def drivers(self) -> Mapping[str, Driver]:
        """The driver of each function's `$LATEST`, by name."""
        return {name: s.drivers[LATEST] for name, s in self._routers.items() if LATEST in s.drivers}

    def add(self, driver: Driver, fleet: Fleet[Invocation], entry: Entry | None = None) -> None:
        """Add the driver of one version of a function, in place of another one of that version.

        `entry` takes its events instead of the driver, as that of a durable function does.
        """
        name = driver.function.name
        router = self._routers.setdefault(name, QualifierRouter(self._draw))
        version = driver.function.version
        router.drivers[version] = driver
        router.entries[version] = driver.submit if entry is None else entry
        self._by_fleet[fleet] = driver
        self._update_route(name)
        if self.stage is Stage.OPEN:
            driver.open()

    def remove(self, driver: Driver) -> None:
        """Send it no more events. To be followed by `retire`."""
        name = driver.function.name
        router = self._routers[name]
        del router.drivers[driver.function.version], router.entries[driver.function.version]
        if not router.drivers:
            del self._routers[name]
        self._update_route(name)

    def route(self, name: str, routes: Mapping[str, Share]) -> None:
        """Set which versions the qualifiers of a function stand for, besides the versions' own numbers."""
        self._routers[name].routes = dict(routes)
        self._update_route(name)

    def driver_of(self, name: str, version: str) -> Driver | None:
        """The driver of one version of a function, None if it is not there."""
        router = self._routers.get(name)
        return None if router is None else router.drivers.get(version)

    def resolve(self, name: str, qualifier: str | None) -> Driver | None:
        """The driver of what a qualifier stands for, None for `$LATEST`; None if there is none."""
        router = self._routers.get(name)
        version = None if router is None else router.resolve(qualifier)
        return None if version is None else self.driver_of(name, version)

    def retire(self, driver: Driver, ended: Callable[[], None]) -> None:
        """Let a removed driver finish what it accepted; then `ended` is called."""
        self._retiring[driver] = ended
        driver.close()
        self._loop.call_soon(self._abandon_finished)

    def _update_route(self, name: str) -> None:
        """Send the function's events where its router says now."""
        if self.stage is Stage.OPEN:
            router = self._routers.get(name)
            if router is None:
                self._submits.pop(name, None)
            else:
                self._submits[name] = router.entry()

    def _abandon_finished(self) -> None:
        """Abandon retired drivers that have finished. `abandon` ends all, finished or not."""
        if self.stage is Stage.CLOSED:
            return
        for driver in [driver for driver in self._retiring if not driver.statistics().in_flight]:
            ended = self._retiring.pop(driver)
            driver.abandon()  # environments that only initialise
            self._by_fleet = {fleet: other for fleet, other in self._by_fleet.items() if other is not driver}
            ended()

    # ---------------------------------------------------------------- Sink

    def submit(self, event: Event, reply: Reply, /) -> None:
        """Accept `event`; `reply` is called once, now or later.

        Raises:
            FunctionNotFound: There is no such function, or its qualifier stands for no version.
            NotAccepting: The engine stops.
        """
        try:
            submit = self._submits[event.function]
        except KeyError:
            raise self._rejection(event) from None
        if event.qualifier is not None:  # whatever versions there are, it has to stand for one of them
            submit = self._routers[event.function].submit
        submit(event, reply)

    def invoke(self, event: Event, /) -> Coroutine[Any, Any, Outcome]:
        """The same, awaited. Cancelling the wait does not stop the invocation (as on Lambda)."""
        return await_outcome(self._loop, self.submit, event)

    def _rejection(self, event: Event) -> EngineError:
        if self.stage is not Stage.OPEN:
            return NotAccepting(self.stage.value)
        return FunctionNotFound(event.function)

    # ---------------------------------------------------------------- life

    def open(self) -> None:
        """Begin to accept events, and start the provisioned environments."""
        self.stage = Stage.OPEN
        self._submits = {name: router.entry() for name, router in self._routers.items()}
        for driver in self._active_drivers():
            driver.open()

    def renew(self) -> None:
        """Renew every driver: the code of the functions has changed."""
        for driver in self._active_drivers():
            driver.renew()

    def drain(self, grace_s: float) -> Coroutine[Any, Any, bool]:
        """Accept nothing new, let what was admitted end, then end all environments.

        Returns whether all ended by themselves within `grace_s` seconds; what did not was cancelled.
        """
        return drained(self._stop, self._is_idle, grace_s, self.abandon)

    def _stop(self) -> bool:
        """Accept nothing new; False if all is over already."""
        if self.stage is Stage.CLOSED:
            return False
        self.stage = Stage.DRAINING
        self._submits = {}
        for driver in self._active_drivers():
            driver.close()
        self._check_idle()
        return True

    def abandon(self) -> None:
        """End everything at once, and answer those who wait with a cancellation."""
        self.stage = Stage.CLOSED
        self._submits = {}
        for driver in list(self._by_fleet.values()):
            driver.abandon()

    def on_capacity_released(self) -> None:
        """Let blocked fleets go on: a driver has released concurrency."""
        if self._retiring:
            self._loop.call_soon(
                self._abandon_finished
            )  # not now: the driver is still about its last invocation
        if self.stage is Stage.DRAINING:
            self._check_idle()
        while (fleet := self._pool.next_blocked()) is not None:
            self._by_fleet[cast("Fleet[Invocation]", fleet)].unblock()

    def _check_idle(self) -> None:
        if not any(_in_flight(self._by_fleet.values())):
            self._is_idle.set()

    def _active_drivers(self) -> list[Driver]:
        """The drivers that may still get events."""
        return [driver for driver in self._by_fleet.values() if driver not in self._retiring]


def _in_flight(drivers: Iterable[Driver]) -> Iterable[int]:
    return (driver.statistics().in_flight for driver in drivers)
