"""Nodes of a cluster on the metrics page, in /nodes.json and in /status.json; none of it on one machine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from engine.core.cluster_nodes import NodeDescription, NodeEnvironments, NodeLoss, NodeReading
from engine.core.engine_events import NodeJoined, NodeLost
from engine.core.outcome import Status
from engine.telemetry.exposition import exposition_of
from engine.telemetry.function_stats import Levels
from engine.telemetry.node_stats import Nodes
from engine.telemetry.nodes_page import nodes_pieces
from engine.telemetry.status import status_document
from engine.telemetry.stepwise_pages import at_once

A = NodeDescription(
    name="a", address="10.0.0.7:41212", cores=2, memory_mb=4000, python="3.13.1", version="1.0", own_tmp=True
)
B = replace(A, name="b", address="[fd00::8]:5", cores=0.5)


class Cluster:
    """The nodes that are there, as an executor would tell of them."""

    def __init__(self, bench) -> None:
        self.there: dict[str, NodeReading] = {}
        self.tell = bench.stats.noticed
        bench.stats.nodes.watch(lambda: list(self.there.values()))

    def join(self, *nodes: NodeDescription) -> None:
        for node in nodes:
            self.there[node.name] = NodeReading(node, 0.1, None, 1.5, 3000)
            self.tell(NodeJoined(node=node))

    def lose(self, name: str, reason: NodeLoss) -> None:
        self.there.pop(name, None)
        self.tell(NodeLost(node=name, reason=reason, environments=0, running=0))


@pytest.fixture
def cluster(bench) -> Cluster:
    return Cluster(bench)


def samples(bench) -> dict[str, float]:
    """Lines of the page about nodes, without the prefix of their names."""
    page = exposition_of(bench.stats).page()[1].decode()
    rows = [line.rpartition(" ") for line in page.splitlines() if line.startswith("engine_node_")]
    return {name.removeprefix("engine_node_"): float(value) for name, _, value in rows}


def nodes(bench) -> list[dict]:
    return json.loads(at_once(nodes_pieces(bench.stats)))["nodes"]


def test_without_a_cluster_no_series_is_there(bench):
    """And /status.json is what it was."""
    bench.run()

    assert ({}, []) == (samples(bench), nodes(bench))
    assert "nodes" not in status_document(bench.stats, uptime_s=1.0)
    assert 'label="node"' not in exposition_of(bench.stats).page()[1].decode()


def test_a_node_that_is_there_shows_what_it_is_and_what_it_does(bench, cluster, ended):
    """What it said when it joined, its last heartbeat, its environments, and what ended there."""
    cluster.join(A, B)
    cluster.there["a"] = NodeReading(A, 0.2, 0.0004, 1.25, 2000)
    bench.register("far", Levels(nodes={"a": NodeEnvironments(1, 2, 3), "b": NodeEnvironments(busy=4)}))
    bench.register("too", Levels(nodes={"a": NodeEnvironments(busy=1)}))
    for status, cold in ((Status.SUCCESS, True), (Status.CRASH, False)):
        invocation, outcome = ended(status=status, cold_start=cold)
        invocation.node = "a"
        bench.stats.began(invocation)
        bench.stats.ended(invocation, outcome, None)
    shown = samples(bench)

    assert {
        'up{node="a"}': 1,
        'joins_total{node="a"}': 1,
        'environments{node="a",state="busy"}': 4,
        'environments{node="a",state="starting"}': 1,
        'environments{node="b",state="busy"}': 4,
        'invocations_total{node="a",outcome="crash"}': 1,
        'invocations_total{node="b",outcome="success"}': 0,
        'cold_starts_total{node="a"}': 1,
        'heartbeat_age_seconds{node="a"}': 0.2,
        'round_trip_seconds{node="a"}': 0.0004,
        'load{node="a"}': 1.25,
        'cores{node="b"}': 0.5,
        'free_memory_bytes{node="a"}': 2000 * 2**20,
        'memory_bytes{node="a"}': 4000 * 2**20,
        'losses_total{node="a",reason="silent"}': 0,
        'info{node="b",address="[fd00::8]",python="3.13.1",version="1.0"}': 1,
    }.items() <= shown.items()
    assert 'round_trip_seconds{node="b"}' not in shown  # no heartbeat was answered yet
    [a, b] = nodes(bench)
    assert ("up", 4000, 2000, {"starting": 1, "idle": 2, "busy": 4}) == (
        a["state"],
        a["memory_mb"],
        a["free_memory_mb"],
        a["environments"],
    )
    assert (1, 1) == (a["invocations"]["crash"], a["cold_starts"])
    assert [a, b] == status_document(bench.stats, uptime_s=1.0)["nodes"]


def test_a_lost_node_is_shown_as_down_and_its_counts_go_on_when_it_returns(bench, cluster):
    """Nothing is said of its load or memory meanwhile."""
    cluster.join(A)
    cluster.lose("a", NodeLoss.SILENT)
    shown = samples(bench)

    assert (0, 1) == (shown['up{node="a"}'], shown['losses_total{node="a",reason="silent"}'])
    assert 'load{node="a"}' not in shown
    assert ["lost"] == [node["state"] for node in nodes(bench)]
    cluster.join(A)
    shown = samples(bench)
    assert (1, 2) == (shown['up{node="a"}'], shown['joins_total{node="a"}'])


def test_a_node_that_left_in_good_order_is_not_down(bench, cluster):
    """A cluster that was made smaller wakes nobody."""
    cluster.join(A)
    cluster.lose("a", NodeLoss.LEFT)

    assert 'up{node="a"}' not in samples(bench)
    assert ["left"] == [node["state"] for node in nodes(bench)]


def test_a_node_that_another_one_replaced_is_still_there(bench, cluster):
    """In whichever order it is told."""
    cluster.join(A, A)
    cluster.tell(NodeLost(node="a", reason=NodeLoss.REPLACED, environments=0, running=0))

    assert (1, 1.5) == (samples(bench)['up{node="a"}'], samples(bench)['load{node="a"}'])


def test_lost_nodes_are_forgotten_after_an_hour():
    """Names of pods that never come back do not pile up."""
    now = [0.0]
    known = Nodes(lambda: now[0])
    for node in (A, B):
        known.noticed(NodeJoined(node=node))
    known.noticed(NodeLost(node="a", reason=NodeLoss.SILENT, environments=0, running=0))
    now[0] = 3599.0
    known.refresh()

    assert {"a", "b"} == known.known.keys()
    now[0] = 3600.0
    known.refresh()
    assert {"b"} == known.known.keys()


def test_above_the_cap_nodes_share_a_label_and_those_that_are_lost_make_room(bench):
    """What runs there is still counted."""
    many = [replace(A, name=f"n{number}") for number in range(4)]
    known = Nodes(lambda: 0.0, cap=2)
    known.watch(lambda: [NodeReading(node, 0.0, None, 0.0, 1) for node in many])
    for node in many:
        known.noticed(NodeJoined(node=node))
        known.ended(node.name, Status.SUCCESS, cold_start=False)
    bench.register("f", Levels(nodes={node.name: NodeEnvironments(idle=1) for node in many}))
    bench.stats.refresh()

    assert {"n0": 1, "n1": 1, "__other__": 2} == {
        name: one.ended["success"] for name, one in known.shown.items()
    }
    assert 2 == known.overflowed
    assert {"starting": 0, "idle": 2, "busy": 0} == known.environments(bench.stats.functions.values())[
        "__other__"
    ]
    known.noticed(NodeLost(node="n0", reason=NodeLoss.SILENT, environments=0, running=0))
    known.noticed(NodeJoined(node=replace(A, name="n9")))
    assert {"n1", "n9"} == known.known.keys()
