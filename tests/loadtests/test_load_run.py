"""A load test from end to end: an engine, Locust, and sums that agree."""

import importlib.util
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.common.processes import LoadTestError, running_engine

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="locust is not installed"),
]


def run(*arguments):
    """`python -m loadtests.run` with `arguments`."""
    command = [sys.executable, "-m", "loadtests.run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "throttles"), [("steady", False), ("overload", True)])
def test_the_engine_counts_what_the_callers_saw(scenario, throttles):
    """No request is lost or counted twice, served or refused."""
    done = run("--scenario", scenario, "--seconds", "2", "--json")

    report = json.loads(done.stdout or "{}")
    assert ([], 0) == (report.get("problems"), done.returncode), done.stderr
    assert all(count["callers"] == count["engine"] for count in report["counts"])
    assert throttles == any("throttled" in row["name"] for row in report["rows"])


def test_a_mistake_costs_one_clear_line():
    """Nothing is started for what cannot be run."""
    done = run("--users", "0")

    assert 2 == done.returncode
    assert done.stderr.endswith("argument --users: 0 is below 1\n")


def test_an_engine_that_does_not_start_says_why():
    """The reason is the engine's own, not a traceback of the load test."""
    with pytest.raises(LoadTestError) as raised, running_engine(["--memory-mb", "1"]):
        pytest.fail("it started")

    assert str(raised.value).startswith("the engine ended before it was ready; the engine's last words:\n")
    assert "memory_mb: 1 is below 128" in str(raised.value)


def test_an_engine_is_ended_when_the_load_test_fails():
    """Whatever goes wrong outside, no child stays behind."""
    seen = {}

    def fail():
        with running_engine() as urls:
            seen.update(urls)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    host, port = seen["admin"].removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
