"""Nodes without room: what waits on one of them is started on another as soon as that has some."""

import asyncio

import pytest

from engine.executors.cluster import protocol as wire
from engine.version import VERSION

pytestmark = pytest.mark.real_time


class ScriptedNode:
    """What an agent is on the wire, saying what a test wants it to."""

    def __init__(self, name, listener):
        self.name, self._listener = name, listener
        self.channels = {}

    async def join(self):
        self._reader, self._writer = await asyncio.open_connection(*self._listener)
        challenge = await self._reader.readexactly(len(wire.MAGIC) + wire.NONCE_BYTES)
        details = wire.AgentDetails(self.name, self.name, VERSION, "3.11.0", 2, 4000, own_tmp=False).encode()
        incarnation = b"i" * wire.INCARNATION_BYTES
        proof = wire.prove(b"", b"agent", challenge[len(wire.MAGIC) :], incarnation, details)
        hello = proof + incarnation + details
        self._writer.write(len(hello).to_bytes(2, "little") + hello)
        size = int.from_bytes(await self._reader.readexactly(2), "little")
        await self._reader.readexactly(size)

    def say(self, operation, channel, body=b""):
        self._writer.write(wire.HEAD.pack(5 + len(body), operation, channel) + body)

    def beat(self, available_mb):
        self.say(wire.BEAT, 0, wire.NodeLoad(available_mb << 10, 4000 << 10, 0.0, 0, 0.0).pack())

    async def next(self, operation):
        """The channel of the next frame of that kind."""
        async with asyncio.timeout(10):
            while True:
                size, found, channel = wire.HEAD.unpack(await self._reader.readexactly(wire.HEAD.size))
                await self._reader.readexactly(size - 5)
                if found == operation:
                    return channel

    def close(self):
        self._writer.close()


async def test_what_waits_for_room_on_one_node_moves_to_another_that_has_some(setting):
    """It is stopped where it waited, and its caller is served."""
    async with setting.engine(count=0) as engine:
        full = ScriptedNode("full", setting.agents.listener)
        await full.join()
        full.beat(available_mb=100)
        waiting = asyncio.ensure_future(engine.invoke("f", {}))
        function = await full.next(wire.FUNCTION)
        environment = await full.next(wire.START)
        full.say(wire.HOLD, function)
        spare = ScriptedNode("spare", setting.agents.listener)
        await spare.join()
        spare.beat(available_mb=3000)
        stopped = await full.next(wire.STOP)
        started = await spare.next(wire.START)
        spare.say(wire.READY, started, wire.INIT.pack(0.01, 1000))
        await spare.next(wire.RUN)
        head = wire.RESULT.pack(1, 0, False, 0, 0)
        spare.say(wire.ENDED, started, head + b"42")
        outcome = await waiting
        full.close()
        spare.close()

    assert environment == stopped
    assert 42 == outcome.payload


async def test_answers_of_a_connection_that_is_over_are_nobodys(setting):
    """A node that comes back has other numbers: what it says of those of before is dropped."""
    async with setting.engine(count=0) as engine:
        node = ScriptedNode("node", setting.agents.listener)
        await node.join()
        lost = asyncio.ensure_future(engine.invoke("f", {}))
        environment = await node.next(wire.START)
        node.say(wire.READY, environment, wire.INIT.pack(0.01, 1000))
        await node.next(wire.RUN)
        again = ScriptedNode("node", setting.agents.listener)
        await again.join()  # the same agent: the connection of before is given up
        outcome = await lost
        second = asyncio.ensure_future(engine.invoke("f", {}))
        started = await again.next(wire.START)
        head = wire.RESULT.pack(1, 0, False, 0, 0)
        again.say(wire.ENDED, started + 7, head + b'"of before"')
        again.say(wire.ENDED, started, head + b'"not begun"')
        again.say(wire.READY, started, wire.INIT.pack(0.01, 1000))
        await again.next(wire.RUN)
        again.say(wire.ENDED, started, wire.RESULT.pack(9, 0, False, 0, 0) + b'"another number"')
        again.say(wire.ENDED, started, head + b'"right"')
        then = await second
        again.close()

    assert "Sandbox.Failure" == outcome.error["errorType"]
    assert "right" == then.payload
    assert ("node", "replaced") == setting.watch.lost[0]
