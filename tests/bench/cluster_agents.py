"""Agents as processes, for benches and drills of the cluster: on loopback, each with a cache of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from engine.core.engine_events import EngineEvent, NodeJoined, NodeLost
from engine.core.event import Event
from engine.core.invocation import Invocation
from engine.core.outcome import Outcome

SECRET = "of the bench"


class NodeCount:
    """An observer that knows how many nodes are there."""

    def __init__(self) -> None:
        self.joined = self.lost = 0

    def noticed(self, notice: EngineEvent, /) -> None:
        self.joined += isinstance(notice, NodeJoined)
        self.lost += isinstance(notice, NodeLost)

    def began(self, invocation: Invocation, /) -> None: ...

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None: ...

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None: ...

    async def until(self, joined: int) -> None:
        """Until so many have joined in all."""
        async with asyncio.timeout(60):
            while self.joined < joined:
                await asyncio.sleep(0.01)


class AgentProcesses:
    """A carrier that starts so many agents here."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._listener = ("", 0)
        self._folder = tempfile.TemporaryDirectory()

    async def open(self, listener: tuple[str, int], _secret: bytes) -> None:
        """Start them."""
        self._listener = listener
        for number in range(self.count):
            self.start(f"n{number}")

    def start(self, name: str) -> None:
        """Start one."""
        host, port = self._listener
        command = (sys.executable, "-m", "engine", "agent", f"{host}:{port}", "--name", name)
        cache = str(Path(self._folder.name, name))
        environment = {**os.environ, "ENGINE_CLUSTER_SECRET": SECRET}
        self.running[name] = subprocess.Popen(
            (*command, "--cache", cache), env=environment, stderr=subprocess.DEVNULL
        )

    def wish(self, agents: int) -> None:
        """There are as many as there are."""

    async def close(self) -> None:
        """End them."""
        for process in self.running.values():
            process.kill()
            await asyncio.to_thread(process.wait)
        self._folder.cleanup()
