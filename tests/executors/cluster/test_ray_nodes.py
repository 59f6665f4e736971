"""On which of Ray's nodes agents are begun, given up, drained and ended; looks stand for seconds."""

from __future__ import annotations

import platform
from typing import Any

import pytest

from engine.executors.cluster.ray_agent_actor import Installed, cleaned
from engine.executors.cluster.ray_nodes import MAX_LOOKS, PATIENCE_S, RayAgents, RayNode
from engine.version import VERSION

OURS = Installed("us", VERSION, platform.python_version())


class Nodes:
    """Nodes by name, each with what its actor answers; an actor is its node's name and a number."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.without_slot: set[str] = set()
        self.without_cpu: set[str] = set()
        self.log: list[str] = []
        self.wishes: list[int] = []
        self.drained: set[str] = set()

    def nodes(self) -> list[RayNode]:
        return [
            RayNode(name, name.upper(), name not in self.without_slot, name not in self.without_cpu)
            for name in self.answers
        ]

    def begin(self, row: RayNode) -> tuple[str, str]:
        self.log.append(f"begin {row.node_id}")
        return row.node_id, row.node_id

    def answered(self, pending: str) -> Any:
        return self.answers[pending]

    def drain(self, actor: str) -> str:
        self.log.append(f"drain {actor}")
        return actor

    def is_over(self, pending: str) -> bool:
        return pending in self.drained

    def end(self, actor: str) -> None:
        self.log.append(f"end {actor}")

    def wish(self, agents: int) -> None:
        self.wishes.append(agents)


def keeper(nodes: Nodes, *, autoscaler: bool = False) -> tuple[RayAgents, list[str]]:
    said: list[str] = []
    return RayAgents(nodes, said.append, owner="us", autoscaler=autoscaler), said


def look(agents: RayAgents, times: int) -> None:
    for _ in range(times):
        agents.look()


def test_each_node_gets_one_agent_also_one_that_comes_later_or_comes_back():
    """A node is known by its id, which a restart of it changes."""
    nodes = Nodes(a=OURS)
    agents, said = keeper(nodes)
    look(agents, 3)
    nodes.answers |= {"b": OURS}
    look(agents, 3)
    del nodes.answers["b"]
    agents.look()
    nodes.answers |= {"b2": OURS}
    look(agents, 3)

    assert ["begin a", "begin b", "begin b2"] == nodes.log
    assert ["a", "b2"] == agents.actors()
    assert [] == said


def test_a_node_that_offers_nothing_to_run_on_gets_none():
    """Such is a head or an engine's own machine that has joined with --num-cpus=0."""
    nodes = Nodes(head=OURS, slot=OURS, cpu=OURS)
    nodes.without_cpu = {"head", "slot"}
    nodes.without_slot = {"head", "cpu"}
    agents, _ = keeper(nodes)
    agents.look()

    assert ["begin slot", "begin cpu"] == nodes.log


def test_an_actor_that_does_not_answer_is_given_up_told_once_and_tried_ever_more_seldom():
    nodes = Nodes(a=None)
    agents, said = keeper(nodes)
    look(agents, 1 + MAX_LOOKS)
    first = list(nodes.log)
    look(agents, 100)

    assert ["begin a", "end a"] == first
    assert 4 <= nodes.log.count("begin a") <= 6
    assert 1 == len(said)
    assert f"node A: no answer within {MAX_LOOKS} s" in said[0]


@pytest.mark.parametrize(
    ("installed", "says"),
    [
        (OURS._replace(version=""), f"no engine, and this is {VERSION}: pip install"),
        (OURS._replace(version="0.0.1"), "engine 0.0.1"),
        (OURS._replace(python="2.7.18"), "Python 2.7.18"),
        (ValueError("this is why\nand so on"), "this is why; it is tried again"),
    ],
)
def test_a_node_that_cannot_be_used_is_left_out_and_told_of_in_one_sentence(installed, says):
    nodes = Nodes(a=OURS, b=installed)
    agents, said = keeper(nodes)
    look(agents, 2)

    assert ["a"] == agents.actors()
    assert 1 == len(said)
    assert says in said[0]
    assert "\n" not in said[0]


def test_the_actor_of_an_engine_before_is_replaced():
    nodes = Nodes(a=OURS._replace(owner="them"))
    agents, said = keeper(nodes)
    look(agents, 2)
    nodes.answers["a"] = OURS
    look(agents, 3)

    assert ["begin a", "end a", "begin a"] == nodes.log
    assert [] == said


def test_wishes_reach_an_autoscaler_and_nobody_else():
    with_one, without = Nodes(a=OURS), Nodes(a=OURS)
    asking, _ = keeper(with_one, autoscaler=True)
    quiet, _ = keeper(without)
    for count in (3, 3, 0):
        asking.wish(count)
        quiet.wish(count)

    assert [3, 0] == with_one.wishes
    assert [] == without.wishes


def test_of_what_is_not_wished_for_the_newest_is_drained_before_it_is_ended():
    """And one always stays: somebody has to take the first invocation."""
    nodes = Nodes(a=OURS, b=OURS, c=OURS)
    agents, _ = keeper(nodes, autoscaler=True)
    agents.wish(2)
    look(agents, 3)
    nodes.log.clear()
    agents.wish(0)
    look(agents, 3)
    draining = list(nodes.log)
    nodes.drained.add("b")
    look(agents, 2)
    agents.wish(3)
    look(agents, 2)

    assert ["drain b"] == draining
    assert ["drain b", "end b", "begin b", "begin c"] == nodes.log


def test_one_that_does_not_drain_is_ended_once_every_invocation_would_have_ended():
    nodes = Nodes(a=OURS, b=OURS)
    agents, _ = keeper(nodes, autoscaler=True)
    agents.wish(2)
    look(agents, 2)
    agents.wish(1)
    look(agents, PATIENCE_S)
    meanwhile = nodes.log[2:]
    look(agents, 1)

    assert ["drain b"] == meanwhile
    assert ["drain b", "end b"] == nodes.log[2:]


def test_an_agent_starts_without_what_ray_has_set():
    node = {"PATH": "/bin", "PYTHONBREAKPOINT": "mine", "AWS_REGION": "eu-west-1"}
    worker = {
        **node,
        "RAY_AUTH_TOKEN": "t",
        "RAY_JOB_ID": "1",
        "OMP_NUM_THREADS": "1",
        "SPT_NOENV": "1",
    }

    assert node == cleaned(worker)
    assert {} == cleaned({"PYTHONBREAKPOINT": "ray.util.rpdb.set_trace"})
