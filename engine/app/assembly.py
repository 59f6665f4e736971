"""The parts of one engine, built from a `Config` in order and closed in reverse."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from typing import Any, Final, Self

from engine.app.async_invoke_configs import AsyncInvokeConfigs
from engine.app.deployment_builder import DeploymentBuilder, SharedParts
from engine.app.deployments import Deployments
from engine.app.engine_output import EngineOutput
from engine.app.executor_choice import limits_of_the_chosen, streaming_lines
from engine.app.loop_watch import LoopWatch
from engine.app.metrics_push import metrics_push
from engine.app.observers import Contained, Observers, contained, observer_named
from engine.app.python_choice import python_lines
from engine.config import Config
from engine.core.destinations import DestinationSender
from engine.core.engine_events import EngineEvent
from engine.core.init_turns import InitTurns
from engine.core.lambda_prices import PriceSheet, fallback_sheet, price_sheet
from engine.core.recursion import RecursionGuard
from engine.core.throttling import Pool
from engine.machine.cores import usable_cores
from engine.ports import ExecutorFactory, Observer, Tracer
from engine.runtime.async_queue import AsyncParts, AsyncQueue
from engine.runtime.dispatcher import Dispatcher
from engine.runtime.gc_tuning import GcTuning, paused_collector
from engine.runtime.init_scheduler import InitScheduler
from engine.runtime.platform import Platform
from engine.runtime.qualifier_router import LATEST
from engine.telemetry.stats import Stats
from engine.version import VERSION, build

_LATEST: Final = ((LATEST, 1.0),)


class Assembly:
    """The parts of one engine, wired; a context manager that lets go of what they hold.

    Attributes:
        stats: All counters.
        tracer: Makes spans, if one of the observers does.
        output: Where handlers and the engine write.
        dispatcher: What sources feed.
        builder: Makes what runs each function.
        deployments: Adds and removes functions.
        senders: By service, what delivers to the destinations of asynchronous events that exist here.
        async_configs: What applies to asynchronous events.
        asynchronous: Their queue.
        watch: Watches the event loop.
    """

    def __init__(
        self,
        config: Config,
        platform: Platform,
        loop: asyncio.AbstractEventLoop,
        executor: ExecutorFactory | None,
        write_log: Callable[[str], object] | None,
        new_request_id: Callable[[], str],
        endpoint_url: str | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        """`observers`: instances, beside those that `config` names; they are not closed."""
        self._config, self._platform, self._loop = config, platform, loop
        self._open = AsyncExitStack()
        sheet = price_sheet(config.account.region) or fallback_sheet(config.account.region)
        self.stats = _stats(config, platform, loop, sheet)
        self.output = EngineOutput(config, platform.clock, loop, self.stats, write_log)
        self.stats.recent.watch_output(self.output.capture.end)
        if self.output.function_log is not None:
            self.output.function_log.watch_output(self.output.capture.end)
        say, count = self.output.complain, self.stats.observer_failed
        self._named = self._observers_named()
        self._given = [contained(type(one).__name__, one, say=say, count=count) for one in observers]
        others = (*self._named, *self._given)
        self.tracer = next((other for other in others if isinstance(other, Tracer)), None)
        self._observer = self._all_observers()
        self._push = metrics_push(config, platform, self.stats)
        pool = Pool(config.account.concurrency_limit)
        self.dispatcher = Dispatcher(loop, pool, Random(0).random)  # noqa: S311  # the same choices each run
        self._durable: Any = None  # the durable executions, once there are some
        self._new_request_id = new_request_id
        self.watch = LoopWatch(platform, loop, self._notify_now, self.stats.lagged)
        parts = SharedParts(
            config=config,
            platform=platform,
            loop=loop,
            sheet=sheet,
            stats=self.stats,
            output=self.output,
            observer=self._observer,
            pool=pool,
            dispatcher=self.dispatcher,
            durable=lambda: self.durable,
            inits=_init_scheduler(config, platform, loop, are_on_nodes=False),
            inits_elsewhere=_init_scheduler(config, platform, loop, are_on_nodes=True),
            watch=self.watch,
        )
        self.builder = DeploymentBuilder(parts, executor, endpoint_url)
        self.deployments = Deployments(
            self.dispatcher, pool, self.builder, lambda driver: self.durable.entry(driver)
        )
        self.senders: dict[str, DestinationSender] = {}
        self.async_configs = AsyncInvokeConfigs(config.account, self.deployments.function)
        self.recursion = RecursionGuard(self.stats.dropped_recursive)
        self.asynchronous = self._async_queue(new_request_id)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            opening.callback(self.output.flush)
            opening.enter_context(self.output.capture)
            for observer in self._named:
                opening.callback(observer.close)
            if self._push is not None:
                opening.push_async_callback(self._push.close)
                self._push.start()
            opening.push_async_callback(self._durable_kept)
            opening.push_async_callback(self.builder.close_all)
            opening.callback(self.watch.close)
            self.watch.open()
            opening.enter_context(GcTuning())
            self._install_functions()
            functions = self._config.functions
            for line in (*limits_of_the_chosen(functions), *streaming_lines(functions)):
                self.output.say(line)
            for line in python_lines(self._config):
                self.output.say(line)
            await self.builder.prepare()
            await self._open.enter_async_context(opening.pop_all())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    # ---------------------------------------------------------------- steps of building

    def _observers_named(self) -> list[Contained]:
        named = partial(
            observer_named,
            account=self._config.account,
            clock=self._platform.clock,
            say=self.output.complain,
            count=self.stats.observer_failed,
        )
        return [named(name) for name in self._config.observers]

    def _all_observers(self) -> Observer:
        log = self.output.log
        logs: list[Observer] = [] if log is None else [log]
        all_of_them: list[Observer] = [self.stats, *self._named, *self._given, *logs]
        if len(all_of_them) == 1:
            return self.stats
        return Observers(all_of_them, self.output.capture.end)

    def _async_queue(self, new_request_id: Callable[[], str]) -> AsyncQueue:
        return AsyncQueue(
            self.dispatcher,
            AsyncParts(
                loop=self._loop,
                clock=self._platform.clock,
                account=self._config.account,
                config_of=self.async_configs.config_of,
                counts=self.stats.async_counts,
                senders=self.senders,
                new_request_id=new_request_id,
                notify=self._observer.noticed,
                recursion=self.recursion,
            ),
        )

    @property
    def durable(self) -> Any:
        """The `runtime.durable.executions.DurableExecutions`, made and imported when first asked for."""
        if self._durable is None:
            self._durable = self._durable_executions()
        return self._durable

    def close_durable(self) -> None:
        """Start no durable execution any more, if any were."""
        if self._durable is not None:
            self._durable.close()

    async def _durable_kept(self) -> None:
        if self._durable is not None:
            await self._durable.wait_kept()

    def _durable_executions(self) -> Any:
        from engine.runtime.durable.executions import DurableExecutions, DurableParts

        return DurableExecutions(
            DurableParts(
                loop=self._loop,
                clock=self._platform.clock,
                account=self._config.account,
                new_request_id=self._new_request_id,
                sink=self.dispatcher,
                resolve=self.dispatcher.resolve,
                ended_bytes=self._config.durable_mb << 20,
                ended_unattended=lambda event, outcome: self.asynchronous.send_records(event, outcome),
                counted=self.stats.count_durable,
                say=self.output.say,
            )
        )

    def _install_functions(self) -> None:
        with paused_collector(), self.builder.reading_once():  # what is installed stays
            for function in self._config.functions:
                self.deployments.install(function)
                if function.aliases:
                    self.deployments.route(function.name, dict.fromkeys(function.aliases, _LATEST))

    def _notify_now(self, event: EngineEvent) -> None:
        """From the watchdog, while the loop is blocked: what is logged now must be written now."""
        self._observer.noticed(event)
        self.output.flush()


def _stats(config: Config, platform: Platform, loop: asyncio.AbstractEventLoop, sheet: PriceSheet) -> Stats:
    return Stats(
        sheet=sheet,
        account_limit=config.account.concurrency_limit,
        build={
            "version": VERSION,
            "python": sys.version.split()[0],
            "event_loop": type(loop).__module__.partition(".")[0],
            "build": build(),
        },
        clock=platform.clock,
        later=loop.call_later,
        budget_usd=config.monthly_budget_usd,
    )


def _init_scheduler(
    config: Config, platform: Platform, loop: asyncio.AbstractEventLoop, *, are_on_nodes: bool
) -> InitScheduler | None:
    """None on virtual time, where nothing computes: the inits of any number of environments run at a time."""
    cores = config.init_concurrency or (usable_cores() if platform.has_threads else None)
    if cores is None:
        return None
    return InitScheduler(InitTurns(cores), loop, platform.clock, are_on_nodes=are_on_nodes)
