"""An engine on a Ray cluster of two nodes: who is there, and what becomes of what runs on one that goes."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.network_namespaces import Node
from tests.ray.ray_cluster import LIMIT_S, Cluster, Engine, until

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(240)]

ANSWERED_S = 1.0
"""What it may take from the loss of a node to the answers of those whose invocation ran there."""


def agent_of(node: Node) -> int:
    [pid] = [pid for pid, line in node.processes().items() if " agent " in line and "-c" in line]
    return pid


def far(cluster: Cluster) -> Node:
    return cluster.switch.nodes["far"]


def there_again(cluster: Cluster, engine: Engine) -> None:
    until(lambda: "far" in engine.up(), "the node is used again")
    for begun in engine.occupy("far", sleep_s=0.2):
        begun.result(LIMIT_S)


def lost_with(engine: Engine, strike) -> tuple[list[str], float]:
    """What `strike`, which takes away the node `far`, does to an invocation on each node.

    Returns the error types, sorted, and the seconds until whoever called for the lost one knew.
    """
    begun = engine.occupy("head", "far", sleep_s=3)
    busy = engine.running()["far"]
    began_s = time.monotonic()
    strike()
    answers = [each.result(LIMIT_S) for each in begun]
    failed = [answer for answer in answers if answer.error]
    assert busy == len(failed)
    assert all(200 == answer.status for answer in answers)
    assert all({"errorType", "errorMessage"} == set(answer.payload) for answer in failed)
    return sorted({answer.payload["errorType"] for answer in failed}), max(a.at_s for a in failed) - began_s


def test_each_node_has_one_agent_which_knows_nothing_of_ray(cluster, engine):
    """And deadlines are told as the time that is left: the far node's clock is a day ahead."""
    begun = [each.result(LIMIT_S) for each in engine.occupy("head", "far", sleep_s=0.5)]

    assert {"head", "far"} == {answer.payload["node"] for answer in begun}
    assert [] == [name for answer in begun for name in answer.payload["ray"]]
    assert {0} == {os.getpriority(os.PRIO_PROCESS, agent_of(node)) for node in cluster.switch.nodes.values()}
    assert all(40 < answer.payload["left_s"] < 50 for answer in begun)


def test_an_agent_that_dies_costs_what_ran_there_one_error_and_starts_again(cluster, engine):
    dead = agent_of(far(cluster))

    errors, answered_s = lost_with(engine, lambda: os.kill(dead, signal.SIGKILL))
    there_again(cluster, engine)

    assert ["Sandbox.Failure"] == errors
    assert answered_s < ANSWERED_S
    assert dead != agent_of(far(cluster))


def test_a_link_that_is_cut_is_noticed_though_nobody_tells(cluster, engine):
    """And the same agent is used once the link is there again."""
    errors, answered_s = lost_with(engine, lambda: cluster.switch.cut(far(cluster)))
    lost = engine.nodes()["far"]["state"]
    cluster.switch.mend(far(cluster))
    there_again(cluster, engine)

    assert ["Sandbox.Failure"] == errors
    assert answered_s < 0.5 + ANSWERED_S
    assert "lost" == lost


def test_a_node_that_dies_costs_what_ran_there_one_error_and_one_that_comes_is_used(cluster, engine):
    """Ray itself takes a node for alive for seconds after its end."""
    errors, answered_s = lost_with(engine, far(cluster).kill)
    cluster.add("far")
    there_again(cluster, engine)

    assert ["Sandbox.Failure"] == errors
    assert answered_s < ANSWERED_S


def test_where_ray_ends_its_agent_ends_too(cluster, engine):
    """The raylet of a node is its life: Ray ends its workers, and they their agent."""
    [raylet] = [pid for pid, line in far(cluster).processes().items() if "/raylet/raylet" in line]
    agent = agent_of(far(cluster))

    errors, _ = lost_with(engine, lambda: os.kill(raylet, signal.SIGKILL))
    until(lambda: not os.path.exists(f"/proc/{agent}"), "the agent has ended")
    far(cluster).kill()
    cluster.add("far")
    there_again(cluster, engine)

    assert ["Sandbox.Failure"] == errors


def test_an_engine_without_the_token_is_refused_in_one_sentence(cluster):
    for variables, says in (
        (
            {"RAY_AUTH_MODE": "disabled"},
            "runs the code of whoever reaches it unless it asks for a token: set",
        ),
        ({"RAY_AUTH_TOKEN": "0" * 48}, "wants another token than the engine has"),
    ):
        free = [f"--{listener} 127.0.0.1:0" for listener in ("http", "aws", "admin")]
        process = cluster.serve("--ray", cluster.address, *free, stdout=subprocess.PIPE, **variables)
        said, _ = process.communicate(timeout=LIMIT_S)

        assert 0 != process.returncode
        assert says in said
        assert "Traceback" not in said
        assert "ready" not in said


def test_nothing_is_left_of_an_engine_that_ends(cluster, engine):
    """No agent, no actor's agent, no file of it on any node."""
    before = {name: node.files() for name, node in cluster.switch.nodes.items()}
    status = engine.stop()
    nodes = cluster.switch.nodes.values()
    until(lambda: not any(node.find("engine") for node in nodes), "its processes have ended")

    assert 0 == status
    assert {"ray", "app.py"} >= {file for name in before for file in cluster.switch.nodes[name].files()}
