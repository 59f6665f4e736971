"""The engine's side of a zygote or a template: has environments forked, and is told when they exit."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from engine.core.error_bodies import InitFailure
from engine.core.python_interpreter import PythonInterpreter
from engine.executors.child_exit import reap
from engine.executors.handler_loader import InitError
from engine.executors.handler_runner import init_failure
from engine.executors.module_instances import CodeFolder
from engine.executors.process.parent.zygote_process import ZygoteProcess
from engine.executors.process.protocol import (
    DOWN,
    EXITED,
    FORGET,
    KILL,
    OUT_OF_MEMORY,
    SPAWN,
    TEMPLATE,
    UP,
    ControlMessage,
    pack_message,
    receive_message,
)

_EXIT_S: Final = 1.0
"""What a server whose socket was closed gets to exit, before SIGKILL."""

_LOOK_S: Final = 1.0
_SILENT_LOOKS: Final = 3
"""Looks at which it may have used no CPU while an answer is due."""

_SILENT_LOOKS_AT_START: Final = 60
"""The same while it imports what is preloaded: that may wait for a network."""

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
"""Until one is started again that has ended at its start twice in a row; twice as long each further time."""

_DESCRIPTORS: Final = 3
"""What comes with a new process: its socket, its output, and its pidfd."""


class SpawnListener(Protocol):
    """Whoever asked for a fork: an environment, or a template."""

    def spawned(self, pid: int, connection: socket.socket, output: int, pidfd: int) -> None:
        """Take over the new process and its descriptors."""

    def spawn_failed(self, failure: InitFailure, code: int = 0) -> None:
        """It could not be forked; `code` is the errno, or 0."""

    def exited(self, status: int, *, out_of_memory: bool) -> None:
        """It has exited with this status, negative for a signal."""


class ForkServerClient:
    """One zygote or template: sends it commands, and passes on what it reports."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        pid: int,
        say: Callable[[str], object],
        kill: Callable[[], object],
    ) -> None:
        """`say` takes a line for whoever runs the engine; `kill` ends the process, whatever it is at."""
        self.pid = pid
        self._say = say
        self._kill = kill
        self._timer: asyncio.TimerHandle | None = None
        self._progress = 0  # its CPU time in clock ticks, at the last look
        self._silent = 0  # consecutive looks at which it had done nothing
        self._loop = loop
        self._socket = connection
        connection.setblocking(False)  # noqa: FBT003  # the standard library's signature
        self._number = connection.fileno()
        self._tokens = 0
        self._spawning: dict[int, SpawnListener] = {}
        self._living: dict[int, SpawnListener] = {}
        self._unsent: deque[bytes] = deque()
        self.up: asyncio.Future[InitFailure | None] = loop.create_future()
        self._awaited = False
        self.is_over = False
        self._ended_by = _lost()
        self.own_tmp = False
        """Whether its environments have a file system of their own on `/tmp`; known once it is up."""
        loop.add_reader(self._number, self._read)

    # ---------------------------------------------------------------- commands

    def spawn(self, listener: SpawnListener, spec: bytes, *, kept: int = 0, template: bool = False) -> int:
        """Fork a process for `listener`; returns its token. `kept`: token of the one whose `/tmp` it gets.

        A process that does not answer is replaced: its listeners are told that it is lost, and ask the next.
        """
        self._tokens += 1
        token = self._tokens
        if self.is_over:
            self._refuse(listener)
            return token
        self._spawning[token] = listener
        self._send(pack_message(TEMPLATE if template else SPAWN, token, kept, spec))
        self.expect_answer()
        return token

    def _refuse(self, listener: SpawnListener) -> None:
        """Tell who asked for a fork of what has ended."""
        self._loop.call_soon(listener.spawn_failed, self._ended_by)

    def forget(self, token: int) -> None:
        """Remove the `/tmp` of that environment once it has exited: none takes it over."""
        if not self.is_over:
            self._send(pack_message(FORGET, token))

    def expect_answer(self) -> None:
        """A report of it is due: check every second that it makes progress, and end it if it makes none."""
        if self._timer is None and not self.is_over:
            self._silent = 0
            self._timer = self._loop.call_later(_LOOK_S, self._look)

    def exit_awaited(self) -> None:
        """A child of it has closed its socket: its exit status is due."""
        self._awaited = True
        self.expect_answer()

    def drain(self) -> None:
        """Read what it sent before it exited."""
        if not self.is_over:
            self._read()

    def close(self) -> None:
        """End it and all it has forked."""
        if not self.is_over:
            self._end(InitFailure("Sandbox.Failure", "the engine stops"))

    # ---------------------------------------------------------------- whether it still answers

    def _owes_answer(self) -> bool:
        return bool(self._spawning or self._awaited)

    def _look(self) -> None:
        """End it if it is stopped, or hangs: it neither answers nor runs."""
        self._timer = None
        if self.is_over or not self._owes_answer():
            return
        state, progress = _activity(self.pid)
        idle = progress == self._progress and state not in ("R", "D")
        self._progress = progress
        self._silent = self._silent + 1 if idle else 0
        if self._silent >= (_SILENT_LOOKS if self.up.done() else _SILENT_LOOKS_AT_START):
            self._say(
                f"the process that forks environments ({self.pid}) has not answered for "
                f"{self._silent * _LOOK_S:.0f} s: it is replaced, and what runs in its environments ends"
            )
            self._kill()
            self._end(_lost())
            return
        self._timer = self._loop.call_later(_LOOK_S, self._look)

    # ---------------------------------------------------------------- the line

    def _send(self, message: bytes) -> None:
        if not self._unsent:
            try:
                self._socket.send(message)
            except BlockingIOError:
                self._loop.add_writer(self._number, self._write)
            except OSError:
                return  # it has exited: `_read` finds out
            else:
                return
        self._unsent.append(message)

    def _write(self) -> None:
        while self._unsent:
            try:
                self._socket.send(self._unsent[0])
            except BlockingIOError:
                return
            except OSError:
                break
            self._unsent.popleft()
        self._unsent.clear()
        self._loop.remove_writer(self._number)

    def _read(self) -> None:
        for _ in range(64):  # then the loop gets its turn
            try:
                message = receive_message(self._socket)
            except BlockingIOError:
                return
            except ConnectionResetError:
                continue  # it exited with a message of ours unread: told once, before what it sent
            except OSError:
                message = None
            if message is None:
                self._end(_lost())
                return
            self._take(message)
            if self.is_over:
                return

    def _take(self, message: ControlMessage) -> None:
        self._awaited = False
        match message.kind:
            case kind if kind in (SPAWN, TEMPLATE):
                self._spawned(message)
            case kind if kind in (EXITED, OUT_OF_MEMORY):
                gone = self._living.pop(message.token, None)
                if gone is not None:
                    gone.exited(message.value, out_of_memory=message.kind == OUT_OF_MEMORY)
            case kind if kind == UP:
                self.own_tmp = bool(message.value)
                self._up(None)
            case kind if kind == DOWN and message.token:
                listener = self._spawning.pop(message.token)
                failure = InitFailure("Sandbox.Failure", message.body.decode("utf-8", "replace"))
                listener.spawn_failed(failure, message.value)
            case _:
                self._end(self._why(message.body))

    def _spawned(self, message: ControlMessage) -> None:
        listener = self._spawning.pop(message.token)
        if len(message.descriptors) < _DESCRIPTORS:  # the kernel drops those over the limit of this process
            for descriptor in message.descriptors:
                os.close(descriptor)
            self._send(pack_message(KILL, message.token))
            listener.spawn_failed(InitFailure("Sandbox.Failure", os.strerror(errno.EMFILE)), errno.EMFILE)
            return
        self._living[message.token] = listener
        connection, output, pidfd = message.descriptors
        listener.spawned(message.value, socket.socket(fileno=connection), output, pidfd)

    def _why(self, body: bytes) -> InitFailure:
        """Why it did not come up."""
        return InitFailure("Runtime.ImportModuleError", body.decode("utf-8", "replace"))

    def _up(self, failure: InitFailure | None) -> None:
        if not self.up.done():
            self.up.set_result(failure)

    def _end(self, failure: InitFailure) -> None:
        self.is_over = True
        self._ended_by = failure
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(self._number)
        if self._unsent:
            self._unsent.clear()
            self._loop.remove_writer(self._number)
        self._socket.close()
        self._up(failure)
        spawn_failed, self._spawning = self._spawning, {}
        living, self._living = self._living, {}
        for listener in spawn_failed.values():
            listener.spawn_failed(failure)
        for listener in living.values():  # they are killed with their parent
            listener.exited(-signal.SIGKILL, out_of_memory=False)


class ZygoteClient(ForkServerClient):
    """A fresh interpreter that has imported `preload`.

    Attributes:
        failures: How often in a row one like it has ended before it was up, this one included.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        now_s: Callable[[], float],
        zygote: ZygoteProcess,
        interpreter: PythonInterpreter | None,
        preload: Sequence[str],
        tmp_base: str,
        say: Callable[[str], object],
        failures: int,
    ) -> None:
        """`interpreter`: None for the engine's own. `say` takes a line for whoever runs the engine.

        `failures`: of the one in whose place it is started.
        """
        self._process = zygote.process
        super().__init__(loop, zygote.connection, zygote.process.pid, say, zygote.process.kill)
        self.failures = failures
        self._now_s = now_s
        self._unanswered: list[SpawnListener] = []  # until it is reaped
        self._pause_s = 0.0
        self._again_s = 0.0  # engine clock from which on another one may be started in its place
        self._reaping: asyncio.Task[None] | None = None
        path = _path() if interpreter is None else None
        setup = {"path": path, "preload": list(preload), "tmp_base": tmp_base}
        self._send(pack_message(0, 0, 0, json.dumps(setup).encode()))

    @property
    def is_reaped(self) -> bool:
        """Whether its process, and all that it had forked, have ended."""
        return self._reaping is not None and self._reaping.done()

    @property
    def may_be_replaced(self) -> bool:
        """Whether it has ended, and another one may be started. Until then it says why nothing is forked."""
        return self.is_over and self._now_s() >= self._again_s

    async def wait_closed(self) -> None:
        """Return when that is so. To be called after `close`."""
        if self._reaping is not None:
            await self._reaping

    def close(self) -> None:
        """See `ForkServerClient`. It has not failed if it was not up yet."""
        if not self.up.done():
            self._kill()  # it imports what is preloaded, and would see our closed side only after that
            self._up(InitFailure("Sandbox.Failure", "the engine stops"))
        super().close()

    def _up(self, failure: InitFailure | None) -> None:
        super()._up(failure)
        if failure is None:
            self.failures = 0

    def _end(self, failure: InitFailure) -> None:
        if not self.up.done():
            self._kill()
            self.failures += 1
            if self.failures > 1:  # the first time it may have been by chance
                self._pause_s = min(_FIRST_PAUSE_S * 2 ** (self.failures - 2), _LONGEST_PAUSE_S)
                self._again_s = self._now_s() + self._pause_s
            self._unanswered += self._spawning.values()
            self._spawning.clear()
        super()._end(failure)
        self._reaping = self._loop.create_task(self._reap(failure))

    async def _reap(self, failure: InitFailure) -> None:
        """Reap it. If it has failed once more, say why: nothing else is said until it is started again."""
        # It exits as soon as it sees the socket closed, and has killed all that it forked.
        await reap(self._process, _EXIT_S)
        if self._pause_s:
            why = _exit_text(self._process.returncode) if is_lost(failure) else failure.error_message
            text = f"the process that forks environments has ended at its start {self.failures} times: {why}"
            if is_lost(failure):
                self._ended_by = InitFailure("Sandbox.Failure", text)
            self._say(f"{text}; no environment is forked for {self._pause_s:g} s, then it is started again")
        for listener in self._unanswered:
            super()._refuse(listener)

    def _refuse(self, listener: SpawnListener) -> None:
        if self.is_reaped:
            super()._refuse(listener)
        else:
            self._unanswered.append(listener)  # it is not known yet what it has ended by


class TemplateClient(ForkServerClient):
    """A process with the handler initialised; an environment is a fork of it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        pid: int,
        say: Callable[[str], object],
        kill: Callable[[], object],
    ) -> None:
        super().__init__(loop, connection, pid, say, kill)
        self._retired = False
        self.expect_answer()  # that it is up

    def retire(self) -> None:
        """Have it end with the last of its environments: it is outdated."""
        self._retired = True
        self._end_if_done()

    def _owes_answer(self) -> bool:
        return super()._owes_answer() or not self.up.done()

    def _take(self, message: ControlMessage) -> None:
        super()._take(message)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._retired and not self._spawning and not self._living:
            self.close()

    def _why(self, body: bytes) -> InitFailure:
        return failure_from(body) if body else _lost()


def failure_from(body: bytes) -> InitFailure:
    """The failure of an init, from the JSON that a child sends."""
    error_type, message, stack, exit_status = json.loads(body)
    return init_failure(InitError(error_type, message, tuple(stack), exit_status))


def is_lost(failure: InitFailure) -> bool:
    """Whether it says only that the fork server has exited."""
    return failure == _lost()


def _lost() -> InitFailure:
    return InitFailure("Sandbox.Failure", "the process that forks environments is gone")


def _exit_text(status: int) -> str:
    """An exit status as `subprocess` gives it, in words."""
    return f"exit status {status}" if status >= 0 else f"signal {-status}"


def _activity(pid: int) -> tuple[str, int]:
    """State and CPU time in clock ticks, as in proc(5); `X` and 0 of one that has exited."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "X", 0
    return fields[0], int(fields[11]) + int(fields[12])


def _path() -> list[str]:
    """`sys.path` of this process, without code folders of in-process executors and that of its own script."""
    here, scripts = os.getcwd(), sysconfig.get_path("scripts")
    return [entry or here for entry in sys.path if not isinstance(entry, CodeFolder) and entry != scripts]
