"""A load test from end to end: an engine, Locust, sums that agree, and a report that a browser opens."""

import json
import re
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("locust") is None:  # to import it here would patch this whole process for gevent
    pytest.skip("locust is not installed", allow_module_level=True)

from loadtests.common.arrivals import arrivals
from loadtests.common.plan import Plan
from loadtests.common.processes import LoadTestError, running_engine
from loadtests.common.prometheus import PROMETHEUS
from loadtests.run import main

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")

pytestmark = [pytest.mark.real_time, pytest.mark.slow]


def run(*arguments):
    """`python -m loadtests.run` with `arguments`."""
    command = [sys.executable, "-m", "loadtests.run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """A short run of a slow load, with two Locust processes: how it ended, and its folder."""
    folder = tmp_path_factory.mktemp("load") / "out"
    options = ["--duration", "2", "--capacity", "100", "--processes", "2"]
    return run("steady", *options, "--out", str(folder)), folder


def test_a_run_loses_nothing(steady):
    """Whatever the machine is busy with: every check of the sums holds, over two processes."""
    done, folder = steady
    document = json.loads((folder / "run.json").read_text())

    assert done.returncode in (0, 1, 3), done.stderr
    assert [True] * 4 == [one["held"] for one in document["checks"][:4]], document["checks"]
    assert all(one["agrees"] for one in document["conservation"])
    plan = Plan.model_validate_json((folder / "plan.json").read_text())
    planned = {
        name: sum(1 for _ in arrivals(plan.stages, name, spacing=plan.spacing, seed=plan.seed))
        for name in plan.streams
    }
    assert planned == {name: one["success"] for name, one in document["client"]["streams"].items()}
    assert sum(planned.values()) == document["engine"]["invocations"]


@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed")
def test_a_prometheus_saw_the_same(steady):
    """It scrapes both sides, by the names that the dashboard reads."""
    _, folder = steady
    document = json.loads((folder / "run.json").read_text())

    served = sum(one["success"] for one in document["client"]["streams"].values())
    assert [served, served] == [
        document["prometheus"][f"requests that {who}"]
        for who in ("callers saw answered", "the engine received")
    ]
    assert None not in document["prometheus"].values()


def test_a_run_says_how_far_it_is(steady):
    """Each second: the stage, what was due, sent and answered, and what is left."""
    done, _ = steady

    assert re.search(
        r"^ *[\d.]+ s  steady: due \d+/s, sent \d+/s, answered \d+/s, .* [\d.]+ s left$",
        done.stderr,
        re.MULTILINE,
    )


def test_the_exit_status_is_the_verdict(steady):
    """So that a script can go by it."""
    done, folder = steady
    verdict = json.loads((folder / "run.json").read_text())["verdict"]

    assert {"passed": 0, "failed": 1, "generator-limited": 3}[verdict] == done.returncode
    assert f"report: {folder / 'report.html'}" in done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_opens_the_report_without_a_network(steady, tmp_path):
    """What it shows is what run.json says."""
    _, folder = steady
    document = json.loads((folder / "run.json").read_text())
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", (folder / "report.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout

    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', shown, re.DOTALL)
    assert document == json.loads(data.group(1))
    served = sum(one["success"] for one in document["client"]["streams"].values())
    assert f"<b>{document['verdict']}</b><span>verdict</span>" in shown
    assert f"<b>{served:,}</b><span>served</span>" in shown
    assert 6 == shown.count("<svg")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nonsense"], "argument SCENARIO: invalid choice: 'nonsense'"),
        (["--users", "0"], "argument --users: 0 is below 1"),
        (["--scale", "0"], "argument --scale: 0 is not above 0"),
    ],
)
def test_a_mistake_costs_one_clear_line(capsys, arguments, problem):
    """Nothing is started for what cannot be run."""
    with pytest.raises(SystemExit) as raised:
        main(arguments)

    assert 2 == raised.value.code
    assert problem in capsys.readouterr().err.splitlines()[-1]


def test_a_report_does_not_overwrite_another(capsys, tmp_path):
    """Its folder has to be a new one."""
    status = main(["spike", "--out", str(tmp_path)])

    assert 2 == status
    assert capsys.readouterr().err.startswith("error: [Errno 17] File exists")


def test_the_list_says_what_each_scenario_asks(capsys):
    """One line each."""
    status = main(["--list"])

    assert 0 == status
    assert 10 == capsys.readouterr().out.count("?\n")


def test_an_engine_that_does_not_start_says_why():
    """The reason is the engine's own, not a traceback of the load test."""
    with pytest.raises(LoadTestError) as raised, running_engine(["--memory-mb", "1"]):
        pytest.fail("it started")

    assert str(raised.value).startswith("the engine ended before it was ready; the engine's last lines:\n")
    assert "memory_mb: 1 is below 128" in str(raised.value)


def test_an_engine_is_ended_when_the_load_test_fails():
    """Whatever goes wrong outside, no child stays behind."""
    seen = {}

    def fail():
        with running_engine() as engine:
            seen.update(engine.urls)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    host, port = seen["admin"].removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
