"""The states of a connection: each row of the table happens, and nothing else does."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.protocols.http import connection_states
from engine.protocols.http.connection import Connection
from engine.protocols.http.connection_states import (
    CLOSED,
    DISCARDING,
    IDLE,
    LINGERING,
    READING_BODY,
    READING_HEAD,
    TRANSITIONS,
    ConnectionState,
)
from engine.protocols.http.fast_path import parser_into
from engine.protocols.http.limits import HttpLimits
from engine.protocols.http.server_state import ServerState
from engine.testing import VirtualTimeLoop

pytestmark = pytest.mark.pure_only("steps within one call are seen by a subclass of Connection alone")

LIMITS = HttpLimits(max_header_bytes=1_000, max_body_bytes=1_000, max_pipelined=2, linger_bytes=1_000)
HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n"


class Clock:
    """Time that the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.now_s


class Transport:
    """Takes everything, and sends nothing by itself."""

    def __init__(self) -> None:
        self.closing = False
        self.buffered = 0

    def get_extra_info(self, _name: str) -> object:
        return None

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: object) -> None:
        """It goes out."""

    def write_eof(self) -> None:
        """It goes out."""

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""

    def close(self) -> None:
        self.closing = True

    abort = close


class Watched(Connection):
    """A connection that keeps the steps it takes from state to state."""

    def __init__(self, shared: ServerState) -> None:
        self.steps: list[tuple[ConnectionState, ConnectionState]] = []
        super().__init__(shared)

    @property
    def state(self) -> ConnectionState:
        return self.now

    @state.setter
    def state(self, after: ConnectionState) -> None:
        before = getattr(self, "now", after)
        if before is not after:
            self.steps.append((before, after))
        self.now = after


class Exchange:
    """A connection without a socket, and what can happen to it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.requests: list = []
        self.shared = ServerState(self.requests.append, self.clock, LIMITS)
        self.connection, self.transport = Watched(self.shared), Transport()
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        if not self.transport.closing:
            self.connection.data_received(data)

    def answer(self) -> None:
        if self.requests:
            self.requests.pop(0).respond(200, b"", b"")

    def end_of_file(self) -> None:
        if not self.transport.closing and not self.connection.eof_received():
            self.transport.close()

    def lose(self) -> None:
        self.transport.close()
        self.connection.connection_lost(None)

    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.connection.check(self.clock.now_s)

    def stall(self) -> None:
        """The client takes nothing of an answer for too long."""
        if not self.transport.closing:
            self.transport.buffered = 1
            self.connection.pause_writing()
            self.wait(LIMITS.write_timeout_s + 1)

    def drain(self) -> None:
        self.shared.draining = True
        self.connection.drain()

    def end(self) -> None:
        """The server's timer must not outlive the test."""
        if self.connection in self.shared.connections:
            self.lose()


TO_HEAD = [("send", HEAD)]
TO_BODY = [("send", HEAD + b"\r\n12")]
MALFORMED = ("send", b"\x00\r\n\r\n")
WAYS = {
    IDLE: [],
    READING_HEAD: TO_HEAD,
    READING_BODY: TO_BODY,
    DISCARDING: [("send", HEAD + b"\r\n1234"), MALFORMED],
    LINGERING: [MALFORMED],
}
STEPS = [
    ("a head begins", IDLE, TO_HEAD, [(IDLE, READING_HEAD)]),
    ("a body begins", READING_HEAD, [("send", b"\r\n")], [(READING_HEAD, READING_BODY)]),
    ("a body ends", READING_BODY, [("send", b"34")], [(READING_BODY, IDLE)]),
    ("whole in one read", IDLE, [("send", HEAD + b"\r\n1234")], []),
    ("malformed", IDLE, [MALFORMED], [(IDLE, DISCARDING), (DISCARDING, LINGERING)]),
    ("head too slow", READING_HEAD, [("wait", 11)], [(READING_HEAD, DISCARDING), (DISCARDING, LINGERING)]),
    ("body too slow", READING_BODY, [("wait", 31)], [(READING_BODY, DISCARDING), (DISCARDING, LINGERING)]),
    ("end of file, owing", DISCARDING, [("end_of_file",), ("answer",)], [(DISCARDING, CLOSED)]),
    ("answered, client may send", DISCARDING, [("answer",)], [(DISCARDING, LINGERING)]),
    ("lingered long enough", LINGERING, [("wait", 6)], [(LINGERING, CLOSED)]),
    ("too many bytes", LINGERING, [("send", b"x" * 1_001)], [(LINGERING, CLOSED)]),
    ("idle too long", IDLE, [("wait", 76)], [(IDLE, CLOSED)]),
    ("draining", IDLE, [("drain",)], [(IDLE, CLOSED)]),
    *(
        (f"end of file, {state.value}", state, [("end_of_file",)], [(state, CLOSED)])
        for state in WAYS
        if state is not DISCARDING
    ),
    *((f"lost, {state.value}", state, [("lose",)], [(state, CLOSED)]) for state in WAYS),
    *((f"stalled, {state.value}", state, [("stall",)], [(state, CLOSED)]) for state in WAYS),
]


async def happen(exchange: Exchange, actions: list) -> None:
    for name, *arguments in actions:
        getattr(exchange, name)(*arguments)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("before", "actions", "steps"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS]
)
async def test_a_connection_goes_from_state_to_state_as_the_table_says(before, actions, steps):
    exchange = Exchange()
    await happen(exchange, WAYS[before])
    reached, taken = exchange.connection.state, len(exchange.connection.steps)
    await happen(exchange, actions)
    exchange_steps = exchange.connection.steps[taken:]
    exchange.end()

    assert before is reached
    assert steps == exchange_steps


async def test_the_last_request_and_end_of_file_stop_parsing_while_an_answer_is_owed():
    """From each state in which bytes are parsed."""
    found = set()
    whole = ("send", HEAD + b"\r\n1234")
    for way in (
        [("send", HEAD + b"connection: close\r\n\r\n1234")],
        [whole],
        [whole, *TO_HEAD],
        [whole, *TO_BODY],
    ):
        exchange = Exchange()
        await happen(exchange, [*way, ("end_of_file",)])
        found.add(exchange.connection.steps[-1])
        await happen(exchange, [("answer",)])
        last = exchange.connection.state
        exchange.end()

        assert last is CLOSED

    assert {(IDLE, DISCARDING), (READING_HEAD, DISCARDING), (READING_BODY, DISCARDING)} == found


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"),
            st.sampled_from(
                [
                    HEAD,
                    b"\r\n",
                    b"12",
                    b"1234",
                    HEAD + b"\r\n1234",
                    HEAD + b"connection: close\r\n\r\n1234",
                    HEAD + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n1234",
                    b"GET / HTTP/1.1\r\n\r\n" * 5,
                    b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
                    b"4\r\n1234\r\n",
                    b"0\r\n\r\n",
                    b"x" * 1_200,
                    b"POST / HTTP/1.1\r\ncontent-length: 5000\r\n\r\n",
                ]
            ),
        ),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 12.0, 80.0])),
        st.sampled_from([("answer",), ("end_of_file",), ("stall",), ("drain",), ("lose",)]),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(actions=ACTIONS)
def test_whatever_happens_no_other_step_is_taken(actions):
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(take_only_steps_of_the_table(actions))


async def take_only_steps_of_the_table(actions) -> None:
    exchange = Exchange()
    for action in actions:
        if exchange.connection in exchange.shared.connections:
            await happen(exchange, [action])
    exchange.end()

    assert set(exchange.connection.steps) <= TRANSITIONS


def test_the_table_of_the_docstring_has_the_same_rows():
    rows = re.findall(r"^\| (\w+) +\| (\w+) +\|", connection_states.__doc__, re.MULTILINE)

    assert {(before.name, after.name) for before, after in TRANSITIONS} == {*rows} - {("from", "to")}


def test_each_row_of_the_table_is_tested():
    tested = {step for row in STEPS for step in row[3]}

    assert {(READING_HEAD, DISCARDING), (READING_BODY, DISCARDING), (IDLE, DISCARDING)} <= tested
    assert tested == TRANSITIONS


def test_the_parser_of_the_fast_path_appends_pieces_of_bodies_and_whether_the_connection_is_kept():
    """Of each message in turn, without running any Python code."""
    events: list = []
    feed = parser_into(events)
    calls = []
    sys.setprofile(lambda frame, kind, _: calls.append(frame.f_code.co_name) if kind == "call" else None)
    feed(HEAD + b"\r\n12")
    feed(b"34")
    feed(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
    sys.setprofile(None)

    assert [b"12", b"34", True, False] == events
    assert [] == calls
