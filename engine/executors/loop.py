"""Runs `async def` handlers as tasks on the engine's own loop: thousands at a time, on one core.

An environment here is a place on the loop; all of a function share one instance of its module, which is
imported once, on a worker thread, when the first environment starts. At the deadline the task is
cancelled. What cannot be done here: to stop a handler that blocks the loop (`Watchdog` names it), to cap
or measure its memory, to give each environment its own globals.
"""

from __future__ import annotations

import asyncio
from functools import partial
from types import CoroutineType
from typing import Any

from engine.executors.capture import current
from engine.executors.handler import InitError

from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.executors.call import Call, init_failure
from engine.ports import Facts, Workshop


class LoopExecutor:
    """The environments of one function on the loop. See the module's docstring for its limits."""

    def __init__(self, function: Function, facts: Facts, workshop: Workshop) -> None:
        self._function = function
        self._facts = facts
        self._loop = workshop.loop
        self._clock = workshop.clock
        self._offload = workshop.offload
        self._call = Call(function, workshop)
        self._handler: Any = None
        self._loading: asyncio.Task[None] | None = None
        self._create_task = workshop.loop.create_task
        self._tasks: dict[int, dict[Invocation, asyncio.Task[None]]] = {}
        self._await_load: dict[int, float] = {}  # environments that wait for the import, since when

    def start(self, env_id: int, /) -> None:
        """Ready at once if the module is there; else import it first, once for all that wait."""
        self._tasks[env_id] = {}
        if self._handler is not None:
            self._loop.call_soon(self._ready, env_id, 0.0)
            return
        self._await_load[env_id] = self._clock.now()
        if self._loading is None:
            self._loading = self._loop.create_task(self._load())

    def run(self, env_id: int, invocation: Invocation, /) -> None:
        """Make the handler a task of its own, in a context of its own."""
        self._tasks[env_id][invocation] = self._create_task(self._work(env_id, invocation))

    def stop(self, env_id: int, /) -> None:
        """Cancel what runs there. A handler that swallows the cancellation runs on, unheard."""
        self._await_load.pop(env_id, None)
        self._call.forget(env_id)
        for task in self._tasks.pop(env_id, {}).values():
            task.cancel()

    def renew(self) -> None:
        """The next environment to start imports the module again; what runs keeps the old one."""
        self._handler = None
        self._call.renew()

    def running(self, task: asyncio.Task[Any]) -> Invocation | None:
        """The invocation that `task` runs, if it is one of ours. For the watchdog; not for the hot path."""
        coroutine = task.get_coro()
        if not isinstance(coroutine, CoroutineType) or coroutine.cr_code is not LoopExecutor._work.__code__:
            return None
        frame = coroutine.cr_frame
        if frame is None or frame.f_locals.get("self") is not self:
            return None
        invocation: Invocation = frame.f_locals["invocation"]
        return invocation

    async def _load(self) -> None:
        began_s = self._clock.now()
        try:
            loaded = await self._offload(partial(self._call.load, fresh=False))
        except InitError as error:
            waiting, self._await_load = self._await_load, {}
            for env_id in waiting:
                self._tasks.pop(env_id, None)
                self._facts.failed(env_id, init_failure(error), self._clock.now() - began_s)
        else:
            self._handler = loaded.callable
            waiting, self._await_load = self._await_load, {}
            now_s = self._clock.now()
            for env_id, since_s in waiting.items():
                self._ready(env_id, now_s - since_s)
        finally:
            self._loading = None

    def _ready(self, env_id: int, init_s: float) -> None:
        if env_id in self._tasks:
            self._call.furnish(env_id)
            self._facts.ready(env_id, init_s)

    async def _work(self, env_id: int, invocation: Invocation) -> None:
        current.set(invocation)
        call = self._call
        try:
            document, context = call.arguments(env_id, invocation)
            value = self._handler(document, context)
            if type(value) is CoroutineType:
                value = await value
            result = call.result(value)
        except Exception as error:  # noqa: BLE001  # whatever the handler raises is its outcome
            result = call.failed(error, invocation)
        except BaseException as error:
            if env_id not in self._tasks:
                raise  # cancelled by `stop`: the driver has answered already
            result = call.exited(error, invocation)
        running = self._tasks.get(env_id)
        if running is not None:
            del running[invocation]
            self._facts.ended(invocation, result)
