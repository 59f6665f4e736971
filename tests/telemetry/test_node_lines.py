"""What the platform's log says of the nodes of a cluster; without one, not a word is added."""

from dataclasses import replace

import pytest

from engine.core.cluster_nodes import NodeDescription, NodeLoss
from engine.core.engine_events import (
    Confined,
    EndedForMemory,
    Initialised,
    InitsLimit,
    NodeJoined,
    NodeLost,
)
from engine.core.outcome import Status

NODE = NodeDescription(
    name="b",
    address="10.0.0.7:41212",
    cores=2,
    memory_mb=3900,
    python="3.13.1",
    version="1.0.0",
    own_tmp=True,
)


def test_who_joins_says_what_it_brings(text):
    """Where from, how large, and what it runs."""
    text.log.noticed(NodeJoined(node=NODE))
    text.log.noticed(NodeJoined(node=replace(NODE, cores=1.0, own_tmp=False)))

    assert (
        "[engine] node b has joined from 10.0.0.7:41212: 2 cores, 3900 MB, Python 3.13.1, engine 1.0.0\n"
        "[engine] node b has joined from 10.0.0.7:41212: 1 core, 3900 MB, Python 3.13.1, engine 1.0.0; "
        "its environments share one /tmp\n"
    ) == text.turn()


@pytest.mark.parametrize("reason", NodeLoss)
def test_who_is_lost_says_why_and_what_went_with_it(text, events, reason):
    """Each reason has words of its own."""
    notice = NodeLost(node="b", reason=reason, environments=12, running=3)
    text.log.noticed(notice)
    events.log.noticed(notice)
    line = text.turn()

    assert line.startswith("[engine] node b ")
    assert line.endswith(
        "; 12 environments went with it, and 3 running invocations are answered with an error\n"
    )
    [event] = events.events()
    assert ("engine.nodeLost", reason.value, 12) == (
        event["type"],
        event["record"]["reason"],
        event["record"]["environments"],
    )


def test_what_a_machine_is_short_of_names_the_node(text, events):
    """Each node is short of its own."""
    notices = (
        Confined(function="hello", memory_by="cgroup", own_tmp=True, node="b"),
        EndedForMemory(function="hello", resident_mb=90, node="b"),
    )
    for notice in notices:
        text.log.noticed(notice)
        events.log.noticed(notice)
    lines = text.turn().splitlines()

    assert lines[0].startswith("[engine] processes on node b: control groups cap memory; ")
    assert lines[1].startswith("[engine] hello on node b: invocations have taken all memory")
    assert ["b", "b"] == [event["record"]["node"] for event in events.events()]


@pytest.mark.parametrize(
    ("on_nodes", "who"), [(False, "this machine starts"), (True, "all nodes together start")]
)
def test_how_many_environments_start_a_second_is_said_of_where_they_start(text, on_nodes, who):
    """Cores of a cluster are those of all its nodes."""
    text.log.noticed(
        InitsLimit(
            function="hello", cpu_s=0.2, per_s=40.0, on_nodes=on_nodes, waiting=90, preloaded_per_s=None
        )
    )

    assert (
        f"[engine] hello: inits limit it: each takes 0.2 s of a CPU, so {who} 40 environments a second; "
        "90 wait\n"
    ) == text.turn()


def test_failures_name_the_node_they_happened_on(text, events, ended):
    """In text, AWS's own lines stay as they are; in JSON it stands with what is the engine's."""
    failed = Initialised(function="hello", init_s=0.1, error_type="Runtime.ExitError", node="b")
    invocation, outcome = ended(status=Status.CRASH)
    invocation.node = "b"
    for log in (text.log, events.log):
        log.noticed(failed)
        log.ended(invocation, outcome, "Runtime.ExitError")
    lines = text.turn().splitlines()

    assert "[engine] hello on node b: Runtime.ExitError: None" == lines[0]
    assert f"[engine] hello: {outcome.request_id} ended its environment on node b" in lines
    assert ["platform.initReport", "platform.report"] == [
        event["type"] for event in events.events() if event["record"].get("engine", {}).get("node") == "b"
    ]
