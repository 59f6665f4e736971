"""The engine as a Python object: functions in, outcomes out."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from threading import get_ident
from typing import Any, Final, Self

from engine.app.assembly import Assembly
from engine.app.code_folders import Bundles
from engine.app.deployments import Deployments
from engine.app.response_pieces import ResponsePieces
from engine.config import Config, from_functions
from engine.core.event import Event
from engine.core.function import Function
from engine.core.invocation import Reply
from engine.core.outcome import Outcome
from engine.errors import EngineError, NotAccepting
from engine.executors.host_variables import host_variables
from engine.ports import ExecutorFactory, Observer, Sink
from engine.runtime.async_queue import AsyncQueue
from engine.runtime.direct_events import DirectEvents
from engine.runtime.dispatcher import Dispatcher, Stage
from engine.runtime.ids import request_ids
from engine.runtime.platform import Platform
from engine.runtime.replies import resolve
from engine.telemetry.stats import Stats

_running_loop: Final = asyncio.get_running_loop


class Engine:
    """Functions, ready to be invoked: `async with Engine([Function(...)]) as engine`.

    Args:
        functions: What to run; each as one `[functions.NAME]` table of engine.toml. See also `from_config`.
        platform: Clock and threads; `engine.testing.virtual_platform()` for virtual time.
        executor: Makes every function's executor instead of the one it names; for tests.
        write_log: Where platform and handler log lines go; None = nowhere.
        observers: What else sees every invocation: names, as in `[engine]`, or instances, which are the
            caller's to close.
        settings: Keys of `[engine]`: `concurrency_limit`, `scaling_rate`, `region`, ...

    Raises:
        ConfigError: With every problem at once, if the functions or settings cannot be run.
    """

    def __init__(
        self,
        functions: Iterable[Function] | Config,
        *,
        platform: Platform | None = None,
        executor: ExecutorFactory | None = None,
        write_log: Callable[[str], object] | None = None,
        observers: Iterable[str | Observer] = (),
        **settings: Any,
    ) -> None:
        given = tuple(observers)
        named = tuple(one for one in given if isinstance(one, str))
        if isinstance(functions, Config):
            config = dataclasses.replace(functions, observers=(*functions.observers, *named))
        else:
            config = from_functions(functions, observers=named, **settings)
        self._observers = tuple(one for one in given if not isinstance(one, str))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0  # that the loop runs on
        self.config = self._configured = config
        self._bundles = Bundles()
        # One without a listener of its own leaves handlers what whoever started it points AWS clients at.
        self._endpoint_url = host_variables().get("AWS_ENDPOINT_URL")
        self.platform = platform or Platform()
        self.new_request_id = request_ids(self.platform.seed)
        self._executor = executor
        self._write_log = write_log
        self._open = AsyncExitStack()
        self._assembly: Assembly | None = None
        self._sink: Sink = _Unopened()
        self._events = DirectEvents(self.new_request_id, self.platform.clock.now)

    @classmethod
    def from_config(
        cls,
        config: Config,
        *,
        platform: Platform | None = None,
        write_log: Callable[[str], object] | None = None,
        endpoint_url: str | None = None,
        observers: Iterable[str | Observer] = (),
    ) -> Self:
        """An engine for a whole configuration, as `engine serve` runs it.

        `endpoint_url`: where its listener for AWS clients is, for handlers to find.
        """
        engine = cls(config, platform=platform, write_log=write_log, observers=observers)
        engine._endpoint_url = endpoint_url or engine._endpoint_url
        return engine

    async def __aenter__(self) -> Self:
        if self._assembly is not None and self._assembly.dispatcher.stage is not Stage.CLOSED:
            raise EngineError("the engine is open already")
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as opening:
            self._bundles = opening.enter_context(Bundles())
            functions = await self._bundles.prepared(self._configured.functions, self.platform.offload)
            self.config = dataclasses.replace(self._configured, functions=functions)
            assembly = Assembly(
                self.config,
                self.platform,
                loop,
                self._executor,
                self._write_log,
                self.new_request_id,
                self._endpoint_url,
                self._observers,
            )
            await opening.enter_async_context(assembly)
            self._open = opening.pop_all()
        self._assembly, self._sink, self._loop = assembly, assembly.dispatcher, loop
        self._thread = get_ident()
        assembly.dispatcher.open()
        return self

    async def renew(self) -> None:
        """Have new environments run the code as it lies on disk now.

        Raises:
            ConfigError: An archive or layer among it cannot be read; nothing has changed.
        """
        self._refuse_other_loops()
        await self.platform.offload(self._bundles.renew)
        self.sink.renew()

    async def __aexit__(self, *_: object) -> None:
        self._refuse_other_loops()
        async with self._open:
            await self.drain()
        self._loop = None

    # ---------------------------------------------------------------- its parts, once it is open

    @property
    def parts(self) -> Assembly:
        """All its parts, for what is built around it."""
        if self._assembly is None:
            raise NotAccepting(Stage.NEW.value)
        return self._assembly

    @property
    def sink(self) -> Dispatcher:
        """What sources feed. Raises `NotAccepting`, as the other parts do, before the engine was opened."""
        return self.parts.dispatcher

    @property
    def asynchronous(self) -> AsyncQueue:
        """The sink for events whose callers wait for nothing."""
        return self.parts.asynchronous

    @property
    def stats(self) -> Stats:
        """All counters."""
        return self.parts.stats

    @property
    def deployments(self) -> Deployments:
        """Adds and removes functions."""
        return self.parts.deployments

    @property
    def chosen(self) -> Mapping[str, str]:
        """The executor each function runs on, after `auto` was decided."""
        return self.parts.builder.chosen

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop it was opened on, which alone may call it; `NotAccepting` unless it is open.

        From another thread: `asyncio.run_coroutine_threadsafe(engine.invoke(...), engine.loop).result()`.
        """
        if self._loop is None:
            raise NotAccepting(Stage.NEW.value if self._assembly is None else Stage.CLOSED.value)
        return self._loop

    @property
    def endpoint_url(self) -> str | None:
        """Where handlers find the endpoint for AWS clients; None if there is none."""
        return self._endpoint_url

    def say(self, text: str) -> None:
        """Log a line, without its newline, for whoever runs the engine."""
        self.parts.output.say(text)

    def end_by(self, latest_s: float) -> None:
        """From then on (engine clock) no handler holds the loop; may be called by a signal's handler."""
        self.parts.watch.end_by(latest_s)

    # ---------------------------------------------------------------- use

    async def drain(self, grace_s: float | None = None) -> bool:
        """Take nothing new and let end what was accepted, within the grace period; see `Dispatcher.drain`.

        `grace_s`: what is left of that period; None: all of it.
        Asynchronous events that wait for another attempt are given up: see `AsyncQueue.close`.
        """
        if self._assembly is None:
            return True
        self._refuse_other_loops()
        self._assembly.asynchronous.close()
        self._assembly.close_durable()
        return await self._assembly.dispatcher.drain(self.config.grace_s if grace_s is None else grace_s)

    async def invoke(self, function: str, payload: Any = None) -> Outcome:
        """Run `function` with `payload`, any JSON value, and await its outcome (`RequestResponse`).

        Raises:
            FunctionNotFound: If there is no such function.
            PayloadError: If `payload` is not a JSON value, or over 6 MiB.
            NotAccepting: If the engine is not started, or is draining.
            EngineError: If the caller runs on another event loop than the engine; see `loop`.
        """
        loop = self._loop
        # No other loop runs on this thread while its own does. To ask for the running one takes a system call
        # up to Python 3.11.
        if loop is None or get_ident() != self._thread or not loop.is_running():
            self._refuse_other_loops()
            loop = _running_loop()
        # What `Sink.invoke` does, without a second coroutine.
        outcome: asyncio.Future[Outcome] = asyncio.Future(loop=loop)
        self._sink.submit(self._events.awaited(function, payload), partial(resolve, outcome))
        return await outcome

    def stream(self, function: str, payload: Any = None) -> ResponsePieces:
        """Run `function`, and iterate over its response as it comes: `async for piece in engine.stream(...)`.

        Raises what `invoke` raises, at once. How the handler ended is in `outcome` of what is returned.
        """
        self._refuse_other_loops()
        pieces = ResponsePieces()
        self._sink.submit(self._events.streamed(function, payload, pieces), pieces.ended)
        return pieces

    async def submit(self, function: str, payload: Any = None) -> str:
        """Have `function` run with `payload`, and return its request id at once (`Event`).

        It is tried again if it fails or is throttled, by the function's keys for asynchronous invocation;
        the outcome is seen in logs, metrics and destinations only. Raises what `invoke` raises;
        PayloadError above 1 MiB already.
        """
        self._refuse_other_loops()
        event = self._events.asynchronous(function, payload)
        (self._sink if self._assembly is None else self._assembly.asynchronous).submit(event, _ignore)
        return event.request_id

    def _refuse_other_loops(self) -> None:
        """Raise on another loop: nothing there would be woken by this one."""
        if self._loop is not None and self._loop is not _running_loop():
            raise EngineError(
                "this engine runs on another event loop; from there, use "
                "asyncio.run_coroutine_threadsafe(engine.invoke(...), engine.loop)"
            )


class _Unopened:
    """The sink of an engine that has not been opened."""

    def submit(self, _event: Event, _reply: Reply, /) -> None:
        raise NotAccepting(Stage.NEW.value)

    async def invoke(self, _event: Event, /) -> Outcome:
        raise NotAccepting(Stage.NEW.value)


def _ignore(_outcome: Outcome) -> None:
    """An asynchronous caller waits for nothing."""
