"""Agents on this machine, in the loop of a test: what a carrier starts elsewhere as processes."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

from engine.core.cluster_config import ClusterConfig
from engine.core.function import Function
from engine.executors.cluster.agent import Agent
from engine.executors.cluster.carrier import Carrier
from engine.executors.cluster.code_cache import CodeCache
from engine.executors.cluster.executor import ClusterExecutor
from engine.ports import ExecutorFactory, Facts, Workshop
from engine.runtime.platform import Platform


class LocalAgents:
    """Starts so many agents in this very process, which connect over loopback."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.agents: list[Agent] = []
        self.wishes: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, listener: tuple[str, int], secret: bytes) -> None:
        """Start them."""
        for number in range(self.count):
            self.add(f"node-{number}", listener, secret)

    def add(self, node: str, listener: tuple[str, int], secret: bytes) -> Agent:
        """Start one."""
        platform = Platform()
        cache = CodeCache(self.folder / node, 1 << 30)
        agent = Agent(
            platform.clock, platform.offload, listener, secret, cache, node=node, say=lambda _line: None
        )
        self.agents.append(agent)
        self._tasks.append(asyncio.get_running_loop().create_task(agent.run()))
        return agent

    def wish(self, agents: int) -> None:
        """Remember it."""
        self.wishes.append(agents)

    async def close(self) -> None:
        """End them, and what they have started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def executor_with(agents: Carrier) -> ExecutorFactory:
    """The cluster executor, on a free port, with the agents of that carrier."""

    class Executor(ClusterExecutor):
        @staticmethod
        def carrier(_workshop: Workshop) -> Carrier:
            return agents

    def make(function: Function, facts: Facts, workshop: Workshop, /) -> Executor:
        return Executor(function, facts, dataclasses.replace(workshop, cluster=ClusterConfig(port=0)))

    return make
