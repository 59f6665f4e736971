"""A runtime without an application around it: drivers, a dispatcher, and executors that follow a script."""

import asyncio
import itertools
from collections.abc import Callable
from decimal import Decimal

import pytest

from engine.core.error_bodies import InitFailure
from engine.core.event import Event
from engine.core.fleet import Fleet, FleetLimits
from engine.core.function import Function
from engine.core.init_turns import InitTurns
from engine.core.invocation import Invocation
from engine.core.outcome import Outcome
from engine.core.rate import Rate
from engine.core.throttling import Pool, TokenBucket
from engine.runtime.dispatcher import Dispatcher
from engine.runtime.driver import Driver
from engine.runtime.init_scheduler import InitScheduler
from engine.testing import Act, RecordingObserver, ScriptedExecutor

RATE = Rate(request_usd=Decimal("2e-7"), millisecond_usd=Decimal("2.1e-9"))


class Runtime:
    """Functions that share an account of `concurrency` units, on the loop's virtual time.

    With `cores`, so many inits that compute run at a time.
    `takes_s` is what the next invocations take, or a function from invocation to `Act`.
    """

    def __init__(self, concurrency: int = 1000, cores: int | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = self.loop.clock
        self.pool = Pool(concurrency)
        self.dispatcher = Dispatcher(self.loop, self.pool)
        self.observer = RecordingObserver()
        self.executors: dict[str, ScriptedExecutor] = {}
        self.tails: list[str] = []
        self.inits = None
        if cores is not None:
            self.inits = InitScheduler(InitTurns(cores), self.loop, self.clock, are_on_nodes=False)
        self._ids = itertools.count(1)

    def add(
        self,
        name: str = "f",
        act: Callable[[Invocation], Act] = lambda _: Act(takes_s=1.0),
        init: Callable[[int], float | InitFailure] = lambda _: 0.5,
        scaling: TokenBucket | None = None,
        *,
        limits_bandwidth: bool = False,
        **keys: object,
    ) -> Driver:
        function = Function(name, handler="a.b", **keys)
        limits = FleetLimits(
            reserved=function.reserved_concurrency,
            provisioned=function.provisioned_concurrency,
            environment_concurrency=function.environment_concurrency,
            keep_alive_s=function.keep_alive_s,
            queue_limit=function.queue_limit if function.overflow == "queue" else 0,
            queue_wait_s=function.timeout_s,
        )
        turns = None if self.inits is None else self.inits.turns
        fleet: Fleet[Invocation] = Fleet(limits, self.pool, scaling, None, turns)
        driver = Driver(
            function,
            fleet,
            RATE,
            self.observer,
            self.loop,
            self.clock,
            log_tail=self._log_tail,
            pool=self.pool,
            on_capacity_released=self.dispatcher.on_capacity_released,
            inits=self.inits,
            limits_bandwidth=limits_bandwidth,
        )
        executor = ScriptedExecutor(facts=driver, loop=self.loop, act=act, init=init)
        driver.set_executor(executor)
        self.executors[name] = executor
        self.dispatcher.add(driver, fleet)
        return driver

    def open(self) -> "Runtime":
        self.dispatcher.open()
        return self

    def event(self, name: str = "f", **keys: object) -> Event:
        return Event(name, b"null", f"id-{next(self._ids)}", self.clock.now(), **keys)

    def send(self, name: str = "f", **keys: object) -> "asyncio.Future[Outcome]":
        """Submit one event. Answering it twice would raise."""
        future = self.loop.create_future()
        self.dispatcher.submit(self.event(name, **keys), future.set_result)
        return future

    async def call(self, name: str = "f", **keys: object) -> Outcome:
        return await self.send(name, **keys)

    def levels(self, name: str = "f"):
        return self.dispatcher.drivers[name].statistics()

    def timers(self) -> int:
        """Timers that are set and not cancelled."""
        return len(self.loop.timers())

    def _log_tail(self, invocation: Invocation, outcome: Outcome, error_type: str | None) -> bytes:
        self.tails.append(f"{invocation.event.request_id} {outcome.status} {error_type}")
        return b"the tail"


@pytest.fixture
async def runtime():
    """A runtime whose account has 1,000 units."""
    return Runtime()


@pytest.fixture(scope="session")
def runtime_class():
    """For another account, or a loop of the test's own: `runtime_class(concurrency)`."""
    return Runtime
