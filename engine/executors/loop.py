"""Runs `async def` handlers as tasks on the engine's own loop: thousands at a time, on one core.

An environment here is a place on the loop; all of a function share one instance of its module, which is
imported once, on a worker thread, when the first environment starts. At the deadline the task is
cancelled; one that blocks the loop is interrupted (`Watchdog`, `Interrupter`). What cannot be done here: to
stop a handler in the middle of one long operation in C, to cap or measure its memory, to give each
environment its own globals, to survive `sys.exit` in a task that a handler made (asyncio ends the
loop; in the handler itself it only ends the environment).
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import Context
from types import CoroutineType
from typing import Any

from engine.core.context import ContextTemplate
from engine.core.failure import cancelled_body
from engine.core.function import Function
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.executors.capture import current
from engine.executors.forks import leave
from engine.executors.handler_loader import InitError, Loaded
from engine.executors.handler_runner import HandlerRunner, init_failure
from engine.executors.interpreter import Interpreter
from engine.executors.interrupt import Interrupted
from engine.executors.marshal import encode, exit_status
from engine.executors.scope import Scope, running, scope_of
from engine.ports import Facts, Workshop


class LoopWorker:
    """A task that runs one handler after the other in one environment, as Lambda's own runtime does.

    Waking it costs half of what a new task for each invocation would. Context variables that a handler
    sets stay set for the next one in the same lane, like everything else it leaves in its environment.
    """

    __slots__ = ("inbox", "task")

    inbox: asyncio.Future[Invocation]
    task: asyncio.Task[None]


class LoopEnvironment:
    """One environment: the handler it was started with, and a lane for each invocation it can take."""

    __slots__ = ("env_id", "free", "handler", "lanes", "open", "scope", "template")

    def __init__(self, env_id: int) -> None:
        self.env_id = env_id
        self.open = True
        self.handler: Any = None
        self.template: ContextTemplate
        self.scope: Scope
        self.free: list[LoopWorker] = []
        self.lanes: list[LoopWorker] = []


class LoopExecutor:
    """The environments of one function on the loop. See the module's docstring for its limits."""

    def __init__(self, function: Function, facts: Facts, workshop: Workshop) -> None:
        self._facts = facts
        self._loop = workshop.loop
        self._clock = workshop.clock
        self._offload = workshop.offload
        self._function = function
        self._workshop = workshop
        self._interpreter = Interpreter.enter(workshop)
        self._call = HandlerRunner(function, workshop)
        self._handler: Any = None
        self._scope = self._new_scope()
        self._loads: set[asyncio.Task[None]] = set()
        self._rooms: dict[int, LoopEnvironment] = {}
        self._await_load: dict[int, float] | None = None  # who waits for the newest import, since when

    def start(self, env_id: int, /) -> None:
        """Ready at once if the module is there; else import it first, once for all that wait."""
        self._rooms[env_id] = LoopEnvironment(env_id)
        if self._handler is not None:
            self._loop.call_soon(self._ready, env_id, self._handler, self._scope, 0.0)
            return
        if self._await_load is None:
            self._await_load = {}
            load = self._loop.create_task(self._load(self._await_load), context=Context())
            self._loads.add(load)
            load.add_done_callback(self._loads.discard)
        self._await_load[env_id] = self._clock.now()

    def run(self, env_id: int, invocation: Invocation, /) -> None:
        """Wake a lane with it, or open one."""
        room = self._rooms[env_id]
        if room.free:
            try:
                room.free.pop().inbox.set_result(invocation)
            except asyncio.InvalidStateError:
                pass  # a handler left a cancellation of its task behind: see `_close_lane`
            else:
                return
        lane = LoopWorker()
        room.lanes.append(lane)
        lane.task = self._loop.create_task(self._serve(room, lane, invocation), context=Context())

    def stop(self, env_id: int, /) -> None:
        """Cancel what runs there. A handler that swallows the cancellation runs on, unheard."""
        room = self._rooms.pop(env_id, None)
        if room is not None:
            room.open = False
            for lane in room.lanes:
                lane.task.cancel()

    def renew(self) -> None:
        """The next environment to start imports the module again; what runs keeps the old one."""
        self._handler = None
        self._await_load = None
        self._call.renew()

    def close(self) -> None:
        """Let go of what was imported; every environment has been stopped."""
        self._call.close()
        self._interpreter.leave(self._workshop.commons)

    def running(self, task: asyncio.Task[Any]) -> Invocation | None:
        """The invocation that `task` runs, if it is one of ours. For the watchdog; not for the hot path."""
        coroutine = task.get_coro()
        if not isinstance(coroutine, CoroutineType) or coroutine.cr_code is not LoopExecutor._serve.__code__:
            return None
        frame = coroutine.cr_frame
        if frame is None or frame.f_locals.get("self") is not self:
            return None
        invocation: Invocation = frame.f_locals["invocation"]
        return invocation

    async def _load(self, waiting: dict[int, float]) -> None:
        began_s = self._clock.now()
        scope = self._new_scope()
        running.set(scope)
        try:
            loaded = await self._offload(self._import)
        except InitError as error:
            self._end_load(waiting)
            for env_id in waiting:
                if self._rooms.pop(env_id, None) is not None:
                    self._facts.failed(env_id, init_failure(error), self._clock.now() - began_s)
            return
        if self._end_load(waiting):
            self._handler, self._scope = loaded.callable, scope
        now_s = self._clock.now()
        for env_id, since_s in waiting.items():
            self._ready(env_id, loaded.callable, scope, now_s - since_s)

    def _import(self) -> Loaded:
        """On a worker thread. The loop that a module asks for is the one its handler will run on."""
        is_beside = threading.get_ident() != self._interpreter.thread  # not so on virtual time
        if is_beside:
            asyncio.set_event_loop(self._loop)
        try:
            return self._interpreter.load(self._call, fresh=False)
        finally:
            if is_beside:
                asyncio.set_event_loop(None)

    def _end_load(self, waiting: dict[int, float]) -> bool:
        """Let nobody join `waiting` any more; False if the code changed meanwhile: then they are outdated."""
        if self._await_load is not waiting:
            return False
        self._await_load = None
        return True

    def _new_scope(self) -> Scope:
        workshop = self._workshop
        return scope_of(self._function, workshop.account, workshop.endpoint_url, logs_json=workshop.logs_json)

    def _ready(self, env_id: int, handler: Any, scope: Scope, init_s: float) -> None:
        room = self._rooms.get(env_id)
        if room is not None:
            room.handler = handler
            room.template = self._call.furnish()
            room.scope = scope.of_environment(room.template.log_stream_name)
            self._facts.ready(env_id, init_s)

    async def _serve(self, room: LoopEnvironment, lane: LoopWorker, invocation: Invocation) -> None:
        """Run what comes down the lane, until the environment is gone."""
        call, handler, template, facts = self._call, room.handler, room.template, self._facts
        now = self._clock.now
        context: Any
        body: Any
        interpreter = self._interpreter
        running.set(room.scope)
        while True:
            current.set(invocation)
            result: Result | None = None
            try:
                if now() >= invocation.deadline_s:
                    raise Interrupted  # another handler held the loop: this one must not even begin
                document, context = call.arguments(template, invocation)
                value = handler(document, context)
                if type(value) is CoroutineType:
                    value = await value
                body, raw = encode(value)
            except Interrupted:  # whoever hears of it after the deadline says so; else the engine is ending
                result = Result(Status.CANCELLED, cancelled_body(invocation.event.request_id))
            except Exception as error:  # noqa: BLE001  # whatever the handler raises is its outcome
                result = call.failed(error, invocation)
            except BaseException as error:
                if interpreter.is_copy and not isinstance(error, asyncio.CancelledError):
                    leave(exit_status(error))
                if not room.open:  # cancelled by `stop`: the driver has answered already
                    if isinstance(error, asyncio.CancelledError):
                        raise
                    return  # a task that ends by SystemExit would end the loop
                result = call.exited(error, invocation)
            if interpreter.is_copy:
                leave(0)
            if not room.open:
                return
            if result is not None and result.ends_environment:
                self.stop(room.env_id)
                facts.ended(invocation, result)
                return
            lane.inbox = self._loop.create_future()
            room.free.append(lane)  # first: what is told now may bring the next invocation at once
            if result is None:
                facts.succeeded(invocation, body, raw)
            else:
                facts.ended(invocation, result)
            document = context = value = body = None  # may be large, and the next one may be long in coming
            try:
                invocation = await lane.inbox
            except asyncio.CancelledError:
                if room.open:
                    self._close_lane(room, lane)
                raise

    def _close_lane(self, room: LoopEnvironment, lane: LoopWorker) -> None:
        """A handler left a cancellation of its task behind: the lane is lost, not what came down it."""
        room.lanes.remove(lane)
        if lane in room.free:
            room.free.remove(lane)
        if not lane.inbox.cancelled():
            self.run(room.env_id, lane.inbox.result())
