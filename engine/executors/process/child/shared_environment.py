"""An environment that serves several invocations at once: tasks for `async def`, threads for `def`.

What handlers print by `sys.stdout` and `logging` is told apart by invocation, as in the engine's own
process, and goes down the socket in frames of its own kind. What goes around them (file descriptors, child
processes) cannot be: it goes down the pipe and belongs to no invocation.
"""

from __future__ import annotations

import contextvars
import os
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from types import CoroutineType
from typing import Any, NoReturn

from engine.core.context_template import ContextTemplate
from engine.core.event import Event
from engine.core.invocation import Invocation
from engine.executors.capture import Capture, current
from engine.executors.handler_loader import gives_coroutine
from engine.executors.marshal import encode
from engine.executors.process.child.environment import ChildEnvironment, ignore_outcome
from engine.executors.process.child.streamed_calls import StreamedCalls
from engine.executors.process.protocol import ERROR, EXITS, OUTPUT, RAW, SUCCESS, FrameReader, RequestFrame


class SharedEnvironment(ChildEnvironment):
    """Runs several invocations at once. Its peak memory is that of the process since its start."""

    def prepare(self) -> None:
        """Separate output by invocation, before anything is written."""
        super().prepare()
        self._lock = threading.Lock()
        self._numbers: dict[Invocation, int] = {}
        self.log.remove()
        log_format: Any = "json" if self.style.json else "text"
        self.capture = Capture(self._written, log_format=log_format, level=self.style.level)
        self.capture.__enter__()

    def serve(self) -> NoReturn:
        """Run the handler for the requests as they come, until the engine closes the socket."""
        template, frames = self.template, self.frames()
        if gives_coroutine(self.handler):
            self._serve_tasks(template, frames)
        else:
            self._serve_threads(template, frames)
        os._exit(0)

    def send(self, kind: int, number: int, body: bytes = b"", init_s: float = 0.0) -> None:
        """Send one frame; threads may call it at the same time."""
        with self._lock:
            super().send(kind, number, body, init_s)

    def running_number(self) -> Callable[[], int]:
        """See `ChildEnvironment`."""
        return lambda: self._numbers[current.get()]  # type: ignore[index]  # set before a handler is called

    def _serve_tasks(self, template: ContextTemplate, frames: FrameReader | StreamedCalls) -> None:
        asyncio = import_module("asyncio")
        tasks: set[Any] = set()

        async def serve() -> None:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()

            def read() -> None:
                try:
                    data = self.connection.recv(65_536)
                except OSError:
                    self.kill_self()
                if not data:
                    ended.set()
                    loop.remove_reader(self.connection)
                for request in frames.parse(data):
                    task = loop.create_task(self._task(template, request))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)

            loop.add_reader(self.connection, read)
            await ended.wait()
            os._exit(0)

        asyncio.run(serve())

    async def _task(self, template: ContextTemplate, request: RequestFrame) -> None:
        invocation = self._invocation(request)
        try:
            value = self._begin(template, invocation, request)
            if type(value) is CoroutineType:
                value = await value
            self._end(invocation, request, value)
        except Exception as error:  # noqa: BLE001  # whatever the handler raises is its outcome
            self._fail(invocation, request, error)
        except BaseException as error:  # noqa: BLE001
            self._exit(request, error)

    def _serve_threads(self, template: ContextTemplate, frames: FrameReader | StreamedCalls) -> None:
        inbox: Any = import_module("queue").SimpleQueue()
        threads: list[threading.Thread] = []
        idle = threading.Semaphore(0)

        def work() -> None:
            while True:
                request = inbox.get()
                contextvars.copy_context().run(self._run, template, request)
                idle.release()

        while True:
            try:
                data = self.connection.recv(65_536)
            except OSError:
                self.kill_self()
            if not data:
                return
            for request in frames.parse(data):
                inbox.put(request)
                if not idle.acquire(blocking=False):
                    thread = threading.Thread(target=work, name=f"handler-{len(threads)}", daemon=True)
                    threads.append(thread)
                    thread.start()

    def _run(self, template: ContextTemplate, request: RequestFrame) -> None:
        invocation = self._invocation(request)
        try:
            value = self._begin(template, invocation, request)
            if type(value) is CoroutineType:
                value = self._run_coroutine(value)
            self._end(invocation, request, value)
        except Exception as error:  # noqa: BLE001  # whatever the handler raises is its outcome
            self._fail(invocation, request, error)
        except BaseException as error:  # noqa: BLE001
            self._exit(request, error)

    def _run_coroutine(self, coroutine: CoroutineType[Any, Any, Any]) -> Any:
        """Run what an `async def` handler returned, on a new loop: several threads may do so at once."""
        return import_module("asyncio").run(coroutine)

    def _invocation(self, request: RequestFrame) -> Invocation:
        """Make the request an `Invocation`, and have output of this context belong to it."""
        event = Event(
            self.spec.function.name,
            request.payload,
            request.request_id,
            0.0,
            client_context=request.client_context,
            qualifier=request.qualifier,
        )
        invocation = Invocation(event, ignore_outcome)
        invocation.deadline_s = request.deadline_s
        current.set(invocation)
        return invocation

    def _begin(self, template: ContextTemplate, invocation: Invocation, request: RequestFrame) -> Any:
        self._numbers[invocation] = request.number
        document, context = self.call.arguments(template, invocation)
        return self.handler(document, context)

    def _end(self, invocation: Invocation, request: RequestFrame, value: Any) -> None:
        body, raw = encode(value)
        self._tell(invocation, RAW if raw else SUCCESS, request, body)

    def _fail(self, invocation: Invocation, request: RequestFrame, error: Exception) -> None:
        self._tell(invocation, ERROR, request, self.call.failed(error, invocation).body)

    def _tell(self, invocation: Invocation, kind: int, request: RequestFrame, body: bytes) -> None:
        self.capture.end(invocation)
        self._numbers.pop(invocation, None)
        self.send(kind | self._printed(), request.number, self.cut(body))

    def _exit(self, request: RequestFrame, error: BaseException) -> NoReturn:
        self.send(EXITS, request.number)
        self.exit_with(error)

    def write(self, invocation: Invocation, text: str) -> None:
        """Write a line of the runtime's own as output of that invocation."""
        self.capture.end(invocation)
        self.capture.take(invocation, text)

    def _written(self, invocation: Invocation, text: str) -> None:
        """Send a line that one of the invocations has written."""
        number = self._numbers.get(invocation)
        if number is not None:
            self.send(OUTPUT, number, text.encode("utf-8", "backslashreplace"))
        else:  # written by a thread that outlived its invocation
            sys.__stdout__.write(text)  # type: ignore[union-attr]  # it is ours, and always there
