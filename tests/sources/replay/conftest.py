"""Traces in files, and a sink that answers after a while."""

import asyncio
import itertools
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from engine.core.function import Account, Function
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.errors import FunctionNotFound
from engine.ports import Binding, Host
from engine.sources.replay.source import ReplaySource, ReplayTrace

RATE = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))


class Bench:
    """Replays on the loop's virtual time."""

    def __init__(self, folder):
        self.loop = asyncio.get_running_loop()
        self.clock = self.loop.clock
        self.folder = folder
        self.began_s = self.clock.now()
        self.takes_s = 0.0
        self.status = Status.SUCCESS
        self.sent = []
        self.said = []
        self.rejected = []
        self.in_flight = self.most_in_flight = 0
        ids = itertools.count(1)
        self.host = Host(
            account=Account(),
            clock=self.clock,
            new_request_id=lambda: f"id-{next(ids)}",
            listen={},
            reject=self.rejected.append,
            say=self.said.append,
        )

    def write(self, name, text):
        path = Path(self.folder) / name
        path.write_text(text)
        return str(path)

    def submit(self, event, reply):
        if event.function == "nobody":
            raise FunctionNotFound("nobody")
        self.sent.append((round(self.clock.now() - self.began_s, 6), event))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.loop.call_later(self.takes_s, self._answer, event, reply)

    def _answer(self, event, reply):
        self.in_flight -= 1
        reply(Outcome(self.status, b"null", event.request_id, RATE))

    def source(self, *tables):
        bindings = [
            Binding(function=Function("f", handler="a.b"), settings=ReplayTrace.model_validate(table))
            for table in tables
        ]
        return ReplaySource.build(bindings, self.host)

    async def run(self, source, for_s=None):
        """Serve until it ends by itself, or so long."""
        stopping = anyio.Event()
        async with anyio.create_task_group() as group:
            await group.start(source.serve, self, stopping)
            if for_s is not None:
                await asyncio.sleep(for_s)
                stopping.set()

    @property
    def at_s(self):
        return [at_s for at_s, _ in self.sent]


@pytest.fixture
async def bench(tmp_path):
    """For one test."""
    return Bench(tmp_path)
