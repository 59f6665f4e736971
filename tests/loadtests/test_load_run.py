"""A load test from end to end: an engine, Locust, sums that agree, and a report that a browser opens."""

import json
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

if find_spec("locust") is None:  # to import it here would patch this whole process for gevent
    pytest.skip("locust is not installed", allow_module_level=True)

from engine.cli import main
from engine.load.data_files import CONFIG
from engine.load.errors import LoadTestError
from engine.load.planning.arrivals import arrivals
from engine.load.planning.plan import Plan
from engine.load.running.engine_process import running_engine
from engine.load.running.prometheus import PROMETHEUS
from tests.bench import load_limits

ROOT = Path(__file__).parents[2]
HANDLER = "handlers.hello.handler"
SCENARIOS_OWN = ("--config", str(CONFIG))
CHROMIUM = shutil.which("chromium")

pytestmark = [pytest.mark.real_time, pytest.mark.slow]


def run(*arguments):
    """`engine load` with `arguments`."""
    command = [sys.executable, "-m", "engine", "load", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


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


@pytest.mark.parametrize("name", ["concurrency", "generator"])
def test_an_overload_names_its_limit(name, tmp_path):
    """Two cases of `tests.bench.load_limits`, cut short: by its name, and each request has one end.

    The suite's other workers may be what limits a run, so there are three.
    """
    runs = []
    while len(runs) < 3 and not (runs and runs[-1]["right"]):
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        runs.append(load_limits.run(name, load_limits.CASES[name], folder, seconds=2))

    assert [True] * len(runs) == [one["sums"] for one in runs], runs
    assert runs[-1]["right"], runs


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


class Cutting(socketserver.BaseRequestHandler):
    """Begins each answer with a chunk, and closes the connection without the last one."""

    def handle(self):
        self.request.recv(65_536)
        self.request.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n")


def test_an_answer_that_is_cut_has_failed(tmp_path):
    """Its status was 200: so do streamed responses end whose function fails in the middle."""
    options = ["--rate", "10", "--duration", "1", "--warmup", "0", "--no-prometheus"]
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Cutting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        done = run("--url", url, *options, "--out", tmp_path / "out")
        server.shutdown()

    assert 1 == done.returncode
    assert "incomplete answer" in done.stdout
    assert re.search(r"^served +0$", done.stdout, re.MULTILINE)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_opens_the_report_without_a_network(steady, tmp_path):
    """What it shows is what run.json says."""
    _, folder = steady
    document = json.loads((folder / "run.json").read_text())
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", (folder / "report.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout

    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', shown, re.DOTALL)
    assert document == json.loads(data.group(1))
    served = sum(one["success"] for one in document["client"]["streams"].values())
    assert f"<b>{document['verdict']}</b><span>verdict</span>" in shown
    assert f"<b>{served:,}</b><span>served</span>" in shown
    assert 10 == shown.count("<svg")


def refusals(arguments):
    """What is printed, by command lines that start nothing: the exit code and the lines."""
    done = CliRunner().invoke(main, ["load", *arguments])
    return done.exit_code, done.output.splitlines()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "error: name MODULE.FUNCTION, a scenario (see --list), --config FILE or --url URL"),
        (["spiky"], "error: 'spiky' is neither MODULE.FUNCTION nor a scenario, did you mean 'spike'?"),
        (["spike", "--users", "0"], "Error: Invalid value for '--users': 0 is no whole number from 1"),
        (["spike", "--scale", "0"], "Error: Invalid value for '--scale': 0 is no number above 0"),
        (["spike", "--rate", "5"], "error: --rate: spike has stages of its own"),
        (["spike", "--event", "{}"], "error: --event needs a function in the place of the scenario's own"),
        ([HANDLER, "--scale", "2"], "error: --scale: needs a SCENARIO"),
        ([HANDLER, "--rate", "5", "--profile", "5"], "error: --rate and --profile exclude each other"),
        ([HANDLER, "--profile", "wave:3"], "error: 'wave:3': no such traffic (known: "),
        ([HANDLER, "--profile", "trace:none.csv"], "error: none.csv: "),
        ([HANDLER, "--event", "{"], "error: --event {: not JSON: "),
        ([HANDLER, "--event", "none.json"], "error: --event none.json: no such file or folder, and not JSON"),
        ([HANDLER, "--slo", "p99=300"], "error: --slo 'p99=300': '300' needs a unit: us, ms or s"),
        ([HANDLER, "--slo", "p98=1ms,speed=3"], "error: --slo 'speed=3': no such objective (known: "),
        ([HANDLER, "--duration", "soon"], "Error: Invalid value for '--duration': 'soon' is no time: "),
        ([HANDLER, "--stub", "dynamdb=8ms"], "did you mean 'dynamodb'?; write TARGET=LATENCY[,ERRORS%]"),
        ([HANDLER, "--stub", "dynamodb=8"], "error: --stub 'dynamodb=8': '8' is neither a latency with its "),
        (["--url", "http://127.0.0.1:1", "--stub", "s3=1ms"], "error: --stub: with --url the handlers run "),
        ([HANDLER, "--stop-on-breach"], "error: --stop-on-breach needs --slo"),
        ([HANDLER, "--url", "localhost"], "error: --url localhost: not an http:// or https:// URL"),
        ([HANDLER, "--path", "/x"], "error: --path needs --via http"),
        ([HANDLER, "--via", "http", "--path", "x"], "error: --path x: must begin with /"),
        ([HANDLER, "--via", "http", "--method", "SHOUT"], "error: --method SHOUT: no method of HTTP"),
        ([HANDLER, "--publish", "x"], "error: --publish: needs a SCENARIO"),
        ([HANDLER, "--duration", "0"], "error: --duration must be above 0"),
        ([HANDLER, "--compare", "none.json"], "error: --compare none.json: No such file or directory"),
        ([HANDLER, "--function", "x"], "error: --function NAME needs --config FILE or --url URL"),
        (["--config", "none.toml"], "error: none.toml: "),
        (["nowhere.handler"], "error: nowhere.handler: no module 'nowhere' in "),
    ],
)
def test_a_mistake_costs_one_clear_line(arguments, problem, monkeypatch, tmp_path):
    """Nothing is started, and no folder is made, for what cannot be run."""
    monkeypatch.chdir(tmp_path)
    code, lines = refusals(arguments)

    assert 2 == code
    assert problem in lines[-1]
    assert [] == list(tmp_path.iterdir())


def test_the_extra_that_is_missing_is_named(monkeypatch):
    """What to type, in one line; `--help` needs nothing."""
    monkeypatch.setitem(sys.modules, "locust", None)
    monkeypatch.setitem(sys.modules, "hdrh", None)
    line = "error: engine load needs locust and hdrh: pip install 'invocation-engine[loadtest]'"

    assert (2, [line]) == refusals([HANDLER])
    assert 0 == CliRunner().invoke(main, ["load", "--help"]).exit_code


def test_a_report_does_not_overwrite_another(tmp_path):
    """Its folder has to be a new one."""
    assert (2, [f"error: {tmp_path}: File exists"]) == refusals(["spike", "--out", str(tmp_path)])


def test_the_list_says_what_each_scenario_asks():
    """One line each."""
    code, lines = refusals(["--list"])

    assert 0 == code
    assert [True] * 10 == [line.endswith("?") for line in lines]


def test_an_engine_that_does_not_start_says_why():
    """The reason is the engine's own, not a traceback of the load test."""
    with pytest.raises(LoadTestError) as raised, running_engine([*SCENARIOS_OWN, "--memory-mb", "1"]):
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
