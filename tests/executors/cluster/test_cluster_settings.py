"""How a cluster is configured: the table, the option, what runs there, and what an agent is told."""

import pytest
from click.testing import CliRunner

from engine.app.executor_choice import choose
from engine.cli.agent import agent
from engine.config import from_targets, load_config
from engine.core.cluster_config import ClusterConfig
from engine.core.function import Function
from engine.errors import ConfigError
from engine.runtime.platform import Platform

TARGET = "handlers.hello.handler"


def written(tmp_path, text):
    path = tmp_path / "engine.toml"
    path.write_text(f'[functions.f]\nhandler = "app.handler"\n{text}')
    (tmp_path / "app.py").write_text("def handler(event, context): return 1\n")
    return str(path)


def test_without_the_table_nothing_runs_elsewhere(tmp_path):
    """A function may name the executor all the same."""
    config = load_config(written(tmp_path, ""), {}, {})

    assert ClusterConfig() == config.cluster
    assert config.cluster.executor is None


def test_the_table_says_where_to_listen_and_has_functions_run_there(tmp_path):
    """A relative secret file lies beside the configuration."""
    config = load_config(
        written(tmp_path, '[cluster]\nlisten = "10.0.0.5:7801"\nsecret_file = "key"\n'), {}, {}
    )
    [function] = config.functions

    assert ClusterConfig("10.0.0.5", 7801, str(tmp_path / "key"), "cluster") == config.cluster
    assert "cluster" == choose(function, Platform(), elsewhere=config.cluster.executor).executor


def test_the_option_is_the_tables_listen():
    """`engine serve HANDLER --cluster HOST:PORT`."""
    config = from_targets([TARGET], {"cluster": "127.0.0.1:7802"})

    assert (("127.0.0.1", 7802), "cluster") == (config.cluster[:2], config.cluster.executor)


def test_what_is_wrong_with_the_table_is_said_with_its_place(tmp_path):
    """As of every table."""
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, '[cluster]\nlisten = "nowhere"\nport = 1\n'), {}, {})

    assert ["listen", "port"] == sorted(
        problem.rpartition("cluster.")[2].partition(":")[0] for problem in caught.value.problems
    )


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"executor": "auto"}, "cluster"),
        ({"executor": "process"}, "process"),
        ({"executor": "process", "is_package": True}, "cluster"),
        ({"executor": "thread"}, "thread"),
        ({"executor": "auto", "bootstrap": ("./run",)}, "runtime"),
    ],
    ids=str,
)
def test_what_asks_for_another_executor_stays_here(limits, expected):
    """What clients create does not ask: the Lambda API has no such key."""
    function = Function("f", handler="app.handler", **limits)

    assert expected == choose(function, Platform(), looks=lambda *_: False, elsewhere="cluster").executor


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["10.0.0.5:7800"], "what it sends is run: name a --secret-file, or set ENGINE_CLUSTER_SECRET"),
        (["127.0.0.1:0"], "0 is no port to connect to"),
        (["nowhere"], "is not of the form 'HOST:PORT'"),
        (["127.0.0.1:7800", "--secret-file", "/nowhere/key"], "/nowhere/key: No such file or directory"),
        (["127.0.0.1:7800", "--cache", "/proc/none"], "/proc/none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_agent_that_cannot_start_says_why_in_one_line(monkeypatch, arguments, line):
    """Exit code 2."""
    monkeypatch.delenv("ENGINE_CLUSTER_SECRET", raising=False)
    result = CliRunner().invoke(agent, arguments)

    assert 2 == result.exit_code
    assert line in result.output.replace("\n", " ")
    assert "Traceback" not in result.output
