"""`[ray]`, and what the command line makes of it: functions run on the nodes of a Ray cluster."""

from __future__ import annotations

import pytest

from engine.config import from_functions, from_targets, load_config
from engine.core.cluster_config import ClusterConfig, RayConfig
from engine.core.function import Function
from engine.errors import ConfigError

FUNCTION = '[functions.f]\nhandler = "handlers.hello.handler"\n'
ON_RAY = ClusterConfig("", 0, executor="ray")
"""The address is that by which this machine reaches the cluster, and the port a free one."""


def test_the_table_alone_has_functions_run_there(write):
    config = load_config(write("engine.toml", FUNCTION + "[ray]\n"))

    assert ON_RAY == config.cluster


def test_all_keys(write):
    table = '[ray]\naddress = "10.0.0.1:6379"\nnamespace = "shop"\ninsecure = true\nautoscaler = true\n'
    config = load_config(write("engine.toml", FUNCTION + table))

    assert RayConfig("10.0.0.1:6379", "shop", insecure=True, autoscaler=True) == config.cluster.ray


def test_where_agents_connect_to_can_be_said(write):
    tables = '[ray]\n[cluster]\nlisten = "10.0.0.7:7800"\n'
    config = load_config(write("engine.toml", FUNCTION + tables))

    assert ON_RAY._replace(host="10.0.0.7", port=7800) == config.cluster


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('address = "there"', "ray.address: 'there' is neither 'auto' nor the HOST:PORT of a Ray cluster"),
        ('namespace = "a b"', "ray.namespace: 'a b' is no namespace: 1 to 128 of the characters"),
        ('adress = "auto"', "ray.adress: unknown key, did you mean 'address'?"),
        (
            '[cluster]\nsecret_file = "s"',
            "cluster.secret_file: agents that Ray starts are given another secret",
        ),
    ],
)
def test_a_mistake_costs_one_line(write, table, line):
    with pytest.raises(ConfigError) as refused:
        load_config(write("engine.toml", f"{FUNCTION}[ray]\n{table}\n"))

    [problem] = refused.value.problems
    assert problem.startswith(line)


def test_options_and_python_say_the_same():
    targets = ["handlers.hello.handler"]
    expected = ON_RAY._replace(ray=RayConfig("10.0.0.1:6379", insecure=True))
    given = {"address": "10.0.0.1:6379", "insecure": True}
    function = Function("f", handler="handlers.hello.handler")

    assert expected == from_targets(targets, {"ray": "10.0.0.1:6379", "insecure_ray": True}).cluster
    assert expected == from_functions([function], ray=given).cluster
    assert ClusterConfig() == from_targets(targets, {"ray": None, "insecure_ray": False}).cluster
