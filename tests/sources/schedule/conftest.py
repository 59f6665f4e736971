"""A sink that takes everything, and a host without an engine."""

import asyncio
import itertools

import anyio
import pytest

from engine.core.function import Account, Function
from engine.errors import NotAccepting
from engine.ports import Binding, Host
from engine.sources.schedule.source import ScheduleEvent, ScheduleSource


class Bench:
    """Schedules on the loop's virtual time, which begins on 2026-01-01T00:00:00Z."""

    def __init__(self):
        self.clock = asyncio.get_running_loop().clock
        self.began_s = self.clock.now()
        self.events = []
        self.rejected = []
        self.error = None
        ids = itertools.count(1)
        self.host = Host(
            account=Account(region="us-east-2", account_id="123456789012"),
            clock=self.clock,
            new_request_id=lambda: f"id-{next(ids)}",
            listen={},
            reject=self.rejected.append,
        )

    def submit(self, event, _reply):
        if self.error is not None:
            raise self.error
        self.events.append((self.clock.now() - self.began_s, event))

    async def invoke(self, event):
        raise NotAccepting("not asked to")

    def source(self, *tables, clock=None):
        bindings = [
            Binding(
                function=Function(table.pop("function", "f"), handler="a.b"),
                settings=ScheduleEvent.model_validate(table),
            )
            for table in map(dict, tables)
        ]
        return ScheduleSource.build(bindings, self.host)

    async def run(self, source, for_s):
        """Serve for so long, then ask it to stop."""
        stopping = anyio.Event()
        async with anyio.create_task_group() as group:
            assert await group.start(source.serve, self, stopping) is None
            await asyncio.sleep(for_s)
            stopping.set()

    @property
    def at_s(self):
        return [round(at_s, 6) for at_s, _ in self.events]


@pytest.fixture
async def bench():
    """For one test."""
    return Bench()
