"""A template process. Environments that are asked for before it is ready wait for it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable

from engine.core.error_bodies import InitFailure
from engine.executors.marshal import exit_reason
from engine.executors.process.parent.fork_server_client import (
    ForkServerClient,
    SpawnListener,
    TemplateClient,
    is_lost,
)
from engine.executors.process.parent.output_pipe import OutputPipe

Spawn = Callable[[ForkServerClient], object]
"""Has one environment forked from the template, by its client."""


class SnapshotTemplate:
    """One template, and the environments that wait for it. Its own output belongs to no invocation.

    `up` has the result None once the template can be forked from, or the reason why it never can.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        output: Callable[[str], object],
        say: Callable[[str], object],
    ) -> None:
        """`output` takes what it writes, and `say` a line for whoever runs the engine."""
        self._loop = loop
        self._say = say
        self._take_output = output
        self._waiting: list[tuple[SpawnListener, Spawn]] = []
        self._client: TemplateClient | None = None
        self._output: OutputPipe | None = None
        self._pidfd = -1
        self._retired = False
        self.up: asyncio.Future[InitFailure | None] = loop.create_future()

    @property
    def is_over(self) -> bool:
        """Whether nothing can be forked from it any more."""
        failed = self.up.done() and self.up.result() is not None
        return failed or (self._client is not None and self._client.is_over)

    def spawn(self, listener: SpawnListener, spawn: Spawn) -> None:
        """Fork `listener` as soon as that is possible."""
        if self._client is not None and self.up.done():
            spawn(self._client)
        else:
            self._waiting.append((listener, spawn))

    def retire(self) -> None:
        """Have it end with the last of its environments: the code has changed."""
        self._retired = True
        if self._client is not None and not self._waiting:
            self._client.retire()

    def close(self) -> None:
        """End it and its environments."""
        self._waiting.clear()
        if self._client is not None:
            self._client.close()
        self._release()

    # ---------------------------------------------------------------- facts, from the zygote

    def spawned(self, pid: int, connection: socket.socket, output: int, pidfd: int) -> None:
        """Take over the new process, which initialises the handler now."""
        self._output = OutputPipe(self._loop, output, self._take_output)
        self._pidfd = pidfd
        self._client = TemplateClient(self._loop, connection, pid, self._say, self._kill)
        self._client.up.add_done_callback(self._on_up)

    def spawn_failed(self, failure: InitFailure, code: int = 0) -> None:
        """Fail all that wait: the template could not be forked."""
        self._fail(failure)

    def exited(self, status: int, *, out_of_memory: bool) -> None:
        """Fail all that wait, with the reason the template gave, or else its exit status."""
        if self._client is not None:
            self._client.drain()
            reason = self._client.up.result() if self._client.up.done() else None
            if reason is not None and not is_lost(reason):
                self._fail(reason)
        error_type = "Runtime.OutOfMemory" if out_of_memory else "Runtime.ExitError"
        self._fail(InitFailure(error_type, exit_reason(status)))
        self._release()

    def _on_up(self, up: asyncio.Future[InitFailure | None]) -> None:
        failure = up.result()
        if failure is not None:
            if not is_lost(failure):  # else the exit status, which follows, says more
                self._fail(failure)
            return
        if not self.up.done():
            self.up.set_result(None)
        waiting, self._waiting = self._waiting, []
        assert self._client is not None  # it is what came up
        for _, spawn in waiting:
            spawn(self._client)
        if self._retired:
            self._client.retire()

    def _fail(self, failure: InitFailure) -> None:
        if not self.up.done():
            self.up.set_result(failure)
        waiting, self._waiting = self._waiting, []
        for listener, _ in waiting:
            listener.spawn_failed(failure)

    def _kill(self) -> None:
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it is dead, and was waited for

    def _release(self) -> None:
        if self._output is not None:
            self._output.read_rest()
            self._output.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
