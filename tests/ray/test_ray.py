"""An engine on a Ray cluster of two nodes: who is there, and what becomes of what runs on one that goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tests.network_namespaces import Node
from tests.ray.ray_cluster import BIN, HEAD, LIMIT_S, ONE_AGENT, PORT, Cluster, Engine, listens, until

pytestmark = pytest.mark.real_time

APP = "app=app.handler --timeout-s 50"
FREE = [f"--{listener} 127.0.0.1:0" for listener in ("http", "aws", "admin")]
ANSWERED_S = 1.0
"""What it may take from the loss of a node to the answers of those whose invocation ran there."""


WISHED = """
import sys
from ray._raylet import GcsClient
found = GcsClient(address=sys.argv[1]).internal_kv_get(b"autoscaler_resource_request", None)
print(found.decode() if found else "null")
"""
"""Prints what an autoscaler reads: the resources that all nodes together are to have at least."""


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
        process = cluster.serve(cluster.head, APP, "--ray", cluster.address, *FREE, **variables)
        said, _ = process.communicate(timeout=LIMIT_S)

        assert 0 != process.returncode
        assert says in said
        assert "Traceback" not in said
        assert "ready" not in said


def test_a_cluster_that_asks_nobody_for_a_token_is_refused(cluster):
    """Though the engine has one, which nobody looks at. What insists runs there, and ends however it ends."""
    alone = cluster.switch.add("alone")
    ray = cluster.start(alone, *HEAD, *ONE_AGENT, RAY_AUTH_MODE="disabled")
    until(lambda: listens(alone, PORT), "it listens")
    address = f"{alone.address}:{PORT}"
    said, _ = cluster.serve(alone, APP, "--ray", address, *FREE).communicate(timeout=LIMIT_S)
    with cluster.engine(APP, "--ray", address, "--insecure-ray", on=alone, wants=1) as engine:
        insisted = engine.call()
        engine.stop(signal.SIGKILL)
        until(lambda: not alone.find("engine"), "what it has started has ended, too")
    alone.kill()
    ray.wait(LIMIT_S)

    assert f"the Ray cluster at {address} asks nobody for a token: set RAY_AUTH_MODE=token" in said
    assert "ready" not in said
    assert "alone" == insisted.payload["node"]


def test_a_cluster_for_trying_listens_on_the_loopback_alone_and_leaves_nothing(cluster):
    node = cluster.switch.add("trial")
    up = node.start(BIN / "engine", "cluster", "up", "--nodes", "2", stdout=subprocess.PIPE, text=True)
    assert up.stdout is not None
    variables = dict(pair.split("=", 1) for pair in up.stdout.readline().split()[1:])
    hosts = {line.split()[3].rpartition(":")[0] for line in node.run("ss", "-Hltn").splitlines()}
    with cluster.engine(APP, "--ray", "auto", on=node, **variables, RAY_AUTH_TOKEN="") as engine:
        nodes = engine.up()
        answer = engine.call()
    (node.root / "tmp" / "app.py").unlink()
    status = up.stop(signal.SIGINT, LIMIT_S)
    up.stdout.close()
    left = node.processes(), node.files()
    node.kill()

    assert {"127.0.0.1", "[::ffff:127.0.0.1]"} == hosts
    assert ["node-1", "node-2"] == nodes
    assert 200 == answer.status
    assert (0, ({}, [])) == (status, left)


def test_nothing_is_left_of_an_engine_that_ends(cluster, engine):
    """No agent, no actor's agent, no file of it on any node."""
    status = engine.stop()
    nodes = cluster.head, far(cluster)
    until(lambda: not any(node.find("engine") for node in nodes), "its processes have ended")

    assert 0 == status
    assert {"ray", "app.py"} == {file for node in nodes for file in node.files()}


def test_an_autoscaler_is_told_how_many_nodes_are_wished_for_and_that_none_is_any_more(cluster):
    """And of two nodes, one is enough: the other has no agent that would keep Ray from removing it."""

    def told() -> object:
        return json.loads(
            cluster.head.run(BIN / "python", "-c", WISHED, cluster.address, env=cluster.variables)
        )

    (cluster.head.root / "tmp" / "engine.toml").write_text(
        f'[ray]\naddress = "{cluster.address}"\nautoscaler = true\n[functions.app]\nhandler = "app.handler"\n'
    )
    with cluster.engine("--config", "engine.toml", wants=1) as engine:
        engine.call()
        up = engine.up()
        until(lambda: [{"agent_slot": 1}] == told(), "the wish is told")
    after = told()

    assert 1 == len(up)
    assert [] == after
