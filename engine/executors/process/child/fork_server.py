"""The main loop of zygotes and SnapStart templates: forks environments on command, and reaps them.

Commands come down one socket. When it is closed, however the engine ended, all forked processes and
everything those have started are killed. A template is a fork of a zygote with the handler initialised.
"""

from __future__ import annotations

import _socket
import gc
import os
import select
import signal
import socket
from typing import Final, NoReturn

from engine.executors.process.child import cgroup
from engine.executors.process.child.bootstrap import ChildBootstrap
from engine.executors.process.child.environment import ChildEnvironment
from engine.executors.process.child.fork_hooks import ForkHooks
from engine.executors.process.child.handler_log import HandlerLog
from engine.executors.process.child.private_modules import PrivateModules
from engine.executors.process.child.process_setup import freeze_memory, set_variables
from engine.executors.process.child.shared_environment import SharedEnvironment
from engine.executors.process.child.tmp_dir import (
    TMP,
    TmpDirs,
    layers_of,
    tmp_dirs_of_template,
    visible_below,
)
from engine.executors.process.linux import children
from engine.executors.process.protocol import (
    DOWN,
    EXITED,
    FORGET,
    KILL,
    OUT_OF_MEMORY,
    TEMPLATE,
    UP,
    ControlMessage,
    pack_message,
    receive_message,
    send_with_descriptors,
)
from engine.executors.process.spec import EnvironmentSpec

_AF_UNIX: Final = int(socket.AF_UNIX)
_STREAM: Final = int(socket.SOCK_STREAM)
_SEQPACKET: Final = int(socket.SOCK_SEQPACKET)

_MAX_KNOWN: Final = 1000
"""Functions whose environments are remembered."""


class ForkServer:
    """Forks environments and reaps them. `run` returns when the engine has closed the socket."""

    def __init__(
        self,
        connection: socket.socket,
        tmp_dirs: TmpDirs,
        log: HandlerLog,
        private: PrivateModules,
        hooks: ForkHooks,
        template: ChildEnvironment | None = None,
        *,
        initialised: bool = False,
    ) -> None:
        """`template`: the environment that all forks are of; `initialised`: with its handler."""
        self._connection = connection
        self._pid = os.getpid()
        self._tmp_dirs = tmp_dirs
        self._log = log
        self._private = private
        self._hooks = hooks
        self._template = template
        self._initialised = initialised
        self._environments: dict[bytes, ChildEnvironment] = {}  # by their spec
        self._alive: set[int] = set()  # tokens
        self._tokens: dict[int, int] = {}  # process id to token
        self._forgotten: set[int] = set()  # tokens to let go of as soon as they are dead
        self._cgroups: dict[int, tuple[str, ...]] = {}  # folders of control groups, by process id
        self._shown: dict[str, tuple[list[str], str | None]] = {}
        self._environment_set_for: ChildEnvironment | None = template
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noticed)

    def run(self) -> None:
        """Obey commands until the socket is closed."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._send(UP, 0, self._tmp_dirs.mounted)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._wake:
                    os.read(self._wake, 4096)
                    self._reap()
                    continue
                try:
                    message = receive_message(self._connection)
                except OSError:
                    message = None
                if message is None:
                    self.end()
                    return
                self._handle(message)

    def end(self) -> None:
        """Kill all children and their descendants, and wait for all of them."""
        killed: set[int] = set()
        while True:
            found = children()
            for pid in set(self._tokens if found is None else found) - killed:
                killed.add(pid)
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            try:
                for _ in range(max(1, len(self._tokens))):  # their orphans are children of this process then
                    pid, _status = os.waitpid(-1, 0)
                    killed.discard(pid)
                    self._handle_exit(pid)
            except ChildProcessError:
                break
        for token in list(self._forgotten):
            self._tmp_dirs.forget(token)

    def _handle(self, message: ControlMessage) -> None:
        kind, token, _, _, _ = message
        if kind == FORGET:
            if token in self._alive:
                self._forgotten.add(token)
            else:
                self._tmp_dirs.forget(token)
            return
        if kind == KILL:
            for pid in [pid for pid, of in self._tokens.items() if of == token]:
                os.kill(pid, signal.SIGKILL)
            return
        try:
            self._fork(message)
        except OSError as error:
            self._tmp_dirs.forget(token)
            self._send(DOWN, token, error.errno or 0, str(error).encode())

    def _fork(self, message: ControlMessage) -> None:
        """Fork, and send the descriptors to the engine. Raises OSError, with nothing left open."""
        kind, token, _, _, _ = message
        # `socket.socketpair` looks up what a handler may replace.
        ours, theirs = _socket.socketpair(_AF_UNIX, _SEQPACKET if kind == TEMPLATE else _STREAM)
        try:
            output, write_end = os.pipe2(os.O_CLOEXEC)
            try:
                pid, pidfd = self._fork_with(message, ours, theirs, output, write_end)
                try:
                    self._hand_over(kind, token, pid, (ours.fileno(), output, pidfd))
                finally:
                    os.close(pidfd)
            finally:
                os.close(output)
                os.close(write_end)
        finally:
            ours.close()
            theirs.close()

    def _hand_over(self, kind: int, token: int, pid: int, descriptors: tuple[int, int, int]) -> None:
        """Send the engine what it needs of the new process."""
        self._tokens[pid] = token
        self._alive.add(token)
        try:
            send_with_descriptors(self._connection, pack_message(kind, token, pid), descriptors)
        except OSError:
            pass  # the engine is gone: the next read says so

    def _fork_with(
        self,
        message: ControlMessage,
        ours: _socket.socket,
        theirs: _socket.socket,
        output: int,
        write_end: int,
    ) -> tuple[int, int]:
        """Fork; returns the process id and a pidfd. Raises OSError."""
        kind, token, kept, text, _ = message
        environment = self._template or self._environment(text)
        # All that can be done before the fork is: a child pays for each page that it is the first to change.
        visible, layers = self._shown_to(environment)
        self._tmp_dirs.enter(token, environment.ephemeral_storage_mb, kept, visible, layers)
        try:
            variables = self._tmp_dirs.variables(token)
            bootstrap = ChildBootstrap(environment, theirs.fileno(), write_end, self._pid, variables)
            if not self._initialised:
                self._set_environment(environment)
            pid = os.fork()
            if pid == 0:
                try:
                    theirs.detach()
                    self._close_in_child(ours, output)
                    if kind == TEMPLATE:
                        self._run_template(bootstrap)
                    self._hooks.put_back()
                    if self._initialised:
                        bootstrap.from_template()
                    else:
                        bootstrap.as_environment()
                except BaseException as error:  # noqa: BLE001  # raised by a signal's handler, or a bug of ours
                    environment.exit_with(error)
                finally:  # the child must never return into the loop of the fork server
                    os._exit(1)
        finally:
            self._tmp_dirs.exit()
        if environment.cgroups:
            self._cgroups[pid] = tuple(environment.cgroups)
        try:
            return pid, os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            raise

    def _run_template(self, bootstrap: ChildBootstrap) -> NoReturn:
        """In the child: fork environments from this process, which has what all of them start with."""
        environment = bootstrap.environment
        if environment.spec.imports is None:
            self._hooks.put_back()
        control = bootstrap.as_template()
        base = os.path.dirname(bootstrap.variables.get("TMPDIR", ""))
        tmp_dirs = tmp_dirs_of_template(base, mounted=self._tmp_dirs.mounted)
        initialised = not environment.is_prepared
        fillers = freeze_memory()
        ForkServer(
            control, tmp_dirs, self._log, self._private, self._hooks, environment, initialised=initialised
        ).run()
        del fillers
        os._exit(0)

    def _set_environment(self, environment: ChildEnvironment) -> None:
        """Set what the next child of this function inherits: variables, and what it makes before a fork."""
        if self._environment_set_for is not environment:
            set_variables(environment.spec.variables)
            self._environment_set_for = environment
        environment.before_fork()

    def _shown_to(self, environment: ChildEnvironment) -> tuple[list[str], str | None]:
        """Folders below `/tmp` that stay visible when its own is mounted over them; where its layers lie."""
        code = environment.code
        shown = self._shown.get(code)
        if shown is None:
            visible = visible_below(TMP, code) if self._tmp_dirs.mounted else []
            shown = self._shown[code] = visible, layers_of(code)
        return shown

    def _environment(self, text: bytes) -> ChildEnvironment:
        """What all environments of the function start with; made once for each spec."""
        known = self._environments.get(text)
        if known is None:
            spec = EnvironmentSpec.decode(text)
            shared = spec.function.environment_concurrency > 1
            kind = SharedEnvironment if shared else ChildEnvironment
            known = kind(spec, self._log, self._private, own_tmp=self._tmp_dirs.mounted)
            if len(self._environments) >= _MAX_KNOWN:
                self._environments.clear()
            self._environments[text] = known
            gc.freeze()  # without a search for garbage before: this is part of a function's first start
        return known

    def _close_in_child(self, ours: _socket.socket, output: int) -> None:
        """In the child: close the descriptors of the fork server."""
        ours.close()
        for descriptor in (self._connection.detach(), output, self._wake, self._waker):
            os.close(descriptor)
        self._tmp_dirs.close_in_child()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            token = self._handle_exit(pid)
            if token is not None:
                out_of_memory = cgroup.remove(self._cgroups.pop(pid, ()), pid)
                kind = OUT_OF_MEMORY if out_of_memory else EXITED
                self._send(kind, token, os.waitstatus_to_exitcode(status))
        for pid in children() or ():  # orphans of an environment that exited
            if pid not in self._tokens:
                os.kill(pid, signal.SIGKILL)

    def _handle_exit(self, pid: int) -> int | None:
        token = self._tokens.pop(pid, None)
        if token is not None:
            self._alive.discard(token)
        if token in self._forgotten:
            self._forgotten.discard(token)
            self._tmp_dirs.forget(token)
        return token

    def _send(self, kind: int, token: int = 0, value: int = 0, body: bytes = b"") -> None:
        try:
            self._connection.sendall(pack_message(kind, token, value, body))
        except OSError:
            pass  # the engine is gone: the next read says so


def _noticed(_number: int, _frame: object) -> None:
    """Do nothing: Python writes to the wakeup descriptor, which ends the poll."""
