"""The parts of the process executor that need no process: frames, the watch over memory, control groups."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.executors.handler_loader import InitError
from engine.executors.process.child.environment import failure_text
from engine.executors.process.parent.cgroups import ControlGroups
from engine.executors.process.parent.monitor import LONG, LOOKS, PERIOD_S, SHARE, Monitor
from engine.executors.process.parent.snapshot_template import SnapshotTemplate
from engine.executors.process.protocol import (
    DOWN,
    ERROR,
    PRINTED,
    SUCCESS,
    FrameReader,
    RequestFrame,
    cut_replies,
    pack_message,
    pack_reply,
    pack_request,
    whole_reply,
)

texts = st.none() | st.text(min_size=1, max_size=40).filter(lambda text: text.encode("utf-8", "ignore"))
requests = st.builds(
    RequestFrame,
    number=st.integers(1, 2**31 - 1),
    deadline_s=st.floats(0, 1e9),
    request_id=st.text(max_size=40),
    qualifier=texts,
    trace_id=texts,
    client_context=texts,
    payload=st.binary(max_size=200),
)


def packed(request: RequestFrame) -> bytes:
    head = pack_request(*request[:-1], len(request.payload))
    return head + request.payload


@given(st.lists(requests, max_size=5), st.integers(1, 50))
def test_requests_come_out_as_they_went_in_however_they_are_cut(given_requests, size):
    """A stream knows no borders."""
    stream = b"".join(map(packed, given_requests))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        intake = FrameReader(theirs)
        found = [
            request for at in range(0, len(stream), size) for request in intake.parse(stream[at : at + size])
        ]

    assert given_requests == found


@given(requests)
def test_one_request_at_a_time_is_waited_for(request):
    """And the end of the stream is None."""
    ours, theirs = socket.socketpair()
    with theirs:
        intake = FrameReader(theirs)
        with ours:
            ours.sendall(packed(request))
            found = intake.next()
        end = intake.next()

    assert (request, None) == (found, end)


def test_a_stream_that_ends_within_a_request_has_ended():
    """Nobody is left to answer."""
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(packed(RequestFrame(1, 0.0, "id", None, None, None, b"x" * 100))[:-1])
        end = FrameReader(theirs).next()

    assert end is None


@given(st.lists(st.tuples(st.sampled_from([SUCCESS, ERROR | PRINTED]), st.binary(max_size=60)), max_size=5))
def test_replies_are_cut_off_the_stream_one_by_one(replies):
    """What is not complete yet stays."""
    partial = bytearray()
    for number, (kind, body) in enumerate(replies):
        partial += pack_reply(kind, number, 7, 0.5, len(body)) + body
    partial += pack_reply(SUCCESS, 99, 0, 0.0, 5) + b"half"
    found = [(reply.kind, reply.body) for reply in cut_replies(partial)]

    assert replies == found
    assert partial.endswith(b"half")


def test_a_reply_that_is_whole_is_told_from_one_that_is_not():
    """The common case is one read."""
    reply = pack_reply(SUCCESS, 3, 2048, 0.0, 4) + b"null"

    assert (SUCCESS, 3, 2048) == whole_reply(reply)[1:4]
    assert whole_reply(reply[:-1]) is None
    assert whole_reply(reply + b"x") is None
    assert whole_reply(b"") is None


def test_what_all_are_forked_from_imports_nothing_large():
    """Each fork pays for what is there: its memory is mapped, and its hooks after a fork run."""
    code = "import engine.executors.process.child.zygote, sys; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    large = {
        "asyncio",
        "hashlib",
        "http",
        "multiprocessing",
        "random",
        "secrets",
        "shutil",
        "ssl",
        "subprocess",
        "tempfile",
    }
    assert set() == large & set(found)


class Tenant:
    """What the watch looks at, without a process."""

    def __init__(self, pid: int, cap_kb: int = 100) -> None:
        self.pid, self.cap_kb = pid, cap_kb
        self.turn = 1
        self.busy = True
        self.told: list[int] = []
        self.ways_made = self.ways_back = 0

    def working(self) -> bool:
        return self.busy

    def deprioritise(self) -> None:
        self.ways_made += 1

    def restore_priority(self) -> None:
        self.ways_back += 1

    def over_cap(self, resident_kb: int) -> bool:
        self.told.append(resident_kb)
        return resident_kb > self.cap_kb


async def test_the_watch_looks_at_what_has_run_for_a_whole_period():
    """What is shorter is looked at when it ends."""
    tenant, brief = Tenant(1), Tenant(2)
    monitor = Monitor(asyncio.get_running_loop(), lambda pid: 50)
    for one in (tenant, brief):
        monitor.add(one)
    monitor.start()
    for _ in range(10):
        await asyncio.sleep(PERIOD_S)
        brief.turn += 1
    monitor.close()

    assert [] == brief.told
    assert 5 < len(tenant.told) < 12


async def test_who_runs_long_is_asked_once_to_make_way():
    """And not those who run often."""
    long, often = Tenant(1), Tenant(2)
    monitor = Monitor(asyncio.get_running_loop(), lambda pid: 50)
    for one in (long, often):
        monitor.add(one)
    monitor.start()
    for _ in range(3 * LONG):
        await asyncio.sleep(PERIOD_S)
        often.turn += 1
    monitor.close()

    assert (1, 0) == (long.ways_made, often.ways_made)


async def test_who_takes_no_more_memory_is_looked_at_less_often_until_it_does():
    """Thousands that merely wait cost little."""
    tenant, resident_kb = Tenant(1), 50
    monitor = Monitor(asyncio.get_running_loop(), lambda pid: resident_kb)
    monitor.add(tenant)
    monitor.start()
    await asyncio.sleep(PERIOD_S * (2 + LONG))
    at_first = len(tenant.told)
    await asyncio.sleep(PERIOD_S * 4 * LONG)
    then = len(tenant.told)
    resident_kb = 60
    await asyncio.sleep(PERIOD_S * 2 * LONG)
    monitor.close()

    assert (2, 1) == (tenant.ways_made, tenant.ways_back)
    assert (at_first, at_first + 4) == (1 + LONG, then)
    assert len(tenant.told) > then + LONG


async def test_what_is_not_there_yet_is_not_looked_at():
    """Its process is still to be forked."""
    tenant = Tenant(0)
    monitor = Monitor(asyncio.get_running_loop(), lambda pid: 50)
    monitor.add(tenant)
    monitor.start()
    await asyncio.sleep(PERIOD_S * 3)
    asleep = not monitor.is_running
    monitor.close()

    assert ([], True) == (tenant.told, asleep)


async def test_the_watch_sleeps_when_nothing_runs():
    """An idle engine costs nothing."""
    tenant = Tenant(1)
    monitor = Monitor(asyncio.get_running_loop(), lambda pid: 50)
    monitor.add(tenant)
    tenant.busy = False
    monitor.start()
    roused = monitor.is_running
    await asyncio.sleep(PERIOD_S * 3)
    asleep = not monitor.is_running

    assert (True, True) == (roused, asleep)


async def test_what_is_over_the_cap_or_gone_is_not_looked_at_again():
    """It is told once."""
    over, gone = Tenant(1, cap_kb=10), Tenant(2)
    monitor = Monitor(asyncio.get_running_loop(), lambda pid: 50 if pid == 1 else None)
    for one in (over, gone):
        monitor.add(one)
    monitor.start()
    await asyncio.sleep(PERIOD_S * 10)
    monitor.close()

    assert ([50], []) == (over.told, gone.told)


async def test_of_very_many_each_has_its_turn():
    """A look has a bound; nobody is forgotten for it."""
    looks = 0

    def resident_kb(_pid: int) -> int:
        nonlocal looks
        looks += 1
        return 1

    tenants = [Tenant(1 + number) for number in range(LOOKS * 3)]
    monitor = Monitor(asyncio.get_running_loop(), resident_kb)
    for tenant in tenants:
        monitor.add(tenant)
    monitor.start()
    await asyncio.sleep(PERIOD_S * 2.5)
    one_period = looks
    await asyncio.sleep(PERIOD_S * 5)
    monitor.close()

    assert LOOKS == one_period
    assert all(tenant.told for tenant in tenants)


async def test_looking_keeps_to_its_share_of_a_core():
    """What waits must not cost what starts meanwhile its time; the machine's memory is still looked at."""
    looks = periods = 0

    def resident_kb(_pid: int) -> int:
        nonlocal looks
        looks += 1
        return looks

    def also() -> None:
        nonlocal periods
        periods += 1

    monitor = Monitor(
        asyncio.get_running_loop(), resident_kb, also, cpu_s=lambda: looks * 4 * PERIOD_S * SHARE
    )
    monitor.add(Tenant(1, cap_kb=1000))
    monitor.start()
    await asyncio.sleep(PERIOD_S * 40.5)
    monitor.close()

    assert 8 <= looks <= 10
    assert 38 <= periods <= 40


def cgroup_tree(root: Path, controllers: str) -> Path:
    root.mkdir(parents=True)
    (root / "cgroup.subtree_control").write_text(controllers)
    own = root.parent / "own"
    own.write_text("1:name=x:/\n0::/slice/scope\n")
    return own


def test_without_a_memory_controller_there_are_no_control_groups(tmp_path):
    """Then the watch looks at memory instead."""
    own = cgroup_tree(tmp_path / "cgroup", "cpu pids")

    assert ControlGroups.for_memory(tmp_path / "cgroup", own) is None
    assert ["cgroup.subtree_control"] == [path.name for path in (tmp_path / "cgroup").iterdir()]


@pytest.mark.parametrize("there", [False, True], ids=["nothing is there", "but no limit can be set"])
def test_what_only_looks_like_control_groups_is_not_used(tmp_path, there):
    """A folder that takes files is no control group: it has no events to read."""
    root = tmp_path / "cgroup"
    own = cgroup_tree(root, "cpu memory") if there else tmp_path / "nowhere"

    assert ControlGroups.for_memory(root, own) is None


@pytest.mark.real_time
def test_control_groups_of_killed_engines_are_removed_at_the_next_start(tmp_path):
    """Those of an engine that is alive, and other names, stay."""
    root = tmp_path / "cgroup"
    own = cgroup_tree(root, "cpu memory")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = f"invocation-engine-{ended.pid}-0123ab"
    others = {f"invocation-engine-{os.getppid()}-0123ab", f"{left}.bak", f"my-{left}"}
    for name in (left, *others):
        (root / name / "environment").mkdir(parents=True)
    ControlGroups.for_memory(root, own)

    assert not (root / left).exists()
    assert others == {name for name in others if (root / name / "environment").is_dir()}


@pytest.mark.real_time
def test_control_groups_that_work_are_removed_in_the_end():
    """Where this machine has them; else there is nothing to remove."""
    groups = ControlGroups.for_memory()
    if groups is None:
        pytest.skip("no cgroup v2 with a memory controller that can be written")
    existed = groups.folder.exists()
    groups.remove()

    assert existed
    assert not groups.folder.exists()


async def test_a_template_is_heard_out_though_its_end_is_known_first():
    """Its last words come down a line of their own: the zygote may be quicker to tell that it is gone."""
    template = SnapshotTemplate(asyncio.get_running_loop(), print, print)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    output, write_end = os.pipe()
    os.close(write_end)
    with theirs:
        template.spawned(1, ours, output, os.pidfd_open(os.getpid()))
        theirs.send(pack_message(DOWN, 0, 0, failure_text(InitError("OSError", "no table"))))

    template.exited(64, out_of_memory=False)

    failure = template.up.result()
    assert ("OSError", "no table") == (failure.error_type, failure.error_message)
