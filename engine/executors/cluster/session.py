"""What an agent runs for one engine, from its welcome to the end of the connection."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

from engine.core.error_bodies import InitFailure
from engine.core.function import INIT_LIMIT_S
from engine.core.invocation import Invocation
from engine.core.python_interpreter import PythonInterpreter
from engine.executors.cluster import protocol as wire
from engine.executors.cluster.code_archive import CodeError
from engine.executors.cluster.code_cache import CodeCache, IncomingArchive
from engine.executors.cluster.connection import AgentConnection
from engine.executors.cluster.messages import OWN_SERIES, FunctionMessage
from engine.executors.cluster.remote_facts import RelayedInvocation, RemoteFacts
from engine.executors.cluster.tunnel import TunnelListener, TunnelStreams
from engine.executors.process.parent.executor import ProcessExecutor
from engine.executors.process.protocol import number_and_deadline
from engine.executors.python_probe import UnusablePython, interpreter_at
from engine.machine.memory import MemoryGauge
from engine.ports import Workshop

_LONG_INIT_S: Final = 0.7 * INIT_LIMIT_S
_LONG_WAIT_S: Final = 0.1 * INIT_LIMIT_S
"""What an init of that length has waited for a CPU if its limit is to start over."""


class _HostedFunction:
    """A function at one state of its code, on this node."""

    def __init__(self, message: FunctionMessage, facts: RemoteFacts) -> None:
        self.message = message
        self.facts = facts
        self.executor: ProcessExecutor | None = None
        self.is_looking = False
        """Whether it is being found out what it runs in."""
        self.why_not = ""
        """Why none of its environments can be started here, if none ever can."""
        self.pending: dict[int, bool] = {}
        """Environments that wait for the code, and whether they are provisioned."""


class AgentSession:
    """One connection to an engine, and the environments that it has had started."""

    def __init__(
        self,
        workshop: Workshop,
        cache: CodeCache,
        transport: asyncio.Transport,
        tunnel: TunnelListener,
        terminated: Callable[[], Awaitable[None]],
    ) -> None:
        """`workshop` and `tunnel`: what all executors here have in common, in all sessions.

        `terminated` returns when no environment is on its way out any more.
        """
        self._terminated = terminated
        self._workshop = workshop
        self._loop = workshop.loop
        self._now = workshop.clock.now
        self._cache = cache
        self._functions: dict[int, _HostedFunction] = {}
        self._owners: dict[int, _HostedFunction] = {}  # by environment
        self._starting: dict[int, float] = {}  # environments and since when, the oldest first
        self._archives: dict[bytes, IncomingArchive] = {}
        self._awaited: dict[bytes, str] = {}  # digests that were asked for, and why they cannot be kept
        self._installing: set[asyncio.Task[None]] = set()
        self._closing: list[ProcessExecutor] = []
        self._read_memory = MemoryGauge().read
        self._cpu = CpuAtWork()
        self._echo = 0
        self._echo_s = self._now()
        self._is_leaving = False
        self.reason = ""
        """Why it is over."""
        self.is_over = asyncio.Event()
        self.is_idle = asyncio.Event()
        """Set whenever no environment is left."""
        self.connection = AgentConnection(self._loop, workshop.clock, transport, self, must_run=True)
        self._tunnel = tunnel
        self._streams = tunnel.streams = TunnelStreams(self._loop, self.connection)
        self._takes: dict[int, Callable[[int, bytes], object]] = {
            wire.BEAT: self._beat,
            wire.RUN: self._run,
            wire.START: self._start,
            wire.STOP: self._stop,
            wire.TAKEN: self._taken,
            wire.REPEAT: self._repeat,
            wire.FUNCTION: self._function,
            wire.CLOSE: self._close_function,
            wire.CODE: self._code,
            wire.CODE_END: self._code_end,
            wire.BYE: self._bye,
        }
        transport.set_protocol(self.connection)
        self._send_known()

    # ---------------------------------------------------------------- life

    def leave(self) -> None:
        """Have the engine take away what runs here; `is_idle` is set when nothing is left."""
        if not self._is_leaving:
            self._is_leaving = True
            self.connection.send(wire.LEAVING, 0)
            self._look_idle()

    async def close(self) -> None:
        """End all environments; returns when they have ended."""
        for function in self._functions.values():
            if function.executor is not None:
                self._close_executor(function)
        self._functions.clear()
        self._owners.clear()
        for executor in self._closing:
            await executor.wait_closed()
        for task in self._installing:
            task.cancel()
        for archive in self._archives.values():
            archive.drop()

    def _close_executor(self, function: _HostedFunction) -> None:
        if function.executor is not None:
            self._closing.append(function.executor)
            function.executor.close()
            self._cache.release(function.message.digest)

    # ---------------------------------------------------------------- FrameHandler

    def take(self, operation: int, channel: int, body: bytes) -> None:
        """See `FrameHandler`."""
        handler = self._takes.get(operation)
        if handler is not None:
            handler(channel, body)
        elif wire.STREAM_DATA <= operation <= wire.STREAM_WINDOW:
            self._streams.take(operation, channel, body)
        else:
            self.unreadable(f"operation {operation} is none of an engine's")

    def unreadable(self, why: str) -> None:
        """See `FrameHandler`."""
        self.connection.lose(f"what it sent is not what an engine sends: {wire.printable(why)}")

    def beat(self) -> bytes:
        """See `FrameHandler`."""
        memory = self._read_memory()
        available_kb, limit_kb = (0, 0) if memory is None else memory
        now_s = self._now()
        self._extend_inits(now_s)
        return wire.NodeLoad(
            available_kb, limit_kb, self._cpu.since_last(now_s), self._echo, now_s - self._echo_s
        ).pack()

    def silent(self, for_s: float) -> None:
        """End everything when the engine has been silent for so long that it counts as gone."""
        if for_s >= wire.ORPHANED_S:
            self.connection.lose(f"nothing was heard of the engine for {wire.ORPHANED_S:g} s")

    def lost(self, reason: str) -> None:
        """See `FrameHandler`."""
        self.reason = reason
        if self._tunnel.streams is self._streams:
            self._tunnel.streams = None
        self._streams.close()
        self.is_over.set()
        self.is_idle.set()

    # ---------------------------------------------------------------- what the engine sends

    def _beat(self, _channel: int, body: bytes) -> None:
        [self._echo] = wire.NUMBER.unpack(body)
        self._echo_s = self._now()

    def _run(self, channel: int, body: bytes) -> None:
        owner = self._owners.get(channel)
        if owner is not None and owner.executor is not None:
            number, left_s = number_and_deadline(body)
            invocation = cast("Invocation", RelayedInvocation(channel, number, body))
            owner.executor.relay(channel, invocation, body, self._now() + left_s)

    def _taken(self, channel: int, body: bytes) -> None:
        owner = self._owners.get(channel)
        if owner is not None:
            [number] = wire.NUMBER.unpack(body)
            owner.facts.taken(channel, number)

    def _start(self, channel: int, body: bytes) -> None:
        number, is_provisioned = wire.STARTED.unpack(body)
        function = self._functions[number]
        self._owners[channel] = function
        self._starting[channel] = self._now()
        self.is_idle.clear()
        if is_provisioned:
            function.facts.provisioned.add(channel)
        if function.executor is not None:
            (function.executor.provision if is_provisioned else function.executor.start)(channel)
        elif function.why_not:
            self._decline(channel, function.why_not)
        else:
            function.pending[channel] = is_provisioned
            self._look_for_code(function)

    def _repeat(self, channel: int, body: bytes) -> None:
        number, _ = wire.STARTED.unpack(body)
        function = self._functions[number]
        self._owners[channel] = function
        self.is_idle.clear()
        if function.executor is None:
            function.facts.failed(channel, InitFailure("Sandbox.Failure", "no code"), 0.0)
            self.forget(channel)
        else:
            function.executor.repeat(channel)

    def _stop(self, channel: int, _body: bytes) -> None:
        function = self._owners.get(channel)
        if function is None:
            return
        function.pending.pop(channel, None)
        if function.executor is not None:
            function.executor.stop(channel)
        self.forget(channel)

    def forget(self, channel: int) -> None:
        """An environment is gone."""
        function = self._owners.pop(channel, None)
        self._starting.pop(channel, None)
        if function is not None:
            function.facts.provisioned.discard(channel)
            function.facts.forget(channel)
        self._look_idle()

    def _look_idle(self) -> None:
        if not self._owners:
            self.is_idle.set()

    def _decline(self, channel: int, why: str) -> None:
        """Have the engine start it elsewhere."""
        self.connection.send(wire.UNABLE, channel, why.encode("utf-8", "replace"))
        self.forget(channel)

    def _close_function(self, channel: int, _body: bytes) -> None:
        function = self._functions.pop(channel, None)
        if function is None:
            return
        for environment in [number for number, owner in self._owners.items() if owner is function]:
            self.forget(environment)
        self._close_executor(function)

    def _bye(self, _channel: int, _body: bytes) -> None:
        """The engine stops: end everything, tell what is written meanwhile, and then that it is done."""
        task = self._loop.create_task(self._end())
        self._installing.add(task)

    async def _end(self) -> None:
        for function in self._functions.values():
            self._close_executor(function)
        self._functions.clear()
        self._owners.clear()
        for executor in self._closing:
            await executor.wait_closed()
        await self._terminated()  # what they write meanwhile is logged
        self.connection.send(wire.BYE, 0)
        self.connection.close()

    # ---------------------------------------------------------------- functions and their code

    def _function(self, channel: int, body: bytes) -> None:
        message = FunctionMessage.decode(body)
        facts = RemoteFacts(self.connection, channel, self.forget, self._starting)
        function = self._functions[channel] = _HostedFunction(message, facts)
        self._look_for_code(function)

    def _look_for_code(self, function: _HostedFunction) -> None:
        """Host it, or ask for its code, unless that was done."""
        digest = function.message.digest
        if digest in self._awaited or function.is_looking:
            return
        folder = self._cache.use(digest)
        if folder is not None:
            self._host(function, folder)
        else:
            self._awaited[digest] = ""
            self.connection.send(wire.NEED, 0, digest)

    def _code(self, _channel: int, body: bytes) -> None:
        digest = body[: wire.DIGEST_BYTES]
        if self._awaited.get(digest, "not asked for"):
            return
        try:
            archive = self._archives.get(digest)
            if archive is None:
                archive = self._archives[digest] = self._cache.new_archive()
            archive.add(body[wire.DIGEST_BYTES :])
        except OSError as error:
            self._awaited[digest] = f"its code cannot be kept: {error}"
            self._drop_archive(digest)

    def _drop_archive(self, digest: bytes) -> None:
        archive = self._archives.pop(digest, None)
        if archive is not None:
            archive.drop()

    def _code_end(self, _channel: int, body: bytes) -> None:
        digest, why = body[: wire.DIGEST_BYTES], body[wire.DIGEST_BYTES :].decode()
        why = why or self._awaited.get(digest, "")
        if why or digest not in self._archives:
            self._drop_archive(digest)
            self._no_code(digest, why or "no code came")
            return
        archive = self._archives.pop(digest)
        task = self._loop.create_task(self._install(digest, archive))
        self._installing.add(task)
        task.add_done_callback(self._installing.discard)

    async def _install(self, digest: bytes, archive: IncomingArchive) -> None:
        try:
            await self._workshop.offload(partial(self._cache.install, archive, digest))
        except (CodeError, OSError) as error:
            self._no_code(digest, f"its code cannot be unpacked: {error}")
            return
        self._awaited.pop(digest, None)
        for function in self._waiting_for(digest):
            folder = self._cache.use(digest)
            if folder is None:
                self._no_code(digest, "its code was removed")
            else:
                self._host(function, folder)
        self._send_known()

    def _waiting_for(self, digest: bytes) -> list[_HostedFunction]:
        return [
            function
            for function in self._functions.values()
            if function.message.digest == digest and function.executor is None and not function.is_looking
        ]

    def _no_code(self, digest: bytes, why: str) -> None:
        self._awaited.pop(digest, None)
        for function in self._waiting_for(digest):
            self._decline_pending(function, why)  # the next one asks again

    def _decline_pending(self, function: _HostedFunction, why: str) -> None:
        pending, function.pending = function.pending, {}
        for channel in pending:
            self._decline(channel, why)

    def _host(self, function: _HostedFunction, folder: Path) -> None:
        """Make the executor, once it is known what the handler is to run in."""
        message = function.message
        if message.python is None and message.series == OWN_SERIES:
            self._make_executor(function, folder, None)
            return
        function.is_looking = True
        task = self._loop.create_task(self._look_at_python(function, folder))
        self._installing.add(task)
        task.add_done_callback(self._installing.discard)

    async def _look_at_python(self, function: _HostedFunction, folder: Path) -> None:
        message = function.message
        try:
            found = await self._workshop.offload(partial(python_here, message.python, message.series))
        except UnusablePython as error:
            function.why_not = f"on this node {error}"
            self._decline_pending(function, function.why_not)
        else:
            self._make_executor(function, folder, found)
        function.is_looking = False

    def _make_executor(
        self, function: _HostedFunction, folder: Path, python: PythonInterpreter | None
    ) -> None:
        """Make the executor, and start what waited for it."""
        message, facts = function.message, function.facts
        if function not in self._functions.values():
            return  # closed meanwhile
        workshop = dataclasses.replace(
            self._workshop,
            account=message.account,
            logs_json=message.logs_json,
            is_async=message.is_async,
            cpu=message.cpu,
            python=python,
            endpoint_url=self._endpoint_url(message),
            output=facts.output,
            log=facts.log,
            notify=facts.notify,
            name_log_stream=facts.name_log_stream,
            say=self._say,
        )
        # Tracebacks name its files by Lambda's folder: that of this node says nothing to anybody.
        hosted = dataclasses.replace(message.function, code=str(folder / "task"), is_package=True)
        executor = function.executor = ProcessExecutor(hosted, facts, workshop)
        facts.need = executor.need
        preparing = self._loop.create_task(executor.prepare())
        self._installing.add(preparing)
        preparing.add_done_callback(self._installing.discard)
        pending, function.pending = function.pending, {}
        for channel, is_provisioned in pending.items():
            facts.waits(channel)
            (executor.provision if is_provisioned else executor.start)(channel)

    def _endpoint_url(self, message: FunctionMessage) -> str | None:
        """Where AWS clients on this node find the engine."""
        if message.endpoint_url is None or not message.is_tunnelled:
            return message.endpoint_url
        found = urlsplit(message.endpoint_url)
        return found._replace(netloc=f"127.0.0.1:{self._tunnel.port}").geturl()

    def _say(self, text: str) -> None:
        self.connection.send(wire.SAY, 0, text.encode("utf-8", "replace")[: wire.PIECE_BYTES])

    def _send_known(self) -> None:
        self.connection.send(wire.HAVE, 0, b"".join(self._cache.known()))

    def _extend_inits(self, now_s: float) -> None:
        """Have the limit start over, once, of inits that have waited for a CPU for a part of it."""
        for channel, since_s in list(self._starting.items()):
            if now_s - since_s < _LONG_INIT_S:
                return  # the others began later
            del self._starting[channel]
            owner = self._owners.get(channel)
            use = None if owner is None or owner.executor is None else owner.executor.init_use(channel)
            if use is not None and use.queued_s > _LONG_WAIT_S:
                self.connection.send(wire.WAITS, channel)


def python_here(python: PythonInterpreter | None, series: str) -> PythonInterpreter | None:
    """The interpreter of that path on this node; None for the agent's own.

    Raises UnusablePython: it cannot be used, or is not of `series`, `3.12` say: what a function does must not
    depend on the node that it runs on.
    """
    found = None if python is None else interpreter_at(python.executable)
    path, here = (sys.executable, OWN_SERIES) if found is None else (found.executable, found.series)
    if here != series:
        raise UnusablePython(path, f"is Python {here}, and the engine's is {series}")
    return found


class CpuAtWork:
    """How many CPUs of this machine are at work: the time that was not idle, by the time that has passed."""

    def __init__(self) -> None:
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")
        self._busy = self._read()
        self._at_s: float | None = None
        self._last = 0.0

    def since_last(self, now_s: float) -> float:
        """Since the last call, on average."""
        busy, before_s = self._read(), self._at_s
        if before_s is not None and now_s > before_s:
            self._last = (busy - self._busy) / self._ticks_per_s / (now_s - before_s)
        self._busy, self._at_s = busy, now_s
        return max(0.0, self._last)

    @staticmethod
    def _read() -> int:
        """Clock ticks of all CPUs that were neither idle nor waiting (proc(5), `/proc/stat`)."""
        try:
            with open("/proc/stat", "rb", buffering=0) as file:
                fields = [int(field) for field in file.read(4096).split(b"\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return 0
        return sum(fields) - sum(fields[3:5])
