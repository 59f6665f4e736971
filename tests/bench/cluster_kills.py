"""Agents are killed, stood still and told to end while they work: who is answered, how soon, and how often.

Run: `python -m tests.bench.cluster_kills [kills]`; prints one JSON line, exit code 1 if a caller got no
answer or a wrong one, if one waited for more than a second after its node was gone, or if an asynchronous
event was lost, or run more often than it was killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from engine import Engine, Function, Outcome
from engine.cli.options import run
from tests.bench.cluster_agents import SECRET, AgentProcesses, NodeCount
from tests.local_agents import executor_with

HANDLER = """
import os, time
def handler(event, context):
    time.sleep(event["s"])
    if "mark" in event:
        with open(event["mark"], "a") as file:
            file.write("x")
    return event["number"]
"""
LIMIT_S = 1.0
WAYS = (signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM)


class Drill:
    """Callers, events and kills, and what came of them."""

    def __init__(self, kills: int, callers: int = 24, agents: int = 3, seed: int = 1) -> None:
        self.kills = kills
        self.callers = callers
        self.agents, self.nodes = AgentProcesses(agents), NodeCount()
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.late_s: list[float] = []
        self.killed_s: list[float] = []
        self.sent = 0
        self._random = random.Random(seed)
        self._is_over = False

    async def run(self) -> dict[str, object]:
        """Everything; the figures."""
        with tempfile.TemporaryDirectory(dir="/dev/shm") as marks, tempfile.TemporaryDirectory() as code:
            Path(code, "app.py").write_text(HANDLER)
            given = executor_with(self.agents, known=SECRET.encode())
            functions = [
                Function(name, handler="app.handler", code=code, timeout_s=30) for name in ("f", "g")
            ]
            async with Engine(
                functions, executor=given, observers=[self.nodes], scaling_rate=0, retry_wait_s=0.2
            ) as engine:
                await self.nodes.until(self.agents.count)
                async with asyncio.TaskGroup() as group:
                    for _ in range(self.callers):
                        group.create_task(self._call(engine))
                    group.create_task(self._send(engine, marks))
                    await self._kill()
                    self._is_over = True
                runs = await self._runs(marks)
        lost = [number for number in range(self.sent) if not runs[number]]
        too_often = sum(count > 1 for count in runs.values())
        return {
            "kills": self.kills,
            "outcomes": dict(self.outcomes),
            "wrong": self.wrong[:5],
            "longest_after_kill_s": round(max(self.late_s, default=0.0), 3),
            "events": self.sent,
            "events_lost": len(lost),
            "events_run_again": too_often,
            "ok": not (self.wrong or lost or max(self.late_s, default=0.0) > LIMIT_S),
        }

    async def _call(self, engine: Engine) -> None:
        number = 0
        while not self._is_over:
            number += 1
            began_s = time.monotonic()
            outcome = await engine.invoke("f", {"s": 0.05 * self._random.random(), "number": number})
            self._judge(outcome, number, began_s, time.monotonic())

    def _judge(self, outcome: Outcome, number: int, began_s: float, ended_s: float) -> None:
        self.outcomes[outcome.status.value] += 1
        if outcome.ok:
            if outcome.payload != number:
                self.wrong.append(f"{outcome.payload} instead of {number}")
            return
        assert outcome.error is not None
        if outcome.error["errorType"] != "Sandbox.Failure":
            self.wrong.append(str(outcome.error))
        kills = [at_s for at_s in self.killed_s if at_s <= ended_s]
        if kills:
            self.late_s.append(ended_s - max(began_s, kills[-1]))

    async def _send(self, engine: Engine, marks: str) -> None:
        while not self._is_over:
            event = {"s": 0.02, "number": self.sent, "mark": os.path.join(marks, str(self.sent))}
            await engine.submit("g", event)
            self.sent += 1
            await asyncio.sleep(0.02)

    async def _kill(self) -> None:
        for number in range(self.kills):
            await asyncio.sleep(0.3 + 0.2 * self._random.random())
            name = self._random.choice(sorted(self.agents.running))
            process, way = self.agents.running.pop(name), WAYS[number % len(WAYS)]
            joined, lost = self.nodes.joined, self.nodes.lost
            process.send_signal(way)
            self.killed_s.append(time.monotonic())
            async with asyncio.timeout(30):
                while self.nodes.lost == lost:
                    await asyncio.sleep(0.005)
            if way == signal.SIGSTOP:
                process.kill()
            await asyncio.to_thread(process.wait)
            self.agents.start(name)
            await self.nodes.until(joined + 1)

    async def _runs(self, marks: str) -> Counter[int]:
        """How often each event was run, once all were or half a minute is over."""
        runs: Counter[int] = Counter()
        for _ in range(300):
            runs = Counter({int(path.name): path.stat().st_size for path in Path(marks).iterdir()})
            if len(runs) == self.sent:
                break
            await asyncio.sleep(0.1)
        return runs


async def drill(kills: int) -> dict[str, object]:
    """So many kills; what came of them."""
    return await Drill(kills).run()


if __name__ == "__main__":
    result = run(drill(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
    print(json.dumps(result))
    sys.exit(0 if result["ok"] else 1)
