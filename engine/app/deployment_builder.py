"""Makes what runs a function: its fleet, its driver and its executor; and closes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final, NamedTuple, cast

import anyio

from engine.app.engine_output import EngineOutput
from engine.app.executor_choice import ELSEWHERE, IN_PROCESS, choose, clash_problems
from engine.app.loop_watch import LoopWatch
from engine.app.python_choice import PythonChooser, line_of
from engine.config import Config
from engine.core.billing import rate
from engine.core.fleet import Fleet, FleetLimits
from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.core.lambda_prices import PriceSheet
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome
from engine.core.python_interpreter import ChosenPython, PythonInterpreter
from engine.core.throttling import Pool, request_bucket, scaling_bucket
from engine.errors import ConfigError
from engine.executors.handler_source import looks_async
from engine.executors.module_names import clashes
from engine.ports import Executor, ExecutorFactory, Observer, Workshop
from engine.registry import resolve
from engine.runtime.dispatcher import Dispatcher
from engine.runtime.driver import Driver
from engine.runtime.executor_hooks import ExecutorHooks
from engine.runtime.init_scheduler import InitScheduler
from engine.runtime.platform import Platform
from engine.telemetry.function_stats import Levels
from engine.telemetry.report_lines import log_tail
from engine.telemetry.stats import Stats

_FORKING: Final = frozenset(("process", *ELSEWHERE))
"""Executors that have zygotes, here or on nodes."""

_NEED_REAL_TIME: Final = frozenset(("thread", "runtime", *_FORKING))


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedParts:
    """What all functions of an engine share.

    Attributes:
        sheet: Prices of the account's region.
        observer: Told of all that happens.
        pool: The account's concurrency.
        durable: Returns the durable executions.
        inits: What gives environments their turns to initialise, or None: none has to wait.
        inits_elsewhere: The same for environments on nodes.
        watch: Watches the loop.
    """

    config: Config
    platform: Platform
    loop: asyncio.AbstractEventLoop
    sheet: PriceSheet
    stats: Stats
    output: EngineOutput
    observer: Observer
    pool: Pool
    dispatcher: Dispatcher
    durable: Callable[[], Any]
    inits: InitScheduler | None
    inits_elsewhere: InitScheduler | None
    watch: LoopWatch


class FunctionDeployment(NamedTuple):
    """What runs one version."""

    function: Function
    driver: Driver
    fleet: Fleet[Invocation]
    executor: Executor


class DeploymentBuilder:
    """Builds and closes the deployments of one engine.

    Attributes:
        chosen: The executor each function runs on, after `auto` was decided.
    """

    def __init__(
        self, parts: SharedParts, given: ExecutorFactory | None, endpoint_url: str | None = None
    ) -> None:
        """`given`: makes every executor instead of those that functions name."""
        self.chosen: dict[str, str] = {}
        self._parts = parts
        self._given = given
        self._endpoint_url = endpoint_url
        self._executors: list[Executor] = []
        self._closing: set[asyncio.Future[None]] = set()  # executors that are being closed
        self._rate = cache(partial(rate, parts.sheet))
        self._executor_class = cache(partial(resolve, "executor"))
        self._clashes_in: Callable[[str], list[tuple[str, str]]] = clashes
        self._looks_async: Callable[[str, str], bool | None] = looks_async
        workshop = Workshop(
            account=parts.config.account,
            clock=parts.platform.clock,
            loop=parts.loop,
            offload=parts.platform.offload,
            notify=parts.observer.noticed,
            log=parts.output.write_for_invocation,
            logs_json=parts.config.log_format == "json",
            endpoint_url=endpoint_url,
            output=parts.output.write_of_process,
            say=parts.output.say,
            name_log_stream=parts.output.name_log_stream,
            cpu=parts.config.cpu,
            cluster=parts.config.cluster,
            cores_elsewhere=self._set_cores_elsewhere,
            imported_module_for=parts.platform.imported_module_for,
            durable=parts.durable,
            has_threads=parts.platform.has_threads,
            watch_nodes=parts.stats.nodes.watch,
            listens=parts.stats.listeners.__setitem__,
            commons=dict(parts.platform.started),
        )
        self._workshop_for = cache(partial(_workshop_for, workshop))
        self._pythons = PythonChooser(parts.config.python)
        self._said = set((parts.config.pythons or {}).values())

    @contextmanager
    def reading_once(self) -> Iterator[None]:
        """Meanwhile each folder and each handler is read once, however many functions have it."""
        self._clashes_in, self._looks_async = cache(clashes), cache(looks_async)
        try:
            yield
        finally:
            self._clashes_in, self._looks_async = clashes, looks_async

    def build(self, function: Function, pool: Pool) -> FunctionDeployment:
        """Make what runs `function`, its concurrency drawn from `pool`. Raises ConfigError."""
        python = None if self._given is not None else self._python(function)
        name = self.chosen[function.name] = self._choose(function, python)
        inits = self._parts.inits_elsewhere if name in ELSEWHERE else self._parts.inits
        fleet = self._fleet(function, pool, inits)
        driver = self._driver(function, fleet, inits)
        executor = self._executor(function, driver, name, python)
        driver.set_executor(executor)
        self._executors.append(executor)
        self._parts.watch.add(executor)
        self._parts.output.register(function)
        return FunctionDeployment(function, driver, fleet, executor)

    def close(self, deployment: FunctionDeployment) -> None:
        """Let go of what was built."""
        self._executors.remove(deployment.executor)
        self._parts.watch.remove(deployment.executor)
        self._close_executor(deployment.executor)

    def describe(self, function: Function, levels: Callable[[], Levels]) -> None:
        """Tell the metrics of a function's configuration, and where its levels are read."""
        price, stats = self._rate(function.memory_mb, function.architecture), self._parts.stats
        known = stats.functions.get(function.name)
        if known is not None and (known.ledger.rate, known.ledger.memory_mb) != (price, function.memory_mb):
            stats.unregister(function.name)  # a ledger has one price: its counters begin anew
        stats.register(function, price, levels)

    def forget(self, name: str) -> None:
        """Tell the metrics that a function is gone."""
        self._parts.stats.unregister(name)

    async def prepare(self) -> None:
        """Let executors get ready what no invocation should wait for."""
        for executor in list(self._executors):
            await ExecutorHooks.of(executor).prepare()

    async def close_all(self) -> None:
        """Let go of everything, and return when that is done."""
        for executor in self._executors:
            self._close_executor(executor)
        with anyio.CancelScope(shield=True):  # what the engine started must not outlive it
            await asyncio.gather(*self._closing)

    # ---------------------------------------------------------------- inside

    def _set_cores_elsewhere(self, cores: int) -> None:
        if self._parts.inits_elsewhere is not None and self._parts.config.init_concurrency is None:
            self._parts.inits_elsewhere.set_cores(cores)

    def _fleet(self, function: Function, pool: Pool, inits: InitScheduler | None) -> Fleet[Invocation]:
        account = self._parts.config.account
        return Fleet(
            FleetLimits(
                provisioned=function.provisioned_concurrency,
                environment_concurrency=function.environment_concurrency,
                keep_alive_s=function.keep_alive_s,
                queue_limit=function.queue_limit if function.overflow == "queue" else 0,
                queue_wait_s=function.timeout_s,
            ),
            pool,
            scaling_bucket(account.scaling_rate),
            request_bucket(account.requests_per_s(function)),
            None if inits is None else inits.turns,
        )

    def _driver(self, function: Function, fleet: Fleet[Invocation], inits: InitScheduler | None) -> Driver:
        parts = self._parts
        return Driver(
            function,
            fleet,
            self._rate(function.memory_mb, function.architecture),
            parts.observer,
            parts.loop,
            parts.platform.clock,
            log_tail=partial(self._log_tail, function.memory_mb),
            pool=parts.pool,
            on_capacity_released=parts.dispatcher.on_capacity_released,
            meter=parts.stats,
            inits=inits,
            limits_bandwidth=parts.config.stream_bandwidth == "lambda",
        )

    def _executor(
        self, function: Function, driver: Driver, name: str, python: PythonInterpreter | None
    ) -> Executor:
        if self._given is not None:
            return self._given(function, driver, self._workshop_for())
        factory = cast("ExecutorFactory", self._executor_class(name))
        is_async = self._looks_async(function.code, function.handler) if name in _FORKING else None
        return factory(function, driver, self._workshop_for(python, is_async=is_async))

    async def look_at_python(self, function: Function) -> None:
        """Find out what its handler is to run in, without blocking the loop. Raises ConfigError."""
        if self._parts.config.pythons is not None and self._given is None:
            await self._parts.platform.offload(partial(self._chosen_python, function))

    def _chosen_python(self, function: Function) -> ChosenPython:
        pythons = self._parts.config.pythons
        chosen = (pythons or {}).get(function.name) or self._pythons.named(function)
        if chosen is None:
            chosen = ChosenPython() if pythons is None else self._pythons.found(function, None)
        return chosen

    def _python(self, function: Function) -> PythonInterpreter | None:
        """What its handler runs in; said if it is another one than before. None: the engine's own."""
        chosen = self._chosen_python(function)
        if chosen.interpreter is not None and chosen not in self._said:
            self._said.add(chosen)
            self._parts.output.say(f"{function.name}: {line_of(chosen)}")
        return chosen.interpreter

    def _choose(self, function: Function, python: PythonInterpreter | None) -> str:
        if self._given is not None:
            return "given"
        platform = self._parts.platform
        elsewhere = self._parts.config.cluster.executor
        name, why_not_process = choose(function, platform, looks=self._looks_async, elsewhere=elsewhere)
        if python is not None and name in IN_PROCESS:
            name, why_not_process = elsewhere or "process", None
        if function.durable is not None and self._endpoint_url is None and name not in IN_PROCESS:
            # The SDK's checkpoints have nowhere to go but the engine's own interpreter.
            if function.executor != "auto" or python is not None:
                what = f"functions.{function.name}: a durable function on {name}"
                raise ConfigError((f"{what} needs the aws listener, which takes its checkpoints",))
            name, why_not_process = "thread", None
        if name in _NEED_REAL_TIME and not platform.has_threads:
            raise ConfigError((f"functions.{function.name}.executor: {name!r} needs the real clock",))
        if problems := clash_problems(function, name, self._clashes_in):
            raise ConfigError(problems)
        if why_not_process is not None:
            self._parts.output.say(
                f"{function.name}: executor thread, since no process can be forked here "
                f"({why_not_process}); concurrent invocations share one interpreter and its modules"
            )
        return name

    def _close_executor(self, executor: Executor) -> None:
        """Begin to close it; the engine does not end before that has ended."""
        hooks = ExecutorHooks.of(executor)
        hooks.close()
        closing = asyncio.ensure_future(hooks.wait_closed())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _log_tail(
        self, memory_mb: int, invocation: Invocation, outcome: Outcome, error_type: str | None
    ) -> bytes:
        self._parts.output.capture.end(invocation)  # its last line may not have ended
        wall_s = self._parts.platform.clock.wall()
        return log_tail(invocation, outcome, error_type, memory_mb=memory_mb, wall_s=wall_s)


def _workshop_for(
    workshop: Workshop, python: PythonInterpreter | None = None, *, is_async: bool | None = None
) -> Workshop:
    return replace(workshop, is_async=is_async, python=python)
