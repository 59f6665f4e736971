"""The engine's side of one environment: its process, its socket, its output, and what runs in it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from engine.core.error_bodies import InitFailure, init_error_body
from engine.core.event import Event
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.executors.granted_stream import GrantedStream
from engine.executors.marshal import exit_error_body, exit_reason, oom_body
from engine.executors.process.admission import Need
from engine.executors.process.parent.fork_server_client import ForkServerClient, failure_from
from engine.executors.process.parent.framed_socket import FramedSocket
from engine.executors.process.parent.output_pipe import OutputPipe
from engine.executors.process.parent.process_states import TRANSITIONS, ProcessFact, ProcessState
from engine.executors.process.protocol import (
    ERROR,
    EXITS,
    FAILED,
    IMPORTED,
    NICE,
    OUTPUT,
    PIECE,
    PRINTED,
    RAW,
    READY,
    STREAM,
    pack_grant,
    pack_request,
    repack_request,
)

_SUCCESS: Final = Status.SUCCESS
_ERROR: Final = Status.ERROR
_LAST_NICE: Final = 10
"""Of what computes for long: after what has just begun, yet not starved by what else the machine does."""

_DRAIN_S: Final = 0.25
"""How long the socket of an exited process is read: a descendant that inherited it may keep it open."""

_TOO_LARGE_TO_JOIN: Final = 65_536
_new_tuple: Final = tuple.__new__


class RunnableInvocation(Protocol):
    """An `Invocation`, or what stands for one on a node of a cluster."""

    @property
    def event(self) -> Event:
        """What it is for."""


class EnvironmentEvents(Protocol):
    """The executor, as far as its environments know it. Called on the loop."""

    loop: asyncio.AbstractEventLoop
    cap_kb: int
    """Resident memory in KB at which an environment is ended; 0 where a control group ends it."""

    need: Need
    memory_mb: int
    may_renice: bool
    """Whether priorities can be raised again, so that they may be lowered."""

    def output(self, invocation: Any, text: str) -> None:
        """Log `text`, as output of `invocation` or of none."""

    def spawned_process(self, environment: EnvironmentProcess) -> None:
        """The process is there, and its init begins."""

    def retries_spawn(self, environment: EnvironmentProcess, failure: InitFailure, code: int) -> bool:
        """Ask for another fork after one that failed; False if that is of no use."""

    def named(self, environment: EnvironmentProcess, log_stream: str) -> None:
        """What its handler is told to be its log stream. Called before `initialised`."""

    def initialised(self, environment: EnvironmentProcess) -> None:
        """The init has finished."""

    def ready(self, environment: EnvironmentProcess, init_s: float) -> None:
        """The init has finished, and the driver was not told yet that the environment is ready."""

    def failed(self, environment: EnvironmentProcess, failure: InitFailure, init_s: float) -> None:
        """The init has failed, and the environment is gone."""

    def imported(self, names: list[str]) -> None:
        """An environment has imported these modules from outside the code folder."""

    def ended(self, invocation: Any, result: Result) -> None:
        """The invocation has ended."""

    def open_stream(
        self, invocation: Any, content_type: str, grant: Callable[[int], object]
    ) -> GrantedStream:
        """The invocation's response is streamed; `grant` lets the child send so many bytes more."""

    def removed(self, environment: EnvironmentProcess) -> None:
        """The environment is gone. Called before the fact that says why."""

    def died(self, env_id: int, /) -> None:
        """The environment has died while idle."""


class WorkListener(Protocol):
    """Whoever wants to know when something runs in an environment. Called on the loop."""

    def begins(self, pid: int) -> None:
        """Something is about to run in that process, or runs there already."""

    def rests(self, pid: int) -> None:
        """Nothing runs there any more."""

    def ends(self, pid: int) -> None:
        """The process is about to be ended, or has ended."""


class EnvironmentProcess:
    """One environment. `process_states` has the states, and how it gets from one to the next.

    Attributes:
        state: Where its process is.
        initialised: Whether the child has said that its init is done.
        served: Whether the driver was told that it is ready. Of an environment that replaces one that was
            reset the driver is told so at once, and it initialises inside its first invocation.
        env_id: The driver's number for it.
        since_s: Engine clock when its init began, or when it was asked for if that has not happened yet.
        pid: Its process; 0 until that was forked.
        token: The fork server's number for it.
        turn: Grows with each invocation it is given.
        is_second: Whether the first zygote went away before it forked, and another one was asked.
        is_provisioned: Whether provisioned concurrency asked for it.
    """

    __slots__ = (
        "_events",
        "_exiting",
        "_is_deprioritised",
        "_listener",
        "_loop",
        "_on_exit",
        "_open_line",
        "_output",
        "_pidfd",
        "_running",
        "_shared",
        "_socket",
        "_status",
        "_streams",
        "_tree_kb",
        "_unsent",
        "env_id",
        "fork_server",
        "initialised",
        "is_provisioned",
        "is_second",
        "pid",
        "served",
        "since_s",
        "state",
        "token",
        "turn",
    )

    def __init__(self, events: EnvironmentEvents, env_id: int, since_s: float, *, shared: bool) -> None:
        self.env_id = env_id
        self.since_s = since_s
        self.pid = 0
        self.turn = 0
        self.token = 0
        self.served = False
        self.initialised = False
        self.is_second = False
        self.is_provisioned = False
        self.state = ProcessState.WAITING
        self.fork_server: ForkServerClient | None = None
        self._events = events
        self._loop = events.loop
        self._shared = shared
        self._socket: FramedSocket | None = None
        self._is_deprioritised = False
        self._unsent: list[bytes] = []  # until there is a socket
        self._running: dict[int, RunnableInvocation] = {}
        self._streams: dict[int, GrantedStream] = {}
        self._pidfd = -1
        self._output: OutputPipe | None = None
        self._open_line: list[str] = []  # written outside of any invocation, without a newline so far
        self._tree_kb = 0  # peak of its memory and its children's together, of the invocation that runs
        self._exiting: int | None = None  # number of the invocation that said it ends the process
        self._status: tuple[int, bool] | None = None
        self._on_exit: Callable[[EnvironmentProcess], object] | None = None
        self._listener: WorkListener | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing is reported of it any more."""
        return self.state is ProcessState.CLOSED

    # ---------------------------------------------------------------- commands

    def tell(self, listener: WorkListener) -> None:
        """Tell `listener` from now on when something runs in its process."""
        self._listener = listener
        if self._running:  # it replaces one that was reset, and initialises in its first invocation
            listener.begins(self.pid)

    def run(self, invocation: Invocation) -> None:
        """Send it, or keep it until the process is there."""
        if self._listener is not None:
            self._listener.begins(self.pid)
        self.turn = number = (self.turn + 1) & 0x7FFF_FFFF
        self._running[number] = invocation
        event = invocation.event
        payload = event.payload
        head = pack_request(
            number,
            invocation.deadline_s,
            event.request_id,
            event.qualifier,
            event.trace_id,
            event.client_context,
            len(payload),
        )
        if self._socket is None:
            self._unsent += (head, payload)
        elif len(payload) < _TOO_LARGE_TO_JOIN:
            self._socket.send(head + payload)
        else:
            self._socket.send(head)
            self._socket.send(payload)

    def relay(self, invocation: RunnableInvocation, frame: bytes, deadline_s: float) -> None:
        """`run`, of an invocation whose request came packed, but for its number here and its deadline."""
        if self._listener is not None:
            self._listener.begins(self.pid)
        self.turn = number = (self.turn + 1) & 0x7FFF_FFFF
        self._running[number] = invocation
        request = repack_request(frame, number, deadline_s)
        if self._socket is None:
            self._unsent.append(request)
        else:
            self._socket.send(request)

    @property
    def running(self) -> bool:
        """Whether invocations run in it, or wait for its init."""
        return bool(self._running)

    def working(self) -> bool:
        """Whether invocations or the init run in it."""
        return bool(self._running) or not self.initialised

    def request_exit(self, on_exit: Callable[[EnvironmentProcess], object]) -> bool:
        """Send SIGTERM if it is idle; False if it is not, or has ended already.

        It closes itself when the process has exited, and `on_exit` is called then. A caller that does not
        want to wait any longer calls `close`.
        """
        if not self.initialised or self._running:
            return False
        state = self._after(ProcessFact.EXIT_REQUESTED)
        if state is None:
            return False
        self.state = state
        self._on_exit = on_exit
        _send(self._pidfd, signal.SIGTERM)
        return True

    def close(self) -> None:
        """Kill the process, read its remaining output, close all descriptors. Nothing more is reported."""
        state = self._after(ProcessFact.CLOSED)
        if state is None:
            return
        self.state = state
        if self._listener is not None:
            self._listener.ends(self.pid)
        if self.pid:
            self._kill()
            os.close(self._pidfd)
            if self._output is not None:
                self._output.read_rest()
                self._output.close()
                self._end_line()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._running.clear()
        self._streams.clear()
        self._unsent.clear()
        if self._on_exit is not None:
            self._on_exit(self)

    def deprioritise(self) -> None:
        """Lower its priority: its invocation runs long. `restore_priority` is called when that ends."""
        if self.pid and not self.closed and not self._shared and self._events.may_renice:
            self._is_deprioritised = self._renice(_LAST_NICE)

    def restore_priority(self) -> None:
        """Give it the priority that environments start with."""
        if self._is_deprioritised:
            self._is_deprioritised = False
            self._renice(NICE)

    def _renice(self, nice: int) -> bool:
        try:
            os.setpriority(os.PRIO_PGRP, self.pid, nice)
        except OSError:
            return False  # it has exited
        return True

    def over_cap(self, resident_kb: int) -> bool:
        """Take what it uses in KB, children included; if that is over its cap, end it and return True."""
        if resident_kb > self._tree_kb:
            self._tree_kb = resident_kb
        cap_kb = self._events.cap_kb
        if not cap_kb or resident_kb <= cap_kb or self.closed:
            return False
        self._out_of_memory()
        return True

    def end_for_memory(self) -> None:
        """End it as one that is over its own limit, because the machine has no memory left."""
        if not self.closed:
            self._out_of_memory()

    # ---------------------------------------------------------------- facts, from the fork server

    def spawned(self, pid: int, connection: socket.socket, output: int, pidfd: int) -> None:
        """Take over the new process and its descriptors; kill it if it is not wanted any more."""
        state = self._after(ProcessFact.SPAWNED)
        if state is None:  # stopped meanwhile
            _send(pidfd, signal.SIGKILL)
            os.close(pidfd)
            os.close(output)
            connection.close()
            return
        self.pid, self._pidfd = pid, pidfd
        self.state = state
        self._output = OutputPipe(self._loop, output, self._take_output)
        self._socket = FramedSocket(self._loop, connection, self._take_reply, self._lost)
        self._events.spawned_process(self)
        for data in self._unsent:
            self._socket.send(data)
        self._unsent.clear()

    def spawn_failed(self, failure: InitFailure, code: int = 0) -> None:
        """Have it forked again later, or fail. `code` is the errno of the fork, or 0."""
        if self._after(ProcessFact.SPAWN_FAILED) is None or self._events.retries_spawn(self, failure, code):
            return
        self._fail(failure, 0.0)

    def exited(self, status: int, *, out_of_memory: bool) -> None:
        """Report the end, or wait for the last frames: the process has exited with `status`."""
        state = self._after(ProcessFact.EXITED)
        if state is None:
            return
        if self.state is ProcessState.EXITING:
            self.close()
            return
        self._status = status, out_of_memory
        if state is ProcessState.EXITED:
            self.state = state
            self._loop.call_later(_DRAIN_S, self._drained)
        else:
            self._handle_exit()

    # ---------------------------------------------------------------- what the child says

    def _lost(self) -> None:
        """Report the end, or kill the process: it has exited, or has closed its end of the socket."""
        state = self._after(ProcessFact.DISCONNECTED)
        if state is None:
            return
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if state is ProcessState.CLOSED:
            self._handle_exit()
            return
        self.state = state
        self._kill()  # one that has exited already keeps its exit status
        if self.fork_server is not None:
            self.fork_server.exit_awaited()

    def _drained(self) -> None:
        """Report the end, though somebody else holds the socket open."""
        if self._after(ProcessFact.DRAINED) is not None:
            self._handle_exit()

    def _after(self, fact: ProcessFact) -> ProcessState | None:
        """The state that `fact` leads to; None if it is ignored in the present one."""
        return TRANSITIONS.get((self.state, fact))

    def _take_reply(self, kind: int, number: int, peak_kb: int, init_s: float, body: bytes) -> None:
        if kind & PRINTED:
            kind ^= PRINTED
            if self._output is not None:
                self._output.read_rest()
        if kind <= ERROR:
            if self._is_deprioritised:
                self.restore_priority()
            events = self._events
            if self._tree_kb:  # it was long enough to be looked at
                peak_kb, self._tree_kb = max(peak_kb, self._tree_kb), 0
            if peak_kb > events.need.peak_kb:
                events.need.peak_kb = peak_kb
                if events.cap_kb and peak_kb > events.cap_kb:
                    events.need.peak_kb = events.cap_kb
                    self._out_of_memory(number)
                    return
            invocation = self._running.pop(number, None)
            if invocation is not None:
                status = _ERROR if kind == ERROR else _SUCCESS
                fields = (status, body, kind == RAW, -(-peak_kb // 1024), None)
                events.ended(invocation, _new_tuple(Result, fields))
            if self._listener is not None and not self._running and not self.closed:
                self._listener.rests(self.pid)
            return
        if kind == PIECE:
            stream = self._streams.get(number)
            if stream is not None:
                stream.piece(body)
        elif kind == STREAM:
            self._begin_stream(number, body.decode())
        elif kind == OUTPUT:
            self._events.output(self._running.get(number), body.decode("utf-8", "replace"))
        elif kind == READY:
            self.initialised = True
            self._end_line()
            self._events.named(self, body.decode())
            self._events.initialised(self)
            if not self.served:
                self.served = True
                self._events.ready(self, init_s)
        elif kind == FAILED:
            self._fail(failure_from(body), init_s)
        elif kind == IMPORTED:
            self._events.imported(json.loads(body))
        elif kind == EXITS:
            self._exiting = number

    def _begin_stream(self, number: int, content_type: str) -> None:
        invocation = self._running.get(number)
        if invocation is None:
            return
        for ended in [known for known in self._streams if known not in self._running]:
            del self._streams[ended]
        self._streams[number] = self._events.open_stream(
            invocation, content_type, partial(self._grant, number)
        )

    def _grant(self, number: int, size: int) -> None:
        """Let a stream send so many bytes more."""
        if self._socket is not None:
            self._socket.send(pack_grant(number, size))

    def _fail(self, failure: InitFailure, init_s: float) -> None:
        """Report that the init failed: as such, or as the result of what waits for it."""
        running = list(self._running.values())
        self._remove()
        if not self.served:
            self._events.failed(self, failure, init_s)
            return
        for invocation in running:
            body = init_error_body(failure, invocation.event.request_id)
            result = Result(Status.INIT_ERROR, body, error_type=failure.error_type)
            self._events.ended(invocation, result)
        if not running:
            self._events.died(self.env_id)

    def _out_of_memory(self, number: int | None = None) -> None:
        running, memory_mb = self._running, self._events.memory_mb
        if not self.initialised:
            self._fail(InitFailure("Runtime.OutOfMemory", exit_reason(-signal.SIGKILL)), 0.0)
            return
        invocation = running.get(number or -1) or next(iter(running.values()), None)
        self._remove()
        if invocation is None:
            self._events.died(self.env_id)
            return
        body = oom_body(invocation.event.request_id)
        result = Result(Status.OOM, body, max_memory_mb=memory_mb, error_type="Runtime.OutOfMemory")
        self._events.ended(invocation, result)

    def _handle_exit(self) -> None:
        """Report how the process ended. Its exit status is known, and all its frames have been read."""
        assert self._status is not None  # `exited` comes first
        status, out_of_memory = self._status
        if out_of_memory:
            self._out_of_memory()
            return
        if not self.initialised:
            self._fail(InitFailure("Runtime.ExitError", exit_reason(status)), 0.0)
            return
        running = self._running
        invocation = running.get(self._exiting or -1) or next(iter(running.values()), None)
        self._remove()
        if invocation is None:
            self._events.died(self.env_id)
            return
        body = exit_error_body(invocation.event.request_id, status)
        self._events.ended(invocation, Result(Status.CRASH, body, error_type="Runtime.ExitError"))

    def _remove(self) -> None:
        """Let go of it before the driver is told: the driver may start another one at once."""
        self._events.removed(self)
        self.close()

    def _kill(self) -> None:
        _send(self._pidfd, signal.SIGKILL)

    def _take_output(self, text: str) -> None:
        """Pass output on: to the only invocation that runs, else line by line, as output of none."""
        running = self._running
        if running and not self._shared:
            self._end_line()
            self._events.output(next(iter(running.values())), text)
            return
        lines, newline, rest = text.rpartition("\n")
        if newline:
            self._open_line.append(lines + newline)
            self._end_line()
        if rest:
            self._open_line.append(rest)

    def _end_line(self) -> None:
        if self._open_line:
            pieces, self._open_line = self._open_line, []
            self._events.output(None, "".join(pieces))


def _send(pidfd: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass  # it has exited and was reaped
