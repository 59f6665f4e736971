"""Which Ray cluster is meant, and at which address of this machine its agents find the engine."""

from __future__ import annotations

import pytest

from engine.core.cluster_config import ClusterConfig, RayConfig
from engine.executors.cluster.host_port import joined, split
from engine.executors.cluster.ray_address import KEEPS_LOOPBACK, ClusterNotFound, found
from engine.executors.cluster.ray_executor import reachable


def test_auto_is_the_variable_then_what_was_started_here(tmp_path):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("10.0.0.9:6379\n")
    here = {"RAY_TMPDIR": str(tmp_path)}

    assert "10.0.0.1:1" == found("10.0.0.1:1", {"RAY_ADDRESS": "10.0.0.2:2"})
    assert "10.0.0.2:2" == found("auto", {**here, "RAY_ADDRESS": "10.0.0.2:2"})
    assert "10.0.0.9:6379" == found("auto", {**here, "RAY_ADDRESS": "auto"})


def test_where_there_is_none_the_error_says_how_to_have_one(tmp_path):
    with pytest.raises(ClusterNotFound, match="or start one with `engine cluster up`"):
        found("auto", {"RAY_TMPDIR": str(tmp_path)})


@pytest.mark.parametrize(("host", "text"), [("10.0.0.1", "10.0.0.1:7800"), ("fd00::1", "[fd00::1]:7800")])
def test_host_and_port_are_one_text(host, text):
    assert text == joined(host, 7800)
    assert (host, 7800) == split(text)


def test_a_listener_that_is_named_is_taken_as_it_is():
    named = ClusterConfig("192.0.2.1", 7800, executor="ray")

    assert named == reachable(named)


def test_a_cluster_that_is_on_the_loopback_alone_is_served_there(monkeypatch):
    monkeypatch.setenv(KEEPS_LOOPBACK, "0")
    config = ClusterConfig("", 0, executor="ray", ray=RayConfig("127.0.0.1:6379"))

    assert ("127.0.0.1", 0) == reachable(config)[:2]


def test_a_function_that_names_the_executor_needs_no_table(monkeypatch, tmp_path):
    """The port of clusters without Ray is none of its business."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))

    assert ("127.0.0.1", 0) == reachable(ClusterConfig())[:2]
