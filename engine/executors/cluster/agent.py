"""The process on a node that hosts environments for an engine elsewhere: it connects, and comes back.

It has the process executor run them, unchanged, and is told what to start by frames.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from engine.core.function import Account
from engine.executors.cluster import protocol as wire
from engine.executors.cluster.code_cache import CodeCache
from engine.executors.cluster.connection import prepare_socket
from engine.executors.cluster.handshake import AgentHandshake, AgentRefused
from engine.executors.cluster.host_port import joined
from engine.executors.cluster.session import AgentSession
from engine.executors.cluster.tunnel import TunnelListener
from engine.executors.process.parent.process_host import ProcessHost
from engine.machine.cores import usable_cores
from engine.machine.memory import MemoryGauge
from engine.ports import Clock, Offload, Workshop
from engine.version import VERSION

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_CONNECT_S: Final = 5.0


class Agent:
    """One agent. `run` serves one engine after the other, until it is drained or cancelled."""

    def __init__(
        self,
        clock: Clock,
        offload: Offload,
        address: tuple[str, int],
        secret: bytes,
        cache: CodeCache,
        *,
        node: str,
        say: Callable[[str], None],
    ) -> None:
        """`address`: the engine's. `node`: the name of this node. `say` takes a line for whoever runs it."""
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._secret = secret
        self._cache = cache
        self._say = say
        self._now = clock.now
        self._session: AgentSession | None = None
        self._tunnel = TunnelListener(self._loop)
        self._host: ProcessHost | None = None
        self._is_draining = asyncio.Event()
        self._said = ""
        self._workshop = Workshop(
            account=Account(),
            clock=clock,
            loop=self._loop,
            offload=offload,
            notify=lambda _event: None,
            log=lambda _invocation, _text: None,
            say=say,
        )
        memory = MemoryGauge().read()
        self._details = wire.AgentDetails(
            agent=secrets.token_hex(8),
            node=node,
            version=VERSION,
            python=".".join(map(str, sys.version_info[:3])),
            cores=usable_cores(),
            memory_mb=0 if memory is None else memory.limit_kb // 1024,
            own_tmp=False,
        )

    async def run(self) -> None:
        """Connect and serve, again and again; returns once it is drained."""
        host = self._host = ProcessHost.acquire(
            self._workshop
        )  # its zygote stays from one engine to the next
        try:
            zygote = host.zygote(None, ())
            await zygote.up
            self._details = self._details._replace(own_tmp=zygote.own_tmp)
            await self._tunnel.open()
            await self._serve()
        finally:
            self._tunnel.close()
            host.release(self._workshop.commons)
            await host.wait_closed()
            self._cache.close()

    async def _serve(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._is_draining.is_set():
            try:
                session = await self._connected()
            except (OSError, TimeoutError, AgentRefused) as error:
                self._say_once(f"no connection to {joined(*self._address)}: {str(error) or 'no answer'}")
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                await self._rest(pause_s * (0.5 + secrets.randbelow(500) / 1000))  # not all at once
                continue
            pause_s = _FIRST_PAUSE_S
            try:
                if self._is_draining.is_set():
                    return  # `drain` came while it connected
                self._say_once(f"{self._details.node} serves the engine at {joined(*self._address)}")
                await session.is_over.wait()
                if not self._is_draining.is_set():
                    self._say_once(f"the engine at {joined(*self._address)} is gone: {session.reason}")
            finally:
                self._session = None
                session.connection.lose("the agent ends")
                await session.close()
            await self._rest(pause_s)

    async def drain(self, grace_s: float) -> None:
        """Take nothing new, let end what runs within `grace_s`, and have `run` return."""
        self._is_draining.set()
        session = self._session
        if session is not None:
            session.leave()
            with suppress(TimeoutError):
                await asyncio.wait_for(session.is_idle.wait(), grace_s)
            session.connection.send(wire.BYE, 0)
            session.connection.close()

    async def _rest(self, seconds: float) -> None:
        """Wait so long, or until it is drained."""
        draining = self._loop.create_task(self._is_draining.wait())
        try:
            await asyncio.wait([draining], timeout=seconds)
        finally:
            draining.cancel()

    async def _connected(self) -> AgentSession:
        async with asyncio.timeout(_CONNECT_S):
            _, handshake = await self._loop.create_connection(
                lambda: AgentHandshake(self._loop, self._secret, self._details), *self._address
            )
            transport = await handshake.done
        prepare_socket(transport.get_extra_info("socket"))
        assert self._host is not None  # `run` has it
        terminated = self._host.wait_terminated
        session = AgentSession(self._workshop, self._cache, transport, self._tunnel, terminated)
        self._session = session
        if rest := handshake.rest():
            session.connection.data_received(rest)
        if transport.is_closing():
            session.connection.lose("the engine has gone")
        return session

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)


def default_cache() -> Path:
    """Where code is kept unless another folder is named (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "invocation-engine", "code")


def default_node() -> str:
    """The name of this machine."""
    return socket.gethostname()
