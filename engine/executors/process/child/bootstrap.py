"""The first steps of a forked process, up to the point where it serves invocations or is forked from."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from typing import Final, NamedTuple, NoReturn

from engine.executors.handler_loader import InitError
from engine.executors.process.child import cgroup
from engine.executors.process.child.environment import ChildEnvironment, failure_text
from engine.executors.process.child.preloading import import_all, reseed
from engine.executors.process.child.process_setup import (
    OF_HANDLERS,
    USUAL,
    Priority,
    add_variables,
    empty_input,
    redirect,
    set_signal,
    set_up_process,
    show_cpus,
)
from engine.executors.process.child.snapshot_hooks import (
    AFTER_RESTORE_STATUS,
    BEFORE_SNAPSHOT_STATUS,
    run_after_restore,
    run_before_snapshot,
)
from engine.executors.process.protocol import DOWN, NOT_PRELOADABLE, pack_message

_SIGINT: Final = int(signal.SIGINT)
_now: Final = time.monotonic  # noqa: TID251  # another process: there is no Clock to be passed in


class ChildBootstrap(NamedTuple):
    """What a new process is given, and its first steps: by one of three methods, right after the fork.

    With `rehearses` the process is the zygote itself, which makes the steps that can be undone.
    """

    environment: ChildEnvironment
    connection: int
    output: int
    parent: int
    variables: dict[str, str]
    rehearses: bool = False

    def as_environment(self) -> NoReturn:
        """Initialise the handler, and serve. Exits when the engine closes the socket."""
        self.run()
        os._exit(0)

    def run(self) -> None:
        """Do the same, and return then."""
        environment, connection, _, _, _, rehearses = self
        began_s = self._set_up(USUAL if rehearses else OF_HANDLERS)
        set_signal(_SIGINT, signal.default_int_handler)
        if environment.is_prepared:
            os.chdir(environment.code)
        else:
            environment.prepare()
        if "numpy.random" in sys.modules:
            reseed()
        environment.attach(connection)
        if not rehearses:
            environment.notice_copies()
        try:
            environment.initialise()
        except InitError as error:
            environment.failed(error, _now() - began_s)
        environment.ready(_now() - began_s)
        environment.serve()

    def as_template(self) -> socket.socket:
        """Initialise the handler and run the hooks before the snapshot, or import `spec.imports`.

        Returns the socket of commands to fork from this process. Tells why on that socket, and exits, if the
        init or the imports fail.
        """
        environment = self.environment
        imports = environment.spec.imports
        self._set_up(USUAL if imports is not None else OF_HANDLERS)
        set_signal(_SIGINT, signal.default_int_handler)
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
            return control
        try:
            environment.initialise()
            status = BEFORE_SNAPSHOT_STATUS
            run_before_snapshot()
        except InitError as error:
            environment.tell(error)
            control.sendall(pack_message(DOWN, 0, 0, failure_text(error)))
            os._exit(status)
        return control

    def from_template(self) -> NoReturn:
        """Run the hooks after the restore, and serve. Exits when the engine closes the socket."""
        began_s = self._set_up(OF_HANDLERS)
        empty_input()
        environment = self.environment
        environment.attach(self.connection)
        environment.notice_copies()
        try:
            os.chdir(environment.code)
            run_after_restore()
        except InitError as error:
            environment.failed(error, _now() - began_s, AFTER_RESTORE_STATUS)
        environment.ready(_now() - began_s)
        environment.serve()
        os._exit(0)

    def _set_up(self, priority: Priority) -> float:
        """Set up the process; returns the monotonic time in seconds at which that began."""
        began_s = _now()
        environment, _, output, parent, variables, rehearses = self
        if not rehearses:
            # Not a session: that would make each a scheduling group of its own, see sched(7).
            os.setpgid(0, 0)
        set_up_process(parent, priority)
        redirect(output)
        if environment.cgroups and priority is OF_HANDLERS:
            cgroup.join(environment.cgroups)
        if environment.visible_cpus is not None:
            show_cpus(environment.visible_cpus)
        if variables:
            add_variables(variables)
        return began_s
