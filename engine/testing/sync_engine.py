"""An engine for tests that are plain functions: its event loop is its own, and runs while it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

from engine.app import Engine
from engine.app.callback_answers import Answers
from engine.app.executions import DurableExecution, Executions
from engine.core.function import Function
from engine.core.outcome import Outcome
from engine.errors import EngineError, NotAccepting
from engine.ports import T
from engine.runtime.platform import new_event_loop
from engine.runtime.virtual_time import VirtualTimeLoop, handler_platform


class SyncEngine:
    """An `Engine` without `await`: `with SyncEngine([Function(...)]) as engine: engine.invoke("hello")`.

    Handlers run in the interpreter of the test, in the module that the test imports. Between two calls
    nothing runs and no virtual time passes. It belongs to the thread that opened it.

    Args:
        functions: What to run.
        real_time: Use the real clock: `def` handlers run on threads, and every executor can be named. By
            default time is virtual, and all handlers run on the loop.
        isolated: Give environments modules of their own; see `handler_platform`.
        seed: On virtual time ids and the jitter of durable functions are drawn from it.
        write_log: Where log lines go; None: nowhere.
        settings: Keys of `[engine]`.

    Raises:
        ConfigError: When it is entered: the functions or settings cannot be run.
    """

    def __init__(
        self,
        functions: Iterable[Function],
        *,
        real_time: bool = False,
        isolated: bool = False,
        seed: int = 0,
        write_log: Callable[[str], object] | None = None,
        **settings: Any,
    ) -> None:
        self._functions, self._settings = tuple(functions), settings
        self._isolated, self._seed, self._write_log = isolated, seed, write_log
        self._runner = asyncio.Runner(loop_factory=new_event_loop if real_time else VirtualTimeLoop)
        self._engine: Engine | None = None
        self._executions: Executions | None = None

    def __enter__(self) -> Self:
        self._refuse_running_loop()
        try:
            self._engine = self._runner.run(self._opened())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        engine, self._engine, self._executions = self.engine, None, None
        try:
            self._runner.run(engine.__aexit__())
        finally:
            self._runner.close()

    @property
    def engine(self) -> Engine:
        """The engine itself: its `addresses`, `stats`. Raises `NotAccepting` outside of the block."""
        if self._engine is None:
            raise NotAccepting("closed")
        return self._engine

    def invoke(self, function: str, payload: Any = None) -> Outcome:
        """Run `function` with `payload` and return its outcome; raises what `Engine.invoke` raises."""
        return self.run(self.engine.invoke(function, payload))

    def submit(self, function: str, payload: Any = None) -> str:
        """Have `function` run asynchronously, and return the request id; see `Engine.submit`.

        It runs during further calls, `sleep` for example.
        """
        return self.run(self.engine.submit(function, payload))

    def execute(
        self,
        function: str,
        payload: Any = None,
        *,
        name: str | None = None,
        answers: Answers | None = None,
    ) -> DurableExecution:
        """Run a durable function and return its execution once that has ended; see `Executions.run`."""
        return self.run(self.executions.run(function, payload, name=name, answers=answers))

    @property
    def executions(self) -> Executions:
        """The durable executions. What they do, they do during calls of this engine, `sleep` for example."""
        if self._executions is None:
            self._executions = Executions(self.engine)
        return self._executions

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass, and happen what is due meanwhile: retries, schedules, ends of environments."""
        self.run(asyncio.sleep(seconds))

    def run(self, awaitable: Awaitable[T]) -> T:
        """Return what `awaitable` returns, on the loop of this engine."""

        async def main() -> T:
            return await awaitable

        self._refuse_running_loop()
        return self._runner.run(main())

    async def _opened(self) -> Engine:
        platform = handler_platform(isolated=self._isolated, seed=self._seed)
        engine = Engine(self._functions, platform=platform, write_log=self._write_log, **self._settings)
        return await engine.__aenter__()

    def _refuse_running_loop(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise EngineError("a SyncEngine is for functions that are not asynchronous: here, use Engine")
