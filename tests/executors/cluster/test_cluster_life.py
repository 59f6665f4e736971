"""Functions on nodes: where their environments are, what crosses, and what nodes that come and go change."""

import asyncio
import json

import pytest

from engine import Status

pytestmark = pytest.mark.real_time


async def together(engine, payloads, name="f"):
    return await asyncio.gather(*(engine.invoke(name, payload) for payload in payloads))


async def test_environments_are_spread_once_no_node_has_a_core_to_spare_and_each_runs_where_it_is(
    setting, by_node
):
    """As many on one node as on the other, and every invocation knows its node."""
    async with setting.engine() as engine:
        await setting.watch.until(lambda watch: len(watch.joined) == 2)
        outcomes = await together(engine, [{"s": 0.3, "value": n} for n in range(8)])
        placed = by_node(engine)

    assert list(range(8)) == [outcome.payload for outcome in outcomes]
    assert {"node-0": 4, "node-1": 4} == placed
    assert [("node-0", "left"), ("node-1", "left")] == sorted(setting.watch.lost)


async def test_without_any_node_requests_wait_and_whoever_runs_the_engine_is_told(setting):
    """The first agent that connects has them served."""
    async with setting.engine(count=0) as engine:
        waiting = asyncio.ensure_future(engine.invoke("f", {"value": 1}))
        await asyncio.sleep(0.1)
        was_done = waiting.done()
        setting.agents.add("late")
        outcome = await waiting

    assert not was_done
    assert 1 == outcome.payload
    [line] = [line for line in setting.lines if "no agent is connected" in line]
    assert f"start one on each node by `engine agent 127.0.0.1:{setting.agents.listener[1]}`" in line


async def test_without_any_node_the_limit_of_the_init_is_the_callers_error(setting):
    """As on AWS when an environment does not come up."""
    async with setting.engine(count=0, init_limit_s=0.2) as engine:
        outcome = await engine.invoke("f", {})

    assert (Status.INIT_ERROR, "Sandbox.Timedout") == (outcome.status, outcome.error["errorType"])


async def test_output_and_log_streams_come_from_nodes_and_before_the_answer(setting):
    """What a handler prints is in the log of its invocation."""
    async with setting.engine(count=1) as engine:
        outcome = await engine.invoke("f", {"print": "é" * 40_000})
        at_the_answer = "".join(setting.lines)

    assert outcome.ok
    assert "é" * 40_000 in at_the_answer


async def test_a_deadline_crosses_as_time_left_and_ends_the_environment_there(setting, mark):
    """What the handler was to do after it, it does not do."""
    async with setting.engine(count=1, timeout_s=0.8) as engine:
        outcome = await engine.invoke("f", {"s": 0.9, "touch": str(mark)})
        then = await engine.invoke("f", {"value": 2})
        await asyncio.sleep(0.3)

    assert Status.TIMEOUT == outcome.status
    assert (2, True) == (then.payload, then.cold_start)
    assert not mark.exists()


async def test_small_ones_are_not_delayed_by_large_ones(setting):
    """Bodies of 6 MB are cut into pieces, which take turns."""
    async with setting.engine(count=1) as engine:
        await together(engine, [{"s": 0.1}] * 5)
        large = [asyncio.ensure_future(engine.invoke("f", {"value": "x" * 6_000_000})) for _ in range(4)]
        small = await engine.invoke("f", {"value": 1})
        were_done = [one.done() for one in large]
        outcomes = await asyncio.gather(*large)

    assert 1 == small.payload
    assert [False] * 4 == were_done
    assert {6_000_000} == {len(outcome.payload) for outcome in outcomes}


async def test_provisioned_environments_are_on_nodes_and_come_back_when_theirs_is_lost(setting, idle):
    """They are not given up; a lost one is replaced."""
    async with setting.engine(count=1, provisioned_concurrency=2) as engine:
        await idle(engine, {"node-0": 2})
        first = await together(engine, [{"s": 0.2}] * 2)
        setting.agents.add("second")
        await setting.watch.until(lambda watch: len(watch.joined) == 2)
        await setting.agents.agents[0].drain(5)
        await idle(engine, {"second": 2})
        then = await together(engine, [{"s": 0.2}] * 2)

    assert [Status.SUCCESS] * 4 == [outcome.status for outcome in (*first, *then)]
    assert [False] * 2 == [outcome.cold_start for outcome in first]


async def test_a_node_that_leaves_finishes_what_runs_and_gets_nothing_more(setting, by_node):
    """Idle environments end, busy ones after their work, and those that start do so elsewhere."""
    async with setting.engine() as engine:
        await setting.watch.until(lambda watch: len(watch.joined) == 2)
        await together(engine, [{"s": 0.1}] * 6)
        running = asyncio.ensure_future(together(engine, [{"s": 0.5, "value": n} for n in range(6)]))
        await asyncio.sleep(0.2)
        await setting.agents.agents[0].drain(10)
        outcomes = await running
        placed = by_node(engine)
        after = await together(engine, [{"s": 0.1}] * 6)
        then = by_node(engine)

    assert list(range(6)) == [outcome.payload for outcome in outcomes]
    assert [Status.SUCCESS] * 6 == [outcome.status for outcome in after]
    assert ["node-1"] == list(placed)
    assert {"node-1": 6} == then


def test_an_agent_without_the_functions_python_says_so():
    """The interpreter is the node's: where it lies elsewhere or is missing, the caller's error names it."""
    from engine.core.python_interpreter import PythonInterpreter
    from engine.executors.cluster.messages import OWN_SERIES
    from engine.executors.cluster.session import python_here
    from engine.executors.python_probe import UnusablePython

    with pytest.raises(UnusablePython, match="/nowhere/bin/python does not exist"):
        python_here(PythonInterpreter("/nowhere/bin/python", (3, 11, 0), "/nowhere"), "3.11")
    with pytest.raises(UnusablePython, match="and the engine's is 2"):
        python_here(None, "2.7")
    assert python_here(None, OWN_SERIES) is None


async def test_the_wish_for_agents_grows_with_what_waits_and_ends_with_it(setting):
    """One is enough for what fits on one; none is asked for when nothing is wanted."""
    async with setting.engine(count=0, keep_alive_s=0.1) as engine:
        waiting = asyncio.ensure_future(engine.invoke("f", {}))
        async with asyncio.timeout(20):
            while not setting.agents.wishes:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        wished = list(setting.agents.wishes)
        setting.agents.add("one")
        await waiting
        async with asyncio.timeout(10):
            while setting.agents.wishes[-1]:
                await asyncio.sleep(0.05)

    assert 1 == wished[-1]


async def test_new_code_is_shipped_once_and_old_code_is_forgotten_with_its_last_environment(setting):
    """Nodes keep what they were sent, by digest: the same code is not sent again."""
    async with setting.engine(count=1) as engine:
        one = await engine.invoke("f", {"value": 1})
        setting.write("def handler(event, context): return 2\n")
        engine.sink.renew()
        two = await engine.invoke("f", {})
        setting.write(HANDLER_AGAIN)
        engine.sink.renew()
        three = await engine.invoke("f", {"value": 3})
        kept = sorted(path.name for path in (setting.folder / "nodes" / "node-0").iterdir())

    assert [1, 2, 3] == [one.payload, two.payload, three.payload]
    assert 3 == len(kept)
    assert {64} == {len(name) for name in kept}


HANDLER_AGAIN = "def handler(event, context): return event['value']\n"


async def test_events_of_a_node_are_events_of_the_engine(setting):
    """How far it confines environments, say."""
    async with setting.engine(count=1) as engine:
        await engine.invoke("f", {})
        async with asyncio.timeout(10):
            while not any("processes on node node-0:" in line for line in setting.lines):
                await asyncio.sleep(0.01)


async def test_aws_clients_on_a_node_reach_the_engine(setting, monkeypatch):
    """By a stream over the agent's connection; half-closed, and with more bytes than a window has."""
    received = []

    async def serve(reader, writer):
        received.append(len(await reader.read()))
        writer.write(b"y" * 3_000_000)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    setting.write(
        "import os, socket\n"
        "def handler(event, context):\n"
        "    host, port = os.environ['AWS_ENDPOINT_URL'].removeprefix('http://').split(':')\n"
        "    with socket.create_connection((host, int(port))) as one:\n"
        "        one.sendall(b'x' * 2_000_000)\n"
        "        one.shutdown(socket.SHUT_WR)\n"
        "        size = 0\n"
        "        while data := one.recv(65536):\n"
        "            size += len(data)\n"
        "    return [int(port), size]\n"
    )
    async with setting.engine(count=1) as engine:
        outcome = await engine.invoke("f", {})
    server.close()

    assert [2_000_000] == received
    assert 3_000_000 == outcome.payload[1]
    assert port != outcome.payload[0]


def test_what_is_told_of_an_environment_is_json_of_a_kind():
    """Failures and events come back as they were."""
    from engine.core.engine_events import Confined, Held
    from engine.core.error_bodies import InitFailure
    from engine.executors.cluster.messages import read_event, read_failure, write_event, write_failure

    failures = [
        InitFailure("a", "b"),
        InitFailure("a", "b\udc80", ("c", "d")),
        InitFailure("a", "b", None, b"\xff\x00"),
    ]
    events = [
        Confined(function="f", memory_by="watch", own_tmp=True),
        Held(function="f", by="memory", environment_mb=1, measured=True, fit=2, limit=3, first=False),
    ]

    assert failures == [read_failure(write_failure(failure)) for failure in failures]
    assert events == [read_event(write_event(event), "") for event in events]
    assert "Confined" == json.loads(write_event(events[0]))[0]


async def test_what_environments_are_held_to_holds_on_nodes_too(setting):
    """The memory cap and its figure, SnapStart, and a control group's or a watch's answer."""
    setting.write(
        "import os\n"
        "at_init = os.urandom(4).hex()\n"
        "def handler(event, context):\n"
        "    held = bytearray(event.get('mb', 0) << 20)\n"
        "    held[::4096] = b'x' * len(held[::4096])\n"
        "    import time; time.sleep(event.get('s', 0))\n"
        "    return [at_init, os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']]\n"
    )
    functions = (
        setting.function(memory_mb=128),
        setting.function("snap", snapstart=True),
        setting.function("shared", environment_concurrency=4),
    )
    async with setting.engine(*functions, count=1) as engine:
        small = await engine.invoke("f", {"mb": 40})
        over = await engine.invoke("f", {"mb": 300, "s": 1})
        snapped = await together(engine, [{"s": 0.2}] * 3, "snap")
        shared = await together(engine, [{"s": 0.2}] * 4, "shared")

    assert small.ok
    assert 40 < small.max_memory_mb < 128
    assert (Status.OOM, 128) == (over.status, over.max_memory_mb)
    assert 1 == len({outcome.payload[0] for outcome in snapped})
    assert {"snap-start"} == {outcome.payload[1] for outcome in snapped}
    assert {"lambda-managed-instances"} == {outcome.payload[1] for outcome in shared}
