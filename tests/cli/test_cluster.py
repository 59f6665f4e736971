"""`engine cluster`: which cores nodes get, and what nodes there are. Ray's own are in tests of Ray."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.cli.cluster import shares


@pytest.mark.parametrize(
    ("cores", "nodes", "cpus", "expected"),
    [
        ([0, 1, 2, 3], 2, None, [{0, 1}, {2, 3}]),
        ([4, 6], 2, 1, [{4}, {6}]),
        ([0, 1, 2], 2, 1, [{0}, {1}]),
        ([5], 3, None, [{5}, {5}, {5}]),
    ],
)
def test_nodes_share_the_cores_out(cores, nodes, cpus, expected):
    """Only where there are fewer cores than nodes do two of them have the same one, unless told how many."""
    assert expected == shares(cores, nodes, cpus)


def test_more_cores_than_there_are_is_refused_before_anything_starts():
    done = CliRunner().invoke(main, ["cluster", "up", "--nodes", "16", "--cpus", "4096"])

    assert 2 == done.exit_code
    assert "16 nodes of 4096 cores need 65536, and there are" in done.output


ENGINE = [sys.executable, "-m", "engine"]
SERVE = [
    *("serve", "app.handler", "--log-format", "off", "--cluster", "127.0.0.1:0"),
    *(word for name in ("http", "aws", "admin") for word in (f"--{name}", "127.0.0.1:0")),
]


def status(url, *words):
    return CliRunner().invoke(main, ["cluster", "status", "--url", url, *words])


@pytest.mark.real_time
def test_the_address_that_is_told_is_where_agents_connect_and_status_shows_them(tmp_path):
    """Also where the system chose the port. Before the first of them it says that there is none."""
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return event\n")
    started = [subprocess.Popen([*ENGINE, *SERVE], cwd=tmp_path, stdout=subprocess.PIPE)]
    try:
        ready = json.loads(started[0].stdout.readline())
        empty = status(ready["admin"])
        agent = [*ENGINE, "agent", ready["cluster"], "--name", "here", "--cache", str(tmp_path / "cache")]
        started.append(subprocess.Popen(agent, cwd=tmp_path))
        while not (nodes := json.loads(status(ready["admin"], "--json").stdout)["nodes"]):
            time.sleep(0.05)
        table = status(ready["admin"]).stdout.splitlines()
    finally:
        for process in reversed(started):
            process.terminate()
            process.communicate(timeout=100)

    assert (0, "", "no nodes: no agent has connected\n") == (empty.exit_code, empty.stdout, empty.stderr)
    assert [["node", "state", "address", "cores"], ["here"]] == [table[0].split()[:4], table[1].split()[:1]]
    assert (["here"], 2) == ([node["name"] for node in nodes], len(table))


@pytest.mark.real_time
def test_an_address_that_is_taken_is_told_once_by_its_key(tmp_path):
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return event\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [*ENGINE, *(address if word == "127.0.0.1:0" else word for word in SERVE[:6]), *SERVE[6:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert (2, "") == (done.returncode, done.stdout)
    [line] = done.stderr.splitlines()
    assert line.startswith("error: cluster.listen: error while attempting to bind on address")


@pytest.mark.real_time
def test_status_of_no_engine_is_one_line():
    done = status("http://127.0.0.1:1")

    assert (2, "") == (done.exit_code, done.stdout)
    assert 1 == len(done.stderr.splitlines())
