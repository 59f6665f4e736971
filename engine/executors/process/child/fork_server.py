"""What zygotes and SnapStart templates do: fork environments on command, and look after them until they end.

They answer to one socket: when that is closed, by an engine that ended in whatever way, they kill all they
have forked and everything those have started. A template is a fork of a zygote with the handler initialised.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, NoReturn

from engine.executors.handler_loader import InitError
from engine.executors.process.child.environment import ChildEnvironment, failure_text
from engine.executors.process.child.handler_log import HandlerLog
from engine.executors.process.child.preloading import import_all, reseed
from engine.executors.process.child.private_modules import PrivateModules
from engine.executors.process.child.process_setup import (
    add_variables,
    freeze_memory,
    join_cgroup,
    redirect,
    set_signal,
    set_up_process,
    set_variables,
)
from engine.executors.process.child.shared_environment import SharedEnvironment
from engine.executors.process.child.snapshot_hooks import (
    AFTER_RESTORE_STATUS,
    BEFORE_SNAPSHOT_STATUS,
    run_after_restore,
    run_before_snapshot,
)
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
    NOT_PRELOADABLE,
    OUT_OF_MEMORY,
    TEMPLATE,
    UP,
    ControlMessage,
    pack_message,
    receive_message,
)
from engine.executors.process.spec import EnvironmentSpec

_MAX_KNOWN: Final = 1000
_now: Final = time.monotonic  # noqa: TID251  # another process: there is no Clock to be passed in


class ForkServer:
    """Forks environments and looks after them. `run` returns when the engine has closed the line."""

    def __init__(
        self,
        connection: socket.socket,
        tmp_dirs: TmpDirs,
        log: HandlerLog,
        private: PrivateModules,
        template: ChildEnvironment | None = None,
        *,
        initialised: bool = False,
    ) -> None:
        """`template`: what all forks are of; `initialised`, with the handler."""
        self._connection = connection
        self._tmp_dirs = tmp_dirs
        self._log = log
        self._private = private
        self._template = template
        self._initialised = initialised
        self._environments: dict[bytes, ChildEnvironment] = {}  # by their spec
        self._alive: set[int] = set()  # tokens
        self._tokens: dict[int, int] = {}  # process id to token
        self._forgotten: set[int] = set()  # tokens to let go of as soon as they are dead
        self._cgroups: dict[int, str] = {}
        self._visible: dict[str, list[str]] = {}
        self._environment_set_for: ChildEnvironment | None = template
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noticed)

    def run(self) -> None:
        """Serve until the line is closed."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._send(UP, 0, self._tmp_dirs.mounted)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._connection.fileno() in ready:
                try:
                    message = receive_message(self._connection)
                except OSError:
                    message = None
                if message is None:
                    self.end()
                    return
                self._handle(message)

    def end(self) -> None:
        """Kill every child and what they leave behind, and wait for all of them."""
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
                for _ in range(max(1, len(self._tokens))):  # then what they left behind came to us
                    pid, _status = os.waitpid(-1, 0)
                    killed.discard(pid)
                    self._handle_exit(pid)
            except ChildProcessError:
                break
        for token in list(self._forgotten):
            self._tmp_dirs.forget(token)

    def _handle(self, message: ControlMessage) -> None:
        token = message.token
        if message.kind == FORGET:
            if token in self._alive:
                self._forgotten.add(token)
            else:
                self._tmp_dirs.forget(token)
            return
        if message.kind == KILL:
            for pid in [pid for pid, of in self._tokens.items() if of == token]:
                os.kill(pid, signal.SIGKILL)
            return
        try:
            self._fork(message)
        except OSError as error:
            self._tmp_dirs.forget(token)
            self._send(DOWN, token, error.errno or 0, str(error).encode())

    def _fork(self, message: ControlMessage) -> None:
        """Raises OSError when the system is short of something; then nothing is left of it."""
        with ExitStack() as ends:
            kind = socket.SOCK_SEQPACKET if message.kind == TEMPLATE else socket.SOCK_STREAM
            ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
            ends.callback(ours.close)
            ends.callback(theirs.close)
            output, write_end = os.pipe2(os.O_CLOEXEC)
            ends.callback(os.close, output)
            ends.callback(os.close, write_end)
            pid, pidfd = self._fork_with(message, ours, theirs, output, write_end)
            ends.callback(os.close, pidfd)
            self._tokens[pid] = token = message.token
            self._alive.add(token)
            try:
                descriptors = [ours.fileno(), output, pidfd]
                socket.send_fds(self._connection, [pack_message(message.kind, token, pid)], descriptors)
            except OSError:
                pass  # the engine is gone: the next read says so

    def _fork_with(
        self, message: ControlMessage, ours: socket.socket, theirs: socket.socket, output: int, write_end: int
    ) -> tuple[int, int]:
        """The new process, and a hold on it."""
        token, environment = message.token, self._template or self._environment(message.body)
        spec = environment.spec
        # All that can be done before the fork is: a child pays for each page that it is the first to change.
        visible = self._visible_to(environment)
        layers = layers_of(spec.function.code)
        self._tmp_dirs.enter(token, spec.function.ephemeral_storage_mb, message.value, visible, layers)
        try:
            bootstrap = ChildBootstrap(
                environment=environment,
                token=token,
                connection=theirs.fileno(),
                output=write_end,
                parent=os.getpid(),
                variables=self._tmp_dirs.variables(token),
                own_tmp=self._tmp_dirs.mounted,
            )
            if not self._initialised:
                self._set_environment(environment)
            pid = os.fork()
            if pid == 0:
                try:
                    theirs.detach()
                    self._close_in_child(ours, output)
                    if message.kind == TEMPLATE:
                        bootstrap.as_template()
                    elif self._initialised:
                        bootstrap.from_template()
                    else:
                        bootstrap.as_environment()
                except BaseException as error:  # noqa: BLE001  # raised by a signal's handler, or a bug of ours
                    environment.exit_with(error)
                finally:  # nothing of the zygote's own code may ever run in a child
                    os._exit(1)
        finally:
            self._tmp_dirs.exit()
        if spec.cgroup is not None:
            self._cgroups[token] = f"{spec.cgroup}/{token}"
        try:
            return pid, os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            raise

    def _set_environment(self, environment: ChildEnvironment) -> None:
        """Look as the next child of this function is to look."""
        if self._environment_set_for is not environment:
            set_variables(environment.spec.variables)
            self._environment_set_for = environment
        environment.make_context_template()

    def _visible_to(self, environment: ChildEnvironment) -> list[str]:
        """Folders below `/tmp` that it sees all the same."""
        if not self._tmp_dirs.mounted:
            return []
        code = environment.spec.function.code
        visible = self._visible.get(code)
        if visible is None:
            visible = self._visible[code] = visible_below(TMP, code)
        return visible

    def _environment(self, text: bytes) -> ChildEnvironment:
        """What all environments of one function start with."""
        known = self._environments.get(text)
        if known is None:
            spec = EnvironmentSpec.decode(text)
            shared = spec.function.environment_concurrency > 1
            kind = SharedEnvironment if shared else ChildEnvironment
            known = kind(spec, self._log, self._private, own_tmp=self._tmp_dirs.mounted)
            if len(self._environments) >= _MAX_KNOWN:
                self._environments.clear()
            self._environments[text] = known
            freeze_memory()
        return known

    def _close_in_child(self, ours: socket.socket, output: int) -> None:
        """In the child: close what is the zygote's."""
        self._connection.close()
        ours.close()
        for descriptor in (output, self._wake, self._waker):
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
                out_of_memory = self._remove_cgroup(token)
                kind = OUT_OF_MEMORY if out_of_memory else EXITED
                self._send(kind, token, os.waitstatus_to_exitcode(status))
        for pid in children() or ():  # what an environment started and left behind came to us when it died
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

    def _remove_cgroup(self, token: int) -> bool:
        """Remove its control group. Whether the kernel killed something in it for its memory."""
        group = self._cgroups.pop(token, None)
        if group is None:
            return False
        killed = False
        try:
            with open(f"{group}/memory.events", encoding="ascii") as events:
                killed = any(text.startswith("oom_kill ") and int(text.split()[1]) for text in events)
            os.rmdir(group)
        except OSError:
            pass  # something it started is still about to die: the engine removes the rest in the end
        return killed

    def _send(self, kind: int, token: int = 0, value: int = 0, body: bytes = b"") -> None:
        try:
            self._connection.sendall(pack_message(kind, token, value, body))
        except OSError:
            pass  # the engine is gone: the next read says so


@dataclass(slots=True, kw_only=True)
class ChildBootstrap:
    """A new process: what it was given. Its methods are its life, and return only by mistake."""

    environment: ChildEnvironment
    token: int
    connection: int
    output: int
    parent: int
    variables: dict[str, str]
    own_tmp: bool

    def as_environment(self) -> NoReturn:
        """Initialise the handler, and serve."""
        began_s = self._set_up()
        set_signal(signal.SIGINT, signal.default_int_handler)
        environment = self.environment
        if environment.is_prepared:
            os.chdir(environment.spec.function.code)
        else:
            environment.prepare()
        reseed()
        environment.attach(self.connection)
        try:
            environment.initialise()
        except InitError as error:
            environment.failed(error, _now() - began_s)
        environment.ready(_now() - began_s)
        environment.serve()

    def as_template(self) -> NoReturn:
        """Initialise the handler, run the hooks that belong before the snapshot, then be forked from.

        Or import what belongs to a zygote of the function's own, and be forked from.
        """
        environment = self.environment
        imports = environment.spec.imports
        self._set_up(serves=imports is None)
        set_signal(signal.SIGINT, signal.default_int_handler)
        control = socket.socket(fileno=self.connection)
        status = 1
        environment.prepare()
        if imports is not None:
            refusal = import_all(imports, environment.spec.function.no_preload)
            if refusal is not None:
                error = InitError(NOT_PRELOADABLE, json.dumps(refusal))
                control.sendall(pack_message(DOWN, 0, 0, failure_text(error)))
                os._exit(status)
            environment.is_prepared = True
            self._be_forked_from(control)
        try:
            environment.initialise()
            status = BEFORE_SNAPSHOT_STATUS
            run_before_snapshot()
        except InitError as error:
            environment.tell(error)
            control.sendall(pack_message(DOWN, 0, 0, failure_text(error)))
            os._exit(status)
        self._be_forked_from(control)

    def _be_forked_from(self, control: socket.socket) -> NoReturn:
        environment = self.environment
        folder = os.path.dirname(self.variables.get("TMPDIR", ""))
        tmp_dirs = tmp_dirs_of_template(folder, mounted=self.own_tmp)
        freeze_memory()
        initialised = not environment.is_prepared
        ForkServer(
            control, tmp_dirs, environment.log, environment.private, environment, initialised=initialised
        ).run()
        os._exit(0)

    def from_template(self) -> NoReturn:
        """Run the hooks that belong after the restore, and serve."""
        began_s = self._set_up()
        environment = self.environment
        environment.attach(self.connection)
        try:
            os.chdir(environment.spec.function.code)
            run_after_restore()
        except InitError as error:
            environment.failed(error, _now() - began_s, AFTER_RESTORE_STATUS)
        environment.ready(_now() - began_s)
        environment.serve()

    def _set_up(self, *, serves: bool = True) -> float:
        began_s = _now()
        set_up_process(self.parent, serves=serves)
        redirect(self.output)
        spec = self.environment.spec
        if serves and spec.cgroup is not None:
            join_cgroup(f"{spec.cgroup}/{self.token}", spec.function.memory_mb)
        if self.variables:
            add_variables(self.variables)
        return began_s


def _noticed(_number: int, _frame: object) -> None:
    """A child ended: the wakeup descriptor says so."""
