"""A template, from the moment it is asked for: environments that are wanted before it is there wait."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from engine.core.failure import InitFailure
from engine.executors.marshal import exit_reason
from engine.executors.process.parent.fork_server_client import (
    ForkServerClient,
    SpawnListener,
    TemplateClient,
    is_lost,
)
from engine.executors.process.parent.output_pipe import OutputPipe

Spawn = Callable[[ForkServerClient], object]
"""Has one environment forked from the template."""


class SnapshotTemplate:
    """One template and those who wait for it. Its own output belongs to no invocation.

    `up` is done once it can be forked from, with None, or cannot, with the reason.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, output: Callable[[str], object]) -> None:
        self._loop = loop
        self._take_output = output
        self._waiting: list[tuple[SpawnListener, Spawn]] = []
        self._template: TemplateClient | None = None
        self._outlet: OutputPipe | None = None
        self._pidfd = -1
        self._retired = False
        self.up: asyncio.Future[InitFailure | None] = loop.create_future()

    @property
    def over(self) -> bool:
        """Whether nothing can be forked from it any more."""
        failed = self.up.done() and self.up.result() is not None
        return failed or (self._template is not None and self._template.over)

    def spawn(self, one: SpawnListener, spawn: Spawn) -> None:
        """Fork `one` as soon as that is possible."""
        if self._template is not None and self.up.done():
            spawn(self._template)
        else:
            self._waiting.append((one, spawn))

    def retire(self) -> None:
        """The code changed: it ends with the last of its environments."""
        self._retired = True
        if self._template is not None and not self._waiting:
            self._template.retire()

    def close(self) -> None:
        """End it, and its environments."""
        self._waiting.clear()
        if self._template is not None:
            self._template.close()
        self._let_go()

    # ---------------------------------------------------------------- facts, from the zygote

    def born(self, pid: int, line: socket.socket, output: int, pidfd: int) -> None:
        """It is there, and initialises now."""
        self._outlet = OutputPipe(self._loop, output, self._take_output)
        self._pidfd = pidfd
        self._template = TemplateClient(self._loop, line)
        self._template.up.add_done_callback(self._settle)

    def unborn(self, failure: InitFailure, code: int = 0) -> None:
        """It cannot be made."""
        self._fail(failure)

    def exited(self, status: int, *, out_of_memory: bool) -> None:
        """It is gone; if it was still at its init and did not say why, that is why."""
        if self._template is not None:
            self._template.hear_out()
            told = self._template.up.result() if self._template.up.done() else None
            if told is not None and not is_lost(told):
                self._fail(told)
        error_type = "Runtime.OutOfMemory" if out_of_memory else "Runtime.ExitError"
        self._fail(InitFailure(error_type, exit_reason(status)))
        self._let_go()

    def _settle(self, up: asyncio.Future[InitFailure | None]) -> None:
        failure = up.result()
        if failure is not None:
            if not is_lost(failure):  # else it just went away: its exit status says more, and is on its way
                self._fail(failure)
            return
        if not self.up.done():
            self.up.set_result(None)
        waiting, self._waiting = self._waiting, []
        assert self._template is not None  # it is what came up
        for _, spawn in waiting:
            spawn(self._template)
        if self._retired:
            self._template.retire()

    def _fail(self, failure: InitFailure) -> None:
        if not self.up.done():
            self.up.set_result(failure)
        waiting, self._waiting = self._waiting, []
        for one, _ in waiting:
            one.unborn(failure)

    def _let_go(self) -> None:
        if self._outlet is not None:
            self._outlet.read_rest()
            self._outlet.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
