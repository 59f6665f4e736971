"""Adds, replaces and removes functions while the engine runs: each version has a fleet of its own.

A function's reservation and the account's pool are shared by all of its versions: they draw on one `Pool`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from engine.core.fleet import Fleet
from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.core.limits import Pool, ThrottleReason
from engine.packages.deployment import Readiness, Routes
from engine.packages.records import LATEST
from engine.ports import Executor
from engine.runtime.dispatcher import Dispatcher
from engine.runtime.driver import Driver
from engine.runtime.executor_hooks import ExecutorHooks
from engine.telemetry.function_stats import Levels


class FunctionDeployment(NamedTuple):
    """What runs one version."""

    function: Function
    driver: Driver
    fleet: Fleet[Invocation]
    executor: Executor


class _Crew:
    """All that runs for one function."""

    __slots__ = ("function", "leaving", "parts", "pool", "provisioned", "reserved")

    def __init__(self, function: Function) -> None:
        reserved = function.reserved_concurrency
        self.function = function  # as metrics and limits know it: all versions together
        self.parts: dict[str, FunctionDeployment] = {}
        self.leaving: list[FunctionDeployment] = []  # replaced or removed, and still at work
        self.reserved = reserved
        self.provisioned: dict[str, int] = {}
        self.pool = Pool(0, ThrottleReason.FUNCTION_LIMIT)  # used while there is a reservation

    @property
    def own(self) -> int:
        """What the function takes out of the account's pool, used or not."""
        return sum(self.provisioned.values()) if self.reserved is None else self.reserved

    def levels(self) -> Levels:
        """Of all versions together."""
        parts = (*self.parts.values(), *self.leaving)
        all_of_them = [part.fleet.statistics() for part in parts]
        slots = [part.function.environment_concurrency for part in parts]
        return Levels(
            starting=sum(s.starting for s in all_of_them),
            idle=sum(s.idle for s in all_of_them),
            busy=sum(s.busy for s in all_of_them),
            in_flight=sum(s.in_flight for s in all_of_them),
            queued=sum(s.waiting + s.blocked for s in all_of_them),
            oldest_wait_s=max((part.driver.oldest_wait_s() for part in parts), default=0.0),
            ready=sum((s.idle + s.busy) * n for s, n in zip(all_of_them, slots, strict=True)),
            desired=max(sum(s.in_flight + s.blocked for s in all_of_them), sum(self.provisioned.values())),
            pending=sum(s.pending for s in all_of_them),
        )


class Deployments:
    """Implements `engine.packages.deployment.Deployment`.

    Args:
        hire: Makes what runs a function, its concurrency drawn from the given pool.
        dismiss: Lets go of it.
        describe: Tells metrics and logs of a function: its configuration, and where its levels are read.
        forget: Tells them that a function is gone.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        account_pool: Pool,
        *,
        hire: Callable[[Function, Pool], FunctionDeployment],
        dismiss: Callable[[FunctionDeployment], None],
        describe: Callable[[Function, Callable[[], Levels]], None],
        forget: Callable[[str], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._account_pool = account_pool
        self._account_limit = account_pool.limit
        self._hire, self._dismiss = hire, dismiss
        self._describe, self._forget = describe, forget
        self._crews: dict[str, _Crew] = {}
        self._own: dict[str, int] = {}  # by function: what `_own_total` has of it
        self._own_total = 0
        self._gone: list[_Crew] = []  # removed, but still at work
        self._tell: Callable[[Function], None] = lambda _: None

    # ---------------------------------------------------------------- Deployment

    async def put(self, function: Function) -> None:
        """Run it once its executor is ready; what ran in its place finishes what it took."""
        part = self._hired(function)
        try:
            await ExecutorHooks.of(part.executor).prepare()
        except BaseException:
            self._dismiss(part)
            raise
        self._install(part)

    def install(self, function: Function) -> None:
        """The same at once, for what is there when the engine starts."""
        self._install(self._hired(function))

    def _hired(self, function: Function) -> FunctionDeployment:
        crew = self._crews.get(function.name)
        if crew is not None and function.version in crew.parts:
            kept = crew.provisioned[function.version]
            function = dataclasses.replace(function, provisioned_concurrency=kept)
        return self._hire(function, self._account_pool)  # `_relimit` gives it the right pool

    def _install(self, part: FunctionDeployment) -> None:
        function = part.function
        crew = self._crews.setdefault(function.name, _Crew(function))
        old = crew.parts.get(function.version)
        crew.provisioned[function.version] = function.provisioned_concurrency
        crew.parts[function.version] = part
        self._relimit(function.name)
        self._tell_of(function.name, crew)
        self._dispatcher.add(part.driver, part.fleet)
        if old is not None:
            self._retire(crew, old)

    def remove(self, name: str, version: str | None = None) -> None:
        """Take no more events for it; what was taken is finished."""
        crew = self._crews[name]
        leaving = list(crew.parts) if version is None else [version]
        for one in leaving:
            part = crew.parts.pop(one)
            crew.provisioned.pop(one, None)
            self._dispatcher.remove(part.driver)
            self._retire(crew, part)
        if not crew.parts:
            del self._crews[name]
            self._gone.append(crew)
        self._relimit(name)

    def route(self, name: str, routes: Routes) -> None:
        """Which versions the function's qualifiers stand for."""
        if name in self._crews:  # else it could not be run
            self._dispatcher.route(name, routes)

    def reserve(self, name: str, reserved: int | None) -> None:
        """All versions share it."""
        crew = self._crews.get(name)
        if crew is None:
            return  # it could not be run
        crew.reserved = reserved
        self._relimit(name)
        self._tell_of(name, crew)

    def provision(self, name: str, version: str, count: int) -> None:
        """Kept ready from now on; surplus ones become ordinary ones and expire when idle."""
        crew = self._crews.get(name)
        if crew is None or version not in crew.parts:
            return  # it could not be run
        crew.provisioned[version] = count
        self._relimit(name)
        self._tell_of(name, crew)

    def readiness(self, name: str, version: str) -> Readiness:
        """How far provisioned environments are."""
        fleet = self._crews[name].parts[version].fleet
        return Readiness(fleet.provisioned_ready, fleet.provisioning_fails)

    def on_gone(self, tell: Callable[[Function], None]) -> None:
        """Have `tell` called when something that was replaced or removed has ended."""
        self._tell = tell

    def function(self, name: str) -> Function | None:
        """The function of that name as it is now, with the concurrency of all its versions."""
        crew = self._crews.get(name)
        return None if crew is None else crew.function

    # ---------------------------------------------------------------- inside

    def _relimit(self, name: str) -> None:
        """Share the account's concurrency out anew, and tell the fleets of one function."""
        crew = self._crews.get(name)
        own = 0 if crew is None else crew.own
        self._own_total += own - self._own.pop(name, 0)  # not summed anew: there may be ten thousand
        self._account_pool.limit = self._account_limit - self._own_total
        if crew is not None:
            self._own[name] = own
            pool = self._account_pool
            if crew.reserved is not None:
                pool = crew.pool
                pool.limit = crew.reserved - sum(crew.provisioned.values())
            for version, part in crew.parts.items():
                part.driver.adjust(pool, crew.provisioned[version])
        self._dispatcher.on_capacity_released()

    def _tell_of(self, name: str, crew: _Crew) -> None:
        shown = crew.parts.get(LATEST) or next(iter(crew.parts.values()))
        function, provisioned = shown.function, sum(crew.provisioned.values())
        if (function.reserved_concurrency, function.provisioned_concurrency) != (crew.reserved, provisioned):
            function = dataclasses.replace(
                function, reserved_concurrency=crew.reserved, provisioned_concurrency=provisioned
            )
        crew.function = function
        self._describe(crew.function, crew.levels)

    def _retire(self, crew: _Crew, part: FunctionDeployment) -> None:
        crew.leaving.append(part)

        def ended() -> None:
            crew.leaving.remove(part)
            self._dismiss(part)
            if crew in self._gone and not crew.leaving:
                self._gone.remove(crew)
                if part.function.name not in self._crews:  # it may have been created anew meanwhile
                    self._forget(part.function.name)
            self._tell(part.function)

        self._dispatcher.retire(part.driver, ended)
