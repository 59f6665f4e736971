"""One environment of the Runtime API: its address and its process, from start to end."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from engine.core.context import log_stream_name
from engine.core.error_bodies import InitFailure, init_error_body
from engine.core.function import Function
from engine.core.init_turns import Use
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.core.payload_limits import MAX_RESPONSE_BYTES
from engine.executors.cpu_use import use_of_process
from engine.executors.host_variables import host_variables
from engine.executors.marshal import exit_reason
from engine.executors.runtime_api import responses
from engine.executors.runtime_api.command import CLIENT, InvalidEntrypoint, command_of, variables_of
from engine.executors.runtime_api.output_lines import OutputLines
from engine.executors.runtime_api.runtime_api import RuntimeApi
from engine.executors.runtime_api.runtime_process import RuntimeProcess, spawn
from engine.executors.runtime_api.worker_processes import WorkerProcesses
from engine.ports import Facts, Workshop
from engine.protocols.http.request_gate import RequestGate, marks_of
from engine.protocols.http.server import HttpLimits, HttpServer, Request
from engine.protocols.http.streams import BodyReceiver

LIMITS: Final = HttpLimits(
    max_body_bytes=MAX_RESPONSE_BYTES,
    max_header_bytes=1_114_112,  # AWS's clients send up to 1 MiB of `...-XRay-Error-Cause`
    body_timeout_s=1_000.0,  # a handler may stream for as long as it may run, 900 s
    idle_timeout_s=1_000.0,  # and its connection waits meanwhile
    remembered_heads=16,  # most name an invocation, and never come again
)
_LOOK_EVERY_S: Final = 0.2
_AFTER_DEADLINE_S: Final = 0.05
_TURNS: Final = 4
"""Of the loop, in which a connection is accepted, and a request on it read."""


class RuntimeEnvironmentEvents(Protocol):
    """The executor, as far as its environments know it."""

    function: Function
    facts: Facts
    workshop: Workshop

    def watch(self, child: RuntimeProcess) -> None:
        """Have the process killed if the engine is killed."""

    def forget(self, child: RuntimeProcess) -> None:
        """The process is about to be reaped."""

    def open(self, environment: RuntimeEnvironment) -> None:
        """Start its process."""

    def discard(self, environment: RuntimeEnvironment) -> None:
        """Close the environment and forget it."""


class RuntimeEnvironment:
    """One environment. Nothing is reported of it any more once it is `closed`."""

    def __init__(self, env_id: int, owner: RuntimeEnvironmentEvents, *, provisioned: bool) -> None:
        self.env_id = env_id
        self._provisioned = provisioned
        self.closed = False
        self._owner = owner
        self._clock = owner.workshop.clock
        self._loop = owner.workshop.loop
        self._shared = owner.function.environment_concurrency > 1
        self._began_s = self._clock.now()
        day = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y/%m/%d")
        function = owner.function
        with_name = None if function.log_group is None else function.name
        self._log_stream = log_stream_name(day, secrets.token_hex(16), function.version, with_name)
        self._is_ready = False
        self._api = RuntimeApi(self, shared=self._shared)
        self._gate = RequestGate("127.0.0.1", remember=LIMITS.remembered_heads)
        self._server = HttpServer(self._handle, self._clock, LIMITS, receive=self._receive)
        self._child: RuntimeProcess | None = None
        self._address = ""
        self._spawning = False
        self._turn = threading.Lock()  # to start the process, or to settle that none is started any more
        self._barred = False
        self._lines = OutputLines()
        self._workers: WorkerProcesses | None = None  # of a shared environment's runtime
        self._looks = False
        self._exit_status: int | None = None  # status of the process, which is not reported yet

    async def open(self) -> None:
        """Listen, unless it does already, and start the process. Errors are reported by `failed`."""
        try:
            if not self._address:
                host, port = await self._server.start("127.0.0.1", 0)
                self._address = f"{host}:{port}"
            if self.closed:
                self._server.close()
                return
            self._spawning = True
            await self._owner.workshop.offload(self._spawn)
        except InvalidEntrypoint as error:
            self.failed(error.failure_of(self._owner.function))
            return
        except OSError as error:  # the machine has no more descriptors, processes, ports or memory
            self.failed(InitFailure("Sandbox.Failure", str(error)))
            return
        except asyncio.CancelledError:  # the loop is being closed
            self.close()
            self.wait_until_reaped()
            raise
        finally:
            self._spawning = False
            if self.closed:
                self._owner.discard(self)  # that it has no process was not known before
        self._watch_process()

    def _handle(self, request: Request) -> None:
        """Pass on requests of the runtime; those of a page in a browser are refused. `Host` may be absent."""
        refusal = None if self._gate.is_plain(request) else self._gate.judge(marks_of(request))
        if refusal is not None and refusal.status == 403:
            responses.refuse(request, 403, "Forbidden", refusal.message)
        else:
            self._api.handle(request)

    def _receive(self, request: Request, resume: Callable[[], None]) -> BodyReceiver | None:
        """What takes the body of a request as it comes; None for one that is to be handled as a whole."""
        if not self._gate.is_plain(request) and self._gate.judge(marks_of(request)) is not None:
            return None
        return self._api.receive(request, resume)

    def run(self, invocation: Invocation) -> None:
        """Give it to the process at its next poll."""
        self._api.submit(invocation)
        if self._shared and not self._looks:
            self._looks = True
            self._loop.call_later(_LOOK_EVERY_S, self._look)

    def init_use(self) -> Use | None:
        """CPU that its process has used; None before there is one."""
        return None if self._child is None else use_of_process(self._child.group)

    def close(self) -> None:
        """Kill the process with all it started, and stop listening. Its output so far is logged."""
        if self.closed:
            return
        child = self._child
        if child is not None:
            child.read_all()
            self._flush()
            child.kill()  # `_exited` reaps it
        self.closed = True
        self._server.close()

    def wait_until_reaped(self) -> None:
        """Wait until the process, which was killed, is reaped. For the end of the engine: it blocks.

        A thread may be starting it at this moment, whose result nobody would take any more.
        """
        with self._turn:
            self._barred = True
        if self._child is not None and not self._child.ended:
            self._owner.forget(self._child)
            self._child.kill()
            self._child.reap(wait=True)

    @property
    def is_reaped(self) -> bool:
        """Whether nothing of it is left."""
        return self.closed and not self._spawning and (self._child is None or self._child.ended)

    # ---------------------------------------------------------------- what the Runtime API reports

    def ready(self) -> None:
        """Report it ready: it has polled for the first time."""
        if self._child is not None:
            self._child.peak_mb()  # remembered: after a crash it cannot be read
        if not self.closed and not self._is_ready:
            self._is_ready = True
            function, workshop = self._owner.function, self._owner.workshop
            workshop.name_log_stream(function.name, function.version, self.env_id, self._log_stream)
            self._owner.facts.ready(self.env_id, self._clock.now() - self._began_s)

    def failed(self, failure: InitFailure, peak_mb: int | None = None) -> None:
        """Report that its init failed, or that its process ended with what ran there; it is gone then."""
        if self.closed:
            return
        self._owner.discard(self)
        unanswered = self._api.unanswered()
        if not self._is_ready:
            self._owner.facts.failed(self.env_id, failure, self._clock.now() - self._began_s)
        elif unanswered:
            status = Status.INIT_ERROR if self._api.initialising else Status.CRASH
            body = init_error_body(failure, unanswered[0].event.request_id)
            result = Result(status, body, max_memory_mb=peak_mb, error_type=failure.error_type)
            self._owner.facts.ended(unanswered[0], result)
        else:
            self._owner.facts.died(self.env_id)

    def flush_output(self) -> None:
        """Read its output: what was written before a response belongs to that invocation."""
        if self._child is not None:
            self._child.read_all()
            if self._api.current() is not None or not self._shared:
                self._flush()
            if self._workers is not None:
                self._workers.see()  # the one that polls is among them

    def ended(self, invocation: Invocation, result: Result) -> None:
        """Report the result, with the peak memory of the process."""
        if not self.closed:
            peak_mb = self._child.peak_mb() if self._child is not None else None
            self._owner.facts.ended(invocation, result._replace(max_memory_mb=peak_mb))
            if self._exit_status is not None and not self._api.streams:
                self._report_exit(self._exit_status)

    def began(self, invocation: Invocation, content_type: str, resume: Callable[[], None]) -> None:
        """Report that a response begins which the runtime streams."""
        if self.closed:
            return
        self._owner.facts.began(invocation, content_type, resume)
        if self._shared:  # its deadline does not end it: it writes to its end then, whoever reads
            late_s = invocation.deadline_s - self._clock.now() + _AFTER_DEADLINE_S
            self._loop.call_later(max(0.0, late_s), resume)

    def piece(self, invocation: Invocation, data: bytes) -> bool:
        """Report a piece of it; whether the next one may come."""
        return self.closed or self._owner.facts.piece(invocation, data)

    def truncated(self, invocation: Invocation, result: Result) -> None:
        """Report the result, after which nothing can run here any more."""
        if not self.closed:
            peak_mb = self._child.peak_mb() if self._child is not None else None
            self._owner.discard(self)
            self._owner.facts.ended(invocation, result._replace(max_memory_mb=peak_mb))

    def arn(self, invocation: Invocation) -> str:
        """The ARN that the caller has used."""
        event = invocation.event
        return self._owner.workshop.account.function_arn(event.function, event.qualifier)

    def deadline_ms(self, invocation: Invocation) -> int:
        """Milliseconds since the Unix epoch: another process shares only the wall clock."""
        return int((self._clock.wall() + invocation.deadline_s - self._clock.now()) * 1000)

    # ---------------------------------------------------------------- the process

    def _spawn(self) -> None:
        """Start the process. Called on another thread, so `_child` is set as soon as it exists."""
        function, workshop = self._owner.function, self._owner.workshop
        command = command_of(function, workshop.python)
        variables = variables_of(
            function,
            workshop.account,
            command,
            runtime_api=self._address,
            log_stream=self._log_stream,
            logs_json=workshop.logs_json,
            endpoint_url=workshop.endpoint_url,
            host=host_variables(),
            provisioned=self._provisioned,
            interpreter=workshop.python,
        )
        with self._turn:
            if self._barred:
                return
            self._child = spawn(command, function.code, variables)
        if self._shared:
            self._workers = WorkerProcesses(self._child.group, lasting=CLIENT in command)

    def _watch_process(self) -> None:
        """Watch the new process, or kill it if the environment was closed meanwhile."""
        child = self._child
        if child is None or child.ended:  # it was settled
            return
        self._owner.watch(child)
        child.watch(self._loop, self._take, self._exited)
        if self.closed:
            child.kill()  # `_exited` reaps it

    def _take(self, data: bytes) -> None:
        self._write(self._lines.take(data))

    def _flush(self) -> None:
        self._write(self._lines.end())

    def _write(self, lines: list[str]) -> None:
        workshop = self._owner.workshop
        for line in lines:
            workshop.output(self._api.writer_of(line), line)

    def _exited(self, status: int) -> None:
        """Reap the process, and start another one or report the end."""
        child = self._child
        if child is None:
            return
        if not self.closed:
            child.read_all()
            self._flush()
        child.kill()  # what else is in its group
        self._owner.forget(child)
        child.reap()
        if self.closed:
            self._owner.discard(self)
        else:
            self._read_on(status, _TURNS if self._api.unanswered() else 0)

    def _read_on(self, status: int, turns: int) -> None:
        """Report an exit when all is read that the runtime had sent before, which its sockets still hold.

        Turns of the loop bring what is there already; a response that is being streamed may come slowly, if
        its reader is slow, and ends with its connection.
        """
        if self.closed:
            return
        if turns:
            self._loop.call_soon(self._read_on, status, turns - 1)
            return
        self._exit_status = status
        if not self._api.streams:
            self._report_exit(status)

    def _report_exit(self, status: int) -> None:
        """Report that the process is gone, or start another one."""
        child, self._exit_status = self._child, None
        if self.closed or child is None:
            return
        if self._is_ready and self._api.restart():
            self._child = self._workers = None
            self._owner.open(self)
        else:
            self.failed(_exit(status), child.peak_mb())

    def _look(self) -> None:
        """Check the processes of a shared runtime: it may lose one, and not report that."""
        self._looks = False
        if self.closed or self._child is None or self._workers is None or not self._api.unanswered():
            return
        if (status := self._workers.death()) is not None:
            self._child.read_all()
            self._flush()
            self.failed(_exit(status), self._child.peak_mb())
            return
        self._looks = True
        self._loop.call_later(_LOOK_EVERY_S, self._look)


def _exit(status: int) -> InitFailure:
    return InitFailure("Runtime.ExitError", exit_reason(status))
