"""The states of an environment's process: what each fact does in each, and what is told of its end."""

import asyncio
import os
import socket
import subprocess

import pytest

from engine.core.error_bodies import InitFailure
from engine.core.event import Event
from engine.core.invocation import Invocation
from engine.executors.process.admission import Need
from engine.executors.process.parent.environment_process import EnvironmentProcess
from engine.executors.process.parent.process_states import ProcessFact, ProcessState
from engine.executors.process.protocol import READY, SUCCESS, pack_reply, pack_request

pytestmark = pytest.mark.real_time

LONGER_THAN_A_DRAIN_S = 0.4


class Reports:
    """An executor that notes what it is told."""

    cap_kb = 0
    memory_mb = 128
    may_renice = False

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.need = Need("f", 131_072)
        self.told: list[str] = []

    def output(self, invocation, text):
        """Nothing is written."""

    def spawned_process(self, environment):
        self.told.append("spawned")

    def retries_spawn(self, environment, failure, code):
        return False

    def named(self, environment, log_stream):
        """Its log is not read."""

    def initialised(self, environment):
        """Its memory is not looked at."""

    def ready(self, environment, init_s):
        self.told.append("ready")

    def failed(self, environment, failure, init_s):
        self.told.append("failed")

    def ended(self, invocation, result):
        self.told.append(f"ended: {result.status}")

    def removed(self, environment):
        self.told.append("removed")

    def died(self, env_id):
        self.told.append("died")


class Process:
    """An `EnvironmentProcess` on a process that does nothing by itself, and both ends of its socket."""

    def __init__(self) -> None:
        self.reports = Reports()
        self.environment = EnvironmentProcess(self.reports, 1, 0.0, shared=False)
        self.child: subprocess.Popen | None = None
        self.theirs: socket.socket | None = None

    async def spawn(self) -> None:
        ours, self.theirs = socket.socketpair()
        output, write_end = os.pipe()
        os.close(write_end)
        self.child = subprocess.Popen(["sleep", "60"])
        self.environment.spawned(self.child.pid, ours, output, os.pidfd_open(self.child.pid))
        await asyncio.sleep(0)

    async def initialise(self) -> None:
        self.theirs.send(pack_reply(READY, 0, 0, 0.0, 0))
        await self.settle()

    async def settle(self) -> None:
        """Let the loop read what there is."""
        for _ in range(5):
            await asyncio.sleep(0)

    async def bring_to(self, state: ProcessState) -> None:
        """The ways there that an engine takes."""
        if state in (ProcessState.WAITING, ProcessState.CLOSED):
            if state is ProcessState.CLOSED:
                self.environment.close()
            return
        await self.spawn()
        await self.initialise()
        if state is ProcessState.EXITING:
            assert self.environment.request_exit(lambda _: None)
        elif state is ProcessState.DISCONNECTED:
            await self.happen(ProcessFact.DISCONNECTED)
        elif state is ProcessState.EXITED:
            self.environment.exited(0, out_of_memory=False)
        assert state is self.environment.state

    async def happen(self, fact: ProcessFact) -> None:
        """From outside, as it does to an engine."""
        match fact:
            case ProcessFact.SPAWNED:
                await self.spawn()
            case ProcessFact.SPAWN_FAILED:
                self.environment.spawn_failed(InitFailure("Sandbox.Failure", "none"))
            case ProcessFact.EXIT_REQUESTED:
                self.environment.request_exit(lambda _: None)
            case ProcessFact.DISCONNECTED:
                if self.theirs is not None:
                    self.theirs.close()
            case ProcessFact.EXITED:
                self.environment.exited(0, out_of_memory=False)
            case ProcessFact.DRAINED:
                await asyncio.sleep(LONGER_THAN_A_DRAIN_S)
            case ProcessFact.CLOSED:
                self.environment.close()
        await self.settle()

    def end(self) -> None:
        self.environment.close()
        if self.theirs is not None:
            self.theirs.close()
        if self.child is not None:
            self.child.kill()
            self.child.wait()


@pytest.fixture
async def process():
    process = Process()
    yield process
    process.end()


ONLY_IN = {
    ProcessFact.SPAWNED: {ProcessState.WAITING, ProcessState.CLOSED},
    ProcessFact.DISCONNECTED: {ProcessState.RUNNING, ProcessState.EXITING, ProcessState.EXITED},
    ProcessFact.DRAINED: {ProcessState.EXITED},
}
"""A process is forked once, its socket ends once, and only the socket of an exited one is drained."""

POSSIBLE = [
    pytest.param(state, fact, id=f"{state.name}-{fact.name}")
    for state in ProcessState
    for fact in ProcessFact
    if state in ONLY_IN.get(fact, ProcessState)
]

# Of an environment whose init is done and in which nothing runs. What is not listed changes nothing.
CHANGES = {
    "WAITING": {
        "SPAWNED": ("RUNNING", ["spawned"]),
        "SPAWN_FAILED": ("CLOSED", ["removed", "failed"]),
        "CLOSED": ("CLOSED", []),
    },
    "RUNNING": {
        "EXIT_REQUESTED": ("EXITING", []),
        "DISCONNECTED": ("DISCONNECTED", []),
        "EXITED": ("EXITED", []),
        "CLOSED": ("CLOSED", []),
    },
    "EXITING": {
        "EXITED": ("CLOSED", []),
        "CLOSED": ("CLOSED", []),
    },
    "DISCONNECTED": {
        "EXIT_REQUESTED": ("EXITING", []),
        "EXITED": ("CLOSED", ["removed", "died"]),
        "CLOSED": ("CLOSED", []),
    },
    "EXITED": {
        "DISCONNECTED": ("CLOSED", ["removed", "died"]),
        "DRAINED": ("CLOSED", ["removed", "died"]),
        "CLOSED": ("CLOSED", []),
    },
    "CLOSED": {},
}


@pytest.mark.parametrize(("state", "fact"), POSSIBLE)
async def test_each_fact_does_in_each_state_what_the_table_says(process, state, fact):
    """Or nothing, and no fact is told twice."""
    await process.bring_to(state)
    before = len(process.reports.told)
    await process.happen(fact)

    expected = CHANGES[state.name].get(fact.name, (state.name, []))
    assert expected == (process.environment.state.name, process.reports.told[before:])


ORDERS = {
    "disconnected first": (ProcessFact.DISCONNECTED, ProcessFact.EXITED),
    "exited first": (ProcessFact.EXITED, ProcessFact.DISCONNECTED),
    "never disconnected": (ProcessFact.EXITED, ProcessFact.DRAINED),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ("initialising", ["removed", "failed"]),
        ("idle", ["removed", "died"]),
        ("busy", ["removed", "ended: crash"]),
    ],
)
async def test_an_end_is_told_once_whichever_news_of_it_comes_first(process, order, progress, expected):
    """How far it got decides as what."""
    await process.spawn()
    if progress != "initialising":
        await process.initialise()
    if progress == "busy":
        process.environment.run(Invocation(Event("f", b"{}", "id-1", 0.0), lambda _: None))
    before = len(process.reports.told)
    for fact in ORDERS[order]:
        await process.happen(fact)

    assert expected == process.reports.told[before:]
    assert process.environment.closed


async def test_what_a_process_said_before_it_exited_is_heard_although_its_exit_is_known_first(process):
    """`READY` may still be in the socket: then an idle environment has died, and no init has failed."""
    await process.spawn()
    process.theirs.send(pack_reply(READY, 0, 0, 0.0, 0))
    process.theirs.close()
    process.environment.exited(0, out_of_memory=False)
    await process.settle()

    assert ["spawned", "ready", "removed", "died"] == process.reports.told


class Listener:
    """Notes when something runs in a process."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begins(self, pid):
        self.told.append(f"begins {pid}")

    def rests(self, pid):
        self.told.append(f"rests {pid}")

    def ends(self, pid):
        self.told.append(f"ends {pid}")


async def test_a_listener_is_told_when_something_runs_however_it_was_asked_for(process):
    """What is relayed on a node runs as well; so does what came before there was a listener."""
    await process.spawn()
    await process.initialise()
    listener, environment, pid = Listener(), process.environment, process.child.pid
    invocation = Invocation(Event("f", b"1", "id-1", 0.0), lambda _outcome: None)
    environment.run(invocation)
    environment.tell(listener)
    process.theirs.send(pack_reply(SUCCESS, 1, 0, 0.0, 4) + b"null")
    await process.settle()
    environment.relay(invocation, pack_request(9, 0.0, "id-1", None, None, None, 1) + b"1", 1.0)
    process.theirs.send(pack_reply(SUCCESS, 2, 0, 0.0, 4) + b"null")
    await process.settle()
    environment.run(invocation)
    environment.close()

    ran = [f"begins {pid}", f"rests {pid}"]
    assert [*ran, *ran, f"begins {pid}", f"ends {pid}"] == listener.told
