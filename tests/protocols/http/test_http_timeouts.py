"""Which waiting counts against a client, on virtual time: one connection without a network."""

from __future__ import annotations

import asyncio

import pytest

from engine.protocols.http.connection import Connection
from engine.protocols.http.server import HttpLimits
from engine.protocols.http.server_state import ServerState

LIMITS = HttpLimits(
    header_timeout_s=10, body_timeout_s=30, idle_timeout_s=75, write_timeout_s=20, linger_s=5, max_pipelined=1
)
GET = b"GET / HTTP/1.1\r\n\r\n"


class LoopClock:
    held_s = 0.0  # how long a callback has held the loop up: time passed, and nothing ran

    def now(self):
        return asyncio.get_running_loop().time() + self.held_s

    def wall(self):
        return 1_700_000_000.0


class Peer(asyncio.Transport):
    """A client that takes what it is told to take."""

    def __init__(self, handle=lambda request: request.respond(200, b"", b""), shared=None):
        super().__init__()
        self.written, self.unsent, self.ended, self.end_of_file = b"", 0, None, False
        self.connection = Connection(shared or ServerState(handle, LoopClock(), LIMITS))
        self.connection.connection_made(self)

    def write(self, data):
        self.written += data

    def write_eof(self):
        self.end_of_file = True

    def close(self):
        if self.ended is None and not self.unsent:
            self.ended = "closed"
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    def abort(self):
        if self.ended is None:
            self.ended = "aborted"
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    def is_closing(self):
        return self.ended is not None

    def get_write_buffer_size(self):
        return self.unsent

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass

    @property
    def statuses(self):
        return [int(part[:3]) for part in self.written.split(b"HTTP/1.1 ")[1:]]


async def test_an_idle_connection_is_closed_after_its_time():
    """The time begins anew with each answer."""
    peer = Peer()
    await asyncio.sleep(70)
    peer.connection.data_received(GET)
    await asyncio.sleep(70)
    assert peer.ended is None
    await asyncio.sleep(7)

    assert ("closed", [200]) == (peer.ended, peer.statuses)


async def test_headers_have_one_deadline_whatever_trickles_in():
    """A byte now and then does not hold a connection."""
    peer = Peer()
    for piece in (b"G", b"ET / HTTP/1.1\r\n", b"a: b\r\n", b"c: d\r\n"):
        peer.connection.data_received(piece)
        await asyncio.sleep(3)

    assert ([408], True) == (peer.statuses, peer.end_of_file)


async def test_a_body_may_take_long_while_it_comes():
    """Its deadline begins anew with each piece."""
    peer = Peer()
    peer.connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
    for _ in range(9):
        await asyncio.sleep(25)
        peer.connection.data_received(b"x")
    assert [] == peer.statuses
    await asyncio.sleep(35)

    assert [408] == peer.statuses


async def test_a_refused_client_has_some_seconds_to_read_why():
    """Then the connection ends, whether it read or not."""
    peer = Peer()
    peer.connection.data_received(b"garbage\r\n\r\n")
    await asyncio.sleep(4)
    peer.connection.data_received(b"more")
    assert (None, True) == (peer.ended, peer.end_of_file)
    await asyncio.sleep(3)

    assert ("closed", [400]) == (peer.ended, peer.statuses)


@pytest.mark.parametrize(("taken_each_time", "ended"), [(1_000, None), (0, "aborted")])
async def test_a_client_that_takes_answers_slowly_is_waited_for(taken_each_time, ended):
    """Progress counts; without any, the connection is aborted."""
    peer = Peer()
    peer.unsent = 10_000
    peer.connection.pause_writing()
    for _ in range(5):
        await asyncio.sleep(15)
        peer.unsent -= taken_each_time

    assert ended == peer.ended


async def test_nothing_is_handed_on_while_the_client_does_not_read():
    """Its next request waits, however long that takes."""
    peer = Peer()
    peer.connection.pause_writing()
    peer.connection.data_received(GET)
    await asyncio.sleep(5)
    before = peer.statuses
    peer.connection.resume_writing()

    assert ([], [200]) == (before, peer.statuses)


async def test_an_answer_that_cannot_leave_does_not_keep_a_closed_connection():
    """Closing waits for the client to take what is buffered, but not for ever."""
    peer = Peer()
    peer.connection.data_received(GET)
    peer.unsent = 100
    await asyncio.sleep(80)
    assert peer.ended is None
    await asyncio.sleep(20)

    assert "aborted" == peer.ended


async def test_a_busy_connection_has_no_deadline_here():
    """A handler may take its time, and the half request behind it is not the client's fault."""
    kept = []
    peer = Peer(kept.append)
    peer.connection.data_received(GET + GET + b"GET / HT")
    await asyncio.sleep(1_000)
    assert ([], None) == (peer.statuses, peer.ended)
    kept[0].respond(200, b"", b"")
    kept[1].respond(200, b"", b"")
    peer.connection.data_received(b"TP/1.1\r\n\r\n")
    kept[2].respond(200, b"", b"")

    assert [200, 200, 200] == peer.statuses


@pytest.mark.parametrize("quiet_s", [0.5, 74, 76, 80, 100_000])
async def test_a_connection_after_a_quiet_time_has_all_its_time(quiet_s):
    """However long nobody was connected."""
    shared = ServerState(lambda request: request.respond(200, b"", b""), LoopClock(), LIMITS)
    Peer(shared=shared).connection.connection_lost(None)
    await asyncio.sleep(quiet_s)
    peer = Peer(shared=shared)
    await asyncio.sleep(70)
    peer.connection.data_received(GET)

    assert (None, [200]) == (peer.ended, peer.statuses)


PHASES = {
    "fresh": (b"", 75),
    "answered": (GET, 75),
    "in the head": (b"GET / HTTP/1.1\r\n", 10),
    "in the body": (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", 30),
    "refused": (b"garbage\r\n\r\n", 5),
    "not reading": (None, 20),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_a_loop_that_was_held_up_ends_no_connection(phase):
    """What the client did meanwhile has not been read yet: its time begins anew, and has an end."""
    sent, limit_s = PHASES[phase]
    clock = LoopClock()
    shared = ServerState(lambda request: request.respond(200, b"", b""), clock, LIMITS)
    other = Peer(shared=shared)  # so that the server looks at its connections all the time
    other.connection.data_received(GET)
    await asyncio.sleep(0.5)
    clock.held_s += 100
    peer = Peer(shared=shared)
    if sent is None:
        peer.unsent = 10_000
        peer.connection.pause_writing()
    else:
        peer.connection.data_received(sent)
    before = len(peer.statuses)
    clock.held_s += 100  # and again, behind it
    await asyncio.sleep(limit_s - 1)
    assert (None, before) == (peer.ended, len(peer.statuses))
    await asyncio.sleep(4)

    assert peer.ended or len(peer.statuses) > before


async def test_a_request_behind_another_is_received_when_its_turn_comes():
    """A receive of 20 s in front of it does not count as its own time."""
    kept = []
    peer = Peer(kept.append)
    peer.connection.data_received(GET + GET)
    await asyncio.sleep(20)
    kept[0].respond(200, b"", b"")

    assert 20 == kept[1].received_s - kept[0].received_s


MEGABYTE = 1 << 20


class Pieces(Peer):
    """A client that keeps what it gets as it was written; `slow`: it says stop at every piece."""

    def __init__(self, handle, *, slow=False):
        self.pieces, self.slow = [], slow
        super().__init__(handle)

    def write(self, data):
        self.pieces.append(bytes(data))
        if self.slow and len(data) > MEGABYTE // 2:
            self.unsent = len(data)
            self.connection.pause_writing()
            asyncio.get_running_loop().call_later(15, self.take)

    def take(self):
        self.unsent = 0
        self.connection.resume_writing()


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("ends", [False, True])
async def test_a_large_answer_is_written_in_pieces_and_what_follows_waits_for_its_end(slow, ends):
    """In each turn of the loop a megabyte; a slow client that takes one in 15 s is not given up."""
    body = bytes(range(256)) * (MEGABYTE // 256) * 5 + b"end"
    handed = []

    def handle(request):
        handed.append(len(peer.pieces))
        request.respond(200, b"", body if len(handed) == 1 else b"second")

    peer = Pieces(handle, slow=slow)
    close = b"GET /2 HTTP/1.1\r\nConnection: close\r\n\r\n"
    peer.connection.data_received(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" if ends else GET)
    if not ends:
        peer.connection.data_received(close)
    at_once, ended_early = len(peer.pieces), peer.ended or peer.end_of_file
    turns = 0
    while not (peer.ended or peer.end_of_file):
        await (asyncio.sleep(1) if slow else asyncio.sleep(0))
        turns += 1
    written = b"".join(peer.pieces)

    assert (2, None) == (at_once, ended_early or None)  # the head, and the first piece
    assert max(map(len, peer.pieces)) <= MEGABYTE
    assert turns >= 5
    assert ([0] if ends else [0, 7]) == handed
    assert written.split(b"\r\n\r\n", 1)[1].startswith(body)
    assert written.endswith(b"end" if ends else b"second")


async def test_a_client_that_goes_in_the_midst_of_a_large_answer_gets_no_more_of_it():
    peer = Pieces(lambda request: request.respond(200, b"", bytes(5 * MEGABYTE)))
    peer.connection.data_received(GET)
    await asyncio.sleep(0)
    peer.abort()
    count = len(peer.pieces)
    await asyncio.sleep(100)

    assert (count, "aborted") == (len(peer.pieces), peer.ended)


async def test_a_client_that_takes_nothing_of_a_large_answer_is_given_up():
    peer = Pieces(lambda request: request.respond(200, b"", bytes(5 * MEGABYTE)), slow=True)
    peer.take = lambda: None
    peer.connection.data_received(GET)
    await asyncio.sleep(60)

    assert ("aborted", 2) == (peer.ended, len(peer.pieces))
