"""Peers that lie, and links that are slow: what is said of it is one line, and nobody else notices."""

import asyncio
import json
import struct

import pytest

from engine.executors.cluster import connection as connection_module
from engine.executors.cluster import handshake
from engine.executors.cluster import protocol as wire
from engine.executors.cluster.connection import AgentConnection
from engine.executors.cluster.handshake import AgentHandshake, AgentRefused
from engine.runtime.clock import SystemClock
from engine.version import VERSION

pytestmark = pytest.mark.real_time

DETAILS = wire.AgentDetails("agent", "n", VERSION, "3.11.0", 1, 1000, own_tmp=False)


class RawAgent:
    """An agent that says what a test has it say."""

    async def join(self, listener, secret=b"", details=None):
        self.reader, self.writer = await asyncio.open_connection(*listener)
        challenge = await self.reader.readexactly(len(wire.MAGIC) + wire.NONCE_BYTES)
        text = DETAILS.encode() if details is None else details
        incarnation = b"i" * wire.INCARNATION_BYTES
        proof = wire.prove(secret, b"agent", challenge[len(wire.MAGIC) :], incarnation, text)
        hello = proof + incarnation + text
        self.writer.write(struct.pack("<H", len(hello)) + hello)
        size = int.from_bytes(await self.reader.readexactly(2), "little")
        answer = await self.reader.readexactly(size)
        if answer[0]:
            return ""
        self.writer.close()
        return answer[1:].decode()

    def send(self, operation, channel, body=b""):
        self.writer.write(wire.HEAD.pack(len(body) + 5, operation, channel) + body)

    async def until(self, wanted):
        """The channel and the body of the next frame of that operation."""
        while True:
            size, operation, channel = wire.HEAD.unpack(await self.reader.readexactly(wire.HEAD.size))
            body = await self.reader.readexactly(size - 5)
            if operation == wanted:
                return channel, body

    async def end(self):
        """Until the engine has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass
        self.writer.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"node": "a\n[engine] node b has left"},
        {"node": "\x1b[2J"},
        {"node": ""},
        {"node": "n" * 300},
        {"node": 7},
        {"agent": ""},
        {"cores": 10**30},
        {"cores": -1},
        {"cores": True},
        {"memory_mb": 2**70},
        {"own_tmp": "yes"},
        {"more": 1},
    ],
)
def test_what_an_agent_says_of_itself_can_stand_in_a_log_and_in_a_label(changes):
    """Else it is refused, in words that can."""
    text = json.dumps(json.loads(DETAILS.encode()) | changes).encode()
    with pytest.raises(ValueError, match=r"^[ -~]+$") as raised:
        wire.AgentDetails.decode(text)

    assert DETAILS == wire.AgentDetails.decode(DETAILS.encode())
    assert str(raised.value).isprintable()


async def test_what_is_no_hello_after_its_proof_is_refused(setting):
    """However deep it is nested."""
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with setting.engine(count=0):
        answers = [
            await RawAgent().join(setting.agents.listener, details=text)
            for text in (b"[" * 3000, b"\xff" * 60, b"{}", b"null")
        ]

    assert [True] * 4 == [bool(answer) and answer.isprintable() for answer in answers]
    assert [] == problems


async def test_a_frame_that_cannot_be_read_ends_that_node_alone_and_says_why(setting):
    """By one line each, and no traceback."""
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    piece = b"x" * wire.PIECE_BYTES
    frames = (
        (wire.BEAT, [1], b"1"),
        (wire.OUTPUT, [1], b"1"),
        (wire.SAY | wire.MORE, [1] * (wire.MAX_BODY_BYTES // len(piece) + 1), piece),
        (wire.SAY | wire.MORE, range(wire.JOINED_BYTES // len(piece) + 1), b""),
        (99, [1], b""),
    )
    async with setting.engine(count=1) as engine:
        for number, (operation, channels, body) in enumerate(frames, 1):
            agent = RawAgent()
            await agent.join(setting.agents.listener)
            for channel in channels:
                agent.send(operation, channel, body)
            await agent.end()
            await setting.watch.until(lambda watch, count=number: len(watch.lost) == count)
        outcome = await engine.invoke("f", {"value": 1})

    said = "".join(setting.lines).splitlines()
    assert [("n", "protocol")] * 5 == setting.watch.lost[:5]
    assert 5 == sum("what it sent is not what agents send" in line for line in said)
    assert [] == problems
    assert 1 == outcome.payload


async def test_two_that_died_when_something_was_sent_to_them_cost_one_error(setting):
    """They were idle there, and not any more here: it begins once more, and nobody waits for the deadline."""
    async with setting.engine(count=0, timeout_s=60) as engine:
        agent = RawAgent()
        await agent.join(setting.agents.listener)
        waiting = asyncio.ensure_future(engine.invoke("f", {}))
        channel, _ = await agent.until(wire.START)
        agent.send(wire.READY, channel, wire.INIT.pack(0.1, 0))
        await agent.until(wire.RUN)
        agent.send(wire.DIED, channel)
        second, _ = await agent.until(wire.REPEAT)
        await agent.until(wire.RUN)
        agent.send(wire.DIED, second)
        async with asyncio.timeout(5):
            outcome = await waiting
        agent.writer.close()

    assert "Runtime.ExitError" == outcome.error["errorType"]


class StuckTransport:
    """Takes what is written to it."""

    def __init__(self):
        self.written = b""
        self.is_closed = False

    def write(self, data):
        self.written += data

    def close(self):
        self.is_closed = True

    def set_write_buffer_limits(self, _high): ...

    def get_write_buffer_size(self):
        return 0

    def frames(self):
        """Operation and channel of each, in order; pieces that go on have none."""
        found, data = [], self.written
        while data:
            size, operation, channel = wire.HEAD.unpack_from(data)
            data = data[4 + size :]
            found.append((operation & ~wire.MORE, channel))
        self.written = b""
        return found


class Quiet:
    """What a connection belongs to."""

    def __init__(self):
        self.taken = []

    def take(self, operation, channel, body):
        self.taken.append((channel, body))

    def beat(self):
        return b""

    def silent(self, for_s): ...

    def unreadable(self, why):
        raise AssertionError(why)

    def lost(self, reason): ...


async def test_output_waits_while_the_link_is_full_and_answers_of_others_overtake_it():
    """What belongs to one environment stays in order; a connection is closed when all of it is sent."""
    transport = StuckTransport()
    connection = AgentConnection(
        asyncio.get_running_loop(), SystemClock(), transport, Quiet(), must_run=False
    )
    connection.pause_writing()
    for _ in range(3):
        connection.send(wire.OUTPUT, 1, b"o" * 1000)
    connection.send(wire.ENDED, 1, b"one")
    connection.send(wire.ENDED, 2, b"two")
    await asyncio.sleep(0)
    overtook, backlog = transport.frames(), connection.backlog
    connection.close()
    is_closed_early = transport.is_closed
    connection.resume_writing()
    while not transport.is_closed:
        await asyncio.sleep(0)
    connection.connection_lost(None)

    assert ([(wire.ENDED, 2)], 3003, False) == (overtook, backlog, is_closed_early)
    assert [(wire.OUTPUT, 1)] * 3 + [(wire.ENDED, 1)] == transport.frames()
    assert 0 == connection.backlog


async def test_long_bodies_of_many_channels_are_begun_when_the_other_side_has_room(monkeypatch):
    """It refuses more at once: what is sent in good faith never comes near. Each arrives whole."""
    monkeypatch.setattr(connection_module, "JOINED_BYTES", 6 * wire.PIECE_BYTES)
    loop, transport, handler = asyncio.get_running_loop(), StuckTransport(), Quiet()
    ends = [
        AgentConnection(loop, SystemClock(), StuckTransport(), handler, must_run=False),
        AgentConnection(loop, SystemClock(), transport, Quiet(), must_run=False),
    ]
    bodies = {channel: bytes([channel]) * (channel * wire.PIECE_BYTES // 2) for channel in range(1, 13)}
    for channel, body in bodies.items():
        ends[1].send(wire.ENDED, channel, body)
    while ends[1].backlog:
        await asyncio.sleep(0)
    ends[0].data_received(transport.written)
    for end in ends:
        end.connection_lost(None)

    assert bodies == dict(handler.taken)


async def test_an_agent_that_finds_nobody_leaves_nothing_behind(monkeypatch):
    """It tries again every few seconds, for days."""
    monkeypatch.setattr(handshake, "HELLO_S", 0.01)
    never = AgentHandshake(asyncio.get_running_loop(), b"", DETAILS)
    await asyncio.sleep(0.05)

    assert not never.done.done()


async def test_words_of_who_has_proved_nothing_move_no_cursor():
    """What listens at the engine's address may be anybody."""
    said = b"\x1b[2Jno\n[engine] node x has joined"

    async def pretend(reader, writer):
        writer.write(wire.MAGIC + bytes(wire.NONCE_BYTES))
        await reader.readexactly(2)
        writer.write(struct.pack("<H", len(said) + 1) + b"\x00" + said)
        writer.close()

    server = await asyncio.start_server(pretend, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    address = server.sockets[0].getsockname()
    _, made = await loop.create_connection(lambda: AgentHandshake(loop, b"", DETAILS), *address)
    with pytest.raises(AgentRefused) as raised:
        await made.done
    server.close()

    assert str(raised.value).isprintable()
