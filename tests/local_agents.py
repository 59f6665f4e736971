"""Agents on this machine, in the loop of a test: what a carrier starts elsewhere as processes."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Final

import pytest

from engine.core.cluster_config import ClusterConfig
from engine.core.function import Function
from engine.executors.cluster import connection, node
from engine.executors.cluster.agent import Agent
from engine.executors.cluster.carrier import Carrier
from engine.executors.cluster.code_cache import CodeCache
from engine.executors.cluster.executor import ClusterExecutor
from engine.ports import ExecutorFactory, Facts, Workshop
from engine.runtime.platform import Platform

LONG_S: Final = 30.0

PATIENT_AGENT: Final = f"""
from engine.__main__ import main
from engine.executors.cluster import connection
connection.SILENCE_S = connection.STOOD_STILL_S = {LONG_S}
main()
"""
"""The program of an agent that is as patient as `be_patient` has those in this process be."""


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No node is lost because the machine is so busy that nothing is heard of it for a second."""
    monkeypatch.setattr(node, "SILENT_S", LONG_S)
    monkeypatch.setattr(connection, "STOOD_STILL_S", LONG_S)
    monkeypatch.setattr(connection, "SILENCE_S", LONG_S)


class LocalAgents:
    """Starts so many agents in this very process, which connect over loopback."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.agents: list[Agent] = []
        self.wishes: list[int] = []
        self.said: list[str] = []
        self.listener = ("", 0)
        self.secret = b""
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, listener: tuple[str, int], secret: bytes) -> None:
        """Start them."""
        self.listener, self.secret = listener, secret
        for number in range(self.count):
            self.add(f"node-{number}")

    def add(self, node: str, address: tuple[str, int] | None = None, cache_bytes: int = 1 << 30) -> Agent:
        """Start one. `address`: where it connects to, if not to the engine itself."""
        platform = Platform()
        agent = Agent(
            platform.clock,
            platform.offload,
            address or self.listener,
            self.secret,
            CodeCache(self.folder / node, cache_bytes),
            node=node,
            say=self.said.append,
        )
        self.agents.append(agent)
        self._tasks.append(asyncio.get_running_loop().create_task(agent.run()))
        return agent

    def wish(self, agents: int) -> None:
        """Remember it."""
        self.wishes.append(agents)

    async def ended(self) -> None:
        """Until each has ended by itself."""
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """End them, and what they have started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def executor_with(agents: Carrier, port: int = 0, known: bytes | None = None) -> ExecutorFactory:
    """The cluster executor, on a free port, with the agents of that carrier, and a secret that is `known`."""

    class Executor(ClusterExecutor):
        @staticmethod
        def carrier(_workshop: Workshop) -> Carrier:
            return agents

        @staticmethod
        def secret() -> bytes | None:
            return known

    def make(function: Function, facts: Facts, workshop: Workshop, /) -> Executor:
        return Executor(function, facts, dataclasses.replace(workshop, cluster=ClusterConfig(port=port)))

    return make
