"""Runs `async def` handlers as tasks on the engine's own loop: thousands at a time, on one core.

An environment here is one or more tasks; all of a function share one instance of its module, which is
imported once, on a worker thread, when the first environment starts. At the deadline the task is
cancelled; one that blocks the loop is interrupted (`Watchdog`, `Interrupter`). What cannot be done here: to
stop a handler in the middle of one long operation in C, to cap or measure its memory, to give each
environment its own globals, to survive `sys.exit` in a task that a handler made (asyncio ends the
loop; in the handler itself it only ends the environment).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from types import CoroutineType
from typing import Any, Final, TypeVar

from engine.core.context_template import ContextTemplate
from engine.core.error_bodies import cancelled_body
from engine.core.function import Function
from engine.core.invocation import Invocation, Result
from engine.core.json_pieces import LARGE_BYTES, Steps
from engine.core.outcome import Status
from engine.executors.capture import current
from engine.executors.forks import exit_child
from engine.executors.granted_stream import ends_by_ended
from engine.executors.handler_loader import InitError, Loaded
from engine.executors.handler_runner import HandlerRunner, LargePayload, init_failure
from engine.executors.interpreter import Interpreter
from engine.executors.large_json import encode_in_pieces, read_document
from engine.executors.loop_inboxes import Inboxes
from engine.executors.loop_interrupt import Interrupted
from engine.executors.marshal import encode_up_to, exit_status
from engine.executors.scope import Scope, running, scope_of
from engine.ports import Facts, Workshop

T = TypeVar("T")


class LoopWorker:
    """A task that runs one handler after the other in one environment, as Lambda's own runtime does.

    Waking it costs half of what a new task for each invocation would. Context variables that a handler
    sets stay set for the next one of the same worker, like everything else it leaves in its environment.
    """

    __slots__ = ("inbox", "invocation", "task")

    inbox: asyncio.Future[Invocation]
    invocation: Invocation | None
    """What it runs; None while it waits for its next one."""
    task: asyncio.Task[None]


class LoopEnvironment:
    """One environment: the handler it was started with, and a worker for each invocation at a time."""

    __slots__ = ("env_id", "free", "handler", "open", "provisioned", "scope", "template", "workers")

    def __init__(self, env_id: int, free: list[asyncio.Future[Invocation]], *, provisioned: bool) -> None:
        """`free`: the inboxes of idle workers."""
        self.env_id = env_id
        self.free = free
        self.provisioned = provisioned
        self.open = True
        self.handler: Any = None
        self.template: ContextTemplate
        self.scope: Scope
        self.workers: list[LoopWorker] = []


class LoopExecutor:
    """The environments of one function on the loop. See the module's docstring for its limits."""

    def __init__(self, function: Function, facts: Facts, workshop: Workshop) -> None:
        self._facts = facts
        self._loop = workshop.loop
        self._clock = workshop.clock
        self._offload = workshop.offload
        self._function = function
        self._workshop = workshop
        self._interpreter = Interpreter.acquire(workshop)
        arn, imported = workshop.account.function_arn(function.name), workshop.imported_module_for
        self._runner = HandlerRunner(function, arn, workshop, imported_module_for=imported)
        self._handler: Any = None
        self._connected = _connection(function, workshop, facts, self._interpreter)
        self._succeeded = facts.succeeded if function.streaming is None else ends_by_ended(facts)
        self._scope = self._new_scope()
        self._loads: set[asyncio.Task[None]] = set()
        self._environments: dict[int, LoopEnvironment] = {}
        self._inboxes = Inboxes(self._start_worker)
        self.run = self._inboxes.run
        """Wakes an idle worker with an invocation, or starts one."""
        self._workers: dict[asyncio.Task[None], LoopWorker] = {}
        self._await_load: dict[int, float] | None = None  # waiting for the newest import

    def start(self, env_id: int, /) -> None:
        """Report it ready if the module is loaded; else import it first, once for all that wait."""
        self._start(env_id, provisioned=False)

    def provision(self, env_id: int, /) -> None:
        """The same for a provisioned environment, whose variables say so in the handler, not at import."""
        self._start(env_id, provisioned=True)

    def _start(self, env_id: int, *, provisioned: bool) -> None:
        free = self._inboxes.open(env_id)
        self._environments[env_id] = LoopEnvironment(env_id, free, provisioned=provisioned)
        if self._handler is not None:
            self._loop.call_soon(self._ready, env_id, self._handler, self._scope, 0.0)
            return
        if self._await_load is None:
            self._await_load = {}
            load = self._loop.create_task(self._load(self._await_load), context=Context())
            self._loads.add(load)
            load.add_done_callback(self._loads.discard)
        self._await_load[env_id] = self._clock.now()

    def _start_worker(self, env_id: int, invocation: Invocation) -> None:
        environment = self._environments[env_id]
        worker = LoopWorker()
        worker.invocation = invocation
        environment.workers.append(worker)
        worker.task = self._loop.create_task(self._serve(environment, worker, invocation), context=Context())
        self._workers[worker.task] = worker
        worker.task.add_done_callback(self._forget)

    def stop(self, env_id: int, /) -> None:
        """Cancel what runs there. A handler that swallows the cancellation runs on, unheeded."""
        environment = self._environments.pop(env_id, None)
        if environment is not None:
            self._inboxes.close(env_id)
            environment.open = False
            for worker in environment.workers:
                worker.task.cancel()

    def renew(self) -> None:
        """The next environment to start imports the module again; what runs keeps the old one."""
        self._handler = None
        self._await_load = None
        self._runner.renew()

    def close(self) -> None:
        """Unload what was imported. Every environment has been stopped."""
        self._runner.close()
        self._interpreter.release(self._workshop.commons)

    def running(self, task: asyncio.Task[Any]) -> Invocation | None:
        """The invocation that `task` runs, or None. The watchdog calls it, from its own thread."""
        worker = self._workers.get(task)
        return None if worker is None else worker.invocation

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._workers[task]

    async def _load(self, waiting: dict[int, float]) -> None:
        began_s = self._clock.now()
        scope = self._new_scope()
        running.set(scope)
        try:
            loaded = await self._offload(self._import)
        except InitError as error:
            self._end_load(waiting)
            for env_id in waiting:
                self._inboxes.close(env_id)
                if self._environments.pop(env_id, None) is not None:
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
            return self._connected(self._interpreter.load(self._runner, fresh=False))
        finally:
            if is_beside:
                asyncio.set_event_loop(None)

    def _end_load(self, waiting: dict[int, float]) -> bool:
        """Close the list of those that wait for this import; False if the code has changed meanwhile."""
        if self._await_load is not waiting:
            return False
        self._await_load = None
        return True

    def _new_scope(self) -> Scope:
        workshop = self._workshop
        return scope_of(self._function, workshop.account, workshop.endpoint_url, logs_json=workshop.logs_json)

    def _ready(self, env_id: int, handler: Any, scope: Scope, init_s: float) -> None:
        environment = self._environments.get(env_id)
        if environment is not None:
            environment.handler = handler
            environment.template = self._runner.make_context_template()
            log_stream = environment.template.log_stream_name
            environment.scope = scope.of_environment(log_stream, provisioned=environment.provisioned)
            self._workshop.name_log_stream(self._function.name, self._function.version, env_id, log_stream)
            self._facts.ready(env_id, init_s)

    async def _serve(self, environment: LoopEnvironment, worker: LoopWorker, invocation: Invocation) -> None:
        """Run the worker's invocations one after the other, until the environment is stopped."""
        runner, facts = self._runner, self._facts
        handler, template = environment.handler, environment.template
        # Looked up once, not for each invocation.
        now, loop, new_inbox = self._clock.now, self._loop, asyncio.Future
        set_current, set_free, succeeded = current.set, environment.free.append, self._succeeded
        interpreter = self._interpreter
        context: Any
        body: Any
        inbox: asyncio.Future[Invocation]
        running.set(environment.scope)
        while True:
            set_current(invocation)
            result: Result | None = None
            try:
                if now() >= invocation.deadline_s:
                    raise Interrupted  # another handler held the loop: this one must not even begin
                try:
                    document, context = runner.arguments(template, invocation, LARGE_BYTES)
                except LargePayload:
                    await _in_turns(read_document(invocation.event))
                    document, context = runner.arguments(template, invocation)
                value = handler(document, context)
                if type(value) is CoroutineType:
                    value = await value
                encoded = encode_up_to(LARGE_BYTES, value)
                if encoded is None:
                    encoded = await _in_turns(encode_in_pieces(value))
                body, raw = encoded
            except Interrupted:  # after the deadline the driver has answered; else the engine is stopping
                result = Result(Status.CANCELLED, cancelled_body(invocation.event.request_id))
            except Exception as error:  # noqa: BLE001  # whatever the handler raises is its outcome
                try:
                    result = runner.failed(error, invocation)
                except Interrupted:  # the exception's `__str__` held the loop
                    result = Result(Status.CANCELLED, cancelled_body(invocation.event.request_id))
            except BaseException as error:
                if interpreter.is_copy and not isinstance(error, asyncio.CancelledError):
                    exit_child(exit_status(error))
                if not environment.open:  # cancelled by `stop`: the driver has answered already
                    if isinstance(error, asyncio.CancelledError):
                        raise
                    return  # a task that ends by SystemExit would end the loop
                result = runner.exited(error, invocation)
            if interpreter.is_copy:
                exit_child(0)
            if not environment.open:
                return
            if result is not None and result.ends_environment:
                self.stop(environment.env_id)
                facts.ended(invocation, result)
                return
            worker.invocation = None
            worker.inbox = inbox = new_inbox(loop=loop)
            set_free(inbox)  # first: what is told now may bring the next invocation at once
            if result is None:
                succeeded(invocation, body, raw)
            else:
                facts.ended(invocation, result)
            document = context = value = body = None  # may be large, and the next one may be long in coming
            try:
                worker.invocation = invocation = await inbox
            except asyncio.CancelledError:
                if environment.open:
                    self._close_worker(environment, worker)
                raise

    def _close_worker(self, environment: LoopEnvironment, worker: LoopWorker) -> None:
        """Drop a worker whose task a handler left cancelled; its next invocation runs on another one."""
        environment.workers.remove(worker)
        if worker.inbox in environment.free:
            environment.free.remove(worker.inbox)
        if not worker.inbox.cancelled():
            self.run(environment.env_id, worker.inbox.result())


ENTRY: Final = LoopExecutor._serve.__code__
"""The code of the coroutine that calls handlers: `Interrupter` and the watchdog know it among the frames."""


def _connection(
    function: Function, workshop: Workshop, facts: Facts, interpreter: Interpreter
) -> Callable[[Loaded], Loaded]:
    """What a handler becomes that streams, or may checkpoint while the loop stands still; others stay."""
    if function.streaming is not None:
        from engine.executors.loop_stream import streams_on_loop

        return streams_on_loop(facts, workshop.loop, interpreter)
    if function.durable is None or workshop.durable is None or workshop.has_threads:
        return lambda loaded: loaded
    from engine.executors.durable_on_loop import DurableOnLoop

    return DurableOnLoop(workshop.durable(), workshop.clock.wall).connected


async def _in_turns(steps: Steps[T]) -> T:
    """Take each step in another turn of the loop, and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
        await asyncio.sleep(0)
