"""Adds, replaces and removes functions while the engine runs: each version has a fleet of its own.

A function's reservation and the account's pool are shared by all of its versions: they draw on one `Pool`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from engine.app.deployment_builder import DeploymentBuilder, FunctionDeployment
from engine.core.cluster_nodes import NodeEnvironments, add_environments
from engine.core.function import Function
from engine.core.throttling import Pool, ThrottleReason
from engine.packages.deployment import Readiness, Routes
from engine.packages.records import LATEST
from engine.runtime.dispatcher import Dispatcher
from engine.runtime.driver import Driver
from engine.runtime.executor_hooks import ExecutorHooks
from engine.runtime.qualifier_router import Entry
from engine.telemetry.function_stats import Levels


class _DeployedFunction:
    """All that runs for one function."""

    __slots__ = ("function", "leaving", "pool", "provisioned", "reserved", "versions")

    def __init__(self, function: Function) -> None:
        reserved = function.reserved_concurrency
        self.function = function  # as metrics and limits know it: all versions together
        self.versions: dict[str, FunctionDeployment] = {}
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
        versions = (*self.versions.values(), *self.leaving)
        statistics = [deployment.fleet.statistics() for deployment in versions]
        slots = [deployment.function.environment_concurrency for deployment in versions]
        return Levels(
            starting=sum(s.starting for s in statistics),
            idle=sum(s.idle for s in statistics),
            busy=sum(s.busy for s in statistics),
            in_flight=sum(s.in_flight for s in statistics),
            queued=sum(s.waiting + s.blocked for s in statistics),
            oldest_wait_s=max((deployment.driver.oldest_wait_s() for deployment in versions), default=0.0),
            ready=sum((s.idle + s.busy) * n for s, n in zip(statistics, slots, strict=True)),
            desired=max(sum(s.in_flight + s.blocked for s in statistics), sum(self.provisioned.values())),
            pending=sum(s.pending for s in statistics),
            nodes=_by_node(deployment.driver for deployment in versions),
        )


def _by_node(drivers: Iterable[Driver]) -> dict[str, NodeEnvironments]:
    """Of all versions together."""
    total: dict[str, NodeEnvironments] = {}
    for driver in drivers:
        add_environments(total, driver.by_node())
    return total


class Deployments:
    """Implements `engine.packages.deployment.Deployment`."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        account_pool: Pool,
        builder: DeploymentBuilder,
        durable_entry: Callable[[Driver], Entry],
    ) -> None:
        """`builder` makes what runs a function; `durable_entry`, what takes the events of a durable one."""
        self._dispatcher = dispatcher
        self._account_pool = account_pool
        self._account_limit = account_pool.limit
        self._builder = builder
        self._durable_entry = durable_entry
        self._functions: dict[str, _DeployedFunction] = {}
        self._own: dict[str, int] = {}  # by function: what `_own_total` has of it
        self._own_total = 0
        self._removed: list[_DeployedFunction] = []  # removed, but still at work
        self._on_gone: Callable[[Function], None] = lambda _: None

    # ---------------------------------------------------------------- Deployment

    async def put(self, function: Function) -> None:
        """Run it once its executor is ready; what ran in its place finishes what it took."""
        await self._builder.look_at_python(function)
        deployment = self._built(function)
        try:
            await ExecutorHooks.of(deployment.executor).prepare()
        except BaseException:
            self._builder.close(deployment)
            raise
        self._install(deployment)

    def install(self, function: Function) -> None:
        """The same at once, for what is there when the engine starts."""
        self._install(self._built(function))

    def _built(self, function: Function) -> FunctionDeployment:
        deployed = self._functions.get(function.name)
        if deployed is not None and function.version in deployed.versions:
            kept = deployed.provisioned[function.version]
            function = dataclasses.replace(function, provisioned_concurrency=kept)
        return self._builder.build(function, self._account_pool)  # `_relimit` gives it the right pool

    def _install(self, deployment: FunctionDeployment) -> None:
        function = deployment.function
        deployed = self._functions.setdefault(function.name, _DeployedFunction(function))
        old = deployed.versions.get(function.version)
        deployed.provisioned[function.version] = function.provisioned_concurrency
        deployed.versions[function.version] = deployment
        self._relimit(function.name)
        self._describe(deployed)
        driver = deployment.driver
        entry = None if function.durable is None else self._durable_entry(driver)
        self._dispatcher.add(driver, deployment.fleet, entry)
        if old is not None:
            self._retire(deployed, old)

    def remove(self, name: str, version: str | None = None) -> None:
        """Take no more events for it; what was taken is finished."""
        deployed = self._functions[name]
        leaving = list(deployed.versions) if version is None else [version]
        for number in leaving:
            deployment = deployed.versions.pop(number)
            deployed.provisioned.pop(number, None)
            self._dispatcher.remove(deployment.driver)
            self._retire(deployed, deployment)
        if not deployed.versions:
            del self._functions[name]
            self._removed.append(deployed)
        self._relimit(name)

    def route(self, name: str, routes: Routes) -> None:
        """Which versions the function's qualifiers stand for."""
        if name in self._functions:  # else it could not be run
            self._dispatcher.route(name, routes)

    def reserve(self, name: str, reserved: int | None) -> None:
        """All versions share it."""
        deployed = self._functions.get(name)
        if deployed is None:
            return  # it could not be run
        deployed.reserved = reserved
        self._relimit(name)
        self._describe(deployed)

    def provision(self, name: str, version: str, count: int) -> None:
        """Kept ready from now on; surplus ones become ordinary ones and expire when idle."""
        deployed = self._functions.get(name)
        if deployed is None or version not in deployed.versions:
            return  # it could not be run
        deployed.provisioned[version] = count
        self._relimit(name)
        self._describe(deployed)

    def readiness(self, name: str, version: str) -> Readiness:
        """How far provisioned environments are."""
        fleet = self._functions[name].versions[version].fleet
        return Readiness(fleet.provisioned_ready, fleet.provisioning_fails)

    def on_gone(self, tell: Callable[[Function], None]) -> None:
        """Have `tell` called when something that was replaced or removed has ended."""
        self._on_gone = tell

    def function(self, name: str) -> Function | None:
        """The function of that name as it is now, with the concurrency of all its versions."""
        deployed = self._functions.get(name)
        return None if deployed is None else deployed.function

    # ---------------------------------------------------------------- inside

    def _relimit(self, name: str) -> None:
        """Share the account's concurrency out anew, and tell the fleets of one function."""
        deployed = self._functions.get(name)
        own = 0 if deployed is None else deployed.own
        self._own_total += own - self._own.pop(name, 0)  # not summed anew: there may be ten thousand
        self._account_pool.limit = self._account_limit - self._own_total
        if deployed is not None:
            self._own[name] = own
            pool = self._account_pool
            if deployed.reserved is not None:
                pool = deployed.pool
                pool.limit = deployed.reserved - sum(deployed.provisioned.values())
            for version, deployment in deployed.versions.items():
                deployment.driver.adjust(pool, deployed.provisioned[version])
        self._dispatcher.on_capacity_released()

    def _describe(self, deployed: _DeployedFunction) -> None:
        shown = deployed.versions.get(LATEST) or next(iter(deployed.versions.values()))
        function, reserved = shown.function, deployed.reserved
        provisioned = sum(deployed.provisioned.values())
        if (function.reserved_concurrency, function.provisioned_concurrency) != (reserved, provisioned):
            function = dataclasses.replace(
                function, reserved_concurrency=reserved, provisioned_concurrency=provisioned
            )
        deployed.function = function
        self._builder.describe(deployed.function, deployed.levels)

    def _retire(self, deployed: _DeployedFunction, deployment: FunctionDeployment) -> None:
        deployed.leaving.append(deployment)

        def ended() -> None:
            deployed.leaving.remove(deployment)
            self._builder.close(deployment)
            if deployed in self._removed and not deployed.leaving:
                self._removed.remove(deployed)
                if deployment.function.name not in self._functions:  # it may have been created anew meanwhile
                    self._builder.forget(deployment.function.name)
            self._on_gone(deployment.function)

        self._dispatcher.retire(deployment.driver, ended)
