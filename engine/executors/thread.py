"""Runs `def` handlers on worker threads: an environment is a thread with a module instance of its own.

The thread imports the module and then runs every invocation of its environment, so that what a handler
keeps per thread (a database connection, say) stays valid, as it does on Lambda. At the deadline an
exception is raised in the thread; one that is stuck in C code does not notice, is abandoned and counted.
An import that hangs is interrupted in the same way, but seen by nobody if it is stuck in C code. What
cannot be done here: to use more than one core (until Python runs without the GIL), to kill a thread,
to cap or measure its memory.

Passing an invocation to a thread costs one `SimpleQueue.put`; results are put into one deque, and the loop
is woken once for all of them.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import threading
from collections import deque
from collections.abc import Coroutine
from functools import partial
from queue import SimpleQueue
from types import CoroutineType
from typing import Any, Final, NamedTuple

from engine.core.engine_events import ThreadAbandoned
from engine.core.error_bodies import InitFailure
from engine.core.function import Function
from engine.core.init_turns import Use
from engine.core.invocation import Invocation, Result
from engine.core.json_pieces import LARGE_BYTES, take_all
from engine.core.outcome import Status
from engine.executors.capture import current
from engine.executors.cpu_use import cpu_beside_this_thread
from engine.executors.durable_client import DurableCalls
from engine.executors.forks import exit_child
from engine.executors.granted_stream import GrantedStream
from engine.executors.handler_loader import InitError, Loaded
from engine.executors.handler_runner import HandlerRunner, LargePayload, init_failure
from engine.executors.interpreter import Interpreter
from engine.executors.large_json import encode_in_pieces, read_document
from engine.executors.marshal import encode_up_to, exit_status
from engine.executors.scope import Scope, running, scope_of
from engine.executors.streamed_pieces import CreditedWriter, call_streamed
from engine.executors.thread_loop import DeadlineStruck, ThreadLoop
from engine.ports import Facts, Workshop

_SUCCESS: Final = Status.SUCCESS
_PATIENCE_S = 1.0
"""How long a thread may take to notice what was raised in it before it is called abandoned."""

_EVERYTHING: Final = 1 << 60
"""Bytes granted to a stream of which nothing is passed on any more."""


class WorkerMessage(NamedTuple):
    """What a worker reports: the result of an invocation or, without one, that of its init."""

    env_id: int
    invocation: Invocation | None
    said: Result | InitFailure | StreamMessage | None
    took_s: float = 0.0


class StreamMessage(NamedTuple):
    """A part of a streamed response, or without one its beginning."""

    writer: ThreadStream
    data: bytes | None


class ThreadStream(CreditedWriter):
    """The way of one streamed response out of a handler's thread."""

    content_type = ""
    granted: GrantedStream | None = None
    """Its other end, on the loop."""

    def __init__(self, environment: ThreadEnvironment) -> None:
        super().__init__()
        self._environment = environment
        self._invocation = current.get()
        environment.streams.add(self)

    def begin(self, content_type: str) -> None:
        """See `StreamWriter`."""
        self.content_type = content_type
        self._post(None)

    def put(self, data: bytes) -> bool:
        """See `StreamWriter`."""
        self._post(data)
        return self.spend(len(data))

    def close(self) -> None:
        """See `StreamWriter`."""
        self._environment.streams.discard(self)

    def _post(self, data: bytes | None) -> None:
        environment = self._environment
        if environment.interpreter.is_copy:
            exit_child(0)  # the handler forked, and what its copy yields is dropped
        environment.post(WorkerMessage(environment.env_id, self._invocation, StreamMessage(self, data)))


class ThreadWorker:
    """One thread. What it shares with the loop's thread is guarded by `_lock`."""

    def __init__(self, environment: ThreadEnvironment, name: str) -> None:
        self.environment = environment
        self.invocation: Invocation | None = None  # what it runs, while it may still be timed out
        self.importing = environment.loaded is None
        self._timed_out = False
        self._awaits = False  # its loop runs a handler
        self._lock = threading.Lock()
        self._loop = ThreadLoop()
        self._runner = asyncio.Runner(loop_factory=lambda: self._loop)
        # A context of its own: the caller may run in that of another function.
        main = contextvars.Context().run
        self.thread = threading.Thread(target=main, args=(self._main,), name=name, daemon=True)
        self.thread.start()

    def time_out(self) -> bool:
        """Raise `DeadlineStruck` in the handler, or the import, that runs now; False if none does."""
        with self._lock:
            if self.invocation is None and not self.importing:
                return False
            self._timed_out = True
            _raise_in(self.thread, DeadlineStruck)
        if self._loop.is_used:
            try:
                # A loop that waits in its selector would not notice the exception, and one that runs
                # something else than the handler would take it for that thing's own.
                self._loop.call_soon_threadsafe(self._end_run)
            except RuntimeError:
                pass  # it noticed, and is closed already
        return True

    def _end_run(self) -> None:
        """End the loop's run, and the handler with it, if the exception has not."""
        if self._awaits:
            raise DeadlineStruck

    def _main(self) -> None:
        environment = self.environment
        running.set(environment.scope)
        asyncio.set_event_loop(self._loop)
        try:
            if self.importing and not self._initialise():
                return
            while (invocation := environment.inbox.get()) is not None:
                result = self._run(invocation)
                if result is None:
                    return
                environment.post(WorkerMessage(environment.env_id, invocation, result))
        except DeadlineStruck:
            return  # it came after the handler, while this thread was already on its way out
        finally:
            if environment.closed and environment.loaded is not None:
                # `ThreadEnvironment.stop` may have come before the import ended.
                environment.call.unload(environment.loaded)
            if self._loop.is_used:
                self._runner.get_loop()
                self._runner.close()

    def _initialise(self) -> bool:
        environment = self.environment
        began_s = environment.now()
        failure = None
        try:
            loaded = environment.interpreter.load(environment.call, fresh=True)
            if environment.durable is not None:
                loaded = environment.durable.connected(loaded)
            if environment.is_streaming:
                streamed = partial(call_streamed, partial(ThreadStream, environment), loaded.callable)
                loaded = loaded._replace(callable=streamed)
            environment.loaded = loaded
        except InitError as error:
            failure = init_failure(error)
        with self._lock:
            self.importing = False
        environment.post(WorkerMessage(environment.env_id, None, failure, environment.now() - began_s))
        return failure is None

    def _run(self, invocation: Invocation) -> Result | None:
        """The result, or None if it was timed out: its caller was answered then."""
        environment = self.environment
        try:
            self.invocation = invocation
            if environment.closed:
                return None  # stopped between its handing over and now: it must not even begin
            current.set(invocation)
            result = self._handle(invocation)
            if environment.interpreter.is_copy:
                exit_child(0)
            with self._lock:
                self.invocation = None
            if self._timed_out:
                _raise_in(self.thread, None)
                return None
        except DeadlineStruck:
            return None
        return result

    def _handle(self, invocation: Invocation) -> Result:
        environment = self.environment
        call = environment.call
        try:
            try:
                document, context = call.arguments(environment.template, invocation, LARGE_BYTES)
            except LargePayload:
                take_all(read_document(invocation.event))
                document, context = call.arguments(environment.template, invocation)
            value = environment.loaded.callable(document, context)  # type: ignore[union-attr]  # it is loaded
            if type(value) is CoroutineType:
                value = self._await(value)
            body, raw = encode_up_to(LARGE_BYTES, value) or take_all(encode_in_pieces(value))
            return Result(_SUCCESS, body, raw, None, None)
        except DeadlineStruck:
            raise
        except Exception as error:  # noqa: BLE001  # whatever the handler raises is its outcome
            return call.failed(error, invocation)
        except BaseException as error:  # noqa: BLE001  # sys.exit and its like end the environment
            if environment.interpreter.is_copy:
                exit_child(exit_status(error))
            return call.exited(error, invocation)

    def _await(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it on an event loop of this thread's own, the same for all invocations."""
        self._awaits = True
        try:
            return self._runner.run(coroutine, context=contextvars.copy_context())
        finally:
            self._awaits = False


class ThreadEnvironment:
    """One environment: a module instance, an inbox, and as many threads as it may run handlers at a time."""

    def __init__(self, executor: ThreadExecutor, env_id: int, *, provisioned: bool) -> None:
        self.env_id = env_id
        self.call = executor.call
        self.interpreter = executor.interpreter
        self.durable = executor.durable
        self.is_streaming = executor.function.streaming is not None
        self.streams: set[ThreadStream] = set()
        """Those that handlers write."""
        self.template = executor.call.make_context_template()
        self.scope = executor.new_scope().of_environment(
            self.template.log_stream_name, provisioned=provisioned
        )
        executor.name_log_stream(env_id, self.template.log_stream_name)
        self.now = executor.now
        self.post = executor.post
        self.loaded: Loaded | None = None
        self.inbox: SimpleQueue[Invocation | None] = SimpleQueue()
        self.in_flight = 0
        self.closed = False
        self.cpu_before_s = cpu_beside_this_thread() or 0.0
        self._name = f"{executor.function.name}-{env_id}"
        self.workers = [ThreadWorker(self, self._name)]

    def run(self, invocation: Invocation) -> None:
        """Queue it; a shared environment starts another thread when all are busy."""
        self.in_flight += 1
        if self.in_flight > len(self.workers):
            try:
                self.workers.append(ThreadWorker(self, self._name))
            except RuntimeError:
                pass  # the machine has no more threads: it waits for one of those that run
        self.inbox.put(invocation)

    def stop(self) -> list[ThreadWorker]:
        """End the threads. Returns those that run a handler, which may not notice."""
        self.closed = True
        for _ in self.workers:
            self.inbox.put(None)
        if self.loaded is not None:
            self.call.unload(self.loaded)
        struck = [worker for worker in self.workers if not worker.importing and worker.time_out()]
        for stream in tuple(self.streams):  # who waits to go on would not notice
            stream.grant(_EVERYTHING)
        return struck


class ThreadExecutor:
    """The environments of one function on threads. See the module's docstring for its limits."""

    def __init__(self, function: Function, facts: Facts, workshop: Workshop) -> None:
        self.function = function
        arn, imported = workshop.account.function_arn(function.name), workshop.imported_module_for
        self.call = HandlerRunner(function, arn, workshop, imported_module_for=imported)
        self._workshop = workshop
        self.interpreter = Interpreter.acquire(workshop)
        service = None if function.durable is None else workshop.durable
        self.durable = None if service is None else DurableCalls(service(), workshop.loop)
        self._own_context = contextvars.Context()
        self.now = workshop.clock.now
        self._facts = facts
        self._loop = workshop.loop
        self._notify = workshop.notify
        self._environments: dict[int, ThreadEnvironment] = {}
        self._messages: deque[WorkerMessage] = deque()
        self._woken = False

    def start(self, env_id: int, /) -> None:
        """Start a thread; the import happens there."""
        self._start(env_id, provisioned=False)

    def provision(self, env_id: int, /) -> None:
        """The same for a provisioned environment, whose variables say so."""
        self._start(env_id, provisioned=True)

    def _start(self, env_id: int, *, provisioned: bool) -> None:
        try:
            self._environments[env_id] = ThreadEnvironment(self, env_id, provisioned=provisioned)
        except RuntimeError as error:  # the machine has no more threads
            failure = InitFailure("Sandbox.Failure", str(error))
            self._loop.call_soon(self._facts.failed, env_id, failure, 0.0)

    def run(self, env_id: int, invocation: Invocation, /) -> None:
        """Queue the invocation for its environment."""
        self._environments[env_id].run(invocation)

    def stop(self, env_id: int, /) -> None:
        """End idle threads; raise an exception in busy ones, whose results are dropped."""
        environment = self._environments.pop(env_id, None)
        if environment is None:
            return
        for worker in environment.stop():
            self._loop.call_later(_PATIENCE_S, self._look_after, worker, worker.invocation)
        first = environment.workers[0]
        if first.importing:  # it is given time to end by itself: it may hold locks of the import system
            self._loop.call_later(_PATIENCE_S, first.time_out)

    def init_use(self, env_id: int, /) -> Use | None:
        """CPU of all threads together: those that import share the interpreter."""
        environment, cpu_s = self._environments.get(env_id), cpu_beside_this_thread()
        return None if environment is None or cpu_s is None else Use(cpu_s - environment.cpu_before_s, 0.0)

    def renew(self) -> None:
        """Have the next threads import the code as it is then."""
        self.call.renew()

    def close(self) -> None:
        """Unload what was imported. Every environment has been stopped."""
        self.call.close()
        self.interpreter.release(self._workshop.commons)

    def new_scope(self) -> Scope:
        """For one environment."""
        workshop = self._workshop
        return scope_of(self.function, workshop.account, workshop.endpoint_url, logs_json=workshop.logs_json)

    def name_log_stream(self, env_id: int, name: str) -> None:
        """Tell the engine what an environment tells its handler to be its log stream."""
        function = self.function
        self._workshop.name_log_stream(function.name, function.version, env_id, name)

    def post(self, message: WorkerMessage) -> None:
        """Called by workers: queue a message for the loop, and wake it unless it was woken already."""
        self._messages.append(message)
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._read, context=self._own_context)
            except RuntimeError:
                return  # the loop is closed

    def _read(self) -> None:
        self._woken = False  # first, so that messages which arrive from here on wake the loop again
        messages = self._messages
        while messages:
            env_id, invocation, said, took_s = messages.popleft()
            environment = self._environments.get(env_id)
            if environment is None:
                continue  # stopped meanwhile
            if isinstance(said, Result) and invocation is not None:
                environment.in_flight -= 1
                if said.ends_environment:
                    self.stop(env_id)
                self._facts.ended(invocation, said)
            elif isinstance(said, StreamMessage):
                self._pass_on(said, invocation)
            elif isinstance(said, InitFailure):
                self.stop(env_id)
                self._facts.failed(env_id, said, took_s)
            else:
                self._facts.ready(env_id, took_s)

    def _pass_on(self, message: StreamMessage, invocation: Invocation | None) -> None:
        writer, data = message
        if writer.granted is not None and data is not None:
            writer.granted.piece(data)
        elif invocation is not None:
            writer.granted = GrantedStream(self._facts, invocation, writer.content_type, writer.grant)

    def _look_after(self, worker: ThreadWorker, invocation: Invocation | None) -> None:
        if invocation is not None and worker.thread.is_alive() and worker.invocation is invocation:
            self._notify(ThreadAbandoned(function=self.function.name, request_id=invocation.event.request_id))


def _raise_in(thread: threading.Thread, exception: type[BaseException] | None) -> None:
    """Have `exception` raised at the thread's next bytecode; None takes back one not yet raised."""
    argument = ctypes.py_object(exception) if exception is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), argument)
