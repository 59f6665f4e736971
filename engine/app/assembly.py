"""The parts of one engine, built from a `Config` and wired to each other."""

from __future__ import annotations

import asyncio
import logging
import platform as interpreter
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from random import Random
from typing import Any, Final, Literal, Self, cast

import anyio

from engine.app.async_invoke_configs import AsyncInvokeConfigs
from engine.app.deployments import Deployments, FunctionDeployment
from engine.app.executor_choice import choose, clash_problems, limits_of_the_chosen
from engine.app.observers import Contained, Observers
from engine.config import Config
from engine.core.billing import rate
from engine.core.destinations import DestinationSender
from engine.core.engine_events import EngineEvent
from engine.core.fleet import Fleet, FleetLimits
from engine.core.function import Function
from engine.core.inits import InitTurns
from engine.core.invocation import Invocation
from engine.core.limits import Pool, TokenBucket, scaling_bucket
from engine.core.outcome import Outcome
from engine.core.prices import fallback_sheet, price_sheet
from engine.errors import ConfigError, UnknownName
from engine.executors.capture import Capture
from engine.executors.handler_loader import looks_async
from engine.executors.interrupt import Interrupter
from engine.executors.loop import ENTRY, LoopExecutor
from engine.executors.names import clashes
from engine.executors.watchdog import Watchdog
from engine.ports import Executor, ExecutorFactory, Observer, Workshop
from engine.registry import resolve
from engine.runtime.async_queue import AsyncParts, AsyncQueue
from engine.runtime.cores import usable_cores
from engine.runtime.dispatcher import Dispatcher
from engine.runtime.driver import Driver
from engine.runtime.executor_hooks import ExecutorHooks
from engine.runtime.gc_tuning import GcTuning, paused_collector
from engine.runtime.init_scheduler import InitScheduler
from engine.runtime.platform import Platform
from engine.runtime.qualifiers import LATEST
from engine.telemetry.emf import EmfTap
from engine.telemetry.function_stats import Levels
from engine.telemetry.log import PlatformLog
from engine.telemetry.report import log_tail
from engine.telemetry.stats import Stats

_LATEST: Final = ((LATEST, 1.0),)
_log = logging.getLogger("engine")

_NEED_REAL_TIME: Final = frozenset(("thread", "process", "runtime"))


class Assembly:
    """The parts of one engine, wired; a context manager that lets go of what they hold."""

    def __init__(
        self,
        config: Config,
        platform: Platform,
        loop: asyncio.AbstractEventLoop,
        executor: ExecutorFactory | None,
        write_log: Callable[[str], object] | None,
        new_request_id: Callable[[], str],
        endpoint_url: str | None = None,
    ) -> None:
        self._config = config
        self._platform = platform
        self._loop = loop
        self._make = executor
        self._write_log = write_log
        self._executors: list[Executor] = []
        self._interrupter = Interrupter(ENTRY, platform.clock.now, self._is_running)
        self._closing: set[asyncio.Future[None]] = set()  # executors that are being closed
        self._watched = ExitStack()
        self._watching = not platform.watches_loop
        self.chosen: dict[str, str] = {}
        """The executor each function runs on, after `auto` was decided."""

        account = config.account
        self._sheet = price_sheet(account.region) or fallback_sheet(account.region)
        self.stats = Stats(
            sheet=self._sheet,
            account_limit=account.concurrency_limit,
            build={
                "version": version("invocation-engine"),
                "python": interpreter.python_version(),
                "event_loop": type(loop).__module__.partition(".")[0],
            },
            clock=platform.clock,
            budget_usd=config.monthly_budget_usd,
        )
        self._observer: Observer = self.stats
        self._log: PlatformLog | None = None
        if write_log is not None and config.log_format != "off":
            self._log = PlatformLog(config.log_format, platform.clock, write_log, loop.call_soon_threadsafe)
        # A server with its log off drops what handlers print; from Python, it goes where it always went.
        write_line = self._log.line if self._log is not None else (write_log and _drop)
        style: Literal["text", "json"] = "json" if config.log_format == "json" else "text"
        if config.debug:
            write_line = None  # a debugger's prompt is no whole line, and must be seen at once
        # Handlers' metrics are in their lines, whether or not these are shown.
        tap = write_line and EmfTap(self.stats, write_line, loop.call_soon_threadsafe).line
        self._capture = Capture(tap, log_format=style)
        self._others = [self._made_observer(name) for name in config.observers]
        seeing: list[Observer] = [self.stats, *filter(None, (self._log,)), *self._others]
        if len(seeing) > 1:
            self._observer = Observers(seeing, self._capture.end)
        self._pool = Pool(account.concurrency_limit)
        cores = config.init_concurrency or (usable_cores() if platform.has_threads else None)
        # In virtual time nothing computes: there the inits of any number of environments run at a time.
        self._inits = None if cores is None else InitScheduler(InitTurns(cores), loop, platform.clock)
        self.dispatcher = Dispatcher(loop, self._pool, Random(0).random)  # noqa: S311  # the same choices each run
        self.deployments = Deployments(
            self.dispatcher,
            self._pool,
            hire=self._hire,
            dismiss=self._dismiss,
            describe=self._describe,
            forget=self.stats.unregister,
        )
        self._clashes_in: Callable[[str], list[tuple[str, str]]] = clashes
        self._looks: Callable[[str, str], bool | None] = looks_async
        self._rate = cache(partial(rate, self._sheet))
        workshop = Workshop(
            account=account,
            clock=platform.clock,
            loop=loop,
            offload=platform.offload,
            notify=self._observer.noticed,
            log=self._log_text,
            logs_json=config.log_format == "json",
            endpoint_url=endpoint_url,
            output=self._output,
            say=self.say,
        )
        self._workshops = {known: replace(workshop, is_async=known) for known in (None, False, True)}
        self.senders: dict[str, DestinationSender] = {}
        """By service: those destinations of asynchronous events that exist here, besides functions."""
        self.async_configs = AsyncInvokeConfigs(account, self.deployments.function)
        self.asynchronous = AsyncQueue(
            self.dispatcher,
            AsyncParts(
                loop=loop,
                clock=platform.clock,
                account=account,
                config_of=self.async_configs.config_of,
                counts=self.stats.async_counts,
                senders=self.senders,
                new_request_id=new_request_id,
                notify=self._observer.noticed,
            ),
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            opening.enter_context(self._capture)
            for observer in self._others:
                opening.callback(observer.close)
            opening.push_async_callback(self._close_executors)
            opening.callback(self._watched.close)
            # Each folder and each handler is read once, however many functions have it.
            self._clashes_in, self._looks = cache(clashes), cache(looks_async)
            opening.enter_context(GcTuning())
            with paused_collector():  # what is installed stays
                for function in self._config.functions:
                    self.deployments.install(function)
                    if function.aliases:
                        self.deployments.route(function.name, dict.fromkeys(function.aliases, _LATEST))
            self._clashes_in, self._looks = clashes, looks_async
            for line in limits_of_the_chosen(self._config.functions):
                self.say(line)
            self._held = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._held.aclose()
        finally:
            if self._log is not None:
                self._log.flush()

    def end_by(self, latest_s: float) -> None:
        """From then on (engine clock) no handler holds the loop; may be called by a signal's handler."""
        self._interrupter.end_by(latest_s)

    async def prepare(self) -> None:
        """Let executors get ready what no invocation should wait for."""
        for executor in self._executors:
            await ExecutorHooks.of(executor).prepare()

    def say(self, text: str) -> None:
        """Log a line, without its newline, for whoever runs the engine."""
        if self._log is not None:
            self._log.say(text)

    def _complain(self, text: str) -> None:
        """As `say`, and to Python's logging if this engine writes nowhere."""
        if self._log is not None:
            self._log.say(text)
        elif self._write_log is None:
            _log.warning(text)

    def _made_observer(self, name: str) -> Contained:
        try:
            built: Observer = resolve("observer", name).build(self._config.account, self._platform.clock)
        except UnknownName as error:
            hint = "; `pip install invocation-engine[otel]`" if name == "otel" else ""
            raise ConfigError((f"engine.observers: {error}{hint}",)) from None
        except Exception as error:
            message = f"engine.observers: {name!r} cannot be built: {type(error).__name__}: {error}"
            raise ConfigError((" ".join(message.split()),)) from error
        return Contained(name, built, say=self._complain, count=self.stats.observer_failed)

    async def _close_executors(self) -> None:
        for executor in self._executors:
            self._close_executor(executor)
        with anyio.CancelScope(shield=True):  # what the engine started must not outlive it
            await asyncio.gather(*self._closing)

    def _dismiss(self, part: FunctionDeployment) -> None:
        self._executors.remove(part.executor)
        self._close_executor(part.executor)

    def _close_executor(self, executor: Executor) -> None:
        """Begin to close it; the engine does not end before that has ended."""
        hooks = ExecutorHooks.of(executor)
        hooks.close()
        closing = asyncio.ensure_future(hooks.wait_closed())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _describe(self, function: Function, levels: Callable[[], Levels]) -> None:
        price = self._rate(function.memory_mb, function.architecture)
        known = self.stats.functions.get(function.name)
        if known is not None and (known.ledger.rate, known.ledger.memory_mb) != (price, function.memory_mb):
            self.stats.unregister(function.name)  # a ledger has one price: its counters begin anew
        self.stats.register(function, price, levels)

    def _hire(self, function: Function, pool: Pool) -> FunctionDeployment:
        account = self._config.account
        fleet: Fleet[Invocation] = Fleet(
            FleetLimits(
                provisioned=function.provisioned_concurrency,
                environment_concurrency=function.environment_concurrency,
                keep_alive_s=function.keep_alive_s,
                queue_limit=function.queue_limit if function.overflow == "queue" else 0,
                queue_wait_s=function.timeout_s,
            ),
            pool,
            scaling_bucket(account.scaling_rate),
            _request_bucket(function, account.requests_per_concurrency, account.concurrency_limit),
            None if self._inits is None else self._inits.turns,
        )
        price = self._rate(function.memory_mb, function.architecture)
        driver = Driver(
            function,
            fleet,
            price,
            self._observer,
            self._loop,
            self._platform.clock,
            log_tail=partial(self._log_tail, function.memory_mb),
            pool=self._pool,
            on_capacity_released=self.dispatcher.on_capacity_released,
            meter=self.stats,
            inits=self._inits,
        )
        factory = self._factory(function)
        on_process = self.chosen[function.name] == "process"
        is_async = self._looks(function.code, function.handler) if on_process else None
        executor = factory(function, driver, self._workshops[is_async])
        driver.set_executor(executor)
        self._executors.append(executor)
        if isinstance(executor, LoopExecutor):
            self._watch()
        if self._log is not None:
            self._log.register(function)
        return FunctionDeployment(function, driver, fleet, executor)

    def _factory(self, function: Function) -> ExecutorFactory:
        if self._make is not None:
            self.chosen[function.name] = "given"
            return self._make
        choice = choose(function, self._platform, looks=self._looks)
        name = choice.executor
        if name in _NEED_REAL_TIME and not self._platform.has_threads:
            raise ConfigError((f"functions.{function.name}.executor: {name!r} needs the real clock",))
        if problems := clash_problems(function, name, self._clashes_in):
            raise ConfigError(problems)
        if choice.why_not_process is not None:
            self.say(
                f"{function.name}: executor thread, since no process can be forked here "
                f"({choice.why_not_process}); concurrent invocations share one interpreter and its modules"
            )
        self.chosen[function.name] = name
        return cast("ExecutorFactory", resolve("executor", name))

    def _watch(self) -> None:
        """Watch the loop, from the first function on that can block it."""
        if not self._watching:
            self._watching = True
            watchdog = Watchdog(
                self._loop,
                self._platform.clock,
                self._running,
                self._notice_now,
                self.stats.lagged,
                self._watched.enter_context(self._interrupter),
            )
            self._watched.enter_context(watchdog)

    def _running(self, task: asyncio.Task[Any]) -> Invocation | None:
        for executor in self._executors:
            if isinstance(executor, LoopExecutor) and (invocation := executor.running(task)) is not None:
                return invocation
        return None

    def _is_running(self, invocation: Invocation) -> bool:
        return any(self._running(task) is invocation for task in asyncio.all_tasks(self._loop))

    def _notice_now(self, notice: EngineEvent) -> None:
        """From the watchdog, while the loop is blocked: what is logged now must be written now."""
        self._observer.noticed(notice)
        if self._log is not None:
            self._log.flush()

    def _log_tail(
        self, memory_mb: int, invocation: Invocation, outcome: Outcome, error_type: str | None
    ) -> bytes:
        return log_tail(
            invocation, outcome, error_type, memory_mb=memory_mb, wall_s=self._platform.clock.wall()
        )

    def _log_text(self, invocation: Invocation, text: str) -> None:
        if self._log is not None or invocation.event.wants_log:
            self._capture.end(invocation)  # what is ours begins a line of its own
            self._capture.take(invocation, text)

    def _output(self, invocation: Invocation | None, text: str) -> None:
        if invocation is not None:
            self._capture.take(invocation, text)
        elif self._log is not None:
            self._log.line(None, text)
        elif self._write_log is None:  # as what a module prints in process, while it is imported
            sys.stdout.write(text)


def _request_bucket(function: Function, per_unit: int, account_limit: int) -> TokenBucket | None:
    if not per_unit:
        return None
    per_s = per_unit * (function.reserved_concurrency or account_limit)
    return TokenBucket(per_s, per_s)


def _drop(_invocation: Invocation, _text: str) -> None:
    """Where handler output goes when the log is off."""
