"""Nodes, agents and links that fail: callers have one answer each, soon, and the engine goes on."""

import asyncio
import contextlib
import os
import signal

import pytest

from engine import Status
from engine.core.cluster_config import ClusterConfig
from engine.errors import EngineError
from engine.executors.cluster import handshake
from engine.executors.cluster import protocol as wire
from engine.executors.cluster.cluster import secret_of
from engine.version import VERSION

pytestmark = pytest.mark.real_time

SECONDS_TO_ANSWER = 1.0


class Link:
    """A way between an agent and an engine that can be cut: no byte passes then, and no end is told."""

    def __init__(self):
        self.is_cut = False
        self.passes = asyncio.Event()  # what comes from the engine; cleared, it is held back
        self.passes.set()
        self.from_agent = b""
        self.accepted = asyncio.Event()
        self._writers = []
        self._from_engine = []
        self._tasks = []

    async def open(self, target):
        self._target = target
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()

    async def _accepted(self, reader, writer):
        there, back = await asyncio.open_connection(*self._target)
        self._writers += [writer, back]
        self._from_engine.append(there)
        self.accepted.set()
        for source, sink in ((reader, back), (there, writer)):
            self._tasks.append(asyncio.ensure_future(self._pass_on(source, sink)))

    async def _pass_on(self, source, sink):
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if source in self._from_engine:
                    await self.passes.wait()
                else:
                    self.from_agent += data
                if not self.is_cut:
                    sink.write(data)
        if not self.is_cut:
            sink.close()

    def close(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.close()


async def answered(waiting):
    """The outcome, and after how many seconds it came, those not counted in which this loop was held up."""
    task, waited_s = asyncio.ensure_future(waiting), 0.0
    while not task.done():
        await asyncio.sleep(0.05)
        waited_s += 0.05
    return await task, waited_s


async def running_on_both(engine, nodes, gate):
    """Two invocations on each of two nodes, which run until there is a file `gate`."""
    tasks = [asyncio.ensure_future(engine.invoke("f", {"until": str(gate)})) for _ in range(4)]
    async with asyncio.timeout(60):
        while {node: counts.busy for node, counts in engine.sink.drivers["f"].by_node().items()} != nodes:
            await asyncio.sleep(0.01)
    return tasks


def lost_with(outcomes):
    return [outcome.error for outcome in outcomes if not outcome.ok]


async def test_an_agent_that_is_killed_costs_what_ran_there_one_error_each(setting, by_node, mark):
    """AWS's shape, at once; the other node goes on, idle environments are forgotten, a new agent serves."""
    async with setting.engine(count=1) as engine:
        killed = setting.start("other")
        await setting.watch.until(lambda watch: len(watch.joined) == 2)
        tasks = await running_on_both(engine, {"node-0": 2, "other": 2}, mark)
        killed.kill()
        mark.touch()
        outcomes = await asyncio.gather(*tasks)
        left = by_node(engine)
        setting.start("other")
        await setting.watch.until(lambda watch: len(watch.joined) == 3)
        again = await asyncio.gather(*(engine.invoke("f", {"s": 0.2}) for _ in range(4)))

    errors = lost_with(outcomes)
    assert 2 == len(errors)
    assert {"Sandbox.Failure"} == {error["errorType"] for error in errors}
    assert all(error["errorMessage"].endswith("Error: The node it ran on is gone") for error in errors)
    assert {Status.CRASH, Status.SUCCESS} == {outcome.status for outcome in outcomes}
    assert ["node-0"] == list(left)
    assert [Status.SUCCESS] * 4 == [outcome.status for outcome in again]
    assert ("other", "disconnected") == setting.watch.lost[0]


async def test_an_agent_that_stands_still_is_noticed_and_what_it_had_is_not_run_when_it_goes_on(
    setting, mark, impatient
):
    """Answered within a second of its last sign of life; when it goes on it begins anew."""
    async with setting.engine(count=0) as engine:
        stopped = setting.start("other")
        await setting.watch.until(lambda watch: watch.joined)
        await engine.invoke("f", {})
        stopped.send_signal(signal.SIGSTOP)
        with impatient():
            outcome, waited_s = await answered(engine.invoke("f", {"touch": str(mark)}))
        stopped.send_signal(signal.SIGCONT)
        await setting.watch.until(lambda watch: len(watch.joined) == 2)
        then = await engine.invoke("f", {"value": 2})
        was_touched = mark.exists()

    assert "Sandbox.Failure" == outcome.error["errorType"]
    assert waited_s < SECONDS_TO_ANSWER + 0.15
    assert 2 == then.payload
    assert not was_touched
    assert ("other", "silent") == setting.watch.lost[0]


async def test_what_was_sent_to_an_environment_that_had_ended_meanwhile_begins_anew(setting):
    """It never began, so nobody is told of a crash; the node has another environment run it."""
    setting.write("import os\n\ndef handler(event, context):\n    return os.getpid()\n")
    link = Link()
    async with setting.engine(count=0) as engine:
        setting.agents.add("far", await link.open(setting.agents.listener))
        await setting.watch.until(lambda watch: watch.joined)
        first = (await engine.invoke("f", {})).payload
        link.passes.clear()
        task = asyncio.ensure_future(engine.invoke("f", {}))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(60):
            while wire.HEAD.pack(5, wire.DIED, 0)[:5] not in link.from_agent:  # the end is told
                await asyncio.sleep(0.01)
        link.passes.set()
        second = await task
        lost = list(setting.watch.lost)
        link.close()

    assert Status.SUCCESS == second.status
    assert first != second.payload
    assert [] == lost


async def test_a_cut_link_is_noticed_at_both_ends_and_the_agent_comes_back_when_it_is_mended(
    setting, monkeypatch, mark, written, impatient
):
    """TCP alone would tell nothing. The agent ends its environments when it hears nothing for too long."""
    monkeypatch.setattr(wire, "ORPHANED_S", 1.5)
    link = Link()
    async with setting.engine(count=0) as engine:
        agent = setting.agents.add("far", await link.open(setting.agents.listener))
        await setting.watch.until(lambda watch: watch.joined)
        await engine.invoke("f", {})
        task = asyncio.ensure_future(engine.invoke("f", {"hangs_once": str(mark)}))
        await written(mark)
        link.is_cut = True
        with impatient():
            outcome, waited_s = await answered(task)
        async with asyncio.timeout(10):
            while not any("nothing was heard" in line for line in setting.agents.said):
                await asyncio.sleep(0.01)
        link.is_cut = False
        await setting.watch.until(lambda watch: len(watch.joined) == 2)
        then = await engine.invoke("f", {"value": 1})
        link.close()

    assert agent is setting.agents.agents[0]
    assert "Sandbox.Failure" == outcome.error["errorType"]
    assert waited_s < SECONDS_TO_ANSWER + 0.15
    assert 1 == then.payload
    assert ("far", "silent") == setting.watch.lost[0]


async def test_what_had_not_begun_on_a_lost_node_begins_on_another(setting, mark, written):
    """An environment that initialises has run nothing: nobody is told of an error."""
    setting.write(
        "import os, time\n"
        f"if not os.path.exists({str(mark)!r}):\n"
        f"    open({str(mark)!r}, 'w').close()\n"
        "    time.sleep(60)\n"
        "def handler(event, context): return 1\n"
    )
    link = Link()
    async with setting.engine(count=0) as engine:
        setting.agents.add("first", await link.open(setting.agents.listener))
        await setting.watch.until(lambda watch: watch.joined)
        task = asyncio.ensure_future(engine.invoke("f", {}))
        await written(mark)
        link.close()
        await setting.watch.until(lambda watch: watch.lost)
        setting.agents.add("second")
        outcome = await task

    assert 1 == outcome.payload


async def test_an_agent_that_is_told_to_end_finishes_first(setting, mark, written):
    """SIGTERM: what runs ends, then the process, with exit code 0."""
    async with setting.engine(count=0) as engine:
        process = setting.start("leaving")
        await setting.watch.until(lambda watch: watch.joined)
        await engine.invoke("f", {})
        task = asyncio.ensure_future(engine.invoke("f", {"until": str(mark), "value": 7}))
        await written(mark.with_suffix(".begun"))
        process.terminate()
        await asyncio.sleep(0.2)
        mark.touch()
        outcome = await task
        code = await asyncio.to_thread(process.wait, 60)

    assert (7, 0) == (outcome.payload, code)
    assert [("leaving", "left")] == setting.watch.lost


async def test_an_agent_that_is_told_to_end_does_not_call_its_engine_gone(setting):
    """It is the agent that goes."""
    async with setting.engine(count=0):
        agent = setting.agents.add("leaving")
        while not setting.agents.said:
            await asyncio.sleep(0.01)
        await agent.drain(20)
        await setting.agents.ended()

    [line] = setting.agents.said
    assert line.startswith("leaving serves the engine at ")


async def test_an_agent_that_is_told_to_end_while_it_connects_ends(setting):
    """It takes no work that it would have to finish first."""
    link = Link()
    async with setting.engine(count=0):
        link.passes.clear()
        agent = setting.agents.add("leaving", await link.open(setting.agents.listener))
        await link.accepted.wait()
        await agent.drain(20)
        link.passes.set()
        async with asyncio.timeout(60):
            await setting.agents.ended()
        link.close()

    assert [] == setting.agents.said


async def test_an_asynchronous_event_runs_again_elsewhere_when_its_node_is_lost(setting, mark, written):
    """The engine's ordinary second attempt; nothing is lost."""
    settings = {"retry_wait_s": 0.3}
    link = Link()
    async with setting.engine(count=0, settings=settings) as engine:
        setting.agents.add("first", await link.open(setting.agents.listener))
        await setting.watch.until(lambda watch: watch.joined)
        await engine.invoke("f", {})
        begun = mark.with_suffix(".begun")
        await engine.submit("f", {"hangs_once": str(begun), "touch": str(mark)})
        await written(begun)
        link.close()
        await setting.watch.until(lambda watch: watch.lost)
        setting.agents.add("second")
        await written(mark)
        await asyncio.sleep(0.1)

    assert "x" == mark.read_text()


async def test_an_agent_whose_engine_is_gone_ends_its_environments_and_serves_the_next_engine(setting):
    """It connects again for as long as it runs."""
    async with setting.engine(count=0) as engine:
        setting.start("stays")
        await setting.watch.until(lambda watch: watch.joined)
        first = await engine.invoke("f", {"value": 1})
        port = setting.agents.listener[1]
    async with setting.engine(count=0, port=port) as engine:
        second = await engine.invoke("f", {"value": 2})

    assert [1, 2] == [first.payload, second.payload]
    assert second.cold_start


# ---------------------------------------------------------------- peers that are none


async def hello_of(listener, secret, version=VERSION, name="n", nonce=None):
    """What an agent would send; and the connection, its challenge read."""
    reader, writer = await asyncio.open_connection(*listener)
    challenge = await reader.readexactly(len(wire.MAGIC) + wire.NONCE_BYTES)
    details = wire.AgentDetails("agent", name, version, "3.11.0", 1, 1000, own_tmp=False).encode()
    incarnation = b"i" * wire.INCARNATION_BYTES
    proof = wire.prove(secret, b"agent", nonce or challenge[len(wire.MAGIC) :], incarnation, details)
    hello = proof + incarnation + details
    return reader, writer, len(hello).to_bytes(2, "little") + hello


async def refusal(reader):
    size = int.from_bytes(await reader.readexactly(2), "little")
    answer = await reader.readexactly(size)
    return answer[0], answer[1:].decode()


async def test_who_does_not_know_the_secret_is_refused(setting):
    """And told so; whoever runs the engine is told too."""
    async with setting.engine(count=0, secret="right"):
        reader, writer, hello = await hello_of(setting.agents.listener, b"wrong")
        writer.write(hello)
        answer = await refusal(reader)
        writer.close()

    assert (0, "it does not know the secret of this engine") == answer
    assert any("an agent was refused" in line for line in setting.lines)
    assert [] == setting.watch.joined


async def test_a_hello_holds_for_one_connection_alone(setting):
    """Who has heard one cannot say it again."""
    async with setting.engine(count=0, secret="right"):
        _, first, hello = await hello_of(setting.agents.listener, b"right")
        first.write(hello)
        await setting.watch.until(lambda watch: watch.joined)
        reader, second, _ = await hello_of(setting.agents.listener, b"right")
        second.write(hello)
        answer = await refusal(reader)
        first.close()
        second.close()

    assert (0, "it does not know the secret of this engine") == answer
    assert ["n"] == setting.watch.joined


async def test_an_agent_of_another_version_is_refused_with_what_to_do(setting):
    """The frames may have changed."""
    async with setting.engine(count=0):
        reader, writer, hello = await hello_of(setting.agents.listener, b"", version="0.0.1")
        writer.write(hello)
        answer = await refusal(reader)
        writer.close()

    assert 0 == answer[0]
    assert "install the same on both" in answer[1]


async def test_who_says_something_else_or_nothing_is_cut_off(setting, monkeypatch):
    """After two seconds, or four kilobytes; nobody else notices."""
    monkeypatch.setattr(handshake, "HELLO_S", 0.2)
    async with setting.engine(count=1) as engine:
        ends = 0
        for said in (b"GET / HTTP/1.1\r\n\r\n" * 400, b"\xff" * 100, b""):
            reader, writer = await asyncio.open_connection(*setting.agents.listener)
            writer.write(said)
            with contextlib.suppress(ConnectionError):
                await reader.read()  # to the end, which comes
            ends += 1
            writer.close()
        outcome = await engine.invoke("f", {"value": 1})

    assert (3, 1) == (ends, outcome.payload)


async def test_a_known_agent_that_sends_what_none_sends_is_cut_off(setting, impatient):
    """A frame of no operation, or of impossible size."""
    frames = (
        wire.HEAD.pack(5, 99, 0),
        wire.HEAD.pack(1 << 30, wire.BEAT, 0),
        wire.HEAD.pack(5, wire.BEAT, 0),
    )
    async with setting.engine(count=0):
        for number, frame in enumerate(frames):  # the last one alone can be read, and nothing follows it
            _, writer, hello = await hello_of(setting.agents.listener, b"", name=f"n{number}")
            writer.write(hello + frame)
            with impatient():
                await setting.watch.until(lambda watch, count=number: len(watch.lost) > count)
            writer.close()

    assert ["n0", "n1", "n2"] == [node for node, _ in setting.watch.lost]


def test_without_a_secret_only_loopback_is_listened_on(tmp_path, monkeypatch):
    """What connects is sent code and events."""
    monkeypatch.delenv("ENGINE_CLUSTER_SECRET", raising=False)
    file = tmp_path / "secret"
    file.write_text("from a file\n")

    assert b"" == secret_of(ClusterConfig(host="127.0.0.1"))
    assert b"from a file" == secret_of(ClusterConfig(host="0.0.0.0", secret_file=str(file)))
    with pytest.raises(EngineError, match="name a secret_file, or set ENGINE_CLUSTER_SECRET"):
        secret_of(ClusterConfig(host="0.0.0.0"))
    monkeypatch.setenv("ENGINE_CLUSTER_SECRET", "of the environment")
    assert b"of the environment" == secret_of(ClusterConfig(host="0.0.0.0"))
