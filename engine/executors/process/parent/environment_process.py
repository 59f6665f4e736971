"""The engine's side of one environment: its process, its socket, its output, and what runs in it."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Final, Protocol

from engine.core.failure import InitFailure, init_error_body
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.executors.marshal import exit_error_body, exit_reason, oom_body
from engine.executors.process.admission import Need
from engine.executors.process.parent.fork_server_client import ForkServerClient, failure_from
from engine.executors.process.parent.framed_socket import FramedSocket
from engine.executors.process.parent.output_pipe import OutputPipe
from engine.executors.process.protocol import (
    ERROR,
    EXITS,
    FAILED,
    IMPORTED,
    NICE,
    OUTPUT,
    PRINTED,
    RAW,
    READY,
    pack_request,
)

_SUCCESS: Final = Status.SUCCESS
_ERROR: Final = Status.ERROR
_LAST_NICE: Final = 10
"""Of what computes for long: after what has just begun, yet not starved by what else the machine does."""

_SILENCE_S: Final = 0.25
"""How long the socket of a dead process may stay open, in hands it has left it to."""

_TOO_LARGE_TO_JOIN: Final = 65_536
_new_tuple: Final = tuple.__new__


class EnvironmentEvents(Protocol):
    """What a room needs of the executor it belongs to."""

    loop: asyncio.AbstractEventLoop
    cap_kb: int
    """Resident memory at which an environment is ended; 0 where the kernel does it."""

    need: Need

    memory_mb: int
    may_renice: bool

    def output(self, invocation: Invocation | None, text: str) -> None:
        """Take what was written."""

    def spawned_process(self, environment: EnvironmentProcess) -> None:
        """Its process is there, and its init begins."""

    def retries_spawn(self, environment: EnvironmentProcess, failure: InitFailure, code: int) -> bool:
        """It could not be forked, for want of something, or of the zygote: whether it is tried again."""

    def initialised(self, environment: EnvironmentProcess) -> None:
        """It finished its init."""

    def ready(self, environment: EnvironmentProcess, init_s: float) -> None:
        """It finished its init, and somebody wants to know."""

    def failed(self, environment: EnvironmentProcess, failure: InitFailure, init_s: float) -> None:
        """Its init failed; it is gone."""

    def imported(self, names: list[str]) -> None:
        """What one of its environments imported from outside the code folder."""

    def ended(self, invocation: Invocation, result: Result) -> None:
        """An invocation ended."""

    def removed(self, environment: EnvironmentProcess) -> None:
        """It is gone, whatever is told next."""

    def died(self, environment: EnvironmentProcess) -> None:
        """It died, and nothing ran in it."""


class EnvironmentProcess:
    """One environment.

    Attributes:
        env_id: The driver's number for it.
        since_s: Engine clock when it was asked for.
        pid: Its process; 0 until that was forked.
        turn: Grows with each invocation it is given.
        is_second: Whether the zygote that was to fork it went away, and another was asked.
        served: Whether the driver was told that it is ready. An environment that takes the place of one
            that was reset is told so at once, and initialises inside its first invocation.
    """

    __slots__ = (
        "_events",
        "_exiting",
        "_is_deprioritised",
        "_loop",
        "_on_exit",
        "_open_line",
        "_output",
        "_pidfd",
        "_running",
        "_shared",
        "_socket",
        "_status",
        "_tree_kb",
        "_unsent",
        "closed",
        "env_id",
        "fork_server",
        "initialised",
        "is_second",
        "pid",
        "served",
        "since_s",
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
        self.closed = False
        self.fork_server: ForkServerClient | None = None
        self._events = events
        self._loop = events.loop
        self._shared = shared
        self._socket: FramedSocket | None = None
        self._is_deprioritised = False
        self._unsent: list[bytes] = []  # until there is a line
        self._running: dict[int, Invocation] = {}
        self._pidfd = -1
        self._output: OutputPipe | None = None
        self._open_line: list[str] = []  # written outside of any invocation, and without its end so far
        self._tree_kb = 0  # the most that was seen of its memory and its children's together
        self._exiting: int | None = None
        self._status: tuple[int, bool] | None = None
        self._on_exit: Callable[[EnvironmentProcess], object] | None = None

    # ---------------------------------------------------------------- commands

    def run(self, invocation: Invocation) -> None:
        """Send it; what cannot be sent yet is sent as soon as the process is there."""
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

    @property
    def running(self) -> bool:
        """Whether invocations run in it, or wait for its init."""
        return bool(self._running)

    def working(self) -> bool:
        """Whether something runs in it, its init included."""
        return bool(self._running) or not self.initialised

    def request_exit(self, on_exit: Callable[[EnvironmentProcess], object]) -> bool:
        """Ask the process to end, if it is idle; whether it was. `on_exit` is called once it is closed.

        That comes by itself when the process has ended; who does not want to wait calls `close`.
        """
        if self.closed or not self.initialised or self._running:
            return False
        self._on_exit = on_exit
        self._signal(signal.SIGTERM)
        return True

    def wait(self, max_s: float) -> None:
        """Block until the process has ended, or for so long."""
        if not self.closed:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            poll.poll(max(0.0, max_s * 1000))

    def close(self) -> None:
        """Kill the process, read what it wrote until then, let go of everything. Nothing more is told."""
        if self.closed:
            return
        self.closed = True
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
        self._unsent.clear()
        if self._on_exit is not None:
            self._on_exit(self)

    def deprioritise(self) -> None:
        """Its invocation runs long: others that want the processor go first, until it ends."""
        if self.pid and not self.closed and not self._shared and self._events.may_renice:
            self._is_deprioritised = self._renice(_LAST_NICE)

    def restore_priority(self) -> None:
        """It has its usual turn again."""
        if self._is_deprioritised:
            self._is_deprioritised = False
            self._renice(NICE)

    def _renice(self, nice: int) -> bool:
        try:
            os.setpriority(os.PRIO_PGRP, self.pid, nice)
        except OSError:
            return False  # it is gone
        return True

    def over_cap(self, resident_kb: int) -> bool:
        """Told what it uses, children included; whether that was too much, and it is gone."""
        if resident_kb > self._tree_kb:
            self._tree_kb = resident_kb
        cap_kb = self._events.cap_kb
        if not cap_kb or resident_kb <= cap_kb or self.closed:
            return False
        self._out_of_memory()
        return True

    def end_for_memory(self) -> None:
        """The machine has no memory left: it ends as one that is over its own limit."""
        if not self.closed:
            self._out_of_memory()

    # ---------------------------------------------------------------- facts, from the nursery

    def spawned(self, pid: int, connection: socket.socket, output: int, pidfd: int) -> None:
        """The process is there."""
        self.pid, self._pidfd = pid, pidfd
        if self.closed:  # stopped meanwhile
            self._kill()
            os.close(pidfd)
            os.close(output)
            connection.close()
            return
        self._output = OutputPipe(self._loop, output, self._take_output)
        self._socket = FramedSocket(self._loop, connection, self._take_reply, self._lost)
        self._events.spawned_process(self)
        for data in self._unsent:
            self._socket.send(data)
        self._unsent.clear()

    def spawn_failed(self, failure: InitFailure, code: int = 0) -> None:
        """There will be none, or not now."""
        if not self.closed and not self._events.retries_spawn(self, failure, code):
            self._fail(failure, 0.0)

    def exited(self, status: int, *, out_of_memory: bool) -> None:
        """The process is gone. What it had sent before may still be on its way."""
        if self.closed:
            return
        if self._on_exit is not None:
            self.close()
            return
        self._status = status, out_of_memory
        if self._socket is None:
            self._handle_exit()
        else:
            self._loop.call_later(_SILENCE_S, self._handle_exit)

    # ---------------------------------------------------------------- what the child says

    def _lost(self) -> None:
        """The process ended, or closed its side, which is the end of it too."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._status is not None:
            self._handle_exit()
        else:
            self._kill()  # one that is ending already keeps its exit status
            if self.fork_server is not None:
                self.fork_server.exit_awaited()

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
            return
        if kind == OUTPUT:
            self._events.output(self._running.get(number), body.decode("utf-8", "replace"))
        elif kind == READY:
            self.initialised = True
            self._end_line()
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

    def _fail(self, failure: InitFailure, init_s: float) -> None:
        """Its init failed: told as such, or to the invocation that it was to happen inside of."""
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
            self._events.died(self)

    def _out_of_memory(self, number: int | None = None) -> None:
        running, memory_mb = self._running, self._events.memory_mb
        if not self.initialised:
            self._fail(InitFailure("Runtime.OutOfMemory", exit_reason(-signal.SIGKILL)), 0.0)
            return
        invocation = running.get(number or -1) or next(iter(running.values()), None)
        self._remove()
        if invocation is None:
            self._events.died(self)
            return
        body = oom_body(invocation.event.request_id)
        result = Result(Status.OOM, body, max_memory_mb=memory_mb, error_type="Runtime.OutOfMemory")
        self._events.ended(invocation, result)

    def _handle_exit(self) -> None:
        """The process is gone and has said all it had to say."""
        if self.closed or self._status is None:
            return
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
            self._events.died(self)
            return
        body = exit_error_body(invocation.event.request_id, status)
        self._events.ended(invocation, Result(Status.CRASH, body, error_type="Runtime.ExitError"))

    def _remove(self) -> None:
        """Gone for the driver too, whatever it is told next."""
        self._events.removed(self)
        self.close()

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            pass  # it is dead, and was waited for

    def _take_output(self, text: str) -> None:
        """What runs alone has written it; else it is nobody's, and goes on line by line."""
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
