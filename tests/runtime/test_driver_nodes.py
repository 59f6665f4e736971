"""Environments on the nodes of a cluster: an executor says where each is, and what runs there carries it."""

import asyncio

from engine.core.cluster_nodes import NodeEnvironments
from engine.core.engine_events import Initialised
from engine.core.error_bodies import InitFailure
from engine.core.outcome import Status
from engine.testing import Act, RecordingObserver


async def test_an_invocation_runs_on_the_node_of_its_environment(runtime):
    """Cold or warm; a node is named before the environment is ready."""
    seen = []

    def act(invocation):
        seen.append((invocation.env_id, invocation.node))
        return Act(takes_s=1.0)

    driver = runtime.add(act=act)
    runtime.open()
    first, second = runtime.send(), runtime.send()
    driver.placed(1, "a")
    driver.placed(2, "b")
    await asyncio.gather(first, second)
    await runtime.call()

    assert [(1, "a"), (2, "b"), (2, "b")] == seen
    assert ["a", "b"] == [
        notice.node for notice in runtime.observer.notices if isinstance(notice, Initialised)
    ]


async def test_a_fleet_counts_its_environments_by_node(runtime):
    """By state; those of the engine's own machine are in no node."""
    driver = runtime.add(init=lambda number: 0.5 if number < 4 else 100.0)
    runtime.open()
    waiting = [runtime.send() for _ in range(3)]
    for env_id, node in ((1, "a"), (2, "a"), (3, "b")):
        driver.placed(env_id, node)
    await asyncio.gather(*waiting)
    busy = runtime.send()  # in 3, the freshest
    others = [runtime.send() for _ in range(2)]
    late = [runtime.send() for _ in range(2)]
    driver.placed(4, "c")
    by_node = driver.by_node()

    assert {
        "a": NodeEnvironments(busy=2),
        "b": NodeEnvironments(busy=1),
        "c": NodeEnvironments(starting=1),
    } == by_node
    await asyncio.gather(busy, *others, *late)
    assert NodeEnvironments(idle=2) == driver.by_node()["a"]
    driver.placed(99, "z")  # it was ended before its node was known
    assert "z" not in driver.by_node()
    runtime.dispatcher.abandon()


async def test_an_init_that_fails_names_its_node(runtime):
    """The environment is gone by the time its caller is answered."""
    began = []

    class Watching(RecordingObserver):
        def began(self, invocation):
            began.append(invocation.node)

    runtime.observer = Watching()
    driver = runtime.add(init=lambda _: InitFailure("OSError", "no table"))
    runtime.open()
    waiting = runtime.send()
    driver.placed(1, "a")
    outcome = await waiting
    [notice] = runtime.observer.notices

    assert (Status.INIT_ERROR, "a") == (outcome.status, notice.node)
    assert ["a"] == began


async def test_an_environment_that_no_node_is_named_for_is_on_the_own_machine(runtime):
    """Executors on one machine never name one."""
    seen = []
    driver = runtime.add(act=lambda invocation: seen.append(invocation.node) or Act())
    runtime.open()
    await runtime.call()

    assert ([""], {}) == (seen, driver.by_node())
